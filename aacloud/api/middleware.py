# SPDX-License-Identifier: Apache-2.0
"""WSGI middleware of our own; the rest is oslo's and keystonemiddleware's."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import http
import json
from typing import Any
from wsgiref import types as wsgi

from oslo_log import log

from aacloud.api import errors

LOG = log.getLogger(__name__)

Environ = dict[str, Any]


class _Answer:
    """What an application wants to answer, before the client is told."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []

    def start(
        self, status: str, headers: list[tuple[str, str]], exc: Any = None
    ) -> Callable[[bytes], object]:
        """Stand in for the server's start_response."""
        self.status = int(status.split(" ", 1)[0])
        self.headers = list(headers)
        return _no_write

    @property
    def is_error(self) -> bool:
        return self.status >= http.HTTPStatus.BAD_REQUEST


def _no_write(data: bytes) -> object:
    raise RuntimeError("write() of WSGI is not supported")


def _message_of(content: bytes, status: int) -> tuple[str, bool]:
    """Return what an error body says, and whether it is ours already."""
    try:
        error = json.loads(content)["error"]
        message = str(error["message"])
        return message, "request_id" in error
    except (ValueError, KeyError, TypeError):
        return http.HTTPStatus(status).description, False


_HINTS: Mapping[int, str] = {
    401: (
        "this needs a valid token of Keystone in X-Auth-Token; get one with "
        "'openstack token issue'"
    ),
    413: "the body is larger than [oslo_middleware] max_request_body_size",
    503: (
        "the token cannot be checked: Keystone does not answer, or "
        "[keystone_authtoken] is wrong; try again later"
    ),
}


class JSONErrors:
    """Gives every error below it the JSON body of this API.

    auth_token, the size limit and the WSGI libraries answer in HTML or in a
    JSON of their own; an exception that nobody caught ends here as 500.
    """

    def __init__(self, application: wsgi.WSGIApplication) -> None:
        self._application = application

    def __call__(
        self, environ: Environ, start_response: wsgi.StartResponse
    ) -> Iterable[bytes]:
        """Answer one request."""
        answer = _Answer()
        try:
            chunks = self._application(environ, answer.start)
            try:
                content = b"".join(chunks)
            finally:
                close = getattr(chunks, "close", None)
                if close is not None:
                    close()
        except Exception:
            LOG.exception(
                "%s %s failed below the API",
                environ.get("REQUEST_METHOD"),
                environ.get("PATH_INFO"),
            )
            answer.status = http.HTTPStatus.INTERNAL_SERVER_ERROR
            answer.headers = []
            content = b""
        if answer.is_error:
            content = self._shaped(environ, answer, content)
        status = http.HTTPStatus(answer.status)
        start_response(f"{status.value} {status.phrase}", answer.headers)
        return [content]

    @staticmethod
    def _shaped(environ: Environ, answer: _Answer, content: bytes) -> bytes:
        status = answer.status
        message, ours = _message_of(content, status)
        if not ours:
            content = errors.encoded(
                errors.body(status, _HINTS.get(status, message), environ)
            )
        kept = [
            (name, value)
            for name, value in answer.headers
            if name.lower() not in ("content-type", "content-length")
        ]
        if status == http.HTTPStatus.SERVICE_UNAVAILABLE and not any(
            name.lower() == "retry-after" for name, _ in kept
        ):
            kept.append(("Retry-After", str(errors.RETRY_AFTER_S)))
        answer.headers = [
            *kept,
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
        ]
        if environ.get("REQUEST_METHOD") == "HEAD":
            return b""
        return content


class Unchecked:
    """Answers 503 where what checks the token fails by itself.

    auth_token lets some errors of a Keystone that is down, or that is not
    configured, through. No error of the resources comes this far.

    :param checking: the application behind auth_token
    """

    def __init__(self, checking: wsgi.WSGIApplication) -> None:
        self._checking = checking

    def __call__(
        self, environ: Environ, start_response: wsgi.StartResponse
    ) -> Iterable[bytes]:
        """Answer one request."""
        try:
            return self._checking(environ, start_response)
        except Exception:
            LOG.exception("The token of a request could not be checked")
            start_response("503 Service Unavailable", [])
            return [b""]


class Fork:
    """Sends some paths to one application and the rest to another.

    :param paths: exact paths, without a slash at the end
    """

    def __init__(
        self,
        paths: Iterable[str],
        there: wsgi.WSGIApplication,
        otherwise: wsgi.WSGIApplication,
    ) -> None:
        self._paths = frozenset(paths)
        self._there = there
        self._otherwise = otherwise

    def __call__(
        self, environ: Environ, start_response: wsgi.StartResponse
    ) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "").rstrip("/")
        chosen = self._there if path in self._paths else self._otherwise
        return chosen(environ, start_response)
