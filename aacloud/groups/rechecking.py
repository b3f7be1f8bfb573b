# SPDX-License-Identifier: Apache-2.0
"""Whether steps are still right, right before they are begun."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from aacloud.clouds import ports
from aacloud.coordination import clock as clocks
from aacloud.core import groups as core_groups
from aacloud.core import repair
from aacloud.core import rules
from aacloud.core import usefulness
from aacloud.groups import catalogue as catalogues
from aacloud.groups import problems
from aacloud.groups import room as rooms
from aacloud.groups import seasons
from aacloud.groups import sight as sights
from aacloud.groups import surroundings as around


class NotKnown(Exception):
    """There is nothing to check against; the text says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """Which steps may be begun.

    :ivar right: they may, also all at once
    :ivar refused: number of a step -> why it must not be done any more
    :ivar not_yet: number of a step -> why it must not be done while other
        plans move servers; it may be right when these have landed
    """

    right: tuple[core_groups.PlanStep, ...]
    refused: Mapping[int, str]
    not_yet: Mapping[int, str] = dataclasses.field(default_factory=dict)


class Rechecker:
    """Reads what steps depend on, fresh, and judges them.

    :param usual_window: the window of groups without one of their own
    """

    def __init__(
        self,
        catalogue: catalogues.Catalogue,
        reader: sights.Reader,
        watcher: around.Watcher,
        cloud: ports.Cloud,
        usual_window: Callable[[], str | None],
        clock: clocks.Clock | None = None,
    ) -> None:
        self._usual_window = usual_window
        self._catalogue = catalogue
        self._reader = reader
        self._watcher = watcher
        self._room = rooms.RoomReader(cloud, clock)

    def moot(self, plan: core_groups.Plan) -> str | None:
        """Why a plan may mend none of its groups any more, or None.

        :raises db_errors.DatabaseError: the groups could not be read
        """
        if self._moot(plan) is None:
            return None
        self._catalogue.refresh()
        return self._moot(plan)

    def _moot(self, plan: core_groups.Plan) -> str | None:
        return seasons.moot(
            plan, {one.id: one for one in self._catalogue.some(plan.groups)},
            self._usual_window())

    def check(
        self,
        plan: core_groups.Plan,
        steps: Sequence[core_groups.PlanStep],
        chosen: Sequence[core_groups.PlanStep],
        elsewhere: Sequence[core_groups.PlanStep] = (),
    ) -> Verdict:
        """Judge the steps that are to be begun now.

        Each one is judged as if those before it were under way already.

        :param steps: all of the plan
        :param elsewhere: those of other plans that are under way
        :raises NotKnown: the topology was not read yet
        :raises cloud_errors.CloudError: the servers could not be read
        :raises db_errors.DatabaseError: the groups could not be read
        """
        here = self._watcher.known()
        if here is None:
            raise NotKnown(
                "the topology is not known yet: "
                f"{self._watcher.trouble or 'it is being read'}")
        self._catalogue.refresh()
        mended = self._catalogue.some(plan.groups)
        concerned = {
            group.id: group for group in (
                *mended,
                *self._catalogue.neighbours(
                    [step.server for step in chosen]))}
        numbers = {step.number for step in chosen}
        ordered = [
            *(step for step in steps
              if step.state in _ORDERED and step.number not in numbers),
            *(step for step in elsewhere if step.state in _ORDERED)]
        sight = self._reader.some(sorted({
            *(step.server for step in chosen),
            *(step.server for step in ordered),
            *(member for group in concerned.values()
              for member in group.members)}), full=True)
        # The chosen ones may be claimed as requested already.
        unsent = [
            step for step in steps
            if step.state in _UNSENT or step.number in numbers]
        broken = self._broken(plan, mended, sight, here)
        if not broken:
            return Verdict((), {
                step.number: "the groups of this plan are mended already"
                for step in unsent})
        useful = usefulness.useful_steps(
            unsent, broken,
            usefulness.landed(sight.occupancy, ordered), here.domains())
        room = self._room.read(
            tuple(here.topology.hosts),
            {step.server: sight.occupancy.get(step.server, ())
             for step in ordered},
            # Whatever landed or was begun since is looked at anew.
            frozenset(
                (step.plan_id, step.number, step.state)
                for step in (*steps, *elsewhere)
                if step.state in core_groups.STEPS_IN_FLIGHT))
        problem = problems.build(
            concerned.values(), set(plan.groups), sight, here, room.hosts,
            resting={}, usual=self._usual_window())
        # Those that are only claimed may wait for these, in turn.
        moving = any(
            step.state in core_groups.STEPS_IN_FLIGHT for step in elsewhere)
        right: list[core_groups.PlanStep] = []
        refused: dict[int, str] = {}
        not_yet: dict[int, str] = {}
        for step in ordered:
            # Nova may not show it yet, or did not when that was read.
            move = _move(step)
            problem = _with_move(
                problem, move, counted=room.has(
                    step.server, move.move.destination))
        for step in chosen:
            move = _move(step)
            reason = repair.check_step(problem, move)
            if step.number not in useful and (
                step.source in sight.occupancy.get(step.server, ())
            ):
                refused[step.number] = reason or (
                    "no group needs it any more that this plan may still "
                    "mend")
                continue
            if reason is not None:
                (not_yet if moving else refused)[step.number] = reason
                continue
            right.append(step)
            problem = _with_move(problem, move, counted=False)
        return Verdict(tuple(right), refused, not_yet)

    def _broken(
        self,
        plan: core_groups.Plan,
        mended: Sequence[rules.Group],
        sight: sights.Sight,
        here: around.Surroundings,
    ) -> list[rules.Group]:
        """The groups of the plan that are still to be mended by it.

        What their owners set after the plan was made counts.
        """
        inspector = rules.Inspector(here.domains())
        found = []
        for group in mended:
            if not seasons.may_mend(plan, group, self._usual_window()):
                continue
            report = inspector.inspect(group, sight.occupancy, age_s=0.0)
            if any(
                one.excess and one.rule.required for one in report.rules
            ):
                found.append(group)
        return found


#: Nothing was sent for these.
_UNSENT = frozenset({
    core_groups.StepState.PENDING, core_groups.StepState.CLAIMED,
    core_groups.StepState.RETRY})


#: Nova was, or may have been, asked for these.
_ORDERED = frozenset({
    core_groups.StepState.REQUESTED, core_groups.StepState.MIGRATING})


def _move(step: core_groups.PlanStep) -> repair.Step:
    return repair.Step(
        step.number,
        repair.Move(step.server, step.source, step.destination or ""),
        step.after, step.why)


def _with_move(
    problem: repair.RepairProblem, step: repair.Step, *, counted: bool
) -> repair.RepairProblem:
    """The picture once the step is under way: both ends are taken.

    :param counted: what is free there is without its room already
    """
    server = problem.servers.get(step.move.server)
    host = problem.hosts.get(step.move.destination)
    if server is None or host is None:
        return problem
    if server.also is None and server.host == step.move.source:
        problem = dataclasses.replace(problem, servers={
            **problem.servers,
            server.uuid: dataclasses.replace(server, also=host.name)})
    if counted:
        return problem
    return dataclasses.replace(problem, hosts={
        **problem.hosts,
        host.name: dataclasses.replace(
            host, free_vcpus=host.free_vcpus - server.vcpus,
            free_memory_mb=host.free_memory_mb - server.memory_mb,
            free_disk_gb=host.free_disk_gb - server.disk_gb)})
