"""Finds Chrome or Chromium; run as a program, installs one where there is none.

The tests prefer Chromium's headless shell: a browser without windows needs far less of the CPU.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SHELLS = ("chromium-headless-shell", "chrome-headless-shell")
_COMMANDS = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser", "chrome")
_MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)

Commands = tuple[tuple[str, ...], ...]

_DEBIANS_SHELL: Commands = (
    ("apt-get", "update"),
    ("apt-get", "install", "--yes", "--no-install-recommends", _SHELLS[0], "fonts-liberation"),
)
_PACKAGE_MANAGERS: dict[str, Commands] = {
    "apt-get": (
        ("apt-get", "update"),
        ("apt-get", "install", "--yes", "--no-install-recommends", "chromium", "fonts-liberation"),
    ),
    "dnf": (("dnf", "install", "--assumeyes", "chromium", "liberation-fonts"),),
    "apk": (("apk", "add", "chromium", "font-liberation"),),
}
_PLAYWRIGHT: Commands = ((sys.executable, "-m", "playwright", "install", "chromium"),)


class NoBrowser(Exception):
    """No Chrome or Chromium on this machine runs."""


@cache
def find_browser() -> Path:
    """Chrome or Chromium on this machine.

    Raises:
        NoBrowser: none of the places has one that runs.
    """
    if asked_for := os.environ.get("CHROME_PATH"):
        if _runs(Path(asked_for)):
            return Path(asked_for)
        raise NoBrowser("CHROME_PATH names no browser that runs.")
    found = next(filter(_runs, _candidates()), None) or find_shell()
    if found is None:
        raise NoBrowser("There is no Chrome or Chromium. Install one, or set CHROME_PATH.")
    return found


def find_shell() -> Path | None:
    """Return Chromium's headless shell on this machine, if there is one."""
    return next(filter(_runs, map(Path, filter(None, map(shutil.which, _SHELLS)))), None)


def find_browser_of_tests() -> Path:
    """Return the headless shell, or another Chrome or Chromium if there is none.

    Raises:
        NoBrowser: none of the places has one that runs.
    """
    wanted = "CHROME_PATH" in os.environ
    return (None if wanted else find_shell()) or find_browser()


def install_browser() -> Path:
    """Install Chromium in the ways this machine offers, until there is a browser.

    Raises:
        NoBrowser: none of them led to one.
    """
    for way in _ways():
        _run_all(way)
        with suppress(NoBrowser):
            return find_browser()
    raise NoBrowser("Chromium could not be installed. Install Chrome or Chromium by hand.")


def _candidates() -> Iterator[Path]:
    yield from (Path(path) for path in map(shutil.which, _COMMANDS) if path)
    yield from map(Path, _MAC)
    with sync_playwright() as playwright:  # asked last: it takes a process to answer
        own = playwright.chromium.executable_path
    yield Path(own)


def _runs(path: Path) -> bool:
    """Return False for a stub: Ubuntu's chromium-browser only prints how to install a snap."""
    try:
        result = subprocess.run(
            [path, "--version"], capture_output=True, timeout=30, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0 and any(map(str.isdigit, result.stdout))


def _ways() -> Iterator[Commands]:
    if os.geteuid() == 0:
        yield from (way for name, way in _PACKAGE_MANAGERS.items() if shutil.which(name))
    yield _PLAYWRIGHT


def _is_debian() -> bool:
    """Return True on Debian, which has a package of the headless shell."""
    with suppress(OSError):
        return platform.freedesktop_os_release()["ID"] == "debian"
    return False


def _run_all(commands: Sequence[Sequence[str]]) -> None:
    """Run until one fails; whether that matters shows in what can be found afterwards."""
    for command in commands:
        sys.stderr.write(f"+ {' '.join(command)}\n")
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        if subprocess.run(command, check=False, env=environment).returncode != 0:
            return


def main() -> None:
    """See that there is a browser, or end with exit code 1 and say what to do."""
    try:
        if "CHROME_PATH" not in os.environ:
            _install_what_is_missing()
        browser = find_browser_of_tests()
    except NoBrowser as exc:
        sys.exit(str(exc))
    sys.stderr.write(f"The browser of the tests: {browser}\n")


def _install_what_is_missing() -> None:
    """Install the headless shell where it is a package, and any browser if there is none."""
    if not find_shell() and os.geteuid() == 0 and _is_debian():
        _run_all(_DEBIANS_SHELL)
    try:
        find_browser_of_tests()
    except NoBrowser:
        install_browser()


if __name__ == "__main__":
    main()
