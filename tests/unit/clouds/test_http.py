# SPDX-License-Identifier: Apache-2.0
"""What is known after an exchange that went wrong, over real sockets."""

import contextlib
import json
import socket
import struct
import threading

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ks_exceptions
from keystoneauth1 import noauth
from keystoneauth1 import plugin
from keystoneauth1 import session as ks_session
import pytest

from aacloud.clouds import errors
from aacloud.clouds import http
from aacloud.clouds import keystone


def client(port, auth=None, timeout=0.5):
    session = ks_session.Session(
        auth=auth or noauth.NoAuth(endpoint=f"http://127.0.0.1:{port}"),
        timeout=timeout,
        session=keystone.pooled(),
    )
    return adapter.LegacyJsonAdapter(session, service_type="compute")


@contextlib.contextmanager
def server(behave):
    """Accept connections on loopback and let ``behave`` have each."""
    seen = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    seen.append(connection.recv(65536))
                    behave(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1], seen
        # A closed listener does not wake up accept(), a shut one does.
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def answering(status, body, headers=""):
    text = body if isinstance(body, str) else json.dumps(body)

    def behave(connection):
        with connection:
            connection.sendall(
                f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
                f"{headers}Content-Length: {len(text)}\r\n"
                f"Connection: close\r\n\r\n{text}".encode()
            )

    return behave


def reset(connection):
    """End the connection with RST."""
    connection.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    connection.close()


def order(port, **options):
    return http.exchange(
        client(port, **options), "POST", "/servers", "move server s1",
        body={"x": 1},
    )


def failing(kind, behave, **options):
    """Order something of such a server; return the error and what it saw."""
    with server(behave) as (port, seen), pytest.raises(kind) as caught:
        order(port, **options)
    return caught.value, seen


def test_nobody_listens_so_nothing_was_sent():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(errors.CloudUnknown) as unknown:
        order(port)
    assert not unknown.value.sent
    assert "move server s1" in str(unknown.value)
    assert "Connection refused" in str(unknown.value)


def test_a_broken_connection_may_have_been_obeyed():
    error, seen = failing(errors.CloudUnknown, reset)
    assert error.sent
    # It went out once: keystoneauth1 and requests retried nothing.
    assert len(seen) == 1


def test_no_answer_in_time_may_have_been_obeyed():
    held = []
    error, seen = failing(errors.CloudUnknown, held.append)
    for connection in held:
        connection.close()
    assert error.sent
    assert len(seen) == 1


def test_half_an_answer_may_have_been_obeyed():
    def behave(connection):
        with connection:
            connection.sendall(
                b"HTTP/1.1 202 Accepted\r\nContent-Length: 900\r\n\r\n{"
            )

    error, _ = failing(errors.CloudUnknown, behave)
    assert error.sent


@pytest.mark.parametrize(
    "status", ["500 Internal Server Error", "502 Bad Gateway", "503 Busy"]
)
def test_5xx_is_unknown(status):
    behave = answering(status, "<html>sorry</html>")
    error, seen = failing(errors.CloudUnknown, behave)
    assert error.sent
    assert len(seen) == 1


def test_4xx_is_an_answer():
    body = {"badRequest": {"code": 400, "message": "h1 is\n in use"}}
    headers = "x-openstack-request-id: req-7\r\n"
    behave = answering("400 Bad Request", body, headers)
    error, _ = failing(errors.CloudRefused, behave)
    assert (error.code, error.message) == (400, "h1 is in use")
    assert str(error) == "move server s1: h1 is in use (HTTP 400, req-7)"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"errors": [{"detail": "no such provider"}]}, "no such provider"),
        ({"message": "old style"}, "old style"),
        ({}, "Conflict"),
        ("not json", "Conflict"),
    ],
)
def test_the_services_words_are_found(body, said):
    error, _ = failing(errors.CloudRefused, answering("409 Conflict", body))
    assert error.message == said


def test_404_is_not_found():
    body = {"itemNotFound": {"code": 404, "message": "no such server"}}
    error, _ = failing(errors.CloudNotFound, answering("404 Not Found", body))
    assert "no such server" in str(error)


@pytest.mark.parametrize(
    "body", ["", "{", "[]", {"servers": []}], ids=str
)
def test_an_answer_without_what_was_asked_for_is_unknown(body):
    with (
        server(answering("200 OK", body)) as (port, _),
        pytest.raises(errors.CloudUnknown, match="no 'server' in it"),
    ):
        http.read(client(port), "/servers/s1", "server", "show server")


class Keystone(plugin.BaseAuthPlugin):
    """A Keystone that does not give tokens."""

    def __init__(self, error):
        super().__init__()
        self._error = error

    def get_token(self, session, **kwargs):
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        ks_exceptions.InternalServerError("Keystone is sick"),
        ks_exceptions.Unauthorized("wrong password"),
        ks_exceptions.MissingAuthPlugin("no plug-in"),
    ],
)
def test_without_a_token_nothing_was_sent(error):
    with pytest.raises(errors.CloudUnknown) as unknown:
        order(1, auth=Keystone(error))
    assert not unknown.value.sent


def test_a_query_is_encoded_and_none_left_out():
    with server(answering("200 OK", {"servers": []})) as (port, seen):
        http.read(
            client(port), "/servers", "servers", "list",
            {"host": "a b&c", "marker": None, "limit": 2},
        )
    assert b"GET /servers?host=a+b%26c&limit=2 HTTP" in seen[0]
