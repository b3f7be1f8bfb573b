# SPDX-License-Identifier: Apache-2.0
"""When a host is proved to be off."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
import pytest

from aacloud.core.fences import FenceEvidence
from aacloud.core.fences import OPERATOR
from aacloud.core.fences import PowerState
from aacloud.core.fences import Proof
from aacloud.core.fences import prove
from tests.unit.core.builders import later
from tests.unit.core.builders import UTC_NOW

ON, OFF, UNKNOWN = PowerState.ON, PowerState.OFF, PowerState.UNKNOWN


def leg(driver="redfish", power=OFF, at=0.0, strength="strong"):
    return FenceEvidence(
        driver=driver, strength=strength, power=power,
        read_at_utc=later(at), detail="GET /redfish/v1/Systems/1")


def operator(at=0.0):
    return leg(OPERATOR, at=at)


def weak(driver, power=OFF, at=0.0):
    return leg(driver, power, at, "weak")


@pytest.mark.parametrize(("legs", "proven"), [
    ([], False),
    ([leg()], True),
    ([leg(power=ON)], False),
    ([leg(power=UNKNOWN)], False),
    ([leg("noop", strength="none")], False),
    ([leg("noop", strength="none"), weak("switch")], False),
    ([weak("switch")], False),
    ([weak("switch"), weak("switch", at=1)], False),
    ([weak("switch"), weak("pdu-load")], True),
    ([weak("switch"), weak("pdu-load", ON)], False),
    ([weak("switch"), weak("pdu-load", UNKNOWN)], False),
    ([operator()], True),
    ([operator(), leg(power=UNKNOWN)], True),
    # A BMC that says On for ever must not stop a person who knows better.
    ([operator(), leg(power=ON, at=5)], True),
    # The newest reading of a driver counts, in whatever order they come.
    ([leg(power=ON), leg(at=3)], True),
    ([leg(at=3), leg(power=ON)], True),
    ([leg(), leg(power=ON, at=3)], False),
    ([leg(), leg(power=ON)], False),
    ([leg(), leg(strength="weak")], False),
    ([leg(strength="weak"), leg()], False),
    # A reading that failed does not take back an earlier one.
    ([leg(), leg(power=UNKNOWN, at=3)], True),
    ([leg(power=ON), leg(power=UNKNOWN, at=3)], False),
    # Legs that contradict each other prove nothing.
    ([leg("redfish"), leg("ipmi", ON)], False),
    ([leg("redfish"), weak("switch", ON)], False),
    ([leg("redfish"), leg("noop", ON, strength="none")], True),
])
def test_what_proves(legs, proven):
    proof = prove(legs, later(-10.0))
    assert proof.proven is proven
    assert proof.legs == tuple(legs)
    assert proof.reasons
    assert (proof.proven_at_utc is not None) is proven
    if not proven:
        assert "confirm-fenced" in proof.reasons[-1]


@pytest.mark.parametrize("legs", [
    [leg()], [operator()], [weak("a"), weak("b")],
    [leg(), operator(), weak("a")]])
@pytest.mark.parametrize("after", [0.0, 0.001, 60.0])
def test_a_sign_of_life_voids_every_proof_before_it(legs, after):
    proof = prove(legs, later(after))
    assert not proof.proven
    assert "showed life" in " ".join(proof.reasons)


def test_what_is_read_after_the_sign_of_life_counts():
    assert prove([leg(at=5.0)], later(4.9)).proven
    assert prove([leg(at=5.0), leg(at=1.0)], later(4.9)).proven
    assert not prove([weak("a", at=5.0), weak("b", at=1.0)],
                     later(4.9)).proven
    assert prove([leg()], None).proven


@pytest.mark.parametrize(("now", "proven"), [
    (5.1, False), (12.8, False), (12.9, True), (60.0, True)])
@pytest.mark.parametrize("off", [leg(at=5.0), operator(at=5.0)])
def test_a_host_that_answered_just_before_must_be_silent_first(
    off, now, proven,
):
    """Between two answers of a living host its controller may say Off."""
    proof = prove([off], later(4.9), now_utc=later(now), quiet_s=8.0)
    assert proof.proven is proven
    if proven:
        assert proof.proven_at_utc == later(5.0)
    else:
        assert "showed life" in proof.reasons[-1]
        assert "silent for 8 s" in proof.reasons[-1]
    assert prove([off], None, now_utc=later(now), quiet_s=8.0).proven


def test_the_moment_of_the_proof():
    assert prove([leg(at=3), leg("ipmi", at=5)], None).proven_at_utc == (
        later(5))
    assert prove([weak("a", at=1), weak("b", at=4), weak("c", at=9)],
                 None).proven_at_utc == later(4)
    assert prove([operator(at=2), leg(at=1)], None).proven_at_utc == later(2)


def test_reasons_tell_what_was_read_and_what_to_do():
    proof = prove([
        leg("redfish", UNKNOWN), leg("ipmi", ON, at=1)], None)
    text = "\n".join(proof.reasons)
    assert "redfish: power state not known (GET" in text
    assert "ipmi reads on at 2030-01-02T03:04:06+00:00" in text
    assert "openstack ha incident confirm-fenced" in text


def test_a_proof_survives_the_journal():
    proof = prove([leg(), operator(1.0), weak("a", UNKNOWN)], UTC_NOW)
    data = json.loads(json.dumps(proof.as_dict()))
    assert Proof.from_dict(data) == proof
    unproven = prove([], None)
    assert Proof.from_dict(unproven.as_dict()) == unproven


legs_of_any_kind = st.lists(st.builds(
    leg, st.sampled_from(["redfish", "ipmi", "switch", OPERATOR]),
    st.sampled_from(PowerState), st.integers(-5, 5).map(float),
    st.sampled_from(["strong", "weak", "none"])), max_size=6)


@given(legs_of_any_kind, st.integers(-6, 6), st.randoms())
def test_no_proof_without_an_off_that_is_newer_than_life(
    legs, life, shuffler,
):
    proof = prove(legs, later(life))
    if proof.proven:
        good = [x for x in legs if x.power is OFF and x.strength != "none"
                and x.read_at_utc > later(life)]
        assert good
        assert any(x.strength == "strong" or x.driver == OPERATOR
                   for x in good) or len({x.driver for x in good}) > 1
        assert proof.proven_at_utc > later(life)
    mixed = list(legs)
    shuffler.shuffle(mixed)
    again = prove(mixed, later(life))
    assert again.proven is proof.proven
    assert again.proven_at_utc == proof.proven_at_utc


@given(legs_of_any_kind, st.integers(-6, 6), st.integers(0, 10))
def test_later_life_never_helps(legs, life, more):
    if not prove(legs, later(life)).proven:
        # What was too old stays too old, except an On that was a reading.
        later_proof = prove(legs, later(life + more))
        assert not later_proof.proven


@given(legs_of_any_kind)
def test_commands_results_are_no_evidence(legs):
    """All unknown: nothing is proved, whatever was commanded."""
    blind = [leg(x.driver, UNKNOWN, 0.0, x.strength) for x in legs]
    assert not prove(blind, None).proven
