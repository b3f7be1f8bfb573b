# SPDX-License-Identifier: Apache-2.0
"""What to do about one live migration, case by case."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
import pytest

from aacloud.core import retries
from aacloud.core.adoption import Adopt
from aacloud.core.adoption import Failed
from aacloud.core.adoption import Landed
from aacloud.core.adoption import Manual
from aacloud.core.adoption import Send
from aacloud.core.adoption import Wait
from aacloud.core.adoption_live import decide_live_migration
from aacloud.core.adoption_live import hindrance
from aacloud.core.adoption_live import HostNow
from aacloud.core.adoption_live import LivePolicy
from aacloud.core.adoption_live import refused
from aacloud.core.incidents import ServerState
from aacloud.core.recovery import GroupView
from aacloud.core.retries import FailureKind
from tests.unit.core.builders import evacuation
from tests.unit.core.builders import later
from tests.unit.core.builders import record
from tests.unit.core.builders import server

S = ServerState
SOURCE, DEST, OTHER = "dc1-r1-h1", "dc1-r1-h2", "dc1-r2-h1"
POLICY = LivePolicy(request_grace_s=20.0)
NOT_SENT = (S.PENDING, S.CLAIMED, S.RETRY)
UP = HostNow(up=True, enabled=True, zone="nova")


def live(number=7, status="running", **changes):
    return evacuation(number, status, type="live-migration", **changes)


def on(host, **changes):
    return dataclasses.replace(server(), host=host, **changes)


def decide(
    state=S.REQUESTED, migrations=(), *, now=30.0, watched=5.0, gone=False,
    here=None, **changes,
):
    return decide_live_migration(
        record(state=state, **changes), here or on(SOURCE), migrations,
        later(now), POLICY, watched_s=watched, gone=gone)


@pytest.mark.parametrize("state", NOT_SENT)
def test_what_was_never_sent_is_sent(state):
    assert isinstance(decide(state), Send)


@pytest.mark.parametrize(("watched", "outcome"), [
    (0.0, Wait), (19.9, Wait), (20.0, Send), (500.0, Send)])
def test_a_request_without_a_trace_waits_for_its_grace(watched, outcome):
    assert isinstance(decide(watched=watched), outcome)


def test_a_server_that_nova_means_to_migrate_gets_no_second_request():
    here = on(SOURCE, task_state="migrating")
    assert isinstance(decide(here=here, watched=599.0), Wait)
    stuck = decide(here=here, watched=601.0)
    assert isinstance(stuck, Manual) and stuck.reason_code == "stuck"


def test_a_request_that_nova_took_is_never_sent_again():
    taken = {"request_id": "req-1"}
    assert isinstance(decide(watched=599.0, **taken), Wait)
    stuck = decide(watched=601.0, **taken)
    assert isinstance(stuck, Manual) and stuck.reason_code == "stuck"


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("status", ["accepted", "queued", "strange"])
@pytest.mark.parametrize("dest", [None, DEST])
def test_what_is_under_way_is_adopted_in_any_state(state, status, dest):
    found = decide(state, [live(status=status, dest=dest)], watched=1e6)
    assert isinstance(found, Adopt) and found.migration.id == 7


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
def test_a_migration_is_known_by_its_id_whatever_novas_clock_says(skew):
    stamp = {"created_at_utc": later(skew), "updated_at_utc": None}
    new = live(8, "accepted", **stamp)
    assert isinstance(
        decide(migrations=[new], past_migrations=(7,), now=skew), Adopt)
    old = live(7, "error", **stamp)
    assert isinstance(
        decide(S.CLAIMED, [old], past_migrations=(7,)), Send)


@pytest.mark.parametrize(("status", "limit"), [
    ("accepted", 600.0), ("queued", 3600.0), ("running", 3600.0)])
def test_what_hangs_is_given_to_the_operator_with_the_way_out(status, limit):
    assert isinstance(decide(migrations=[live(status=status)], now=limit),
                      Adopt)
    found = decide(migrations=[live(status=status)], now=limit + 1)
    assert isinstance(found, Manual) and found.reason_code == "stuck"
    assert "server migration abort s1 7" in found.reason


def test_the_source_cleans_up_before_the_server_counts_as_landed():
    here = on(DEST)
    assert isinstance(decide(migrations=[live()], here=here), Adopt)
    dead_source = decide(migrations=[live()], here=here, now=61.0)
    assert isinstance(dead_source, Landed) and dead_source.host == DEST
    done = decide(migrations=[live(status="completed")], here=here)
    assert isinstance(done, Landed) and done.migration.id == 7


def test_what_others_do_is_waited_for_and_not_called_ours():
    theirs = live(dest=OTHER)
    assert isinstance(decide(S.CLAIMED, [theirs]), Wait)
    elsewhere = decide(
        S.CLAIMED, [live(dest=OTHER, status="completed")], here=on(OTHER))
    assert isinstance(elsewhere, Manual)
    assert elsewhere.reason_code == "moved-by-others"
    # One of theirs that failed says nothing about ours.
    failed = live(dest=OTHER, status="failed")
    assert isinstance(decide(S.CLAIMED, [failed]), Send)
    assert isinstance(decide(S.REQUESTED, [failed]), Wait)
    assert isinstance(decide(S.CLAIMED, here=on(DEST)), Landed)


@pytest.mark.parametrize(("status", "dest", "kind"), [
    ("error", None, FailureKind.NO_VALID_HOST),
    ("failed", None, FailureKind.NO_VALID_HOST),
    ("error", DEST, FailureKind.MIGRATION_FAILED),
    ("failed", DEST, FailureKind.MIGRATION_FAILED),
])
def test_a_failure_tells_whether_it_ever_began(status, dest, kind):
    row = live(status=status, dest=dest)
    assert isinstance(
        decide(migrations=[row], here=on(SOURCE, task_state="migrating")),
        Wait)
    found = decide(S.MIGRATING, [row])
    assert isinstance(found, Failed)
    assert (found.kind, found.settled) == (kind, (7,))


def test_what_a_person_cancelled_is_not_begun_again():
    found = decide(S.MIGRATING, [live(status="cancelled")])
    assert isinstance(found, Manual) and found.reason_code == "cancelled"


def test_a_failure_that_leaves_the_server_in_error_ends_in_hands():
    found = decide(
        S.MIGRATING, [live(status="error")],
        here=on(SOURCE, vm_state="error"))
    assert isinstance(found, Manual) and found.reason_code == "in-error"
    assert DEST in found.reason and SOURCE in found.reason


def test_nothing_is_known_of_a_cloud_that_does_not_answer():
    for here, rows in ((None, ()), (on(SOURCE), None)):
        assert isinstance(
            decide_live_migration(
                record(), here, rows, later(0), POLICY, watched_s=0), Wait)
    gone = decide(gone=True)
    assert isinstance(gone, Manual) and gone.reason_code == "deleted"


@pytest.mark.parametrize(("changes", "code"), [
    ({"vm_state": "paused"}, "paused"),
    ({"vm_state": "stopped"}, "stopped"),
    ({"vm_state": "resized"}, "resizing"),
    ({"vm_state": "error"}, "in-error"),
    ({"vm_state": "suspended"}, "vm-state"),
    ({"vm_state": "something new"}, "vm-state"),
    ({"locked": True}, "locked"),
    ({"task_state": "deleting"}, "deleting"),
    ({"power_state": "shutdown"}, "not-running"),
])
@pytest.mark.parametrize("state", NOT_SENT)
def test_a_server_that_is_unfit_is_left_alone(changes, code, state):
    found = decide(state, here=on(SOURCE, **changes))
    assert isinstance(found, Manual) and found.reason_code == code


@pytest.mark.parametrize(("task", "code"), [
    ("resize_prep", "resizing"), ("image_snapshot", "busy")])
def test_a_task_is_waited_for_and_not_for_ever(task, code):
    here = on(SOURCE, task_state=task)
    assert isinstance(decide(S.CLAIMED, here=here, watched=300.0), Wait)
    found = decide(S.CLAIMED, here=here, watched=301.0)
    assert isinstance(found, Manual) and found.reason_code == code


@pytest.mark.parametrize(("kind", "code"), [
    ("resize", "resizing"), ("migration", "resizing"),
    ("evacuation", "busy")])
def test_so_is_a_migration_of_another_kind(kind, code):
    rows = [evacuation(5, "pre-migrating", type=kind)]
    assert isinstance(decide(S.CLAIMED, rows, watched=9.0), Wait)
    found = decide(S.CLAIMED, rows, watched=301.0)
    assert isinstance(found, Manual) and found.reason_code == code
    assert isinstance(decide(S.CLAIMED, rows, past_migrations=(5,)), Send)


@given(
    state=st.sampled_from(list(S)),
    status=st.sampled_from(
        ["accepted", "running", "completed", "error", "failed", "cancelled"]),
    dest=st.sampled_from([None, DEST, OTHER]),
    host=st.sampled_from([SOURCE, DEST, OTHER, ""]),
    task=st.sampled_from([None, "migrating", "resize_prep"]),
    watched=st.floats(0, 1e5), now=st.floats(-1e5, 1e5),
    taken=st.booleans(),
)
def test_it_is_never_sent_while_anything_may_be_under_way(
    state, status, dest, host, task, watched, now, taken,
):
    row = live(status=status, dest=dest)
    found = decide(
        state, [row], here=on(host, task_state=task), watched=watched,
        now=now, request_id="req-1" if taken else None)
    if isinstance(found, Send):
        assert not row.unfinished and task is None and host == SOURCE
        assert state in NOT_SENT or (state is S.REQUESTED and not taken)
    if isinstance(found, Landed):
        assert host == DEST


def group(policy="anti-affinity", limit=1, **hosts):
    return GroupView(
        "g1", policy, ("s1", *hosts), limit, {"s1": SOURCE, **hosts})


@pytest.mark.parametrize(("here", "ends", "expected"), [
    (on(SOURCE), (UP, UP), None),
    (on(SOURCE), (None, UP), "source-down"),
    (on(SOURCE), (HostNow(False, True), UP), "source-down"),
    # One may leave a host where nothing is scheduled any more.
    (on(SOURCE), (HostNow(True, False), UP), None),
    (on(SOURCE), (UP, None), FailureKind.DESTINATION_DOWN),
    (on(SOURCE), (UP, HostNow(False, True)), FailureKind.DESTINATION_DOWN),
    (on(SOURCE), (UP, HostNow(True, False)), FailureKind.DESTINATION_DOWN),
    (on(SOURCE, availability_zone="az9"), (UP, UP),
     FailureKind.PINNED_ZONE),
    (on(SOURCE, availability_zone="nova"), (UP, UP), None),
    (on(SOURCE, availability_zone="az9"), (UP, HostNow(True, True)), None),
    (on(SOURCE, server_group=group(s2=DEST)), (UP, UP),
     FailureKind.NATIVE_GROUP),
    (on(SOURCE, server_group=group(s2=OTHER)), (UP, UP), None),
    (on(SOURCE, server_group=group(limit=2, s2=DEST)), (UP, UP), None),
    (on(SOURCE, server_group=group(limit=2, s2=DEST, s3=DEST)), (UP, UP),
     FailureKind.NATIVE_GROUP),
    (on(SOURCE, server_group=group("affinity", s2=SOURCE)), (UP, UP),
     FailureKind.NATIVE_GROUP),
    (on(SOURCE, server_group=group("affinity")), (UP, UP),
     FailureKind.NATIVE_GROUP),
    (on(SOURCE, server_group=group("affinity", s2=DEST)), (UP, UP), None),
    (on(SOURCE, server_group=group("soft-affinity", s2=SOURCE)), (UP, UP),
     None),
    (on(SOURCE, server_group=group("soft-anti-affinity", s2=DEST)),
     (UP, UP), None),
    (on(SOURCE, locked=True), (UP, UP), "locked"),
])
def test_what_is_in_the_way_is_told_before_nova_says_no(
    here, ends, expected,
):
    found = hindrance(record(), here, *ends)
    if expected is None:
        assert found is None
    elif isinstance(expected, FailureKind):
        assert isinstance(found, Failed) and found.kind is expected
    else:
        assert isinstance(found, Manual) and found.reason_code == expected


def test_a_server_that_left_or_is_busy_is_looked_at_again():
    for here in (on(DEST), on(SOURCE, task_state="rebooting")):
        assert isinstance(hindrance(record(), here, UP, UP), Wait)


STATE = "Cannot 'os-migrateLive' instance s1 while it is in "


@pytest.mark.parametrize(("code", "text", "expected"), [
    (409, STATE + "vm_state stopped", "stopped"),
    (409, STATE + "vm_state error", "in-error"),
    (409, STATE + "vm_state rescued", "vm-state"),
    (409, STATE + "task_state migrating", None),
    (409, STATE + "power_state 4", FailureKind.REFUSED),
    (409, "Instance s1 is locked", "locked"),
    (409, "Feature not supported with instances that have shares.",
     "not-supported"),
    (400, "Operation 'live-migration' not supported for vTPM-enabled "
     "instance (s1).", "not-supported"),
    (400, "Compute host h9 could not be found.",
     FailureKind.DESTINATION_DOWN),
    (400, "Something that Nova says from next year on",
     FailureKind.REFUSED),
    (409, "It is not locked", FailureKind.REFUSED),
    (403, "Policy doesn't allow it", None),
    (429, "Slow down", None),
])
def test_only_texts_that_are_known_are_understood(code, text, expected):
    found = refused(code, text)
    if isinstance(found, Manual):
        assert found.reason_code == expected and text in found.reason
    else:
        assert found is expected


def test_with_one_try_the_failure_is_the_reason_code():
    ended = retries.next_try(
        record(), FailureKind.PINNED_ZONE, later(0),
        retries.RetryPolicy(tries=1), by_hand="do it yourself")
    assert isinstance(ended, retries.GiveUp)
    assert ended.reason_code == "pinned-zone"
    assert "'do it yourself'" in ended.reason
    again = retries.next_try(record(), FailureKind.PINNED_ZONE, later(0))
    assert isinstance(again, retries.Retry)
    assert again.destination == OTHER
