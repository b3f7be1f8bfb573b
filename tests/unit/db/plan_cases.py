# SPDX-License-Identifier: Apache-2.0
"""What the journal promises of repair plans and of their steps."""

from __future__ import annotations

from concurrent import futures
import datetime
from typing import Any
import uuid

import pytest

from aacloud.core import groups
from aacloud.core import incidents
from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import plan_pruning
from aacloud.db import plans as db_plans
from tests.unit.db import worlds

P = groups.PlanState
S = groups.StepState
C = groups.PlanCommand
LATER = worlds.START + datetime.timedelta(days=7)


class GroupEngine:
    """A group engine, as far as the journal can tell."""

    def __init__(self, name: str, database: engine.Database) -> None:
        self.name = name
        self.epoch: int | None = None
        self.database = database
        self.clock = worlds.Clock()
        self.plans = db_plans.Plans(
            database, lambda: self.epoch, now=self.clock
        )

    def take_over(self) -> int:
        self.epoch = self.plans.take_over(db_plans.GROUPS, self.name)
        return self.epoch

    def make(
        self,
        count: int = 1,
        scope: str = "cloud",
        state: P = P.APPROVED,
        **columns: Any,
    ) -> groups.Plan:
        return self.plans.create(
            scope,
            [step(number) for number in range(1, count + 1)],
            state=state,
            expires_at=LATER,
            revision=12,
            event_text=f"{count} moves mend 2 groups",
            **{"created_by": "aacloud-groups", **columns},
        )

    def texts(self, plan: groups.Plan) -> list[str]:
        return [event.text for event in self.plans.events(plan.id)]


def step(number: int, **columns: Any) -> groups.PlanStep:
    return groups.PlanStep(
        **{
            "plan_id": "",
            "number": number,
            "server": str(uuid.UUID(int=number)),
            "name": f"web-{number}",
            "project_id": "p1",
            "source": "dc1-r1-h1",
            "destination": "dc2-r1-h1",
            "after": tuple(range(1, number)),
            "why": ("g1",),
            "predicted_s": 90.5,
            **columns,
        }
    )


