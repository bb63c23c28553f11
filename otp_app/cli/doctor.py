"""`python -m otp_app doctor`: finds the problems of an installation and suggests fixes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from otp_app.cli.checks import Finding, Severity
from otp_app.cli.checks.accounts import accounts
from otp_app.cli.checks.configuration import configuration, env_file, read, texts, theme
from otp_app.cli.checks.storage import backend, database, numbers
from otp_app.config import AppEnv

if TYPE_CHECKING:
    from collections.abc import Iterator


def run() -> int:
    """Print each finding as soon as its check ends. Return the exit code: 1 if one failed."""
    failed = False
    for finding in _findings():
        sys.stdout.write(f"{finding}\n")
        sys.stdout.flush()
        failed |= finding.severity is Severity.FAIL
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
