# SPDX-License-Identifier: Apache-2.0
"""Which hosts a server may go to, as far as its HA groups go.

What holds when something is not known:

==========================  ================================================
no snapshot at all          every server passes, and is recorded
snapshot older than         of each required rule ``on_unknown``: open: it
``max_stale``               advises, the server is recorded; closed: no host,
                            but for an evacuation (what was known last)
a cell does not answer      the same for spread and together; a fence needs
                            no occupancy and is kept
hint that is not known,     ``[aacloud_scheduler] on_unknown``
no engine answers
hint of no group            ``[aacloud_scheduler] unknown_hint``
hint of a group of a        no host: with it, and with the births that this
project with a full quota   process let pass a moment ago, there would be more
                            members than the project may have. Not when that
                            may be old news
a host without its place    ``on_unknown`` of each rule of rack or DC level
anything fails              the server passes, and is recorded
==========================  ================================================

A server that passes is counted and told to the engine, which inspects its
groups first.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import logging
import time
from typing import Any

from aacloud.core import rules
from aacloud.rpc import rates
from aacloud.scheduler.nova import births
from aacloud.scheduler.nova import index as group_index
from aacloud.scheduler.nova import metrics
from aacloud.scheduler.nova import occupancy
from aacloud.scheduler.nova import places
from aacloud.scheduler.nova import recent
from aacloud.scheduler.nova import snapshot_client
from aacloud.scheduler.nova import verdict
from aacloud.scheduler.nova import wanted

LOG = logging.getLogger(__name__)

#: Seconds for which the siblings of one request share a query.
REUSE_S = 5.0

CLOSED = rules.OnUnknown.CLOSED


@dataclasses.dataclass(frozen=True, slots=True)
class _Refused:
    """Something that is not known forbids every host."""

    reason: str
    text: str


class Decider:
    """Judges the servers of one process; safe for threads.

    :param client: the groups
    :param occupancy: where servers are
    """

    def __init__(
        self,
        client: snapshot_client.SnapshotClient,
        where: occupancy.Occupancy,
        clock: Any = time.monotonic,
    ) -> None:
        self._client = client
        self._where = where
        self._clock = clock
        self._recent = recent.Recent()
        self._births = births.Births()
        client.tell(self._births.arrived)
        self._places = places.PlaceBook()
        self._pace = rates.LogPace()

    @property
    def weight_multiplier(self) -> float:
        """How much the weigher counts; 0 when that cannot be told."""
        try:
            return self._client.settings.weight_multiplier
        except Exception as error:  # noqa: BLE001 (never raises)
            self._failed("weigher", None, (), error)
            return 0.0

    def passing(self, hosts: Sequence[Any], spec: Any) -> Sequence[Any]:
        """The HostStates of ``hosts`` that the server may go to.

        Never raises. A server of no group costs a look-up and no I/O.
        """
        server: str | None = None
        ids: tuple[str, ...] = ()
        try:
            view = self._client.view()
            server = spec.instance_uuid
            hints = spec.scheduler_hints
            hinted = bool(hints) and wanted.HINT in hints
            if view is not None:
                ids = view.index.by_server.get(server, ())
                if not ids and not hinted:
                    return hosts
            if hints and hints.get("_nova_check_type") == ["rebuild"]:
                # It stays where it is.
                return hosts
            if view is None and not hinted:
                self._open(server, (), "no-snapshot")
                return hosts
            with metrics.SECONDS.time():
                return self._passing(view, spec, server, list(hosts))
        except Exception as error:  # noqa: BLE001 (never raises)
            self._failed("filter", server, ids, error)
            return hosts

    def penalties(
        self, hosts: Sequence[Any], spec: Any,
    ) -> Sequence[float] | None:
        """The penalty of each HostState; None when none has any.

        Never raises.
        """
        try:
            view = self._client.view()
            if view is None:
                return None
            server, hints = spec.instance_uuid, spec.scheduler_hints
            if server not in view.index.by_server and not (
                hints and wanted.HINT in hints
            ):
                return None
            placing = self._recent.of(spec)
            if placing is None or placing.server != server:
                # The filter is not enabled, or could not tell.
                hosts = list(hosts)
                placing = self._recent.begin(spec, hosts, self._clock())
                self._judge(view, spec, server, hosts, placing)
            found = placing.verdict
            if not isinstance(found, verdict.Verdict):
                return None
            return found.penalties(hosts)
        except Exception as error:  # noqa: BLE001 (never raises)
            self._failed("weigher", None, (), error)
            return None

    # -- a server of a group ------------------------------------------------

    def _passing(
        self, view: snapshot_client.View | None, spec: Any, server: str,
        hosts: list[Any],
    ) -> Sequence[Any]:
        placing = self._recent.begin(spec, hosts, self._clock())
        if not _gathers(spec):
            hosts = placing.with_aside(hosts)
        try:
            self._judge(view, spec, server, hosts, placing)
        except Exception:
            # Nobody shall wait for it.
            placing.failed, placing.judged = True, self._clock()
            raise
        found, placing.judged = placing.verdict, self._clock()
        if found is None:
            return hosts
        if isinstance(found, _Refused):
            placing.failed = True
            metrics.FAIL_CLOSED.labels(found.reason).inc()
            metrics.REQUESTS.labels("none").inc()
            LOG.warning(
                "Server %s is placed nowhere: %s", server, found.text)
            return []
        left = found.passing(hosts)
        placing.set_aside(hosts, left)
        placing.failed = not left
        if not left and hosts:
            metrics.REQUESTS.labels("none").inc()
            LOG.info(
                "HA groups of server %s allow none of %d hosts: %s", server,
                len(hosts), _reasons(found, hosts))
        else:
            metrics.REQUESTS.labels(
                "all" if len(left) == len(hosts) else "some").inc()
        if left and found.needs_place():
            self._note_strangers(placing, server, left)
        return left

    def _judge(
        self, view: snapshot_client.View | None, spec: Any, server: str,
        hosts: list[Any], placing: recent.Placing,
    ) -> None:
        """Make ``placing.verdict``: a Verdict, _Refused, or None."""
        placing.server, placing.verdict = None, None
        asked = wanted.wanted(view, server, spec)
        refused: _Refused | None = None
        opened: list[str] = []
        more: list[rules.Group] = []
        if asked.missing:
            more, refused, opened = self._ask(asked.missing, spec.project_id)
        self._recent.wait_turn(
            placing, [
                one.id for one in (*asked.all(), *more)
                if wanted.takes_turns(one)],
            self._clock,
            recent.MOVE_TURN_S if asked.moves else recent.TURN_S)
        # Only now, and only once: what those before it did is to be seen.
        view = self._client.view()
        asked = wanted.wanted(view, server, spec)
        groups = wanted.unique((*asked.all(), *more))
        reading = self._read(placing, server, groups)
        own = reading.seen.get(server)
        if own is not None and own.launched:
            groups, refused, opened = list(asked.joined), None, []
            placing.expected = 1
        elif refused is None and view is not None and not asked.moves:
            refused = self._over_quota(view, server, groups, placing, reading)
        for reason in opened:
            self._open(server, (), reason)
        placing.server = server
        placing.servers[server] = None
        placing.groups.update(group.id for group in groups)
        if refused is not None or view is None or not groups:
            placing.verdict = refused
            return
        placing.verdict = self._verdict(
            view, server, hosts, placing, groups, reading)

    def _over_quota(
        self, view: snapshot_client.View, server: str,
        groups: Iterable[rules.Group], placing: recent.Placing,
        reading: occupancy.Reading,
    ) -> _Refused | None:
        """What refuses a birth into a group that may have no more members."""
        now = self._clock()
        group = self._births.admit(
            placing, server, groups, view.index, reading.seen, now,
            sure=reading.complete
            and now - view.synced <= self._client.settings.max_stale)
        return None if group is None else _Refused("quota", (
            f"it is to be born into group {group.name}, and project "
            f"{group.project_id} may have no more members of HA groups; see "
            "'openstack ha group quota show'"))

    def _verdict(
        self, view: snapshot_client.View, server: str, hosts: list[Any],
        placing: recent.Placing, groups: Iterable[rules.Group],
        reading: occupancy.Reading,
    ) -> verdict.Verdict | _Refused:
        now = self._clock()
        own = reading.seen.get(server)
        evacuation = own is not None and own.evacuated
        stale = now - view.synced > self._client.settings.max_stale
        domains = self._domains(view.index, hosts, placing)
        rulings, reported = [], []
        for one in groups:
            group = one
            if group.mode is rules.GroupMode.OFF:
                continue
            if group.enforced and (stale or not reading.complete):
                reason = "stale" if stale else "occupancy"
                group, opened, closed = _unsure(
                    group, stale=stale, evacuation=evacuation)
                if closed:
                    return _Refused(reason, (
                        f"{_why(reason)}, and group {group.name} is closed "
                        f"then ({', '.join(map(rules.format_rule, closed))})"
                    ))
                if opened:
                    self._open(server, (group.id,), reason)
            group, where = self._gathered(
                group, server, hosts, placing, reading, now)
            if not group.enforced:
                # Judged as if, to count what it would refuse.
                reported.append(rules.judge_group(
                    dataclasses.replace(
                        group, mode=rules.GroupMode.ENFORCE),
                    where, domains, server, evacuation=evacuation))
                continue
            rulings.append(rules.judge_group(
                group, where, domains, server, evacuation=evacuation))
        known = domains.places(rules.Level.HOST)
        strangers = [h.host for h in hosts if h.host not in known]
        if reported:
            would = verdict.Verdict(reported, strangers)
            if len(would.passing(hosts)) < len(hosts):
                metrics.REQUESTS.labels("would").inc()
        return verdict.Verdict(rulings, strangers)

    def _gathered(
        self, group: rules.Group, server: str, hosts: Sequence[Any],
        placing: recent.Placing, reading: occupancy.Reading, now: float,
    ) -> tuple[rules.Group, dict[str, rules.Place]]:
        """The group with those who are about to join, and where all are."""
        members, seen = group.members, reading.seen
        where = {
            member: seen[member].place() for member in members
            if member in seen}
        if not reading.complete:
            self._from_hosts(members, where, hosts)
        for other in self._recent.with_groups((group.id,)):
            where.update(other.of_others(
                server, members, seen, now,
                own=other is placing and placing.judged is not None))
        own = seen.get(server)
        # What is being decided is where it goes: the end that it leaves
        # alone counts.
        where.pop(server, None)
        if own is not None and own.host and server in members:
            where[server] = (own.host,)
        more = where.keys() - members
        if more:
            group = dataclasses.replace(group, members=members | more)
        return group, where

    @staticmethod
    def _from_hosts(
        members: frozenset[str], where: dict[str, rules.Place],
        hosts: Sequence[Any],
    ) -> None:
        """What the scheduler itself heard of, better than nothing."""
        for state in hosts:
            for server in members.intersection(state.instances):
                where.setdefault(server, (state.host,))

    def _read(
        self, placing: recent.Placing, server: str,
        groups: Sequence[rules.Group],
    ) -> occupancy.Reading:
        now = self._clock()
        ids = {group.id for group in groups}
        known = placing.reading
        if (
            known is not None and known.complete and placing.servers
            and now - placing.read_at < REUSE_S and ids <= placing.groups
        ):
            return known
        servers = {server}
        for group in groups:
            servers |= group.members
        for other in self._recent.with_groups(ids):
            servers.update(other.servers)
        try:
            found = self._where.read(
                servers, self._client.settings.query_timeout)
        except Exception as error:
            metrics.ERRORS.labels("occupancy").inc()
            if self._pace.due("occupancy") is not None:
                LOG.warning(
                    "Where the members of HA groups are cannot be told: %s",
                    error, exc_info=True)
            found = occupancy.Reading({}, complete=False)
        placing.reading, placing.read_at = found, now
        return found

    def _domains(
        self, index: group_index.Index, hosts: Sequence[Any],
        placing: recent.Placing,
    ) -> rules.Domains:
        known = placing.domains
        if known is not None and known[0] is index.domains:
            return known[1]
        found = self._places.domains(index, hosts)
        placing.domains = (index.domains, found)
        return found

    def _ask(
        self, texts: Sequence[str], project_id: str | None,
    ) -> tuple[list[rules.Group], _Refused | None, list[str]]:
        """Groups that hints mean and that were not known here.

        :returns: the groups; what is refused without them; else why the
            server passes without them
        """
        settings = self._client.settings
        found: list[rules.Group] = []
        opened: list[str] = []
        for text in texts:
            group, asked = self._client.find_hinted(text, project_id)
            if group is not None:
                found.append(group)
                continue
            reason = "unknown-hint" if asked else "hint-not-asked"
            policy = settings.unknown_hint if asked else settings.on_unknown
            if policy == CLOSED:
                problem = (
                    "its project has no such group" if asked else
                    "no aacloud-groups could be asked in time")
                return found, _Refused(
                    reason, f"it is born with the hint {wanted.HINT}={text}, "
                    f"and {problem}"), opened
            opened.append(reason)
        return found, None, opened

    # -- what passes although -----------------------------------------------

    def _note_strangers(
        self, placing: recent.Placing, server: str, left: Sequence[Any],
    ) -> None:
        if placing.domains is None:
            return
        known = placing.domains[1].places(rules.Level.HOST)
        if any(state.host not in known for state in left):
            self._open(server, tuple(sorted(placing.groups)), "no-place")

    def _open(
        self, server: str | None, groups: tuple[str, ...], reason: str,
    ) -> None:
        metrics.FAIL_OPEN.labels(reason).inc()
        if server is not None:
            self._client.record(
                snapshot_client.FailOpen(server, groups, reason))
        held_back = self._pace.due(reason)
        if held_back is not None:
            LOG.warning(
                "Server %s is placed without its HA groups: %s%s", server,
                _why(reason), self._pace.text(held_back))

    def _failed(
        self, where: str, server: str | None, groups: tuple[str, ...],
        error: Exception,
    ) -> None:
        # Whatever is broken may break this, too.
        try:
            metrics.ERRORS.labels(where).inc()
            if self._pace.due(where) is not None:
                LOG.error(
                    "The %s of HA groups failed; server %s passes", where,
                    server, exc_info=error)
            if where == "filter":
                self._open(server, groups, "failed")
        except Exception:
            LOG.exception("A failure of HA groups could not be counted")


def _gathers(spec: Any) -> bool:
    """Whether a group of Nova's own wants all siblings on one host."""
    native = getattr(spec, "instance_group", None)
    return native is not None and native.policy == "affinity"


