# SPDX-License-Identifier: Apache-2.0
"""The rules on which the policies of all resources stand.

Server groups and their plans belong to projects, all else to the cloud.

Incidents name the servers of every project, so a reader of one project must
not see them: a reader is believed with system scope, or in the admin project
when Keystone names one. ``is_admin_project`` is true only for a token that
says so itself (see :mod:`aacloud.api.context`); a cloud whose Keystone names
no admin project has no such tokens.
"""

from oslo_policy import policy

ADMIN = "rule:aacloud:admin"
READER = "rule:aacloud:reader"
PROJECT_READER = "rule:aacloud:project_reader"
PROJECT_MEMBER = "rule:aacloud:project_member"

SCOPES = ["system", "project"]

RULES = [
    policy.RuleDefault(
        name="aacloud:admin",
        check_str="role:admin",
        description="May change what aacloud does to the cloud.",
    ),
    policy.RuleDefault(
        name="aacloud:cloud_reader",
        check_str=(
            "role:reader and (system_scope:all or is_admin_project:True)"
        ),
        description=(
            "May read the state of the whole cloud: a reader of the system, "
            "or of the admin project that Keystone names."
        ),
    ),
    policy.RuleDefault(
        name="aacloud:reader",
        check_str=(
            "rule:aacloud:admin or rule:aacloud:cloud_reader or role:service"
        ),
        description="May read what aacloud knows, over all projects.",
    ),
    policy.RuleDefault(
        name="aacloud:project_reader",
        check_str=(
            "rule:aacloud:reader or "
            "(role:reader and project_id:%(project_id)s)"
        ),
        description="May read what belongs to the own project.",
    ),
    policy.RuleDefault(
        name="aacloud:project_member",
        check_str=(
            "rule:aacloud:admin or "
            "(role:member and project_id:%(project_id)s)"
        ),
        description="May change what belongs to the own project.",
    ),
]
