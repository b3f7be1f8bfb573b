# SPDX-License-Identifier: Apache-2.0
"""What a test does with HA server groups: make, be born into, mend."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
import concurrent.futures
import dataclasses
import itertools
import time
from typing import Any

from tests.lab import servers
from tests.lab.seed import IMAGE
from tests.lab.suite import calm
from tests.lab.suite.looking import answered
from tests.lab.suite.looking import JSON
from tests.lab.suite.stage import Stage

#: From a change in Nova to the inspection that tells it: a notification, or
#: else the next reconciliation, on a busy machine.
TOLD = 120.0
#: From the approval of a plan to its last move.
REPAIRED = 240.0
#: For one server to be born while many others are.
BORN = 420.0
#: For a look that shows that nothing moves any more.
STILL = 25.0

#: A plan in one of these comes to an end.
GOES_ON = frozenset({
    "draft", "awaiting-approval", "approved", "running", "paused"})


@dataclasses.dataclass(frozen=True)
class Mended:
    """What it took to mend a group.

    :ivar plans: of each plan: how many moves it had, and its lower bound
    :ivar moves: those that were made; a plan may become needless
    """

    plans: tuple[tuple[int, int], ...]
    moves: int


class Grouping:
    """One test's hold on HA server groups; all are made by the admin."""

    _numbers = itertools.count(1)

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._lab = stage.lab
        self._look = stage.look

    # -- groups ----------------------------------------------------------
    def make(
        self,
        *rules: str,
        members: Collection[str] = (),
        mode: str = "enforce",
    ) -> str:
        """Make a group that every scheduler knows; its id."""
        answer = self._look.tell("/groups", {
            "name": self.name(), "rules": list(rules), "mode": mode,
            "servers": sorted(members), "wait": True})
        # A scheduler that placed nothing yet asks for all at its first one.
        assert not answer["waited"]["missing"], answer["waited"]
        return answer["group"]["id"]

    @staticmethod
    def name() -> str:
        """The name of the next group."""
        return f"{calm.PREFIX}group-{next(Grouping._numbers):03d}"

    def join(self, group: str, *ids: str) -> JSON:
        """Let servers join, and every scheduler know it."""
        return self._look.tell(
            f"/groups/{group}/servers", {"servers": ids, "wait": True})

    def members(self, group: str) -> set[str]:
        return {
            member["id"] for member in self._look.group(group)["members"]}

    def inspect(self, group: str) -> JSON:
        """Look where the members are now; the report."""
        return self._look.tell(f"/groups/{group}/inspect", {})["report"]

    def excess(self, group: str) -> dict[str, int]:
        """Rule -> how many members are too many, as it is now."""
        return {
            one["rule"]["text"]: one["excess"]
            for one in self.inspect(group)["rules"]}

    def await_members(
        self, group: str, ids: Collection[str], seconds: float = TOLD
    ) -> None:
        """Wait until exactly these are members."""
        wanted = set(ids)
        try:
            self._lab.wait(
                "the members are those that there are",
                lambda: answered(lambda: self.members(group)) == wanted,
                seconds, 1.0)
        except RuntimeError as error:
            found = self.members(group)
            raise AssertionError(
                f"{error}: missing {sorted(wanted - found)}, too many "
                f"{sorted(found - wanted)}") from None

    def await_state(
        self, group: str, states: Collection[str], seconds: float = TOLD
    ) -> JSON:
        """Wait until the engine itself has found a group so; the group."""

        def found() -> JSON | None:
            now = answered(lambda: self._look.group(group)["group"])
            return now if now and now["state"] in states else None

        return self._lab.wait(
            f"group {group} is {' or '.join(states)}", found, seconds, 1.0)

    # -- births ----------------------------------------------------------
    def born(
        self,
        count: int,
        *,
        hint: dict[str, Any],
        hosts: Sequence[str | None] = (None,),
        await_all: bool = True,
    ) -> list[str]:
        """Let servers be born all at once; their ids.

        :param hint: the scheduler hints of all of them
        :param hosts: where, in turn; None: where the scheduler wants
        """
        image = self._lab.cloud.get(
            "glance", f"/images?name={IMAGE}")["images"][0]["id"]

        def one(number: int) -> str:
            server = {
                "name": f"{calm.PREFIX}born-{next(Grouping._numbers):04d}",
                "imageRef": image, "flavorRef": "lab.tiny",
                "networks": "none"}
            host = hosts[number % len(hosts)]
            if host is not None:
                server["host"] = host
            return self._lab.cloud.post(
                "nova-api", "/servers",
                {"server": server, "os:scheduler_hints": hint},
                timeout=180)["server"]["id"]

        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            ids = list(pool.map(one, range(count)))
        self._stage.adopt(ids)
        if await_all:
            self._lab.wait(
                f"{count} servers ACTIVE", lambda: self._active(ids), BORN,
                1.0)
        return ids

    def _active(self, ids: Iterable[str]) -> bool:
        now = servers.listed(self._lab)
        mine = [now[one] for one in ids if one in now]
        for one in mine:
            if one["status"] == "ERROR":
                raise servers.BootFailed(
                    f"{one['name']}: "
                    f"{one.get('fault', {}).get('message', 'ERROR')}")
        return len(mine) == len(list(ids)) and all(
            one["status"] == "ACTIVE" for one in mine)

    def places(self, ids: Iterable[str]) -> dict[str, str]:
        """Server -> its host, as Nova says."""
        now = servers.listed(self._lab)
        return {one: servers.host_of(now[one]) for one in ids}

    # -- repair ----------------------------------------------------------
    def plan(self, group: str) -> JSON:
        """Ask for a plan, as a draft."""
        return self._look.tell(
            "/plans", {"group_id": group, "dry_run": True})["plan"]

    def approve(self, plan: str) -> None:
        self._look.tell(
            f"/plans/{plan}/approve", {"reason": "a test of the lab"})

    def open_plans(self, group: str) -> list[JSON]:
        """The plans that come to an end and mend this group."""
        found = answered(lambda: self._look.plans(open="true")) or []
        return [
            plan for plan in found
            if group in plan["group_ids"] and plan["state"] != "draft"]

    def approve_waiting(self, group: str) -> list[str]:
        """Approve what waits for it; ids of the plans."""
        waiting = [
            plan["id"] for plan in self.open_plans(group)
            if plan["state"] == "awaiting-approval" and not plan["orders"]]
        for plan in waiting:
            answered(lambda plan=plan: self.approve(plan))
        return waiting

    def carried_out(self, plan: str, seconds: float = REPAIRED) -> JSON:
        """Wait until a plan has ended; the plan and its steps."""

        def ended() -> JSON | None:
            now = answered(lambda: self._look.plan(plan))
            return now if now and now["plan"]["state"] not in GOES_ON else None

        try:
            return self._lab.wait(
                f"plan {plan} has ended", ended, seconds, 0.5)
        except RuntimeError as error:
            raise AssertionError(f"{error}\n{self.story(plan)}") from None

    def mended(self, group: str, seconds: float = REPAIRED) -> Mended:
        """Approve what the engine plans by itself until the group is as its
        rules want it."""
        approved: list[str] = []

        def through() -> bool:
            approved.extend(self.approve_waiting(group))
            now = answered(lambda: self._look.group(group)["group"])
            return not self.open_plans(group) and (
                now is not None and now["state"] == "compliant")

        self.inspect(group)
        try:
            self._lab.wait("the group is mended", through, seconds, 1.0)
        except RuntimeError as error:
            told = "\n".join(map(self.story, approved)) or "no plan"
            raise AssertionError(
                f"{error}\n{self.inspect(group)}\n{told}") from None
        ends = [self._look.plan(plan) for plan in approved]
        states = {one["plan"]["state"] for one in ends}
        assert states <= {"done"}, "\n".join(map(self.story, approved))
        summaries = [one["plan"]["summary"] for one in ends]
        return Mended(
            tuple((one["moves"], one["lower_bound"]) for one in summaries),
            sum(step["state"] == "verified"
                for one in ends for step in one["steps"]))

    def story(self, plan: str) -> str:
        """All that a plan tells, for the text of a failure."""
        told = answered(lambda: self._look.plan(plan))
        if told is None:
            return f"plan {plan}: the API does not answer"
        lines = [
            f"plan {plan} is {told['plan']['state']}, waiting: "
            f"{told['plan']['waiting']}"]
        for step in told["steps"]:
            lines.append(
                f"  step {step['number']} {step['state']} "
                f"{step['server_id']} {step['source']} -> "
                f"{step['destination']} {step['reason']}")
        for one in self._look.plan_events(plan):
            lines.append(f"  {one['at'][11:23]} {one['kind']}: {one['text']}")
        return "\n".join(lines)

    # -- what must hold --------------------------------------------------
    def moves(self, ids: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
        """Server -> (status, destination) of each of its live migrations,
        those that were not moved left out."""
        found = {
            one: [
                (each["status"], each["dest_compute"])
                for each in self._look.live_migrations(one)]
            for one in ids}
        return {one: moves for one, moves in found.items() if moves}

    def check_once(self, ids: Iterable[str]) -> None:
        """Each server runs in exactly one place, where Nova has it."""
        guests = self._lab.guests()
        places = self.places(ids)
        wrong = {
            one: (guests.get(one, ()), host)
            for one, host in places.items() if guests.get(one) != (host,)}
        assert not wrong, f"(runs on, Nova says): {wrong}"

    def check_still(
        self, group: str, ids: Collection[str], seconds: float = STILL
    ) -> None:
        """Look on: nothing of a mended group moves any more."""
        before = self.moves(ids), self.places(ids)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert not self.open_plans(group)
            time.sleep(1.0)
        assert (self.moves(ids), self.places(ids)) == before
