# SPDX-License-Identifier: Apache-2.0
"""Movers that are killed, and others that go on from the records."""

import itertools

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from aacloud.clouds import moves
from aacloud.core import incidents
from aacloud.core import recovery
from tests.unit.clouds.little_nova import Killed
from tests.unit.clouds.little_nova import LittleNova
from tests.unit.clouds.rounds import build
from tests.unit.clouds.rounds import one
from tests.unit.clouds.rounds import run
from tests.unit.clouds.rounds import some

_S = incidents.ServerState

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
        nova.evacuate("s0", "h2")
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


def test_what_is_waited_for_does_not_come_and_go():
    """A server is read less often than its migrations: that is no news."""
    sent = LittleNova([]).utcnow()
    nova, ledger = one(state=_S.REQUESTED, requested_at=sent)
    mover = build(nova, ledger)
    told = []
    run(mover, nova, ledger, seconds=60, send=False,
        until=lambda outcome: told.append(outcome.waiting))
    changes = [
        new for old, new in itertools.pairwise(told)
        if str(old).rstrip("0123456789") != str(new).rstrip("0123456789")]
    assert len(changes) <= 1, changes


ANSWERS = st.sampled_from(
    [
        "ok", "lost", "dropped", "late", "unreachable", "in-use", "forbidden",
        "fails", "no-such-host", "kill-before", "kill-after",
    ]
)


@settings(max_examples=100, deadline=None)
@given(
    answers=st.lists(ANSWERS, max_size=12),
    kills=st.sets(st.integers(0, 25), max_size=4),
    unwritten=st.sets(st.integers(0, 25), max_size=2),
    skew=st.sampled_from([-3600.0, -5.0, 0.0, 5.0, 3600.0]),
)
def test_no_server_is_ever_evacuated_twice(answers, kills, unwritten, skew):
    """Whatever gets lost, and wherever the mover is killed."""
    nova = LittleNova([f"s{n}" for n in range(4)], skew_s=skew)
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
        mover = build(nova, ledger, replan=replan)
        try:
            run(mover, nova, ledger, seconds=4000)
            break
        except Killed:
            mover.close()
            nova.pass_time(3)
    else:
        raise AssertionError("it was killed for ever")
    assert nova.worst_overlap <= 1
    for row in ledger.records():
        done = [
            m
            for m in nova.migration_rows
            if m.server == row.server and m.status == "done"
        ]
        failed = [
            m
            for m in nova.migration_rows
            if m.server == row.server and m.status == "failed"
        ]
        assert row.state in (_S.VERIFIED, _S.MANUAL)
        assert len(done) <= 1
        assert len(failed) <= row.tries + 1
        if row.state is _S.VERIFIED:
            assert nova.servers[row.server].host == row.destination
            assert len(done) == 1
