"""Whatever axe-core can find that keeps people out is on no page, in no state, however it is shown.

https://github.com/dequelabs/axe-core, which comes in the package axe-playwright-python.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from tests.browser.providers import console_only
from tests.browser.states import STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from playwright.sync_api import Page

    from tests.browser.journey import Journey

pytestmark = console_only

WIDTHS = (320, 360, 1280)  # CSS pixels
COLOURS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "forced_colors": "none"},
    "dark": {"color_scheme": "dark", "forced_colors": "none"},
    "forced": {"color_scheme": "light", "forced_colors": "active"},
}
EVERY_LOOK = tuple(product(COLOURS, WIDTHS))
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# A page that updates by itself can be between the old colours and the new.
_DRAWN = "new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
_RUN = """(async () => {{
    const {{ violations }} = await axe.run(document, {{
        runOnly: {{ type: "tag", values: {tags} }}, resultTypes: ["violations"],
        preload: {preload} }})
    return violations.flatMap(({{ id, nodes }}) => nodes.map(({{ target, failureSummary }}) =>
        `${{id}} at ${{target}}: ${{failureSummary}}`))
}})()"""

_WITHOUT_TIMERS = (
    "setTimeout = (run, _, ...values) => void Promise.resolve().then(() => run(...values))"
)
"""Where a page's scripts are off no timer comes, no callback of `queueMicrotask`, no file."""


@pytest.mark.parametrize("name", STATES)
def test_a1_axe_finds_nothing(start_journey: Callable[..., Journey], name: str) -> None:
    state = STATES[name]
    page = state.bring(start_journey(**state.options))

    assert_axe_finds_nothing(page, scripted=state.options.get("java_script_enabled", True))


@pytest.mark.parametrize("path", ["/phone", "/api/docs"])
def test_a1_axe_finds_nothing_on_the_pages_for_developers(journey: Journey, path: str) -> None:
    page = journey.open(path).page
    page.wait_for_load_state("networkidle")

    assert_axe_finds_nothing(page, zip(COLOURS, WIDTHS, strict=True))


def assert_axe_finds_nothing(
    page: Page, looks: Iterable[tuple[str, int]] = EVERY_LOOK, *, scripted: bool = True
) -> None:
    """In none of these *looks*: colours and a width."""
    if not scripted:
        evaluate(page, _WITHOUT_TIMERS)
    evaluate(page, AXE_SCRIPT)
    run = _RUN.format(tags=TAGS, preload=str(scripted).lower())

    found: list[str] = []
    for colours, width in looks:
        page.emulate_media(reduced_motion="reduce", **COLOURS[colours])
        page.set_viewport_size({"width": width, "height": 800})
        if scripted:
            evaluate(page, _DRAWN)
        found += (f"{colours}, {width} px: {violation}" for violation in evaluate(page, run))

    assert not found, "\n".join(found)


def evaluate(page: Page, script: str) -> Any:  # noqa: ANN401 - JSON
    """What *script* is worth in *page*; neither its policy nor scripts that are off stop it."""
    protocol = page.context.new_cdp_session(page)
    answer = protocol.send(
        "Runtime.evaluate",
        {"expression": script, "awaitPromise": True, "returnByValue": True},
    )
    assert "exceptionDetails" not in answer, answer
    return answer["result"].get("value")
