# SPDX-License-Identifier: Apache-2.0
"""One database, opened through oslo.db, with every call bounded in time.

Four bounds keep an engine that leads from hanging on a sick database: the
time-outs of the driver, the lock wait of the server's session, the wait for
a connection of the pool, and the *patience* after which repeated deadlocks
and lost connections are given to the caller as :class:`JournalUnavailable`.
"""

from __future__ import annotations

from collections.abc import Callable
import re
import time
from typing import Any
from typing import Generic
from typing import TypeVar

from oslo_config import cfg
from oslo_db import api as oslo_api
from oslo_db import exception as db_exc
from oslo_db import options as db_options
from oslo_db.sqlalchemy import enginefacade
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy import exc as sa_exc

from aacloud.db import errors

T = TypeVar("T")

#: Times that a write is tried again because its row had just been inserted.
MEETINGS = 3

#: Seconds that the driver waits; more than the lock wait of the session, so
#: that a lock held too long is told as such and not as a lost connection.
DRIVER_TIMEOUTS = {
    "connect_timeout": "3",
    "read_timeout": "8",
    "write_timeout": "8",
}
#: Session settings: seconds to wait for a row, and for a table under DDL.
MYSQL_SESSION = (
    "SET SESSION innodb_lock_wait_timeout = 3",
    "SET SESSION lock_wait_timeout = 5",
)
SQLITE_SESSION = ("PRAGMA busy_timeout = 5000",)
POOL_TIMEOUT = 5
PATIENCE = 8.0

#: The options of oslo.db that shape the engine and stay the operator's.
_ENGINE_OPTIONS = (
    "slave_connection",
    "sqlite_synchronous",
    "mysql_sql_mode",
    "mysql_wsrep_sync_wait",
    "connection_recycle_time",
    "max_pool_size",
    "max_overflow",
    "pool_timeout",
    "connection_debug",
    "connection_trace",
    "connection_parameters",
)


@enginefacade.transaction_context_provider
class _Call:
    """What oslo.db hangs the transaction of one call on."""


def bounded_url(connection: str) -> sa.URL:
    """The URL with the driver's time-outs and a full character set.

    What the operator wrote in the URL wins.

    :param connection: an SQLAlchemy URL, as in ``[database] connection``
    :raises errors.DatabaseError: it cannot be parsed
    """
    try:
        url = sa.make_url(connection)
    except sa_exc.ArgumentError:
        raise errors.DatabaseError(
            "[database] connection cannot be understood; write it like "
            "mysql+pymysql://aacloud:PASSWORD@HOST/aacloud"
        ) from None
    if url.get_backend_name() not in ("mysql", "mariadb"):
        return url
    wanted = {"charset": "utf8mb4", **DRIVER_TIMEOUTS}
    return url.update_query_dict(
        {key: wanted[key] for key in wanted if key not in url.query}
    )


