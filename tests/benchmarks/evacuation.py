# SPDX-License-Identifier: Apache-2.0
"""How close to Nova's own limit a recovery comes, in the lab.

The floor is the same evacuations, the same server numbers to the same
destinations, sent straight to Nova at several concurrencies; the best one
counts. Floor and aacloud run on the same cloud in the same run, because
machines differ and are noisy: the ratio is what is printed and compared.

    python3 -m tests.benchmarks.evacuation --servers 48
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import concurrent.futures
import dataclasses
import datetime
import sys
import time

from tests.lab import servers
from tests.lab.control import Lab
from tests.lab.rest import RestError

PREFIX = "bench-"
RECOVERY_SECONDS = 600
#: The microversion under which Nova leaves a server running.
EVACUATE = {"OpenStack-API-Version": "compute 2.94"}
POLL = 0.5
#: A recovery that takes longer than this many floors is a defect.
MOST_RATIO = 1.3


@dataclasses.dataclass(frozen=True)
class Run:
    """One recovery of the same servers. Seconds.

    :ivar detected: from the death of the host to the incident; None for the
        floor, which is told
    :ivar proved: from the death to the proof
    :ivar recovered: from the proof, or the first request, to the last ACTIVE
    """

    name: str
    recovered: float
    detected: float | None = None
    proved: float | None = None


def utcnow() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def say(text: str) -> None:
    print(f"{utcnow():%H:%M:%S}  {text}", flush=True)


def boot(lab: Lab, victim: str, count: int) -> list[str]:
    """The servers in the order of their numbers."""
    servers.delete(lab, prefix=PREFIX)
    booted = servers.boot(
        lab, [(f"{PREFIX}{n:03d}", victim) for n in range(count)])
    return [booted[name] for name in sorted(booted)]


def all_elsewhere(
    lab: Lab, wanted: Sequence[str], victim: str
) -> dict[str, str] | None:
    """Server -> host once all are ACTIVE on another host."""
    now = servers.listed(lab)
    found = {}
    for server in wanted:
        seen = now.get(server)
        if (
            seen is None or seen["status"] != "ACTIVE"
            or servers.host_of(seen) == victim
            or seen["OS-EXT-STS:task_state"]
        ):
            return None
        found[server] = servers.host_of(seen)
    return found


def await_return(lab: Lab, victim: str) -> None:
    """Bring the host back, by hand or by aacloud, until it serves."""
    lab.mend("host-crash", victim)
    if lab.power(victim) != "On":
        lab.set_power(victim, True)

    def serves() -> bool:
        answer = lab.cloud.get(
            "nova-api", f"/os-services?binary=nova-compute&host={victim}")
        service = answer["services"][0]
        return (service["state"], service["status"],
                service["forced_down"]) == ("up", "enabled", False)

    lab.wait(f"{victim} serves again", serves, 240, 1.0)


def set_forced_down(lab: Lab, host: str, down: bool) -> None:
    answer = lab.cloud.get(
        "nova-api", f"/os-services?binary=nova-compute&host={host}")
    service = answer["services"][0]["id"]
    lab.cloud.put("nova-api", f"/os-services/{service}",
                  {"forced_down": down})


def set_mode(lab: Lab, mode: str) -> None:
    lab.cloud.put("aacloud-api", "/failover/modes/cloud/cloud",
                  {"mode": mode, "reason": "benchmark"})


def by_aacloud(
    lab: Lab, victim: str, count: int
) -> tuple[Run, list[str]]:
    """aacloud recovers; its run, and the destinations by number."""
    wanted = boot(lab, victim, count)
    set_mode(lab, "armed")
    died = utcnow()
    lab.fault("host-crash", victim)
    found = lab.wait("all servers ACTIVE elsewhere", lambda: all_elsewhere(
        lab, wanted, victim), RECOVERY_SECONDS, POLL)
    ended = utcnow()
    incident = lab.cloud.get(
        "aacloud-api", f"/incidents?host={victim}&limit=1")["incidents"][0]
    told = lab.cloud.get(
        "aacloud-api", f"/incidents/{incident['id']}")["incident"]
    opened = datetime.datetime.fromisoformat(told["opened_at"])
    proved = datetime.datetime.fromisoformat(told["proof"]["proven_at_utc"])
    await_return(lab, victim)
    lab.wait("the incident is closed", lambda: lab.cloud.get(
        "aacloud-api", f"/incidents/{incident['id']}"
    )["incident"]["closed_at"], 120, POLL)
    return Run(
        "aacloud",
        recovered=(ended - proved).total_seconds(),
        detected=(opened - died).total_seconds(),
        proved=(proved - died).total_seconds(),
    ), [found[server] for server in wanted]


def by_hand(
    lab: Lab, victim: str, destinations: Sequence[str], at_once: int
) -> Run:
    """The same evacuations straight to Nova, ``at_once`` in flight."""
    wanted = boot(lab, victim, len(destinations))
    set_mode(lab, "disarmed")
    lab.fault("host-crash", victim)
    set_forced_down(lab, victim, True)
    began = time.monotonic()

    def one(server: str, destination: str) -> None:
        lab.cloud.post(
            "nova-api", f"/servers/{server}/action",
            {"evacuate": {"host": destination}}, headers=EVACUATE)
        lab.wait(
            f"{server} on {destination}",
            lambda: _landed(lab, server, destination),
            RECOVERY_SECONDS, 0.5)

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, wanted, destinations))
    took = time.monotonic() - began
    if all_elsewhere(lab, wanted, victim) is None:
        raise RuntimeError("the floor did not bring all servers back")
    lab.mend("host-crash", victim)
    lab.set_power(victim, True)
    _free(lab, victim)
    return Run(f"Nova, {at_once} at once", recovered=took)


def _landed(lab: Lab, server: str, destination: str) -> bool:
    seen = lab.cloud.get("nova-api", f"/servers/{server}")["server"]
    return (
        seen["status"] == "ACTIVE" and servers.host_of(seen) == destination
        and not seen["OS-EXT-STS:task_state"])


def _free(lab: Lab, victim: str) -> None:
    """Nova takes force-down back once the evacuations are completed."""

    def taken_back() -> bool:
        try:
            set_forced_down(lab, victim, False)
        except RestError as error:
            if error.status == 400:
                return False
            raise
        return True

    lab.wait("force-down is taken back", taken_back, 120, 1.0)
    await_return(lab, victim)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="The recovery of one host's servers against its floor.")
    parser.add_argument("--servers", type=int, default=48)
    parser.add_argument(
        "--at-once", type=int, nargs="+", default=[4, 8, 16, 24],
        help="concurrencies of the floor; the best one counts")
    arguments = parser.parse_args(argv)
    lab = Lab.up()
    victim = lab.hosts[0]
    say(f"{arguments.servers} servers on {victim}, recovered by aacloud")
    ours, destinations = by_aacloud(lab, victim, arguments.servers)
    runs = [ours]
    for at_once in arguments.at_once:
        say(f"the same, straight to Nova, {at_once} at once")
        runs.append(by_hand(lab, victim, destinations, at_once))
    servers.delete(lab, prefix=PREFIX)
    set_mode(lab, "shadow")
    floor = min(runs[1:], key=lambda run: run.recovered)
    print(f"\n{'run':<20}{'detected':>10}{'proved':>10}{'recovered':>11}"
          f"{'x floor':>9}")
    for run in runs:
        print(f"{run.name:<20}{_seconds(run.detected):>10}"
              f"{_seconds(run.proved):>10}{_seconds(run.recovered):>11}"
              f"{run.recovered / floor.recovered:>9.2f}")
    ratio = ours.recovered / floor.recovered
    print(f"\nratio aacloud / floor: {ratio:.2f} "
          f"(floor: {floor.name}, {arguments.servers} servers)")
    if ratio > MOST_RATIO:
        print(f"above {MOST_RATIO}: recovery is too slow")
        return 1
    return 0


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


if __name__ == "__main__":
    sys.exit(main())
