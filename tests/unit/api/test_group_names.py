# SPDX-License-Identifier: Apache-2.0
"""Names of groups, which hints have to name."""

from __future__ import annotations

import pytest

from aacloud.core import rules
from aacloud.rpc import group_messages
from tests.unit.api import engines
from tests.unit.api import group_operations
from tests.unit.api.stage import Stage


@pytest.mark.parametrize(
    "name", ["a,b", " a", "a ", "\u00a0a", "a\u2003", " ", "", "a\tb", "a\n"]
)
def test_names_are_as_hints_are_read(stage: Stage, name: str) -> None:
    """A hint loses the blanks at its ends, and ends at a comma."""
    made = stage.call("POST", "/v1/groups", json={"name": name})
    assert made.status == 400
    assert "'name'" in made.json["error"]["message"]
    group = group_operations.add_group(stage)
    changed = stage.call("PATCH", f"/v1/groups/{group}", json={"name": name})
    assert changed.status == 400
    assert stage.groups.get(group).group.name == "web"
    fine = {"name": "b", "rules": []}
    assert stage.call("POST", "/v1/groups", json=fine).status == 201
    fine = {"name": "a b: c", "rules": []}
    assert stage.call("POST", "/v1/groups", json=fine).status == 201


def test_imported_names_are_as_hints_are_read(stage: Stage) -> None:
    stage.engine.native += [
        group_messages.NativeGroup(
            id=engines.server_id(500 + number),
            name=name,
            project_id="77aa",
            policy="anti-affinity",
            rules=(rules.parse_rule("spread:host"),),
            members=(),
        )
        for number, name in enumerate([" old, worn ", " ", "plain"])
    ]
    answer = stage.call("POST", "/v1/groups/import", json={})
    assert answer.status == 200
    found = {
        stage.groups.get(one["group_id"]).group.name: one["reason"]
        for one in answer.json["native_groups"]
    }
    assert set(found) == {"old; worn", engines.server_id(501), "plain"}
    assert found["plain"] is None
    assert '"old; worn"' in found["old; worn"]
