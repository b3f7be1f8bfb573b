# SPDX-License-Identifier: Apache-2.0
"""The mover in virtual time, on a little Nova with Nova's traps."""

import dataclasses
import datetime

import pytest

from aacloud.clouds import errors
from aacloud.clouds import evacuation
from aacloud.clouds import moves
from aacloud.clouds import pace as paces
from aacloud.clouds import ports
from aacloud.core import concurrency
from aacloud.core import incidents
from aacloud.core import recovery
from tests.unit.clouds import ledger as ledgers
from tests.unit.clouds.little_nova import LittleNova
from tests.unit.clouds.rounds import build
from tests.unit.clouds.rounds import GRACE
from tests.unit.clouds.rounds import one
from tests.unit.clouds.rounds import run
from tests.unit.clouds.rounds import some

_S = incidents.ServerState
def test_all_go_once_and_are_verified():
    nova, ledger = LittleNova([f"s{n}" for n in range(20)]), some(20)
    run(build(nova, ledger), nova, ledger)
    assert set(ledger.states().values()) == {"verified"}
    assert sorted(uuid for uuid, _ in nova.calls) == sorted(nova.servers)
    assert nova.worst_overlap == 1


def test_reading_costs_little():
    nova, ledger = LittleNova([f"s{n}" for n in range(40)]), some(40)
    started = nova.now
    run(build(nova, ledger), nova, ledger)
    seconds = nova.now - started
    # One look a second for all, and each landed server once.
    assert nova.reads.count("migrations") <= seconds + 3
    assert nova.reads.count("server") <= 45
    assert nova.reads.count("servers_on") <= seconds / 15 + 2


def test_the_intent_is_written_before_the_call():
    nova, ledger = one()
    mover = build(nova, ledger)
    ledger.fail_next = ledgers.Stale("deposed")
    with pytest.raises(ledgers.Stale):
        mover.round(ledger.records())
    assert nova.calls == []
    # The claim passes, the intent does not.
    write = ledger.write

    def refuse_intents(steps):
        if any(step.state is _S.REQUESTED for step in steps):
            raise ledgers.Stale("deposed")
        return write(steps)

    ledger.write = refuse_intents
    with pytest.raises(ledgers.Stale):
        mover.round(ledger.records())
    assert nova.calls == []
    assert ledger.states() == {"s0": "claimed"}
    ledger.write = write
    run(mover, nova, ledger)
    assert nova.calls == [("s0", "h2")]


def test_may_act_is_asked_right_before_the_call():
    nova, ledger = one()
    answers = iter([True, False])
    mover = build(nova, ledger, may_act=lambda: next(answers, False))
    mover.round(ledger.records())
    assert ledger.states() == {"s0": "requested"}
    assert nova.calls == []
    assert mover.round(ledger.records()).stopped
    assert len(ledger.story) == 2


def test_following_sends_nothing():
    nova, ledger = LittleNova(["s0", "s1"]), some(2)
    mover = build(
        nova, ledger, limits=concurrency.Concurrency(limit=1, ceiling=1)
    )
    mover.round(ledger.records())
    assert len(nova.calls) == 1
    run(
        mover, nova, ledger, seconds=60, send=False,
        until=lambda outcome: False,
    )
    assert sorted(ledger.states().values()) == ["claimed", "verified"]
    assert len(nova.calls) == 1


def test_waves_and_limits():
    nova = LittleNova([f"s{n}" for n in range(12)])
    ledger = ledgers.Ledger(
        ledgers.record(f"s{n}", ("h2", "h3", "h4")[n % 3], wave=n % 2)
        for n in range(12)
    )
    pace = paces.Pace(
        concurrency.Concurrency(limit=4, ceiling=4, per_destination=2),
        nova.clock,
    )
    mover = build(nova, ledger, pace=pace)
    mover.round(ledger.records())
    assert pace.in_flight == 4
    assert len(nova.calls) == 4
    # All of the first wave, and destinations in turn.
    assert all(int(uuid[1:]) % 2 == 0 for uuid, _ in nova.calls)
    assert {host for _, host in nova.calls} == {"h2", "h3", "h4"}
    run(mover, nova, ledger)
    first = [int(uuid[1:]) % 2 for uuid, _ in nova.calls]
    assert first == sorted(first)
    assert pace.in_flight == 0


