# SPDX-License-Identifier: Apache-2.0
"""Column types that mean the same on MariaDB and on SQLite."""

from __future__ import annotations

from collections.abc import Mapping
import datetime
import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy import types
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import interfaces


class UtcDateTime(types.TypeDecorator[datetime.datetime]):
    """A moment: aware and in UTC outside, without a zone in the database.

    Microseconds are kept; a datetime without a zone is refused, because
    nobody can know which one was meant.
    """

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(
        self, dialect: interfaces.Dialect
    ) -> types.TypeEngine[Any]:
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime())

    def process_bind_param(
        self,
        value: datetime.datetime | None,
        dialect: interfaces.Dialect,
    ) -> datetime.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; give it in UTC")
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None)

    def process_result_value(
        self,
        value: datetime.datetime | None,
        dialect: interfaces.Dialect,
    ) -> datetime.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=datetime.timezone.utc)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    raise TypeError(
        f"{value!r} ({type(value).__name__}) cannot be kept as JSON"
    )


class Json(types.TypeDecorator[Any]):
    """A document as JSON text, the same bytes for the same document.

    MariaDB's own JSON type is a text with a check as well, and is reflected
    as text, so that a comparison of the tables with the models would never
    come out even.
    """

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(
        self, dialect: interfaces.Dialect
    ) -> types.TypeEngine[Any]:
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.MEDIUMTEXT())
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(
        self, value: Any, dialect: interfaces.Dialect
    ) -> str | None:
        if value is None:
            return None
        return json.dumps(
            value,
            default=_plain,
            sort_keys=True,
            separators=(",", ":"),
            allow_nan=False,
        )

    def process_result_value(
        self, value: str | None, dialect: interfaces.Dialect
    ) -> Any:
        return None if value is None else json.loads(value)
