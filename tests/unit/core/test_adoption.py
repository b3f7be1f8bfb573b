# SPDX-License-Identifier: Apache-2.0
"""What to do about one evacuation, case by case."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.core.adoption import Adopt
from aacloud.core.adoption import AdoptionPolicy
from aacloud.core.adoption import decide_evacuate
from aacloud.core.adoption import Failed
from aacloud.core.adoption import Landed
from aacloud.core.adoption import Manual
from aacloud.core.adoption import Send
from aacloud.core.adoption import Wait
from aacloud.core.incidents import ServerState
from aacloud.core.retries import FailureKind
from tests.unit.core.builders import evacuation
from tests.unit.core.builders import later
from tests.unit.core.builders import record
from tests.unit.core.builders import server
from tests.unit.core.builders import UTC_NOW

S = ServerState
SOURCE, DEST = "dc1-r1-h1", "dc1-r1-h2"
POLICY = AdoptionPolicy(request_grace_s=20.0)
NOT_SENT = (S.PENDING, S.CLAIMED, S.RETRY)


def decide(
    state=S.REQUESTED, migrations=(), *, now=30.0, watched=5.0, fenced=(),
    gone=False, here=None, **changes,
):
    return decide_evacuate(
        record(state=state, **changes), here or server(), migrations,
        later(now), POLICY, watched_s=watched, fenced=fenced, gone=gone)


@pytest.mark.parametrize("state", NOT_SENT)
def test_what_was_never_sent_is_sent(state):
    assert isinstance(decide(state), Send)


@pytest.mark.parametrize(("watched", "outcome"), [
    (0.0, Wait), (19.9, Wait), (20.0, Send), (500.0, Send)])
def test_a_request_without_a_trace_waits_for_its_grace(watched, outcome):
    assert isinstance(decide(watched=watched), outcome)


@pytest.mark.parametrize("skew", [-86400.0, -20.0, 20.0, 86400.0])
def test_the_grace_does_not_depend_on_anybodys_wall_clock(skew):
    old = {"requested_at": later(skew)}
    assert isinstance(decide(watched=19.0, **old), Wait)
    assert isinstance(decide(watched=21.0, **old), Send)


def test_a_request_that_nova_took_is_never_sent_again():
    for watched in (0.0, 100.0, 1799.0):
        assert isinstance(
            decide(watched=watched, request_id="req-1"), Wait)
    stuck = decide(watched=1801.0, request_id="req-1")
    assert isinstance(stuck, Manual)
    assert stuck.reason_code == "stuck"


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("status", ["accepted", "pre-migrating", "strange"])
def test_what_is_under_way_is_adopted_in_any_state(state, status):
    found = decide(state, [evacuation(status=status)], watched=1e6)
    assert isinstance(found, Adopt)
    assert found.migration.id == 7


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
def test_an_evacuation_is_known_by_its_id_whatever_novas_clock_says(skew):
    mine = evacuation(created_at_utc=later(skew), updated_at_utc=None,
                      status="pre-migrating")
    # A day off may look stuck; it is never sent again.
    assert isinstance(decide(migrations=[mine], now=60.0), (Adopt, Manual))
    past = decide(migrations=[mine], past_migrations=(7,), watched=25.0)
    assert isinstance(past, Send)


@pytest.mark.parametrize("other", [
    evacuation(uuid="another"),
    evacuation(type="live-migration", source="elsewhere"),
])
def test_migrations_of_others_do_not_count(other):
    assert isinstance(decide(S.CLAIMED, [other]), Send)


@pytest.mark.parametrize("status", ["done", "completed"])
def test_landed(status):
    found = decide(S.MIGRATING, [evacuation(status=status)],
                   here=server(host=DEST))
    assert found == Landed(DEST, evacuation(status=status), found.reason)


def test_landed_but_nova_still_works_on_it():
    assert isinstance(
        decide(S.MIGRATING, [evacuation(status="done")],
               here=server(host=DEST, task_state="rebuild_spawning")), Wait)


@pytest.mark.parametrize("status", ["accepted", "pre-migrating"])
def test_landed_though_the_record_lags_behind(status):
    """Or for ever: Nova may write the outcome into an older record."""
    found = decide(S.MIGRATING, [evacuation(status=status)],
                   here=server(host=DEST), now=9999.0)
    assert isinstance(found, Landed)
    assert isinstance(
        decide(S.MIGRATING, [evacuation(status=status)],
               here=server(host=DEST, task_state="rebuild_spawning")), Adopt)


def test_moved_by_somebody_else():
    found = decide(S.CLAIMED, here=server(host="dc2-r1-h1"))
    assert isinstance(found, Landed)
    assert found.migration is None
    assert "something else" in found.reason


@pytest.mark.parametrize("status", ["failed", "error"])
def test_failed(status):
    found = decide(S.MIGRATING, [evacuation(status=status)],
                   here=server(vm_state="error"))
    assert isinstance(found, Failed)
    assert found.kind is FailureKind.MIGRATION_FAILED
    assert found.settled == (7,)


def test_failed_counts_only_when_nova_is_through():
    assert isinstance(
        decide(S.MIGRATING, [evacuation(status="failed")],
               here=server(task_state="rebuilding")), Wait)


def test_a_failed_try_is_not_counted_twice():
    """The second attempt was not sent yet: the old failure is the past."""
    failed = evacuation(status="failed")
    assert isinstance(
        decide(S.CLAIMED, [failed], past_migrations=(7,)), Send)
    assert isinstance(
        decide(S.REQUESTED, [failed], past_migrations=(7,)), Wait)
    both = [failed, evacuation(8, "error")]
    found = decide(S.REQUESTED, both, past_migrations=(7,))
    assert isinstance(found, Failed)
    assert found.settled == (8,)


def test_the_newest_of_several_is_followed():
    found = decide(migrations=[
        evacuation(7), evacuation(9), evacuation(8, "failed")])
    assert isinstance(found, Adopt)
    assert found.migration.id == 9


@pytest.mark.parametrize(("here", "migrations"), [
    (None, ()), (server(), None), (None, None)])
@pytest.mark.parametrize("state", list(S))
def test_when_nova_does_not_answer_nothing_is_known(state, here, migrations):
    outcome = decide_evacuate(
        record(state=state), here, migrations, UTC_NOW, POLICY,
        watched_s=1e9)
    assert isinstance(outcome, Wait)


def test_a_deleted_server_needs_nothing():
    found = decide(gone=True)
    assert isinstance(found, Manual)
    assert found.reason_code == "deleted"


def test_the_destination_died_in_the_middle():
    """Only with a fence proof of the destination is the next one tried."""
    running = [evacuation()]
    assert isinstance(decide(S.MIGRATING, running), Adopt)
    found = decide(S.MIGRATING, running, fenced={SOURCE, DEST})
    assert isinstance(found, Failed)
    assert found.kind is FailureKind.DESTINATION_DIED
    assert found.settled == (7,)
    # Then the stuck record is the past, and so is the task state it left.
    stale = {"past_migrations": (7,), "destination": "dc1-r2-h1",
             "here": server(task_state="rebuild_spawning")}
    assert isinstance(
        decide(S.CLAIMED, running, fenced={SOURCE, DEST}, **stale), Send)
    assert isinstance(decide(S.CLAIMED, running, **stale), Wait)


@pytest.mark.parametrize("status", ["pre-migrating", "done"])
def test_a_server_that_landed_on_a_dead_host_is_the_next_incidents(status):
    found = decide(
        S.MIGRATING, [evacuation(status=status)], fenced={SOURCE, DEST},
        here=server(host=DEST))
    assert isinstance(found, Manual)
    assert found.reason_code == "handed-over"


@pytest.mark.parametrize(("status", "idle", "outcome"), [
    ("accepted", 599.0, Adopt), ("accepted", 601.0, Manual),
    ("pre-migrating", 1799.0, Adopt), ("pre-migrating", 1801.0, Manual)])
def test_an_evacuation_that_hangs_is_given_to_a_person(status, idle, outcome):
    found = decide(S.MIGRATING, [evacuation(status=status)], now=idle)
    assert isinstance(found, outcome)
    if outcome is Manual:
        assert found.reason_code == "stuck"


@pytest.mark.parametrize("here", [
    server(task_state="rebuilding"),
    server(task_state="rebuild_block_device_mapping"),
])
@pytest.mark.parametrize("state", [S.CLAIMED, S.REQUESTED])
def test_nova_works_on_it_without_a_record(state, here):
    assert isinstance(decide(state, here=here, watched=100.0), Wait)


@pytest.mark.parametrize("task", ["powering-off", "image_snapshot"])
def test_a_stale_task_of_the_dead_host_does_not_stop_it(task):
    assert isinstance(decide(S.CLAIMED, here=server(task_state=task)), Send)


@pytest.mark.parametrize(("here", "migrations", "code"), [
    (server(task_state="migrating"), (), "in-transit"),
    (server(), (evacuation(type="live-migration", status="running"),),
     "in-transit"),
    (server(), (evacuation(type="resize", status="migrating"),),
     "in-transit"),
    (server(task_state="deleting"), (), "deleting"),
    (server(vm_state="paused"), (), "vm-state"),
    (server(vm_state="resized"), (), "vm-state"),
])
@pytest.mark.parametrize("state", [S.CLAIMED, S.REQUESTED])
def test_what_may_not_be_evacuated(state, here, migrations, code):
    found = decide(state, migrations, here=here, watched=100.0)
    assert isinstance(found, Manual)
    assert found.reason_code == code


def test_a_live_migration_that_ended_is_no_hindrance():
    ended = evacuation(3, "completed", type="live-migration")
    assert isinstance(decide(S.CLAIMED, [ended]), Send)


def test_done_but_still_at_the_source_waits():
    assert isinstance(
        decide(S.MIGRATING, [evacuation(status="done")]), Wait)


@pytest.mark.parametrize("state", [S.MIGRATING, S.LANDED])
def test_what_vanished_is_not_sent_again(state):
    assert isinstance(decide(state, watched=1000.0), Wait)
    assert isinstance(decide(state, watched=2000.0), Manual)


migrations_of_any_kind = st.lists(st.builds(
    evacuation, st.integers(1, 5),
    st.sampled_from(["accepted", "pre-migrating", "done", "completed",
                     "failed", "error", "running", "?"]),
    st.sampled_from(["s1", "s1", "other"]),
    st.sampled_from([DEST, "dc1-r2-h1", None]),
    type=st.sampled_from(["evacuation", "evacuation", "live-migration"]),
    created_at_utc=st.integers(-9999, 9999).map(later),
), max_size=4, unique_by=lambda m: m.id)


@settings(max_examples=400)
@given(
    st.sampled_from(S), migrations_of_any_kind,
    st.sampled_from([None, "rebuilding", "powering-off"]),
    st.sampled_from([SOURCE, SOURCE, DEST]), st.floats(0.0, 60.0),
    st.integers(-99999, 99999), st.sets(st.sampled_from([DEST, SOURCE])),
    st.lists(st.integers(1, 5)), st.sampled_from([None, "req-1"]))
def test_never_send_while_anything_may_be_under_way(
    state, migrations, task, host, watched, now, fenced, past, request_id,
):
    outcome = decide(
        state, migrations, now=now, watched=watched, fenced=fenced,
        here=server(host=host, task_state=task),
        past_migrations=tuple(past), request_id=request_id)
    assert outcome.reason
    if not isinstance(outcome, Send):
        return
    assert host == SOURCE
    assert task != "rebuilding" or any(
        m.id in past and m.unfinished and m.dest in fenced
        for m in migrations)
    assert not [m for m in migrations if m.server == "s1"
                and m.type == "evacuation" and m.id not in past]
    assert not [m for m in migrations if m.server == "s1"
                and m.type != "evacuation" and m.unfinished]
    assert state in NOT_SENT or (
        state is S.REQUESTED and watched >= POLICY.request_grace_s
        and request_id is None)


def test_reasons_name_the_evacuation():
    stuck = decide(S.MIGRATING, [dataclasses.replace(
        evacuation(), dest=None)])
    assert "evacuation 7 to a host that Nova chooses" in stuck.reason
