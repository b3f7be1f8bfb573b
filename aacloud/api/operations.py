# SPDX-License-Identifier: Apache-2.0
"""One declaration an operation: it is enforced, checked and documented.

A resource has a ``path`` and methods that :func:`operation` decorates; the
decorated method does nothing but the work itself.
"""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import functools
from typing import Any

import falcon
from oslo_log import log

from aacloud.api import context
from aacloud.api import errors
from aacloud.api import validation
from aacloud.api.schemas import basics

LOG = log.getLogger(__name__)

JSON_TYPE = "application/json"


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """What the API document says of one operation.

    :ivar id: unique, in snake case
    :ivar summary: one line
    :ivar description: what it does and what follows
    :ivar tag: the part of the reference to which it belongs
    :ivar policy: the rule that is asked; None when anybody may
    :ivar query: the schema of each query key
    :ivar body: the component that the request's body must fit
    :ivar status: of the answer when all is well
    :ivar response: the component that the answer's body fits
    :ivar refusals: the error statuses of its own, with their reasons
    :ivar since: the microversion that brought it
    """

    id: str
    summary: str
    description: str
    tag: str
    policy: str | None
    query: Mapping[str, basics.Schema]
    body: str | None
    status: int
    response: str | None
    refusals: Mapping[int, str]
    since: tuple[int, int] = (1, 0)


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One request, checked.

    :ivar caller: who asks; without a name where anybody may
    :ivar query: the typed query values that were given
    :ivar body: the body, when the operation takes one
    :ivar request: for links and the environment
    """

    caller: context.RequestContext
    query: Mapping[str, Any]
    body: Any
    request: falcon.Request


Work = Callable[..., Any]
Responder = Callable[..., None]


def operation(
    *,
    name: str,
    summary: str,
    description: str,
    tag: str,
    policy: str | None = None,
    query: Mapping[str, basics.Schema] | None = None,
    body: str | None = None,
    status: int = 200,
    response: str | None = None,
    refusals: Mapping[int, str] | None = None,
    since: tuple[int, int] = (1, 0),
) -> Callable[[Work], Responder]:
    """Make a falcon responder of a method.

    The method takes ``(call, **path parameters)`` and returns the body of
    the answer. The parameters are those of :class:`Operation`.
    """
    declared = Operation(
        id=name,
        summary=summary,
        description=description,
        tag=tag,
        policy=policy,
        query=dict(query or {}),
        body=body,
        status=status,
        response=response,
        refusals=dict(refusals or {}),
        since=since,
    )

    def decorate(work: Work) -> Responder:
        @functools.wraps(work)
        def respond(
            resource: Any,
            request: falcon.Request,
            answer: falcon.Response,
            **names: str,
        ) -> None:
            call = _checked(resource, declared, request)
            content = work(resource, call, **names)
            _check_answer(resource, declared, content)
            answer.status = declared.status
            if declared.response is not None:
                answer.data = errors.encoded(content)
                answer.content_type = JSON_TYPE

        respond.operation = declared  # type: ignore[attr-defined]
        return respond

    return decorate


def _checked(
    resource: Any, declared: Operation, request: falcon.Request
) -> Call:
    """Return the request as a call, after who and what were checked."""
    caller = context.from_environ(request.env)
    if declared.policy is not None:
        resource.services.policy.authorize(caller, declared.policy)
    if request.context.microversion < declared.since:
        wanted = ".".join(map(str, declared.since))
        raise errors.NotFound(
            f"{errors.echo(request.path)} is there from microversion "
            f"{wanted} on; send 'OpenStack-API-Version: aacloud {wanted}'"
        )
    query = validation.load_query(request.params, declared.query)
    body = None
    if declared.body is not None:
        kind = (request.content_type or JSON_TYPE).partition(";")[0]
        if kind.strip().lower() != JSON_TYPE:
            raise errors.UnsupportedMediaType(
                f"the body is declared as {errors.echo(kind)}; send it as "
                f"{JSON_TYPE}"
            )
        body = validation.load_body(
            request.bounded_stream.read(), declared.body
        )
    return Call(caller=caller, query=query, body=body, request=request)


def _check_answer(resource: Any, declared: Operation, content: Any) -> None:
    """Compare the answer with its schema, as the configuration wants it.

    :raises RuntimeError: it does not fit and the configuration is strict
    """
    wanted = resource.services.conf.aacloud_api.response_validation
    if declared.response is None or wanted == "ignore":
        return
    text = validation.problem(
        validation.component_validator(declared.response),
        content,
        f"answer of {declared.id}",
    )
    if text is None:
        return
    if wanted == "error":
        raise RuntimeError(text)
    LOG.error("%s; it was sent all the same", text)


def operations_of(resource: object) -> dict[str, Operation]:
    """Return the operations of a resource, by HTTP method in upper case."""
    found = {}
    for method in ("get", "put", "post", "patch", "delete"):
        responder = getattr(resource, f"on_{method}", None)
        declared = getattr(responder, "operation", None)
        if declared is not None:
            found[method.upper()] = declared
    return found
