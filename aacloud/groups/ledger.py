# SPDX-License-Identifier: Apache-2.0
"""The mover's steps, written into the journal of plans."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses

from aacloud.clouds import moves
from aacloud.core import groups as core_groups
from aacloud.core import incidents
from aacloud.db import plans as plan_stores


class PlanLedger:
    """Between the records of one plan's steps and those of the mover."""

    def __init__(self, plans: plan_stores.Plans) -> None:
        self._plans = plans
        self._steps: dict[int, core_groups.PlanStep] = {}

    def take(self, steps: Iterable[core_groups.PlanStep]) -> None:
        """Go by these records."""
        self._steps = {step.number: step for step in steps}

    def steps(self) -> tuple[core_groups.PlanStep, ...]:
        """The records as they were written last."""
        return tuple(self._steps[number] for number in sorted(self._steps))

    def write(
        self, transitions: Sequence[moves.Transition]
    ) -> Sequence[incidents.ServerRecord]:
        """Write all or none; see :class:`moves.Ledger`."""
        written = self._plans.update_steps([
            plan_stores.StepChange(
                self._as_read(one.record),
                core_groups.StepState(one.state.value),
                one.columns, one.text, one.detail)
            for one in transitions])
        self._steps.update((step.number, step) for step in written)
        return tuple(step.as_server_record() for step in written)

    def _as_read(
        self, record: incidents.ServerRecord
    ) -> core_groups.PlanStep:
        """The step as the mover had it: its version is compared."""
        return dataclasses.replace(
            self._steps[record.wave], version=record.version,
            state=core_groups.StepState(record.state.value))
