# SPDX-License-Identifier: Apache-2.0
"""The mover of live migrations in virtual time, killed at any write."""

import dataclasses

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.clouds import live_migration
from aacloud.clouds import mover as movers
from aacloud.clouds import moves
from aacloud.clouds import pace as paces
from aacloud.core import adoption_live
from aacloud.core import concurrency
from aacloud.core import incidents
from aacloud.core import recovery
from aacloud.core import retries
from tests.unit.clouds import ledger as ledgers
from tests.unit.clouds.little_live import LittleLiveNova
from tests.unit.clouds.little_nova import Inline
from tests.unit.clouds.little_nova import Killed
from tests.unit.clouds.rounds import run
from tests.unit.clouds.rounds import some

_S = incidents.ServerState


def build(nova, ledger, **options):
    return movers.Mover(
        live_migration.LiveMigration(
            nova, adoption_live.LivePolicy(request_grace_s=20.0)
        ),
        ledger,
        paces.Pace(
            options.pop("limits", concurrency.Concurrency()), nova.clock
        ),
        may_act=options.pop("may_act", lambda: True),
        clock=nova.clock,
        utcnow=nova.utcnow,
        pool=Inline(),
        **options,
    )


def one(answers=(), **values):
    nova = LittleLiveNova(["s0"])
    nova.answers = list(answers)
    ledger = ledgers.Ledger(
        [ledgers.record("s0", "h2", **{"spares": ("h3",), **values})]
    )
    return nova, ledger


def the_one(ledger):
    (row,) = ledger.records()
    return row


def test_all_go_once_and_are_verified():
    nova = LittleLiveNova([f"s{n}" for n in range(12)])
    ledger = some(12)
    run(build(nova, ledger), nova, ledger)
    assert set(ledger.states().values()) == {"verified"}
    assert sorted(uuid for uuid, _ in nova.calls) == sorted(nova.servers)
    assert nova.worst_overlap == 1


def test_reading_costs_little():
    """The source's list of servers is never read; each server thrice."""
    nova = LittleLiveNova([f"s{n}" for n in range(20)])
    ledger = some(20)
    started = nova.now
    run(build(nova, ledger), nova, ledger)
    seconds = nova.now - started
    assert nova.reads.count("servers_on") == 0
    assert nova.reads.count("migrations") <= seconds + 3
    # Before it is sent, right before the request, and when it landed.
    assert nova.reads.count("server") <= 20 * 5
    assert nova.reads.count("hosts") == 20


def test_the_source_is_done_before_the_move_is():
    nova, ledger = one()
    mover = build(nova, ledger)
    run(
        mover, nova, ledger,
        until=lambda outcome: ledger.states() == {"s0": "landed"},
    )
    assert nova.migration_rows[0].status == "completed"


def test_a_source_that_dies_while_it_cleans_up():
    nova, ledger = one()
    nova._arrive = lambda number: nova._change(
        "s0", host="h2", task_state=None
    )
    run(build(nova, ledger), nova, ledger)
    assert the_one(ledger).state is _S.VERIFIED
    assert nova.migration_rows[0].status == "running"


@pytest.mark.parametrize(("answers", "code"), [
    (["cancelled"], "cancelled"), (["breaks"], "in-error")])
def test_what_is_not_tried_again(answers, code):
    nova, ledger = one(answers)
    run(build(nova, ledger), nova, ledger)
    assert the_one(ledger).reason_code == code
    assert len(nova.calls) == 1


@pytest.mark.parametrize(("answer", "code"), [
    ("fails", "migration-failed"), ("no-valid-host", "no-valid-host"),
    ("no-such-host", "destination-down")])
def test_what_is(answer, code):
    nova, ledger = one([answer])
    run(build(nova, ledger), nova, ledger)
    row = the_one(ledger)
    assert (row.state, row.destination, row.tries) == (
        _S.VERIFIED, "h3", 1)
    nova, ledger = one([answer])
    run(
        build(nova, ledger, retry=live_migration.ONE_TRY), nova, ledger
    )
    assert (the_one(ledger).state, the_one(ledger).reason_code) == (
        _S.MANUAL, code)
    assert "--live-migration --host h2 s0" in the_one(ledger).reason