def test_slots_are_shared_and_given_back():
    nova = LittleNova(["s0", "s1"])
    pace = paces.Pace(concurrency.Concurrency(limit=1, ceiling=1), nova.clock)
    ours = ledgers.Ledger([ledgers.record("s0", "h2")])
    theirs = ledgers.Ledger([ledgers.record("s1", "h2")])
    one_mover = build(nova, ours, pace=pace)
    other = build(nova, theirs, pace=pace)
    one_mover.round(ours.records())
    other.round(theirs.records())
    assert theirs.states() == {"s1": "claimed"}
    one_mover.close()
    other.round(theirs.records())
    assert theirs.states() == {"s1": "requested"}
    assert one_mover.round(ours.records()).stopped


def test_a_lost_answer_is_adopted():
    nova, ledger = one(["lost"])
    run(build(nova, ledger), nova, ledger)
    assert len(nova.calls) == 1
    assert ledger.path("s0") == [
        "claimed", "requested", "migrating", "landed", "verified",
    ]


@pytest.mark.parametrize("answer", ["dropped", "late"])
def test_an_unknown_outcome_is_watched_for_the_grace(answer):
    nova, ledger = one([answer])
    mover = build(nova, ledger)
    run(
        mover, nova, ledger, seconds=19,
        until=lambda outcome: len(nova.calls) > 1,
    )
    assert len(nova.calls) == 1
    run(mover, nova, ledger)
    assert len(nova.calls) == (2 if answer == "dropped" else 1)
    assert nova.worst_overlap == 1
    assert ledger.records()[0].tries == 0


def test_a_request_in_the_action_log_is_not_repeated():
    # Nova's API died between the action and the migration.
    nova, ledger = one(["dropped"])
    nova.log["s0"].append(
        ports.Trace("req-x", nova.utcnow() + datetime.timedelta(seconds=1))
    )
    mover = build(nova, ledger, times=moves.MoverTimes(verify=60.0))
    run(mover, nova, ledger)
    row = ledger.records()[0]
    assert (row.state, row.reason_code) == (_S.MANUAL, "stuck")
    assert len(nova.calls) == 1


def test_a_request_that_never_left_is_repeated_soon():
    nova, ledger = one(["unreachable"] * 3)
    started = nova.now
    run(build(nova, ledger), nova, ledger)
    assert len(nova.calls) == 1
    assert ledger.records()[0].tries == 0
    assert nova.now - started < 30


def test_a_refusal_of_the_caller_uses_up_no_try():
    nova, ledger = one(["forbidden"] * 5)
    mover = build(nova, ledger)
    outcome = run(
        mover, nova, ledger,
        until=lambda outcome: outcome.waiting is not None,
    )
    assert "403" in outcome.waiting
    run(mover, nova, ledger)
    row = ledger.records()[0]
    assert (row.state, row.tries, row.destination) == (_S.VERIFIED, 0, "h2")


def test_a_source_that_is_not_down_yet_uses_up_no_try():
    nova, ledger = one(["in-use"] * 6)
    run(build(nova, ledger), nova, ledger)
    row = ledger.records()[0]
    assert (row.state, row.tries) == (_S.VERIFIED, 0)


def test_failures_go_to_the_spares_and_then_to_the_operator():
    nova, ledger = one(["fails", "no-such-host", "fails"])
    replans = []

    def replan(servers):
        replans.append(list(servers))
        return {
            "s0": recovery.PlannedMove(nova.servers["s0"], "h4", (), 2)
        }

    run(build(nova, ledger, replan=replan), nova, ledger)
    row = ledger.records()[0]
    assert (row.state, row.reason_code) == (_S.MANUAL, "tries-exhausted")
    assert [host for _, host in nova.calls] == ["h2", "h3", "h4"]
    assert replans == [["s0"]]
    assert row.past_migrations == (1, 2)


@pytest.mark.parametrize(("runs", "code", "hosts"), [
    (True, "runs-on-destination", ["h2"]),
    (None, "destination-silent", ["h2"]),
    (False, None, ["h2", "h3"]),
])
def test_a_guest_left_by_a_failed_try_is_never_started_again(
    runs, code, hosts
):
    nova, ledger = one(["fails"])
    asked = []

    def runs_on(host, server, since):
        asked.append((host, server))
        return runs

    run(build(nova, ledger, runs_on=runs_on), nova, ledger)
    row = ledger.records()[0]
    assert row.reason_code == code
    assert [host for _, host in nova.calls] == hosts
    assert set(asked) == {("h2", "s0")}


def test_what_cannot_be_planned_anew_is_held_with_the_reason():
    nova, ledger = one(spares=())
    held = recovery.HeldServer(nova.servers["s0"], "no-room", "it is full")
    run(
        build(
            nova, ledger,
            usable=lambda host: f"{host} is disabled",
            replan=lambda servers: {"s0": held},
        ),
        nova,
        ledger,
    )
    row = ledger.records()[0]
    assert (row.state, row.reason_code) == (_S.MANUAL, "no-room")
    assert nova.calls == []


