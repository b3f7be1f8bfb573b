# SPDX-License-Identifier: Apache-2.0
"""aacloud-status upgrade check."""

import json
import pathlib

import pytest

from aacloud.cmd import manage
from aacloud.cmd import status
from aacloud.rpc import signing


@pytest.fixture
def config(tmp_path: pathlib.Path) -> str:
    """Return the path of a configuration that is ready to run."""
    keys = tmp_path / "keys"
    keys.write_text(f"one: {signing.generate_key()}\n")
    keys.chmod(0o600)
    (tmp_path / "fencing.yaml").write_text("hosts: {h1: {driver: noop}}\n")
    path = tmp_path / "aacloud.conf"
    path.write_text(
        f"""
[aacloud_failover]
key_file = {keys}
[aacloud_fencing]
inventory_file = {tmp_path}/fencing.yaml
[database]
connection = sqlite:///{tmp_path}/db
[aacloud_keystone]
auth_type = password
"""
    )
    assert manage.main(["--config-file", str(path), "db", "sync"]) == 0
    return str(path)


def checked(
    config: str, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, str]]:
    """Return the exit status, and the details of what is not well."""
    capsys.readouterr()
    code = status.main(
        ["--config-file", config, "upgrade", "check", "--json"]
    )
    document = json.loads(capsys.readouterr().out)
    return code, {
        check["check"]: check["details"]
        for check in document["checks"]
        if check["result"]
    }


def add(config: str, text: str) -> None:
    path = pathlib.Path(config)
    path.write_text(path.read_text() + text)


def test_ready(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(config, capsys) == (0, {})


def test_as_a_table(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.main(["--config-file", config, "upgrade", "check"]) == 0
    assert "Database tables" in capsys.readouterr().out


def test_no_tables(
    config: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "db").unlink()
    code, problems = checked(config, capsys)
    assert code == 2
    assert "aacloud-manage db sync" in problems["Database tables"]


def test_no_keys(
    config: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys").unlink()
    code, problems = checked(config, capsys)
    assert code == 2
    assert str(tmp_path / "keys") in problems["Probe keys"]


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("hosts: {h1: {driver: magic}}", 2, "magic"),
        ("hosts: {}", 1, "lists no host"),
    ],
)
def test_the_inventory(
    config: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    code: int,
    says: str,
) -> None:
    (tmp_path / "fencing.yaml").write_text(text)
    found, problems = checked(config, capsys)
    assert found == code
    assert says in problems["Fencing inventory"]


def test_options_that_contradict_each_other(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add(config, "timeout = 40\n")
    code, problems = checked(config, capsys)
    assert code == 2
    assert "request_grace" in problems["Options"]


def test_no_login(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = pathlib.Path(config)
    path.write_text(path.read_text().replace("auth_type = password", ""))
    code, problems = checked(config, capsys)
    assert code == 2
    assert "auth_type is not set" in problems["Login to the cloud"]


def test_a_directory_for_the_election(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add(config, "[aacloud_coordination]\nbackend_url = file:///tmp/x\n")
    code, problems = checked(config, capsys)
    assert code == 1
    assert "Use etcd" in problems["Leader election"]


def test_a_wrong_value(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add(config, "[aacloud_agent]\nprobe_port = none\n")
    capsys.readouterr()
    assert status.main(["--config-file", config, "upgrade", "check"]) == 2
    assert "[aacloud_agent] probe_port in " in capsys.readouterr().err


def only(config: str, *names: str) -> pathlib.Path:
    """Leave a node on which only these daemons have files."""
    place = pathlib.Path(config).parent
    (place / "keys").unlink()
    (place / "fencing.yaml").unlink()
    for name in names:
        (place / f"{name}.conf").touch()
    return place


def details(
    config: str, capsys: pytest.CaptureFixture[str]
) -> dict[str, str]:
    capsys.readouterr()
    status.main(["--config-file", config, "upgrade", "check", "--json"])
    document = json.loads(capsys.readouterr().out)
    return {
        check["check"]: check["details"] or "" for check in document["checks"]
    }


def test_a_node_of_the_group_engine(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    only(config, "aacloud-groups")
    assert checked(config, capsys) == (0, {})
    said = details(config, capsys)
    for name in ("Probe keys", "Fencing inventory"):
        assert said[name].startswith("Not looked at: it is for aacloud-fail")
        assert "only aacloud-groups is configured" in said[name]
    for name in ("Database tables", "Login to the cloud", "Leader election"):
        assert said[name] == ""


@pytest.mark.parametrize("others", [(), ("aacloud-groups",)])
def test_a_node_of_the_failover_engine_that_lacks_both_files(
    config: str, capsys: pytest.CaptureFixture[str], others: tuple[str, ...]
) -> None:
    only(config, "aacloud-failover", *others)
    code, problems = checked(config, capsys)
    assert code == 2
    assert problems.keys() == {"Probe keys", "Fencing inventory"}


def test_a_node_that_tells_nothing_is_looked_at_for_all(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    only(config)
    code, problems = checked(config, capsys)
    assert code == 2
    assert problems.keys() == {"Probe keys", "Fencing inventory"}


def test_keys_without_an_agent_are_for_the_failover_engine(
    config: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fencing.yaml").unlink()
    (tmp_path / "aacloud-groups.conf").touch()
    code, problems = checked(config, capsys)
    assert code == 2
    assert problems.keys() == {"Fencing inventory"}


def test_a_compute_host(
    config: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its agent has keys, and no database, login nor lead."""
    (tmp_path / "fencing.yaml").unlink()
    (tmp_path / "db").unlink()
    (tmp_path / "aacloud-agent.conf").touch()
    (tmp_path / "keys").rename(tmp_path / "keys of the agent")
    add(config, f"[aacloud_agent]\nkey_file = {tmp_path}/keys of the agent\n")
    assert checked(config, capsys) == (0, {})
    (tmp_path / "keys of the agent").unlink()
    code, problems = checked(config, capsys)
    assert code == 2
    assert problems.keys() == {"Probe keys"}
