# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between the client and the API."""

from __future__ import annotations

from typing import Any

import requests


class ClientError(Exception):
    """The base of all errors that the client raises on purpose."""


class NoAnswer(ClientError):
    """The API could not be reached, or the connection was lost.

    Of a request that changes something it is not known whether it arrived.
    """


class NotOurs(ClientError):
    """Something answered that does not speak this API."""


class APIError(ClientError):
    """The API answered with an error.

    :ivar status: the HTTP status
    :ivar title: the status in words
    :ivar message: what happened, and what can be done
    :ivar request_id: under which the log of the service tells more
    """

    def __init__(
        self, status: int, title: str, message: str, request_id: str
    ) -> None:
        self.status = status
        self.title = title
        self.message = message
        self.request_id = request_id
        where = f"HTTP {status}"
        if request_id:
            where += f", {request_id}"
        super().__init__(f"{message} ({where})")


class BadRequest(APIError):
    """400: the request is wrong."""


class Unauthorized(APIError):
    """401: there is no valid token."""


class Forbidden(APIError):
    """403: a policy refuses it."""


class NotFound(APIError):
    """404: the thing does not exist."""


class NotAcceptable(APIError):
    """406: the service does not speak this microversion."""


class Conflict(APIError):
    """409: the thing is not in a state that allows it."""


class Unavailable(APIError):
    """503: the service works again later."""


_BY_STATUS: dict[int, type[APIError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    406: NotAcceptable,
    409: Conflict,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def _words(answer: requests.Response) -> dict[str, Any]:
    try:
        error = answer.json()["error"]
        return {"title": "", "message": "", "request_id": "", **error}
    except (ValueError, KeyError, TypeError):
        # A proxy in between speaks for itself.
        return {
            "title": answer.reason or "",
            "message": (
                f"{answer.request.method} {answer.url}: "
                f"{answer.reason or 'refused'}, and the answer is not one of "
                "aacloud"
            ),
            "request_id": answer.headers.get("x-openstack-request-id", ""),
        }


def of(answer: requests.Response) -> APIError:
    """Return the error that an answer from status 400 on stands for."""
    words = _words(answer)
    kind = _BY_STATUS.get(answer.status_code, APIError)
    return kind(
        answer.status_code,
        str(words["title"]),
        str(words["message"]),
        str(words["request_id"]),
    )


def root_cause(problem: BaseException) -> BaseException:
    """Return the innermost of nested errors."""
    while True:
        inner = problem.__cause__ or problem.__context__
        if inner is None:
            return problem
        problem = inner