class PlanCases:
    @pytest.fixture
    def one(self, database: engine.Database) -> GroupEngine:
        made = GroupEngine("dc1-ha", database)
        made.take_over()
        return made

    @pytest.fixture
    def two(self, url: str) -> Any:
        opened = worlds.open_database(url)
        yield GroupEngine("dc2-ha", opened)
        opened.dispose()

    def test_what_is_made_is_read_back(self, one: GroupEngine) -> None:
        plan = one.make(
            2,
            groups=("g2", "g1"),
            window="cron:0 1 * * 6;duration=4h",
            summary={"gap": 0, "solver": "flow"},
            project_id="p1",
        )
        assert one.plans.get(plan.id) == plan
        assert one.plans.live() == (plan,)
        assert plan.groups == ("g1", "g2")
        assert (plan.version, plan.epoch, plan.replans) == (1, 1, 0)
        steps = one.plans.steps(plan.id)
        assert steps == (
            step(1, plan_id=plan.id, version=1),
            step(2, plan_id=plan.id, version=1),
        )
        [event] = one.plans.events(plan.id)
        assert event.text == "2 moves mend 2 groups"
        assert event.detail == {"to": "approved", "epoch": 1}
        assert one.plans.get(plan.id, project_id="p1") == plan
        with pytest.raises(errors.NotFound):
            one.plans.get(plan.id, project_id="p2")

    def test_a_group_is_in_one_live_plan(self, one: GroupEngine) -> None:
        plan = one.make(groups=("g1", "g2"))
        with pytest.raises(errors.Duplicate, match="g2") as refused:
            one.make(groups=("g2", "g3"))
        assert refused.value.existing == plan.id
        draft = one.make(state=P.DRAFT, groups=("g1",))
        assert one.plans.live("cloud") == (plan,)
        assert one.plans.list(is_open=True) == (draft, plan)
        with pytest.raises(errors.Duplicate):
            one.plans.advance(draft, P.APPROVED, event_text="x")
        assert one.plans.get(draft.id) == draft
        beside = one.make(groups=("g3",))
        later = one.make(groups=("g1",), window="cron:0 1 * * 6;duration=4h")
        assert one.plans.live("cloud") == (later, beside, plan)
        ended = one.plans.advance(plan, P.STOPPED, event_text="enough")
        assert ended.closed_at is not None
        now_live = one.plans.advance(draft, P.APPROVED, event_text="x")
        assert now_live in one.plans.live()
        with pytest.raises(errors.StaleJournal, match="closed"):
            one.plans.note(ended, "late")
        with pytest.raises(ValueError, match="does not begin as running"):
            one.make(state=P.RUNNING)

    def test_a_group_has_one_live_plan_of_its_own(
        self, one: GroupEngine
    ) -> None:
        """Also when its window is another one by now."""
        plan = one.make(scope="g1", groups=("g1",))
        with pytest.raises(errors.Duplicate) as refused:
            one.make(
                scope="g1",
                groups=("g1",),
                window="cron:0 1 * * 6;duration=4h",
            )
        assert refused.value.existing == plan.id
        assert one.plans.live("g1") == (plan,)

    def test_two_threads_make_plans_of_one_group_live(
        self, one: GroupEngine
    ) -> None:
        drafts = [
            one.make(state=P.DRAFT, groups=("g1",), created_by=name)
            for name in ("ann", "joe", "eve", "bob")
        ]

        def approve(draft: groups.Plan) -> bool:
            try:
                one.plans.advance(draft, P.APPROVED, event_text="x")
            except errors.Duplicate:
                return False
            return True

        with futures.ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(approve, drafts)) == 1
        assert len(one.plans.live()) == 1

    def test_a_plan_and_its_steps_go_on(self, one: GroupEngine) -> None:
        plan = one.make(2)
        plan = one.plans.advance(
            plan, P.RUNNING, event_text="the window is open"
        )
        plan = one.plans.advance(
            plan, P.RUNNING, event_text="it waits", waiting="for the window"
        )
        assert one.plans.get(plan.id) == plan
        first, second = one.plans.steps(plan.id)
        at = one.clock()
        first = one.plans.update_step(first, S.CLAIMED, intent_at=at)
        first, second = one.plans.update_steps(
            [
                db_plans.StepChange(
                    first,
                    S.REQUESTED,
                    {"requested_at": at, "past_migrations": (3, 4)},
                ),
                db_plans.StepChange(
                    second, S.SKIPPED, {"reason": "not right any more"}
                ),
            ]
        )
        assert one.plans.steps(plan.id) == (first, second)
        plan = one.plans.advance(plan, P.PAUSED, event_text="paused")
        assert plan.waiting is None
        assert one.texts(plan)[1:] == [
            "the window is open",
            "it waits",
            "step 1, web-1: pending -> claimed",
            "step 1, web-1: claimed -> requested",
            "step 2, web-2: pending -> skipped",
            "paused",
        ]
        last = one.plans.events(plan.id, since_id=5, limit=1)[0]
        assert last.detail == {"step": 2, "from": "pending", "to": "skipped"}

    def test_what_may_not_follow_writes_nothing(
        self, one: GroupEngine
    ) -> None:
        plan = one.make()
        [record] = one.plans.steps(plan.id)
        for act in (
            lambda: one.plans.advance(plan, P.DONE, event_text="x"),
            lambda: one.plans.update_step(record, S.VERIFIED),
        ):
            with pytest.raises(incidents.IllegalTransition):
                act()
        with pytest.raises(TypeError, match="no such columns"):
            one.plans.advance(plan, P.RUNNING, event_text="x", scope="y")
        with pytest.raises(TypeError, match="no such columns"):
            one.plans.update_step(record, S.CLAIMED, server="y")
        with pytest.raises(ValueError, match="given twice"):
            one.plans.update_steps(
                [db_plans.StepChange(record, S.CLAIMED)] * 2
            )
        assert one.plans.get(plan.id) == plan
        assert one.plans.steps(plan.id) == (record,)

    def test_a_record_that_was_changed_is_refused(
        self, one: GroupEngine
    ) -> None:
        plan = one.make(2)
        first, second = one.plans.steps(plan.id)
        one.plans.update_step(second, S.CLAIMED)
        one.plans.advance(plan, P.RUNNING, event_text="go")
        with pytest.raises(errors.StaleJournal, match="version 1 was read"):
            one.plans.advance(plan, P.PAUSED, event_text="x")
        with pytest.raises(errors.StaleJournal, match="step 2"):
            one.plans.update_steps(
                [
                    db_plans.StepChange(first, S.CLAIMED),
                    db_plans.StepChange(second, S.CLAIMED),
                ]
            )
        assert one.plans.steps(plan.id)[0] == first

    def test_orders_of_operators(self, one: GroupEngine) -> None:
        plan = one.make(state=P.AWAITING_APPROVAL, project_id="p1")
        reader = db_plans.Plans(one.database, now=one.clock)
        with pytest.raises(errors.CommandRefused, match="pause"):
            reader.order(plan.id, C.PAUSE, by="ann", reason="")
        with pytest.raises(errors.NotFound):
            reader.order("nobody", C.STOP, by="ann", reason="")
        with pytest.raises(errors.NotFound):
            reader.order(
                plan.id, C.STOP, by="eve", reason="", project_id="p2"
            )
        asked = reader.order(
            plan.id, C.APPROVE, by="ann", reason="fine", project_id="p1"
        )
        seen = one.plans.get(plan.id)
        assert seen.orders == (asked,)
        assert seen.version == plan.version
        assert one.texts(plan)[-1] == "ann asks: approve: fine"
        # What the engine has read before is still good to write with.
        plan = one.plans.advance(plan, P.APPROVED, event_text="approved")
        with pytest.raises(errors.CommandRefused, match="is approved"):
            reader.order(plan.id, C.APPROVE, by="ann", reason="")
        with pytest.raises(errors.StaleJournal, match="does not lead"):
            reader.advance(plan, P.RUNNING, event_text="x")

    def test_moves_are_counted(self, one: GroupEngine) -> None:
        old = one.make(3)
        moment = worlds.START + datetime.timedelta(hours=1)
        before = worlds.START + datetime.timedelta(minutes=1)
        first, second, third = one.plans.steps(old.id)
        one.plans.update_step(
            first, S.CLAIMED, intent_at=moment, requested_at=moment
        )
        one.plans.update_step(
            second, S.CLAIMED, intent_at=before, requested_at=before
        )
        one.plans.update_step(third, S.SKIPPED, intent_at=moment)
        assert one.plans.moves_begun_since(moment) == 1
        assert one.plans.moves_begun_since(before) == 2
        assert one.plans.moved_since(moment) == {first.server: moment}
        assert one.plans.moved_since(before, but_plan=old.id) == {}
        other = one.make(scope="g1")
        [again] = one.plans.steps(other.id)
        one.plans.update_step(again, S.CLAIMED, requested_at=before)
        assert one.plans.moved_since(worlds.START) == {
            first.server: moment,
            second.server: before,
        }
        assert one.plans.moved_since(before, but_plan=old.id) == {
            first.server: before
        }

    def test_lists_and_pages(self, one: GroupEngine) -> None:
        made = [one.make(scope=f"g{n}") for n in range(4)]
        newest = tuple(reversed(made))
        assert one.plans.list() == newest
        page = one.plans.list(limit=3)
        assert page + one.plans.list(marker=page[-1].id) == newest
        assert one.plans.list(scope="g1") == (made[1],)
        closed = one.plans.advance(made[0], P.STOPPED, event_text="x")
        assert one.plans.list(is_open=False) == (closed,)
        assert one.plans.list(states=[P.STOPPED, P.DONE]) == (closed,)
        assert one.plans.list(created_since=made[2].created_at) == newest[:2]
        at = closed.closed_at
        assert at is not None
        assert one.plans.list(closed_since=at) == (closed,)
        late = at + datetime.timedelta(seconds=1)
        assert one.plans.list(closed_since=late) == ()
        text = "cron:0 1 * * 6;duration=4h"
        windowed = one.make(scope="g9", window=text)
        assert one.plans.list(window=[text]) == (windowed,)
        rest = (*newest[:3], closed)
        assert one.plans.list(window=[None]) == rest
        assert one.plans.list(window=[text, None]) == (windowed, *rest)
        one.plans.advance(windowed, P.STOPPED, event_text="x")
        assert one.plans.live() == newest[:3]
        with pytest.raises(errors.NotFound):
            one.plans.list(marker="nobody")

    def test_a_draft_takes_the_place_of_its_makers_older_one(
        self, one: GroupEngine
    ) -> None:
        drafts = [one.make(2, scope="g1", state=P.DRAFT) for _ in range(3)]
        others = [
            one.make(scope="g2", state=P.DRAFT),
            one.make(scope="g1"),
        ]
        assert {plan.id for plan in one.plans.list()} == {
            plan.id for plan in (drafts[-1], *others)
        }
        assert one.plans.steps(drafts[0].id) == ()
        assert one.plans.events(drafts[0].id) == ()
        with pytest.raises(errors.NotFound):
            one.plans.order(drafts[0].id, C.APPROVE, by="ann", reason="")
        # One that somebody approved is not a mere draft any more.
        one.plans.order(drafts[-1].id, C.APPROVE, by="ann", reason="")
        newer = one.make(scope="g1", state=P.DRAFT)
        assert {plan.id for plan in one.plans.list(scope="g1")} == {
            newer.id,
            drafts[-1].id,
            others[1].id,
        }
        foreign = one.make(scope="g1", state=P.DRAFT, created_by="eve")
        assert one.plans.get(newer.id) == newer
        assert one.plans.get(foreign.id) == foreign

    def test_old_plans_are_thrown_away(
        self, one: GroupEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(plan_pruning, "BATCH", 2)
        ended = []
        for number in range(5):
            plan = one.make(2, scope=f"g{number}")
            one.plans.order(plan.id, C.STOP, by="ann", reason="")
            ended.append(one.plans.advance(plan, P.STOPPED, event_text="x"))
        open_one = one.make(scope="g9")
        last = ended[-1].closed_at
        assert last is not None
        assert one.plans.prune(worlds.START) == 0
        assert one.plans.prune(last) == 4
        assert {plan.id for plan in one.plans.list()} == {
            open_one.id,
            ended[-1].id,
        }
        assert one.plans.steps(ended[0].id) == ()
        assert one.plans.events(ended[0].id) == ()
        assert len(one.plans.steps(ended[-1].id)) == 2
        assert one.plans.prune(last + datetime.timedelta(days=999)) == 1
        assert one.plans.list() == (open_one,)

    def test_a_replan_names_the_one_before(self, one: GroupEngine) -> None:
        first = one.make()
        first = one.plans.advance(first, P.RUNNING, event_text="go")
        first = one.plans.advance(first, P.DONE, event_text="done")
        second = one.make(replan_of=first)
        assert (second.replan_of, second.replans) == (first.id, 1)

    def test_the_deposed_cannot_write_anything(
        self, one: GroupEngine, two: GroupEngine
    ) -> None:
        plan = one.make()
        [record] = one.plans.steps(plan.id)
        assert two.take_over() == 2
        adopted = two.plans.get(plan.id)
        assert adopted.epoch == 2
        assert adopted.version == plan.version + 1
        assert two.texts(plan)[-1] == "dc2-ha goes on with it, epoch 2"
        for write in (
            lambda: one.plans.advance(plan, P.RUNNING, event_text="x"),
            lambda: one.plans.note(plan, "x"),
            lambda: one.plans.update_step(record, S.CLAIMED),
            lambda: one.make(scope="g1"),
        ):
            with pytest.raises(errors.StaleJournal) as refused:
                write()
            assert refused.value.deposed
            assert "epoch 2" in str(refused.value)
        [fresh] = two.plans.steps(plan.id)
        assert fresh.version == record.version + 1
        two.plans.update_step(fresh, S.CLAIMED)
        with pytest.raises(ValueError, match="not for failover"):
            two.plans.take_over("failover", "dc2-ha")

    def test_a_closed_plan_is_not_adopted(
        self, one: GroupEngine, two: GroupEngine
    ) -> None:
        plan = one.plans.advance(one.make(), P.STOPPED, event_text="x")
        two.take_over()
        assert two.plans.get(plan.id) == plan

    def test_the_two_leaderships_leave_each_other_alone(
        self, one: GroupEngine, two: GroupEngine
    ) -> None:
        failover = worlds.Engine("dc1-ha", one.database)
        failover.take_over()
        opened, [server] = failover.open_with_servers(1)
        incident = failover.journal.incident(opened.id)
        plan = one.make()
        [record] = one.plans.steps(plan.id)
        two.take_over()
        assert failover.journal.incident(incident.id) == incident
        failover.journal.update_server(server, worlds.Server.CLAIMED)
        failover.take_over()
        assert two.plans.get(plan.id).epoch == 2
        assert two.plans.steps(plan.id)[0].version == record.version + 1
        assert failover.journal.leader().epoch == 2
        assert two.plans.leader().holder == "dc2-ha"

    @pytest.mark.parametrize("after", [False, True])
    def test_each_write_is_done_once_when_answers_are_lost(
        self, one: GroupEngine, after: bool
    ) -> None:
        def cut() -> Any:
            return worlds.broken_commits(one.database, after=after)

        with cut() as broken:
            plan = one.make(state=P.DRAFT)
        assert broken
        with cut():
            one.plans.order(plan.id, C.APPROVE, by="ann", reason="ok")
        assert len(one.plans.get(plan.id).orders) == 1
        with cut():
            plan = one.plans.advance(plan, P.APPROVED, event_text="go")
        [record] = one.plans.steps(plan.id)
        with cut():
            record = one.plans.update_step(record, S.CLAIMED)
        with cut():
            one.plans.note(plan, "noted")
        assert one.plans.steps(plan.id) == (record,)
        assert one.plans.live() == (one.plans.get(plan.id),)
        assert one.texts(plan) == [
            "1 moves mend 2 groups",
            "ann asks: approve: ok",
            "go",
            "step 1, web-1: pending -> claimed",
            "noted",
        ]
        with cut():
            assert one.take_over() == 2
        assert one.texts(plan)[5:] == ["dc1-ha goes on with it, epoch 2"]
