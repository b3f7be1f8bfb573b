# SPDX-License-Identifier: Apache-2.0
"""What the store tells schedulers, and what it refuses projects."""

from __future__ import annotations

import datetime

import pytest

from aacloud.core import rules
from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import groups as db_groups
from aacloud.db import quotas
from tests.unit.db import group_cases
from tests.unit.db import worlds

Mode = rules.GroupMode
store = group_cases.store
servers = group_cases.servers


class View:
    """What a scheduler knows that asks for changes alone."""

    def __init__(self, groups: db_groups.Groups) -> None:
        self._groups = groups
        self.revision: int | None = None
        self.known: dict[str, rules.Group] = {}
        self.answers: list[db_groups.Changes] = []

    def ask(self) -> db_groups.Changes:
        told = self._groups.changes_since(self.revision)
        self.answers.append(told)
        if told.full:
            self.known = {}
        elif self.revision is not None:
            assert told.revision >= self.revision
        self.known.update({group.id: group for group in told.groups})
        for group_id in told.deleted:
            self.known.pop(group_id, None)
        self.revision = told.revision
        return told


class ChangesCases:
    @pytest.fixture
    def groups(self, database: engine.Database) -> db_groups.Groups:
        return store(database)

    def test_each_kind_of_change_is_told(
        self, groups: db_groups.Groups
    ) -> None:
        view = View(groups)
        assert view.ask().full
        assert view.known == {}
        one = groups.create("one", "p1", by="ann", members=servers("a", "b"))
        two = groups.create("two", "p1", by="ann", members=servers("c"))
        view.ask()
        assert set(view.known) == {one.id, two.id}
        groups.update(two.id, by="ann", mode=Mode.ENFORCE)
        told = view.ask()
        assert not told.full
        assert [group.id for group in told.groups] == [two.id]
        assert view.known[two.id] == groups.get(two.id).group
        groups.remove_members(one.id, ["b"], by="ann")
        told = view.ask()
        assert told.left == ((one.id, "b"),)
        assert view.known[one.id].members == {"a"}
        groups.delete(two.id, by="ann")
        told = view.ask()
        assert told.deleted == (two.id,)
        assert told.left == ((two.id, "c"),)
        assert told.groups == ()
        assert set(view.known) == {one.id}
        told = view.ask()
        assert (told.groups, told.deleted, told.left) == ((), (), ())
        assert told.revision == groups.revision()

    def test_who_left_and_came_back_is_a_member(
        self, groups: db_groups.Groups
    ) -> None:
        view = View(groups)
        one = groups.create("one", "p1", by="ann", members=servers("a"))
        view.ask()
        groups.remove_members(one.id, ["a"], by="ann")
        groups.add_members(one.id, servers("a"), by="ann")
        told = view.ask()
        assert told.left == ()
        assert view.known[one.id].members == {"a"}

    def test_all_is_told_when_the_question_makes_no_sense(
        self, groups: db_groups.Groups
    ) -> None:
        one = groups.create("one", "p1", by="ann")
        for known in (None, 0, -7, 2, 10**15):
            told = groups.changes_since(known)
            assert told.full
            assert told.groups == (one.group,)
            assert told.revision == 1
        assert groups.snapshot() == groups.changes_since(None)

    def test_old_traces_are_thrown_away(
        self, groups: db_groups.Groups
    ) -> None:
        keep = groups.create(
            "keep", "p1", by="ann", members=servers("a", "b", "c")
        )
        gone = groups.create("gone", "p1", by="ann", members=servers("a"))
        early, late = View(groups), View(groups)
        early.ask()
        groups.delete(gone.id, by="ann")
        groups.remove_servers(["b"], by="nova")
        late.ask()
        groups.remove_members(keep.id, ["c"], by="ann")
        # Nothing is old enough.
        assert groups.prune(worlds.START) == 0
        assert not groups.changes_since(early.revision).full
        # The trace of the group, of its member, and of the dead server;
        # that of c stays.
        assert groups.prune(
            worlds.START + datetime.timedelta(days=1)
        ) == 3
        assert groups.prune(
            worlds.START + datetime.timedelta(days=1)
        ) == 0
        assert early.ask().full
        told = late.ask()
        assert not told.full
        assert told.left == ((keep.id, "c"),)
        for view in (early, late):
            assert view.known == {keep.id: groups.get(keep.id).group}
        assert groups.history(gone.id) == ()


class QuotaCases:
    @pytest.fixture
    def groups(self, database: engine.Database) -> db_groups.Groups:
        return store(database, groups=2, members=3)

    def test_a_project_has_no_more_than_it_may(
        self, groups: db_groups.Groups
    ) -> None:
        one = groups.create("one", "p1", by="ann", members=servers("a", "b"))
        with pytest.raises(errors.QuotaExceeded) as refused:
            groups.create("two", "p1", by="ann", members=servers("a", "c"))
        assert (refused.value.what, refused.value.limit) == ("members", 3)
        assert (refused.value.used, refused.value.wanted) == (2, 2)
        groups.create("two", "p1", by="ann", members=servers("a"))
        with pytest.raises(errors.QuotaExceeded, match="may have 2 groups"):
            groups.create("three", "p1", by="ann")
        with pytest.raises(errors.QuotaExceeded):
            groups.add_members(one.id, servers("a", "x"), by="ann")
        # Members that are there already need none.
        groups.add_members(one.id, servers("a", "b"), by="ann")
        # What was born is a member all the same.
        groups.add_members(
            one.id, servers("x"), by="nova", check_quota=False
        )
        # Another project's quota is its own; what is over it may shrink.
        groups.create("one", "p2", by="bob")
        groups.remove_members(one.id, ["a", "b"], by="ann")
        groups.add_members(one.id, servers("y"), by="ann")
        groups.delete(one.id, by="ann")
        groups.create("three", "p1", by="ann")

    def test_an_administrator_sets_it(
        self, groups: db_groups.Groups, database: engine.Database
    ) -> None:
        quota = quotas.Quotas(
            database,
            default=lambda: quotas.Quota(2, 3),
            now=worlds.Clock(),
        )
        groups.create("one", "p1", by="ann", members=servers("a", "b"))
        assert quota.get("p1") == quotas.QuotaUse(
            "p1", quotas.Quota(2, 3), quotas.Quota(1, 2)
        )
        set_to = quota.set("p1", groups=None, members=-1, by="root")
        assert set_to.limit == quotas.Quota(2, -1)
        assert quota.limits() == {"p1": quotas.Quota(2, -1)}
        groups.create(
            "two", "p1", by="ann", members=servers(*"abcdefgh")
        )
        with pytest.raises(errors.QuotaExceeded):
            groups.create("three", "p1", by="ann")
        assert quota.set("p1", groups=0, members=5, by="root").limit == (
            quotas.Quota(0, 5)
        )
        assert quota.clear("p1")
        assert not quota.clear("p1")
        assert quota.limits() == {}
        assert quota.get("p1").limit == quotas.Quota(2, 3)
        with pytest.raises(ValueError, match="-2 is no quota"):
            quota.set("p1", groups=-2, members=None, by="root")
