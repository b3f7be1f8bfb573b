# SPDX-License-Identifier: Apache-2.0
"""The lease against a real etcd: killed, paused and restarted members."""

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from tests import ports
from tests.functional.failover import leading

WAIT = 40
#: Seconds for a server to come up on a busy machine with a slow disk.
START_TIMEOUT = 180
LEASE = 3


class Etcd:
    def __init__(self, directory):
        self.port, self.peer = ports.free_port(), ports.free_port()
        self.url = f'http://127.0.0.1:{self.port}'
        self.command = [
            'etcd', '--data-dir', str(directory), '--name', 'one',
            '--listen-client-urls', self.url,
            '--advertise-client-urls', self.url,
            '--listen-peer-urls', f'http://127.0.0.1:{self.peer}',
            '--initial-advertise-peer-urls', f'http://127.0.0.1:{self.peer}',
            '--initial-cluster', f'one=http://127.0.0.1:{self.peer}']
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_TIMEOUT
        pause = threading.Event()
        while time.monotonic() < deadline:
            status = self.process.poll()
            assert status is None, f'etcd ended, exit status {status}'
            try:
                with urllib.request.urlopen(
                        self.url + '/health', timeout=2) as answer:
                    if b'true' in answer.read():
                        return
            except OSError:
                pause.wait(0.1)
        raise AssertionError('etcd did not become healthy')

    def kill(self):
        self.process.kill()
        self.process.wait(WAIT)


class Engine:
    """A campaigning process whose lines can be awaited."""

    def __init__(self, url, member):
        self.process = subprocess.Popen(
            [sys.executable, leading.__file__, 'etcd3+' + url, member,
             str(LEASE)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())

    def next(self, timeout=WAIT):
        return self.lines.get(timeout=timeout)

    def ask(self):
        self.process.stdin.write('\n')
        self.process.stdin.flush()
        return self.next()

    def leads(self):
        """Elected comes first, valid a moment later."""
        deadline = time.monotonic() + WAIT
        while self.ask() != 'valid':
            assert time.monotonic() < deadline, 'it never was valid'
        return True

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(WAIT)


@pytest.fixture
def etcd(tmp_path):
    if shutil.which('etcd') is None:
        reason = 'needs the etcd server (package etcd-server) on the path'
        if os.environ.get('CI'):
            pytest.fail(f'{reason}, and in CI nothing is left out')
        pytest.skip(reason)
    server = Etcd(tmp_path / 'etcd')
    server.start()
    yield server
    server.kill()


@pytest.fixture
def engine(etcd):
    started = []

    def start(member):
        started.append(Engine(etcd.url, member))
        return started[-1]

    yield start
    for each in started:
        each.end()


def test_killed_leader_is_replaced(engine):
    first = engine('one')
    assert first.next() == 'elected'
    second = engine('two')
    first.signal(signal.SIGKILL)
    began = time.monotonic()
    assert second.next() == 'elected'
    assert time.monotonic() - began < 10
    assert second.leads()


def test_paused_leader_knows_that_it_was_replaced(engine):
    """The trap of a lock which says acquired for ever."""
    first = engine('one')
    assert first.next() == 'elected'
    second = engine('two')
    first.signal(signal.SIGSTOP)
    assert second.next() == 'elected'
    first.signal(signal.SIGCONT)
    # Whichever thread runs first, the answer is never 'valid'.
    answers = {first.ask(), first.ask()}
    assert answers <= {'invalid', 'lost'}
    assert 'invalid' in answers
    assert second.leads()


def test_silent_etcd_ends_the_leadership_and_it_comes_back(etcd, engine):
    first = engine('one')
    assert first.next() == 'elected'
    etcd.kill()
    assert first.next() == 'lost'
    assert first.ask() == 'invalid'
    etcd.start()
    assert first.next() == 'elected'
