# SPDX-License-Identifier: Apache-2.0
"""One leader at a time, and a leader that knows when it no longer is one.

The election is a tooz lock. A lock object alone must not be trusted: with
etcd, after the holder was paused or cut off and another one took the lock,
both ``lock.acquired`` and ``lock.heartbeat()`` of the first still say yes.
So three things are added:

* the key is read back from etcd at each renewal and must still be the one
  that this process created (same creation revision);
* the leader stops by its own clock: it is valid only until the moment that
  the last *confirmed* renewal was sent plus the lease, less a margin;
* the epoch (the fencing token), raised by compare-and-swap in the database
  at each takeover, is checked by every write of the journal.
"""

from __future__ import annotations

from collections.abc import Callable
import logging
import threading
import time
from typing import Any
from urllib import parse

from etcd3gw import exceptions as etcd_errors
from tooz import coordination
from tooz.drivers import etcd3gw as etcd_driver

from aacloud.rpc import rates

LOG = logging.getLogger(__name__)

#: Read back instead of a revision when the key is gone.
_ABSENT = 'absent'

#: Errors which mean that the coordination service did not answer well.
_TROUBLE = (
    coordination.ToozError,
    etcd_errors.Etcd3Exception,
    OSError,
    KeyError,
    ValueError,
)


