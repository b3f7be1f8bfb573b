# SPDX-License-Identifier: Apache-2.0
"""Starts what is missing, in the order of its needs, side by side."""

from __future__ import annotations

from collections.abc import Sequence
import concurrent.futures
import threading
import time

from tests.lab import process
from tests.lab.progress import Progress
from tests.lab.services.base import Job
from tests.lab.services.base import Service
from tests.lab.state import State

#: More starts at once only make each of them slower.
AT_ONCE = 12


class NotUp(RuntimeError):
    """A service did not come up; the text says which and shows its log."""


class Runner:
    """Brings services up.

    :param steps: all that shall be up and done; their needs are among them
    """

    def __init__(
        self,
        state: State,
        steps: Sequence[Service | Job],
        progress: Progress,
    ) -> None:
        self._state = state
        self._steps = steps
        self._progress = progress
        self._up = {one.label: threading.Event() for one in steps}
        self._stop = threading.Event()
        self._slots = threading.Semaphore(AT_ONCE)
        self.started: list[str] = []

    def run(self) -> None:
        """Start what is missing and wait until all of it answers.

        :raises NotUp: the first service that did not come up.
        """
        pool = concurrent.futures.ThreadPoolExecutor(len(self._steps))
        futures = [pool.submit(self._one, one) for one in self._steps]
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
        finally:
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _one(self, step: Service | Job) -> None:
        for need in step.after:
            for label, event in self._up.items():
                if need in (label, label.partition("@")[0]):
                    while not event.wait(0.1):
                        if self._stop.is_set():
                            return
        with self._slots:
            if self._stop.is_set():
                return
            self._progress.wait(step.label)
            try:
                if isinstance(step, Job):
                    self._do(step)
                else:
                    self._ensure(step)
            finally:
                self._progress.done(step.label)
        self._up[step.label].set()

    def _do(self, job: Job) -> None:
        begun = time.monotonic()
        job.work()
        self._progress.say(f"{job.label} ({time.monotonic() - begun:.1f} s)")

    def _ensure(self, service: Service) -> None:
        begun = time.monotonic()
        alive = self._alive(service)
        if alive:
            if service.answers(self._state):
                return
            # It may still be on its way since an earlier, killed start.
            if self._wait(service, alive[0].pid, 0.0, service.seconds / 3):
                return
            process.kill(alive)
        since = time.time()
        pid = service.start(self._state)
        if not self._wait(service, pid, since, service.seconds):
            if self._stop.is_set():
                return
            raise NotUp(self._story(service))
        self.started.append(service.label)
        self._progress.say(
            f"{service.label} ({time.monotonic() - begun:.1f} s)"
        )

    def _alive(self, service: Service) -> list[process.Proc]:
        return process.by_service(
            process.scan(str(self._state.dir))
        )[service.key]

    def _wait(
        self, service: Service, pid: int, since: float, seconds: float
    ) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._stop.is_set():
            if service.answers(self._state, since):
                return True
            # One pid is looked at far more cheaply than all of them.
            if process.look(pid) is None:
                return False
            self._stop.wait(0.3)
        return False

    def _story(self, service: Service) -> str:
        log = service.log(self._state)
        try:
            tail = log.read_text(errors="replace").splitlines()[-12:]
        except OSError:
            tail = []
        what = (
            f"did not answer within {service.seconds:.0f} s"
            if self._alive(service)
            else "ended by itself"
        )
        return "\n".join(
            [f"{service.label} {what}; the end of {log}:", *tail]
        )
