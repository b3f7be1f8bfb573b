# SPDX-License-Identifier: Apache-2.0
"""Version 1 of the API, a method an operation.

The methods return the JSON objects of the API as they are; the reference of
the API tells their keys. Each raises :class:`aacloud.client.errors.NoAnswer`
when the API cannot be reached and :class:`aacloud.client.errors.APIError`
when it refuses.
"""

from __future__ import annotations

from collections.abc import Callable
import copy
import logging
import threading
from typing import Any
import urllib.parse

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ksa_exceptions
from keystoneauth1 import session as ksa_session
import requests

from aacloud.client import errors
from aacloud.client import groups as groups_client

SERVICE_TYPE = "aacloud"
MICROVERSION = "1.0"

#: Seconds for a whole request; the API itself gives up on its database
#: after less.
TIMEOUT_S = 30

#: How often a request that only reads is tried again.
RETRIES = 3

#: The break before the first of them, in seconds; each next one doubles.
FIRST_PAUSE_S = 0.5

LOG = logging.getLogger(__name__)

JSON = dict[str, Any]


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


class Client:
    """Speaks with one aacloud API.

    :param session: of keystoneauth1, with the auth plugin
    :param interface: public, internal or admin
    :param region_name: the region whose API is meant
    :param endpoint_override: the URL of the API instead of the one in
        Keystone's catalog, with or without ``/v1`` at its end
    :param auth: another auth plugin than that of the session
    :param retries: how often a request that only reads is tried again when
        the API does not answer or answers 503; others never are
    :param wait: waits so many seconds
    """

    def __init__(
        self,
        session: ksa_session.Session,
        *,
        interface: str | None = None,
        region_name: str | None = None,
        endpoint_override: str | None = None,
        auth: Any = None,
        retries: int = RETRIES,
        wait: Callable[[float], None] = _wait,
    ) -> None:
        self._adapter = adapter.Adapter(
            session=session,
            auth=auth,
            service_type=SERVICE_TYPE,
            interface=interface or "public",
            region_name=region_name,
            endpoint_override=endpoint_override,
            default_microversion=MICROVERSION,
            connect_retries=0,
            client_name="aacloud",
        )
        self._retries = retries
        self._wait = wait
        self._base: str | None = None

    def impatient(self) -> Client:
        """Return the same client, but one that tries each request once."""
        other = copy.copy(self)
        other._retries = 0
        return other

    # What there is

    def hosts(self, **filters: str | None) -> list[JSON]:
        """Return the hosts.

        :param filters: ``dc``, ``rack`` or ``state``
        """
        found: list[JSON] = self._get("/hosts", **filters)["hosts"]
        return found

    def host(self, name: str) -> JSON:
        """Return one host."""
        found: JSON = self._get(f"/hosts/{_segment(name)}")["host"]
        return found

    def topology(self) -> JSON:
        """Return the data centres with their racks and hosts."""
        found: JSON = self._get("/topology")["topology"]
        return found

    # Incidents

    def incidents(
        self,
        *,
        host: str | None = None,
        state: str | None = None,
        is_open: bool | None = None,
        limit: int | None = None,
        marker: str | None = None,
    ) -> list[JSON]:
        """Return a page of incidents, the newest first.

        :param host: only those of this host
        :param state: only those in this state
        :param is_open: only those that are open, or closed
        :param limit: not more than this
        :param marker: those after the incident with this id
        """
        found: list[JSON] = self._get(
            "/incidents",
            host=host,
            state=state,
            open=is_open,
            limit=limit,
            marker=marker,
        )["incidents"]
        return found

    def incident(self, incident_id: str) -> JSON:
        """Return one incident."""
        path = f"/incidents/{_segment(incident_id)}"
        found: JSON = self._get(path)["incident"]
        return found

    def servers(self, incident_id: str) -> list[JSON]:
        """Return the servers of an incident, the first wave first."""
        path = f"/incidents/{_segment(incident_id)}/servers"
        found: list[JSON] = self._get(path)["servers"]
        return found

    def events(self, incident_id: str, since: int = 0) -> list[JSON]:
        """Return the events of an incident after the one numbered ``since``.

        Asks for one page after the other until there is no more.
        """
        path = f"/incidents/{_segment(incident_id)}/events"
        found: list[JSON] = []
        while True:
            page: list[JSON] = self._get(path, since=since)["events"]
            if not page:
                return found
            found += page
            since = page[-1]["id"]

    def confirm_fenced(self, incident_id: str, reason: str) -> JSON:
        """Say that the host of an incident is powered off.

        :returns: the incident
        """
        return self._command(incident_id, "confirm-fenced", reason)

    def cancel(self, incident_id: str, reason: str) -> JSON:
        """Give an incident up: nothing more is moved away from its host.

        :returns: the incident
        """
        return self._command(incident_id, "cancel", reason)

    def _command(self, incident_id: str, command: str, reason: str) -> JSON:
        answer = self._request(
            "POST",
            f"/incidents/{_segment(incident_id)}/{command}",
            json={"reason": reason},
        )
        found: JSON = self._body(answer)["incident"]
        return found

    # Failover modes

    def modes(self) -> JSON:
        """Return ``modes``, what is set, and ``effective``, what follows."""
        return self._get("/failover/modes")

    def set_mode(
        self, level: str, name: str, mode: str, reason: str
    ) -> JSON:
        """Give a domain a mode.

        :param level: host, rack, dc or cloud
        :param name: of the domain; that of the whole cloud is "cloud"
        :param mode: armed, shadow or disarmed
        :returns: ``mode``, ``previous`` and ``effective``, the hosts inside
        """
        answer = self._request(
            "PUT",
            f"/failover/modes/{_segment(level)}/{_segment(name)}",
            json={"mode": mode, "reason": reason},
        )
        return self._body(answer)

    def reset_mode(self, level: str, name: str) -> None:
        """Let a domain inherit its mode again."""
        self._request(
            "DELETE",
            f"/failover/modes/{_segment(level)}/{_segment(name)}",
        )

    # Server groups

    @property
    def groups(self) -> groups_client.Groups:
        """HA server groups."""
        return groups_client.Groups(self._ask)

    @property
    def plans(self) -> groups_client.Plans:
        """Repair plans."""
        return groups_client.Plans(self._ask)

    # How it is asked

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: JSON | None = None,
        body: JSON | None = None,
    ) -> JSON:
        """Ask in the microversion of the server groups.

        :returns: the body, empty when there is none
        """
        arguments = {} if body is None else {"json": body}
        answer = self._request(
            method,
            path,
            params=_texts(query or {}),
            microversion=groups_client.MICROVERSION,
            **arguments,
        )
        return self._body(answer) if answer.content else {}

    def _get(self, path: str, **query: object) -> JSON:
        return self._body(self._request("GET", path, params=_texts(query)))

    def _request(
        self, method: str, path: str, **arguments: Any
    ) -> requests.Response:
        """Send a request, one that only reads again and again.

        :raises errors.ClientError: see the module
        """
        left = self._retries if method == "GET" else 0
        pause = FIRST_PAUSE_S
        while True:
            try:
                return self._send(method, path, **arguments)
            except (errors.NoAnswer, errors.Unavailable) as problem:
                if not left:
                    raise
                LOG.warning("%s; asking again in %.1f s", problem, pause)
            self._wait(pause)
            left -= 1
            pause *= 2

    def _send(
        self, method: str, path: str, **arguments: Any
    ) -> requests.Response:
        root = self._root()
        try:
            answer = self._adapter.request(
                root + path,
                method,
                raise_exc=False,
                timeout=TIMEOUT_S,
                headers={"Accept": "application/json"},
                **arguments,
            )
        except ksa_exceptions.ConnectionError as problem:
            cause = errors.root_cause(problem)
            text = f"no answer from the aacloud API at {root}: {cause}"
            arrived = not isinstance(cause, ConnectionRefusedError)
            if method != "GET" and arrived:
                text += "; it is not known whether the request arrived"
            raise errors.NoAnswer(text) from problem
        if answer.status_code >= requests.codes.bad_request:
            raise errors.of(answer)
        return answer

    def _root(self) -> str:
        """Return where version 1 is."""
        if self._base is None:
            endpoint = self._adapter.get_endpoint()
            if not endpoint:
                raise errors.ClientError(
                    f"there is no endpoint of the type '{SERVICE_TYPE}' in "
                    "Keystone's catalog for this region and interface; "
                    "register it with 'openstack endpoint create', or name "
                    "it with --os-endpoint"
                )
            base = endpoint.rstrip("/")
            self._base = base if base.endswith("/v1") else f"{base}/v1"
        return self._base

    @staticmethod
    def _body(answer: requests.Response) -> JSON:
        try:
            body = answer.json()
        except ValueError as problem:
            raise errors.NotOurs(
                f"{answer.url} does not answer in JSON: is it the endpoint "
                "of aacloud?"
            ) from problem
        if not isinstance(body, dict):
            raise errors.NotOurs(
                f"{answer.url} does not answer like the API of aacloud"
            )
        return body


def _texts(query: dict[str, object]) -> dict[str, object]:
    """Return what is given of a query, as it stands in a URL."""
    return {
        key: str(value).lower() if isinstance(value, bool) else value
        for key, value in query.items()
        if value is not None
    }


def _segment(name: str) -> str:
    """Return a name as one segment of a path."""
    return urllib.parse.quote(name, safe="")
