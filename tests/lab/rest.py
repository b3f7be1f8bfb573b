# SPDX-License-Identifier: Apache-2.0
"""A small REST client for the lab's cloud, on the standard library alone.

It connects from inside the namespace of a node, so the lab program itself
can ask the APIs although it runs outside.
"""

from __future__ import annotations

from collections.abc import Mapping
import http.client
import json
import threading
import time
from typing import Any
import urllib.parse

from tests.lab import network
from tests.lab.plan import PORTS
from tests.lab.state import State

TIMEOUT = 30.0


class RestError(RuntimeError):
    """An API answered with an error, or not at all.

    :ivar status: HTTP status; 0 when there was no answer
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def request(
    namespace: str | None,
    method: str,
    url: str,
    *,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> tuple[int, Any, Mapping[str, str]]:
    """One request: (status, decoded body, headers), whatever the status.

    :raises RestError: with status 0, when there was no answer.
    """
    parts = urllib.parse.urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    send = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        send.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.sock = network.dial(namespace, (host, port), timeout)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path or "/", body, send)
        answer = connection.getresponse()
        raw = answer.read()
    except (OSError, http.client.HTTPException) as exc:
        raise RestError(0, f"{method} {url}: {exc!r}") from exc
    finally:
        connection.close()
    try:
        decoded = json.loads(raw) if raw else None
    except ValueError:
        decoded = raw.decode(errors="replace")
    return answer.status, decoded, dict(answer.getheaders())


class Cloud:
    """The admin's view of the lab's cloud.

    :param node: the node whose namespace the requests come from
    """

    PATHS = {
        "keystone": "/v3",
        "nova-api": "/v2.1",
        "glance": "/v2",
        "neutron": "/v2.0",
        "placement": "",
        "aacloud-api": "/v1",
    }
    HEADERS = {
        "nova-api": {"OpenStack-API-Version": "compute 2.96"},
        "placement": {"OpenStack-API-Version": "placement 1.39"},
    }

    def __init__(self, state: State, node: str = "dc1-ctl") -> None:
        self.state = state
        self.namespace = state.namespace(node)
        self._address = state.plan.node("dc1-ctl").mgmt
        self._token: str | None = None
        self._expires = 0.0
        self._lock = threading.Lock()

    def url(self, service: str) -> str:
        return f"http://{self._address}:{PORTS[service]}"

    def token(self) -> str:
        """An admin token, kept for ten minutes."""
        with self._lock:
            if self._token is None or time.monotonic() > self._expires:
                domain = {"name": "Default"}
                status, body, headers = request(
                    self.namespace,
                    "POST",
                    self.url("keystone") + "/v3/auth/tokens",
                    body={
                        "auth": {
                            "identity": {
                                "methods": ["password"],
                                "password": {
                                    "user": {
                                        "name": "admin",
                                        "domain": domain,
                                        "password": self.state.secret,
                                    }
                                },
                            },
                            "scope": {
                                "project": {
                                    "name": "admin",
                                    "domain": domain,
                                }
                            },
                        }
                    },
                )
                if status != 201:
                    raise RestError(status, f"no admin token: {body}")
                self._token = {k.lower(): v for k, v in headers.items()}[
                    "x-subject-token"
                ]
                self._expires = time.monotonic() + 600
            return self._token

    def check_token(self) -> None:
        """Have Keystone look at the admin's own token."""
        self.call("GET", "keystone", "/auth/tokens",
                  headers={"X-Subject-Token": self.token()})  # fmt: skip

    def call(
        self,
        method: str,
        service: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> Any:
        """The decoded answer to an authenticated request.

        :param path: below the version, for instance ``/servers/detail``
        :raises RestError: no answer, or a status of 400 and above.
        """
        status, decoded, _ = request(
            self.namespace,
            method,
            self.url(service) + self.PATHS[service] + path,
            body=body,
            headers={
                "X-Auth-Token": self.token(),
                "Accept": "application/json",
                **self.HEADERS.get(service, {}),
                **(headers or {}),
            },
            timeout=timeout,
        )
        if status >= 400:
            raise RestError(
                status, f"{method} {service} {path}: {status} {decoded}"
            )
        return decoded

    def get(self, service: str, path: str, **kwargs: Any) -> Any:
        return self.call("GET", service, path, **kwargs)

    def post(
        self, service: str, path: str, body: object = None, **kwargs: Any
    ) -> Any:
        return self.call("POST", service, path, body, **kwargs)

    def put(
        self, service: str, path: str, body: object = None, **kwargs: Any
    ) -> Any:
        return self.call("PUT", service, path, body, **kwargs)

    def delete(self, service: str, path: str, **kwargs: Any) -> Any:
        return self.call("DELETE", service, path, **kwargs)
