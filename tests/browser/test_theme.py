"""A team's own look and words, as settings and files make them: in the browser, light and dark."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from otp_app.theme import AA
from otp_app.theme.palette import Colour, contrast, palette, parse
from tests.browser.journey import PATIENCE
from tests.browser.server import Server, Site, copy_app
from tests.browser.tab import LIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page

YELLOW, BLACK, PINK = "#ffdd00", "#000000", "#f4a7c0"
PROMISE = "Kestrel texts you a code, and it costs nothing."
LOGO = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 32">
<style>path { fill: #111111 } @media (prefers-color-scheme: dark) { path { fill: #eeeeee } }</style>
<path d="M0 0h96v32H0z"/></svg>"""
SHEET = ":root { --radius-small: 1px; --hairline: light-dark(#010203, #040506); }"
TEXTS = """msgid "{brand} will send you a code to prove that the phone is yours."
msgstr "{brand} texts you a code, and it costs nothing."
"""
SETTINGS = {
    "OTP_PROVIDER": "console",
    "BRAND_NAME": "Kestrel",
    "BRAND_LOGO": "logo.svg",
    "BRAND_COLOR": YELLOW,
    "BRAND_RADIUS": "4",
    "HELP_URL": "tel:+1-415-555-2671",
    "TERMS_URL": "https://kestrel.example/terms",
}


@pytest.fixture(scope="module", name="team")
def build_team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app of a team that has set all it can, built once."""
    copy = tmp_path_factory.mktemp("kestrel")
    copy_app(copy)
    (copy / "assets/logo.svg").write_text(LOGO)
    (copy / "assets/theme.css").write_text(SHEET)
    (copy / "texts").mkdir()
    (copy / "texts/en.po").write_text(TEXTS)
    site = Site.new(tmp_path_factory.mktemp("site"))
    server = Server("kestrel", site, SETTINGS, copy)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def kestrel(team: Server, request: pytest.FixtureRequest) -> Server:
    """Return the team's app with its own colour, or with the colour that the test asks for."""
    brand: str = getattr(request, "param", YELLOW)
    if team.setting("BRAND_COLOR") != brand:
        team.restart(BRAND_COLOR=brand)
    return team