@pytest.mark.parametrize(("changes", "code"), [
    ({"locked": True}, "locked"),
    ({"vm_state": "paused"}, "paused"),
    ({"vm_state": "error"}, "in-error"),
    ({"task_state": "image_snapshot"}, "busy"),
])
def test_an_unfit_server_gets_no_request(changes, code):
    nova, ledger = one()
    nova._change("s0", **changes)
    run(build(nova, ledger), nova, ledger)
    assert the_one(ledger).reason_code == code
    assert nova.calls == []


def test_what_comes_up_after_the_decision_is_seen_before_the_request():
    nova, ledger = one()
    read = nova.server_in_full
    nova.server_in_full = lambda uuid: dataclasses.replace(
        read(uuid), locked=True
    )
    run(build(nova, ledger), nova, ledger)
    row = the_one(ledger)
    assert (row.reason_code, row.requested_at) == ("locked", None)
    assert nova.calls == []


def test_a_task_that_ends_delays_it():
    nova, ledger = one()
    nova._change("s0", task_state="rebooting")
    nova._later(30.0, lambda: nova._change("s0", task_state=None))
    run(build(nova, ledger), nova, ledger)
    assert the_one(ledger).state is _S.VERIFIED
    assert the_one(ledger).tries == 0


@pytest.mark.parametrize(("host", "now", "code"), [
    ("h2", None, "destination-down"),
    ("h2", adoption_live.HostNow(False, True), "destination-down"),
    ("h1", adoption_live.HostNow(False, True), "source-down"),
    ("h2", adoption_live.HostNow(True, True, "az9"), "pinned-zone"),
])
def test_hosts_that_cannot_be_used_are_named(host, now, code):
    nova, ledger = one()
    nova._change("s0", availability_zone="nova")
    nova.hosts[host] = now
    run(
        build(nova, ledger, retry=live_migration.ONE_TRY), nova, ledger
    )
    assert the_one(ledger).reason_code == code
    assert nova.calls == []


def test_may_act_is_asked_after_the_last_look():
    nova, ledger = one()
    answers = iter([True, False])
    mover = build(nova, ledger, may_act=lambda: next(answers, False))
    mover.round(ledger.records())
    assert nova.reads.count("hosts") == 1
    assert nova.calls == []
    assert ledger.states() == {"s0": "requested"}


def test_a_last_look_that_fails_sends_nothing_and_costs_no_try():
    nova, ledger = one()
    hosts_now = nova.hosts_now
    left = [1, 2]

    def fail_twice():
        if left:
            nova.readable, _ = False, left.pop()
        try:
            return hosts_now()
        finally:
            nova.readable = True

    nova.hosts_now = fail_twice
    run(build(nova, ledger), nova, ledger)
    assert the_one(ledger).state is _S.VERIFIED
    assert len(nova.calls) == 1
    assert the_one(ledger).tries == 0
    assert sum("not sent" in text for *_, text in ledger.story) == 2


def test_a_migration_of_theirs_is_followed_and_the_plan_is_void():
    nova, ledger = one()
    nova.live_migrate("s0", "h4")
    run(build(nova, ledger), nova, ledger)
    row = the_one(ledger)
    assert row.reason_code == "moved-by-others"
    assert row.destination == "h2"
    assert len(nova.calls) == 1


def test_a_failure_of_theirs_is_not_a_try_of_ours():
    nova, ledger = one()
    nova.answers = ["no-valid-host"]
    nova.live_migrate("s0", "h4")
    nova.pass_time(10)
    run(
        build(nova, ledger, retry=live_migration.ONE_TRY), nova, ledger
    )
    row = the_one(ledger)
    assert (row.state, row.tries) == (_S.VERIFIED, 0)
    assert row.past_migrations == (1,)


