"""The database and the numbers in it, and the backend of the outgoing webhooks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from otp_app.cli import Finding, existing_database, fail, find_encryption, ok, sqlite_file, warn
from otp_app.cli.doctor.accounts import ProbeRequest, send_probe
from otp_app.cli.doctor.configuration import private
from otp_app.cli.events import with_dead_letters
from otp_app.config import DATABASE_EXAMPLE, AppEnv, Settings
from otp_app.config.values import is_open_to_others
from otp_app.errors import StoreUnavailable
from otp_app.storage import migrations
from otp_app.storage.engine import open_engine
from otp_app.storage.phone_encryption import EncryptionState, PhoneEncryption, count_states

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

_START = "start the app, which migrates it"


def database(settings: Settings) -> Iterator[Finding]:
    """Yield the findings about the connection, the migrations and the permissions of the file."""
    url = settings.database_url.get_secret_value()
    file = sqlite_file(url)
    if file and not file.exists():
        yield warn("database", "does not exist yet", "start the app, which creates it")
        return
    yield from _answers(url)
    if file:
        yield from _files(file, production=settings.app_env is AppEnv.PRODUCTION)


def _answers(url: str) -> Iterator[Finding]:
    try:
        current, steps = asyncio.run(_revisions(url))
    except StoreUnavailable as exc:
        fix = "check DATABASE_URL, that its server runs, and that this user has access"
        yield fail("database", exc.why or "does not answer", fix)
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
        return await engine.read(_read_revisions)
    finally:
        await engine.dispose()


def _read_revisions(connection: Connection) -> tuple[str | None, list[str]]:
    return migrations.current(connection), migrations.revisions()


def _migrated(current: str | None, steps: list[str]) -> Finding:
    if current is None:
        return warn("migrations", "the database is empty", _START)
    if current not in steps:
        fix = "install the version of the app that created it, or a newer one"
        return fail("migrations", "the database is newer than this app", fix)
    if missing := steps.index(current):
        return warn("migrations", f"{missing} not applied yet", _START)
    return ok("migrations", "all are applied")


def _files(file: Path, *, production: bool) -> Iterator[Finding]:
    yield private("database file", file, production=production)
    if is_open_to_others(file.parent):
        fix = "keep the database in its own folder with mode 700"
        yield warn("database folder", "can be listed by others", fix)
    else:
        yield ok("database folder", "cannot be listed by others")


_ROTATE = "python -m otp_app rotate"
_OUTDATED = {
    EncryptionState.PLAINTEXT: "are not encrypted",
    EncryptionState.OLD_KEY: "are encrypted with a key that is not the first",
    EncryptionState.WRONG_HASH_KEY: "cannot be found: SECRET_KEY was changed",
}


def numbers(settings: Settings) -> Iterator[Finding]:
    """Report numbers that cannot be decrypted, or were stored with other keys than today's."""
    found = find_encryption(settings)
    if found is None:
        yield ok("numbers", "not checked: this needs SECRET_KEY")
        return
    try:
        conditions = asyncio.run(_survey(settings, found))
    except (StoreUnavailable, ValueError):
        return  # `database` reports this failure already
    yield from _judged(conditions)


async def _survey(settings: Settings, numbers: PhoneEncryption) -> Counter[EncryptionState]:
    async with existing_database(settings) as engine:
        return await count_states(engine, numbers)


def _judged(found: Counter[EncryptionState]) -> Iterator[Finding]:
    if lost := found[EncryptionState.UNREADABLE]:
        fix = "add their key behind the first of PHONE_ENCRYPTION_KEYS"
        yield fail("numbers", f"{lost} cannot be decrypted", fix)
    for condition, what in _OUTDATED.items():
        if count := found[condition]:
            yield warn("numbers", f"{count} {what}", _ROTATE)
    if found.total() == found[EncryptionState.CURRENT]:
        yield ok("numbers", f"all {found.total()} are stored with the present keys")


def backend(settings: Settings) -> Iterator[Finding]:
    """Yield the findings about the backend.

    No test webhook is posted, because a backend might process the test as a real event.
    """
    if settings.webhook_url:
        yield _signed(len(settings.webhook_secret_list))
        yield _reached(settings.webhook_url)
    elif settings.webhook_secret_list:
        yield warn("events", "WEBHOOK_SECRETS is set and WEBHOOK_URL is not", "set or unset both")
    else:
        yield ok("events", "WEBHOOK_URL is not set: no backend gets events")
    yield from _dead(settings)


def _signed(secrets: int) -> Finding:
    if secrets == 1:
        return ok("WEBHOOK_SECRETS", "one secret signs events")
    what = f"{secrets} secrets sign events"
    return warn("WEBHOOK_SECRETS", what, "remove the old one when the backend has the new one")


def _reached(url: str) -> Finding:
    if asyncio.run(send_probe(ProbeRequest("HEAD", url))) is None:
        fix = "check that this machine can reach it, and its certificate"
        return fail("WEBHOOK_URL", "does not answer", fix)
    return ok("WEBHOOK_URL", "responds; a delivery was not tried")


def _dead(settings: Settings) -> Iterator[Finding]:
    try:
        count = with_dead_letters(settings, lambda dead: dead.count())
    except (StoreUnavailable, ValueError):
        return  # `database` reports this failure already
    if count:
        what = f"{count} were never accepted"
        yield warn(
            "dead letters",
            what,
            "python -m otp_app events lists the failures, events retry queues them again",
        )
    else:
        yield ok("dead letters", "none")
