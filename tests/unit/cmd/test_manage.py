# SPDX-License-Identifier: Apache-2.0
"""aacloud-manage, up to the port to the cloud."""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import json
import os
import pathlib
import sys

import pytest

from aacloud.clouds import errors as cloud_errors
from aacloud.cmd import manage
from aacloud.cmd.actions import topology as topology_action
from aacloud.core import topology as topologies
from aacloud.core import verdicts

Manage = Callable[..., int]

TOPOLOGY = """
dcs:
  dc1:
    racks:
      dc1-r1: {hosts: [h1, h2], instance_disks: shared}
  dc2:
    racks:
      dc2-r1: {hosts: [h3]}
"""

FENCING = """
hosts:
  h1: {driver: noop}
  h2: {driver: noop}
  h3: {driver: noop}
"""


class AggregatesCloud:
    """Nova's host aggregates in memory; fails at the given call."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts
        self.kept: dict[int, topologies.Aggregate] = {}
        self.changes = 0
        self.fail_at: int | None = None

    def _count(self) -> None:
        if self.changes == self.fail_at:
            raise cloud_errors.CloudUnknown("Nova did not answer in 15 s")
        self.changes += 1

    def services(self) -> Mapping[str, verdicts.NovaServiceView]:
        return {name: verdicts.NovaServiceView("up") for name in self.hosts}

    def aggregates(self) -> tuple[topologies.Aggregate, ...]:
        return tuple(self.kept.values())

    def create_aggregate(
        self, name: str, metadata: Mapping[str, str]
    ) -> topologies.Aggregate:
        self._count()
        number = len(self.kept) + 1
        self.kept[number] = topologies.Aggregate(number, name, metadata)
        return self.kept[number]

    def add_to_aggregate(self, number: int, host: str) -> None:
        self._count()
        found = self.kept[number]
        self.kept[number] = dataclasses.replace(
            found, hosts=(*found.hosts, host)
        )

    def remove_from_aggregate(self, number: int, host: str) -> None:
        self._count()
        found = self.kept[number]
        self.kept[number] = dataclasses.replace(
            found, hosts=tuple(name for name in found.hosts if name != host)
        )


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> AggregatesCloud:
    cloud = AggregatesCloud("h1", "h2", "h3")
    monkeypatch.setattr(topology_action, "_cloud", lambda conf: cloud)
    return cloud


@pytest.fixture
def run(tmp_path: pathlib.Path) -> Manage:
    """Return the command with a configuration of its own."""
    (tmp_path / "topology.yaml").write_text(TOPOLOGY)
    (tmp_path / "fencing.yaml").write_text(FENCING)
    config = tmp_path / "aacloud.conf"
    config.write_text(
        f"[aacloud_fencing]\ninventory_file = {tmp_path}/fencing.yaml\n"
        f"[database]\nconnection = sqlite:///{tmp_path}/db\n"
    )

    def call(*argv: str) -> int:
        return manage.main(["--config-file", str(config), *argv])

    return call


@pytest.fixture
def file(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "topology.yaml")


def test_apply_makes_the_aggregates_once(
    cloud: AggregatesCloud,
    run: Manage,
    file: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("topology", "apply", "--yes", file) == 0
    read, problems = topology_action_reads(cloud)
    assert problems == ()
    assert {name: (h.dc, h.rack) for name, h in read.hosts.items()} == {
        "h1": ("dc1", "dc1-r1"),
        "h2": ("dc1", "dc1-r1"),
        "h3": ("dc2", "dc2-r1"),
    }
    out = capsys.readouterr().out
    assert "+ create aggregate aacloud-dc-dc1 (aacloud:dc=dc1)" in out
    changes = cloud.changes
    assert f"{changes} changes were made" in out

    assert run("topology", "apply", "--yes", file) == 0
    assert "nothing to change" in capsys.readouterr().out
    assert cloud.changes == changes


def topology_action_reads(
    cloud: AggregatesCloud,
) -> tuple[topologies.Topology, tuple[str, ...]]:
    from aacloud.core.topology import aggregates

    return aggregates.topology_from_aggregates(cloud.aggregates())


def test_apply_moves_a_host(
    cloud: AggregatesCloud,
    run: Manage,
    file: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("topology", "apply", "--yes", file) == 0
    path = pathlib.Path(file)
    path.write_text(
        TOPOLOGY.replace("[h1, h2]", "[h1]").replace("[h3]", "[h2, h3]")
    )
    capsys.readouterr()
    assert run("topology", "apply", "--yes", file) == 0
    assert "- remove host h2 from aggregate" in capsys.readouterr().out
    read, problems = topology_action_reads(cloud)
    assert (read.hosts["h2"].dc, problems) == ("dc2", ())


def test_a_reader_that_goes_away_ends_it_without_a_trace(
    cloud: AggregatesCloud,
    run: Manage,
    file: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as nobody:
        monkeypatch.setattr(sys, "stdout", nobody)
        assert run("topology", "apply", "--dry-run", file) == 1
    told = capfd.readouterr().err
    assert "nobody reads" in told
    assert "Traceback" not in told


def test_dry_run_changes_nothing(
    cloud: AggregatesCloud,
    run: Manage,
    file: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("topology", "apply", "--dry-run", file) == 0
    assert "were not made" in capsys.readouterr().out
    assert cloud.changes == 0


@pytest.mark.parametrize(
    ("answer", "status"), [("y", 0), ("yes", 0), ("n", 1), ("", 1)]
)
def test_apply_asks(
    cloud: AggregatesCloud,
    run: Manage,
    file: str,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    status: int,
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    assert run("topology", "apply", file) == status
    assert (cloud.changes > 0) == (status == 0)


def test_apply_needs_a_terminal_to_ask(
    cloud: AggregatesCloud,
    run: Manage,
    file: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert run("topology", "apply", file) == 1
    assert "give --yes" in capsys.readouterr().err
    assert cloud.changes == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TOPOLOGY.replace("[h3]", "[h3, h1]"), "h1"),
        (TOPOLOGY.replace("dc2:", "dc1:"), "the key 'dc1' stands twice"),
        (TOPOLOGY.replace("[h3]", "[h3, ghost]"), "ghost is not known"),
        (TOPOLOGY.replace("shared", "both"), "both"),
        ("dcs: [", "line 1"),
        ("", "topology.yaml"),
    ],
)
def test_a_wrong_file_changes_nothing(
    cloud: AggregatesCloud,
    run: Manage,
    file: str,
    capsys: pytest.CaptureFixture[str],
    text: str,
    says: str,
) -> None:
    pathlib.Path(file).write_text(text)
    assert run("topology", "apply", "--yes", file) == 1
    said = capsys.readouterr()
    assert says in said.err
    assert "Traceback" not in said.err
    assert cloud.changes == 0


def test_apply_goes_on_where_it_was_interrupted(
    cloud: AggregatesCloud,
    run: Manage,
    file: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cloud.fail_at = 6
    assert run("topology", "apply", "--yes", file) == 1
    said = capsys.readouterr().err
    assert "Nova did not answer" in said
    assert "6 of " in said
    cloud.fail_at = None
    assert run("topology", "apply", "--yes", file) == 0
    read, problems = topology_action_reads(cloud)
    assert (sorted(read.hosts), problems) == (["h1", "h2", "h3"], ())


def test_check_of_a_good_topology(
    cloud: AggregatesCloud,
    run: Manage,
    file: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("topology", "apply", "--yes", file)
    capsys.readouterr()
    assert run("topology", "check", "-f", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["problems"] == []
    assert [row["Host"] for row in document["hosts"]] == ["h1", "h2", "h3"]
    assert document["hosts"][0] == {
        "DC": "dc1",
        "Rack": "dc1-r1",
        "Host": "h1",
        "Instance disks": "shared",
        "Nova": "up",
    }


def test_check_names_every_problem(
    cloud: AggregatesCloud,
    run: Manage,
    file: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("topology", "apply", "--yes", file)
    cloud.hosts = ("h1", "h2", "h4")
    cloud.create_aggregate("other", {"aacloud:rack": "dc9-r9"})
    cloud.add_to_aggregate(len(cloud.kept), "h1")
    (tmp_path / "fencing.yaml").write_text(
        FENCING.replace("  h2: {driver: noop}\n", "")
    )
    capsys.readouterr()
    assert run("topology", "check") == 1
    said = capsys.readouterr().err
    assert "h1 has more than one rack (dc1-r1, dc9-r9)" in said
    assert "h2 is not in " in said
    assert "h3 has a place, but Nova knows no nova-compute" in said
    assert "h4 has no place" in said
    assert len(said.splitlines()) == 4


@pytest.mark.parametrize("verb", [("apply", "--yes"), ("check",)])
def test_a_cloud_that_does_not_answer(
    run: Manage,
    file: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: tuple[str, ...],
) -> None:
    def silent(conf: object) -> AggregatesCloud:
        raise cloud_errors.CloudUnknown("Keystone at x did not answer")

    monkeypatch.setattr(topology_action, "_cloud", silent)
    arguments = [*verb, file] if verb[0] == "apply" else list(verb)
    assert run("topology", *arguments) == 1
    assert "Keystone at x did not answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "auth_type is not set"),
        ("auth_type = magic", "magic"),
    ],
)
def test_no_way_to_log_in(
    run: Manage,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    says: str,
) -> None:
    with (tmp_path / "aacloud.conf").open("a") as config:
        config.write(f"[aacloud_keystone]\n{text}\n")
    assert run("topology", "check") == 1
    said = capsys.readouterr().err
    assert "[aacloud_keystone]" in said
    assert says in said


def test_db_sync_and_version(
    run: Manage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("db", "version") == 1
    said = capsys.readouterr()
    assert said.out == "no tables\n"
    assert "aacloud-manage db sync" in said.err
    assert run("db", "sync") == 0
    assert "from nothing to revision" in capsys.readouterr().out
    assert run("db", "sync") == 0
    assert "are current" in capsys.readouterr().out
    assert run("db", "version") == 0


def test_fencing_check_tells_what_cannot_be_read(
    run: Manage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fencing", "check", "-f", "json", "h1", "h9") == 1
    said = capsys.readouterr()
    legs = json.loads(said.out)
    assert [(leg["host"], leg["power"]) for leg in legs] == [
        ("h1", "unknown"),
        ("h9", "unknown"),
    ]
    assert "not in the fencing inventory" in legs[1]["detail"]
    assert "the power state of h9 cannot be read" in said.err


def test_fencing_check_of_a_broken_inventory(
    run: Manage, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fencing.yaml").write_text("hosts: {h1: {driver: magic}}")
    assert run("fencing", "check") == 1
    assert "magic" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [[], ["db"], ["db", "drop"], ["topology", "apply"], ["fencing", "-x"]],
)
def test_wrong_use(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        manage.main(argv)
    assert ended.value.code == 2


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        manage.main(["--help"])
    assert ended.value.code == 0
    assert "aacloud-manage topology apply --dry-run" in capsys.readouterr().out


def test_wrong_configuration(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "aacloud.conf"
    config.write_text("[aacloud_fencing]\npoll = never\n")
    assert manage.main(["--config-file", str(config), "db", "version"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("aacloud-manage: [aacloud_fencing] poll in ")


def test_an_unexpected_error_is_one_line(
    run: Manage,
    file: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(conf: object) -> AggregatesCloud:
        raise ZeroDivisionError("1/0")

    monkeypatch.setattr(topology_action, "_cloud", broken)
    assert run("topology", "check") == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError: 1/0" in said
    with pytest.raises(ZeroDivisionError):
        run("--debug", "topology", "check")
