# SPDX-License-Identifier: Apache-2.0
"""Two writers insert the same row at the same time."""

from __future__ import annotations

from oslo_db import exception as db_exc
import pytest

from aacloud.db import engine
from aacloud.db import errors
from tests.unit.db import worlds


@pytest.fixture
def opened():
    made = worlds.open_database("sqlite://")
    yield made
    made.dispose()


def test_the_next_try_finds_what_the_other_one_wrote(opened):
    tries = []

    def work(connection, again):
        tries.append(again)
        if len(tries) == 1:
            raise db_exc.DBDuplicateEntry(["id"])
        return "done"

    assert opened.write("a row", work) == "done"
    # It was refused as a whole: nothing may have landed.
    assert tries == [False, False]


def test_what_is_there_each_time_is_told(opened):
    tries = []

    def work(connection, again):
        tries.append(again)
        raise db_exc.DBDuplicateEntry(["id"])

    with pytest.raises(errors.JournalUnavailable):
        opened.write("a row", work)
    assert len(tries) == 1 + engine.MEETINGS
