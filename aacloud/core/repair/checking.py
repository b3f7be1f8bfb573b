# SPDX-License-Identifier: Apache-2.0
"""Whether a step of a plan is still right, right before it starts."""

from __future__ import annotations

from aacloud.core.repair.model import RepairProblem
from aacloud.core.repair.model import Step
from aacloud.core.repair.state import State
from aacloud.core.rules import format_rule


def check_step(problem_now: RepairProblem, step: Step) -> str | None:
    """Why the step must not be made as the cloud is now; None if it may.

    :param problem_now: a fresh picture, migrations under way at both ends
    """
    uuid, host = step.move.server, step.move.destination
    server = problem_now.servers.get(uuid)
    if server is None:
        return f"server {uuid} is gone"
    if server.also is not None:
        return (f"server {uuid} is being migrated from {server.host} to "
                f"{server.also} already")
    if server.host != step.move.source:
        return (f"server {uuid} is on {server.host}, the plan wanted to "
                f"move it away from {step.move.source}")
    if not server.movable:
        return (f"server {uuid} cannot be moved: "
                f"{server.why_not or 'no reason is known'}")
    view = problem_now.hosts.get(host)
    if view is None:
        return f"host {host} is gone"
    if not view.takes:
        return f"host {host} takes no servers: {view.reason or 'closed'}"
    if server.may_go is not None and host not in server.may_go:
        return f"server {uuid} may not go to {host}: zone or cell"
    state = State(problem_now, only={uuid})
    if not state.fits(server, host):
        return (
            f"host {host} has no room for server {uuid} any more: it takes "
            f"{server.vcpus} vCPU, {server.memory_mb} MB and "
            f"{server.disk_gb} GB, free are {view.free_vcpus}, "
            f"{view.free_memory_mb} and {view.free_disk_gb}")
    unit = state.refusing(uuid, host)
    if unit is not None:
        return (f"moving server {uuid} to {host} would now make "
                f"{format_rule(unit.rule)} of group {unit.group.name} "
                f"({unit.group.id}) worse")
    return None
