# SPDX-License-Identifier: Apache-2.0
"""Several engines change groups at once; a scheduler asks all the time.

``database`` and ``other`` are two ways into one database: two pools of
connections, or two nodes of a cluster, where what was committed at one is
seen at the other one some time later.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import itertools
import threading

import pytest

from aacloud.core import rules
from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import groups as db_groups
from aacloud.db import quotas
from tests.unit.db import group_cases
from tests.unit.db import group_change_cases
from tests.unit.db import worlds

#: Changes that each writer makes.
EACH = 15
#: Of them every third one leaves again.
STAY = EACH - -(-EACH // 3)


class TwoEnds:
    @pytest.fixture
    def other(self, url: str) -> Iterator[engine.Database]:
        opened = worlds.open_database(url)
        yield opened
        opened.dispose()

    @pytest.fixture
    def ends(
        self, database: engine.Database, other: engine.Database
    ) -> tuple[db_groups.Groups, db_groups.Groups]:
        return group_cases.store(database), group_cases.store(other)


class GroupRaceCases(TwoEnds):
    """Hold although a read may be of the past."""

    def test_a_scheduler_misses_no_change(
        self, ends: tuple[db_groups.Groups, db_groups.Groups]
    ) -> None:
        first, second = ends
        made = [
            first.create(f"g{number}", "p1", by="ann").id
            for number in range(4)
        ]
        worlds.until(lambda: second.revision() == 4)
        over = threading.Event()
        writers = 4

        def write(number: int) -> int:
            groups = ends[number % 2]
            group = made[number]
            for turn in range(EACH):
                server = f"w{number}-{turn}"
                groups.add_members(
                    group, group_cases.servers(server), by="w"
                )
                if turn % 3 == 0:
                    groups.remove_members(group, [server], by="w")
                if turn % 10 == 9:
                    doomed = groups.create(f"d{number}-{turn}", "p1", by="w")
                    groups.delete(doomed.id, by="w")
            return EACH

        def follow(groups: db_groups.Groups) -> group_change_cases.View:
            view = group_change_cases.View(groups)
            while not over.is_set():
                view.ask()
            return view

        def write_all() -> list[object]:
            try:
                return worlds.together(
                    *(
                        lambda number=number: write(number)
                        for number in range(writers)
                    )
                )
            finally:
                over.set()

        done, *views = worlds.together(
            write_all, lambda: follow(first), lambda: follow(second)
        )
        assert done == [EACH] * writers
        each = EACH + -(-EACH // 3) + 2 * (EACH // 10)
        last = 4 + writers * each
        for groups in ends:
            worlds.until(lambda groups=groups: groups.revision() >= last)
            assert groups.revision() == last
        wanted = {record.id: record.group for record in first.list()}
        assert all(len(group.members) == STAY for group in wanted.values())
        for view in views:
            assert isinstance(view, group_change_cases.View), view
            view.ask()
            assert view.known == wanted
            # By changes alone, but for the first answer.
            assert [one.full for one in view.answers[1:]].count(True) == 0
            assert len(view.answers) > 3

    def test_each_revision_tells_all_up_to_it(
        self, ends: tuple[db_groups.Groups, db_groups.Groups]
    ) -> None:
        """What is seen at a revision never changes afterwards."""
        first, second = ends
        made = [
            first.create(name, "p1", by="ann").id for name in ("a", "b")
        ]
        worlds.until(lambda: second.revision() == 2)
        over = threading.Event()
        seen: dict[int, dict[str, frozenset[str]]] = {}

        def write(groups: db_groups.Groups, group: str) -> None:
            for turn in range(EACH):
                groups.add_members(
                    group, group_cases.servers(f"{group[:8]}-{turn}"), by="w"
                )

        def look() -> int:
            while not over.is_set():
                told = second.snapshot()
                seen[told.revision] = {
                    group.id: group.members for group in told.groups
                }
            return len(seen)

        def write_all() -> list[object]:
            try:
                return worlds.together(
                    lambda: write(first, made[0]),
                    lambda: write(second, made[1]),
                )
            finally:
                over.set()

        done, looks = worlds.together(write_all, look)
        assert done == [None, None]
        assert looks > 1
        for revision, members in seen.items():
            # Each change added one member.
            assert sum(map(len, members.values())) == revision - 2

    def test_a_quota_holds_whoever_asks(
        self, database: engine.Database, other: engine.Database
    ) -> None:
        ends = [
            group_cases.store(one, groups=3, members=5)
            for one in (database, other)
        ]
        numbers = itertools.count()

        def make(groups: db_groups.Groups) -> Callable[[], object]:
            name = f"g{next(numbers)}"
            return lambda: groups.create(
                name, "p1", by="ann", members=group_cases.servers(name)
            )

        outcomes = worlds.together(*(make(ends[n % 2]) for n in range(8)))
        records = [
            one for one in outcomes if isinstance(one, db_groups.GroupRecord)
        ]
        assert len(records) == 3
        worlds.until(lambda: len(ends[0].list()) == len(ends[1].list()) == 3)
        assert all(
            isinstance(one, (db_groups.GroupRecord, errors.QuotaExceeded))
            for one in outcomes
        ), outcomes
        joins = worlds.together(
            *(
                lambda n=n: ends[n % 2].add_members(
                    records[0].id, group_cases.servers(f"s{n}"), by="ann"
                )
                for n in range(6)
            )
        )
        assert (
            len([one for one in joins if isinstance(one, db_groups.Joined)])
            == 2
        ), joins
        full = quotas.Quota(3, 5)
        for one in (database, other):
            quota = quotas.Quotas(one)
            worlds.until(lambda quota=quota: quota.get("p1").used == full)

    def test_of_two_joins_of_one_server_one_is_made(
        self, ends: tuple[db_groups.Groups, db_groups.Groups]
    ) -> None:
        first, second = ends
        made = first.create("web", "p1", by="ann")
        worlds.until(lambda: second.revision() == 1)
        for turn in range(8):
            joins = worlds.together(
                *(
                    lambda one=one, turn=turn: one.add_members(
                        made.id, group_cases.servers(f"s{turn}"), by="x"
                    )
                    for one in ends
                )
            )
            assert sorted(len(join.added) for join in joins) == [0, 1]
            last = 2 + turn
            worlds.until(lambda last=last: first.revision() >= last)
            assert first.revision() == last

    def test_of_two_groups_of_one_name_one_is_made(
        self, ends: tuple[db_groups.Groups, db_groups.Groups]
    ) -> None:
        for turn in range(5):
            outcomes = worlds.together(
                *(
                    lambda one=one, turn=turn: one.create(
                        f"g{turn}", "p1", by="x"
                    )
                    for one in ends
                )
            )
            kinds = sorted(type(one).__name__ for one in outcomes)
            assert kinds == ["Duplicate", "GroupRecord"], outcomes


class VersionRaceCases(TwoEnds):
    """A version that one end told must be there at the other end."""

    def test_of_two_updates_of_one_version_one_wins(
        self, ends: tuple[db_groups.Groups, db_groups.Groups]
    ) -> None:
        first, second = ends
        made = first.create("web", "p1", by="ann")
        worlds.until(lambda: second.revision() == 1)
        version = made.version
        modes = itertools.cycle(
            [rules.GroupMode.ENFORCE, rules.GroupMode.REPAIR]
        )
        for _round in range(8):
            mode = next(modes)
            outcomes = worlds.together(
                *(
                    lambda one=one, version=version, mode=mode: one.update(
                        made.id, by="x", version=version, mode=mode
                    )
                    for one in ends
                )
            )
            won = [
                one
                for one in outcomes
                if isinstance(one, db_groups.GroupRecord)
            ]
            lost = [
                one for one in outcomes if isinstance(one, errors.StaleVersion)
            ]
            assert len(won) == len(lost) == 1, outcomes
            version = won[0].version
