# SPDX-License-Identifier: Apache-2.0
"""The filter and the inspector say the same of every host."""

from hypothesis import given
from hypothesis import strategies as st

from aacloud.core import rules
from aacloud.core.topology import Topology
from tests.unit.scheduler import stage

CLOUD = stage.topology(3, 2, 2)
#: One host has no place in the topology.
NAMES = (*CLOUD.hosts, "stranger")
SERVERS = tuple(f"s{number}" for number in range(7))

RULES = (
    "spread:host", "spread:host:max=2", "spread:rack", "spread:rack:max=2",
    "spread:rack:max=2:on_unknown=closed", "spread:dc:max=3",
    "spread:dc:max_skew=1", "spread:rack:max_skew=1:min_domains=7",
    "spread:dc:max=3:max_skew=2", "spread:rack:prefer", "together:dc",
    "together:rack", "together:dc:prefer", "fence:dc:domains=d1,d2",
    "fence:rack:domains=d1-r1,d2-r1", "fence:dc:domains=d1:on_unknown=open",
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[
    tuple[rules.Group, ...], dict[str, str], str, frozenset[str],
]:
    """Groups, where servers are, one of them, and dead data centres."""
    groups = tuple(
        stage.group(
            f"g{number}",
            *draw(st.lists(st.sampled_from(RULES), min_size=1, max_size=3,
                           unique=True)),
            members=draw(st.sets(st.sampled_from(SERVERS), min_size=1)))
        for number in range(draw(st.integers(1, 3))))
    where = draw(st.dictionaries(
        st.sampled_from(SERVERS), st.sampled_from(NAMES)))
    member = draw(st.sampled_from(sorted(
        set().union(*(group.members for group in groups)))))
    dead = frozenset(draw(st.sets(st.sampled_from(["d1", "d3"]), max_size=1)))
    return groups, where, member, dead


def excesses(
    group: rules.Group, where: dict[str, str], domains: rules.Domains,
) -> list[int]:
    """What the inspector finds of each required rule."""
    report = rules.inspect(
        group, {server: (host,) for server, host in where.items()}, domains,
        age_s=0.0, blocked={})
    return [one.excess for one in report.rules if one.rule.required]


@given(worlds())
def test_on_every_host(
    world: tuple[
        tuple[rules.Group, ...], dict[str, str], str, frozenset[str]],
) -> None:
    groups, where, server, dead = world
    engine = stage.Engine(*groups, cloud=CLOUD)
    engine.dead = dead
    domains = rules.Domains(CLOUD, dead)
    concerned = [group for group in groups if server in group.members]
    expected = set()
    for host in NAMES:
        after = {**where, server: host}
        if all(
            now <= then
            for group in concerned
            for now, then in zip(
                excesses(group, after, domains),
                excesses(group, where, domains), strict=True)
        ):
            expected.add(host)
    decider = stage.decider(engine, stage.Cells(**where))
    hosts = [stage.State(name) for name in NAMES]
    assert {
        one.host for one in decider.passing(hosts, stage.Spec(server))
    } == expected
    # Also when each is the only one that Nova offers.
    for name in NAMES[::4]:
        alone = decider.passing([stage.State(name)], stage.Spec(server))
        assert bool(alone) is (name in expected)


@given(worlds(), st.integers(1, 4))
def test_siblings_as_if_they_were_members(
    world: tuple[
        tuple[rules.Group, ...], dict[str, str], str, frozenset[str]],
    count: int,
) -> None:
    groups, where, _, dead = world
    engine = stage.Engine(*groups, cloud=CLOUD)
    engine.dead = dead
    domains = rules.Domains(CLOUD, dead)
    grown = list(groups)
    names = [f"new{number}" for number in range(count)]
    decider = stage.decider(engine, stage.Cells(**where))
    spec = stage.Spec(
        names[0], *(group.name for group in groups), count=count)
    offered = [stage.State(name) for name in NAMES]
    for name in names:
        spec.instance_uuid = name
        passing = {
            one.host for one in decider.passing(offered, spec)}
        grown = [rules.Group(
            id=group.id, name=group.name, project_id=group.project_id,
            mode=group.mode, rules=group.rules,
            members=group.members | {name}, revision=1)
            for group in grown]
        expected = {
            host for host in NAMES
            if all(
                now <= then
                for group in grown
                for now, then in zip(
                    excesses(group, {**where, name: host}, domains),
                    excesses(group, where, domains), strict=True))}
        assert passing == expected
        if not passing:
            break
        chosen = min(passing)
        where = {**where, name: chosen}
        next(one for one in offered if one.host == chosen).consume()


def test_the_cloud_is_as_it_says() -> None:
    assert isinstance(CLOUD, Topology)
    assert len(CLOUD.hosts) == 12