def lease_clock() -> float:
    """Seconds of a clock that also runs while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def lock_url(backend_url: str, lease: int) -> str:
    """The tooz URL with bounded time-outs and the lock's lease.

    :param backend_url: as configured, for instance
        ``etcd3+http://10.0.0.2:2379``
    :param lease: seconds after which a silent leader is replaced
    """
    parts = parse.urlsplit(backend_url)
    if not parts.scheme.startswith('etcd3'):
        return backend_url
    query = dict(parse.parse_qsl(parts.query))
    query.setdefault('timeout', str(max(1, lease // 3)))
    query.setdefault('lock_timeout', str(lease))
    query.setdefault('membership_timeout', str(lease))
    return parts._replace(query=parse.urlencode(query)).geturl()


class LeaderLease:
    """Campaigns for one named leadership in a thread of its own.

    :param backend_url: tooz coordination URL
    :param member_id: name of this engine, shown to operators
    :param lease: seconds; etcd forgets a silent leader after that long
    :param on_elected: called with no argument in the lease's thread right
        after the election; it raises the epoch. When it raises, the
        leadership is given back and tried again later.
    :param on_lost: called in the lease's thread when the leadership ended
    :param clock: monotonic seconds
    :param again_s: seconds before it campaigns again after a leadership that
        could not be taken over or was given back, so that another engine
        comes first; the lease, if not given
    """

    def __init__(
        self,
        backend_url: str,
        member_id: str,
        *,
        lease: int,
        on_elected: Callable[[], None],
        on_lost: Callable[[str], None],
        name: str = 'aacloud-failover',
        clock: Callable[[], float] = lease_clock,
        again_s: float | None = None,
    ) -> None:
        self.member_id = member_id
        self._url = lock_url(backend_url, lease)
        self._name = name.encode()
        self._lease = float(lease)
        # What remains for a call in flight when the validity ends.
        self._margin = max(0.5, 0.2 * lease)
        self._on_elected = on_elected
        self._on_lost = on_lost
        self._clock = clock
        self._again_s = self._lease if again_s is None else again_s
        self._guard = threading.Lock()
        self._deadline: float | None = None
        self._held = False
        self._announced = False
        self._resigned: str | None = None
        self._pace = rates.LogPace()
        self._coordinator: Any = None
        self._lock: Any = None
        self._revision: str | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._trouble: str | None = 'not asked yet'

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self._run, name='leader-lease', daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Give the leadership back, so that another takes over at once."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=self._lease + 5)
        self._lose('this engine stops')
        self._disconnect(release=True)

    def valid(self) -> bool:
        """Whether this process may still act as the leader, right now."""
        with self._guard:
            return (
                self._announced
                and self._deadline is not None
                and self._clock() < self._deadline
            )

    @property
    def trouble(self) -> str | None:
        """Why the coordination service cannot be used, or None."""
        return self._trouble

    def resign(self, reason: str) -> None:
        """Lead no more, at once, and campaign anew after a while."""
        with self._guard:
            if self._announced:
                self._announced = False
                self._resigned = reason

    def _run(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            pause = min(1.0, self._lease / 4)
            try:
                if self._resigned is not None:
                    pause = self._give_back(self._resigned)
                elif self._held:
                    self._renew()
                elif not self._campaign():
                    # Let the other engine try.
                    pause = self._again_s
                self._note(None)
            except _TROUBLE as error:
                self._failed(error)
            except Exception as error:
                # Whatever it was: this thread must live, or this engine
                # would never lead again.
                if self._pace.due(type(error).__name__) is not None:
                    LOG.exception('The leader election failed')
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._note(f'{type(error).__name__}: {error}')
        self._expire()
        if not self._held:
            self._disconnect(release=False)

    def _give_back(self, reason: str) -> float:
        self._resigned = None
        self._lose(reason)
        self._disconnect(release=True)
        return self._again_s

    def _note(self, trouble: str | None) -> None:
        if trouble != self._trouble:
            if trouble:
                LOG.warning(
                    'The coordination service does not answer (%s); this '
                    'engine cannot lead until it does.', trouble)
            elif self._trouble != 'not asked yet':
                LOG.info('The coordination service answers again.')
            self._trouble = trouble

    def _connect(self) -> None:
        if self._coordinator is None:
            coordinator = coordination.get_coordinator(
                self._url, self.member_id.encode()
            )
            coordinator.start()
            self._coordinator = coordinator

    def _disconnect(self, *, release: bool) -> None:
        coordinator, self._coordinator = self._coordinator, None
        lock, self._lock = self._lock, None
        if coordinator is None:
            return
        try:
            if release and lock is not None:
                lock.release()
            coordinator.stop()
        except (*_TROUBLE, AttributeError) as error:
            LOG.debug('Leaving the coordination service: %s', error)

    def _campaign(self) -> bool:
        """Try to be elected; False when it was, but could not take over."""
        self._connect()
        asked = self._clock()
        lock = self._coordinator.get_lock(self._name)
        if not lock.acquire(blocking=False):
            return True
        revision = self._read_back()
        if revision == _ABSENT or self._stop.is_set():
            lock.release()
            return True
        deadline = asked + self._lease - self._margin
        if self._clock() >= deadline:
            # The answer came too late to be sure that the key is ours.
            lock.release()
            return True
        self._lock, self._revision = lock, revision
        with self._guard:
            self._held, self._deadline = True, deadline
        LOG.info('%s was elected to lead.', self.member_id)
        try:
            self._on_elected()
        except Exception as error:
            held_back = self._pace.due('takeover')
            if held_back is not None:
                LOG.warning(
                    'The leadership could not be taken over (%s: %s); it is '
                    'given back and tried again in %.0f s%s',
                    type(error).__name__, error, self._again_s,
                    self._pace.text(held_back))
            LOG.debug('The takeover failed', exc_info=True)
            self._lose('the takeover failed')
            self._disconnect(release=True)
            return False
        with self._guard:
            # Not if stop() was called meanwhile.
            self._announced = self._held
        return True

    def _renew(self) -> None:
        asked = self._clock()
        if self._is_etcd():
            self._lock.heartbeat()
            # heartbeat() answers True for ever: read the key itself.
            alive = self._read_back() == self._revision
        else:
            alive = self._lock.acquired
        if not alive:
            self._lose('another engine holds the leadership now')
            self._disconnect(release=False)
            return
        with self._guard:
            self._deadline = asked + self._lease - self._margin

    def _is_etcd(self) -> bool:
        return isinstance(self._coordinator, etcd_driver.Etcd3Driver)

    def _read_back(self) -> str | None:
        """The creation revision of the lock's key, by a quorum read."""
        if not self._is_etcd():
            return None
        key = etcd_driver.Etcd3Lock.LOCK_PREFIX + self._name
        found = self._coordinator.client.get(key, metadata=True)
        if not found:
            return _ABSENT
        return str(found[0][1]['create_revision'])

    def _expire(self) -> None:
        with self._guard:
            late = (
                self._held
                and self._deadline is not None
                and self._clock() >= self._deadline
            )
        if late:
            self._lose('the lease could not be renewed in time')
            self._disconnect(release=False)

    def _lose(self, reason: str) -> None:
        with self._guard:
            was = self._held
            self._held, self._announced, self._deadline = False, False, None
        if was:
            LOG.warning(
                '%s no longer leads: %s.', self.member_id, reason)
            self._on_lost(reason)
