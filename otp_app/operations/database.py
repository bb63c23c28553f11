"""Checks of the database. No file is created and no migration is applied."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from alembic.runtime.migration import MigrationContext

from otp_app.config import DATABASE_EXAMPLE, AppEnv, Settings
from otp_app.config.values import is_open_to_others
from otp_app.errors import StoreUnavailable
from otp_app.operations.files import private
from otp_app.operations.findings import Finding, fail, ok, warn
from otp_app.operations.installation import sqlite_file
from otp_app.storage import migrations
from otp_app.storage.engine import open_engine, store_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

_START = "start the app, which migrates it"


def database(settings: Settings) -> Iterator[Finding]:
    """Yield the findings about the connection, the migrations and the permissions of the file."""
    url = settings.database_url.get_secret_value()
    file = sqlite_file(url)
    if file and not file.exists():
        yield warn("database", "is not there yet", "start the app, which makes it")
        return
    yield from _answers(url)
    if file:
        yield from _files(file, production=settings.app_env is AppEnv.PRODUCTION)


def _answers(url: str) -> Iterator[Finding]:
    try:
        current, steps = asyncio.run(_revisions(url))
    except StoreUnavailable:
        fix = "see that DATABASE_URL is right, its server runs and this user may use it"
        yield fail("database", "does not answer", fix)
    except ValueError as exc:
        yield fail("database", str(exc), f"set DATABASE_URL, for example to {DATABASE_EXAMPLE}")
    else:
        yield ok("database", "answers")
        yield _migrated(current, steps)


async def _revisions(url: str) -> tuple[str | None, list[str]]:
    """Return the revision of the database, and all revisions of the app, newest first.

    The revision of an empty database is None.
    """
    engine = open_engine(url)
    try:
        with store_errors():
            async with engine.connect() as connection:
                return await connection.run_sync(_read_revisions)
    finally:
        await engine.dispose()


def _read_revisions(connection: Connection) -> tuple[str | None, list[str]]:
    steps = migrations.steps().walk_revisions()
    current = MigrationContext.configure(connection).get_current_revision()
    return current, [step.revision for step in steps]


def _migrated(current: str | None, steps: list[str]) -> Finding:
    if current is None:
        return warn("migrations", "the database is empty", _START)
    if current not in steps:
        fix = "install the version of the app that made it, or a newer one"
        return fail("migrations", "the database is newer than this app", fix)
    if missing := steps.index(current):
        return warn("migrations", f"{missing} not applied yet", _START)
    return ok("migrations", "all are applied")


def _files(file: Path, *, production: bool) -> Iterator[Finding]:
    yield private("database file", file, production=production)
    if is_open_to_others(file.parent):
        fix = "keep the database in a folder of its own, with mode 700"
        yield warn("database folder", "can be listed by others", fix)
    else:
        yield ok("database folder", "cannot be listed by others")
