# SPDX-License-Identifier: Apache-2.0
import queue
import threading

import pytest

from aacloud.coordination import leader

WAIT = 20


class Events:
    """What a lease told its engine, in order."""

    def __init__(self):
        self.queue = queue.Queue()

    def elected(self):
        self.queue.put('elected')

    def lost(self, reason):
        self.queue.put('lost: ' + reason)

    def next(self):
        return self.queue.get(timeout=WAIT)


@pytest.fixture
def make(tmp_path):
    made = []

    def factory(member, **options):
        events = Events()
        options.setdefault('on_elected', events.elected)
        lease = leader.LeaderLease(
            f'file://{tmp_path}', member, lease=3, on_lost=events.lost,
            **options)
        made.append(lease)
        return lease, events

    yield factory
    for lease in made:
        lease.stop()


def wait_valid(lease):
    """Wait until the election has been announced."""
    pause = threading.Event()
    for _ in range(WAIT * 100):
        if lease.valid():
            return True
        pause.wait(0.01)
    return False


def test_the_second_leads_only_after_the_first_stopped(make):
    first, first_events = make('one')
    second, second_events = make('two')
    first.start()
    assert first_events.next() == 'elected'
    assert wait_valid(first)
    second.start()
    assert not second.valid()
    assert second_events.queue.empty()
    first.stop()
    assert first_events.next() == 'lost: this engine stops'
    assert not first.valid()
    assert second_events.next() == 'elected'
    assert wait_valid(second)


def test_leadership_ends_by_the_own_clock(make):
    now = [100.0]
    lease, events = make('one', clock=lambda: now[0])
    lease.start()
    assert events.next() == 'elected'
    assert wait_valid(lease)
    lease._stop.set()  # the renewals stop, as in a process that is paused
    lease._thread.join(WAIT)
    assert lease.valid()
    now[0] += 3.0
    assert not lease.valid()


def test_a_failed_takeover_gives_the_leadership_back(make):
    calls = []

    def refuse():
        calls.append('refused')
        if len(calls) == 1:
            raise RuntimeError('the database is away')

    lease, events = make('one', on_elected=refuse, again_s=0.05)
    lease.start()
    assert events.next() == 'lost: the takeover failed'
    assert wait_valid(lease)
    assert calls == ['refused', 'refused']


def test_a_leadership_that_is_given_back(make):
    lease, events = make('one', again_s=0.05)
    lease.start()
    assert events.next() == 'elected'
    assert wait_valid(lease)
    lease.resign('its epoch is old')
    assert not lease.valid()
    assert events.next() == 'lost: its epoch is old'
    assert events.next() == 'elected'
    assert wait_valid(lease)


def test_who_does_not_lead_has_nothing_to_give_back(make):
    lease, events = make('one')
    lease.resign('whatever')
    lease.start()
    assert events.next() == 'elected'
    assert wait_valid(lease)
    assert events.queue.empty()


def test_stopped_while_it_takes_over(make):
    lease, events = make('one', on_elected=lambda: lease._lose('stopped'))
    lease.start()
    assert events.next() == 'lost: stopped'
    lease._stop.set()
    lease._thread.join(WAIT)
    assert not lease.valid()


class Key:
    """The key of a lock in etcd, as the lease sees it."""

    def __init__(self, revision):
        self.revision = revision
        self.released = []

    def acquire(self, blocking):
        return True

    def release(self):
        self.released.append(self.revision)

    def heartbeat(self):
        return True

    def get_lock(self, name):
        return self

    def start(self):
        pass

    def stop(self):
        pass


@pytest.fixture
def etcd(monkeypatch):
    """A lease that reads its key back."""
    key = Key('17')
    monkeypatch.setattr(
        leader.coordination, 'get_coordinator', lambda *given: key)
    monkeypatch.setattr(
        leader.LeaderLease, '_read_back', lambda self: key.revision)
    monkeypatch.setattr(leader.LeaderLease, '_is_etcd', lambda self: True)
    events = Events()
    lease = leader.LeaderLease(
        'etcd3+http://127.0.0.1:9', 'one', lease=3,
        on_elected=events.elected, on_lost=events.lost)
    return lease, events, key


def test_a_key_that_is_gone_is_nobodys(etcd):
    lease, events, key = etcd
    key.revision = 'absent'
    assert lease._campaign()
    assert not lease.valid()
    assert key.released == ['absent']
    assert events.queue.empty()


@pytest.mark.parametrize('now', ['absent', '18'])
def test_a_key_that_is_not_ours_any_more(etcd, now):
    lease, events, key = etcd
    assert lease._campaign()
    lease._renew()
    assert lease.valid()
    key.revision = now
    lease._renew()
    assert not lease.valid()
    assert events.next() == 'elected'
    assert events.next().startswith('lost: another engine')


def test_an_error_that_nobody_thought_of(etcd, monkeypatch, caplog):
    """The thread of the lease lives on and campaigns again."""
    lease, events, key = etcd
    seen = []

    def acquire(blocking):
        seen.append(blocking)
        if len(seen) == 1:
            raise ZeroDivisionError('a fault of a library')
        return True

    monkeypatch.setattr(key, 'acquire', acquire)
    lease.start()
    assert events.next() == 'elected'
    assert wait_valid(lease)
    lease.stop()
    assert 'a fault of a library' in caplog.text


def test_unreachable_coordination_is_told_and_never_leads():
    events = Events()
    lease = leader.LeaderLease(
        'etcd3+http://127.0.0.1:9', 'one', lease=3,
        on_elected=events.elected, on_lost=events.lost)
    lease.start()
    pause = threading.Event()
    for _ in range(WAIT * 100):
        if lease.trouble and lease.trouble != 'not asked yet':
            break
        pause.wait(0.01)
    assert 'Connection' in lease.trouble
    assert not lease.valid()
    assert events.queue.empty()
    lease.stop()


@pytest.mark.parametrize('url, expected', [
    ('file:///var/lib/aacloud', 'file:///var/lib/aacloud'),
    ('etcd3+http://h:2379',
     'etcd3+http://h:2379?timeout=2&lock_timeout=6&membership_timeout=6'),
    ('etcd3+https://h:1?timeout=4&ca_cert=/x',
     'etcd3+https://h:1?timeout=4&ca_cert=%2Fx&lock_timeout=6'
     '&membership_timeout=6'),
])
def test_lock_url(url, expected):
    assert leader.lock_url(url, 6) == expected
