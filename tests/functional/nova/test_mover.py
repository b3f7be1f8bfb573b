# SPDX-License-Identifier: Apache-2.0
"""The mover evacuates servers of real Nova, each exactly once."""

import collections
import datetime
import threading
import time

from nova import exception as nova_exception

from aacloud.clouds import errors
from aacloud.clouds import evacuation
from aacloud.clouds import mover as movers
from aacloud.clouds import moves
from aacloud.clouds import pace
from aacloud.core import adoption
from aacloud.core import concurrency
from aacloud.core import incidents
from aacloud.core import retries
from tests.functional.nova import nova_in_process
from tests.unit.clouds import ledger as ledgers

_S = incidents.ServerState
TIMES = moves.MoverTimes(poll=0.3, list=5.0, reread=0.5, resend=0.3)


class MoverCase(nova_in_process.NovaCase):
    """Movers over the cloud of the test."""

    def mover(self, ledger, may_act=lambda: True, grace=3.0, **options):
        made = movers.Mover(
            evacuation.Evacuation(
                self.cloud,
                adoption.AdoptionPolicy(request_grace_s=grace),
                runs_on=lambda host, server, since: False,
            ),
            ledger,
            pace.Pace(concurrency.Concurrency(limit=3, ceiling=6)),
            may_act=may_act,
            times=options.pop("times", TIMES),
            **options,
        )
        self.addCleanup(made.close)
        return made

    def run_mover(self, mover, ledger, until=None, seconds=90.0):
        """Let it go its rounds until it is done; return what it waited for."""
        waits = []
        deadline = time.monotonic() + seconds
        while True:
            outcome = mover.round(ledger.records())
            waits.append(outcome.waiting)
            if until() if until else outcome.settled:
                return waits
            assert time.monotonic() < deadline, (waits, ledger.story)
            mover.wait(max(0.05, outcome.pause_s))

    def planned(self, uuids, destinations=("h2", "h3")):
        return ledgers.Ledger(
            ledgers.record(
                uuid,
                destinations[n % len(destinations)],
                spares=destinations[::-1],
            )
            for n, uuid in enumerate(uuids)
        )

    @staticmethod
    def write_intent(ledger):
        """Bring the first record to where the call is about to be made."""
        now = datetime.datetime.now(datetime.timezone.utc)
        row = ledger.records()[0]
        for state, columns in (
            (_S.CLAIMED, {"intent_at": now}),
            (_S.REQUESTED, {"requested_at": now}),
        ):
            (row,) = ledger.write([moves.Transition(row, state, columns, "")])

    def evacuations(self, source="h1"):
        return self.cloud.migrations(
            source,
            datetime.datetime.now(datetime.timezone.utc)
            - datetime.timedelta(hours=1),
        )

    def check_once_each(self, uuids, ledger):
        """Every server runs elsewhere, and was evacuated exactly once."""
        assert set(ledger.states().values()) == {"verified"}
        counts = collections.Counter(m.server for m in self.evacuations())
        assert counts == dict.fromkeys(uuids, 1)
        for row in ledger.records():
            server = self.cloud.server(row.server)
            assert server.host == row.destination != "h1"
            assert (server.vm_state, server.task_state) == ("active", None)


