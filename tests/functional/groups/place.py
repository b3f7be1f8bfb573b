# SPDX-License-Identifier: Apache-2.0
"""Two engines over a real bus, database and etcd; Nova is scripted, and
tells of its servers over the real bus."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import itertools
import threading
import time
import uuid

from oslo_config import cfg
import oslo_messaging
from oslo_messaging import conffixture
import pytest

from aacloud.core import rules
from aacloud.db import engine as db_engine
from aacloud.db import groups as stores
from aacloud.db import migration
from aacloud.db import plans as plan_stores
from aacloud.groups import daemon as daemons
from aacloud.rpc import groups as rpc_groups
from aacloud.rpc import groups_server
from aacloud.rpc import messaging
from aacloud.rpc import snapshot as snapshots
from tests.functional.monitor import rabbitmq
from tests.unit.core import builders
from tests.unit.db import worlds
from tests.unit.failover import virtual_time
from tests.unit.groups import scripted_cloud
from tests.unit.groups import stage as stages

DEADLINE = 90.0

_RUN = itertools.count()


def server_id(number: int) -> str:
    return str(uuid.UUID(int=number + 1))


class Scheduler:
    """A scheduler's copy of the groups, kept as schedulers do."""

    def __init__(self, conf: cfg.ConfigOpts, name: str) -> None:
        self.name = name
        self._transport = messaging.init(conf)
        self._client = snapshots.SnapshotClient(self._transport)
        self.groups: dict[str, rules.Group] = {}
        self.revision: int | None = None
        self._lock = threading.Lock()
        self._server = groups_server.changed_server(
            self._transport, lambda revision: self.ask(), name=name)

    def start(self) -> None:
        self._server.start()
        assert self._server.wait_listening(DEADLINE)
        self.ask()

    def ask(self) -> None:
        with self._lock:
            found = self._client.get_snapshot(self.revision, 10.0)
            if found.since is None:
                self.groups.clear()
            self.groups.update((one.id, one) for one in found.groups)
            for gone in found.gone:
                self.groups.pop(gone, None)
            self.revision = found.revision
        self._client.ack(self.name, found.revision)

    def stop(self) -> None:
        self._server.stop()
        self._transport.cleanup()


class Place:
    """See the module."""

    def __init__(
        self,
        broker: rabbitmq.RabbitMQ,
        database_url: str,
        coordination_url: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.broker = broker
        self._database_url = database_url
        self._coordination_url = coordination_url
        self.time = virtual_time.VirtualTime(time.monotonic())
        self.cloud = scripted_cloud.ScriptedCloud(
            self.time, builders.cloud(dcs=2, racks=4, hosts=8))
        self.cloud.takes_s = 0.5
        monkeypatch.setattr(
            daemons.nova.NovaCloud, "from_conf", lambda conf: self.cloud)
        # No two tests share an exchange, a queue or a leadership.
        self._name = f"test{next(_RUN)}"
        conf = self.configuration("test")
        migration.sync(conf, connection=database_url)
        self.database = db_engine.Database(conf)
        self.store = stores.Groups(self.database)
        self.plans = plan_stores.Plans(self.database)
        self._transport = messaging.init(conf)
        self.api = rpc_groups.GroupsClient(self._transport)
        nova = self.configuration("nova")
        nova.set_override("control_exchange", "nova")
        self._notifying = messaging.init_notifications(nova)
        self.daemons: list[daemons.GroupsDaemon] = []
        self.schedulers: list[Scheduler] = []

    def configuration(self, member: str) -> cfg.ConfigOpts:
        conf = stages.configuration(
            inspect_interval=2.0, reconcile_interval=10.0,
            notification_topics=[f"{self._name}-notifications"],
            notification_pool=self._name, parallel_total=20,
            parallel_per_host=4, parallel_per_rack=20, parallel_inter_dc=20,
            max_moves_per_window=500)
        conffixture.ConfFixture(conf)
        conf.set_override("transport_url", self.broker.url)
        conf.set_override(
            "driver", ["noop"], "oslo_messaging_notifications")
        conf.set_override(
            "backend_url", self._coordination_url, "aacloud_coordination")
        conf.set_override("lease", 3, "aacloud_coordination")
        conf.set_override("member_id", member, "aacloud_coordination")
        worlds.options.set_defaults(conf, connection=self._database_url)
        return conf

    def engine(self, member: str) -> daemons.GroupsDaemon:
        made = daemons.GroupsDaemon(self.configuration(member))
        self.daemons.append(made)
        made.start()
        return made

    def engines(self) -> None:
        for name in ("one", "two"):
            self.engine(f"{self._name}-{name}")
        self.eventually(lambda: all(
            well for daemon in self.daemons
            for well, _ in daemon.checks().values()))

    def scheduler(self, name: str) -> Scheduler:
        made = Scheduler(self.configuration(name), name)
        self.schedulers.append(made)
        made.start()
        return made

    def notifier(self) -> Callable[[str, dict[str, object]], None]:
        made = oslo_messaging.Notifier(
            self._notifying, publisher_id="nova", driver="messaging",
            topics=[f"{self._name}-notifications"], retry=3)

        def tell(event_type: str, data: dict[str, object]) -> None:
            made.info({}, event_type, {"nova_object.data": data})

        return tell

    def group(
        self, *texts: str, mode: rules.GroupMode = rules.GroupMode.REPORT
    ) -> str:
        made = self.store.create(
            "web", "p", by="ann", mode=mode,
            rules=[rules.parse_rule(text) for text in texts])
        self.api.changed(made.group.revision)
        return made.id

    def members(self, group: str) -> frozenset[str]:
        return self.store.get(group).group.members

    def eventually(
        self, so: Callable[[], object], seconds: float = DEADLINE
    ) -> float:
        """Wait until it is so; return how long that took."""
        pause = threading.Event()
        begun = time.monotonic()
        while not so():
            assert time.monotonic() - begun < seconds, [
                daemon.checks() for daemon in self.daemons]
            self.time.go_to(time.monotonic())
            pause.wait(0.02)
        return time.monotonic() - begun

    def at_once(self, works: Sequence[Callable[[], object]]) -> None:
        """Do all of it in threads that begin together."""
        begin = threading.Barrier(len(works))
        failed: list[BaseException] = []

        def run(work: Callable[[], object]) -> None:
            begin.wait(DEADLINE)
            try:
                work()
            except BaseException as error:  # noqa: BLE001 told below
                failed.append(error)

        threads = [
            threading.Thread(target=run, args=(work,), daemon=True)
            for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        assert not failed, failed

    def close(self) -> None:
        for scheduler in self.schedulers:
            scheduler.stop()
        for daemon in self.daemons:
            daemon.stop()
        self.database.dispose()
        self._transport.cleanup()
        self._notifying.cleanup()
