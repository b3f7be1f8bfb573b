# SPDX-License-Identifier: Apache-2.0
"""How a daemon runs: start, signals, health, reload, end.

oslo.service's threading backend forks a worker under a master that watches
it. The master restarts a worker that dies; SIGTERM ends both gracefully;
SIGHUP reads the configuration again in both, without a restart; SIGUSR2
writes a report of what the worker is doing.
"""

from collections.abc import Callable
import functools
import logging
import threading
from typing import Any
from typing import Protocol

from oslo_config import cfg
from oslo_log import log
from oslo_service import backend
from oslo_service.backend import base
import prometheus_client

from aacloud import conf as aacloud_conf
from aacloud import version
from aacloud.conf import checks
from aacloud.telemetry import health
from aacloud.telemetry import reports
from aacloud.telemetry import web

LOG = logging.getLogger(__name__)

#: The exit status of a daemon that cannot run with its configuration
#: (EX_CONFIG of sysexits.h): starting it again would not help.
EXIT_CONFIGURATION = 78

BUILD = prometheus_client.Info("aacloud_build", "What runs")
RELOADS = prometheus_client.Counter(
    "aacloud_configuration_reloads",
    "Times the configuration was read again",
    ["result"],
)


class Daemon(Protocol):
    """What an engine or agent shows to the harness."""

    #: A short word for logs, such as ``failover``.
    name: str

    def start(self) -> None:
        """Start the threads and return."""

    def stop(self) -> None:
        """Ask the threads to end, and return when what must end has ended.

        Called from another thread than start() and wait().
        """

    def wait(self) -> None:
        """Return when the daemon has ended, asked to or not."""

    def reload(self) -> None:
        """Take over mutable options, and files read at the start."""

    def checks(self) -> health.Checks:
        """Return the checks for ``/healthcheck``, without any I/O."""


DaemonFactory = Callable[[cfg.ConfigOpts], Daemon]


class Worker(base.ServiceBase):
    """Runs a daemon in the process that oslo.service forked for it."""

    def __init__(
        self, factory: DaemonFactory, conf: cfg.ConfigOpts, prog: str
    ) -> None:
        self._factory = factory
        self._conf = conf
        self._prog = prog
        self._daemon: Daemon | None = None
        self._web: web.WebServer | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Make the daemon and start it; end the process if that fails."""
        # Logged outside of the handler: oslo.log would repeat the exception
        # at the end of each line.
        problems: tuple[str, ...] = ()
        try:
            self._start()
        except aacloud_conf.ConfigurationError as exc:
            problems = exc.problems
        except Exception as exc:
            LOG.exception(
                "%s could not start; it is tried again in a few seconds",
                self._prog,
            )
            raise SystemExit(1) from exc
        if problems:
            _refuse(self._prog, problems)
            raise SystemExit(EXIT_CONFIGURATION)
        LOG.info("%s %s runs", self._prog, version.version_string())

    def wait(self) -> None:
        """Return when the daemon was stopped.

        A daemon that ends by itself takes the process with it, so that the
        master starts a new one.
        """
        if self._daemon is None:
            return
        try:
            self._daemon.wait()
        except Exception as exc:
            LOG.exception("%s failed; it is started again", self._prog)
            raise SystemExit(1) from exc
        if not self._stopping.is_set():
            LOG.critical(
                "%s ended without being asked to; it is started again",
                self._prog,
            )
            raise SystemExit(1)

    def stop(self) -> None:
        """Stop the daemon, then what tells about it."""
        self._stopping.set()
        LOG.info("%s stops", self._prog)
        try:
            if self._daemon is not None:
                self._daemon.stop()
        except Exception:
            LOG.exception("%s did not stop cleanly", self._prog)
        finally:
            health.set_source(None)
            if self._web is not None:
                self._web.stop()

    def reset(self) -> None:
        """Read the configuration and the daemon's files again."""
        RELOADS.labels(result=self._reload()).inc()

    def _reload(self) -> str:
        if not _reload_conf(self._conf):
            return "refused"
        problems: tuple[str, ...] = ()
        try:
            if self._daemon is not None:
                self._daemon.reload()
        except aacloud_conf.ConfigurationError as exc:
            problems = exc.problems
        except Exception:
            LOG.exception("%s did not reload; it goes on", self._prog)
            return "failed"
        for problem in problems:
            LOG.error("Not taken over, the old one stays: %s", problem)
        return "refused" if problems else "done"

    def _start(self) -> None:
        BUILD.info({"version": version.version_string(), "name": self._prog})
        reports.set_up_worker(self._conf, self._prog)
        self._daemon = self._factory(self._conf)
        health.set_source(self._daemon.checks)
        self._web = self._serve_monitoring()
        self._daemon.start()

    def _serve_monitoring(self) -> web.WebServer | None:
        host = self._conf.aacloud_service.health_host
        port = self._conf.aacloud_service.health_port
        if port == 0:
            return None
        server = web.WebServer(host, port, web.Monitoring(self._conf))
        try:
            server.start()
        except OSError as exc:
            raise aacloud_conf.ConfigurationError(
                [
                    (
                        "/healthcheck and /metrics cannot be served on "
                        f"{host} port {port} ([aacloud_service] health_host, "
                        f"health_port): {exc}"
                    )
                ]
            ) from exc
        LOG.info("Serving /healthcheck and /metrics on %s:%s", host, port)
        return server


