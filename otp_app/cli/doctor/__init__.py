"""`python -m otp_app doctor`: finds the problems of an installation and suggests fixes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from otp_app.cli import Finding, Severity
from otp_app.cli.doctor import accounts, configuration, storage
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
    settings, said = configuration.read()
    yield from said
    # `load_settings` has copied .env into the environment, which is there even if the settings
    # are invalid.
    yield from configuration.env_file(production=os.environ.get("APP_ENV") == AppEnv.PRODUCTION)
    yield from configuration.texts()
    if settings:
        yield from configuration.configuration(settings)
        yield from configuration.theme(settings)
        yield from storage.database(settings)
        yield from storage.numbers(settings)
        yield from accounts.accounts(settings)
        yield from storage.backend(settings)
