# SPDX-License-Identifier: Apache-2.0
"""What the store of the groups promises, on whichever database."""

from __future__ import annotations

import datetime

import pytest

from aacloud.core import rules
from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import groups as db_groups
from aacloud.db import quotas
from tests.unit.db import worlds

RULES = (
    rules.parse_rule("spread:rack:max=1"),
    rules.parse_rule("spread:dc:max_skew=1:min_domains=2:prefer"),
    rules.parse_rule("fence:dc:domains=dc1,dc2"),
)
Mode = rules.GroupMode


def store(
    database: engine.Database, **limits: int
) -> db_groups.Groups:
    return db_groups.Groups(
        database,
        default_quota=lambda: quotas.Quota(**limits),
        now=worlds.Clock(),
    )


def servers(*names: str, project: str = "p1") -> dict[str, str]:
    return dict.fromkeys(names, project)


class GroupCases:
    @pytest.fixture
    def groups(self, database: engine.Database) -> db_groups.Groups:
        return store(database)

    def test_what_is_made_is_read_back(
        self, groups: db_groups.Groups
    ) -> None:
        made = groups.create(
            "web",
            "p1",
            by="ann",
            mode=Mode.ENFORCE,
            rules=RULES,
            window="cron:0 1 * * 6;duration=4h",
            members=servers("s1", "s2"),
        )
        assert groups.get(made.id) == made
        assert made.group == rules.Group(
            id=made.id,
            name="web",
            project_id="p1",
            mode=Mode.ENFORCE,
            rules=RULES,
            members=frozenset({"s1", "s2"}),
            revision=1,
            window="cron:0 1 * * 6;duration=4h",
        )
        assert (made.version, made.created_by) == (1, "ann")
        assert {one.origin for one in made.members} == {db_groups.Origin.API}
        assert groups.find("web", project_id="p1") == made
        assert groups.find(made.id, project_id="p1") == made
        assert groups.revision() == 1

    def test_groups_of_others_are_not_there(
        self, groups: db_groups.Groups
    ) -> None:
        made = groups.create("web", "p1", by="ann", members=servers("s1"))
        for act in (
            lambda: groups.get(made.id, project_id="p2"),
            lambda: groups.find("web", project_id="p2"),
            lambda: groups.find(made.id, project_id="p2"),
            lambda: groups.update(
                made.id, by="eve", project_id="p2", mode=Mode.OFF
            ),
            lambda: groups.delete(made.id, by="eve", project_id="p2"),
            lambda: groups.add_members(
                made.id, servers("x", project="p2"), by="e", project_id="p2"
            ),
            lambda: groups.remove_members(
                made.id, ["s1"], by="eve", project_id="p2"
            ),
        ):
            with pytest.raises(errors.NotFound):
                act()
        assert groups.list(project_id="p2") == ()
        assert groups.get(made.id, project_id="p1") == made
        assert groups.revision() == 1

    def test_a_name_is_there_once_in_a_project(
        self, groups: db_groups.Groups
    ) -> None:
        web = groups.create("web", "p1", by="ann")
        groups.create("web", "p2", by="bob")
        groups.create("Web", "p1", by="ann")
        with pytest.raises(errors.Duplicate) as refused:
            groups.create("web", "p1", by="ann")
        assert refused.value.existing == web.id
        other = groups.create("db", "p1", by="ann")
        with pytest.raises(errors.Duplicate):
            groups.update(other.id, by="ann", name="web")
        before = groups.revision()
        groups.delete(web.id, by="ann")
        assert groups.create("web", "p1", by="ann").id != web.id
        assert groups.revision() == before + 2

    def test_an_import_is_made_once(self, groups: db_groups.Groups) -> None:
        made = groups.create(
            "web",
            "p1",
            by="ann",
            imported_from="native",
            members=servers("s1"),
        )
        assert groups.imported("native") == made
        assert made.members[0].origin is db_groups.Origin.IMPORT
        with pytest.raises(errors.Duplicate) as refused:
            groups.create("web2", "p1", by="ann", imported_from="native")
        assert refused.value.existing == made.id
        groups.delete(made.id, by="ann")
        assert groups.imported("native") is None

    def test_update_changes_what_is_given(
        self, groups: db_groups.Groups
    ) -> None:
        made = groups.create(
            "web", "p1", by="ann", rules=RULES, window="w"
        )
        changed = groups.update(
            made.id, by="bob", mode=Mode.REPAIR, version=1
        )
        assert changed.group.mode is Mode.REPAIR
        assert changed.group.rules == RULES
        assert changed.group.window == "w"
        assert (changed.version, changed.group.revision) == (2, 2)
        changed = groups.update(
            made.id,
            by="bob",
            name="www",
            rules=RULES[:1],
            window=None,
            version=2,
        )
        assert changed.group.name == "www"
        assert changed.group.rules == RULES[:1]
        assert changed.group.window is None
        assert groups.get(made.id) == changed
        assert groups.find("www", project_id="p1") == changed
        [_, _, last] = groups.history(made.id)
        assert last.text == "bob changed name, rules, window of group web"
        assert last.detail["name"] == ["web", "www"]

    def test_update_of_an_old_version_is_refused(
        self, groups: db_groups.Groups
    ) -> None:
        made = groups.create("web", "p1", by="ann")
        groups.add_members(made.id, servers("s1"), by="ann")
        # A join is no reason to refuse.
        groups.update(made.id, by="bob", mode=Mode.ENFORCE, version=1)
        with pytest.raises(errors.StaleVersion, match="version 1 was read"):
            groups.update(made.id, by="ann", mode=Mode.OFF, version=1)
        with pytest.raises(errors.StaleVersion):
            groups.delete(made.id, by="ann", version=1)
        assert groups.get(made.id).group.mode is Mode.ENFORCE
        groups.delete(made.id, by="ann", version=2)

    def test_what_changes_nothing_raises_no_revision(
        self, groups: db_groups.Groups
    ) -> None:
        made = groups.create(
            "web",
            "p1",
            by="ann",
            rules=RULES,
            members=servers("s1"),
        )
        groups.update(made.id, by="ann", name="web", rules=RULES)
        joined = groups.add_members(made.id, servers("s1"), by="ann")
        assert (joined.added, joined.already) == ((), ("s1",))
        left = groups.remove_members(made.id, ["s9"], by="ann")
        assert (left.removed, left.absent) == ((), ("s9",))
        groups.remove_servers(["s9"], by="nova")
        groups.remove_project("p9", by="keystone")
        assert groups.revision() == 1
        assert groups.get(made.id) == made
        assert len(groups.history(made.id)) == 1

    def test_joins_and_leaves(self, groups: db_groups.Groups) -> None:
        made = groups.create("web", "p1", by="ann", members=servers("s1"))
        joined = groups.add_members(
            made.id, servers("s1", "s2", "s3"), by="bob"
        )
        assert (joined.added, joined.already) == (("s2", "s3"), ("s1",))
        assert joined.record == groups.get(made.id)
        assert joined.record.group.revision == groups.revision() == 2
        left = groups.remove_members(made.id, ["s1", "s3", "s7"], by="bob")
        assert (left.removed, left.absent) == (("s1", "s3"), ("s7",))
        assert left.record.group.members == {"s2"}
        back = groups.add_members(made.id, servers("s1"), by="bob")
        assert back.added == ("s1",)
        assert back.record.group.members == {"s1", "s2"}
        assert [one.text for one in groups.history(made.id)] == [
            "ann made group web with 1 members",
            "bob added 2 servers to group web",
            "bob removed 2 servers from group web",
            "bob added server s1 to group web",
        ]

    def test_a_server_is_in_several_groups(
        self, groups: db_groups.Groups
    ) -> None:
        one = groups.create("one", "p1", by="ann", members=servers("a", "b"))
        two = groups.create("two", "p1", by="ann", members=servers("b", "c"))
        assert groups.groups_of(["a", "b", "x"]) == {
            "a": (one.id,),
            "b": tuple(sorted((one.id, two.id))),
        }
        assert groups.members() == servers("a", "b", "c")
        assert groups.list(server="c") == (two,)

    def test_a_server_of_another_project_needs_an_administrator(
        self, groups: db_groups.Groups
    ) -> None:
        made = groups.create("web", "p1", by="ann")
        mixed = {**servers("s1"), **servers("s2", project="p2")}
        with pytest.raises(errors.ForeignServer) as refused:
            groups.add_members(made.id, mixed, by="ann")
        assert refused.value.servers == ("s2",)
        with pytest.raises(errors.ForeignServer):
            groups.create("new", "p1", by="ann", members=mixed)
        assert groups.get(made.id) == made
        assert groups.revision() == 1
        joined = groups.add_members(made.id, mixed, by="root", admin=True)
        assert {one.server: one.project_id for one in joined.record.members}\
            == mixed

    def test_a_hint_does_not_bring_back_who_left(
        self, groups: db_groups.Groups
    ) -> None:
        made = groups.create("web", "p1", by="ann")
        hint = db_groups.Origin.HINT
        joined = groups.add_members(
            made.id, servers("s1", "s2"), by="nova", origin=hint
        )
        assert joined.added == ("s1", "s2")
        groups.remove_members(made.id, ["s1"], by="ann")
        # Also long after.
        groups.prune(worlds.START + datetime.timedelta(days=999))
        again = groups.add_members(
            made.id, servers("s1", "s2"), by="nova", origin=hint
        )
        assert again.added == ()
        assert (again.already, again.declined) == (("s2",), ("s1",))
        # A person may.
        assert groups.add_members(made.id, servers("s1"), by="ann").added

    def test_a_list_is_by_name_and_in_pages(
        self, groups: db_groups.Groups
    ) -> None:
        for name, project in (("b", "p1"), ("a", "p1"), ("a", "p2")):
            groups.create(name, project, by="ann", members={})
        groups.create("c", "p1", by="ann", mode=Mode.REPAIR)
        everything = groups.list()
        assert [one.group.name for one in everything] == ["a", "a", "b", "c"]
        pages = [groups.list(limit=2)]
        pages.append(groups.list(limit=2, marker=pages[0][-1].id))
        assert pages[0] + pages[1] == everything
        assert groups.list(limit=2, marker=everything[-1].id) == ()
        assert groups.list(mode=Mode.REPAIR) == everything[-1:]
        assert len(groups.list(project_id="p1", name="a")) == 1
        with pytest.raises(errors.NotFound):
            groups.list(marker="nobody")

    def test_a_dead_server_leaves_all_groups(
        self, groups: db_groups.Groups
    ) -> None:
        one = groups.create("one", "p1", by="ann", members=servers("a", "b"))
        two = groups.create("two", "p1", by="ann", members=servers("b", "c"))
        groups.create("three", "p1", by="ann", members=servers("c"))
        assert groups.remove_servers(["b", "a", "x"], by="nova") == tuple(
            sorted((one.id, two.id))
        )
        assert groups.members() == servers("c")
        # In one step for everybody.
        assert groups.revision() == 4
        assert groups.get(one.id).group.revision == 4
        assert groups.get(two.id).group.revision == 4

    def test_a_dead_project_leaves_nothing(
        self, groups: db_groups.Groups, database: engine.Database
    ) -> None:
        mine = groups.create("one", "p1", by="ann", members=servers("a"))
        other = groups.create(
            "two",
            "p2",
            by="root",
            admin=True,
            members={**servers("a"), **servers("b", project="p2")},
        )
        quota = quotas.Quotas(database, now=worlds.Clock())
        quota.set("p1", groups=3, members=4, by="root")
        assert groups.remove_project("p1", by="keystone") == (mine.id,)
        assert [one.id for one in groups.list()] == [other.id]
        assert groups.get(other.id).group.members == {"b"}
        assert quota.get("p1").limit == quotas.Quota()
        assert groups.history(mine.id)[-1].kind == "deleted"

    @pytest.mark.parametrize("after", [False, True])
    def test_each_change_is_made_once_when_answers_are_lost(
        self,
        groups: db_groups.Groups,
        database: engine.Database,
        after: bool,
    ) -> None:
        def cut() -> object:
            return worlds.broken_commits(database, after=after)

        with cut() as broken:
            made = groups.create(
                "web", "p1", by="ann", members=servers("s1")
            )
        assert broken
        with cut():
            joined = groups.add_members(
                made.id, servers("s1", "s2"), by="ann"
            )
        assert (joined.added, joined.already) == (("s2",), ("s1",))
        with cut():
            left = groups.remove_members(made.id, ["s1", "s9"], by="ann")
        assert (left.removed, left.absent) == (("s1",), ("s9",))
        with cut():
            changed = groups.update(
                made.id, by="ann", version=1, mode=Mode.REPAIR
            )
        assert changed.version == 2
        with cut():
            assert groups.remove_servers(["s2"], by="nova") == (made.id,)
        with cut():
            assert groups.delete(made.id, by="ann", version=2) == 6
        assert groups.revision() == 6
        assert len(groups.history(made.id)) == 6
        mine = groups.create("a", "p3", by="ann")
        with cut():
            assert groups.remove_project("p3", by="k") == (mine.id,)
        assert groups.revision() == 8
