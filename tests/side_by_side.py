"""Runs all tests in parallel pytest processes: `make test`, or `make nightly` with --nightly.

Arguments are passed to each process. Progress is printed at once, all other output of a process in
one piece when the process ends. The last line has the totals.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".pytest_cache"
LAST_FAILED = "v/cache/lastfailed"  # in the cache directory; `pytest --lf` reads the file

_PAGES = [
    f"tests/browser/test_{name}.py"
    for name in ("axe", "code_page", "csp", "every_page", "for_everybody", "phone_page", "secrets")
]

PROCESSES = {
    "services": ["tests/attacks", "tests/browser", "-m", "not console"],
    "pages": [*_PAGES, "-m", "console"],
    "console": ["tests/browser", "-m", "console", *(f"--ignore={path}" for path in _PAGES)],
    "backend": ["tests/backend", "tests/contract"],
    "unit": ["tests/unit"],
}
"""The tests of each process. The first three processes build the pages and use a browser."""

TESTS_FAILED = 1  # pytest's exit code

_PROGRESS = re.compile(r"\[ *\d+%\]$")
_COUNTS = re.compile(r"(\d+) (passed|failed|skipped|errors?|warnings?|xfailed|xpassed)\b")
_ORDER = ("failed", "error", "passed", "skipped", "xfailed", "xpassed", "warning")

_printing = threading.Lock()


class Ended(NamedTuple):
    """The result of one process.

    Attributes:
        code: the exit code.
        counts: the numbers of pytest's closing line, by pytest's words, such as "passed".
    """

    code: int
    counts: Counter[str]


class Run(threading.Thread):
    """One pytest process and the printing of its output. `ended` is set when the process ends."""

    def __init__(self, name: str, arguments: list[str]) -> None:
        super().__init__(name=name)
        self.ended: Ended | None = None
        self.cache = CACHE / "side_by_side" / name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={self.cache}", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self) -> None:
        """Print progress at once, and all other output at the end."""
        rest: list[str] = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if _PROGRESS.search(line):
                _print(f"{self.name:>8} {line}")
            else:
                rest.append(line)
        code = self._process.wait()
        closing = rest[-1] if rest else ""
        _print(f"\n----- {self.name}: exit code {code} -----\n{''.join(rest)}\n")
        self.ended = Ended(code, counts(closing))


def counts(closing: str) -> Counter[str]:
    """Return the numbers in pytest's *closing* line, such as "1 failed, 2 passed in 0.12s"."""
    found = Counter[str]()
    for number, word in _COUNTS.findall(closing):
        found[word if word.endswith("ed") else word.removesuffix("s")] += int(number)
    return found


def total(ended: list[Ended], seconds: float) -> str:
    """Return one closing line for all processes, in pytest's format."""
    found = sum((one.counts for one in ended), Counter[str]())
    parts = [f"{found[word]} {word}" for word in _ORDER if found[word]]
    if broken := sum(one.code not in (0, TESTS_FAILED) for one in ended):
        parts.insert(0, f"{broken} of {len(ended)} processes broken off")
    return f"{', '.join(parts)} in {seconds:.0f}s"


def keep_failures(runs: list[Run]) -> None:
    """Write the failures of all *runs* to the file that `pytest --lf` reads."""
    failed: dict[str, bool] = {}
    for run in runs:
        with suppress(FileNotFoundError):
            failed |= json.loads((run.cache / LAST_FAILED).read_text())
    path = CACHE / LAST_FAILED
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(failed, indent=2))


def main(arguments: list[str]) -> int:
    """Run all tests. Return 0 if each process ended with 0."""
    began = time.monotonic()
    shutil.rmtree(CACHE / "side_by_side", ignore_errors=True)
    runs = [Run(name, [*own, *arguments]) for name, own in PROCESSES.items()]
    for run in runs:
        run.start()
    _wait_for(runs)
    keep_failures(runs)
    ended = [run.ended for run in runs if run.ended]
    _print(f"{total(ended, time.monotonic() - began)}\n")
    return max(one.code != 0 for one in ended)


def _wait_for(runs: list[Run]) -> None:
    """Wait until all processes have ended. Ctrl-C reaches them directly, and they end normally."""
    for run in runs:
        while run.is_alive():
            with suppress(KeyboardInterrupt):
                run.join()


def _print(text: str) -> None:
    with _printing:
        sys.stdout.write(text)
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
