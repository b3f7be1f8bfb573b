# SPDX-License-Identifier: Apache-2.0
"""Reports for tests."""

from collections.abc import Mapping

from aacloud.core.observations import Observation
from aacloud.core.observations import Reach
from aacloud.core.observations import Report
from aacloud.core.topology import Vantage
from aacloud.rpc import replay
from aacloud.rpc import schema

BOOT = replay.make_boot_id(1_700_000_000_000)
AT = 1_700_000_100.0


def observation(target: str = "dc1-r1-h2") -> Observation:
    """One observation of dc1-r1-h1."""
    return Observation(
        observer="dc1-r1-h1",
        target=target,
        network="management",
        vantage=Vantage.OWN_RACK,
        reach=Reach.UP,
        misses=0,
        silent_s=0.25,
        rtt_ms=0.5,
    )


def heartbeat(
    seq: int = 1,
    *,
    boot: str = BOOT,
    uptime_s: float = 10.0,
    at: float = AT,
    observations: tuple[Observation, ...] | None = None,
    facts: Mapping[str, str] | None = None,
) -> schema.Heartbeat:
    """A report of dc1-r1-h1."""
    return schema.Heartbeat(
        report=Report(
            observer="dc1-r1-h1",
            boot_id=boot,
            seq=seq,
            interval_s=1.0,
            observations=(
                (observation(),) if observations is None else observations
            ),
            received=0.0,
            facts={"nova-compute": "up"} if facts is None else facts,
        ),
        addresses={"management": "10.21.1.11"},
        uptime_s=uptime_s,
        at=at,
    )
