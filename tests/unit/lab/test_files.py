# SPDX-License-Identifier: Apache-2.0
"""What the lab writes down: configuration, state, faults."""

import configparser
import json
import pathlib
import subprocess
import sys

import pytest

from tests.lab import faults
from tests.lab import hosts
from tests.lab.plan import LabPlan
from tests.lab.plan import PlanError
from tests.lab.services import aacloud
from tests.lab.services import openstack
from tests.lab.services.base import ini
from tests.lab.state import CHECKOUT
from tests.lab.state import LabBusy
from tests.lab.state import locked
from tests.lab.state import NoLab
from tests.lab.state import State
from tests.lab.state import write


@pytest.fixture
def state(tmp_path: pathlib.Path) -> State:
    return State.create(tmp_path, LabPlan())


def test_an_option_given_several_times_becomes_several_lines() -> None:
    assert ini({"a": {"x": ("1", "2"), "y": True}}) == (
        "[a]\nx = 1\nx = 2\ny = True\n"
    )


def test_a_lab_is_read_back_as_it_was_written(state: State) -> None:
    again = State.load(state.dir)
    assert again == state
    assert State.create(state.dir, LabPlan()).secret == state.secret
    assert (state.dir / "secret").stat().st_mode & 0o077 == 0


def test_no_lab_is_told_with_what_to_do(tmp_path: pathlib.Path) -> None:
    with pytest.raises(NoLab, match=f"{tmp_path}.*tests.lab up"):
        State.load(tmp_path)


def test_a_file_is_written_only_when_it_changes(
    tmp_path: pathlib.Path,
) -> None:
    file = tmp_path / "folder" / "file"
    assert write(file, "a", 0o600)
    assert file.stat().st_mode & 0o777 == 0o600
    assert not write(file, "a", 0o600)
    assert write(file, "b", 0o600)
    assert [entry.name for entry in file.parent.iterdir()] == ["file"]


HOLDER = """
import pathlib, sys
from tests.lab.state import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_programs_do_not_change_a_lab_at_once(state: State) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(state.dir)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(LabBusy, match="another "), locked(state.dir):
            pass
        other.kill()  # a killed program must not leave its lock behind
        other.wait(60)
        with locked(state.dir):
            pass


def test_each_agent_has_its_own_addresses(state: State) -> None:
    aacloud.configure(state)
    for host in state.plan.hosts:
        parser = configparser.RawConfigParser()
        parser.read(state.etc("aacloud", f"{host.name}.conf"))
        agent = dict(parser["aacloud_agent"])
        assert agent["host"] == host.name
        assert agent["management_address"] == host.addresses["mgmt"]
        assert agent["tenant_address"] == host.addresses["tenant"]
        assert agent["storage_address"] == host.addresses["storage"]


def test_each_engine_asks_the_etcd_member_of_its_own_site(
    state: State,
) -> None:
    aacloud.configure(state)
    for dc, address in (("dc1", "10.21.1.2"), ("dc2", "10.22.1.2")):
        parser = configparser.RawConfigParser()
        parser.read(state.etc("aacloud", f"{dc}-ha.conf"))
        assert parser["aacloud_coordination"]["backend_url"] == (
            f"etcd3+http://{address}:2379"
        )


def test_a_compute_host_knows_no_database(state: State) -> None:
    sections = openstack.nova_sections(state)
    assert "database" in sections
    openstack._compute(state, state.plan.hosts[0])
    file = state.etc("nova-compute", state.plan.hosts[0].name, "nova.conf")
    text = file.read_text()
    assert "[database]" not in text and "[api_database]" not in text


def test_every_fault_is_listed_with_what_it_takes() -> None:
    for name, fault in faults.FAULTS.items():
        assert fault.name == name
        assert fault.text
    for name, mended in faults.MENDS.items():
        assert name not in faults.FAULTS
        assert faults.FAULTS[mended].mend is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense",), "no fault named 'nonsense'"),
        (("host-crash",), "use: fault host-crash HOST"),
        (("inter-dc-cut", "dc1"), "use: fault inter-dc-cut"),
        (("link-cut", "dc1-r1-h1", "x"), "has no link 'x'; it has mgmt"),
        (("rack-cut", "dc1", "r9", "mgmt"), "no uplink dc1 r9 mgmt"),
        (("engine-kill", "dc9"), "no engine in 'dc9'"),
    ],
)
def test_wrong_faults_are_refused_and_leave_nothing(
    state: State, arguments: tuple[str, ...], words: str
) -> None:
    with pytest.raises(faults.FaultError, match=words):
        faults.make(state, *arguments)
    assert faults.active(state) == []


def test_a_fault_of_an_unknown_host_is_refused(state: State) -> None:
    with pytest.raises(PlanError, match="no host named 'dc9'"):
        faults.make(state, "bmc-dead", "dc9")
    assert faults.active(state) == []


def test_cables_cannot_be_cut_where_there_are_none(
    tmp_path: pathlib.Path,
) -> None:
    state = State.create(tmp_path, LabPlan(loopback=True))
    for arguments in (
        ("link-cut", "dc1-r1-h1", "mgmt"),
        ("rack-cut", "dc1", "r1", "mgmt"),
        ("inter-dc-cut",),
    ):
        with pytest.raises(faults.FaultError, match="loopback mode"):
            faults.make(state, *arguments)
        assert arguments[0] in faults.missing(state)
    assert faults.active(state) == []


def test_a_fault_that_lasts_is_written_down_and_mended(
    state: State,
) -> None:
    faults.make(state, "bmc-lying", "dc1-r1-h1")
    faults.make(state, "nova-api-500", "on")
    assert faults.active(state) == ["bmc-lying dc1-r1-h1", "nova-api-500"]
    faults.make(state, "bmc-ok", "dc1-r1-h1")
    assert faults.active(state) == ["nova-api-500"]
    faults.make(state, "nova-api-500", "off")
    assert faults.active(state) == []


def test_a_host_has_power_until_it_is_taken(state: State) -> None:
    assert hosts.powered(state, "dc1-r1-h1")
    state.run("power", "dc1-r1-h1.off").touch()
    assert not hosts.powered(State.load(state.dir), "dc1-r1-h1")


def test_the_plan_survives_as_json(state: State) -> None:
    written = json.loads(state.run("plan.json").read_text())
    assert written == {
        "hosts_per_rack": 2,
        "loopback": False,
        "prefix": "aalab-",
    }
