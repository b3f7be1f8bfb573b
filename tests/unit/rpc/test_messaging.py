# SPDX-License-Identifier: Apache-2.0
import pathlib
import threading
from typing import Any

from oslo_config import cfg
from oslo_context import context as oslo_context
import pytest

from aacloud.conf import errors
from aacloud.rpc import messaging

WAIT = 20


def configured(path: pathlib.Path, text: str) -> cfg.ConfigOpts:
    path.write_text(text)
    conf = cfg.ConfigOpts()
    conf([], project="aacloud", default_config_files=[str(path)])
    return conf


def test_the_driver_reconnects_quickly_unless_told_otherwise(
    tmp_path: pathlib.Path,
) -> None:
    conf = configured(
        tmp_path / "a.conf",
        "[DEFAULT]\ntransport_url = rabbit://u:p@127.0.0.1:1//\n"
        "[oslo_messaging_rabbit]\nrabbit_interval_max = 7\n",
    )
    transport = messaging.init(conf)
    section = conf.oslo_messaging_rabbit
    assert section.rabbit_interval_max == 7
    for name, value in messaging.RABBIT_DEFAULTS.items():
        if name != "rabbit_interval_max":
            assert section[name] == value
    messaging.init(conf).cleanup()
    transport.cleanup()


@pytest.mark.parametrize("url", ["u:secret@host", "carrier-pigeon://"])
def test_a_wrong_url_is_refused_without_showing_it(
    tmp_path: pathlib.Path, url: str
) -> None:
    conf = configured(
        tmp_path / "a.conf", f"[DEFAULT]\ntransport_url = {url}\n"
    )
    for make in (messaging.init, messaging.init_notifications):
        with pytest.raises(errors.ConfigurationError) as caught:
            make(conf)
        assert "transport_url" in str(caught.value)
        assert "secret" not in str(caught.value)


def test_the_context_travels_without_the_token() -> None:
    serializer = messaging.ContextSerializer()
    sent = oslo_context.RequestContext(
        auth_token="secret", user_id="u", overwrite=False
    )
    plain = serializer.serialize_context(sent)
    assert "secret" not in str(plain)
    back = serializer.deserialize_context(plain)
    assert back.request_id == sent.request_id
    assert back.user_id == "u"
    assert back.auth_token is None


class Server:
    """Stands for an oslo.messaging server."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.done: list[str] = []

    def start(self, override_pool_size: int) -> None:
        if self.error:
            raise self.error
        self.done.append(f"start {override_pool_size}")

    def stop(self) -> None:
        self.done.append("stop")

    def wait(self) -> None:
        self.done.append("wait")


def test_a_server_that_cannot_listen_is_tried_again() -> None:
    good = Server()
    made: list[Any] = [Server(OSError("refused")), good]
    server = messaging.BackgroundServer("x", lambda: made.pop(0))
    server.start()
    assert server.wait_listening(WAIT)
    server.stop(WAIT)
    assert good.done == ["start 1", "stop", "wait"]
    assert not server.listening


def test_stopping_does_not_wait_for_a_bus_that_is_down(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reached, release = threading.Event(), threading.Event()

    def block() -> Server:
        reached.set()
        release.wait(WAIT)
        return Server()

    server = messaging.BackgroundServer("x", block)
    server.start()
    assert reached.wait(WAIT)
    server.stop(timeout=0.05)
    assert "left behind" in caplog.text
    release.set()
    server.stop(WAIT)


def test_a_server_that_was_not_started_can_be_stopped() -> None:
    messaging.BackgroundServer("x", Server).stop()
