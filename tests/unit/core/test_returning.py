# SPDX-License-Identifier: Apache-2.0
"""When a host may serve again."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
import pytest

from aacloud.core.observations import NETWORKS
from aacloud.core.returning import may_return
from aacloud.core.returning import ReturnFacts
from aacloud.core.returning import ReturnPolicy
from aacloud.core.returning import ReturnStep
from aacloud.core.verdicts import NetworkState
from tests.unit.core.builders import evacuation

WELL = ReturnFacts(
    agent_age_s=1.0, networks=dict.fromkeys(NETWORKS, NetworkState.UP),
    compute_reporting=True, compute_started_since_fence=True,
    forced_down=True, disabled_by_us=True, guests_elsewhere=(),
    open_evacuations=(), probes_clean_s=10.0)


def test_a_host_that_is_well_comes_back_in_order():
    decision = may_return(WELL)
    assert decision.go
    assert decision.wait_for == ()
    assert decision.steps == (
        ReturnStep.UNSET_FORCE_DOWN, ReturnStep.WAIT_COMPUTE_UP,
        ReturnStep.ENABLE)


def test_only_what_was_done_is_undone():
    ours = dataclasses.replace(WELL, disabled_by_us=False)
    assert ReturnStep.ENABLE not in may_return(ours).steps
    lifted = dataclasses.replace(WELL, forced_down=False)
    assert may_return(lifted).steps == (ReturnStep.ENABLE,)


@pytest.mark.parametrize(("change", "words"), [
    ({"agent_age_s": None}, "start aacloud-agent"),
    ({"agent_age_s": 7.0}, "last heard 7 s ago"),
    ({"compute_reporting": False}, "nova-compute to report"),
    ({"compute_started_since_fence": False}, "restart it"),
    ({"guests_elsewhere": ("g1", "g2")}, "g1, g2"),
    ({"guests_elsewhere": None}, "which guests run on it"),
    ({"open_evacuations": (evacuation(),)}, "7 of s1 (pre-migrating)"),
    ({"open_evacuations": tuple(evacuation(n) for n in range(9))},
     "and 4 more"),
    ({"open_evacuations": None}, "Nova to say"),
    ({"probes_clean_s": 9.0}, "so far 9 s"),
    ({"networks": {}}, "other hosts to probe it"),
    ({"networks": {"storage": NetworkState.DOWN}}, "storage network"),
    ({"networks": {"storage": NetworkState.UNKNOWN}}, "storage network"),
])
def test_what_is_missing_is_named(change, words):
    decision = may_return(dataclasses.replace(WELL, **change))
    assert not decision.go
    assert decision.steps == ()
    assert len(decision.wait_for) == 1
    assert words in decision.wait_for[0]


facts = st.builds(
    ReturnFacts, agent_age_s=st.sampled_from([None, 0.0, 5.0, 60.0]),
    networks=st.dictionaries(
        st.sampled_from(NETWORKS), st.sampled_from(NetworkState)),
    compute_reporting=st.booleans(),
    compute_started_since_fence=st.booleans(), forced_down=st.booleans(),
    disabled_by_us=st.booleans(),
    guests_elsewhere=st.sampled_from([None, (), ("g",)]),
    open_evacuations=st.sampled_from([None, (), (evacuation(),)]),
    probes_clean_s=st.floats(0.0, 20.0))


@given(facts)
def test_nothing_is_undone_while_a_second_copy_is_possible(seen):
    decision = may_return(seen, ReturnPolicy())
    assert decision.go is (not decision.wait_for)
    if decision.go:
        assert seen.guests_elsewhere == ()
        assert seen.open_evacuations == ()
        assert seen.compute_started_since_fence
        assert set(seen.networks.values()) == {NetworkState.UP}
    else:
        assert decision.steps == ()
