# SPDX-License-Identifier: Apache-2.0
"""Policies of incidents."""

from oslo_policy import policy

from aacloud.api.policies import base

LIST = "aacloud:incidents:list"
SHOW = "aacloud:incidents:show"
CONFIRM_FENCED = "aacloud:incidents:confirm_fenced"
CANCEL = "aacloud:incidents:cancel"

RULES = [
    policy.DocumentedRuleDefault(
        name=LIST,
        check_str=base.READER,
        description="List incidents.",
        operations=[{"path": "/v1/incidents", "method": "GET"}],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=SHOW,
        check_str=base.READER,
        description="Show one incident, its servers and its events.",
        operations=[
            {"path": "/v1/incidents/{incident_id}", "method": "GET"},
            {"path": "/v1/incidents/{incident_id}/servers", "method": "GET"},
            {"path": "/v1/incidents/{incident_id}/events", "method": "GET"},
        ],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=CONFIRM_FENCED,
        check_str=base.ADMIN,
        description=(
            "Confirm that the host of an incident is powered off. A wrong "
            "confirmation lets two copies of a server write to one disk."
        ),
        operations=[
            {
                "path": "/v1/incidents/{incident_id}/confirm-fenced",
                "method": "POST",
            }
        ],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=CANCEL,
        check_str=base.ADMIN,
        description=(
            "Cancel an incident. Once its host is fenced, servers that were "
            "not sent off yet are left on the host."
        ),
        operations=[
            {"path": "/v1/incidents/{incident_id}/cancel", "method": "POST"}
        ],
        scope_types=base.SCOPES,
    ),
]
