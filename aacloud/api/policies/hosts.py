# SPDX-License-Identifier: Apache-2.0
"""Policies of hosts and of the topology."""

from oslo_policy import policy

from aacloud.api.policies import base

LIST = "aacloud:hosts:list"
SHOW = "aacloud:hosts:show"
TOPOLOGY = "aacloud:topology:show"

RULES = [
    policy.DocumentedRuleDefault(
        name=LIST,
        check_str=base.READER,
        description="List the hosts with what is known of them.",
        operations=[{"path": "/v1/hosts", "method": "GET"}],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=SHOW,
        check_str=base.READER,
        description="Show one host.",
        operations=[{"path": "/v1/hosts/{name}", "method": "GET"}],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=TOPOLOGY,
        check_str=base.READER,
        description="Show the data centres, their racks and their hosts.",
        operations=[{"path": "/v1/topology", "method": "GET"}],
        scope_types=base.SCOPES,
    ),
]
