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
