# SPDX-License-Identifier: Apache-2.0
"""/healthcheck and /metrics, over a real socket."""

from collections.abc import Iterator
import http.client

from oslo_config import cfg
import pytest

from aacloud import conf as aacloud_conf
from aacloud.telemetry import health
from aacloud.telemetry import web


@pytest.fixture
def conf() -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    aacloud_conf.register_opts(conf)
    aacloud_conf.parse_args(
        [], "aacloud-test", default_config_files=[], conf=conf
    )
    return conf


@pytest.fixture
def server(conf: cfg.ConfigOpts) -> Iterator[web.WebServer]:
    server = web.WebServer("127.0.0.1", 0, web.Monitoring(conf))
    server.start()
    yield server
    server.stop()
    health.set_source(None)


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_healthy(server: web.WebServer) -> None:
    health.set_source(lambda: {"lease": (True, "held")})
    assert get(server.port, "/healthcheck") == (200, "OK")


def test_not_healthy(server: web.WebServer) -> None:
    health.set_source(lambda: {"lease": (False, "lost 3 s ago")})
    assert get(server.port, "/healthcheck") == (503, "lease: lost 3 s ago")


def test_metrics(server: web.WebServer) -> None:
    status, text = get(server.port, "/metrics")
    assert status == 200
    assert "# TYPE python_info gauge" in text


def test_another_path(server: web.WebServer) -> None:
    status, text = get(server.port, "/")
    assert status == 404
    assert "/healthcheck" in text


def test_a_port_that_is_taken(
    server: web.WebServer, conf: cfg.ConfigOpts
) -> None:
    second = web.WebServer("127.0.0.1", server.port, web.Monitoring(conf))
    with pytest.raises(OSError, match="already in use"):
        second.start()


def test_stop_frees_the_port(conf: cfg.ConfigOpts) -> None:
    first = web.WebServer("127.0.0.1", 0, web.Monitoring(conf))
    first.start()
    port = first.port
    first.stop()
    second = web.WebServer("127.0.0.1", port, web.Monitoring(conf))
    second.start()
    try:
        assert get(port, "/healthcheck")[0] == 200
    finally:
        second.stop()


def test_stop_twice(conf: cfg.ConfigOpts) -> None:
    server = web.WebServer("127.0.0.1", 0, web.Monitoring(conf))
    server.start()
    server.stop()
    server.stop()
