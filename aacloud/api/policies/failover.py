# SPDX-License-Identifier: Apache-2.0
"""Policies of the failover modes."""

from oslo_policy import policy

from aacloud.api.policies import base

LIST = "aacloud:failover_modes:list"
SET = "aacloud:failover_modes:set"
RESET = "aacloud:failover_modes:reset"

_PATH = "/v1/failover/modes/{level}/{domain}"

RULES = [
    policy.DocumentedRuleDefault(
        name=LIST,
        check_str=base.READER,
        description="List which domains are armed, in shadow or disarmed.",
        operations=[{"path": "/v1/failover/modes", "method": "GET"}],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=SET,
        check_str=base.ADMIN,
        description="Arm or disarm a domain, or put it into shadow mode.",
        operations=[{"path": _PATH, "method": "PUT"}],
        scope_types=base.SCOPES,
    ),
    policy.DocumentedRuleDefault(
        name=RESET,
        check_str=base.ADMIN,
        description="Let a domain inherit its mode again.",
        operations=[{"path": _PATH, "method": "DELETE"}],
        scope_types=base.SCOPES,
    ),
]
