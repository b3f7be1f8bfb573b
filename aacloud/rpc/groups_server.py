# SPDX-License-Identifier: Apache-2.0
"""The engine's end of ``aacloud.groups``: see ``rpc.groups`` for the API's
questions, and ``rpc.snapshot`` for those of the schedulers.

An answer never is an exception: one that the engine cannot give says
``unavailable``, one that it must not give says ``refused``, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import logging
from typing import Any
from typing import Protocol

from oslo_context import context as oslo_context
import oslo_messaging

from aacloud.rpc import envelope
from aacloud.rpc import group_messages
from aacloud.rpc import groups
from aacloud.rpc import messaging
from aacloud.rpc import metrics
from aacloud.rpc import rates

LOG = logging.getLogger(__name__)

#: Questions that an engine answers at a time.
WORKERS = 16

Body = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class RepairQuestion:
    """Somebody wants a plan.

    :ivar group: the one to be mended; None: all in mode ``repair``
    :ivar dry_run: it is only to be looked at
    :ivar project_id: of the one who asks
    """

    group: str | None
    dry_run: bool
    by: str
    project_id: str | None


class Answers(Protocol):
    """Who knows the answers. Any method may raise
    :class:`groups.EngineUnavailable` and :class:`groups.EngineRefused`.

    ``patience_s`` is how long the caller goes on waiting, in seconds.
    """

    def describe_servers(
        self, servers: Sequence[str]
    ) -> Sequence[group_messages.ServerFacts]:
        """What Nova knows of servers."""

    def inspect(
        self, wanted: Sequence[str], patience_s: float
    ) -> Sequence[group_messages.Report]:
        """How groups stand now."""

    def preview(
        self,
        group: str,
        joining: Sequence[str],
        leaving: Sequence[str],
        patience_s: float,
    ) -> tuple[group_messages.Report, group_messages.Plan | None]:
        """How a group would stand, and what would mend it."""

    def repair(
        self, question: RepairQuestion, patience_s: float
    ) -> group_messages.Plan:
        """The plan that mends a group or all, stored."""

    def wait_acked(
        self, revision: int, patience_s: float
    ) -> Sequence[group_messages.Ack]:
        """Wait until the schedulers have a revision."""

    def native_groups(
        self, group: str | None
    ) -> Sequence[group_messages.NativeGroup]:
        """Nova's own server groups."""

    def resolve(self, text: str, project_id: str) -> str | None:
        """The id of the group that a hint means."""

    def snapshot(
        self, known_revision: int | None, topology: str | None
    ) -> Body:
        """Groups, or what changed of them, as schedulers take them."""

    def ack(self, scheduler: str, revision: int) -> None:
        """A scheduler works with a revision."""

    def fail_open(
        self, scheduler: str, server: str, wanted: Sequence[str], reason: str
    ) -> None:
        """A scheduler let a server pass without knowing enough."""


