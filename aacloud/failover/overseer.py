# SPDX-License-Identifier: Apache-2.0
"""One look at the cloud after the other.

Every engine judges all the time, so that a new leader knows the cloud at
once; only the leader opens incidents and lets workers handle them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import datetime
import logging
import threading

from aacloud.coordination import terms
from aacloud.core import brakes
from aacloud.core import hosts as host_records
from aacloud.core import incidents
from aacloud.core import topology
from aacloud.core import verdicts
from aacloud.db import api as db_api
from aacloud.db import errors as db_errors
from aacloud.db import journal as journals
from aacloud.failover import context as contexts
from aacloud.failover import metrics
from aacloud.failover import policies
from aacloud.failover import worker
from aacloud.failover import world as worlds
from aacloud.failover.steps import step
from aacloud.rpc import rates

LOG = logging.getLogger(__name__)

#: Seconds between two writes of the hosts' table when nothing changed.
HOSTS_EVERY = 3.0
#: Seconds after which Nova's silence makes what it said worthless.
NOVA_TTL = 20.0
#: Seconds after which an engine that stands by asks the database again.
ASK_EVERY = 2.0

Modes = Mapping[tuple[topology.Level, str], brakes.Mode]


class Overseer:
    """Judges, opens incidents, and keeps a worker for each open one.

    :param term: where the journal finds the epoch
    :param member: the name of this engine
    :param begin: starts a worker
    """

    def __init__(
        self,
        context: contexts.Context,
        lease: terms.Lease,
        term: terms.Term,
        story: db_api.Incidents,
        *,
        member: str,
        begin: Callable[[worker.IncidentWorker], None] = (
            worker.IncidentWorker.start),
    ) -> None:
        self._context = context
        self._journal = context.journal
        self._world = context.world
        self._clock = context.clock
        self._lease = lease
        self._term = term
        self._story = story
        self._member = member
        self._begin = begin
        self._store_trouble: str | None = "the database was not asked yet"
        self._store_ok_at = self._clock.monotonic()
        self._looked_at: float | None = None
        self._dead_since: Mapping[str, float] = {}
        self._known_agents: frozenset[str] = frozenset()
        self._workers: dict[str, worker.IncidentWorker] = {}
        self._workers_guard = threading.Lock()
        self._ending = False
        self._saved: dict[str, host_records.HostRecord] = {}
        self._saved_at = float("-inf")
        self._saved_under: int | None = None
        self._stored: frozenset[str] = frozenset()
        self._cancelled: dict[str, datetime.datetime] = {}
        self._passed_over: dict[str, str] = {}
        self._pace = rates.LogPace(clock=self._clock.monotonic)
        # Asked when it is read: a look at the cloud may hang for a while.
        metrics.LEADS.set_function(lambda: float(lease.valid()))

    @property
    def store_trouble(self) -> str | None:
        """Why the database cannot be used, or None."""
        return self._store_trouble

    def last_look_age(self) -> float | None:
        """Seconds since the last look at the cloud; None before the first."""
        at = self._looked_at
        return None if at is None else self._clock.monotonic() - at

    def remember(
        self, known: Mapping[str, host_records.HostRecord]
    ) -> None:
        """Start with what an earlier engine had stored."""
        self._note_store(None)
        self._world.remember(known)
        self._known_agents = frozenset(
            name for name, record in known.items()
            if record.agent_seen_at is not None)

    # -- leadership ---------------------------------------------------------

    def take_over(self) -> None:
        """Raise the epoch and go on with every open incident.

        :raises db_errors.DatabaseError: it could not be done
        """
        epoch = self._journal.take_over(journals.FAILOVER, self._member)
        self._term.epoch = epoch
        metrics.TAKEOVERS.inc()
        metrics.EPOCH.set(epoch)
        LOG.info("This engine leads with epoch %d", epoch)

    def lost(self, reason: str) -> None:
        """Stop to write, and let the workers end."""
        self._term.epoch = None
        self._ask_workers_to_end()

    def end_workers(self, timeout: float) -> None:
        """Let all workers end and start none any more."""
        with self._workers_guard:
            self._ending = True
            left = list(self._workers.values())
        self._ask_workers_to_end()
        until = self._clock.monotonic() + timeout
        for each in left:
            if not each.join(max(0.0, until - self._clock.monotonic())):
                LOG.warning(
                    "Incident %s: its step did not end within %.0f s; it is "
                    "left behind and may change nothing any more",
                    each.incident_id, timeout)

    def _ask_workers_to_end(self) -> None:
        with self._workers_guard:
            for each in self._workers.values():
                each.stop()

    # -- a look -------------------------------------------------------------

    def look(self) -> None:
        """Look at the cloud once; never raises."""
        with metrics.TICK_SECONDS.time():
            epoch = self._term.epoch
            try:
                self._look(self._clock.monotonic())
                self._looked_at = self._clock.monotonic()
            except db_errors.StaleJournal as error:
                self._after_stale(error, epoch)
            except db_errors.DatabaseError as error:
                self._looked_at = self._clock.monotonic()
                self._note_store(str(error))
            except Exception as error:
                held_back = self._pace.due(type(error).__name__)
                if held_back is not None:
                    LOG.exception(
                        "This look at the cloud failed%s",
                        self._pace.text(held_back))

    def _after_stale(
        self, error: db_errors.StaleJournal, epoch: int | None
    ) -> None:
        self._looked_at = self._clock.monotonic()
        if not error.deposed or not self._lease.valid():
            LOG.info("%s", error)
            return
        if epoch is not None and epoch == self._term.epoch:
            # It holds the lease, but another engine raised the epoch after
            # it: a late takeover, or a database that was set back. Nobody
            # would write any more.
            LOG.warning("%s. The leadership is given back", error)
            self._lease.resign("its epoch is not the one of the journal")

    def _look(self, now: float) -> None:
        judgement = verdicts.judge(
            self._world.view(
                now,
                store_ok=self._store_trouble is None,
                lease_ok=self._lease.trouble is None,
                dead_since=self._dead_since,
                known_agents=self._known_agents,
                nova_ttl=NOVA_TTL,
            ),
            policies.detection(self._context.conf), now)
        self._dead_since = judgement.dead_since()
        self._context.board.put(judgement, now)
        self._measure(judgement)
        self._reap()
        if self._lease.valid():
            self._lead(judgement, now)
        else:
            self._stand_by(now)

    def _stand_by(self, now: float) -> None:
        """An engine that does not lead notices a sick database, too."""
        self._count({})
        if (
            self._store_trouble is not None
            or now - self._store_ok_at > ASK_EVERY
        ):
            self._journal.leader()
            self._note_store(None)

    def _lead(self, judgement: verdicts.Judgement, now: float) -> None:
        open_now = {
            incident.host: incident
            for incident in self._journal.open_incidents()}
        modes = self._journal.modes()
        self._count(open_now)
        self._context.board.put_recovering({
            host for host, incident in open_now.items()
            if incident.state in incidents.IN_RECOVERY})
        passed_over = {}
        for host, verdict in judgement.hosts.items():
            if verdict.state is verdicts.HostState.DEAD and (
                host not in open_now
            ):
                reason = self._reason_against(host, modes)
                if reason is None:
                    open_now[host] = self._open(host, verdict, modes)
                else:
                    passed_over[host] = f"no incident is opened: {reason}"
        self._tell_passed_over(passed_over)
        for incident in open_now.values():
            self._keep_worker(incident.id)
        self._save_hosts(judgement, now, open_now)
        self._note_store(None)

    def _note_store(self, trouble: str | None) -> None:
        if trouble is None:
            self._store_ok_at = self._clock.monotonic()
            if self._store_trouble is not None:
                LOG.info("The database can be used")
        else:
            held_back = self._pace.due("store")
            if held_back is not None:
                LOG.warning(
                    "The database cannot be used (%s): nothing is begun "
                    "until it can%s", trouble, self._pace.text(held_back))
        self._store_trouble = trouble

    # -- incidents ----------------------------------------------------------

    def _reason_against(self, host: str, modes: Modes) -> str | None:
        """Why no incident is opened for a dead host; None: one is."""
        mode = brakes.effective_mode(modes, self._world.topology(), host)
        if mode.mode is brakes.Mode.DISARMED:
            return "; ".join(mode.reasons)
        service = self._world.service(host)
        if service is not None and service.forced_down:
            # Another hand's work is not undone, nor doubled.
            return (
                "somebody else forced it down in Nova; take that back "
                "('openstack compute service set --up') to let this engine "
                "recover its servers")
        if self._is_cancelled(host):
            return (
                "an operator cancelled its incident, and it showed no life "
                "since")
        return None

    def _is_cancelled(self, host: str) -> bool:
        """Whether the host shows no life since its incident was cancelled.

        One that was cancelled after the proof ends as returned, and that
        only when the host has shown life.
        """
        life = self._world.last_life(host)
        known = self._cancelled.get(host)
        if known is not None and (life is None or life < known):
            return True
        self._cancelled.pop(host, None)
        latest = self._story.list(host=host, limit=1)
        if not latest or latest[0].closed_at is None:
            return False
        closed_at = latest[0].closed_at
        if (
            latest[0].state is not incidents.IncidentState.CANCELLED
            or step.command(latest[0], incidents.Command.CANCEL) is None
            or (life is not None and life >= closed_at)
        ):
            return False
        self._cancelled[host] = closed_at
        return True

    def _tell_passed_over(self, passed_over: Mapping[str, str]) -> None:
        for host, reason in passed_over.items():
            if self._passed_over.get(host) != reason:
                LOG.warning("Host %s is dead, but %s", host, reason)
        self._passed_over = dict(passed_over)
        for host in set(self._cancelled) - set(passed_over):
            del self._cancelled[host]

    def _open(
        self, host: str, verdict: verdicts.HostVerdict, modes: Modes
    ) -> incidents.Incident:
        mode = brakes.effective_mode(modes, self._world.topology(), host).mode
        life = self._world.last_life(host)
        incident = self._journal.open_incident(
            host, verdict.as_dict(), mode,
            event_text=f"host {host} is dead: {'; '.join(verdict.reasons)}",
            request_id=None,
            summary={} if life is None else {
                "last_life_at": life.isoformat()})
        LOG.warning(
            "Incident %s opened: host %s is dead (%s). Mode: %s",
            incident.id, host, "; ".join(verdict.reasons), mode.value)
        self._context.notifier.incident(incident)
        return incident

    def _keep_worker(self, incident_id: str) -> None:
        with self._workers_guard:
            if (
                incident_id in self._workers
                or self._ending
                or not self._lease.valid()
            ):
                return
            fresh = worker.IncidentWorker(self._context, incident_id)
            self._workers[incident_id] = fresh
        try:
            self._begin(fresh)
        except Exception:
            fresh.end()
            raise

    def _reap(self) -> None:
        with self._workers_guard:
            for incident_id, each in list(self._workers.items()):
                if not each.alive:
                    del self._workers[incident_id]

    # -- hosts --------------------------------------------------------------

    def _save_hosts(
        self,
        judgement: verdicts.Judgement,
        now: float,
        open_now: Mapping[str, incidents.Incident],
    ) -> None:
        self._begin_table()
        records = self._world.records(judgement, now, self._passed_over)
        fresh = [
            record for name, record in records.items()
            if worlds.differs(self._saved.get(name), record)]
        due = (
            now - self._saved_at >= HOSTS_EVERY
            # Only a write shows whether the database can be written again.
            or self._store_trouble is not None)
        if not fresh and not due:
            return
        # Without any host in it the topology was not read, or is lost.
        gone = self._stored - set(records) - set(open_now) if records else ()
        self._journal.save_hosts(
            list(records.values()) if due else fresh, forget=gone)
        self._stored = (self._stored | set(records)).difference(gone)
        self._saved = records
        if due:
            self._saved_at = now

    def _begin_table(self) -> None:
        """A new leader writes all, and knows what others had written."""
        epoch = self._term.epoch
        if epoch != self._saved_under:
            self._stored = frozenset(
                record.name for record in self._journal.hosts())
            self._saved = {}
            self._saved_at = float("-inf")
            self._saved_under = epoch

    # -- what is told -------------------------------------------------------

    def _measure(self, judgement: verdicts.Judgement) -> None:
        metrics.CUT_OFF.set(1 if judgement.self_cut_off else 0)
        for state in verdicts.HostState:
            metrics.HOSTS.labels(state.value).set(sum(
                verdict.state is state
                for verdict in judgement.hosts.values()))

    def _count(self, open_now: Mapping[str, incidents.Incident]) -> None:
        """Only the leader counts them, so that a sum over all engines is
        right."""
        for state in incidents.IncidentState:
            if state not in incidents.CLOSED:
                metrics.OPEN_INCIDENTS.labels(state.value).set(sum(
                    incident.state is state
                    for incident in open_now.values()))