def test_no_room_anywhere_is_told():
    nova, ledger = one(spares=())
    outcome = run(
        build(nova, ledger, usable=lambda host: "it is down"),
        nova, ledger, seconds=30,
        until=lambda outcome: outcome.waiting is not None,
    )
    assert "no destination" in outcome.waiting
    assert nova.calls == []


def test_a_cloud_that_cannot_be_read_gets_no_orders():
    nova, ledger = one()
    nova.readable = False
    mover = build(nova, ledger)
    outcome = run(
        mover, nova, ledger, seconds=60, until=lambda outcome: False
    )
    assert outcome.waiting.startswith("Nova cannot be read")
    assert nova.calls == []
    nova.readable = True
    run(mover, nova, ledger)
    assert ledger.states() == {"s0": "verified"}


def test_a_list_that_grew_old_sends_nobody_off():
    nova, ledger = LittleNova(["s0", "s1"]), some(2, destinations=("h2",))
    mover = build(
        nova, ledger, limits=concurrency.Concurrency(limit=1, ceiling=1)
    )
    mover.round(ledger.records())
    # Only the migrations can still be read.
    def fail(host):
        raise errors.CloudUnknown("HTTP 500")

    nova.servers_on = fail
    nova._due[:] = [(nova.now + 60, due[1]) for due in nova._due]
    run(mover, nova, ledger, seconds=100, until=lambda outcome: False)
    assert sorted(ledger.states().values()) == ["claimed", "verified"]
    assert len(nova.calls) == 1


def test_a_server_that_is_gone_or_elsewhere():
    nova = LittleNova(["s0", "s1"])
    ledger = ledgers.Ledger(
        [ledgers.record("s0", "h2"), ledgers.record("s1", "h2")]
    )
    del nova.servers["s0"]
    nova.servers["s1"] = dataclasses.replace(nova.servers["s1"], host="h3")
    run(build(nova, ledger), nova, ledger)
    rows = {row.server: row for row in ledger.records()}
    assert rows["s0"].reason_code == "deleted"
    assert (rows["s1"].state, rows["s1"].destination) == (_S.VERIFIED, "h3")
    assert nova.calls == []


def test_a_landed_server_must_be_what_it_was():
    nova, ledger = one()
    mover = build(nova, ledger, times=moves.MoverTimes(verify=30.0))
    run(
        mover, nova, ledger,
        until=lambda outcome: ledger.states() == {"s0": "migrating"},
    )
    finish = nova._finish

    def crash(row):
        finish(row)
        nova.servers["s0"] = dataclasses.replace(
            nova.servers["s0"], vm_state="error"
        )

    (due,) = nova._due
    nova._due[:] = [(due[0], lambda: crash(nova.migration_rows[0]))]
    run(mover, nova, ledger)
    row = ledger.records()[0]
    assert (row.state, row.reason_code) == (_S.MANUAL, "not-verified")
    assert "error there, not active" in row.reason


@pytest.mark.parametrize(
    ("before", "microversion", "wanted"),
    [
        ("active", "2.94", "active"),
        ("stopped", "2.94", "stopped"),
        ("error", "2.94", "active"),
        ("active", "2.95", "stopped"),
        ("stopped", "2.95", "stopped"),
        ("error", "2.95", "active"),
        ("active", "2.100", "stopped"),
    ],
)
def test_the_state_that_is_wanted_after_landing(before, microversion, wanted):
    nova, _ = one()
    strategy = evacuation.Evacuation(
        nova, GRACE, microversion, runs_on=lambda host, server, since: False)
    row = ledgers.record("s0", "h2", snapshot={"vm_state": before})
    landed = dataclasses.replace(nova.servers["s0"], host="h2")
    for state in ("active", "stopped"):
        server = dataclasses.replace(landed, vm_state=state)
        assert (strategy.verify(row, server) is None) == (state == wanted)


def test_a_destination_that_dies_on_the_way():
    nova, ledger = one()
    nova.takes_s = 10_000
    fenced = set()
    mover = build(nova, ledger, fenced=lambda: fenced)
    run(
        mover, nova, ledger,
        until=lambda outcome: ledger.states() == {"s0": "migrating"},
    )
    nova.takes_s = 5
    fenced.add("h2")
    run(mover, nova, ledger)
    row = ledger.records()[0]
    assert (row.state, row.destination) == (_S.VERIFIED, "h3")
    assert row.tries == 1
    assert row.past_migrations == (1,)
