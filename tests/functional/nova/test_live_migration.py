# SPDX-License-Identifier: Apache-2.0
"""The mover live-migrates servers of real Nova, each exactly once."""

import collections
import datetime
import threading
import time

import pytest

from aacloud.clouds import errors
from aacloud.clouds import live_migration
from aacloud.clouds import mover as movers
from aacloud.clouds import pace
from aacloud.core import adoption
from aacloud.core import adoption_live
from aacloud.core import concurrency
from aacloud.core import incidents
from aacloud.core import retries
from tests.functional.nova import test_mover
from tests.unit.clouds import ledger as ledgers

_S = incidents.ServerState
EARLIER = datetime.timedelta(hours=1)


def utcnow():
    return datetime.datetime.now(datetime.timezone.utc)


class LiveCase(test_mover.MoverCase):
    """Movers of live migrations over the cloud of the test."""

    hosts = ("h1", "h2", "h3")

    def setUp(self):
        super().setUp()
        self.addCleanup(self.calm)

    def mover(self, ledger, may_act=lambda: True, grace=3.0, **options):
        made = movers.Mover(
            options.pop("strategy", None) or live_migration.LiveMigration(
                self.cloud, adoption_live.LivePolicy(request_grace_s=grace)
            ),
            ledger,
            pace.Pace(concurrency.Concurrency(limit=3, ceiling=6)),
            may_act=may_act,
            times=options.pop("times", test_mover.TIMES),
            retry=options.pop("retry", live_migration.ONE_TRY),
            **options,
        )
        self.addCleanup(made.close)
        return made

    def migrations(self, source="h1"):
        return self.cloud.migrations(source, utcnow() - EARLIER)

    def orders(self):
        """How often Nova was asked to do something with a server."""
        return sum(
            method == "POST" and path.endswith("/action")
            for method, path, *_ in self.sickness.requests
        )

    def group(self, policy="anti-affinity"):
        return self.admin_api.api_post(
            "/os-server-groups",
            {"server_group": {"name": "g", "policy": policy}},
        ).body["server_group"]["id"]

    def act(self, uuid, **body):
        self.admin_api.post_server_action(uuid, body)

    def ends(self, uuid, destination="h2", **options):
        """Let one server go; return its record, which stayed on h1."""
        ledger = ledgers.Ledger([ledgers.record(uuid, destination)])
        self.run_mover(self.mover(ledger, **options), ledger)
        (row,) = ledger.records()
        assert row.state is _S.MANUAL, ledger.story
        return row