def _unsure(
    group: rules.Group, *, stale: bool, evacuation: bool,
) -> tuple[rules.Group, bool, list[rules.Rule]]:
    """The group when it, or where its members are, is not known.

    :returns: the group; whether a rule of it was opened; the rules that
        refuse every host
    """
    kept: list[rules.Rule] = []
    closed: list[rules.Rule] = []
    opened = False
    for rule in group.rules:
        if not rule.required or (
            rule.kind is rules.RuleKind.FENCE and not stale
        ):
            kept.append(rule)
        elif rule.on_unknown is rules.OnUnknown.OPEN:
            opened = True
            kept.append(dataclasses.replace(
                rule, strength=rules.Strength.PREFER))
        elif evacuation:
            kept.append(rule)
        else:
            closed.append(rule)
    return dataclasses.replace(group, rules=tuple(kept)), opened, closed


def _why(reason: str) -> str:
    return {
        "no-snapshot": "this scheduler knows no groups; see that "
        "aacloud-groups runs and that transport_url is right",
        "stale": "no aacloud-groups confirmed the groups for longer than "
        "max_stale",
        "occupancy": "not all cells told where its members are",
        "hint-not-asked": "no aacloud-groups could explain its hint in time",
        "unknown-hint": "its hint means no group of its project",
        "no-place": "it may go to a host without rack or data centre in the "
        "aggregates; see 'aacloud-manage topology check'",
        "failed": "the filter failed, see above",
    }.get(reason, reason)


def _reasons(found: verdict.Verdict, hosts: Sequence[Any]) -> str:
    told: dict[str, None] = {}
    for state in hosts:
        for text in found.of(state.host).reasons:
            told[text] = None
        if len(told) >= 5:
            break
    return "; ".join(list(told)[:5])
