# SPDX-License-Identifier: Apache-2.0
"""Guru Meditation Reports: what a running daemon is doing right now.

oslo.reports writes one on SIGUSR2, or when a file that
``[oslo_reports] file_event_handler`` names is touched. A daemon is two
processes, a master that watches and a worker that works; the operator knows
the master's process id and wants to see the worker.
"""

import logging
import multiprocessing
import os
import signal
import threading
from types import FrameType

from oslo_config import cfg
from oslo_reports import guru_meditation_report as gmr
from oslo_reports.models import with_default_views
from oslo_reports.views.text import generic

from aacloud import version
from aacloud.telemetry import health

LOG = logging.getLogger(__name__)

SECTION = "Health"


def set_up_master(conf: cfg.ConfigOpts, prog: str) -> None:
    """Answer SIGUSR2 in this process and in the workers that it forks.

    Signal handlers are set by a main thread and survive a fork, so the
    master sets the one of its workers too. The master passes the signal on.
    """
    if conf.oslo_reports.file_event_handler:
        return
    master = os.getpid()

    def handle(signum: int, frame: FrameType | None) -> None:
        if os.getpid() != master:
            gmr.TextGuruMeditation.handle_signal(
                version, prog, conf.oslo_reports.log_dir, frame
            )
            return
        for worker in multiprocessing.active_children():
            if worker.pid is not None:
                os.kill(worker.pid, signum)

    signal.signal(signal.SIGUSR2, handle)


def set_up_worker(conf: cfg.ConfigOpts, prog: str) -> None:
    """Add aacloud's section, and watch the file that triggers a report.

    A thread watches the file; it would not survive the fork.
    """
    _add_section()
    path = conf.oslo_reports.file_event_handler
    if not path:
        return
    if not os.path.exists(path):
        LOG.error(
            "No report can be triggered: [oslo_reports] file_event_handler "
            "names %s, which does not exist. Create the file and restart.",
            path,
        )
        return
    gmr.TextGuruMeditation.setup_autorun(
        version, service_name=prog, conf=conf, setup_signal=False
    )


def _add_section() -> None:
    sections = getattr(gmr.TextGuruMeditation, "persistent_sections", [])
    if not any(title == SECTION for title, _ in sections):
        gmr.TextGuruMeditation.register_section(SECTION, _health)


def _health() -> with_default_views.ModelWithDefaultViews:
    lines = {
        name: f"{'well' if well else 'FAILED'}: {text}"
        for name, (well, text) in health.results().items()
    }
    lines["threads"] = str(threading.active_count())
    return with_default_views.ModelWithDefaultViews(
        lines, text_view=generic.BasicKeyValueView()
    )
