# SPDX-License-Identifier: Apache-2.0
"""What schedulers are told of the HA server groups, and what they tell.

A scheduler asks any instance of ``aacloud-groups`` on ``aacloud.groups``
(exchange ``aacloud``), and hears on the fanout ``aacloud.groups.changed``
that it should. Arguments and answers are JSON-able:

=================  ==============================  =======================
method             arguments                       answer
=================  ==============================  =======================
get_snapshot       ``known_revision``: int, null,  a snapshot, see below
                   ``topology``: digest, null
ack                ``scheduler``, ``revision``     ``{}``
record_fail_open   ``server``, ``groups``: ids,    ``{}``
                   ``reason``, ``scheduler``
changed (fanout)   ``revision``                    nothing
=================  ==============================  =======================

An engine that cannot answer answers ``{"unavailable": "<why>"}``. A
snapshot::

    {"format": 1, "revision": 17, "generated_at": "2026-05-04T03:02:01+00:00",
     "groups": [{"id", "name", "project_id", "mode", "revision",
                 "rules": [<rules.rule_to_dict>, …], "members": [<uuid>, …]},
                …],
     "dead_dcs": ["dc2"], "closed_hosts": ["dc1-r1-h3"],
     "full_projects": ["5f0c…"],
     "member_limits": {"usual": 1000, "projects": {"5f0c…": 5}},
     "topology": {"dc1-r1-h1": ["dc1-r1", "dc1"], …}}

With ``"since": 15`` it is what changed after revision 15, and ``"gone"``
names the groups that were deleted. ``topology``, ``dead_dcs``,
``closed_hosts`` (hosts that take no servers for long), ``full_projects``
(they may have no more members) and ``member_limits`` (how many members all
groups of a project may have, -1: any number; ``usual`` holds for projects that
are not named) may be left out or null: they are as they were. A snapshot of
another ``format`` is refused.

A scheduler that knows ``member_limits`` counts what is left itself, and so
needs no ``full_projects``; it is for those that do not.

``topology`` in the question is the digest of what the scheduler has; the
topology is told whenever it is not that of the engine, also to a scheduler
of version 1.0, which sends no digest. One that meets an engine of version
1.0 asks it as that version does.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import hashlib
import time
from typing import Any

from oslo_context import context as oslo_context
import oslo_messaging

from aacloud.core import rules as core_rules
from aacloud.core import topology as core_topology
from aacloud.rpc import envelope
from aacloud.rpc import groups
from aacloud.rpc import groups_server
from aacloud.rpc import messaging

FORMAT = 1

#: Entries of a list: groups of a cloud, members of a group, hosts.
MAX_ENTRIES = 1_000_000

#: Seconds for which an engine of version 1.0 is asked as such, before the
#: newer question is tried again.
OLD_ENGINE_S = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class MemberLimits:
    """How many members all groups of a project may have; -1: any number.

    :ivar usual: of projects that are not in ``projects``
    """

    usual: int
    projects: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def of(self, project: str) -> int:
        """Return the limit of a project."""
        return self.projects.get(project, self.usual)


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """Groups with their rules and members, or what changed of them.

    :ivar since: None when these are all groups, else the revision after
        which these changed
    :ivar gone: ids of groups that were deleted since
    :ivar topology: None when it is as it was
    :ivar dead_dcs: data centres that are lost; None when as they were
    :ivar closed_hosts: hosts that take no servers for long; None: as before
    :ivar full_projects: projects that may have no more members of groups;
        None: as before
    :ivar member_limits: how many they may have; None: as before
    :ivar skipped: ids of groups that are not understood here, such as those
        with a kind of rule that a newer engine knows
    """

    revision: int
    generated_at: datetime.datetime
    groups: tuple[core_rules.Group, ...] = ()
    since: int | None = None
    gone: tuple[str, ...] = ()
    topology: core_topology.Topology | None = None
    dead_dcs: frozenset[str] | None = None
    closed_hosts: frozenset[str] | None = None
    full_projects: frozenset[str] | None = None
    member_limits: MemberLimits | None = None
    skipped: tuple[str, ...] = ()


class Unavailable(Exception):
    """No snapshot can be had now; the text says why."""


class NoAnswer(Unavailable):
    """An engine may have got the question, and did not answer in time."""


class _OldEngine(Exception):
    """An engine does not know this version of the question."""


def topology_digest(topology: core_topology.Topology) -> str:
    """Return what tells topologies apart: those alike have the same."""
    found = hashlib.sha256()
    for host in sorted(topology.hosts.values(), key=lambda one: one.name):
        # No name has a zero in it.
        found.update(
            f"{host.name}\0{host.rack}\0{host.dc}\0\0".encode())
    return found.hexdigest()


def group_body(group: core_rules.Group) -> dict[str, Any]:
    """Return a group as it travels."""
    return {
        "id": group.id,
        "name": group.name,
        "project_id": group.project_id,
        "mode": group.mode.value,
        "revision": group.revision,
        "rules": [core_rules.rule_to_dict(rule) for rule in group.rules],
        "members": sorted(group.members),
    }


def snapshot_body(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as it travels."""
    body: dict[str, Any] = {
        "format": FORMAT,
        "revision": snapshot.revision,
        "generated_at": snapshot.generated_at.astimezone(
            datetime.timezone.utc).isoformat(),
        "groups": [group_body(group) for group in snapshot.groups],
    }
    if snapshot.since is not None:
        body["since"] = snapshot.since
        body["gone"] = list(snapshot.gone)
    if snapshot.topology is not None:
        body["topology"] = {
            host.name: [host.rack, host.dc]
            for host in snapshot.topology.hosts.values()}
    if snapshot.dead_dcs is not None:
        body["dead_dcs"] = sorted(snapshot.dead_dcs)
    if snapshot.closed_hosts is not None:
        body["closed_hosts"] = sorted(snapshot.closed_hosts)
    if snapshot.full_projects is not None:
        body["full_projects"] = sorted(snapshot.full_projects)
    if snapshot.member_limits is not None:
        body["member_limits"] = {
            "usual": snapshot.member_limits.usual,
            "projects": dict(snapshot.member_limits.projects),
        }
    return body


