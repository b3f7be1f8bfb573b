# SPDX-License-Identifier: Apache-2.0
"""The journal on SQLite, in a file that several threads use."""

from tests.unit.db import fence_cases
from tests.unit.db import journal_cases
from tests.unit.db import lost_answer_cases
from tests.unit.db import operator_cases


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
