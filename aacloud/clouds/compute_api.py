# SPDX-License-Identifier: Apache-2.0
"""Requests to Nova: a client for each microversion, pages, request ids."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import threading
import time
import typing
from typing import Any

from keystoneauth1 import adapter
from keystoneauth1 import session as ks_session
import novaclient
from novaclient import api_versions
from novaclient import client as nova_client

from aacloud.clouds import errors
from aacloud.clouds import heartbeats
from aacloud.clouds import http
from aacloud.clouds import views

V_PLAIN = "2.1"


class Shared:
    """What all bound copies of a cloud know together."""

    def __init__(self) -> None:
        self.highest: str | None = None
        self.heartbeats = heartbeats.Heartbeats()


class ComputeApi:
    """Nova's REST API, over novaclient's session client. Thread-safe."""

    def __init__(
        self,
        session: ks_session.Session,
        region: str | None = None,
        interface: Any = None,
        *,
        request_id: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        shared: Shared | None = None,
    ) -> None:
        self._session = session
        self._region = region
        self._interface = interface
        self._request_id = request_id
        self.clock = clock
        self.shared = shared or Shared()
        self._lock = threading.Lock()
        self._clients: dict[str, http.Client] = {}

    def bound(self, request_id: str) -> ComputeApi:
        """Return the same API with this global request id on each call."""
        return ComputeApi(
            self._session,
            self._region,
            self._interface,
            request_id=request_id,
            clock=self.clock,
            shared=self.shared,
        )

    def act(
        self, uuid: str, version: str, body: Mapping[str, object], what: str
    ) -> str:
        """Order an action of a server; return the request's id."""
        response, _ = self.exchange(
            version, "POST", f"/servers/{uuid}/action", what, body
        )
        return str(
            response.headers.get("x-openstack-request-id")
            or response.headers.get("x-compute-request-id")
            or "accepted"
        )

    def read(
        self,
        version: str,
        path: str,
        key: str,
        what: str,
        query: Mapping[str, object] | None = None,
    ) -> Any:
        """GET and return what stands under ``key``."""
        return http.read(self._client(version), path, key, what, query)

    def exchange(
        self, version: str, method: str, path: str, what: str, body: object
    ) -> tuple[Any, object]:
        """Make a request with a body; return response and answer."""
        return http.exchange(
            self._client(version), method, path, what, body=body
        )

    def pages(
        self,
        version: str,
        path: str,
        key: str,
        what: str,
        query: Mapping[str, object],
        marker: str,
    ) -> Iterator[views.Json]:
        """Yield the items of all pages of a list."""
        page_query = dict(query)
        client = self._client(version)
        while True:
            try:
                _, answer = http.exchange(
                    client, "GET", path, what, query=page_query
                )
            except errors.CloudRefused as error:
                if "marker" not in page_query:
                    raise
                # What the page began after is gone: the list is torn.
                raise errors.CloudUnknown(str(error)) from error
            body = mapping(answer)
            page = body.get(key)
            if not isinstance(page, list):
                raise errors.CloudUnknown(
                    f"{what}: the answer is not the JSON that was expected"
                    f" (no list {key!r} in it)"
                )
            yield from page
            if not page or not any(
                link.get("rel") == "next"
                for link in body.get(f"{key}_links", ())
            ):
                return
            page_query["marker"] = page[-1][marker]

    def _client(self, version: str) -> http.Client:
        with self._lock:
            client = self._clients.get(version)
            if client is None:
                client = self._clients[version] = self._made(version)
            return client

    def _made(self, version: str) -> http.Client:
        options = {
            "service_type": "compute",
            "interface": self._interface,
            "region_name": self._region,
            "global_request_id": self._request_id,
        }
        wanted = api_versions.APIVersion(version)
        if wanted > novaclient.API_MAX_VERSION:
            # novaclient refuses what is younger than itself; Nova need not.
            return typing.cast(
                http.Client,
                adapter.LegacyJsonAdapter(
                    self._session, default_microversion=version, **options
                ),
            )
        return typing.cast(
            http.Client,
            nova_client.SessionClient(
                session=self._session, api_version=wanted, **options
            ),
        )

    def capped(self, wanted: str) -> str:
        """Return the wanted microversion, or Nova's highest if it is lower."""
        highest = self.shared.highest
        if highest is None:
            highest = self.shared.highest = self._highest()
        if api_versions.APIVersion(highest) < api_versions.APIVersion(wanted):
            return highest
        return wanted

    def _highest(self) -> str:
        what = "ask Nova for its highest microversion"
        client = self._client(V_PLAIN)
        # An endpoint of Nova may still end with the project.
        try:
            document = http.read(client, "/", "version", what)
        except errors.CloudNotFound:
            endpoint = http.endpoint(client, what).rstrip("/")
            document = http.read(
                client, endpoint.rpartition("/")[0] + "/", "version", what
            )
        return views.parsed(
            what, lambda one: str(one["version"]), document
        )


def mapping(answer: object) -> views.Json:
    """Return the answer if it is a JSON object, else an empty one."""
    return answer if isinstance(answer, Mapping) else {}
