# SPDX-License-Identifier: Apache-2.0
"""One exchange with an OpenStack service, and what is known afterwards.

keystoneauth1 and novaclient raise dozens of classes; here they become the
three of ``clouds/errors.py``. Nothing is retried at this level: whether a
request may be sent again is not HTTP's to decide.
"""

from __future__ import annotations

from collections.abc import Mapping
import typing
from typing import Any
from urllib import parse

from keystoneauth1 import exceptions as ks_exceptions
import requests
from urllib3 import exceptions as urllib3_exceptions

from aacloud.clouds import errors

#: The connection was never made: nothing can have been sent on it.
_NEVER_CONNECTED = (
    requests.exceptions.ConnectTimeout,
    urllib3_exceptions.ConnectTimeoutError,
    urllib3_exceptions.NewConnectionError,
)


class Client(typing.Protocol):
    """novaclient's SessionClient, or keystoneauth1's LegacyJsonAdapter."""

    def request(
        self, url: str, method: str, **kwargs: Any
    ) -> tuple[requests.Response, object]:
        """Make the request; return the response and the parsed body."""


def exchange(
    client: Client,
    method: str,
    path: str,
    what: str,
    *,
    query: Mapping[str, object] | None = None,
    body: object | None = None,
) -> tuple[requests.Response, object]:
    """Make one request; return the response and its parsed body.

    :param what: what is being done, for the error texts
    :param query: values are turned into text; None leaves a key out
    :raises errors.CloudError: see there
    """
    if query:
        pairs = {k: v for k, v in query.items() if v is not None}
        path = f"{path}?{parse.urlencode(pairs)}"
    options: dict[str, Any] = {"connect_retries": 0, "status_code_retries": 0}
    if body is not None:
        options["body"] = body
    try:
        response, answer = client.request(
            path, method, raise_exc=False, **options
        )
    except (
        ks_exceptions.ClientException,
        requests.exceptions.RequestException,
        OSError,
    ) as error:
        raise errors.CloudUnknown(
            f"{what}: {_short(error)}", sent=_may_be_sent(error)
        ) from error
    status = response.status_code
    if status < 300:
        return response, answer
    said = _message(answer) or response.reason or "no reason given"
    request_id = response.headers.get("x-openstack-request-id")
    where = f" (HTTP {status}{f', {request_id}' if request_id else ''})"
    if status == 404:
        raise errors.CloudNotFound(f"{what}: {said}{where}", answer)
    if 400 <= status < 500:
        raise errors.CloudRefused(status, said, f"{what}: {said}{where}")
    raise errors.CloudUnknown(f"{what}: {said}{where}")


def endpoint(client: Any, what: str) -> str:
    """Return the service's endpoint from the catalog."""
    try:
        return str(client.get_endpoint())
    except ks_exceptions.ClientException as error:
        raise errors.CloudUnknown(
            f"{what}: {_short(error)}", sent=False
        ) from error


def read(
    client: Client,
    path: str,
    key: str,
    what: str,
    query: Mapping[str, object] | None = None,
) -> Any:
    """GET ``path`` and return what stands under ``key`` in the answer."""
    _, answer = exchange(client, "GET", path, what, query=query)
    if not isinstance(answer, Mapping) or key not in answer:
        raise errors.CloudUnknown(
            f"{what}: the answer is not the JSON that was expected"
            f" (no {key!r} in it)"
        )
    return answer[key]


def _may_be_sent(error: BaseException) -> bool:
    """Whether the request may have reached the service."""
    if isinstance(
        error, ks_exceptions.HttpError | ks_exceptions.AuthPluginException
    ):
        # The service's own statuses are not raised: this was Keystone, asked
        # for a token or the catalog before the request.
        return False
    for link in _chain(error):
        if isinstance(link, _NEVER_CONNECTED):
            return False
        reason = getattr(link, "reason", None)
        if isinstance(reason, _NEVER_CONNECTED):
            return False
    return True


def _chain(error: BaseException) -> typing.Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _short(error: BaseException) -> str:
    for link in _chain(error):
        if isinstance(link, OSError) and link.strerror:
            return f"{_place(error)}{link.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _place(error: BaseException) -> str:
    for link in _chain(error):
        request = getattr(link, "request", None)
        if request is not None and getattr(request, "url", None):
            parts = parse.urlsplit(request.url)
            return f"{parts.scheme}://{parts.netloc}: "
    return ""


def _message(answer: object) -> str:
    """Find the text in Nova's, Placement's and Keystone's error bodies."""
    if not isinstance(answer, Mapping):
        return ""
    found = answer.get("errors")
    if isinstance(found, list) and found and isinstance(found[0], Mapping):
        return " ".join(str(found[0].get("detail", "")).split())
    for value in (answer, *answer.values()):
        if isinstance(value, Mapping) and isinstance(
            value.get("message"), str
        ):
            return " ".join(str(value["message"]).split())
    return ""
