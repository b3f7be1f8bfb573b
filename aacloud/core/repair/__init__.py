# SPDX-License-Identifier: Apache-2.0
"""Repair: the fewest moves that mend broken groups, in a safe order."""

from aacloud.core.repair.checking import check_step
from aacloud.core.repair.model import BlockCode
from aacloud.core.repair.model import Blocked
from aacloud.core.repair.model import Move
from aacloud.core.repair.model import RepairHost
from aacloud.core.repair.model import RepairLimits
from aacloud.core.repair.model import RepairPlan
from aacloud.core.repair.model import RepairProblem
from aacloud.core.repair.model import RepairServer
from aacloud.core.repair.model import Step
from aacloud.core.repair.pacing import ready_steps
from aacloud.core.repair.plan import plan_repair

__all__ = (
    "BlockCode",
    "Blocked",
    "Move",
    "RepairHost",
    "RepairLimits",
    "RepairPlan",
    "RepairProblem",
    "RepairServer",
    "Step",
    "check_step",
    "plan_repair",
    "ready_steps",
)
