# SPDX-License-Identifier: Apache-2.0
"""Bring the tables to the state that this release expects, and check it."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import pathlib
import sqlite3
import threading
from typing import Any

from alembic import autogenerate
from alembic import command
from alembic import config as alembic_config
from alembic import migration as alembic_migration
from alembic import script as alembic_script
from alembic import util as alembic_util
from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_db import options as db_options
from oslo_db.sqlalchemy import engines
import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from aacloud.db import engine as db_engine
from aacloud.db import errors
from aacloud.db import group_models

MIGRATIONS = pathlib.Path(__file__).parent / "migrations"
#: Seconds; the two of a pair must not both run the steps.
LOCK_WAIT = 60
LOCK_NAME = "aacloud-db-sync"
#: A step may rewrite a large table: far longer than a call of the journal.
STEP_TIMEOUT = "600"

_AT_WORK = threading.Lock()


@dataclasses.dataclass(frozen=True, slots=True)
class SchemaStatus:
    """Where the tables stand.

    :ivar found: revision of the database, None when it is empty
    :ivar wanted: newest revision that this release knows
    :ivar known: whether this release knows the revision that was found
    """

    found: str | None
    wanted: str
    known: bool

    @property
    def current(self) -> bool:
        """Whether the tables are those of this release."""
        return self.found == self.wanted

    def problem(self) -> str | None:
        """What is wrong and what to do, or None when all is well."""
        if self.current:
            return None
        if self.found is None:
            return (
                "the database holds no tables of aacloud yet: run "
                "'aacloud-manage db sync'"
            )
        if not self.known:
            return (
                f"the database is at revision {self.found}, which this "
                f"release does not know (its newest is {self.wanted}): it "
                "was migrated by a newer release; upgrade aacloud here"
            )
        return (
            f"the database is at revision {self.found}, this release needs "
            f"{self.wanted}: run 'aacloud-manage db sync'"
        )


def _alembic(connection: sa.Connection | None = None) -> alembic_config.Config:
    config = alembic_config.Config()
    # A "%" would be read as an interpolation.
    location = str(MIGRATIONS).replace("%", "%%")
    config.set_main_option("script_location", location)
    config.attributes["connection"] = connection
    return config


@contextlib.contextmanager
def _connected(
    conf: cfg.ConfigOpts, connection: str | None
) -> Iterator[sa.Connection]:
    conf.register_opts(db_options.database_opts, "database")
    url = connection or conf.database.connection
    if not url:
        raise errors.DatabaseError(
            "[database] connection is not set; write the URL of the "
            "database there, for instance "
            "mysql+pymysql://aacloud:PASSWORD@HOST/aacloud"
        )
    bounded = db_engine.bounded_url(url)
    if "read_timeout" in bounded.query:
        bounded = bounded.update_query_dict(
            {"read_timeout": STEP_TIMEOUT, "write_timeout": STEP_TIMEOUT}
        )
    place = bounded.set(query={}).render_as_string(hide_password=True)
    try:
        engine = engines.create_engine(
            bounded,
            max_retries=0,
            mysql_sql_mode=conf.database.mysql_sql_mode,
            sqlite_synchronous=conf.database.sqlite_synchronous,
        )
        try:
            with engine.connect() as opened:
                yield opened
        finally:
            engine.dispose()
    except (
        db_exc.DBError,
        sa_exc.SQLAlchemyError,
        sqlite3.Error,
    ) as error:
        raise errors.SchemaError(
            f"{place}: {db_engine.explain(error)}"
        ) from error


@contextlib.contextmanager
def _alone(connection: sa.Connection) -> Iterator[None]:
    """Let one sync run at a time, of all that share this database."""
    if connection.dialect.name == "sqlite":
        # A write first: nobody else writes until this transaction ends.
        connection.exec_driver_sql("PRAGMA user_version = 0")
        yield
        return
    held = connection.scalar(sa.select(sa.func.get_lock(LOCK_NAME, LOCK_WAIT)))
    if held != 1:
        raise errors.SchemaError(
            f"another sync of this database holds the lock {LOCK_NAME} for "
            f"more than {LOCK_WAIT} s; wait for it, then run this again"
        )
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.execute(sa.select(sa.func.release_lock(LOCK_NAME)))


def _status(connection: sa.Connection) -> SchemaStatus:
    scripts = alembic_script.ScriptDirectory.from_config(_alembic())
    wanted = scripts.get_current_head()
    if wanted is None:
        raise errors.SchemaError(
            f"no migration is installed in {MIGRATIONS}; install aacloud anew"
        )
    found = alembic_migration.MigrationContext.configure(
        connection
    ).get_current_revision()
    known = True
    if found is not None:
        try:
            known = scripts.get_revision(found) is not None
        except alembic_util.CommandError:
            known = False
    return SchemaStatus(found=found, wanted=wanted, known=known)


def status(
    conf: cfg.ConfigOpts, *, connection: str | None = None
) -> SchemaStatus:
    """Where the tables stand.

    :param conf: where ``[database]`` stands
    :param connection: an SQLAlchemy URL instead of the one of ``conf``
    :raises errors.SchemaError: the database did not answer
    """
    with _connected(conf, connection) as opened:
        return _status(opened)


def version(
    conf: cfg.ConfigOpts, *, connection: str | None = None
) -> str | None:
    """The revision of the database, or None when it is empty.

    :raises errors.SchemaError: the database did not answer
    """
    return status(conf, connection=connection).found


def check(conf: cfg.ConfigOpts, *, connection: str | None = None) -> None:
    """Refuse to work with tables of another release.

    :raises errors.SchemaError: they are missing, older or newer than this
        release needs, or the database did not answer; says what to do
    """
    problem = status(conf, connection=connection).problem()
    if problem is not None:
        raise errors.SchemaError(problem)


def sync(
    conf: cfg.ConfigOpts, *, connection: str | None = None
) -> SchemaStatus:
    """Run the steps that are missing; none when the tables are current.

    :returns: where the tables stand afterwards
    :raises errors.SchemaError: a newer release migrated this database, a
        step failed, or the database did not answer
    """
    # Within one process too: alembic keeps the step at work in a global.
    with _AT_WORK, _connected(conf, connection) as opened:
        if opened.dialect.name == "sqlite":
            # Readers do not wait for the writer; the file remembers it. Not
            # possible inside a transaction, so past SQLAlchemy.
            driver: Any = opened.connection.driver_connection
            driver.execute("PRAGMA busy_timeout = 5000")
            driver.execute("PRAGMA journal_mode = WAL")
        with _alone(opened):
            before = _status(opened)
            if not before.known:
                raise errors.SchemaError(str(before.problem()))
            if not before.current:
                command.upgrade(_alembic(opened), "head")
                opened.commit()
            return _status(opened)


def differences(
    conf: cfg.ConfigOpts, *, connection: str | None = None
) -> list[Any]:
    """What alembic would change to make the tables fit the models.

    :returns: alembic's operations; empty when they fit
    :raises errors.SchemaError: the database did not answer
    """
    with _connected(conf, connection) as opened:
        context = alembic_migration.MigrationContext.configure(
            opened, opts={"compare_type": True}
        )
        return list(
            autogenerate.compare_metadata(context, group_models.METADATA)
        )
