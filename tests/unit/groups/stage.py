# SPDX-License-Identifier: Apache-2.0
"""Engines of server groups on a stage: all their real parts over a scripted
cloud, a database in memory, and time that the test turns.

Each engine is driven by one thread, the test's: a crash is an exception that
nothing of it catches, after which the engine is dropped and another begins.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import threading
import typing
from typing import Any

from oslo_config import cfg

from aacloud import conf as aacloud_conf
from aacloud.clouds import moves
from aacloud.coordination import terms
from aacloud.core import groups as core_groups
from aacloud.core import rules
from aacloud.db import engine as db_engine
from aacloud.db import groups as stores
from aacloud.db import inspections
from aacloud.db import plans as plan_stores
from aacloud.db import quotas
from aacloud.db import schedulers
from aacloud.groups import answers
from aacloud.groups import catalogue as catalogues
from aacloud.groups import executor as executors
from aacloud.groups import explaining
from aacloud.groups import fullness
from aacloud.groups import inspector as inspectors
from aacloud.groups import keeper as keepers
from aacloud.groups import membership as memberships
from aacloud.groups import policies
from aacloud.groups import projects
from aacloud.groups import rechecking
from aacloud.groups import reconciliation
from aacloud.groups import repairer as repairers
from aacloud.groups import sight as sights
from aacloud.groups import snapshots
from aacloud.groups import surroundings as around
from tests.unit.core import builders
from tests.unit.failover import virtual_time
from tests.unit.groups import scripted_cloud

State = core_groups.PlanState
Step = core_groups.StepState
Mode = rules.GroupMode

PROJECT = "p"

#: Short times, so that few looks are enough.
OPTIONS: dict[str, Any] = {
    "reconcile_interval": 30.0, "inspect_interval": 5.0,
    "topology_poll": 5.0, "request_grace": 5.0, "cool_down": 600.0,
    "repair_approval": False, "move_overhead": 10.0,
    "solver_time_limit": 2.0, "solver_workers": 1, "settle_time": 0.0,
}


class Killed(BaseException):
    """The process of the engine ended here."""


def configuration(**options: Any) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    aacloud_conf.register_opts(conf)
    aacloud_conf.parse_args(
        [], "aacloud-test", default_config_files=[], conf=conf)
    for name, value in {**OPTIONS, **options}.items():
        conf.set_override(name, value, "aacloud_groups")
    return conf


class ScriptedLease:
    """Leads when it is told to."""

    def __init__(self) -> None:
        self.leads = False
        self.trouble: str | None = None

    def valid(self) -> bool:
        return self.leads


class ScriptedProjects:
    """Keystone's projects, as ``aacloud.clouds.projects`` reads them.

    :ivar gone: those that were deleted
    :ivar fails: project -> what is raised when it is asked for
    :ivar asked: which ones were asked for, in order
    """

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.fails: dict[str, Exception] = {}
        self.asked: list[str] = []

    def own(self) -> str | None:
        return "service"

    def exists(self, project_id: str) -> bool:
        self.asked.append(project_id)
        if project_id in self.fails:
            raise self.fails[project_id]
        return project_id not in self.gone


class Notes:
    """Keeps the notifications: state, payload, and whether it is bad."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Mapping[str, Any], bool]] = []

    def group(
        self, state: str, data: Mapping[str, Any], *, bad: bool
    ) -> None:
        self.told.append((state, data, bad))

    def states(self, group: str) -> list[str]:
        return [state for state, data, _ in self.told if data["id"] == group]


class WatchedPlans(plan_stores.Plans):
    """Calls back around each write; a number counts them."""

    writes = 0
    before: Callable[[int], None] = staticmethod(lambda number: None)
    after: Callable[[int], None] = staticmethod(lambda number: None)

    @contextlib.contextmanager
    def _watched(self) -> typing.Iterator[None]:
        number = self.writes
        self.writes += 1
        self.before(number)
        yield
        self.after(number)

    def create(self, *args: Any, **kwargs: Any) -> Any:
        with self._watched():
            return super().create(*args, **kwargs)

    def advance(self, *args: Any, **kwargs: Any) -> Any:
        with self._watched():
            return super().advance(*args, **kwargs)

    def note(self, *args: Any, **kwargs: Any) -> Any:
        with self._watched():
            return super().note(*args, **kwargs)

    def update_steps(self, *args: Any, **kwargs: Any) -> Any:
        with self._watched():
            return super().update_steps(*args, **kwargs)


