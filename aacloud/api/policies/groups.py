# SPDX-License-Identifier: Apache-2.0
"""Policies of HA server groups.

Groups belong to projects: each rule is asked about the project of the group.
Whoever may not show a group is told that there is none.
"""

from oslo_policy import policy

from aacloud.api.policies import base

LIST = "aacloud:ha_groups:list"
LIST_ALL = "aacloud:ha_groups:list_all"
SHOW = "aacloud:ha_groups:show"
CREATE = "aacloud:ha_groups:create"
UPDATE = "aacloud:ha_groups:update"
DELETE = "aacloud:ha_groups:delete"
ADD_SERVERS = "aacloud:ha_groups:add_servers"
ADD_FOREIGN = "aacloud:ha_groups:add_foreign_servers"
REMOVE_SERVER = "aacloud:ha_groups:remove_server"
INSPECT = "aacloud:ha_groups:inspect"
IMPORT = "aacloud:ha_groups:import"
DOMAIN_NAMES = "aacloud:ha_groups:domain_names"
SHOW_QUOTA = "aacloud:ha_groups:show_quota"
SET_QUOTA = "aacloud:ha_groups:set_quota"

_GROUPS = "/v1/groups"
_GROUP = "/v1/groups/{group_id}"
_QUOTA = "/v1/quotas/{project_id}"

RULES = [
    policy.DocumentedRuleDefault(
        name=LIST,
        check_str=base.PROJECT_READER,
        description="List the groups of one's own project.",
        operations=[{"path": _GROUPS, "method": "GET"}],
        scope_types=base.SCOPES,
    ),
    policy.RuleDefault(
        name=LIST_ALL,
        check_str=base.READER,
        description="List the groups of other and of all projects.",
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=SHOW,
        check_str=base.PROJECT_READER,
        description="Show a group: its rules, its members and their places.",
        operations=[{"path": _GROUP, "method": "GET"}],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=CREATE,
        check_str=base.PROJECT_MEMBER,
        description="Create a group.",
        operations=[{"path": _GROUPS, "method": "POST"}],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=UPDATE,
        check_str=base.PROJECT_MEMBER,
        description=(
            "Change name, mode, rules or window of a group. With the mode "
            "repair its servers are migrated in the window."
        ),
        operations=[{"path": _GROUP, "method": "PATCH"}],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=DELETE,
        check_str=base.PROJECT_MEMBER,
        description="Delete a group; its servers stay as they are.",
        operations=[{"path": _GROUP, "method": "DELETE"}],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=ADD_SERVERS,
        check_str=base.PROJECT_MEMBER,
        description="Let servers of the project join a group.",
        operations=[{"path": f"{_GROUP}/servers", "method": "POST"}],
        scope_types=base.SCOPES,
    ),
    policy.RuleDefault(
        name=ADD_FOREIGN,
        check_str=base.ADMIN,
        description="Let servers of other projects join a group.",
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=REMOVE_SERVER,
        check_str=base.PROJECT_MEMBER,
        description="Let a server leave a group.",
        operations=[
            {"path": f"{_GROUP}/servers/{{server_id}}", "method": "DELETE"}
        ],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=INSPECT,
        check_str=base.PROJECT_READER,
        description="Inspect a group now.",
        operations=[{"path": f"{_GROUP}/inspect", "method": "POST"}],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=IMPORT,
        check_str=base.PROJECT_MEMBER,
        description="Make a group of one of Nova's own server groups.",
        operations=[{"path": f"{_GROUPS}/import", "method": "POST"}],
        scope_types=base.SCOPES,
    ),
    policy.RuleDefault(
        name=DOMAIN_NAMES,
        check_str=base.READER,
        description=(
            "See the names of hosts, racks and data centres in groups and "
            "plans. Who may not sees names such as rack-1 instead."
        ),
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=SHOW_QUOTA,
        check_str=base.PROJECT_READER,
        description="Show how many groups and members a project may have.",
        operations=[{"path": _QUOTA, "method": "GET"}],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=SET_QUOTA,
        check_str=base.ADMIN,
        description="Set how many groups and members a project may have.",
        operations=[{"path": _QUOTA, "method": "PUT"}],
        scope_types=base.SCOPES,
    ),
]
