# SPDX-License-Identifier: Apache-2.0
"""Whether the options hold what they may hold.

oslo.config looks at a value when it is first read, and at each option alone.
An operator wants to know of all mistakes, and at the start.
"""

from collections.abc import Callable
from collections.abc import Iterable
import itertools
import re

from oslo_config import cfg

from aacloud.core import windows


def _agent(conf: cfg.ConfigOpts) -> list[str]:
    agent = conf.aacloud_agent
    found: list[str] = []
    if agent.probe_timeout >= agent.probe_interval:
        found.append(
            f"[aacloud_agent] probe_timeout ({agent.probe_timeout} s) must "
            f"be shorter than probe_interval ({agent.probe_interval} s)"
        )
    if not agent.host.strip():
        found.append("[aacloud_agent] host must not be empty")
    return found


def _failover(conf: cfg.ConfigOpts) -> list[str]:
    failover = conf.aacloud_failover
    report_interval = conf.aacloud_agent.report_interval
    timeout = conf.aacloud_keystone.timeout
    found = [
        (
            f"[aacloud_failover] {name} ({failover[name]} s) must be longer "
            f"than [aacloud_agent] report_interval ({report_interval} s)"
        )
        for name in ("report_ttl", "heartbeat_timeout")
        if failover[name] <= report_interval
    ]
    if timeout is None or timeout <= 0:
        found.append(
            "[aacloud_keystone] timeout must be set: a call without an end "
            "would hold up the recovery"
        )
    elif failover.request_grace <= timeout:
        found.append(
            f"[aacloud_failover] request_grace ({failover.request_grace} s) "
            f"must be longer than [aacloud_keystone] timeout ({timeout} s): "
            "else a request that is still on its way is sent twice"
        )
    limits = ("hosts_per_rack", "hosts_per_dc", "hosts_per_cloud")
    for small, large in itertools.pairwise(limits):
        if failover[small] > failover[large]:
            found.append(
                f"[aacloud_failover] {small} ({failover[small]}) must not "
                f"be above {large} ({failover[large]})"
            )
    if failover.concurrency_per_destination > failover.concurrency_max:
        found.append(
            "[aacloud_failover] concurrency_per_destination "
            f"({failover.concurrency_per_destination}) must not be above "
            f"concurrency_max ({failover.concurrency_max})"
        )
    return found


def _fencing(conf: cfg.ConfigOpts) -> list[str]:
    fencing = conf.aacloud_fencing
    if fencing.poll >= fencing.power_off_timeout:
        return [
            (
                f"[aacloud_fencing] poll ({fencing.poll} s) must be shorter "
                f"than power_off_timeout ({fencing.power_off_timeout} s)"
            )
        ]
    return []


def _groups(conf: cfg.ConfigOpts) -> list[str]:
    groups = conf.aacloud_groups
    scheduler = conf.aacloud_scheduler
    timeout = conf.aacloud_keystone.timeout
    found: list[str] = []
    if timeout and groups.request_grace <= timeout:
        found.append(
            f"[aacloud_groups] request_grace ({groups.request_grace} s) must "
            f"be longer than [aacloud_keystone] timeout ({timeout} s): else "
            "a request that is still on its way is sent twice"
        )
    for name in (
        "parallel_per_host",
        "parallel_per_rack",
        "parallel_inter_dc",
    ):
        if groups[name] > groups.parallel_total:
            found.append(
                f"[aacloud_groups] {name} ({groups[name]}) must not be above "
                f"parallel_total ({groups.parallel_total})"
            )
    if groups.parallel_per_host > groups.parallel_per_rack:
        found.append(
            f"[aacloud_groups] parallel_per_host ({groups.parallel_per_host})"
            f" must not be above parallel_per_rack "
            f"({groups.parallel_per_rack})"
        )
    if groups.default_window:
        try:
            windows.parse_window(groups.default_window)
        except windows.WindowError as error:
            found.append(f"[aacloud_groups] default_window: {error}")
    if groups.cool_down >= groups.plan_retention:
        found.append(
            f"[aacloud_groups] plan_retention ({groups.plan_retention} s) "
            f"must be longer than cool_down ({groups.cool_down} s): by its "
            "plans is known which servers were moved"
        )
    if scheduler.max_stale >= groups.trace_retention:
        found.append(
            f"[aacloud_groups] trace_retention ({groups.trace_retention} s) "
            f"must be longer than [aacloud_scheduler] max_stale "
            f"({scheduler.max_stale} s)"
        )
    if scheduler.poll_interval >= scheduler.max_stale:
        found.append(
            f"[aacloud_scheduler] poll_interval ({scheduler.poll_interval} "
            f"s) must be shorter than max_stale ({scheduler.max_stale} s)"
        )
    return found


_CHECKS: tuple[Callable[[cfg.ConfigOpts], list[str]], ...] = (
    _agent,
    _failover,
    _fencing,
    _groups,
)


def problems(conf: cfg.ConfigOpts) -> tuple[str, ...]:
    """Return every contradiction between options, as a sentence each."""
    return tuple(text for check in _CHECKS for text in check(conf))


def refused_values(
    conf: cfg.ConfigOpts, sections: Iterable[tuple[str, list[cfg.Opt]]]
) -> tuple[str, ...]:
    """Return every value of ``sections`` that its option does not accept.

    Options that are not registered with ``conf``, such as those of an auth
    plug-in that is not loaded yet, are left out.
    """
    found = []
    for group, options in sections:
        for option in options:
            try:
                conf[group][option.dest]
            except cfg.NoSuchOptError:
                continue
            except (cfg.Error, ValueError) as exc:
                found.append(f"[{group}] {option.dest}{_where_and_why(exc)}")
    return tuple(found)


def _where_and_why(exc: Exception) -> str:
    """Say in which file the value stands and what is wrong with it."""
    place = re.search(r"detail='([^']+)'", str(exc))
    reason = exc.__context__ if exc.__context__ is not None else exc
    return f"{f' in {place[1]}' if place else ''}: {reason}"
