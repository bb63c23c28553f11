"""Pictures of every page in every state: `make gallery` fills docs/gallery. Some four minutes.

`python -m tests.browser.gallery "code error" locked` renders these states only.

Fonts are the machine's. A Debian that shows boxes for Arabic or Japanese has none of them:
`apt-get install fonts-noto-core fonts-noto-cjk`.
"""

from __future__ import annotations

import io
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.inbox import ConsoleInbox
from tests.browser.install import NoBrowser, find_browser
from tests.browser.journey import PATIENCE, TIME_ZONE, Journey
from tests.browser.numbers import new_numbers
from tests.browser.providers import settings_of
from tests.browser.server import ROOT, Server, Site
from tests.browser.states import STATES
from tests.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from playwright.sync_api import Page

    Start = Callable[..., Journey]

FOLDER = ROOT / "docs" / "gallery"
COLOURS = 64  # of a picture; with fewer, a button that waits looks like any other


class View(NamedTuple):
    """One way to look at a state: the language, the width in CSS pixels, the colours."""

    language: str
    width: int
    scheme: Any

    @property
    def title(self) -> str:
        """The heading of the view in the index."""
        return f"{LANGUAGES[self.language]}, {self.width} px, {self.scheme}"

    def file(self, state: str) -> str:
        """The file name of the picture of *state* in this view."""
        return f"{state.replace(' ', '-')}.{self.language}.{self.width}.{self.scheme}.png"


NARROW, WIDE = 320, 1280
LANGUAGES = {"en": "English", "de": "German", "ar": "Arabic"}  # German is long, Arabic mirrored
VIEWS = [
    *(View("en", width, scheme) for width in (NARROW, WIDE) for scheme in ("light", "dark")),
    *(View(language, NARROW, "light") for language in ("de", "ar")),
    *(View(language, WIDE, "dark") for language in ("de", "ar")),
]

_HEAD = """# Every page in every state

Made by `make gallery`: English light and dark, narrow and wide, and of a long language and one that
is written from right to left a narrow light and a wide dark one each.
"""


def main(names: list[str]) -> None:
    """Render the states with these *names*, or all anew, and the index of all."""
    if unknown := set(names) - set(STATES):
        sys.exit(f"There is no state {', '.join(unknown)}. There are: {', '.join(STATES)}.")
    FOLDER.mkdir(exist_ok=True)
    for old in () if names else FOLDER.glob("*.png"):
        old.unlink()
    with ExitStack() as stack:
        start = people(stack)
        for name in names or STATES:
            sys.stdout.write(f"{name}\n")
            render(name, start)
    (FOLDER / "README.md").write_text(index(STATES))
    size = sum(picture.stat().st_size for picture in FOLDER.glob("*.png")) / 1e6
    sys.stdout.write(f"{size:.1f} MB in {FOLDER}\n")


def people(stack: ExitStack) -> Start:
    """Return a function that begins journeys through a production build, until *stack* closes."""
    path = find_browser()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="otp_app-")))
    emulator = stack.enter_context(Emulator())
    site = Site.new(folder)
    server = Server("console", site, settings_of("console", emulator.url, site.url))
    stack.callback(server.stop)
    server.start()
    playwright = stack.enter_context(sync_playwright())
    browser = stack.enter_context(playwright.chromium.launch(executable_path=path))
    numbers = new_numbers()

    def start(**options: Any) -> Journey:  # noqa: ANN401 - whatever Playwright takes
        context = browser.new_context(timezone_id=TIME_ZONE.key, **options)
        context.set_default_timeout(PATIENCE * 1000)
        return Journey(context, server, emulator, ConsoleInbox(server.log), numbers)

    return start


def render(name: str, start: Start) -> None:
    """Write all pictures of one state. Each language takes one journey to the state."""
    state = STATES[name]
    for language in LANGUAGES:
        # The region is the United States, because the numbers of the tests are American.
        journey = start(locale=f"{language}-US", reduced_motion="reduce", **state.options)
        page = state.bring(journey)
        for view in VIEWS:
            if view.language == language:
                (FOLDER / view.file(name)).write_bytes(small(picture(page, view)))
        journey.context.close()


def picture(page: Page, view: View) -> bytes:
    """Return a PNG of the whole page, in the width and colours of *view*."""
    page.emulate_media(color_scheme=view.scheme)
    page.set_viewport_size({"width": view.width, "height": 1})
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": view.width, "height": height})  # a banner is at its end
    return page.screenshot()


def small(png: bytes) -> bytes:
    """The same picture in a fraction of the bytes."""
    smaller = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(smaller, "png", optimize=True)
    return smaller.getvalue()


def index(states: Iterable[str]) -> str:
    """The README of the folder: a table of all pictures."""
    columns = [view.title for view in VIEWS]
    rows = [[f"**{state}**", *(_shown(view, state) for view in VIEWS)] for state in states]
    lines = [["", *columns], ["---"] * (len(VIEWS) + 1), *rows]
    return f"{_HEAD}\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _shown(view: View, state: str) -> str:
    file = view.file(state)
    width = 120 if view.width == NARROW else 300
    return f'<a href="{file}"><img src="{file}" width="{width}" alt="{state}, {view.title}"></a>'


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except NoBrowser as exc:
        sys.exit(str(exc))
