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
    """An operator asked for what this incident cannot do any more."""

    def __init__(self, incident_id: str, command: str, state: str) -> None:
        self.incident_id = incident_id
        self.command = command
        self.state = state
        super().__init__(
            f"incident {incident_id} is {state}: {command} is not possible "
            "any more"
        )


class SchemaError(DatabaseError):
    """The tables of the database do not fit this release."""
