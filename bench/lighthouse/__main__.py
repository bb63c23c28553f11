"""Build the pages for production, visit each three times, write the medians; fail below the bar.

Some three minutes on two cores. Sends by Twilio's emulator: the console provider's pages have links
that production has not.
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
ROUND = 300.0  # seconds; some 35 on two quiet cores

CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
METRICS = ("fcp", "lcp", "tbt", "cls")
_HEAD = ("page", "how", *CATEGORIES, *(name.upper() for name in METRICS))

_OPENED = {"performance": 97, "accessibility": 100, "best-practices": 100, "seo": 100}
_SHOWN = {name: floor for name, floor in _OPENED.items() if name != "performance"}
_POSTED = {name: _OPENED[name] for name in ("performance", "accessibility")}
BARS = {
    ("phone page", "navigation"): _OPENED,
    ("code page", "navigation"): _OPENED,
    # An error that comes while the page is live: a snapshot has no speed.
    ("phone page, error", "snapshot"): _SHOWN,
    ("code page, error", "snapshot"): _SHOWN,
    # The same without scripts: its status, 422, is a fault to the other two.
    ("phone page, error", "navigation"): _POSTED,
    ("code page, error", "navigation"): _POSTED,
}
"""The least score of each category that counts, by page and Lighthouse's mode."""

CLS = 0.02
"""The most that a page may shift: https://web.dev/articles/cls calls 0.1 good."""


class Result(NamedTuple):
    """The medians of one page; `metrics` in milliseconds, but for the layout shift."""

    page: str
    mode: str
    scores: dict[str, float]
    metrics: dict[str, float]
    failed: list[str]

    def shortfalls(self) -> Iterator[str]:
        """Each figure that is on the wrong side of its bar."""
        for name, floor in BARS[self.page, self.mode].items():
            if self.scores[name] < floor:
                yield f"{name} {self.scores[name]:.0f} < {floor} ({', '.join(self.failed)})"
        if (shift := self.metrics.get("cls", 0)) > CLS:
            yield f"layout shift {shift:.3f} > {CLS}"


def main() -> None:
    """Write the table of `docs/performance.md`, and what to look at where a page falls short."""
    results = list(medians([visits(*place) for place in places()]))
    lines = [_HEAD, ["---"] * len(_HEAD), *map(_cells, results)]
    sys.stdout.writelines(f"| {' | '.join(line)} |\n" for line in lines)
    sys.stdout.write(f"\nload average of the last minute: {os.getloadavg()[0]:.1f}\n")
    sys.exit("\n".join(_complaints(results)) or None)


def places() -> Iterator[tuple[str, Number]]:
    """The address of the running app, and a number to send to: once for each round."""
    with tempfile.TemporaryDirectory(prefix="otp_app-") as folder, Emulator() as emulator:
        site = Site.new(Path(folder))
        server = Server("twilio", site, settings_of("twilio", emulator.url, site.url))
        server.start()
        try:
            yield from ((site.url, number) for number in islice(new_numbers(), ROUNDS))
        finally:
            server.stop()


def visits(url: str, number: Number) -> list[dict[str, Any]]:
    """What `measure.mjs` writes: each page once, in a browser of its own."""
    program = (BIN / "bun", HERE / "measure.mjs")
    command = [*map(str, program), url, str(find_browser()), number.typed]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=ROUND, check=True)
    measured: list[dict[str, Any]] = json.loads(done.stdout)
    return measured


def medians(rounds: list[list[dict[str, Any]]]) -> Iterator[Result]:
    """Of each page: the median of each figure, and every audit that failed in any round."""
    for same in zip(*rounds, strict=True):
        yield Result(
            page=same[0]["page"],
            mode=same[0]["mode"],
            scores=_medians([visit["scores"] for visit in same]),
            metrics=_medians([visit["metrics"] for visit in same]),
            failed=sorted({audit for visit in same for audit in visit["failed"]}),
        )


def _medians(figures: list[dict[str, float]]) -> dict[str, float]:
    """Of those that there are: on a busy machine a visit may come without one."""
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
