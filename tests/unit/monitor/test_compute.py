# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import shutil

import pytest

from aacloud.monitor import compute
from aacloud.monitor import probe
from tests.unit.monitor import agents
from tests.unit.rpc import heartbeats
from tests.unit.rpc import keys

TICKS = os.sysconf("SC_CLK_TCK")
PATTERN = r"\bnova-compute\b"


class Proc:
    """A /proc of our own."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.namespace("self", "net:[1]")
        (root / "meminfo").write_text("")

    def namespace(self, name: str, link: str) -> None:
        (self.root / name / "ns").mkdir(parents=True, exist_ok=True)
        (self.root / name / "ns" / "net").symlink_to(link)

    def add(
        self,
        pid: int,
        command: str,
        *,
        started_s: float = 100.0,
        state: str = "S",
        net: str = "net:[1]",
    ) -> None:
        self.namespace(str(pid), net)
        place = self.root / str(pid)
        place.joinpath("cmdline").write_bytes(
            command.replace(" ", "\0").encode() + b"\0"
        )
        fields = [state, *("0" for _ in range(18))]
        ticks = int(started_s * TICKS)
        place.joinpath("stat").write_text(
            f"{pid} (odd ) name() {' '.join(fields)} {ticks} 0 0\n"
        )

    def remove(self, pid: int) -> None:
        shutil.rmtree(self.root / str(pid))


@pytest.fixture
def proc(tmp_path: pathlib.Path) -> Proc:
    return Proc(tmp_path)


def watch(proc: Proc) -> compute.ProcessWatch:
    return compute.ProcessWatch(PATTERN, str(proc.root))


def test_it_is_found_watched_missed_and_found_again(proc: Proc) -> None:
    watcher = watch(proc)
    proc.add(1, "init")
    assert watcher.look(0.0, 500.0) == {"nova-compute": "unknown"}
    proc.add(70, "python3 /usr/bin/nova-compute --config-file a")
    proc.add(71, "python3 /usr/bin/nova-compute worker", started_s=101.0)
    assert watcher.look(1.0, 500.0) == {"nova-compute": "unknown"}
    found = {"nova-compute": "up", "nova-compute-age-s": "400.0"}
    assert watcher.look(5.0, 500.0) == found
    proc.remove(70)
    proc.remove(71)
    assert watcher.look(6.0, 501.0) == {"nova-compute": "down"}
    proc.add(80, "nova-compute", started_s=501.0)
    assert watcher.look(7.0, 502.0) == {"nova-compute": "down"}
    assert watcher.look(11.0, 506.0) == {
        "nova-compute": "up",
        "nova-compute-age-s": "5.0",
    }


def test_a_pid_that_was_given_to_another_process_is_noticed(
    proc: Proc,
) -> None:
    watcher = watch(proc)
    proc.add(70, "nova-compute")
    assert watcher.look(0.0, 500.0)["nova-compute"] == "up"
    proc.remove(70)
    proc.add(70, "sleep 7", started_s=300.0)
    assert watcher.look(1.0, 500.0) == {"nova-compute": "down"}


def test_a_zombie_does_not_run(proc: Proc) -> None:
    watcher = watch(proc)
    proc.add(70, "nova-compute", state="Z")
    assert watcher.look(0.0, 500.0) == {"nova-compute": "unknown"}


def test_that_of_another_network_namespace_is_not_ours(proc: Proc) -> None:
    watcher = watch(proc)
    proc.add(70, "nova-compute", net="net:[2]")
    assert watcher.look(0.0, 500.0) == {"nova-compute": "unknown"}


def test_another_program_with_a_like_name_is_not_it(proc: Proc) -> None:
    watcher = watch(proc)
    proc.add(70, "tail -f nova-computer.log")
    proc.add(71, "my-nova_compute")
    assert watcher.look(0.0, 500.0) == {"nova-compute": "unknown"}


def test_a_system_without_proc_is_unknown(tmp_path: pathlib.Path) -> None:
    watcher = compute.ProcessWatch(PATTERN, str(tmp_path / "none"))
    assert watcher.look(0.0, 1.0) == {"nova-compute": "unknown"}


def test_the_probe_tells_facts_of_this_very_process() -> None:
    conf = agents.conf(8781, compute_process="pytest")
    made = compute.ComputeProbe(
        probe.ProbeContext(
            conf=conf,
            host="h",
            boot_id=heartbeats.BOOT,
            addresses={},
            keys=keys.ring(),
            clock=lambda: 0.0,
        )
    )
    assert made.collect().facts == {"nova-compute": "unknown"}
    assert made.health() == (False, "it does not run")
    # A process does not find itself, whatever its command line says.
    made._watch = compute.ProcessWatch(r"^no such process at all$")
    made.start()
    agents.wait_for(lambda: made.health()[0], "it runs")
    assert made.collect().observations == ()
    made.stop()
    assert not made.health()[0]
