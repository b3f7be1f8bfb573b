# SPDX-License-Identifier: Apache-2.0
"""Wrong files, wrong commands, broken messages: an error, and no change."""

from __future__ import annotations

import concurrent.futures
import json
import pathlib
import subprocess

import pytest

from tests.lab.plan import DCS
from tests.lab.services.infra import CONTROL
from tests.lab.suite.attacker import Bus
from tests.lab.suite.stage import Stage

GOOD = "dcs: {{dc1: {{racks: {{dc1-r1: {{hosts: [{hosts}]}}}}}}}}\n"


def _run(
    stage: Stage, command: str, *words: str, node: str = CONTROL,
    config: pathlib.Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """One of aacloud's own programs, as an operator runs it."""
    state = stage.lab.state
    config = config or state.etc("aacloud", f"{node}.conf")
    return stage.lab.exec(
        [state.bin(command), "--config-file", str(config), *words],
        node=node, check=False, timeout=60)


def test_wrong_topologies_change_nothing(
    stage: Stage, tmp_path: pathlib.Path
) -> None:
    host, other = stage.lab.hosts[:2]
    files = {
        "unknown host": (
            GOOD.format(hosts=f"{host}, no-such-host"), ["no-such-host"]),
        "two racks": (
            "dcs:\n  dc1:\n    racks:\n"
            f"      dc1-r1: {{hosts: [{host}]}}\n"
            f"      dc1-r2: {{hosts: [{host}, {other}]}}\n",
            [host, "dc1-r1", "dc1-r2"]),
        "broken YAML": ("dcs: {dc1: [\n", ["broken-YAML.yaml"]),
        "unknown key": (
            "dcs: {dc1: {rakcs: {}}}\n", ["rakcs"]),
    }
    before = stage.look.aggregates()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = {}
        for name, (text, _words) in files.items():
            file = tmp_path / f"{name.replace(' ', '-')}.yaml"
            file.write_text(text)
            runs[name] = pool.submit(
                _run, stage, "aacloud-manage", "topology", "apply",
                str(file), "--yes")
        missing = pool.submit(
            _run, stage, "aacloud-manage", "topology", "apply",
            str(tmp_path / "nowhere.yaml"), "--yes")
        for name, run in runs.items():
            done = run.result()
            assert done.returncode == 1, (name, done)
            assert "Traceback" not in done.stderr, done.stderr
            for word in files[name][1]:
                assert word in done.stderr, (name, done.stderr)
        done = missing.result()
        assert done.returncode in (1, 2), done
        assert "nowhere.yaml" in done.stderr
    assert stage.look.aggregates() == before


def test_daemons_refuse_broken_files(
    stage: Stage, tmp_path: pathlib.Path
) -> None:
    """Each names the file and what is wrong in it, and runs not at all."""
    state = stage.lab.state
    node = f"{DCS[0]}-ha"
    fences = tmp_path / "fences.yaml"
    fences.write_text(
        "hosts:\n  dc1-r1-h1: {driver: redfsh, address: 'http://10.0.0.1'}\n")
    keys = tmp_path / "keys"
    keys.write_text("this is no key\n")
    given = state.etc("aacloud", f"{node}.conf").read_text()
    for name, file, words in (
        ("inventory_file", fences, ["redfsh", "dc1-r1-h1"]),
        ("key_file", keys, ["line 1"]),
    ):
        config = tmp_path / f"{name}.conf"
        config.write_text("".join(
            f"{name} = {file}\n" if line.startswith(f"{name} ") else line
            for line in given.splitlines(keepends=True)))
        done = _run(stage, "aacloud-failover", node=node, config=config)
        told = done.stdout + done.stderr
        assert done.returncode == 78, (name, done.returncode, told)
        assert "Traceback" not in told, told
        for word in (str(file), *words):
            assert word in told, (name, told)


def test_commands_that_name_what_is_not_there(stage: Stage) -> None:
    before = stage.look.modes()
    wrong = (
        ("failover", "disarm", "--host", "no-such-host"),
        ("failover", "arm", "--rack", "dc9-r9"),
        ("host", "show", "no-such-host"),
        ("incident", "show", "no-such-incident"),
    )
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(
                stage.lab.exec, ["openstack", "ha", *words], check=False)
            for words in wrong]
    for words, run in zip(wrong, runs, strict=True):
        done = run.result()
        assert done.returncode == 1, (words, done)
        assert words[-1] in done.stderr, (words, done.stderr)
        assert "Traceback" not in done.stderr, done.stderr
    assert stage.look.modes() == before


@pytest.mark.mode("shadow")
def test_broken_messages_are_counted_and_left_alone(stage: Stage) -> None:
    lab, look = stage.lab, stage.look
    stage.crew(stage.host(), 1)
    stage.ready()
    bus = Bus(lab)
    bus.listen()

    def heard() -> bool:
        bus.drain()
        return len(bus.reports()) > 3

    lab.wait("reports on the bus", heard, 15)
    message, _body = bus.reports()[-1]
    before = {
        dc: look.metrics(f"{dc}-ha").value(
            "aacloud_reports_refused_total", reason="malformed")
        for dc in DCS}
    nested = "[" * 100_000
    bus.send("this is not JSON")
    bus.send(json.dumps({"oslo.version": "2.0", "oslo.message": "{"}))
    bus.replay({**message, "method": "no_such_method"})
    bus.replay({**message, "args": {"what": "is this"}})
    for envelope in (
        None, 17, "text", [], {}, {"version": 1},
        {"version": "1.0", "body": {}},
        {"version": "1.0", "body": nested, "key": "lab", "mac": "00"},
        {**message["args"]["message"], "mac": "not hexadecimal"},
    ):
        bus.envelope(message, envelope)

    def counted() -> bool:
        return all(
            look.metrics(f"{dc}-ha").value(
                "aacloud_reports_refused_total", reason="malformed")
            >= before[dc] + 6 for dc in DCS)

    lab.wait("the broken messages are counted", counted, 30)
    received = look.metrics("dc1-ha").value("aacloud_reports_received_total")
    lab.wait(
        "good reports are still taken",
        lambda: look.metrics("dc1-ha").value(
            "aacloud_reports_received_total") > received + 20, 30)
    bus.close()
    stage.keep_quiet(2)
    assert all(host["state"] == "up" for host in look.hosts().values())
    assert all(look.health(f"{dc}-ha")[0] for dc in DCS)
