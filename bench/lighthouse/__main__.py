"""Measures the pages with Lighthouse, prints the medians and fails below the required scores.

The pages are built for production and visited three times each, which takes about three minutes on
two cores. Codes are sent by the emulator of Twilio, because pages with the console provider have
links that production does not have.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.browser.install import NoBrowser, find_browser
from tests.browser.numbers import Number, new_numbers
from tests.browser.providers import settings_of
from tests.browser.server import BIN, Server, Site
from tests.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROUNDS = 3
ROUND = 300.0  # timeout in seconds; a round takes about 35 on two idle cores

CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
METRICS = ("fcp", "lcp", "tbt", "cls")
_HEAD = ("page", "how", *CATEGORIES, *(name.upper() for name in METRICS))

_OPENED = {"performance": 97, "accessibility": 100, "best-practices": 100, "seo": 100}
_SHOWN = {name: floor for name, floor in _OPENED.items() if name != "performance"}
_POSTED = {name: _OPENED[name] for name in ("performance", "accessibility")}
BARS = {
    ("phone page", "navigation"): _OPENED,
    ("code page", "navigation"): _OPENED,
    # Errors that appear in a loaded page are measured as a snapshot, which has no performance.
    ("phone page, error", "snapshot"): _SHOWN,
    ("code page, error", "snapshot"): _SHOWN,
    # Without scripts, the same errors are pages with the status 422, which costs points in
    # best-practices and seo.
    ("phone page, error", "navigation"): _POSTED,
    ("code page, error", "navigation"): _POSTED,
}
"""The lowest accepted score of each relevant category, by page and Lighthouse mode."""

CLS = 0.02
"""The highest accepted layout shift of a page: https://web.dev/articles/cls rates 0.1 as good."""


class Result(NamedTuple):
    """The medians of one page. Metrics are in milliseconds, except the layout shift (no unit)."""

    page: str
    mode: str
    scores: dict[str, float]
    metrics: dict[str, float]
    failed: list[str]

    def shortfalls(self) -> Iterator[str]:
        """Yield a text for each score that is too low, and for a layout shift that is too high."""
        for name, floor in BARS[self.page, self.mode].items():
            if self.scores[name] < floor:
                yield f"{name} {self.scores[name]:.0f} < {floor} ({', '.join(self.failed)})"
        if (shift := self.metrics.get("cls", 0)) > CLS:
            yield f"layout shift {shift:.3f} > {CLS}"


def main() -> None:
    """Print the table in `docs/performance.md`, and exit with the shortfalls if there are any."""
    results = list(medians([visits(*place) for place in places()]))
    lines = [_HEAD, ["---"] * len(_HEAD), *map(_cells, results)]
    sys.stdout.writelines(f"| {' | '.join(line)} |\n" for line in lines)
    sys.stdout.write(f"\nload average of the last minute: {os.getloadavg()[0]:.1f}\n")
    sys.exit("\n".join(_complaints(results)) or None)


def places() -> Iterator[tuple[str, Number]]:
    """Start the app, and yield its address and a number to send to for each round."""
    with tempfile.TemporaryDirectory(prefix="otp_app-") as folder, Emulator() as emulator:
        site = Site.new(Path(folder))
        server = Server("twilio", site, settings_of("twilio", emulator.url, site.url))
        server.start()
        try:
            yield from ((site.url, number) for number in islice(new_numbers(), ROUNDS))
        finally:
            server.stop()


def visits(url: str, number: Number) -> list[dict[str, Any]]:
    """Run `measure.mjs` in a new browser and return its measurements, one for each page."""
    program = (BIN / "bun", HERE / "measure.mjs")
    command = [*map(str, program), url, str(find_browser()), number.typed]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=ROUND, check=True)
    measured: list[dict[str, Any]] = json.loads(done.stdout)
    return measured


def medians(rounds: list[list[dict[str, Any]]]) -> Iterator[Result]:
    """Yield the medians of each page, with every audit that failed in at least one round."""
    for same in zip(*rounds, strict=True):
        yield Result(
            page=same[0]["page"],
            mode=same[0]["mode"],
            scores=_medians([visit["scores"] for visit in same]),
            metrics=_medians([visit["metrics"] for visit in same]),
            failed=sorted({audit for visit in same for audit in visit["failed"]}),
        )


def _medians(figures: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure. On a busy machine a visit may lack a figure."""
    names = dict.fromkeys(name for each in figures for name in each)
    return {name: median(each[name] for each in figures if name in each) for name in names}


def _complaints(results: list[Result]) -> Iterator[str]:
    for result in results:
        for shortfall in result.shortfalls():
            yield f"{result.page}, {result.mode}: {shortfall}"


def _cells(result: Result) -> list[str]:
    bar = BARS[result.page, result.mode]
    scores = [f"{result.scores[name]:.0f}" if name in bar else "–" for name in CATEGORIES]
    return [result.page, result.mode, *scores, *(_metric(result, name) for name in METRICS)]


def _metric(result: Result, name: str) -> str:
    if name not in result.metrics:
        return "–"
    return f"{result.metrics[name]:.3f}" if name == "cls" else f"{result.metrics[name]:.0f} ms"


if __name__ == "__main__":
    try:
        main()
    except NoBrowser as exc:
        sys.exit(str(exc))
