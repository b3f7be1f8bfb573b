# SPDX-License-Identifier: Apache-2.0
"""Small clouds, rules and groups, by hand and by chance."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses

from hypothesis import strategies as st

from aacloud.core import rules
from aacloud.core.topology import Host
from aacloud.core.topology import Topology

#: A host that is in no topology.
LOST = "lost"


def rules_of(*texts: str) -> tuple[rules.Rule, ...]:
    return tuple(rules.parse_rule(text) for text in texts)


def group_of(
    *texts: str, members: Iterable[str] = (),
    mode: rules.GroupMode = rules.GroupMode.ENFORCE,
) -> rules.Group:
    return rules.Group(
        id="g1", name="web", project_id="p1", mode=mode,
        rules=rules_of(*texts), members=frozenset(members), revision=7)


def on(*hosts: str) -> dict[str, rules.Place]:
    """Servers s0, s1, ... on these hosts."""
    return {f"s{n}": (host,) for n, host in enumerate(hosts)}


def shaped(*dcs: tuple[int, ...]) -> Topology:
    """A data centre for each tuple, a rack of so many hosts for each of its
    numbers."""
    return Topology(hosts={
        f"dc{d}-r{r}-h{h}": Host(
            name=f"dc{d}-r{r}-h{h}", rack=f"dc{d}-r{r}", dc=f"dc{d}")
        for d, racks in enumerate(dcs, 1)
        for r, hosts in enumerate(racks, 1)
        for h in range(1, hosts + 1)})


#: Clouds of at most 8 hosts, their racks and data centres uneven.
topologies = st.lists(
    st.lists(st.integers(1, 2), min_size=1, max_size=2).map(tuple),
    min_size=1, max_size=3,
).map(lambda dcs: shaped(*dcs)).filter(lambda t: len(t.hosts) <= 8)

_levels = st.sampled_from(rules.LEVELS)
_optional = st.none() | st.integers(1, 3)


@st.composite
def some_rules(draw, topology: Topology, required: bool | None = None):
    """Any rule, with names of the topology and sometimes another."""
    if required is None:
        required = draw(st.booleans())
    strength = (
        rules.Strength.REQUIRE if required else rules.Strength.PREFER)
    level = draw(_levels)
    kind = draw(st.sampled_from(
        [rules.RuleKind.SPREAD, *rules.RuleKind]))
    given: dict[str, object] = {
        "on_unknown": draw(st.sampled_from([None, *rules.OnUnknown])),
        "on_evacuate": draw(st.sampled_from([None, *rules.OnEvacuate]))}
    if kind is rules.RuleKind.SPREAD:
        given["max_per_domain"] = draw(_optional)
        given["max_skew"] = draw(_optional)
        if given["max_skew"]:
            given["min_domains"] = draw(_optional)
    elif kind is rules.RuleKind.FENCE:
        names = sorted({
            topology.domain_of(host, level) for host in topology.hosts})
        given["domains"] = tuple(draw(st.lists(
            st.sampled_from([*names, *names, "nowhere"]),
            min_size=1, max_size=3)))
    return rules.Rule(level, kind, strength, **given)


@dataclasses.dataclass(frozen=True)
class World:
    group: rules.Group
    occupancy: dict[str, rules.Place]
    domains: rules.Domains

    @property
    def topology(self) -> Topology:
        return self.domains.topology

    def with_server(self, server: str, host: str) -> World:
        """The world once that member has landed on the host."""
        return World(
            dataclasses.replace(
                self.group, members=self.group.members | {server}),
            {**self.occupancy, server: (host,)}, self.domains)

    def excesses(self) -> list[int]:
        """The excess of each rule, by the inspector."""
        report = rules.inspect(
            self.group, self.occupancy, self.domains, age_s=0.0)
        return [rule.excess for rule in report.rules]


@st.composite
def some_worlds(
    draw, members: int = 5, most_rules: int = 3, moving: bool = True,
) -> World:
    topology = draw(topologies)
    hosts = sorted(topology.hosts)
    host = st.sampled_from([*hosts, *hosts, LOST])
    places = [st.just(()), *[host.map(lambda h: (h,))] * 6]
    if moving:
        places.append(st.tuples(host, host).filter(lambda p: p[0] != p[1]))
    count = draw(st.integers(0, members))
    occupancy = {
        f"s{n}": draw(st.one_of(places)) for n in range(count)}
    # Somebody else's server is none of the group's.
    occupancy["other"] = (hosts[0],)
    group = rules.Group(
        id="g1", name="web", project_id="p1", mode=rules.GroupMode.ENFORCE,
        rules=tuple(draw(st.lists(
            some_rules(topology), min_size=1, max_size=most_rules))),
        members=frozenset(f"s{n}" for n in range(count)), revision=1)
    dead = draw(st.sets(st.sampled_from(
        ["dc1", "dc2"]), max_size=1)) & set(topology.dcs())
    closed = draw(st.sets(st.sampled_from(hosts), max_size=2))
    return World(group, occupancy, rules.Domains(topology, dead, closed))