def test_a_server_that_is_deleted_under_way():
    nova, ledger = one()
    mover = build(nova, ledger)
    run(
        mover, nova, ledger,
        until=lambda outcome: ledger.states() == {"s0": "migrating"},
    )
    del nova.servers["s0"]
    nova._due.clear()
    nova._write(1, "error")
    run(mover, nova, ledger)
    assert the_one(ledger).reason_code == "deleted"


STATES = [
    {"state": _S.PENDING},
    {"state": _S.CLAIMED},
    {"state": _S.REQUESTED},
    {"state": _S.REQUESTED, "request_id": "req-1"},
    {"state": _S.MIGRATING, "migration_id": 1},
    {"state": _S.RETRY},
    {"state": _S.LANDED},
]


@pytest.mark.parametrize("values", STATES, ids=lambda v: v["state"].value)
@pytest.mark.parametrize("truth", ["untouched", "under way", "done"])
def test_a_new_mover_goes_on_from_any_state(values, truth):
    impossible = truth == "untouched" and (
        values["state"] in (_S.MIGRATING, _S.LANDED)
        or "request_id" in values
    )
    nova, ledger = one(**values)
    if truth != "untouched":
        nova.live_migrate("s0", "h2")
    if truth == "done":
        nova.pass_time(60)
    before = len(nova.calls)
    mover = build(nova, ledger, times=moves.MoverTimes(verify=60.0))
    if impossible:
        # The journal says more than Nova shows: nothing is sent, ever.
        run(mover, nova, ledger, seconds=400, until=lambda outcome: False)
        assert len(nova.calls) == 0
        return
    run(mover, nova, ledger)
    assert ledger.states() == {"s0": "verified"}
    assert len(nova.calls) - before == (1 if truth == "untouched" else 0)
    assert nova.worst_overlap == 1


ANSWERS = st.sampled_from(
    [
        "ok", "lost", "dropped", "late", "unreachable", "forbidden", "fails",
        "no-such-host", "no-valid-host", "kill-before", "kill-after",
    ]
)


@settings(max_examples=100, deadline=None)
@given(
    answers=st.lists(ANSWERS, max_size=12),
    kills=st.sets(st.integers(0, 25), max_size=4),
    unwritten=st.sets(st.integers(0, 25), max_size=2),
    skew=st.sampled_from([-3600.0, -5.0, 0.0, 5.0, 3600.0]),
)
def test_no_server_is_ever_migrated_twice(answers, kills, unwritten, skew):
    """Whatever gets lost, and wherever the mover is killed."""
    nova = LittleLiveNova([f"s{n}" for n in range(4)], skew_s=skew)
    nova.answers = list(answers)
    ledger = some(4)
    write = ledger.write
    count = 0

    def killing(steps):
        nonlocal count
        count += 1
        if count in unwritten:
            raise Killed
        made = write(steps)
        if count in kills:
            raise Killed
        return made

    ledger.write = killing

    def replan(servers):
        return {
            uuid: recovery.PlannedMove(nova.servers[uuid], "h4", (), 2)
            for uuid in servers
        }

    for _ in range(30):
        mover = build(
            nova, ledger, replan=replan, retry=retries.RetryPolicy()
        )
        try:
            run(mover, nova, ledger, seconds=9000)
            break
        except Killed:
            mover.close()
            nova.pass_time(3)
    else:
        raise AssertionError("it was killed for ever")
    # Late requests have come in by then, too.
    nova.pass_time(60)
    assert nova.worst_overlap <= 1
    for row in ledger.records():
        done = [
            m
            for m in nova.migration_rows
            if m.server == row.server and m.status == "completed"
        ]
        assert row.state in (_S.VERIFIED, _S.MANUAL)
        assert len(done) <= 1
        if row.state is _S.VERIFIED:
            assert nova.servers[row.server].host == row.destination
            assert len(done) == 1
