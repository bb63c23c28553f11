"""Whatever axe-core can find that keeps people out is on no page, in no state, however it is shown.

https://github.com/dequelabs/axe-core, which comes in the package axe-playwright-python.
"""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from tests.browser.providers import console_only
from tests.browser.shown import Shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from playwright.sync_api import Page

    from tests.browser.journey import Journey

pytestmark = console_only

WIDTHS = (320, 360, 1280)  # CSS pixels
COLOURS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "forced_colors": "none"},
    "dark": {"color_scheme": "dark", "forced_colors": "none"},
    "forced": {"color_scheme": "light", "forced_colors": "active"},
}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ALL_RULES = {"type": "tag", "values": TAGS}
RULES_OF_COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}


class Look(NamedTuple):
    """A set of colours, a width, and axe's rules that are checked there."""

    colours: str
    width: int
    rules: dict[str, Any] = ALL_RULES


SOME_LOOKS = (
    Look("light", 320),
    Look("dark", 360, RULES_OF_COLOURS),
    Look("forced", 1280, RULES_OF_COLOURS),
)
"""The colours change the results of two rules. All other rules see the same page in every look."""

OTHER_LOOKS = tuple(
    Look(colours, width)
    for colours, width in product(COLOURS, WIDTHS)
    if (colours, width) != SOME_LOOKS[0][:2]
)

_RUN = """(async () => {{
    const {{ violations }} = await axe.run(document, {{
        runOnly: {rules}, resultTypes: ["violations"],
        preload: {preload} }})
    return violations.flatMap(({{ id, nodes }}) => nodes.map(({{ target, failureSummary }}) =>
        `${{id}} at ${{target}}: ${{failureSummary}}`))
}})()"""

_WITHOUT_TIMERS = (
    "setTimeout = (run, _, ...values) => void Promise.resolve().then(() => run(...values))"
)
"""A replacement of `setTimeout`, because no timer fires in a page whose scripts are off.

Such a page runs no callback of `queueMicrotask` either, and loads no file.
"""


@pytest.mark.row("A1")
@pytest.mark.parametrize(
    "looks",
    [
        pytest.param(SOME_LOOKS, id="some looks"),
        pytest.param(OTHER_LOOKS, id="other looks", marks=pytest.mark.nightly),
    ],
)
def test_axe_finds_nothing(shown: Shown, looks: Iterable[Look]) -> None:
    assert_axe_finds_nothing(shown, looks)


@pytest.mark.row("A1")
@pytest.mark.parametrize("path", ["/phone", "/api/docs"])
def test_axe_finds_nothing_on_the_pages_for_developers(journey: Journey, path: str) -> None:
    page = journey.open(path).page
    page.wait_for_load_state("networkidle")

    assert_axe_finds_nothing(Shown(path, page), SOME_LOOKS)


def assert_axe_finds_nothing(shown: Shown, looks: Iterable[Look]) -> None:
    """Check the page in each of these *looks*."""
    page = shown.page
    if not shown.has_scripts:
        evaluate(page, _WITHOUT_TIMERS)
    evaluate(page, AXE_SCRIPT)
    preload = str(shown.has_scripts).lower()

    found: list[str] = []
    for colours, width, rules in looks:
        shown.resize(width, 800)
        shown.emulate(reduced_motion="reduce", **COLOURS[colours])
        run = _RUN.format(rules=json.dumps(rules), preload=preload)
        found += (f"{colours}, {width} px: {violation}" for violation in evaluate(page, run))

    assert not found, "\n".join(found)


def evaluate(page: Page, script: str) -> Any:  # noqa: ANN401 - JSON
    """Return the value of *script*, evaluated in *page*.

    The evaluation works under the page's content security policy and with scripts turned off.
    """
    protocol = page.context.new_cdp_session(page)
    answer = protocol.send(
        "Runtime.evaluate",
        {"expression": script, "awaitPromise": True, "returnByValue": True},
    )
    assert "exceptionDetails" not in answer, answer
    return answer["result"].get("value")