class _ReloadedConf:
    """``conf`` for the launcher: SIGHUP refuses files that are wrong.

    The launcher of the master would take over whatever the files say, and a
    worker that is started later would inherit it.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conf, name)

    def mutate_config_files(self) -> None:
        _reload_conf(self._conf)


def run(factory: DaemonFactory, conf: cfg.ConfigOpts, prog: str) -> int:
    """Run a daemon until it is told to end.

    :param factory: makes the daemon, in the forked worker: threads and
        connections must not be made before
    :param conf: the options, already read
    :param prog: the name of the command, for logs and reports
    :return: the exit status: 0 after SIGTERM, 1 after SIGINT,
        :data:`EXIT_CONFIGURATION` when the configuration cannot be used
    """
    log.setup(conf, prog)
    contradictions = checks.problems(conf)
    if contradictions:
        _refuse(prog, contradictions)
        return EXIT_CONFIGURATION
    reports.set_up_master(conf, prog)
    worker = Worker(factory, conf, prog)
    launcher = backend.get_component("launch")(
        _ReloadedConf(conf), worker, workers=1, restart_method="mutate"
    )
    refused = threading.Event()

    def worker_died(
        service_id: object, worker_id: int, exit_code: int
    ) -> None:
        if exit_code == EXIT_CONFIGURATION:
            refused.set()
            launcher.stop()

    launcher._manager.register_hooks(
        on_new_worker=functools.partial(_reload_in_place, worker),
        on_dead_worker=worker_died,
    )
    status = launcher.wait()
    return EXIT_CONFIGURATION if refused.is_set() else int(status or 0)


def _refuse(prog: str, problems: tuple[str, ...]) -> None:
    for problem in problems:
        LOG.critical("%s cannot start: %s", prog, problem)


def _reload_conf(conf: cfg.ConfigOpts) -> bool:
    """Read the configuration again; log the problems, or what changed."""
    changed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    try:
        changed = aacloud_conf.reload(conf)
    except aacloud_conf.ConfigurationError as exc:
        problems = exc.problems
    for problem in problems:
        LOG.error(
            "Configuration not reloaded, the old one stays: %s", problem
        )
    if not problems:
        LOG.info(
            "Configuration reloaded: %s",
            ", ".join(changed) or "nothing changed",
        )
    return not problems


def _reload_in_place(
    worker: Worker, service_id: object, worker_id: int, service: Any
) -> None:
    """Let SIGHUP reload the worker that was just forked.

    The threading backend never calls reset(): cotyledon's own way to reload
    is to end the worker and to fork a new one. An engine would lose its
    leadership by that, an agent its peers.
    """
    service.reload = worker.reset
