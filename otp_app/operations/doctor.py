"""`python -m otp_app doctor`: finds the problems of an installation and suggests fixes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from otp_app.config import AppEnv
from otp_app.operations.accounts import accounts
from otp_app.operations.backend import backend
from otp_app.operations.configuration import configuration, read
from otp_app.operations.database import database
from otp_app.operations.files import env_file
from otp_app.operations.findings import Finding, Verdict
from otp_app.operations.numbers import numbers
from otp_app.operations.theme import texts, theme

if TYPE_CHECKING:
    from collections.abc import Iterator


def run() -> int:
    """Print each finding as soon as its check ends. Return the exit code: 1 if one failed."""
    failed = False
    for finding in _findings():
        sys.stdout.write(f"{finding}\n")
        sys.stdout.flush()
        failed |= finding.verdict is Verdict.FAIL
    return int(failed)


def _findings() -> Iterator[Finding]:
    settings, said = read()
    yield from said
    # `load_settings` has copied .env into the environment, which is there even if the settings
    # are invalid.
    yield from env_file(production=os.environ.get("APP_ENV") == AppEnv.PRODUCTION)
    yield from texts()
    if settings:
        yield from configuration(settings)
        yield from theme(settings)
        yield from database(settings)
        yield from numbers(settings)
        yield from accounts(settings)
        yield from backend(settings)
