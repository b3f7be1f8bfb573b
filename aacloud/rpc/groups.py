# SPDX-License-Identifier: Apache-2.0
"""What the API asks of the engine of server groups, on ``aacloud.groups``.

The API knows no Nova and calculates nothing. Whose a server is, how a group
stands now, what a join would bring, the plan of a repair: any instance of
``aacloud-groups`` answers that. A method takes one ``message`` and returns
one body, both JSON-able (version 1.0)::

    {"version": "1.0", "patience_s": 8.0, …}

``patience_s`` is how long the caller waits: an engine that cannot answer in
that time answers ``{"unavailable": "<why, and what to do>"}``; one that may
not do what is asked answers ``{"refused": "<why>"}``.

================  ===========================  ==========================
method            keys of the message          keys of the body
================  ===========================  ==========================
describe_servers  ``servers``: ids             ``servers``: ServerFacts
inspect           ``groups``: ids              ``reports``: Report
preview           ``group``: id, ``joining``,  ``report``: Report,
                  ``leaving``: ids             ``plan``: Plan or null
repair            ``group``: id or null,       ``plan``: Plan
                  ``dry_run``, ``by``,
                  ``project_id``
wait_acked        ``revision``                 ``schedulers``: Ack
import_native     ``group``: id or null        ``groups``: NativeGroup
resolve_group     ``text``, ``project_id``     ``group``: id or null
================  ===========================  ==========================

Servers and groups that are not known are left out of the body. Whoever
changed a group tells it to all schedulers and engines: ``changed``, a fanout
on ``aacloud.groups.changed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import logging
from typing import Any

from oslo_context import context as oslo_context
import oslo_messaging

from aacloud.rpc import envelope
from aacloud.rpc import group_messages
from aacloud.rpc import messaging

LOG = logging.getLogger(__name__)

TOPIC = "aacloud.groups"
CHANGED_TOPIC = "aacloud.groups.changed"
#: Named, because Nova's processes, which ask too, have another default.
EXCHANGE = "aacloud"
VERSION = "1.0"
#: Schedulers ask with the digest of their topology since this one; engines
#: understand both.
SNAPSHOT_VERSION = "1.1"

#: Seconds to wait for an answer that needs Nova or the database alone.
ASK_S = 8.0
#: Seconds to wait for one that needs a calculation.
CALCULATE_S = 25.0
#: Seconds by which an engine must be ready before the caller gives up.
MARGIN_S = 1.0


class EngineUnavailable(Exception):
    """No engine answered, or it cannot tell now; the text says why."""


class EngineRefused(Exception):
    """The engine may not do what is asked; the text says why."""


class GroupsClient:
    """The end of the one who asks.

    :param transport: of :func:`messaging.init`
    :param server: the engine to be asked; any, if not given
    """

    def __init__(
        self, transport: messaging.RPCTransport, server: str | None = None
    ) -> None:
        self._client = messaging.get_client(
            transport,
            oslo_messaging.Target(
                exchange=EXCHANGE, topic=TOPIC, version=VERSION, server=server
            ),
            timeout=ASK_S,
        )
        self._fanout = messaging.get_client(
            transport,
            oslo_messaging.Target(
                exchange=EXCHANGE,
                topic=CHANGED_TOPIC,
                version=VERSION,
                fanout=True,
            ),
            timeout=ASK_S,
        )

    def describe_servers(
        self, servers: Sequence[str]
    ) -> dict[str, group_messages.ServerFacts]:
        """Return what Nova knows of servers, by their ids.

        One that Nova does not know, of any project, is left out.

        :raises EngineUnavailable: see there
        """
        body = self._ask("describe_servers", ASK_S, servers=list(servers))
        found = self._list(body, "servers", group_messages.parse_server)
        return {server.id: server for server in found}

    def inspect(
        self, groups: Sequence[str]
    ) -> dict[str, group_messages.Report]:
        """Return how groups stand now, by their ids.

        :raises EngineUnavailable: see there
        """
        body = self._ask("inspect", CALCULATE_S, groups=list(groups))
        found = self._list(body, "reports", group_messages.parse_report)
        return {report.group_id: report for report in found}

    def preview(
        self,
        group: str,
        joining: Sequence[str] = (),
        leaving: Sequence[str] = (),
    ) -> tuple[group_messages.Report, group_messages.Plan | None]:
        """Return how a group would stand, and the plan that would mend it.

        Nothing is stored. The plan is None when there is nothing to mend.

        :raises EngineUnavailable: see there
        """
        body = self._ask(
            "preview",
            CALCULATE_S,
            group=group,
            joining=list(joining),
            leaving=list(leaving),
        )
        plan = body.get("plan")
        return (
            self._one(body, "report", group_messages.parse_report),
            None
            if plan is None
            else self._one(body, "plan", group_messages.parse_plan),
        )

    def repair(
        self,
        group: str | None,
        *,
        dry_run: bool,
        by: str,
        project_id: str | None = None,
    ) -> group_messages.Plan:
        """Return the plan that mends a group, or all groups.

        The engine has stored it, with an id: as a draft when it is a dry
        run, else as one that waits for approval or, where none is needed,
        is approved.

        :param by: who asks for it
        :param project_id: of the one who asks
        :raises EngineUnavailable: see there
        :raises EngineRefused: another plan is under way, for instance
        """
        body = self._ask(
            "repair",
            CALCULATE_S,
            group=group,
            dry_run=dry_run,
            by=by,
            project_id=project_id,
        )
        return self._one(body, "plan", group_messages.parse_plan)

    def wait_acked(
        self, revision: int, timeout_s: float
    ) -> list[group_messages.Ack]:
        """Wait until all schedulers that live have the revision.

        :param timeout_s: how long, in seconds
        :returns: of each scheduler the revision it has at the end
        :raises EngineUnavailable: see there
        """
        body = self._ask(
            "wait_acked", timeout_s + MARGIN_S, revision=revision
        )
        return self._list(body, "schedulers", group_messages.parse_ack)

    def import_native(
        self, group: str | None
    ) -> list[group_messages.NativeGroup]:
        """Return Nova's own server groups, all or the one with this id.

        :raises EngineUnavailable: see there
        """
        body = self._ask("import_native", CALCULATE_S, group=group)
        return self._list(body, "groups", group_messages.parse_native)

    def resolve_group(self, text: str, project_id: str) -> str | None:
        """Return the id of the group that a hint of a server's birth means.

        :param text: a name or an id
        :param project_id: of the server
        :raises EngineUnavailable: see there
        """
        body = self._ask(
            "resolve_group", ASK_S, text=text, project_id=project_id
        )
        if body.get("group") is None:
            return None
        try:
            return envelope.text_of(body, "group")
        except envelope.MessageError as error:
            raise _odd(error) from error

    def changed(self, revision: int) -> None:
        """Tell all schedulers and engines that there is a new revision.

        They find it out by themselves too, only later: so nothing is raised
        when messaging is down.
        """
        try:
            self._fanout.cast(
                oslo_context.RequestContext(overwrite=False),
                "changed",
                revision=revision,
            )
        except oslo_messaging.MessagingException as error:
            LOG.warning(
                "Revision %d of the server groups could not be announced "
                "(%s); schedulers find it when they ask next",
                revision,
                error,
            )

    def _ask(
        self, method: str, patience_s: float, **keys: object
    ) -> Mapping[str, Any]:
        message = {
            "version": VERSION,
            "patience_s": patience_s - MARGIN_S,
            **keys,
        }
        try:
            body = self._client.prepare(timeout=patience_s).call(
                oslo_context.RequestContext(overwrite=False),
                method,
                message=message,
            )
        except oslo_messaging.MessagingTimeout as error:
            raise EngineUnavailable(
                f"no aacloud-groups answered within {patience_s:.0f} s; see "
                "that one runs"
            ) from error
        except oslo_messaging.RemoteError as error:
            LOG.error("aacloud-groups failed at %s: %s", method, error)
            raise EngineUnavailable(
                "aacloud-groups failed; its log says why"
            ) from error
        except oslo_messaging.MessagingException as error:
            LOG.error("aacloud-groups cannot be asked: %s", error)
            raise EngineUnavailable(
                "messaging cannot be reached; see that RabbitMQ runs"
            ) from error
        try:
            return self._checked(body)
        except envelope.MessageError as error:
            raise _odd(error) from error

    @staticmethod
    def _checked(body: object) -> Mapping[str, Any]:
        if not isinstance(body, Mapping):
            raise envelope.malformed("the answer is not an object")
        if "unavailable" in body:
            raise EngineUnavailable(
                envelope.text_of(body, "unavailable", group_messages.MAX_TEXT)
            )
        if "refused" in body:
            raise EngineRefused(
                envelope.text_of(body, "refused", group_messages.MAX_TEXT)
            )
        envelope.check_version(body.get("version"))
        return body

    @staticmethod
    def _list(body: Mapping[str, Any], key: str, parse: Any) -> list[Any]:
        try:
            return [
                parse(entry)
                for entry in envelope.list_of(
                    body, key, group_messages.MAX_ENTRIES
                )
            ]
        except envelope.MessageError as error:
            raise _odd(error) from error

    @staticmethod
    def _one(body: Mapping[str, Any], key: str, parse: Any) -> Any:
        try:
            return parse(body.get(key))
        except envelope.MessageError as error:
            raise _odd(error) from error


def _odd(error: envelope.MessageError) -> EngineUnavailable:
    LOG.error("aacloud-groups answered what is not understood: %s", error)
    return EngineUnavailable(
        "aacloud-groups answered what is not understood; run the same "
        "version of it and of the API"
    )
