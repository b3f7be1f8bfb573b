# SPDX-License-Identifier: Apache-2.0
"""Stands between an engine and its database and cuts commits off."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

import sqlalchemy as sa

#: A packet of MySQL: three bytes of length, its number, COM_QUERY.
HEADER = 4
COM_QUERY = 3


def _is_commit(data: bytes) -> bool:
    return data[HEADER : HEADER + 1] == bytes([COM_QUERY]) and data[
        HEADER + 1 :
    ].upper().startswith(b"COMMIT")


class CuttingProxy:
    """Listens on loopback and forwards to the server of a URL.

    :ivar cuts: what becomes of the next commits, the first one first:
        "request" never reaches the server, "answer" is done by the server
        and only the answer is lost
    """

    def __init__(self, url: str) -> None:
        self._server = sa.make_url(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.cuts: list[str] = []
        self.seen: list[str] = []
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return self._server.set(
            host="127.0.0.1", port=self._listener.getsockname()[1], query={}
        ).render_as_string(hide_password=False)

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            server = self._connect()
            self._open += [client, server]
            for act in (self._requests, self._answers):
                threading.Thread(
                    target=act, args=(client, server), daemon=True
                ).start()

    def _connect(self) -> socket.socket:
        path: Any = self._server.query.get("unix_socket")
        if path:
            server = socket.socket(socket.AF_UNIX)
            server.connect(path)
            return server
        return socket.create_connection(
            (self._server.host or "127.0.0.1", self._server.port or 3306)
        )

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self.cuts and _is_commit(data):
                    how = self.cuts.pop(0)
                    self.seen.append(how)
                    if how == "request":
                        break
                    # The other thread passes nothing on any more.
                    client.shutdown(socket.SHUT_RDWR)
                    server.sendall(data)
                    continue
                server.sendall(data)
        self._end(client, server)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
        self._end(client, server)

    def _end(self, *pair: socket.socket) -> None:
        for one in pair:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
