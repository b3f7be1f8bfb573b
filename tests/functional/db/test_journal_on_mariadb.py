# SPDX-License-Identifier: Apache-2.0
"""What the journal promises, on a real MariaDB."""

from tests.unit.db import fence_cases
from tests.unit.db import journal_cases
from tests.unit.db import lost_answer_cases
from tests.unit.db import migration_cases
from tests.unit.db import operator_cases


class TestMigration(migration_cases.MigrationCases):
    pass


class TestIncidents(journal_cases.IncidentCases):
    pass


class TestServers(journal_cases.ServerCases):
    pass


class TestFence(fence_cases.FenceCases):
    pass


class TestRaces(fence_cases.RaceCases):
    pass


class TestLostAnswers(lost_answer_cases.LostAnswerCases):
    pass


class TestOperators(operator_cases.OperatorCases):
    pass
