# SPDX-License-Identifier: Apache-2.0
"""The policies of the API and their defaults."""

import itertools

from oslo_policy import policy

from aacloud.api.policies import base
from aacloud.api.policies import failover
from aacloud.api.policies import groups
from aacloud.api.policies import hosts
from aacloud.api.policies import incidents
from aacloud.api.policies import plans


def list_rules() -> list[policy.RuleDefault]:
    """Return every rule with its default, for oslo.policy's generators."""
    return list(
        itertools.chain(
            base.RULES,
            hosts.RULES,
            incidents.RULES,
            failover.RULES,
            groups.RULES,
            plans.RULES,
        )
    )
