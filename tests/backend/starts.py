"""A start of the app in a process of its own, with other settings than those of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

PRODUCTION = {
    "APP_ENV": "production",
    "PUBLIC_URL": "https://verify.example.com",
    "ALLOWED_COUNTRIES": "GB",
    "OTP_PROVIDER": "vonage",
    "VONAGE_API_KEY": "abcd1234",
    "VONAGE_API_SECRET": "canary",
}
_PROGRAM = r"""
import logging, pathlib, sys
import rxconfig
logging.getLogger("reflex.x").warning("two\nlines")
from otp_app.otp_app import app
app()
logging.getLogger("reflex.x").warning("two\nlines")
from reflex_base.registry import RegistrationContext
names = [*sys.modules, *RegistrationContext.get().event_handlers, *app._unevaluated_pages]
pathlib.Path(sys.argv[1]).write_text("\n".join(names))
"""


class Start(NamedTuple):
    """The output of a start, and the names of all its modules, event handlers and pages."""

    stdout: str
    stderr: str
    names: list[str]


def start(settings: dict[str, str], folder: Path) -> Start:
    """Import and assemble the app with *settings*. Reflex logs a line before and after."""
    file = folder / "names"
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM, file],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    return Start(run.stdout, run.stderr, file.read_text().splitlines())
