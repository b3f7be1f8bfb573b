# SPDX-License-Identifier: Apache-2.0
"""The journal of the plans on SQLite."""

from tests.unit.db import plan_cases


class TestPlans(plan_cases.PlanCases):
    pass