class TestMover(MoverCase):
    """Six servers and everything that can come in between."""

    hosts = ("h1", "h2", "h3")

    def test_six_servers_go_where_they_were_planned(self):
        uuids = self.boot("h1", count=6)
        self.kill("h1")
        ledger = self.planned(uuids)
        wanted = {r.server: r.destination for r in ledger.records()}
        before = len(self.sickness.requests)
        self.run_mover(self.mover(ledger), ledger)
        self.check_once_each(uuids, ledger)
        assert {r.server: r.destination for r in ledger.records()} == wanted
        for row in ledger.records():
            assert ledger.path(row.server) == [
                "claimed", "requested", "migrating", "landed", "verified",
            ]
            assert row.request_id and row.migration_id
            assert row.requested_at <= row.landed_at <= row.verified_at
        asked = collections.Counter(
            (method, path.split("/")[2])
            for method, path, *_ in self.sickness.requests[before:]
            if path.count("/") > 1
        )
        # One request each to move it, one or two to see it landed.
        assert asked["POST", "servers"] == 6
        singles = asked["GET", "servers"]
        assert singles <= 6 + 6 + 8, asked

    def test_a_second_mover_goes_on_where_the_first_was_killed(self):
        uuids = self.boot("h1", count=6)
        self.kill("h1")
        ledger = self.planned(uuids)
        alive = threading.Event()
        alive.set()
        first = self.mover(ledger, may_act=alive.is_set)
        self.run_mover(
            first,
            ledger,
            until=lambda: list(ledger.states().values()).count("landed")
            + list(ledger.states().values()).count("verified") >= 1,
        )
        # Killed: it writes nothing more, whatever still comes back.
        alive.clear()
        assert first.round(ledger.records()).stopped
        left = collections.Counter(ledger.states().values())
        assert left["verified"] < 6
        second = self.mover(ledger)
        self.run_mover(second, ledger)
        self.check_once_each(uuids, ledger)

    def test_killed_between_intent_and_call(self):
        (uuid,) = self.boot("h1")
        self.kill("h1")
        ledger = self.planned([uuid])
        self.write_intent(ledger)
        started = time.monotonic()
        self.run_mover(self.mover(ledger, grace=2.0), ledger)
        # It was not sent before the grace was over, and then it was.
        assert time.monotonic() - started > 2.0
        self.check_once_each([uuid], ledger)

    def test_killed_between_call_and_result(self):
        (uuid,) = self.boot("h1")
        self.kill("h1")
        ledger = self.planned([uuid])
        self.write_intent(ledger)
        self.cloud.evacuate(uuid, "h2")
        self.run_mover(self.mover(ledger, grace=0.5), ledger)
        self.check_once_each([uuid], ledger)
        assert "retry" not in ledger.path(uuid)

    def test_an_answer_that_is_lost_is_not_asked_for_again(self):
        uuids = self.boot("h1", count=2)
        self.kill("h1")
        ledger = self.planned(uuids)
        self.sickness.fault("POST", "/action$", "lost", times=2)
        self.run_mover(self.mover(ledger), ledger)
        assert self.sickness.seen["lost"] == 2
        self.check_once_each(uuids, ledger)
        posts = [r for r in self.sickness.requests if r[0] == "POST"]
        assert sum(path.endswith("/action") for _, path, *_ in posts) == 2
        assert any("not known" in text for _, _, text in ledger.story)

    def test_a_request_that_got_lost_is_sent_again_after_the_grace(self):
        (uuid,) = self.boot("h1")
        self.kill("h1")
        ledger = self.planned([uuid])
        self.sickness.fault("POST", "/action$", "refused", times=1)
        started = time.monotonic()
        self.run_mover(self.mover(ledger, grace=2.0), ledger)
        assert time.monotonic() - started > 2.0
        self.check_once_each([uuid], ledger)
        assert ledger.path(uuid)[:3] == ["claimed", "requested", "retry"]
        assert ledger.records()[0].tries == 0

    def test_an_api_that_answers_500_for_a_while(self):
        uuids = self.boot("h1", count=3)
        self.kill("h1")
        ledger = self.planned(uuids)
        mover = self.mover(ledger, grace=1.5)
        self.run_mover(
            mover,
            ledger,
            until=lambda: "requested" in ledger.states().values(),
        )
        self.sickness.fault("GET", "", "500")
        self.sickness.fault("POST", "", "500")
        sick_until = time.monotonic() + 3.0
        waits = self.run_mover(
            mover, ledger, until=lambda: time.monotonic() > sick_until
        )
        assert any(
            wait and wait.startswith("Nova cannot be read") for wait in waits
        )
        assert "manual" not in ledger.states().values()
        self.sickness.heal()
        self.run_mover(mover, ledger)
        self.check_once_each(uuids, ledger)

    def test_a_failed_evacuation_goes_to_the_spare(self):
        (uuid,) = self.boot("h1")
        self.kill("h1")
        # It turns out there that there is no room.
        self.computes["h2"].manager.rt.rebuild_claim = self.no_room
        ledger = ledgers.Ledger(
            [ledgers.record(uuid, "h2", spares=("h3",))]
        )
        self.run_mover(
            self.mover(
                ledger,
                retry=retries.RetryPolicy(backoff_s=(0.2,)),
            ),
            ledger,
        )
        row = ledger.records()[0]
        assert (row.state, row.destination, row.tries) == (
            _S.VERIFIED, "h3", 1,
        )
        counts = collections.Counter(
            (m.dest, m.status) for m in self.evacuations()
        )
        assert counts == {("h2", "failed"): 1, ("h3", "done"): 1}
        assert len(row.past_migrations) == 1

    @staticmethod
    def no_room(*args, **kwargs):
        raise nova_exception.ComputeResourcesUnavailable(reason="no room")

    def test_a_destination_that_went_down_is_not_used(self):
        (uuid,) = self.boot("h1")
        self.kill("h1")
        ledger = ledgers.Ledger(
            [ledgers.record(uuid, "h2", spares=("h3",))]
        )
        self.run_mover(
            self.mover(
                ledger,
                usable=lambda host: "it is down" if host == "h2" else None,
            ),
            ledger,
        )
        row = ledger.records()[0]
        assert (row.state, row.destination) == (_S.VERIFIED, "h3")
        assert [m.dest for m in self.evacuations()] == ["h3"]

    def test_a_source_that_is_not_down_yet_is_waited_for(self):
        (uuid,) = self.boot("h1")
        ledger = self.planned([uuid])
        mover = self.mover(ledger)
        self.run_mover(
            mover, ledger, until=lambda: "retry" in ledger.path(uuid)
        )
        assert "not see h1 down" in ledger.records()[0].reason
        assert self.evacuations() == ()
        self.kill("h1")
        self.run_mover(mover, ledger)
        self.check_once_each([uuid], ledger)

    def test_what_was_moved_or_deleted_by_others(self):
        moved, deleted, stopped = self.boot("h1", count=3)
        self.cloud.stop(stopped)
        self.until(lambda: self.cloud.server(stopped).vm_state == "stopped")
        self.kill("h1")
        ledger = ledgers.Ledger(
            [
                ledgers.record(moved, "h2"),
                ledgers.record(deleted, "h2"),
                ledgers.record(
                    stopped, "h2", snapshot={"vm_state": "stopped"}
                ),
            ]
        )
        self.cloud.evacuate(moved, "h3")
        self.admin_api.delete_server(deleted)
        self.until(lambda: self.gone(deleted))
        self.run_mover(self.mover(ledger), ledger)
        rows = {row.server: row for row in ledger.records()}
        assert rows[moved].state is _S.VERIFIED
        assert rows[moved].destination == "h3"
        assert (rows[deleted].state, rows[deleted].reason_code) == (
            _S.MANUAL, "deleted",
        )
        assert rows[stopped].state is _S.VERIFIED
        assert self.cloud.server(stopped).vm_state == "stopped"
        counts = collections.Counter(m.server for m in self.evacuations())
        assert counts == {moved: 1, stopped: 1}

    def gone(self, uuid):
        try:
            self.cloud.server(uuid)
        except errors.CloudNotFound:
            return True
        return False

    def test_a_cell_that_is_down_is_no_reason_to_send_again(self):
        (uuid,) = self.boot("h1")
        self.kill("h1")
        ledger = self.planned([uuid])
        self.write_intent(ledger)
        mover = self.mover(ledger, grace=0.5)
        with self.conductor_asleep():
            self.cloud.evacuate(uuid, "h2")
            with self.cell_down():
                blind_until = time.monotonic() + 2.0
                self.run_mover(
                    mover, ledger, until=lambda: time.monotonic() > blind_until
                )
                assert ledger.states() == {uuid: "requested"}
        self.run_mover(mover, ledger)
        self.check_once_each([uuid], ledger)
