# SPDX-License-Identifier: Apache-2.0
"""What follows a failed attempt to move a server."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import typing

from aacloud.core.incidents import ServerRecord


class FailureKind(str, enum.Enum):
    """Why an attempt failed, as far as it decides what comes next."""

    #: Nova's migration ended failed or in error.
    MIGRATION_FAILED = "migration-failed"
    #: The destination died (and was fenced) before the server landed.
    DESTINATION_DIED = "destination-died"
    #: Nova refused the request (4xx): nothing was started.
    REFUSED = "refused"
    #: Nova refused because it does not see the source down yet.
    SOURCE_NOT_DOWN = "source-not-down"
    #: Nova's scheduler, or its checks before the start, said no.
    NO_VALID_HOST = "no-valid-host"
    #: The destination's nova-compute is down, disabled or unknown.
    DESTINATION_DOWN = "destination-down"
    #: The server is pinned to an availability zone; this is another one.
    PINNED_ZONE = "pinned-zone"
    #: It would break one of Nova's own server groups.
    NATIVE_GROUP = "native-group"
    #: The server landed but does not hold there.
    NOT_VERIFIED = "not-verified"


@dataclasses.dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon a server is tried again.

    :ivar tries: moves that may fail before an operator is asked. With one,
        the failure itself is the reason code of the record.
    :ivar backoff_s: seconds before the second, third, ... try; the last
        one counts for all that follow.
    :ivar source_not_down_s: seconds before Nova is asked again when it did
        not see the source down.
    """

    tries: int = 3
    backoff_s: tuple[float, ...] = (5.0, 20.0, 60.0)
    source_not_down_s: float = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Retry:
    """Try again at ``at`` (UTC).

    :ivar destination: None when no spare is left: plan this server anew.
    :ivar spares: what is left of the spares.
    :ivar tries: what ServerRecord.tries is now.
    """

    at: datetime.datetime
    destination: str | None
    spares: tuple[str, ...]
    tries: int
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class GiveUp:
    """No further try: the server becomes MANUAL."""

    reason_code: str
    reason: str


NextTry: typing.TypeAlias = Retry | GiveUp


def next_try(
    record: ServerRecord,
    failure: FailureKind,
    now: datetime.datetime,
    policy: RetryPolicy = RetryPolicy(),
    *,
    detail: str = "",
    by_hand: str | None = None,
) -> NextTry:
    """What to do after an attempt failed.

    :param record: the record as it was when the attempt failed
    :param now: aware UTC
    :param detail: what Nova said, for the reason
    :param by_hand: the command of the same move, for who goes on by hand
    """
    said = f": {detail}" if detail else ""
    where = record.destination or "no destination"
    if failure is FailureKind.SOURCE_NOT_DOWN:
        # Nothing was wrong with the destination, and nothing was started.
        # Bounded by the engine's own repair of force-down, not by tries.
        return Retry(
            at=now + datetime.timedelta(seconds=policy.source_not_down_s),
            destination=record.destination, spares=record.spares,
            tries=record.tries,
            reason=f"Nova does not see {record.source} down yet{said}")
    tries = record.tries + 1
    failed = f"try {tries} to {where} failed ({failure.value}){said}"
    if tries >= policy.tries:
        command = by_hand or (
            f"openstack server evacuate --host <other host> {record.server}")
        one = policy.tries == 1
        used = "It was the only try" if one else (
            f"All {policy.tries} tries are used up")
        return GiveUp(
            failure.value if one else "tries-exhausted",
            f"{failed}. {used}. Look at the server's migrations and at "
            f"nova-conductor's log, then run '{command}' yourself")
    pause = policy.backoff_s[min(tries, len(policy.backoff_s)) - 1]
    fresh = tuple(s for s in record.spares if s != record.destination)
    destination, left = (fresh[0], fresh[1:]) if fresh else (None, ())
    onward = f"goes on to {destination}" if destination else "plans anew"
    return Retry(
        at=now + datetime.timedelta(seconds=pause),
        destination=destination, spares=left, tries=tries,
        reason=f"{failed}; {onward} in {pause:g} s")