class Reader:
    """Reads snapshots; remembers rules, since most groups share theirs."""

    def __init__(self) -> None:
        self._rules: dict[tuple[object, ...], core_rules.Rule] = {}

    def read(self, body: object) -> Snapshot:
        """Make a snapshot of what an engine answered or a file held.

        :raises Unavailable: the engine says that it cannot tell
        :raises envelope.MessageError: ``newer-version`` for another format,
            ``malformed`` for what is no snapshot
        """
        if not isinstance(body, Mapping):
            raise envelope.malformed("the snapshot is not an object")
        for key in ("unavailable", "refused"):
            if key in body:
                raise Unavailable(str(body[key])[:1000])
        if body.get("format") != FORMAT:
            raise envelope.MessageError(
                "newer-version",
                f"the snapshot has format {body.get('format')!r}, this "
                f"aacloud knows format {FORMAT}: run the same version of "
                "aacloud in the schedulers and of aacloud-groups")
        since = body.get("since")
        found: list[core_rules.Group] = []
        skipped: list[str] = []
        for entry in envelope.list_of(body, "groups", MAX_ENTRIES):
            group_id = _text(entry, "id")
            try:
                found.append(self._group(group_id, entry))
            except (envelope.MessageError, TypeError, ValueError):
                skipped.append(group_id)
        return Snapshot(
            revision=envelope.count_of(body, "revision"),
            generated_at=_moment(body),
            groups=tuple(found),
            since=None if since is None else envelope.count_of(body, "since"),
            gone=() if since is None else tuple(_names(body, "gone") or ()),
            topology=_topology(body.get("topology")),
            dead_dcs=_names(body, "dead_dcs"),
            closed_hosts=_names(body, "closed_hosts"),
            full_projects=_names(body, "full_projects"),
            member_limits=_limits(body.get("member_limits")),
            skipped=tuple(skipped),
        )

    def _group(
        self, group_id: str, entry: Mapping[str, Any],
    ) -> core_rules.Group:
        return core_rules.Group(
            id=group_id,
            name=_text(entry, "name"),
            project_id=_text(entry, "project_id"),
            mode=core_rules.GroupMode(entry.get("mode")),
            rules=tuple(
                self._rule(rule)
                for rule in envelope.list_of(entry, "rules", MAX_ENTRIES)),
            members=_names(entry, "members") or frozenset(),
            revision=envelope.count_of(entry, "revision"),
        )

    def _rule(self, content: object) -> core_rules.Rule:
        if not isinstance(content, Mapping):
            return core_rules.rule_from_dict(content)
        try:
            key = tuple(
                (name, tuple(value) if isinstance(value, list) else value)
                for name, value in content.items())
            found = self._rules.get(key)
        except TypeError:
            return core_rules.rule_from_dict(content)
        if found is None:
            found = core_rules.rule_from_dict(content)
            if len(self._rules) >= 4096:
                self._rules.clear()
            self._rules[key] = found
        return found


def _text(entry: object, key: str) -> str:
    if not isinstance(entry, Mapping):
        raise envelope.malformed("a group is not an object")
    value = entry.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= envelope.MAX_NAME:
        raise envelope.malformed(f"{key!r} of a group is not a short text")
    return value


def _names(source: Mapping[str, Any], key: str) -> frozenset[str] | None:
    if source.get(key) is None:
        return None
    names = envelope.list_of(source, key, MAX_ENTRIES)
    for name in names:
        if not isinstance(name, str):
            raise envelope.malformed(f"{key!r} holds {name!r}, not a name")
    return frozenset(names)


def _limits(content: object) -> MemberLimits | None:
    if content is None:
        return None
    projects = content.get("projects") if isinstance(
        content, Mapping) else None
    if not isinstance(content, Mapping) or not isinstance(projects, Mapping):
        raise envelope.malformed("'member_limits' is not an object")
    for limit in (content.get("usual"), *projects.values()):
        if not isinstance(limit, int) or limit < -1:
            raise envelope.malformed(f"'member_limits' holds {limit!r}")
    return MemberLimits(content["usual"], dict(projects))