@pytest.fixture
def visit(browser: Browser, kestrel: Server) -> Iterator[Callable[..., Page]]:
    """Opens a page in the scheme asked for; at the end nothing may have been complained of."""
    contexts, complaints = [], []

    def open_page(path: str = "/", scheme: str = "light") -> Page:
        context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE * 1000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.extend(complaint(message)))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(kestrel.site.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


def complaint(message: ConsoleMessage) -> list[str]:
    """Return the text of an error or a warning.

    The result is empty for other messages, and for reports of HTTP statuses, because some of these
    pages have an error status on purpose.
    """
    is_wanted = "the server responded with a status of" in message.text
    return [message.text] if message.type in {"error", "warning"} and not is_wanted else []


def colour(element: Locator, what: str) -> Colour:
    css = element.evaluate("(element, what) => getComputedStyle(element)[what]", what)
    red, green, blue = map(int, re.findall(r"\d+", css)[:3])
    return Colour(red, green, blue)


def send_empty(page: Page) -> None:
    """Send the empty form by a plain post, so that the server itself renders the next page."""
    page.locator(LIVE).wait_for()
    page.evaluate("document.forms[0].submit()")
    page.get_by_role("alert").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("plain", [False, True], ids=["live", "plain"])
def test_the_brands_colours_are_on_the_page_and_can_be_read(
    visit: Callable[..., Page], scheme: str, plain: bool
) -> None:
    """A13: those that were worked out, in the pages of React and in our own."""
    page, made = visit(scheme=scheme), getattr(palette(parse(YELLOW)), scheme)
    if plain:
        send_empty(page)
    button, link = page.locator("button.primary"), page.locator(".links a").first

    assert colour(button, "backgroundColor") == made.fill
    assert colour(button, "borderTopColor") == made.brand
    assert colour(button, "color") == made.on_fill
    assert colour(link, "color") == made.brand
    ground = colour(page.locator("html"), "backgroundColor")
    assert contrast(colour(link, "color"), ground) >= AA
    assert contrast(colour(button, "color"), colour(button, "backgroundColor")) >= AA


@pytest.mark.parametrize("plain", [False, True], ids=["live", "plain"])
def test_what_the_teams_sheet_says_goes_before_the_settings(
    visit: Callable[..., Page], plain: bool
) -> None:
    page = visit()
    if plain:
        send_empty(page)

    card, field = page.get_by_role("main"), page.get_by_label("Mobile number")
    expect(card).to_have_css("border-top-left-radius", "4px")
    expect(field).to_have_css("border-top-left-radius", "1px")
    assert colour(card, "borderTopColor") == (1, 2, 3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_logo_is_there_in_its_size_and_the_name_is_heard_once(
    visit: Callable[..., Page], scheme: str
) -> None:
    page = visit(scheme=scheme)
    home = page.get_by_role("banner").get_by_role("link", name="Kestrel", exact=True)
    logo = home.locator("img")

    expect(logo).to_have_js_property("complete", value=True)
    box = logo.bounding_box()
    assert box
    assert (box["width"], box["height"]) == (96, 32)
    fill = {"light": (17, 17, 17), "dark": (238, 238, 238)}[scheme]
    assert pixel(page, box["x"] + 5, box["y"] + 5) == fill


def pixel(page: Page, x: float, y: float) -> tuple[int, ...]:
    """Return the red, green and blue of a pixel. The browser decodes its own screenshot for it."""
    shot = page.screenshot(clip={"x": x, "y": y, "width": 1, "height": 1})
    data = page.context.new_page()
    found = data.evaluate(
        """async (bytes) => {
          const image = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
          const canvas = new OffscreenCanvas(1, 1).getContext("2d");
          canvas.drawImage(image, 0, 0);
          return [...canvas.getImageData(0, 0, 1, 1).data];
        }""",
        list(shot),
    )
    return tuple(found[:3])


@pytest.mark.row("D8")
@pytest.mark.parametrize("path", ["/", "/nowhere", "/problem", "plain"])
def test_help_is_in_the_same_place_on_every_page(visit: Callable[..., Page], path: str) -> None:
    page = visit("/" if path == "plain" else path)
    if path == "plain":
        send_empty(page)

    links = page.get_by_role("contentinfo").locator(".links a")

    expect(links).to_have_text(["Help", "Terms"])
    expect(links.first).to_have_attribute("href", "tel:+1-415-555-2671")
    box = links.first.bounding_box()
    assert box
    assert box["height"] >= 24  # A10


def test_the_teams_words_are_there_before_and_after_the_script(
    visit: Callable[..., Page], kestrel: Server
) -> None:
    page = visit()
    page.locator(LIVE).wait_for()

    expect(page.get_by_role("main")).to_contain_text(PROMISE)
    assert PROMISE in page.request.get(kestrel.site.url).text()
    assert page.title() == "Enter your phone number – Kestrel"


@pytest.mark.row("A20")
def test_more_contrast_goes_before_the_settings(browser: Browser, kestrel: Server) -> None:
    """The rule of `app.css` for more contrast is more specific, though the settings come later."""
    with browser.new_context(contrast="more") as context:
        page = context.new_page()
        page.goto(kestrel.site.url)
        page.locator(LIVE).wait_for()

        hint = page.locator(".hint").first
        assert colour(hint, "color") == colour(page.locator("html"), "color")


@pytest.mark.parametrize(
    "kestrel", [BLACK, pytest.param(PINK, marks=pytest.mark.nightly)], indirect=True
)
def test_another_colour_takes_a_restart_and_no_build(
    visit: Callable[..., Page], kestrel: Server
) -> None:
    brand = kestrel.setting("BRAND_COLOR")
    page = visit(scheme="dark")

    button = page.locator("button.primary")
    assert colour(button, "backgroundColor") == palette(parse(brand)).dark.fill
    assert brand in page.request.get(f"{kestrel.site.url}/favicon.svg").text()
    expect(page.locator("meta[name=theme-color]")).to_have_attribute("content", brand)
