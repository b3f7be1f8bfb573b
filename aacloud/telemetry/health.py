# SPDX-License-Identifier: Apache-2.0
"""The health of this process, served by oslo.middleware's healthcheck.

A process has one source of checks: a daemon, or the API. It is asked on each
request, so it answers from what it knows and does no I/O of its own.
"""

from collections.abc import Callable
from collections.abc import Mapping
import logging

from oslo_middleware.healthcheck import pluginbase

LOG = logging.getLogger(__name__)

#: The name of a check: (is it well, a sentence for the operator).
Checks = Mapping[str, tuple[bool, str]]
Source = Callable[[], Checks]

_source: Source | None = None


def set_source(source: Source | None) -> None:
    """Make ``source`` the one that is asked; None forgets it."""
    global _source
    _source = source


def results() -> Checks:
    """Ask the source; a source that fails is a failed check of its own."""
    if _source is None:
        return {}
    try:
        return dict(_source())
    except Exception as exc:
        LOG.exception("The health of this process cannot be told")
        return {"health": (False, f"the check itself failed: {exc}")}


class ProcessHealth(pluginbase.HealthcheckBaseExtension):
    """The backend ``aacloud`` of oslo.middleware's healthcheck."""

    def healthcheck(self, server_port: int) -> pluginbase.HealthcheckResult:
        """Answer with all failed checks, or that all are well."""
        checks = results()
        failed = [
            f"{name}: {text}"
            for name, (well, text) in sorted(checks.items())
            if not well
        ]
        details = "; ".join(
            f"{name}: {text}" for name, (_, text) in sorted(checks.items())
        )
        return pluginbase.HealthcheckResult(
            available=not failed,
            reason="; ".join(failed) if failed else "OK",
            details=details,
        )
