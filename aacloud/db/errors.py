# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between an engine or the API and the database."""


class DatabaseError(Exception):
    """The base of all errors that this package raises on purpose."""


class StaleJournal(DatabaseError):
    """A write was refused: its row is not any more what the caller read.

    Nothing of the transaction was written. Read the row again before doing
    anything that depends on it.

    :ivar row: the row in the operator's words
    :ivar deposed: True when the epoch is the reason: another engine has
        taken over and this one must stop acting as the leader
    """

    def __init__(self, row: str, reason: str, *, deposed: bool) -> None:
        self.row = row
        self.reason = reason
        self.deposed = deposed
        super().__init__(f"{row}: not written, {reason}")


class JournalUnavailable(DatabaseError):
    """The database did not answer, refused, or was cut off mid-way.

    :ivar unknown: True when the write may have landed all the same; False
        when it surely has not
    """

    def __init__(self, what: str, reason: str, *, unknown: bool) -> None:
        self.what = what
        self.reason = reason
        self.unknown = unknown
        outcome = (
            "it is not known whether it was written"
            if unknown
            else "nothing was written"
        )
        super().__init__(f"{what}: {reason} ({outcome})")


class NotFound(DatabaseError):
    """No row has this name or id."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        super().__init__(f"there is no {kind} {name}")


class CommandRefused(DatabaseError):
    """An operator asked for what this incident or plan cannot do any more.

    :ivar kind: ``incident`` or ``plan``
    """

    def __init__(
        self,
        incident_id: str,
        command: str,
        state: str,
        *,
        kind: str = "incident",
    ) -> None:
        self.kind = kind
        self.incident_id = incident_id
        self.command = command
        self.state = state
        super().__init__(
            f"{kind} {incident_id} is {state}: {command} is not possible "
            "any more"
        )


class StaleVersion(StaleJournal):
    """A record is not any more what the caller read and wants to change."""

    def __init__(self, kind: str, name: str, read: int, found: int) -> None:
        self.kind = kind
        self.name = name
        self.read = read
        self.found = found
        super().__init__(
            f"{kind} {name}",
            f"it was changed meanwhile: version {read} was read, it is "
            f"{found} now; read it again",
            deposed=False,
        )


class Duplicate(DatabaseError):
    """There is one already, and there can be one only.

    :ivar existing: the id of the one that is there
    """

    def __init__(self, kind: str, name: str, existing: str) -> None:
        self.kind = kind
        self.name = name
        self.existing = existing
        super().__init__(f"there is a {kind} {name} already: {existing}")


class ForeignServer(DatabaseError):
    """Servers of another project than the group's were to be added to it."""

    def __init__(self, group: str, servers: tuple[str, ...]) -> None:
        self.group = group
        self.servers = servers
        super().__init__(
            f"not of the project of group {group}: {', '.join(servers)}; "
            "only an administrator can add servers of other projects"
        )


class QuotaExceeded(DatabaseError):
    """A project would have more than it may.

    :ivar what: ``groups`` or ``members``
    """

    def __init__(
        self, project_id: str, what: str, limit: int, used: int, wanted: int
    ) -> None:
        self.project_id = project_id
        self.what = what
        self.limit = limit
        self.used = used
        self.wanted = wanted
        super().__init__(
            f"project {project_id} may have {limit} {what} of HA server "
            f"groups, it has {used}, and {wanted} more are asked for; an "
            "administrator can raise its quota"
        )


class SchemaError(DatabaseError):
    """The tables of the database do not fit this release."""
