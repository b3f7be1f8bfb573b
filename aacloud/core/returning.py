# SPDX-License-Identifier: Apache-2.0
"""When a host that was evacuated may serve again."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum

from aacloud.core.migrations import MigrationView
from aacloud.core.verdicts import NetworkState


class ReturnStep(str, enum.Enum):
    """What is done to bring a host back, in this order."""

    UNSET_FORCE_DOWN = "unset-force-down"
    WAIT_COMPUTE_UP = "wait-compute-up"
    ENABLE = "enable"


@dataclasses.dataclass(frozen=True, slots=True)
class ReturnPolicy:
    """When a host counts as well again. Times in seconds.

    :ivar agent_fresh_s: its agent's last report is not older.
    :ivar clean_s: all its networks are up for that long without a break.
    """

    agent_fresh_s: float = 6.0
    clean_s: float = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class ReturnFacts:
    """What is known of a host that wants to come back.

    :ivar agent_age_s: seconds since its agent's last report; None if none.
    :ivar compute_reporting: nova-compute reports to Nova now. Nova shows a
        service that is forced down as down, so look at its time stamp.
    :ivar compute_started_since_fence: nova-compute was started after the
        host was fenced: only then has it destroyed what was evacuated.
    :ivar forced_down: Nova holds it down by force.
    :ivar disabled_by_us: scheduling is disabled with this incident's reason.
    :ivar guests_elsewhere: guests that run on it which Nova places on
        another host; None when the host's guests are not known.
    :ivar open_evacuations: evacuations away from it, or to it, which Nova
        has not completed; None when Nova could not be asked.
    :ivar probes_clean_s: for how long all its networks are up.
    """

    agent_age_s: float | None
    networks: Mapping[str, NetworkState]
    compute_reporting: bool
    compute_started_since_fence: bool
    forced_down: bool
    disabled_by_us: bool
    guests_elsewhere: tuple[str, ...] | None
    open_evacuations: tuple[MigrationView, ...] | None
    probes_clean_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class ReturnDecision:
    """Whether the host may serve again.

    :ivar wait_for: what is missing, each with what to do; () when ``go``.
    :ivar steps: what has to be done then, in order.
    """

    go: bool
    wait_for: tuple[str, ...]
    steps: tuple[ReturnStep, ...] = ()


def may_return(
    facts: ReturnFacts, policy: ReturnPolicy = ReturnPolicy(),
) -> ReturnDecision:
    """Whether a host may come back into service.

    It stays forced down and disabled until nothing on it can be a second
    copy of a server: nova-compute was started anew (which destroys guests
    that were evacuated), Nova has completed their evacuations, and no guest
    is left that Nova places elsewhere.
    """
    wait_for = (*_life(facts, policy), *_guests(facts), *_path(facts, policy))
    if wait_for:
        return ReturnDecision(False, wait_for)
    steps = []
    if facts.forced_down:
        steps += [ReturnStep.UNSET_FORCE_DOWN, ReturnStep.WAIT_COMPUTE_UP]
    if facts.disabled_by_us:
        steps.append(ReturnStep.ENABLE)
    return ReturnDecision(True, (), tuple(steps))


def _life(facts: ReturnFacts, policy: ReturnPolicy) -> list[str]:
    waits = []
    if facts.agent_age_s is None:
        waits.append("its agent to report: power the host on and start "
                     "aacloud-agent")
    elif facts.agent_age_s > policy.agent_fresh_s:
        waits.append(
            f"its agent to report again, last heard {facts.agent_age_s:.0f} "
            f"s ago")
    if not facts.compute_reporting:
        waits.append("nova-compute to report to Nova: start it on the host")
    elif not facts.compute_started_since_fence:
        waits.append(
            "nova-compute to be started anew: the one that runs is from "
            "before the fence and has not removed evacuated guests; "
            "restart it")
    return waits


def _guests(facts: ReturnFacts) -> list[str]:
    waits = []
    if facts.open_evacuations is None:
        waits.append("Nova to say which evacuations are still open")
    elif facts.open_evacuations:
        shown = ", ".join(
            f"{m.id} of {m.server} ({m.status})"
            for m in facts.open_evacuations[:5])
        more = len(facts.open_evacuations) - 5
        if more > 0:
            shown += f" and {more} more"
        waits.append(
            f"Nova to complete evacuations: {shown}; nova-compute of the "
            f"host does so when it starts, else look at its log")
    if facts.guests_elsewhere is None:
        waits.append("the host to say which guests run on it")
    elif facts.guests_elsewhere:
        waits.append(
            f"guests to be removed from it that Nova places elsewhere: "
            f"{', '.join(facts.guests_elsewhere)}; do not enable the host "
            f"before they are gone")
    return waits


def _path(facts: ReturnFacts, policy: ReturnPolicy) -> list[str]:
    waits = [
        f"its {network} network to come up ({state.value})"
        for network, state in facts.networks.items()
        if state is not NetworkState.UP]
    if not facts.networks:
        waits.append("other hosts to probe it")
    if not waits and facts.probes_clean_s < policy.clean_s:
        waits.append(
            f"its networks to be clean for {policy.clean_s:g} s, so far "
            f"{facts.probes_clean_s:.0f} s")
    return waits
