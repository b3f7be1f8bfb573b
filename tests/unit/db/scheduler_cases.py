# SPDX-License-Identifier: Apache-2.0
"""What schedulers told, and what inspections found."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from aacloud.db import engine
from aacloud.db import errors
from aacloud.db import inspections
from aacloud.db import schedulers
from tests.unit.db import worlds

SECOND = datetime.timedelta(seconds=1)


class SchedulerCases:
    def test_acknowledgements(self, database: engine.Database) -> None:
        clock = worlds.Clock()
        store = schedulers.Schedulers(database, now=clock)
        store.ack("b:1", 5)
        store.ack("a:1", 7)
        clock.time += 60 * SECOND
        store.ack("b:1", 9)
        assert [(one.scheduler, one.revision) for one in store.acks()] == [
            ("a:1", 7),
            ("b:1", 9),
        ]
        [heard] = store.acks(since=worlds.START + 30 * SECOND)
        assert heard.scheduler == "b:1"
        assert heard.seen_at == clock.time
        store.ack("b:1", 2)
        assert store.acks()[1].revision == 2
        assert store.prune(worlds.START + 30 * SECOND) == 1
        assert [one.scheduler for one in store.acks()] == ["b:1"]

    def test_fail_opens_stay_until_they_are_checked(
        self, database: engine.Database
    ) -> None:
        clock = worlds.Clock()
        store = schedulers.Schedulers(database, now=clock)
        made = [
            schedulers.FailOpen(
                id=f"f{number}",
                scheduler="a:1",
                server=f"s{number}",
                group_id="g" if number else None,
                operation="create",
                reason="the snapshot is 4000 s old",
                at=worlds.START - number * SECOND,
            )
            for number in range(3)
        ]
        assert all(store.record_fail_open(one) for one in made)
        # A message that comes twice.
        assert not store.record_fail_open(made[0])
        assert store.fail_opens() == tuple(reversed(made))
        assert store.fail_opens(limit=1) == (made[2],)
        store.mark_checked(["f2", "f1"])
        assert store.fail_opens() == (made[0],)
        checked = store.fail_opens(unchecked=False)[0]
        assert checked == dataclasses.replace(
            made[2], checked_at=checked.checked_at
        )
        assert checked.checked_at is not None
        assert store.prune(worlds.START + 60 * SECOND) == 2
        assert store.fail_opens(unchecked=False) == (made[0],)


def report(group: str, state: str, second: int) -> inspections.StoredReport:
    return inspections.StoredReport(
        group_id=group,
        state=state,
        revision=1,
        inspected_at=worlds.START + second * SECOND,
        report={"rules": [{"excess": second}]},
    )


class InspectionCases:
    def test_the_newest_report_counts(
        self, database: engine.Database
    ) -> None:
        store = inspections.Inspections(database)
        assert store.save(
            [report("a", "compliant", 1), report("b", "violating", 1)]
        ) == (("a", None, "compliant"), ("b", None, "violating"))
        assert store.save(
            [report("a", "violating", 2), report("b", "violating", 2)]
        ) == (("a", "compliant", "violating"),)
        # One that comes late changes nothing.
        assert store.save([report("a", "unknown", 1)]) == ()
        found = store.get("b")
        assert found.report == {"rules": [{"excess": 2}]}
        assert found.since == worlds.START + SECOND
        assert store.get("a").since == worlds.START + 2 * SECOND
        assert store.counts() == {"violating": 2}
        assert [one.group_id for one in store.list()] == ["a", "b"]
        assert store.list(["b", "x"]) == (found,)
        assert store.list(states=["compliant"]) == ()
        store.forget(["a"])
        with pytest.raises(errors.NotFound):
            store.get("a")

    def test_thousands_at_once(self, database: engine.Database) -> None:
        store = inspections.Inspections(database)
        many = [report(f"g{n:05}", "compliant", 1) for n in range(2000)]
        assert len(store.save(many)) == 2000
        assert store.save(many) == ()
        assert len(store.list([one.group_id for one in many])) == 2000

    def test_the_newest_place_counts(
        self, database: engine.Database
    ) -> None:
        store = inspections.Places(database)

        def place(
            server: str, second: int, *hosts: str
        ) -> inspections.ServerPlace:
            return inspections.ServerPlace(
                server=server,
                name=f"web-{server}",
                project_id="p",
                hosts=hosts,
                vm_state="active",
                seen_at=worlds.START + second * SECOND,
            )

        store.save([place("a", 1, "h1"), place("b", 1, "h1")])
        store.save([place("a", 3, "h1", "h2"), place("b", 0, "h9")])
        assert store.list() == {
            "a": place("a", 3, "h1", "h2"),
            "b": place("b", 1, "h1"),
        }
        assert set(store.list(["a", "x"])) == {"a"}
        store.forget(["a", "x"])
        assert set(store.list()) == {"b"}
