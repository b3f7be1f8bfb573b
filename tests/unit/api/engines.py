# SPDX-License-Identifier: Apache-2.0
"""An engine of server groups for tests of the API, on the in-process bus.

It knows servers by heart and judges groups with the real rules.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import datetime
import threading
from typing import Any
import uuid

from oslo_config import cfg

from aacloud.core import rules
from aacloud.core import topology
from aacloud.db import groups as db_groups
from aacloud.rpc import group_messages
from aacloud.rpc import groups
from aacloud.rpc import groups_server
from aacloud.rpc import messaging

AT = datetime.datetime(2026, 11, 22, 10, 0, tzinfo=datetime.timezone.utc)

#: How long a server may take to listen, in seconds.
DEADLINE_S = 30.0


def server_id(number: int) -> str:
    """Return the id of a server."""
    return str(uuid.UUID(int=number))


class Engine:
    """Answers what the API asks.

    :param store: the groups, as the API writes them
    :param tree: tells where the hosts are
    :ivar down: why it gives no answer now
    :ivar refuses: why it does not plan
    :ivar make_plan: stores a plan and returns its id
    :ivar asked: the names of the questions, in order
    :ivar native: Nova's own server groups
    :ivar hindrance: why moves do not mend what is broken
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        store: db_groups.Groups,
        tree: Callable[[], topology.Topology],
    ) -> None:
        self._store = store
        self._tree = tree
        self.servers: dict[str, group_messages.ServerFacts] = {}
        self.native: list[group_messages.NativeGroup] = []
        self.acks: dict[str, int] = {}
        self.down: str | None = None
        self.refuses: str | None = None
        self.hindrance: group_messages.Hindrance | None = None
        self.asked: list[str] = []
        self.make_plan: (
            Callable[[groups_server.RepairQuestion], str] | None
        ) = None
        self.repairs: list[tuple[str | None, bool]] = []
        self.revisions: list[int] = []
        self.announced = threading.Event()
        self._transport = messaging.init(conf)
        name = f"engine-{uuid.uuid4()}"
        self._listeners = (
            groups_server.groups_server(self._transport, self, name=name),
            groups_server.changed_server(
                self._transport, self._heard, name=name
            ),
        )

    def start(self) -> None:
        for listener in self._listeners:
            listener.start()
        for listener in self._listeners:
            assert listener.wait_listening(DEADLINE_S)

    def stop(self) -> None:
        for listener in self._listeners:
            listener.stop()
        self._transport.cleanup()

    def add_server(
        self, number: int, host: str | None, *, project_id: str = "77aa"
    ) -> str:
        """Make Nova know a server, and return its id."""
        found = server_id(number)
        self.servers[found] = group_messages.ServerFacts(
            found, f"web-{number}", project_id, host
        )
        return found

    # What it answers

    def describe_servers(
        self, servers: Sequence[str]
    ) -> Sequence[group_messages.ServerFacts]:
        self._note("describe_servers")
        return [self.servers[one] for one in servers if one in self.servers]

    def inspect(
        self, wanted: Sequence[str], patience_s: float
    ) -> Sequence[group_messages.Report]:
        self._note("inspect")
        return [
            self._report(self._store.get(one).group, frozenset())
            for one in wanted
        ]

    def preview(
        self,
        group: str,
        joining: Sequence[str],
        leaving: Sequence[str],
        patience_s: float,
    ) -> tuple[group_messages.Report, group_messages.Plan | None]:
        self._note("preview")
        report = self._report(
            self._store.get(group).group, frozenset(joining)
        )
        if report.state == "compliant":
            return report, None
        return report, self._plan(group, None)

    def repair(
        self, question: groups_server.RepairQuestion, patience_s: float
    ) -> group_messages.Plan:
        self._note("repair")
        if self.refuses is not None:
            raise groups.EngineRefused(self.refuses)
        assert question.by == "joe (8f2a)"
        self.repairs.append((question.group, question.dry_run))
        group = question.group or server_id(1)
        plan_id = self.make_plan(question) if self.make_plan else None
        return self._plan(group, plan_id or str(uuid.uuid4()))

    def wait_acked(
        self, revision: int, patience_s: float
    ) -> Sequence[group_messages.Ack]:
        self._note("wait_acked")
        return [
            group_messages.Ack(name, revision + late, AT)
            for name, late in self.acks.items()
        ]

    def native_groups(
        self, group: str | None
    ) -> Sequence[group_messages.NativeGroup]:
        self._note("import_native")
        return [one for one in self.native if group in (None, one.id)]

    def resolve(self, text: str, project_id: str) -> str | None:
        self._note("resolve_group")
        return self._store.find(text, project_id=project_id).id

    def snapshot(self, known_revision: int | None) -> dict[str, Any]:
        raise AssertionError("the API asks for no snapshot")

    def ack(self, scheduler: str, revision: int) -> None:
        raise AssertionError("the API acknowledges nothing")

    def fail_open(self, *details: Any) -> None:
        raise AssertionError("the API places nothing")

    def recheck(self, wanted: Sequence[str]) -> None:
        raise AssertionError("the API asks for an inspection")

    def _heard(self, revision: int) -> None:
        self.revisions.append(revision)
        self.announced.set()

    def _note(self, question: str) -> None:
        self.asked.append(question)
        if self.down is not None:
            raise groups.EngineUnavailable(self.down)

    def _occupancy(self) -> Mapping[str, tuple[str, ...]]:
        return {
            one.id: (one.host,)
            for one in self.servers.values()
            if one.host is not None
        }

    def _report(
        self, group: rules.Group, joining: frozenset[str]
    ) -> group_messages.Report:
        members = group.members | joining
        occupancy = self._occupancy()
        domains = rules.Domains(self._tree()).within(group.rules)
        findings = []
        for rule in group.rules:
            counts = rules.count(rule, members, occupancy, domains)
            excess = rules.excess(rule, counts, domains)
            findings.append(
                group_messages.RuleFinding(
                    rule=rule,
                    state="violating" if excess else "compliant",
                    counts=counts,
                    limit="as the rule says",
                    excess=excess,
                    least_moves=excess,
                    blocked=("rack dc1-r2 is full",) if excess else (),
                    reason="host dc1-r1-h1 has too many." if excess else "ok",
                    hindrance=self.hindrance if excess else None,
                )
            )
        broken = any(finding.excess for finding in findings)
        return group_messages.Report(
            group_id=group.id,
            revision=group.revision,
            state="violating" if broken else "compliant",
            at=AT,
            age_s=0.5,
            rules=tuple(findings),
            places={
                one: occupancy.get(one, ())
                for one in sorted(members)
            },
            names={
                one: self.servers[one].name
                for one in sorted(members)
                if one in self.servers
            },
        )

    @staticmethod
    def _plan(group: str, plan_id: str | None) -> group_messages.Plan:
        return group_messages.Plan(
            id=plan_id,
            steps=(
                group_messages.PlanStep(
                    1,
                    server_id(2),
                    "dc1-r1-h1",
                    "dc2-r1-h1",
                    (),
                    ("off dc1-r1-h1",),
                ),
            ),
            lower_bound=1,
            proved_optimal=True,
            solver="flow",
            excess_before=1,
            excess_after=0,
            left=(
                group_messages.LeftOver(
                    group, "spread:host", "dc1-r1-h2 is full"
                ),
                group_messages.LeftOver(
                    server_id(99), "together:dc", "another project's"
                ),
            ),
        )
