# SPDX-License-Identifier: Apache-2.0
"""The API under the servers that operators use."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys

from keystoneauth1 import adapter
from keystoneauth1 import session
from keystoneauth1 import token_endpoint
import pytest
import requests

from aacloud.api import versions
from aacloud.client import v1
from tests import ports
from tests.functional.api import shell
from tests.functional.api.shell import Server
from tests.unit.api.stage import Stage

BIN = pathlib.Path(sys.executable).parent


def test_discovery(server: Server) -> None:
    """What any client built on keystoneauth finds out."""
    auth = token_endpoint.Token(server.url, "admin")
    found = adapter.Adapter(
        session.Session(auth=auth),
        service_type="aacloud",
        min_version="1",
        max_version="latest",
    ).get_endpoint_data()
    assert found is not None
    assert found.api_version == (1, 0)
    assert found.min_microversion == (1, 0)
    assert found.max_microversion == versions.MAX_VERSION
    assert found.url == f"{server.url}/v1/"


def test_library(server: Server, stage: Stage) -> None:
    """The client as a program uses it."""
    auth = token_endpoint.Token(server.url, "admin")
    client = v1.Client(session.Session(auth=auth))
    assert len(client.hosts()) == 8
    incident = stage.add_incident()
    assert client.incidents(is_open=True)[0]["id"] == incident.id
    for number in range(150):
        stage.journal.note(incident, f"note {number}")
    events = client.events(incident.id)
    assert [event["text"] for event in events[1:]] == [
        f"note {number}" for number in range(150)
    ]


@pytest.fixture
def config(stage: Stage, tmp_path: pathlib.Path) -> pathlib.Path:
    """A configuration file for a process of its own."""
    path = tmp_path / "aacloud.conf"
    path.write_text(
        "[DEFAULT]\nuse_stderr = true\n"
        f"[database]\nconnection = {stage.url}\n"
        "[keystone_authtoken]\n"
        "www_authenticate_uri = http://127.0.0.1:1\nauth_type = none\n"
        "[aacloud_api]\nbind_host = 127.0.0.1\n"
        f"bind_port = {ports.free_port()}\n"
    )
    return path


@pytest.mark.parametrize("program", ["gunicorn", "aacloud-api"])
def test_servers(
    program: str, config: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    port = config.read_text().rsplit("= ", 1)[1].strip()
    commands = {
        "gunicorn": [
            str(BIN / "gunicorn"),
            "--bind",
            f"127.0.0.1:{port}",
            "--workers",
            "2",
            "--threads",
            "2",
            "aacloud.wsgi.api:application",
        ],
        "aacloud-api": [
            str(BIN / "aacloud-api"),
            "--config-file",
            str(config),
        ],
    }
    log = tmp_path / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            commands[program],
            env={**os.environ, "OS_AACLOUD_CONFIG_FILES": str(config)},
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
        )
    url = f"http://127.0.0.1:{port}"

    def answers() -> requests.Response | None:
        assert process.poll() is None, log.read_text()
        try:
            found = requests.get(f"{url}/healthcheck", timeout=30)
        except requests.RequestException:
            return None
        return found if found.status_code == 200 else None

    try:
        assert shell.eventually(answers, f"{url} is healthy").text == "OK"
        root = requests.get(url, timeout=30)
        assert root.json()["versions"][0]["version"] == "1.1"
        refused = requests.get(f"{url}/v1/hosts", timeout=30)
        assert refused.status_code == 401
        assert refused.json()["error"]["request_id"].startswith("req-")
        metrics = requests.get(f"{url}/metrics", timeout=30)
        assert "aacloud_api_requests_total" in metrics.text
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, log.read_text()
