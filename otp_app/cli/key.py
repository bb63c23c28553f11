"""`python -m otp_app key`: a new API key, and the setting that holds its hash."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser


def run(parser: ArgumentParser, name: str) -> int:
    """Print a new API key and its setting; the exit code."""
    from otp_app.identity.callers import new_key

    try:
        key, setting = new_key(name)
    except ValueError as exc:
        parser.error(str(exc))
    sys.stdout.write(f"The key, for the program:\n  {key}\n\n")
    sys.stdout.write(
        f"The setting, with a comma after those that are there:\n  API_KEYS={setting}\n"
    )
    return 0
