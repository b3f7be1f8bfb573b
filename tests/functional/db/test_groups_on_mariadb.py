# SPDX-License-Identifier: Apache-2.0
"""What the stores of groups and plans promise, on a real MariaDB."""

from tests.unit.db import group_cases
from tests.unit.db import group_change_cases
from tests.unit.db import group_race_cases
from tests.unit.db import plan_cases
from tests.unit.db import scheduler_cases


class TestGroups(group_cases.GroupCases):
    pass


class TestChanges(group_change_cases.ChangesCases):
    pass


class TestQuotas(group_change_cases.QuotaCases):
    pass


class TestRaces(group_race_cases.GroupRaceCases):
    pass


class TestVersions(group_race_cases.VersionRaceCases):
    pass


class TestSchedulers(scheduler_cases.SchedulerCases):
    pass


class TestInspections(scheduler_cases.InspectionCases):
    pass


class TestPlans(plan_cases.PlanCases):
    pass