class TestLiveMigration(LiveCase):
    """What can come in between."""

    def test_they_go_where_they_were_planned(self):
        uuids = self.boot("h1", count=4)
        ledger = self.planned(uuids)
        wanted = {r.server: r.destination for r in ledger.records()}
        self.run_mover(self.mover(ledger), ledger)
        self.check_once_each(uuids, ledger)
        assert {r.server: r.destination for r in ledger.records()} == wanted
        for row in ledger.records():
            assert ledger.path(row.server)[:2] == ["claimed", "requested"]
            assert ledger.path(row.server)[-2:] == ["landed", "verified"]
            assert row.request_id or row.migration_id
        for one in self.migrations():
            assert one.is_live and one.status == "completed"
        asked = [
            version
            for method, path, _, version in self.sickness.requests
            if method == "POST" and path.endswith("/action")
        ]
        assert asked == ["compute 2.68"] * 4

    def test_novas_filters_have_the_last_word(self):
        """Another member of its group came to the destination meanwhile."""
        group = self.group()
        (uuid,) = self.boot("h1", group=group)
        self.boot("h2", group=group)
        strategy = live_migration.LiveMigration(self.cloud)
        strategy.check = lambda record: None
        row = self.ends(uuid, strategy=strategy)
        assert row.reason_code == "no-valid-host"
        assert "--live-migration --host h2" in row.reason
        assert self.orders() == 1
        (one,) = self.migrations()
        assert (one.status, one.dest) == ("error", None)
        server = self.cloud.server(uuid)
        assert (server.host, server.vm_state, server.task_state) == (
            "h1", "active", None,
        )

    def test_what_is_in_the_way_is_named_and_nothing_is_asked(self):
        group = self.group()
        grouped, pinned, free, stopped, locked, paused = (
            *self.boot("h1", group=group),
            *self.boot("h1", availability_zone="nova"),
            *self.boot("h1", count=4),
        )
        self.boot("h2", group=group)
        zone = self.admin_api.api_post(
            "/os-aggregates",
            {"aggregate": {"name": "z", "availability_zone": "az3"}},
        ).body["aggregate"]["id"]
        self.cloud.add_to_aggregate(zone, "h3")
        self.cloud.stop(stopped)
        self.act(locked, lock=None)
        self.act(paused, pause=None)
        self.until(lambda: self.cloud.server(stopped).vm_state == "stopped")
        self.until(lambda: self.cloud.server(paused).vm_state == "paused")
        assert self.cloud.server_in_full(pinned).availability_zone == "nova"
        self.sickness.requests.clear()
        for uuid, host, code in (
            (grouped, "h2", "native-group"),
            (pinned, "h3", "pinned-zone"),
            (free, "h9", "destination-down"),
            (stopped, "h2", "stopped"),
            (locked, "h2", "locked"),
            (paused, "h2", "paused"),
        ):
            row = self.ends(uuid, host)
            assert row.reason_code == code, row.reason
        self.cloud.disable("h3", "maintenance")
        assert self.ends(free, "h3").reason_code == "destination-down"
        self.cloud.force_down("h2", True)
        assert self.ends(free, "h2").reason_code == "destination-down"
        self.cloud.force_down("h1", True)
        assert self.ends(free, "h2").reason_code == "source-down"
        assert self.orders() == 0
        assert self.migrations() == ()

    def test_one_that_fails_goes_to_the_spare(self):
        (uuid,) = self.boot("h1")
        driver = self.computes["h1"].manager.driver
        migrate, seen = driver.live_migration, []

        def fail_once(context, instance, dest, post, recover, *rest):
            seen.append(dest)
            if len(seen) > 1:
                return migrate(context, instance, dest, post, recover, *rest)
            return recover(context, instance, dest, rest[-1])

        driver.live_migration = fail_once
        ledger = ledgers.Ledger(
            [ledgers.record(uuid, "h2", spares=("h3",))]
        )
        self.run_mover(
            self.mover(
                ledger, retry=retries.RetryPolicy(backoff_s=(0.2,))
            ),
            ledger,
        )
        row = ledger.records()[0]
        assert (row.state, row.destination, row.tries) == (
            _S.VERIFIED, "h3", 1,
        )
        counts = collections.Counter(
            (m.dest, m.status) for m in self.migrations()
        )
        assert counts == {("h2", "failed"): 1, ("h3", "completed"): 1}
        assert len(row.past_migrations) == 1
        assert seen == ["h2", "h3"]

    def test_one_that_fails_without_a_spare_is_told(self):
        (uuid,) = self.boot("h1")
        self.computes["h1"].manager.driver.live_migration = (
            lambda context, instance, dest, post, recover, block, data:
            recover(context, instance, dest, data)
        )
        row = self.ends(uuid)
        assert row.reason_code == "migration-failed"
        server = self.cloud.server(uuid)
        assert (server.host, server.vm_state) == ("h1", "active")

    def test_one_that_breaks_on_the_way_is_not_touched_again(self):
        (uuid,) = self.boot("h1")

        def broken(*args, **kwargs):
            raise RuntimeError("the connection to the other host broke")

        self.computes["h1"].manager.driver.live_migration = broken
        ledger = ledgers.Ledger(
            [ledgers.record(uuid, "h2", spares=("h3",))]
        )
        self.run_mover(
            self.mover(ledger, retry=retries.RetryPolicy()), ledger
        )
        row = ledger.records()[0]
        assert (row.state, row.reason_code) == (_S.MANUAL, "in-error")
        assert self.orders() == 1

    def test_a_server_deleted_in_between(self):
        before, after, within = self.boot("h1", count=3)
        ledger = self.planned([before, after, within])
        self.admin_api.delete_server(before)
        self.until(lambda: self.gone(before))
        mover = self.mover(ledger)
        with self.conductor_asleep("live_migrate_instance"):
            self.run_mover(
                mover, ledger,
                until=lambda: all(
                    ledger.states()[uuid] == "requested"
                    for uuid in (after, within)
                ),
            )
            self.admin_api.delete_server(within)
            self.until(lambda: self.gone(within))
        self.run_mover(mover, ledger)
        rows = {row.server: row for row in ledger.records()}
        assert rows[before].reason_code == "deleted"
        assert rows[within].reason_code == "deleted"
        assert rows[after].state is _S.VERIFIED

    def gone(self, uuid):
        try:
            self.cloud.server(uuid)
        except errors.CloudNotFound:
            return True
        return False

    def test_killed_after_the_request(self):
        (uuid,) = self.boot("h1")
        ledger = self.planned([uuid])
        self.write_intent(ledger)
        with self.conductor_asleep("live_migrate_instance"):
            self.cloud.live_migrate(uuid, "h2")
            # It looks for longer than the grace: Nova shows what it means.
            mover = self.mover(ledger, grace=0.5)
            blind_until = time.monotonic() + 2.0
            self.run_mover(
                mover, ledger, until=lambda: time.monotonic() > blind_until
            )
            assert ledger.states() == {uuid: "requested"}
        self.run_mover(mover, ledger)
        self.check_once_each([uuid], ledger)
        assert self.orders() == 1
        assert "retry" not in ledger.path(uuid)

    def test_killed_between_intent_and_call(self):
        (uuid,) = self.boot("h1")
        ledger = self.planned([uuid])
        self.write_intent(ledger)
        started = time.monotonic()
        self.run_mover(self.mover(ledger, grace=2.0), ledger)
        assert time.monotonic() - started > 2.0
        self.check_once_each([uuid], ledger)

    def test_a_second_mover_goes_on_where_the_first_was_killed(self):
        uuids = self.boot("h1", count=4)
        ledger = self.planned(uuids)
        alive = threading.Event()
        alive.set()
        first = self.mover(ledger, may_act=alive.is_set)
        self.run_mover(
            first, ledger,
            until=lambda: "landed" in ledger.path(uuids[0])
            or "landed" in ledger.path(uuids[1]),
        )
        alive.clear()
        assert first.round(ledger.records()).stopped
        self.run_mover(self.mover(ledger), ledger)
        self.check_once_each(uuids, ledger)

    def test_answers_that_are_lost(self):
        lost, refused = self.boot("h1", count=2)
        for uuid, kind, orders in ((lost, "lost", 1), (refused, "refused", 2)):
            self.sickness.requests.clear()
            ledger = self.planned([uuid])
            self.sickness.fault("POST", "/action$", kind, times=1)
            self.run_mover(self.mover(ledger, grace=2.0), ledger)
            assert ledger.states() == {uuid: "verified"}
            assert self.orders() == orders
            assert ledger.records()[0].tries == 0
        counts = collections.Counter(m.server for m in self.migrations())
        assert counts == {lost: 1, refused: 1}

    def test_moved_by_somebody_else(self):
        here, there = self.boot("h1", count=2)
        self.cloud.live_migrate(here, "h2")
        self.cloud.live_migrate(there, "h3")
        ledger = ledgers.Ledger(
            [ledgers.record(here, "h2"), ledgers.record(there, "h2")]
        )
        self.run_mover(self.mover(ledger), ledger)
        rows = {row.server: row for row in ledger.records()}
        assert rows[here].state is _S.VERIFIED
        assert rows[there].reason_code == "moved-by-others"
        assert self.orders() == 2

    def test_what_novas_texts_are_taken_for(self):
        """Each known text, from Nova's own mouth."""
        active, stopped, paused = self.boot("h1", count=3)
        self.cloud.stop(stopped)
        self.until(lambda: self.cloud.server(stopped).vm_state == "stopped")
        self.act(paused, pause=None)
        self.until(lambda: self.cloud.server(paused).vm_state == "paused")
        said = {}
        for uuid, host in ((stopped, "h2"), (active, "h9")):
            with pytest.raises(errors.CloudRefused) as caught:
                self.cloud.live_migrate(uuid, host)
            said[uuid] = adoption_live.refused(
                caught.value.code, caught.value.message
            )
        assert isinstance(said[stopped], adoption.Manual)
        assert said[stopped].reason_code == "stopped"
        assert said[active] is retries.FailureKind.DESTINATION_DOWN
        with self.conductor_asleep("live_migrate_instance"):
            self.cloud.live_migrate(active, "h2")
            with pytest.raises(errors.CloudRefused) as caught:
                self.cloud.live_migrate(active, "h2")
            assert adoption_live.refused(
                caught.value.code, caught.value.message
            ) is None
            (trace,) = self.cloud.live_migration_traces(
                active, utcnow() - EARLIER
            )
            assert trace.request_id.startswith("req-")
            assert self.cloud.evacuation_traces(
                active, utcnow() - EARLIER
            ) == ()
        self.until(lambda: self.cloud.server(active).host == "h2")
        with pytest.raises(errors.CloudNotFound):
            self.cloud.live_migrate(
                "3f2b8d0a-9d0c-4f6e-8f53-5a6f6f1d0001", "h2"
            )


class TestSlow(LiveCase):
    """Migrations that take five seconds."""

    compute_driver = "fake.FakeLiveMigrateDriver"

    def test_one_that_a_person_aborts(self):
        (uuid,) = self.boot("h1")
        ledger = self.planned([uuid])
        mover = self.mover(ledger)
        self.run_mover(
            mover, ledger,
            until=lambda: any(
                one.status == "running"
                for one in self.cloud.unfinished_migrations()
            ),
        )
        (one,) = self.cloud.unfinished_migrations()
        assert (one.server, one.source, one.dest) == (uuid, "h1", "h2")
        with pytest.raises(errors.CloudNotFound):
            self.cloud.abort_live_migration(uuid, one.id + 1)
        self.cloud.abort_live_migration(uuid, one.id)
        self.run_mover(mover, ledger)
        row = ledger.records()[0]
        assert (row.state, row.reason_code) == (_S.MANUAL, "cancelled")
        assert self.cloud.server(uuid).host == "h1"
        assert self.cloud.unfinished_migrations() == ()
        assert self.orders() == 1
