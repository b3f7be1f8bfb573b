# SPDX-License-Identifier: Apache-2.0
"""Finds the projects that Keystone deleted without anybody hearing of it.

A project is taken for deleted when Keystone itself says in two rounds that it
has no such project. In a round in which anything is odd nothing counts.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import logging

from oslo_config import cfg

from aacloud.clouds import errors as cloud_errors
from aacloud.clouds import projects
from aacloud.coordination import clock as clocks
from aacloud.db import errors as db_errors
from aacloud.groups import catalogue as catalogues
from aacloud.groups import metrics
from aacloud.rpc import rates

LOG = logging.getLogger(__name__)

#: Seconds between two looks at whether a round is due.
TICK_S = 5.0
#: Seconds after which a round is tried again in which something was odd,
#: unless the interval is shorter.
AGAIN_S = 300.0


class Odd(Exception):
    """A round in which nothing counts; the text says why, and what to do."""


class ProjectCheck:
    """All methods are called by one thread.

    :param forget: is told the projects that are gone; see
        ``Membership.forget_project``
    :param may_act: whether this engine leads, and goes on
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        catalogue: catalogues.Catalogue,
        reader: projects.ProjectReader,
        *,
        forget: Callable[[str], Sequence[str]],
        may_act: Callable[[], bool],
        clock: clocks.Clock | None = None,
    ) -> None:
        self._conf = conf
        self._catalogue = catalogue
        self._reader = reader
        self._forget = forget
        self._may_act = may_act
        self._clock = clock or clocks.Clock()
        #: Those that were not there in the last round that counts.
        self._missing: frozenset[str] = frozenset()
        self._not_before = float("-inf")
        self._pace = rates.LogPace(clock=self._clock.monotonic)

    def look(self) -> float:
        """Make a round if one is due; never raises.

        :returns: seconds until the next look
        """
        interval = self._conf.aacloud_groups.project_check_interval
        if not interval or not self._may_act():
            # Who leads next begins anew.
            self._missing = frozenset()
            self._not_before = float("-inf")
            return TICK_S
        now = self._clock.monotonic()
        if now < self._not_before:
            return TICK_S
        try:
            self._round()
        except (Odd, cloud_errors.CloudError, db_errors.DatabaseError) as odd:
            self._failed("odd", _advice(odd))
        except Exception as error:
            if self._pace.due(type(error).__name__) is not None:
                LOG.exception("The round failed")
            self._failed("odd", f"{type(error).__name__}: {error}")
        else:
            metrics.PROJECT_CHECKS.labels("done").inc()
            self._not_before = now + interval
            return TICK_S
        self._not_before = now + min(interval, AGAIN_S)
        return TICK_S

    def _failed(self, result: str, why: str) -> None:
        metrics.PROJECT_CHECKS.labels(result).inc()
        held_back = self._pace.due("odd")
        if held_back is not None:
            LOG.warning(
                "Whether the projects of groups are still there is not "
                "known, so no group is deleted for it: %s%s", why,
                self._pace.text(held_back))

    def _round(self) -> None:
        owners = sorted({
            group.project_id for group in self._catalogue.all().values()})
        if not owners:
            self._missing = frozenset()
            return
        own = self._reader.own()
        if own is not None and not self._reader.exists(own):
            raise Odd(
                f"Keystone does not know the project {own} that aacloud is "
                "logged in to: see that [aacloud_keystone] leads to the "
                "Keystone of this cloud")
        missing = set()
        for project in owners:
            if not self._may_act():
                return
            if not self._reader.exists(project):
                missing.add(project)
        brake = self._conf.aacloud_groups.project_check_brake
        if len(missing) > brake:
            raise Odd(
                f"{len(missing)} of {len(owners)} projects are not in "
                f"Keystone, for instance {min(missing)}: that is more than "
                f"[aacloud_groups] project_check_brake ({brake}). When they "
                "were deleted indeed, raise it for two rounds, or delete "
                "their groups")
        gone = missing & self._missing
        for project in sorted(missing - gone):
            LOG.info(
                "Project %s is not in Keystone; its groups are deleted if "
                "it is not there in the next round either", project)
        self._missing = frozenset(missing - gone)
        for project in sorted(gone):
            if not self._may_act():
                return
            LOG.warning(
                "Project %s is not in Keystone any more; no notification "
                "told of it", project)
            self._forget(project)
            metrics.HEALED.labels("projects").inc()


def _advice(error: Exception) -> str:
    """What happened and, where that is known, what to do."""
    if isinstance(error, cloud_errors.CloudRefused) and error.code in (
        401, 403
    ):
        return (
            f"{error}. The user of [aacloud_keystone] needs a role with "
            "which Keystone shows any project (identity:get_project), such "
            "as admin; or set [aacloud_groups] project_check_interval to 0")
    return str(error)
