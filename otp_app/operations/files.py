"""Checks of the permissions of files that hold secrets and numbers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from otp_app.config.values import is_open_to_others
from otp_app.operations.findings import Finding, fail, ok, unsafe

if TYPE_CHECKING:
    from collections.abc import Iterator

ENV_FILE = Path(".env")


def env_file(*, production: bool) -> Iterator[Finding]:
    """Yield the findings about `.env`: the file's mode, and whether git tracks the file."""
    if not ENV_FILE.exists():
        yield ok(".env", "is not there: the settings are the environment's")
        return
    yield private(".env", ENV_FILE, production=production)
    yield _committed()


def private(check: str, path: Path, *, production: bool) -> Finding:
    """Return the finding about the mode of *path*: only owner and group may read or write it."""
    if is_open_to_others(path):
        what = "can be read or changed by others"
        return unsafe(check, what, f"chmod o-rwx {path}", production=production)
    return ok(check, "cannot be read by others")


def _committed() -> Finding:
    git = shutil.which("git")
    if git is None:
        return ok(".env in git", "not checked: git is not installed")
    command = [git, "ls-files", "--", str(ENV_FILE)]
    # The command is constant: no input of a user is part of it.
    answer = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # nosec B603
    if answer.stdout:
        fix = "git rm --cached .env, and change every secret in it: the history keeps them"
        return fail(".env in git", "is committed", fix)
    return ok(".env in git", "is not committed" if answer.returncode == 0 else "no repository here")
