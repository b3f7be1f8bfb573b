# SPDX-License-Identifier: Apache-2.0
"""Errors of the API, and the one JSON shape in which all of them leave."""

from collections.abc import Mapping
import http
import json
from typing import Any

from oslo_log import log
from oslo_middleware import request_id

LOG = log.getLogger(__name__)

#: How long a client should wait before it asks again, in seconds.
RETRY_AFTER_S = 5

#: The most of a caller's own value that an error text repeats.
ECHO_LIMIT = 80


class APIError(Exception):
    """Something that the caller is told.

    :param message: what happened, where, and what can be done
    :param headers: headers of the answer
    :param extra: further members of the error object
    """

    status = http.HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(
        self,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


class BadRequest(APIError):
    """The request is wrong; nothing was stored."""

    status = http.HTTPStatus.BAD_REQUEST


class Forbidden(APIError):
    """The caller is known and may not do this."""

    status = http.HTTPStatus.FORBIDDEN


class NotFound(APIError):
    """The thing that the request names does not exist."""

    status = http.HTTPStatus.NOT_FOUND


class NotAcceptable(APIError):
    """The microversion is not one that this service speaks."""

    status = http.HTTPStatus.NOT_ACCEPTABLE


class Conflict(APIError):
    """The thing is not in a state that allows this."""

    status = http.HTTPStatus.CONFLICT


class UnsupportedMediaType(APIError):
    """The body is not declared as JSON."""

    status = http.HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Unavailable(APIError):
    """Something that the API needs does not answer; try again later."""

    status = http.HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"Retry-After": str(RETRY_AFTER_S)})


def body(
    status: int,
    message: str,
    environ: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the body of an error.

    :param status: the HTTP status
    :param message: for the reader
    :param environ: of the request, for its id
    :param extra: further members
    """
    return {
        "error": {
            "code": status,
            "title": http.HTTPStatus(status).phrase,
            "message": message,
            "request_id": environ.get(request_id.ENV_REQUEST_ID) or "",
            **(extra or {}),
        }
    }


def encoded(content: Mapping[str, Any]) -> bytes:
    """Return ``content`` as JSON bytes that any client can read."""
    return json.dumps(content).encode("ascii")


def echo(value: object) -> str:
    """Return a caller's value for an error text, cut to a decent length."""
    text = json.dumps(value, default=str)
    if len(text) > ECHO_LIMIT:
        return text[:ECHO_LIMIT] + "…"
    return text
