# SPDX-License-Identifier: Apache-2.0
"""Moves that were given up: nothing is sent, what was sent is followed."""

from concurrent import futures
import datetime

import pytest

from aacloud.clouds import moves
from aacloud.clouds import ports
from aacloud.core import concurrency
from aacloud.core import incidents
from aacloud.core import recovery
from tests.unit.clouds.little_nova import LittleNova
from tests.unit.clouds.rounds import build
from tests.unit.clouds.rounds import one
from tests.unit.clouds.rounds import some

_S = incidents.ServerState

TOLD = "cancelled by ann: it lives"


def give_up(mover, nova, ledger, seconds=900.0):
    """Let it go its rounds to the end."""
    end = nova.now + seconds
    while nova.now < end:
        outcome = mover.round(ledger.records(), give_up=TOLD)
        if outcome.settled:
            return outcome
        nova.pass_time(0.5)
    raise AssertionError((ledger.states(), ledger.story[-10:]))


def the_one(ledger):
    (row,) = ledger.records()
    return row


@pytest.mark.parametrize("values", [
    {"state": _S.PENDING},
    {"state": _S.CLAIMED},
    {"state": _S.RETRY, "tries": 1, "past_migrations": (7,)},
    {"state": _S.RETRY, "not_before":
        LittleNova([]).utcnow() + datetime.timedelta(hours=1)},
], ids=lambda values: values["state"].value)
@pytest.mark.parametrize("readable", [True, False])
def test_what_was_not_sent_stays_where_it_is(values, readable):
    """At once, and without Nova: nothing of it has to be known."""
    nova, ledger = one(**values)
    nova.readable = readable
    outcome = build(nova, ledger).round(ledger.records(), give_up=TOLD)
    assert outcome.settled
    row = the_one(ledger)
    assert (row.state, row.reason_code) == (_S.MANUAL, "given-up")
    assert TOLD in row.reason
    assert "stays on h1" in row.reason
    assert (row.destination, row.not_before) == (None, None)
    assert row.past_migrations == values.get("past_migrations", ())
    assert nova.calls == []
    assert not {"server", "servers_on"} & set(nova.reads)


@pytest.mark.parametrize("fresh", [True, False])
def test_what_is_under_way_lands_and_is_verified(fresh):
    """By the mover that sent it, and by one that came later."""
    nova, ledger = LittleNova(["s0", "s1", "s2"]), some(3)
    limits = concurrency.Concurrency(limit=1, ceiling=1)
    mover = build(nova, ledger, limits=limits)
    mover.round(ledger.records())
    assert len(nova.calls) == 1
    if fresh:
        mover.close()
        mover = build(nova, ledger, limits=limits)
    give_up(mover, nova, ledger)
    assert sorted(ledger.states().values()) == [
        "manual", "manual", "verified"]
    assert len(nova.calls) == 1
    codes = {row.reason_code for row in ledger.records()}
    assert codes == {None, "given-up"}


@pytest.mark.parametrize(
    "answer", ["lost", "late", "dropped", "unreachable", "forbidden",
               "in-use", "no-such-host", "fails"])
def test_nothing_is_sent_again_however_the_request_went(answer):
    nova, ledger = one([answer])
    mover = build(nova, ledger)
    mover.round(ledger.records())
    asked = len(nova.calls)
    began = nova.now
    give_up(mover, nova, ledger)
    row = the_one(ledger)
    assert len(nova.calls) == asked <= 1
    if answer in ("lost", "late"):
        assert row.state is _S.VERIFIED
        return
    assert (row.state, row.reason_code) == (_S.MANUAL, "given-up")
    assert nova.servers["s0"].host == "h1"
    failed = answer in ("fails", "no-such-host")
    assert row.tries == (1 if failed else 0)
    assert ("try 1 to h2 failed" in row.reason) is failed
    assert "retry" not in ledger.path("s0")
    assert "goes on to" not in row.reason
    if answer == "fails":
        assert row.past_migrations == (1,)
        assert row.requested_at is not None
    if answer == "dropped":
        # It was looked for, as long as before a second request.
        assert nova.now - began >= 20
        assert "traces" in nova.reads
    # A host that is switched on again has it; nothing is under way.
    assert not any(one.unfinished for one in nova.migration_rows)


def test_a_request_in_the_action_log_is_not_given_up():
    """Nova may still move it: that is for a person to find out."""
    nova, ledger = one(["dropped"])
    nova.log["s0"].append(
        ports.Trace("req-x", nova.utcnow() + datetime.timedelta(seconds=1)))
    mover = build(nova, ledger, times=moves.MoverTimes(verify=60.0))
    mover.round(ledger.records())
    give_up(mover, nova, ledger)
    assert the_one(ledger).reason_code == "stuck"
    assert len(nova.calls) == 1


def test_a_guest_that_a_failed_try_left_counts_more():
    nova, ledger = one(["fails"])
    mover = build(nova, ledger, runs_on=lambda host, server, since: True)
    mover.round(ledger.records())
    give_up(mover, nova, ledger)
    assert the_one(ledger).reason_code == "runs-on-destination"


def test_the_last_try_that_fails_is_told_as_such():
    nova, ledger = one(["fails"], tries=2)
    mover = build(nova, ledger)
    mover.round(ledger.records())
    give_up(mover, nova, ledger)
    assert the_one(ledger).reason_code == "tries-exhausted"


def test_a_call_that_did_not_begin_yet_is_not_made():
    """It was handed to the pool, whose threads were busy."""
    nova, ledger = one()
    waiting = []

    class Busy:
        def submit(self, work, *args):
            future = futures.Future()
            waiting.append((future, work, args))
            return future

        def shutdown(self, **kwargs):
            pass

    mover = build(nova, ledger)
    mover._pool = Busy()
    mover.round(ledger.records())
    assert ledger.states() == {"s0": "requested"}
    mover.round(ledger.records(), give_up=TOLD)
    ((future, work, args),) = waiting
    future.set_result(work(*args))
    give_up(mover, nova, ledger)
    assert nova.calls == []
    assert the_one(ledger).reason_code == "given-up"


def test_nothing_is_planned_anew():
    nova, ledger = one(spares=())
    asked = []

    def replan(servers):
        asked.append(servers)
        return {"s0": recovery.PlannedMove(nova.servers["s0"], "h4", (), 2)}

    mover = build(
        nova, ledger, replan=replan, usable=lambda host: "it is full")
    mover.round(ledger.records())
    before = len(asked)
    give_up(mover, nova, ledger)
    assert len(asked) == before
    assert nova.calls == []
