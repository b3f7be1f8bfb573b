# SPDX-License-Identifier: Apache-2.0
"""What is being moved, by all plans together.

Plans share the limits and the room of the cloud, so each of them is begun and
checked with the moves of the others in sight.
"""

from __future__ import annotations

from collections.abc import Iterable

from aacloud.clouds import mover as movers
from aacloud.core import groups as core_groups
from aacloud.groups import ledger as ledgers

#: Nova was asked for these, or is about to be.
_COUNTED = core_groups.STEPS_IN_FLIGHT | {core_groups.StepState.CLAIMED}


class Work:
    """What is known of a plan under way beside the journal.

    :ivar plan: as it was read last
    :ivar blocked: why nothing may be sent now, not even again; None: it may
    :ivar aborted: migrations that Nova was asked to abort
    """

    def __init__(
        self, plan: core_groups.Plan, ledger: ledgers.PlanLedger
    ) -> None:
        self.plan = plan
        self.ledger = ledger
        self.blocked: str | None = None
        self.aborted: set[int] = set()
        self.mover: movers.Mover | None = None

    def close(self) -> None:
        """Let the mover go, if there is one."""
        if self.mover is not None:
            self.mover.close()


class UnderWay:
    """The works of all plans. One thread writes, those of movers read."""

    def __init__(self) -> None:
        self._works: dict[str, Work] = {}
        self._steps: dict[str, tuple[core_groups.PlanStep, ...]] = {}

    def get(self, plan_id: str) -> Work | None:
        """The work of a plan, if it has one here."""
        return self._works.get(plan_id)

    def begin(self, work: Work) -> Work:
        """Keep a work from now on."""
        self._works[work.plan.id] = work
        return work

    def drop(self, plan_id: str) -> None:
        """Send nothing more for a plan; what Nova was asked for goes on."""
        work = self._works.pop(plan_id, None)
        if work is not None:
            work.close()

    def drop_all(self) -> None:
        """Send nothing more at all."""
        for plan_id in list(self._works):
            self.drop(plan_id)

    def keep(self, plan_ids: Iterable[str]) -> None:
        """Forget all plans but these."""
        wanted = set(plan_ids)
        for gone in set(self._works) - wanted:
            self.drop(gone)
        self._steps = {
            plan_id: steps for plan_id, steps in self._steps.items()
            if plan_id in wanted}

    def read(
        self, plan_id: str, steps: Iterable[core_groups.PlanStep]
    ) -> None:
        """Go by these records, for a plan that has no work here."""
        self._steps[plan_id] = tuple(steps)

    def elsewhere(self, plan_id: str) -> tuple[core_groups.PlanStep, ...]:
        """The moves of all other plans that are under way or claimed."""
        found: list[core_groups.PlanStep] = []
        for other, read in list(self._steps.items()):
            if other == plan_id:
                continue
            work = self._works.get(other)
            # Its ledger is as fresh as the mover's last write.
            known = () if work is None else work.ledger.steps()
            found += [
                step for step in known or read if step.state in _COUNTED]
        return tuple(found)