def _moment(source: Mapping[str, Any]) -> datetime.datetime:
    try:
        found = datetime.datetime.fromisoformat(
            envelope.text_of(source, "generated_at"))
    except ValueError as error:
        raise envelope.malformed("'generated_at' is not a time") from error
    if found.tzinfo is None:
        raise envelope.malformed("'generated_at' has no time zone")
    return found


def _topology(content: object) -> core_topology.Topology | None:
    if content is None:
        return None
    if not isinstance(content, Mapping) or len(content) > MAX_ENTRIES:
        raise envelope.malformed("'topology' is not an object")
    hosts = {}
    for name, place in content.items():
        if (
            not isinstance(name, str) or not isinstance(place, Sequence)
            or len(place) != 2
            or not all(isinstance(part, str) for part in place)
        ):
            raise envelope.malformed(
                "'topology' names a host without its rack and data centre")
        hosts[name] = core_topology.Host(name, place[0], place[1])
    return core_topology.Topology(hosts=hosts)


class SnapshotClient:
    """The scheduler's end. Every call ends, also when messaging is down.

    A call ends at once when no engine listens: RabbitMQ gives back what it
    has no queue for. Else it would be lost, and its answer waited for; that
    is so for a moment after RabbitMQ was started, since queues go with it.

    :param transport: of :func:`messaging.init`
    """

    def __init__(self, transport: messaging.RPCTransport) -> None:
        self._reader = Reader()
        self._old_until = float("-inf")
        self._client = messaging.get_client(
            transport,
            oslo_messaging.Target(
                exchange=groups.EXCHANGE, topic=groups.TOPIC,
                version=groups.VERSION),
            timeout=groups.ASK_S,
        )

    def get_snapshot(
        self, known_revision: int | None, timeout_s: float,
        topology: str | None = None,
    ) -> Snapshot:
        """Ask for all groups (None), or for what changed since.

        :param topology: digest of the topology that is known here
        :raises Unavailable: no engine can tell now; NoAnswer: in that time
        :raises envelope.MessageError: the answer is of another version, or
            not understood
        """
        if time.monotonic() >= self._old_until:
            try:
                return self._reader.read(self._call(
                    "get_snapshot", timeout_s, groups.SNAPSHOT_VERSION,
                    known_revision=known_revision, topology=topology))
            except _OldEngine:
                self._old_until = time.monotonic() + OLD_ENGINE_S
        return self._reader.read(self._call(
            "get_snapshot", timeout_s, known_revision=known_revision))

    def ack(self, scheduler: str, revision: int) -> None:
        """Tell with which revision a scheduler works, and that it lives.

        :raises Unavailable: it could not be told
        """
        self._tell("ack", scheduler=scheduler, revision=revision)

    def record_fail_open(
        self, scheduler: str, server: str, wanted: Iterable[str], reason: str,
    ) -> None:
        """Tell that a server passed while something was not known.

        :param wanted: ids of the groups, as far as known
        :raises Unavailable: it could not be told
        """
        answer = self._call(
            "record_fail_open", groups.ASK_S, scheduler=scheduler,
            server=server, groups=list(wanted), reason=reason)
        if not isinstance(answer, Mapping) or "unavailable" in answer:
            raise Unavailable(f"it was not recorded: {answer!r}"[:1000])

    def _call(
        self, method: str, timeout_s: float, version: str = groups.VERSION,
        **keys: object,
    ) -> object:
        try:
            return self._client.prepare(
                timeout=timeout_s, version=version,
                transport_options=oslo_messaging.TransportOptions(
                    at_least_once=True),
            ).call(
                oslo_context.RequestContext(overwrite=False), method, **keys)
        except oslo_messaging.MessagingTimeout as error:
            raise NoAnswer(
                f"no aacloud-groups answered {method} within "
                f"{timeout_s:.1f} s; see that one runs") from error
        except oslo_messaging.MessageUndeliverable as error:
            raise Unavailable(
                f"no aacloud-groups listens, so {method} was not asked; see "
                "that one runs"
            ) from error
        except oslo_messaging.RemoteError as error:
            if (
                version != groups.VERSION and error.exc_type
                == oslo_messaging.UnsupportedVersion.__name__
            ):
                raise _OldEngine from error
            raise Unavailable(
                f"aacloud-groups failed at {method}; its log says why: "
                f"{error}") from error
        except oslo_messaging.MessagingException as error:
            if (
                version != groups.VERSION
                and isinstance(error, oslo_messaging.UnsupportedVersion)
            ):
                # So says the in-process bus.
                raise _OldEngine from error
            raise Unavailable(
                f"messaging cannot be reached, so {method} was not asked "
                f"({error}); check transport_url and that RabbitMQ runs"
            ) from error

    def _tell(self, method: str, **keys: object) -> None:
        try:
            self._client.cast(
                oslo_context.RequestContext(overwrite=False), method, **keys)
        except oslo_messaging.MessagingException as error:
            raise Unavailable(
                f"messaging cannot be reached, so {method} was not told "
                f"({error})") from error


#: Returns the server that hears of new revisions: see there.
changes_server = groups_server.changed_server
