# SPDX-License-Identifier: Apache-2.0
"""Groups are changed at two nodes of a Galera cluster at once.

No node waits for what others committed, as most clouds run it. What keeps the
revisions in order is that all changes write the same row.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import quotas
from tests.functional.db import galera
from tests.unit.db import group_cases
from tests.unit.db import group_change_cases
from tests.unit.db import group_race_cases
from tests.unit.db import plan_cases
from tests.unit.db import worlds


def at(url: str, sync_wait: int) -> Iterator[engine.Database]:
    opened = galera.open_database(url, sync_wait=sync_wait)
    # The tables were made at the first node.
    worlds.until(lambda: migrated(opened))
    yield opened
    opened.dispose()


def migrated(database: engine.Database) -> bool:
    try:
        return group_cases.store(database).revision() == 0
    except errors.DatabaseError:
        return False


class TestWithoutCausalReads(group_race_cases.GroupRaceCases):
    @pytest.fixture
    def database(self, urls: tuple[str, str]) -> Iterator[engine.Database]:
        yield from at(urls[0], 0)

    @pytest.fixture
    def other(self, urls: tuple[str, str]) -> Iterator[engine.Database]:
        yield from at(urls[1], 0)

    def test_two_changes_commit_at_once(
        self,
        cluster: galera.Cluster,
        database: engine.Database,
        other: engine.Database,
    ) -> None:
        """Both are made, one after the other, and told in this order."""
        ends = [group_cases.store(one) for one in (database, other)]
        made = [ends[0].create(name, "p1", by="a").id for name in ("a", "b")]
        worlds.until(lambda: ends[1].revision() == 2)
        views = [group_change_cases.View(one) for one in ends]
        for turn in range(5):
            for view in views:
                view.ask()
            before = cluster.conflicts()
            with worlds.meeting_commits(database, other):
                joins = worlds.together(
                    *(
                        lambda one=one, group=group, turn=turn: (
                            one.add_members(
                                group,
                                group_cases.servers(f"s{turn}"),
                                by="x",
                            )
                        )
                        for one, group in zip(ends, made, strict=True)
                    )
                )
            assert cluster.conflicts() > before
            revisions = sorted(
                join.record.group.revision for join in joins
            )
            assert revisions == [3 + 2 * turn, 4 + 2 * turn]
            for one, view in zip(ends, views, strict=True):
                worlds.until(
                    lambda one=one, last=revisions[1]: one.revision() == last
                )
                view.ask()
                assert not view.answers[-1].full
                assert {
                    group: len(view.known[group].members) for group in made
                } == dict.fromkeys(made, turn + 1)

    def test_two_that_want_the_last_place_commit_at_once(
        self,
        cluster: galera.Cluster,
        database: engine.Database,
        other: engine.Database,
    ) -> None:
        ends = [
            group_cases.store(one, members=1) for one in (database, other)
        ]
        made = ends[0].create("web", "p1", by="a")
        worlds.until(lambda: ends[1].revision() == 1)
        before = cluster.conflicts()
        with worlds.meeting_commits(database, other):
            outcomes = worlds.together(
                *(
                    lambda one=one, number=number: one.add_members(
                        made.id, group_cases.servers(f"s{number}"), by="x"
                    )
                    for number, one in enumerate(ends)
                )
            )
        assert cluster.conflicts() > before
        kinds = sorted(type(one).__name__ for one in outcomes)
        assert kinds == ["Joined", "QuotaExceeded"], outcomes
        for one in (database, other):
            quota = quotas.Quotas(one)
            worlds.until(
                lambda quota=quota: quota.get("p1").used
                == quotas.Quota(1, 1)
            )


class TestWithCausalReads(group_race_cases.VersionRaceCases):
    @pytest.fixture
    def database(self, urls: tuple[str, str]) -> Iterator[engine.Database]:
        yield from at(urls[0], 1)

    @pytest.fixture
    def other(self, urls: tuple[str, str]) -> Iterator[engine.Database]:
        yield from at(urls[1], 1)

    def test_a_step_meets_a_takeover(
        self,
        cluster: galera.Cluster,
        database: engine.Database,
        other: engine.Database,
    ) -> None:
        """Either it is written and adopted, or it is refused."""
        one = plan_cases.GroupEngine("dc1-ha", database)
        two = plan_cases.GroupEngine("dc2-ha", other)
        one.take_over()
        plan = one.make()
        [record] = one.plans.steps(plan.id)
        assert two.plans.steps(plan.id) == (record,)
        before = cluster.conflicts()
        with worlds.meeting_commits(database, other):
            outcome, epoch = worlds.together(
                lambda: one.plans.update_step(record, plan_cases.S.CLAIMED),
                two.take_over,
            )
        assert cluster.conflicts() > before
        assert epoch == 2
        [now] = two.plans.steps(plan.id)
        if isinstance(outcome, errors.StaleJournal):
            assert outcome.deposed
            assert now.state is plan_cases.S.PENDING
        else:
            assert now.state is outcome.state is plan_cases.S.CLAIMED
        assert two.texts(plan)[-1] == "dc2-ha goes on with it, epoch 2"
        with pytest.raises(errors.StaleJournal):
            one.plans.note(plan, "still here")