class GroupsEndpoint:
    """Takes the questions apart and puts the answers together."""

    target = oslo_messaging.Target(version=groups.SNAPSHOT_VERSION)

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._pace = rates.LogPace()

    # -- the API ------------------------------------------------------------

    @oslo_messaging.expose
    def describe_servers(
        self, context: oslo_context.RequestContext, message: object
    ) -> Body:
        """See ``rpc.groups``."""

        def work(asked: Mapping[str, Any]) -> Body:
            found = self._answers.describe_servers(_names(asked, "servers"))
            return {"servers": [
                group_messages.server_body(one) for one in found]}

        return self._answer("describe_servers", message, work)

    @oslo_messaging.expose
    def inspect(
        self, context: oslo_context.RequestContext, message: object
    ) -> Body:
        """See ``rpc.groups``."""

        def work(asked: Mapping[str, Any]) -> Body:
            found = self._answers.inspect(
                _names(asked, "groups"), _patience(asked))
            return {"reports": [
                group_messages.report_body(one) for one in found]}

        return self._answer("inspect", message, work)

    @oslo_messaging.expose
    def preview(
        self, context: oslo_context.RequestContext, message: object
    ) -> Body:
        """See ``rpc.groups``."""

        def work(asked: Mapping[str, Any]) -> Body:
            report, plan = self._answers.preview(
                envelope.text_of(asked, "group"),
                _names(asked, "joining"), _names(asked, "leaving"),
                _patience(asked))
            return {
                "report": group_messages.report_body(report),
                "plan": None if plan is None
                else group_messages.plan_body(plan)}

        return self._answer("preview", message, work)

    @oslo_messaging.expose
    def repair(
        self, context: oslo_context.RequestContext, message: object
    ) -> Body:
        """See ``rpc.groups``."""

        def work(asked: Mapping[str, Any]) -> Body:
            plan = self._answers.repair(
                RepairQuestion(
                    group=_maybe(asked, "group"),
                    dry_run=envelope.flag_of(asked, "dry_run"),
                    by=envelope.text_of(asked, "by"),
                    project_id=_maybe(asked, "project_id")),
                _patience(asked))
            return {"plan": group_messages.plan_body(plan)}

        return self._answer("repair", message, work)

    @oslo_messaging.expose
    def wait_acked(
        self, context: oslo_context.RequestContext, message: object
    ) -> Body:
        """See ``rpc.groups``."""

        def work(asked: Mapping[str, Any]) -> Body:
            found = self._answers.wait_acked(
                envelope.count_of(asked, "revision"), _patience(asked))
            return {"schedulers": [
                group_messages.ack_body(one) for one in found]}

        return self._answer("wait_acked", message, work)

    @oslo_messaging.expose
    def import_native(
        self, context: oslo_context.RequestContext, message: object
    ) -> Body:
        """See ``rpc.groups``."""

        def work(asked: Mapping[str, Any]) -> Body:
            found = self._answers.native_groups(_maybe(asked, "group"))
            return {"groups": [
                group_messages.native_body(one) for one in found]}

        return self._answer("import_native", message, work)

    @oslo_messaging.expose
    def resolve_group(
        self, context: oslo_context.RequestContext, message: object
    ) -> Body:
        """See ``rpc.groups``."""

        def work(asked: Mapping[str, Any]) -> Body:
            return {"group": self._answers.resolve(
                envelope.text_of(asked, "text"),
                envelope.text_of(asked, "project_id"))}

        return self._answer("resolve_group", message, work)

    # -- the schedulers -----------------------------------------------------

    @oslo_messaging.expose
    def get_snapshot(
        self,
        context: oslo_context.RequestContext,
        known_revision: int | None = None,
        topology: str | None = None,
    ) -> Body:
        """See ``rpc.snapshot``."""
        return self._told(
            "get_snapshot",
            lambda: self._answers.snapshot(known_revision, topology))

    @oslo_messaging.expose
    def ack(
        self,
        context: oslo_context.RequestContext,
        scheduler: str,
        revision: int,
    ) -> Body:
        """See ``rpc.snapshot``."""

        def work() -> Body:
            self._answers.ack(str(scheduler)[:envelope.MAX_NAME], revision)
            return {}

        return self._told("ack", work)

    @oslo_messaging.expose
    def record_fail_open(
        self,
        context: oslo_context.RequestContext,
        server: str,
        groups: Sequence[str],
        reason: str,
        scheduler: str = "",
    ) -> Body:
        """See ``rpc.snapshot``."""

        def work() -> Body:
            self._answers.fail_open(
                str(scheduler)[:envelope.MAX_NAME], str(server),
                [str(one) for one in groups],
                str(reason)[:group_messages.MAX_TEXT])
            return {}

        return self._told("record_fail_open", work)

    # -- both ---------------------------------------------------------------

    def _answer(
        self,
        method: str,
        message: object,
        work: Callable[[Mapping[str, Any]], Body],
    ) -> Body:
        def checked() -> Body:
            if not isinstance(message, Mapping):
                raise envelope.malformed("the message is not an object")
            envelope.check_version(message.get("version"))
            return work(message)

        return {"version": groups.VERSION, **self._told(method, checked)}

    def _told(self, method: str, work: Callable[[], Body]) -> Body:
        try:
            with metrics.GROUP_ANSWERS.labels(method).time():
                return work()
        except groups.EngineRefused as error:
            return {"refused": str(error)}
        except groups.EngineUnavailable as error:
            self._note(method, str(error))
            return {"unavailable": str(error)}
        except (envelope.MessageError, TypeError) as error:
            self._note(method, f"not understood: {error}")
            return {"refused": (
                f"the question {method} is not understood ({error}); run the "
                "same version of aacloud-groups and of what asks it")}
        except Exception as error:
            LOG.exception("The question %s could not be answered", method)
            return {"unavailable": (
                f"aacloud-groups failed at {method} ({type(error).__name__});"
                " its log says why")}

    def _note(self, method: str, text: str) -> None:
        held_back = self._pace.due(method)
        if held_back is not None:
            LOG.warning(
                "The question %s was not answered: %s%s",
                method, text, self._pace.text(held_back))


class ChangedEndpoint:
    """Hears of new revisions that others made.

    :param heard: is given the revision
    """

    target = oslo_messaging.Target(version=groups.VERSION)

    def __init__(self, heard: Callable[[int], None]) -> None:
        self._heard = heard

    @oslo_messaging.expose
    def changed(
        self, context: oslo_context.RequestContext, revision: int
    ) -> None:
        """There is a new revision."""
        if isinstance(revision, int):
            self._heard(revision)


def groups_server(
    transport: messaging.RPCTransport, answers: Answers, *, name: str
) -> messaging.BackgroundServer:
    """Return the server for questions; start and stop it.

    :param name: names this engine on the bus; unique
    """
    target = oslo_messaging.Target(
        exchange=groups.EXCHANGE, topic=groups.TOPIC, server=name)
    return messaging.BackgroundServer(
        groups.TOPIC,
        lambda: messaging.get_server(
            transport, target, [GroupsEndpoint(answers)]),
        workers=WORKERS,
    )


def changed_server(
    transport: messaging.RPCTransport,
    heard: Callable[[int], None],
    *,
    name: str,
) -> messaging.BackgroundServer:
    """Return the server for announcements; start and stop it."""
    target = oslo_messaging.Target(
        exchange=groups.EXCHANGE, topic=groups.CHANGED_TOPIC, server=name,
        fanout=True)
    return messaging.BackgroundServer(
        groups.CHANGED_TOPIC,
        lambda: messaging.get_server(
            transport, target, [ChangedEndpoint(heard)]),
    )


def _patience(asked: Mapping[str, Any]) -> float:
    return envelope.number_of(asked, "patience_s")


def _names(asked: Mapping[str, Any], key: str) -> list[str]:
    found = envelope.list_of(asked, key, group_messages.MAX_ENTRIES)
    return [envelope.text_of({key: one}, key) for one in found]


def _maybe(asked: Mapping[str, Any], key: str) -> str | None:
    return None if asked.get(key) is None else envelope.text_of(asked, key)
