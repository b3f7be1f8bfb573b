# SPDX-License-Identifier: Apache-2.0
"""Who watches whom."""

from __future__ import annotations

from collections import Counter
import random
import time

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.core.peers import assign_targets
from aacloud.core.topology import Host
from aacloud.core.topology import Topology
from aacloud.core.topology import Vantage
from tests.unit.core.builders import cloud

uneven = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=20,
).map(lambda places: Topology(hosts={
    f"h{n:02}": Host(name=f"h{n:02}", rack=f"d{dc}-r{rack}", dc=f"d{dc}")
    for n, (dc, rack) in enumerate(places)}))


@settings(max_examples=200)
@given(uneven, st.integers(1, 4))
def test_each_host_is_watched_from_each_place(topology, wanted):
    assignment = assign_targets(topology, wanted)
    assert set(assignment) == set(topology.hosts)
    watched: Counter[tuple[str, Vantage]] = Counter()
    for observer, targets in assignment.items():
        assert observer not in {t.host for t in targets}
        assert len({t.host for t in targets}) == len(targets)
        for target in targets:
            assert target.vantage is topology.vantage(observer, target.host)
            watched[target.host, target.vantage] += 1
    for host in topology.hosts:
        for vantage in Vantage:
            possible = sum(
                other != host and topology.vantage(other, host) is vantage
                for other in topology.hosts)
            assert watched[host, vantage] == min(wanted, possible)


@settings(max_examples=100)
@given(uneven, st.randoms(use_true_random=False))
def test_every_engine_comes_to_the_same_assignment(
    topology, shuffler: random.Random,
):
    hosts = list(topology.hosts.items())
    shuffler.shuffle(hosts)
    other = assign_targets(Topology(hosts=dict(hosts)))
    assert dict(other) == dict(assign_targets(topology))


@pytest.mark.parametrize("shape", [(2, 2, 2), (2, 4, 6), (1, 3, 4), (3, 2, 5)])
def test_work_is_shared_evenly_in_an_even_cloud(shape):
    assignment = assign_targets(cloud(*shape))
    sizes = [len(targets) for targets in assignment.values()]
    assert max(sizes) - min(sizes) <= 2


def test_a_host_alone_has_nobody_to_watch():
    assert assign_targets(cloud(1, 1, 1)) == {"dc1-r1-h1": ()}
    assert assign_targets(Topology(hosts={})) == {}


def test_none_at_all_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        assign_targets(cloud(), 0)


def test_a_large_cloud_is_assigned_quickly():
    topology = cloud(2, 25, 20)
    started = time.process_time()
    assignment = assign_targets(topology)
    assert time.process_time() - started < 5.0
    assert max(map(len, assignment.values())) <= 12