class Engine:
    """One instance of the engine; nothing of it runs by itself."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        self.name = name
        clock = stage.time.clock()
        cloud = stage.cloud
        self.lease = ScriptedLease()
        self.term = terms.Term()
        self.notes = Notes()
        self.announced: list[int] = []
        self.plans = WatchedPlans(
            stage.database, lambda: self.term.epoch, now=clock.utcnow)
        self.store = stage.store
        self.kept = inspections.Inspections(stage.database)
        self.places = inspections.Places(stage.database)
        self.words = schedulers.Schedulers(stage.database, now=clock.utcnow)
        self.watcher = around.Watcher(
            cloud, every_s=2.0, topology_every_s=5.0, clock=clock)
        self.catalogue = catalogues.Catalogue(self.store)
        self.reader = sights.Reader(cloud, clock)
        self.repairer = repairers.Repairer(
            stage.conf, self.plans, cloud, self.reader, clock)
        self.explainer = explaining.Explainer(
            stage.conf, self.catalogue, self.reader, cloud, self.repairer,
            clock)
        self.inspector = inspectors.Inspector(
            self.catalogue, self.reader, self.watcher, self.kept,
            self.places, self.words, typing.cast(Any, self.notes),
            self.explainer, clock)
        self.membership = memberships.Membership(
            self.store, cloud, announce=self.announced.append,
            recheck=self.inspector.recheck)
        self.projects = projects.ProjectCheck(
            stage.conf, self.catalogue, stage.projects,
            forget=self.membership.forget_project,
            may_act=self.lease.valid, clock=clock)
        self.keeper = keepers.Keeper(
            stage.conf, self.store, self.catalogue,
            reconciliation.Reconciler(
                self.store, self.reader, self.membership),
            self.reader, self.inspector, self.repairer, self.kept,
            self.places, self.words, leads=self.lease.valid,
            announce=self.announced.append, clock=clock)
        self.held: list[str] = []
        self.executor = executors.Executor(
            stage.conf, self.plans, cloud,
            rechecking.Rechecker(
                self.catalogue, self.reader, self.watcher, cloud,
                lambda: stage.conf.aacloud_groups.default_window, clock),
            may_act=self.lease.valid, epoch=lambda: self.term.epoch,
            hold=lambda: self.held, recheck=self.inspector.recheck,
            domains=lambda: {
                host.name: (host.rack, host.dc)
                for host in stage.topology.hosts.values()},
            clock=clock, pool=virtual_time.Inline,
            times=moves.MoverTimes(poll=1.0, verify=60.0))
        self.answers = answers.Answers(
            self.store, self.catalogue, self.reader, cloud, self.inspector,
            self.repairer, self.plans, self.words,
            snapshots.SnapshotMaker(
                self.catalogue, self.watcher, fullness.Fullness(
                    self.catalogue, stage.quotas, clock), clock),
            member=name, leads=self.lease.valid, forward=self._forward,
            stop=threading.Event(), clock=clock)
        self.handed_on: list[tuple[str, Any]] = []
        self.due = {"keeper": 0.0, "executor": 0.0, "watcher": 0.0,
                    "inspector": 0.0, "projects": 0.0}

    def _forward(self, holder: str, question: Any) -> Any:
        self.handed_on.append((holder, question))
        for engine in self.stage.engines:
            if engine.name == holder:
                return engine.answers.repair(question, 20.0)
        raise AssertionError(f"no engine {holder}")

    def lead(self) -> Engine:
        for other in self.stage.engines:
            other.lease.leads = False
            other.term.epoch = None
        self.term.epoch = self.plans.take_over(plan_stores.GROUPS, self.name)
        self.keeper.take_over()
        self.lease.leads = True
        return self

    def work(self, now: float) -> None:
        """Do whatever is due."""
        for name, look in (
            ("watcher", self.watcher.look),
            ("keeper", self.keeper.look),
            ("inspector", lambda: self.inspector.work() or 0.5),
            ("executor", self.executor.look),
            ("projects", self.projects.look),
        ):
            if now >= self.due[name]:
                self.due[name] = now + look()


class Stage:
    """The cloud, the database, and the engines."""

    def __init__(self, database: db_engine.Database, **options: Any) -> None:
        self.time = virtual_time.VirtualTime()
        self.database = database
        self.conf = configuration(**options)
        self.topology = builders.cloud()
        self.cloud = scripted_cloud.ScriptedCloud(self.time, self.topology)
        self.projects = ScriptedProjects()
        self.store = stores.Groups(
            database, now=self.time.utcnow,
            default_quota=lambda: policies.quota(self.conf))
        self.quotas = quotas.Quotas(
            database, now=self.time.utcnow,
            default=lambda: policies.quota(self.conf))
        self.plans = plan_stores.Plans(database, now=self.time.utcnow)
        self.kept = inspections.Inspections(database)
        self.engines: list[Engine] = []

    def engine(self, name: str = "one") -> Engine:
        made = Engine(self, name)
        self.engines.append(made)
        made.watcher.look()
        return made

    # -- groups -------------------------------------------------------------

    def group(
        self,
        *texts: str,
        members: Mapping[str, str] | None = None,
        name: str = "web",
        mode: Mode = Mode.REPAIR,
        window: str | None = None,
    ) -> str:
        """Make a group.

        :param members: server -> the host that it is put on
        """
        for server, host in (members or {}).items():
            if server not in self.cloud.servers:
                self.cloud.born(server, host)
        return self.store.create(
            name, PROJECT, by="ann", mode=mode,
            rules=[rules.parse_rule(text) for text in texts],
            window=window, members=dict.fromkeys(members or {}, PROJECT)).id

    def members(self, group: str) -> set[str]:
        return set(self.store.get(group).group.members)

    def state(self, group: str) -> str | None:
        found = self.kept.list([group])
        return found[0].state if found else None

    def is_(self, group: str, state: str) -> Callable[[], bool]:
        return lambda: self.state(group) == state

    def hosts_of(self, *servers: str) -> list[str]:
        return [self.cloud.servers[one].host for one in servers]

    # -- plans --------------------------------------------------------------

    def all_plans(self) -> list[core_groups.Plan]:
        """The oldest first."""
        return list(reversed(self.plans.list()))

    def plan(self) -> core_groups.Plan:
        return self.all_plans()[-1]

    def plan_is(self, *states: State) -> Callable[[], bool]:
        return lambda: bool(self.plans.list()) and (
            self.plan().state in states)

    def steps(self) -> tuple[core_groups.PlanStep, ...]:
        return self.plans.steps(self.plan().id)

    def order(self, command: core_groups.PlanCommand) -> None:
        self.plans.order(
            self.plan().id, command, by="ann", reason="she knows")

    def story(self) -> list[str]:
        return [
            f"{event.at:%M:%S} {event.kind} {event.text}"
            for plan in self.all_plans()
            for event in self.plans.events(plan.id)][-30:]

    # -- time ---------------------------------------------------------------

    def run(
        self, until: Callable[[], object], limit_s: float = 600.0
    ) -> None:
        """Let time go by until it is so; every engine works."""
        end = self.time.now + limit_s
        while not until():
            if self.time.now > end:
                raise AssertionError(f"it never came: {self.story()}")
            for each in list(self.engines):
                each.work(self.time.now)
            wake = [
                due for each in self.engines for due in each.due.values()]
            self.time.go_to(max(
                min(wake, default=end), self.time.now + 0.1))

    def run_for(self, seconds: float) -> None:
        end = self.time.now + seconds
        self.run(lambda: self.time.now >= end, seconds + 10.0)
