# SPDX-License-Identifier: Apache-2.0
import datetime
import types

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects import sqlite

from aacloud.db import columns

DIALECTS = (sqlite.dialect(), mysql.dialect())


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda one: one.name)
class TestUtcDateTime:
    def test_another_zone_is_kept_as_utc(self, dialect: sa.Dialect) -> None:
        column = columns.UtcDateTime()
        zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
        given = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=zone)
        kept = column.process_bind_param(given, dialect)
        assert str(kept) == "2026-01-01 21:34:05.678901"
        read = column.process_result_value(kept, dialect)
        assert read == given
        assert read is not None
        assert read.utcoffset() == datetime.timedelta(0)

    def test_none(self, dialect: sa.Dialect) -> None:
        column = columns.UtcDateTime()
        assert column.process_bind_param(None, dialect) is None
        assert column.process_result_value(None, dialect) is None

    def test_no_zone_is_refused(self, dialect: sa.Dialect) -> None:
        utc = datetime.datetime.now(datetime.timezone.utc)
        with pytest.raises(ValueError, match="no time zone"):
            columns.UtcDateTime().process_bind_param(
                utc.replace(tzinfo=None), dialect
            )


def test_microseconds_on_mysql() -> None:
    type_ = columns.UtcDateTime().dialect_impl(mysql.dialect())
    assert type_.compile(mysql.dialect()) == "DATETIME(6)"


class TestJson:
    def test_same_document_same_text(self) -> None:
        column = columns.Json()
        dialect = sqlite.dialect()
        first = column.process_bind_param({"b": 1, "a": (2,)}, dialect)
        second = column.process_bind_param({"a": [2], "b": 1}, dialect)
        assert first == second == '{"a":[2],"b":1}'

    def test_read_only_mapping(self) -> None:
        text = columns.Json().process_bind_param(
            types.MappingProxyType({"a": types.MappingProxyType({})}),
            sqlite.dialect(),
        )
        assert text == '{"a":{}}'

    @pytest.mark.parametrize("value", [{1, 2}, object(), b"x"])
    def test_what_is_no_json_is_refused(self, value: object) -> None:
        with pytest.raises(TypeError, match="cannot be kept as JSON"):
            columns.Json().process_bind_param(
                {"deep": [value]}, sqlite.dialect()
            )

    def test_no_number_is_refused(self) -> None:
        with pytest.raises(ValueError, match="not JSON compliant"):
            columns.Json().process_bind_param(float("nan"), sqlite.dialect())
