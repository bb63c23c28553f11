"""A page in one of its states, which tests may look at in many ways."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, ViewportSize

ASK = Path(__file__).with_name("every_page.js").read_text()
SMALL: ViewportSize = {"width": 320, "height": 640}  # 1280 px at 400 %

_PLAIN: dict[str, Any] = {
    "media": "null",
    "color_scheme": "null",
    "forced_colors": "null",
    "reduced_motion": "null",
    "contrast": "null",
}
_DRAWN = "() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
_RESTYLE = """css => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    document.adoptedStyleSheets = [sheet];
}"""


class Shown:
    """The page with the *name* of its state. `restore` undoes what the other methods change.

    *has_scripts* is false in a browser whose scripts are off.
    """

    def __init__(self, name: str, page: Page, *, has_scripts: bool = True) -> None:
        self.name = name
        self.page = page
        self.has_scripts = has_scripts
        self._undo: list[Callable[[], object]] = []
        page.evaluate(ASK)

    def ask(self, question: str) -> Any:  # noqa: ANN401 - JSON
        """Return the result of the function of `every_page.js` that *question* calls."""
        return self.page.evaluate(f"ask.{question}")

    def emulate(self, **media: Any) -> None:  # noqa: ANN401 - what Playwright's emulate_media takes
        """Emulate a browser with these preferences, and wait until the page is drawn anew."""
        self._undo.append(lambda: self.page.emulate_media(**_PLAIN))
        self.page.emulate_media(**media)
        self.wait_until_drawn()

    def resize(self, width: int, height: int) -> None:
        """Set the size of the window, in CSS pixels."""
        self._undo.append(lambda: self.page.set_viewport_size(SMALL))
        self.page.set_viewport_size({"width": width, "height": height})

    def restyle(self, css: str) -> None:
        """Add *css* to the page's own styles, as a person's browser does."""
        self._undo.append(lambda: self.page.evaluate(_RESTYLE, ""))
        self.page.evaluate(_RESTYLE, css)

    def mirror(self) -> None:
        """Set the direction of the page to right-to-left."""
        self._undo.append(lambda: self.page.evaluate("document.documentElement.dir = 'ltr'"))
        self.page.evaluate("document.documentElement.dir = 'rtl'")

    def wait_until_drawn(self) -> None:
        """Wait until the page is drawn.

        Before that, a page that updates by itself can have a mix of old and new colours.
        """
        if self.has_scripts:  # no callback comes where they are off
            self.page.evaluate(_DRAWN)

    def restore(self) -> None:
        """Undo everything, the last change first."""
        while self._undo:
            self._undo.pop()()
