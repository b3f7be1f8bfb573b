# SPDX-License-Identifier: Apache-2.0
"""MariaDB servers of our own, in temporary directories, never as root."""

from __future__ import annotations

from collections.abc import Sequence
import getpass
import os
import pathlib
import pwd
import shutil
import subprocess
import time
from typing import Any
import uuid

import pymysql
import sqlalchemy as sa

#: Seconds to come up or go down on a busy machine.
START_TIMEOUT = 180
SYSTEM_PATH = "/usr/sbin:/usr/local/sbin:/usr/libexec"


def find(*names: str) -> str | None:
    """The first of these programs that is installed."""
    path = os.pathsep.join((os.environ.get("PATH", ""), SYSTEM_PATH))
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return found
    return None


def missing() -> str | None:
    """Why there can be no server here, or None."""
    if not find("mariadbd"):
        return "mariadbd is not installed (Debian package mariadb-server)"
    if not find("mariadb-install-db"):
        return "mariadb-install-db is not installed"
    return None


def server_user() -> str:
    """Who the server runs as: root steps down to mysql where there is one."""
    if os.geteuid() != 0:
        return getpass.getuser()
    try:
        return pwd.getpwnam("mysql").pw_name
    except KeyError:
        return "root"


class MariaDB:
    """One server process, on no network unless the options say so.

    :param directory: empty; with a short path, for the sake of the socket
    :param options: more of mariadbd's
    """

    def __init__(
        self, directory: pathlib.Path, options: Sequence[str] = ()
    ) -> None:
        self.directory = directory
        self.options = tuple(options)
        self.user = server_user()
        self.socket = directory / "sock"
        self.data = directory / "data"
        self.log = directory / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def install(self) -> None:
        program = find("mariadb-install-db")
        assert program is not None
        if os.geteuid() == 0:
            shutil.chown(self.directory, self.user)
        subprocess.run(
            [
                program,
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                f"--datadir={self.data}",
                f"--user={self.user}",
            ],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=START_TIMEOUT,
        )

    def start(self, *more: str) -> None:
        """Start it and wait until it answers."""
        program = find("mariadbd")
        assert program is not None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    program,
                    "--no-defaults",
                    f"--datadir={self.data}",
                    f"--socket={self.socket}",
                    f"--pid-file={self.directory / 'pid'}",
                    f"--user={self.user}",
                    "--skip-networking",
                    "--innodb-buffer-pool-size=32M",
                    "--innodb-log-file-size=16M",
                    "--max-connections=200",
                    *self.options,
                    *more,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                self.execute("SELECT 1")
                return
            except pymysql.Error as error:
                if self.process.poll() is not None:
                    raise RuntimeError(
                        f"mariadbd ended: {self.log.read_text()}"
                    ) from error
                if time.monotonic() > deadline:
                    self.kill()
                    raise
                # Nothing tells when the socket answers: look again.
                time.sleep(0.05)

    def kill(self) -> None:
        """As a power cut would: nothing is written any more."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=START_TIMEOUT)

    def connect(self, **options: object) -> pymysql.Connection:
        return pymysql.connect(
            unix_socket=str(self.socket),
            user="root",
            connect_timeout=5,
            read_timeout=30,
            **options,
        )

    def execute(self, statement: str) -> tuple[tuple[Any, ...], ...]:
        with self.connect(autocommit=True) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall()

    @property
    def url(self) -> str:
        """Of the server, without a database."""
        return f"mysql+pymysql://root@localhost/?unix_socket={self.socket}"


def make_database(server_url: str) -> str:
    """An empty database of a new name.

    :param server_url: of a user who may create databases
    """
    url = sa.make_url(server_url)
    name = f"aacloud_test_{uuid.uuid4().hex[:12]}"
    _execute(url, f"CREATE DATABASE {name}")
    return url.set(database=name).render_as_string(hide_password=False)


def drop_database(database_url: str) -> None:
    """Drop what ``make_database`` made."""
    url = sa.make_url(database_url)
    assert url.database is not None
    assert url.database.startswith("aacloud_test_")
    _execute(url.set(database=None), f"DROP DATABASE {url.database}")


#: A cluster refuses for a moment: not ready, lock wait, lost to another node.
PASSING = frozenset({1047, 1205, 1213})


def _execute(url: sa.URL, statement: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(statement)
            break
        except sa.exc.DBAPIError as error:
            code = error.orig.args[0] if error.orig is not None else None
            if code not in PASSING or time.monotonic() > deadline:
                raise
            # Nothing tells when it will take it: ask again.
            time.sleep(0.1)
    engine.dispose()