def _prepare_sessions(engine: sa.Engine) -> None:
    mysql = engine.dialect.name in ("mysql", "mariadb")
    statements = MYSQL_SESSION if mysql else SQLITE_SESSION

    @event.listens_for(engine, "connect")
    def settle(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()


class Database:
    """Runs pieces of work, each in one transaction of its own.

    Safe for threads, and for a process forked before the first call.

    :param conf: where ``[database]`` stands
    :param connection: an SQLAlchemy URL instead of the one of ``conf``
    :param patience: seconds after which a piece of work that met deadlocks
        or lost connections is not tried again; a call in flight then may
        last as long as the driver's time-outs on top
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        *,
        connection: str | None = None,
        patience: float = PATIENCE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        conf.register_opts(db_options.database_opts, "database")
        connection = connection or conf.database.connection
        if not connection:
            raise errors.DatabaseError(
                "[database] connection is not set; write the URL of the "
                "database there, for instance "
                "mysql+pymysql://aacloud:PASSWORD@HOST/aacloud"
            )
        self._url = bounded_url(connection)
        self._patience = patience
        self._monotonic = monotonic
        options = {key: conf.database[key] for key in _ENGINE_OPTIONS}
        if options["slave_connection"]:
            options["slave_connection"] = bounded_url(
                options["slave_connection"]
            )
        if self._url.get_backend_name() == "sqlite":
            # A file is opened anew for each call; there is no pool.
            options["pool_timeout"] = None
        elif options["pool_timeout"] is None:
            options["pool_timeout"] = POOL_TIMEOUT
        self._facade = enginefacade.transaction_context()
        # max_retries=0: do not block for minutes in the first call when the
        # database is down; each call is retried within its patience.
        # thread_checkin=False: no sleep(0) after each call; it is there for
        # eventlet, and on a busy machine gives the processor away.
        self._facade.configure(
            connection=self._url,
            sqlite_fk=True,
            max_retries=0,
            thread_checkin=False,
            **options,
        )
        self._facade.append_on_engine_create(_prepare_sessions)

    @property
    def place(self) -> str:
        """Where the database is, for messages; without the password."""
        return self._url.set(query={}).render_as_string(hide_password=True)

    def dispose(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._facade.dispose_pool()

    def read(self, what: str, work: Callable[[sa.Connection], T]) -> T:
        """Run ``work`` in a transaction that is rolled back at its end.

        :param what: what is read, for the error message
        :raises errors.JournalUnavailable: the database could not answer
        """

        def attempt(_unknown: bool) -> T:
            with self._facade.reader.connection.using(_Call()) as connection:
                return work(connection)

        return self._insist(what, _Attempts(attempt))

    def write(self, what: str, work: Callable[[sa.Connection, bool], T]) -> T:
        """Run ``work`` in a transaction that is committed at its end.

        It runs again after a deadlock (then nothing was written) and after
        a lost connection. When the connection was lost while the commit was
        under way, the write may have landed: the second argument of
        ``work`` is then True, and ``work`` has to find out.

        :param what: what is written, for the error message
        :raises errors.JournalUnavailable: the database could not answer;
            its ``unknown`` says whether the write may have landed
        """
        attempts: _Attempts[T]

        def attempt(unknown: bool) -> T:
            with self._facade.writer.connection.using(_Call()) as connection:
                result = work(connection, unknown)
                attempts.committing = True
            return result

        attempts = _Attempts(attempt)
        return self._insist(what, attempts)

    def _insist(self, what: str, attempts: _Attempts[T]) -> T:
        deadline = self._monotonic() + self._patience

        def again(error: Exception) -> bool:
            return (
                _is_worth_another_try(error)
                or attempts.met_another_insert(error)
            ) and self._monotonic() < deadline

        retried = oslo_api.wrap_db_retry(
            retry_interval=0.05,
            max_retry_interval=0.25,
            max_retries=1000,  # the deadline is the bound
            jitter=True,
            exception_checker=again,
        )(attempts.run)
        try:
            result: T = retried()
        except (
            db_exc.DBError,
            db_exc.CantStartEngineError,
            sa_exc.SQLAlchemyError,
        ) as error:
            raise errors.JournalUnavailable(
                what,
                f"{self.place}: {explain(error)}",
                unknown=attempts.unknown,
            ) from error
        return result


class _Attempts(Generic[T]):
    """The tries of one piece of work, and what their errors leave open."""

    def __init__(self, attempt: Callable[[bool], T]) -> None:
        self._attempt = attempt
        self.committing = False
        self.unknown = False
        self._met = 0

    def met_another_insert(self, error: Exception) -> bool:
        """Whether another writer inserted the same row at the same time.

        The next try finds it there. What is found there each time is no
        matter of time.
        """
        if not isinstance(error, db_exc.DBDuplicateEntry):
            return False
        self._met += 1
        return self._met <= MEETINGS

    def run(self) -> T:
        """Try once more.

        Before the commit was sent, a lost connection means that the server
        rolls back. A deadlock, also one that a Galera node reports at the
        commit, means that it has rolled back.
        """
        self.committing = False
        try:
            return self._attempt(self.unknown)
        except (db_exc.DBError, sa_exc.SQLAlchemyError) as error:
            if self.committing and not _is_conflict(error):
                self.unknown = True
            raise


def _is_conflict(error: BaseException) -> bool:
    if isinstance(error, db_exc.DBDeadlock):
        return True
    return isinstance(
        error, sa_exc.OperationalError
    ) and "database is locked" in str(error.orig)


def _is_worth_another_try(error: BaseException) -> bool:
    return _is_conflict(error) or isinstance(error, db_exc.DBConnectionError)


#: What the server says, and what the operator can do about it.
_ADVICE = (
    (
        r"\b1146\b|no such table",
        "the tables are missing; run 'aacloud-manage db sync'",
    ),
    (
        r"\b1054\b|no such column",
        "the tables are of another release; run 'aacloud-manage db sync'",
    ),
    (
        r"\b1044\b|\b1045\b|\b1698\b",
        "the user or its password was refused; see [database] connection",
    ),
    (r"\b1049\b|unable to open", "there is no such database"),
    (r"\b1040\b", "the server has no connection left"),
    (r"\b1205\b", "a row stayed locked by another transaction"),
    (r"\b1290\b|readonly", "the server is read-only"),
    (r"\b1047\b", "this Galera node is not in the primary component"),
)


def explain(error: BaseException) -> str:
    """One line for operators: what is wrong, and the server's own words."""
    inner = getattr(error, "inner_exception", None) or error
    said = str(getattr(inner, "orig", None) or inner)
    said = " ".join(said.split())[:300]
    for pattern, advice in _ADVICE:
        if re.search(pattern, said):
            return f"{advice} [{said}]"
    if isinstance(error, db_exc.DBConnectionError):
        return f"no connection, or it was lost; is the server up? [{said}]"
    return f"the database refused [{type(error).__name__}: {said}]"
