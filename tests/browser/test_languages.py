"""Pages in the person's language, from their first byte on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from otp_app.i18n import languages, likely_country
from tests.browser.inbox import ConsoleInbox
from tests.browser.journey import TIME_ZONE, Journey
from tests.browser.providers import console_only, settings_of
from tests.browser.pseudo import TAG, copy_with_pseudo
from tests.browser.server import Server
from tests.browser.tab import LIVE, Step, Tab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from otp_app.i18n import Language
    from tests.browser.numbers import Number
    from tests.browser.server import Site
    from tests.emulator import Emulator

pytestmark = console_only

BRAND = "MyApp"
ZONE = "Hindujo"  # as CLDR calls the time zone of the journeys
WRONG_CODES = 5
FITS = "document.documentElement.scrollWidth <= innerWidth"

# A function that returns all text that a person can read or hear, without the names of countries
# and languages and without the brand.
READ = """() => {
  const found = [document.title];
  for (const meta of document.querySelectorAll("meta[name=description]")) found.push(meta.content);
  const walk = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element.matches("script, style, option, .brand, .languages button")) continue;
      if (element.closest("main [lang=en]")) continue;  // for developers only
      for (const name of ["aria-label", "alt", "title", "placeholder"])
        if (element.hasAttribute(name)) found.push(element.getAttribute(name));
      for (const node of element.childNodes)
        if (node.nodeType === Node.TEXT_NODE)
          found.push(node.data.replace(/<[^>]*>/g, ""));  // a noscript's markup is text
      if (element.shadowRoot) found.push(element.shadowRoot.textContent);
    }
  };
  walk(document.body);
  return found;
}"""


@pytest.mark.parametrize("language", languages().values(), ids=lambda language: language.tag)
def test_a_page_is_in_the_language_before_and_after_its_script_takes_over(
    start_journey: Callable[..., Journey], language: Language
) -> None:
    words = language.t("Enter your phone number")
    journey = start_journey(locale=language.tag, viewport={"width": 320, "height": 640})
    tab = Tab(journey.context.new_page())

    arrived = tab.page.goto(journey.server.site.url)
    assert arrived is not None
    html = arrived.text()
    tab.page.locator(LIVE).wait_for()

    assert f'<html dir="{language.direction}" lang="{language.tag}">' in html
    assert f">{words}</h1>" in html
    expect(tab.heading).to_have_text(words)
    expect(tab.page.locator("#country option")).to_have_count(len(language.countries()))
    assert tab.page.title().startswith(words)
    assert tab.page.evaluate(FITS)


@pytest.mark.parametrize("locale", ["de-AT", "ar-EG", "zh-Hans-SG"])
def test_the_country_is_the_likely_one(start_journey: Callable[..., Journey], locale: str) -> None:
    page = start_journey(locale=locale).open().page
    page.locator(LIVE).wait_for()

    expect(page.locator("#country")).to_have_value(locale[-2:])


def test_the_likely_country_is_selected_before_any_file_has_come(
    start_journey: Callable[..., Journey],
) -> None:
    """S12: it is not in the HTML, which is kept for everybody who speaks the language."""
    journey = start_journey(locale="de-AT")
    journey.expect("net::ERR_FAILED", "csp")
    page = journey.context.new_page()
    page.route("**/assets/*.js", lambda route: route.abort())

    page.goto(journey.server.site.url, wait_until="domcontentloaded")

    assert page.evaluate("document.querySelector('#country').value") == "AT"
    assert page.evaluate("document.querySelector('#country [selected]').value") == "US"


@pytest.mark.parametrize(
    "tags",
    [
        ["de-AT", "en-US"],
        ["de"],
        ["zh-Hant"],
        ["zh-Hans-SG"],
        ["es-419", "es-MX"],
        ["eo", "pl"],
        ["x-nothing", "no tag", "fr-BE"],
        ["en-001", "ar"],
        ["sr-Latn", "ja"],
        ["en-XX", "hi"],
        [],
    ],
)
def test_the_browser_finds_the_country_that_the_server_would(
    journey: Journey, tags: list[str]
) -> None:
    """S12: for plain forms the server has to find it."""
    page = journey.open().page

    found = page.evaluate(
        """(languages) => {
          Object.defineProperty(navigator, "languages", { value: languages });
          const options = [...document.querySelectorAll("#country option")];
          return likelyCountry(options.map(({ value }) => value));
        }""",
        tags,
    )

    assert (found or "US") == likely_country(",".join(tags), frozenset(), "US")


def test_the_country_is_the_likely_one_after_another_page_too(
    start_journey: Callable[..., Journey],
) -> None:
    journey = start_journey(locale="en-GB")
    tab = journey.open()
    tab.phone.fill(journey.number.e164)
    tab.send.click()
    tab.wait_for(Step.CODE)
    tab.page.reload()
    tab.wait_for(Step.CODE)

    tab.change_number.click()

    tab.wait_for(Step.PHONE)
    expect(tab.country).to_have_value("GB")


def test_without_scripts_the_country_is_the_operators(
    start_journey: Callable[..., Journey],
) -> None:
    journey = start_journey(locale="en-GB", java_script_enabled=False)
    journey.expect("csp http")  # the scripts that are not run

    expect(journey.open().country).to_have_value("US")


def test_a_chosen_language_keeps_the_step_and_stays(journey: Journey) -> None:
    tab = journey.at_the_code_page()

    tab.page.get_by_role("button", name="Polski").click()

    polish = languages()["pl"]
    expect(tab.heading).to_have_text(polish.t("Check your phone"))
    tab.page.locator(LIVE).wait_for()
    tab.page.reload()
    expect(tab.heading).to_have_text(polish.t("Check your phone"))
    tab.page.locator(LIVE).wait_for()
    tab.page.locator("#code").fill("letters")
    tab.page.get_by_role("button", name=polish.t("Continue")).click()
    tab.wait_for_problem(polish.t("The code has only numbers"))
    assert len(journey.deliveries()) == 1


def test_a_language_can_be_chosen_without_scripts(start_journey: Callable[..., Journey]) -> None:
    journey = start_journey(java_script_enabled=False)
    journey.expect("csp http", "422")  # the scripts that are not run; the number that is missing
    tab = journey.open()

    tab.page.get_by_role("button", name="العربية").click()

    arabic = languages()["ar"]
    expect(tab.heading).to_have_text(arabic.t("Enter your phone number"))
    expect(tab.page.locator("html")).to_have_attribute("dir", "rtl")
    tab.page.get_by_role("button", name=arabic.t("Send code")).click()
    expect(tab.problem).to_contain_text(arabic.t("Enter your mobile number"))


def test_seconds_are_counted_with_their_plural(start_journey: Callable[..., Journey]) -> None:
    journey = start_journey(locale="ar")
    page = journey.open().page
    page.locator(LIVE).wait_for()

    said = page.evaluate(
        "[1, 2, 3, 11, 100].map((seconds) => "
        "t('You can get another code in {seconds} second', { seconds }))"
    )

    arabic = languages()["ar"]
    english = "You can get another code in {seconds} second"
    assert said == [arabic.t(english, seconds=n) for n in (1, 2, 3, 11, 100)]


@pytest.fixture
def pseudo_server(server: Server, site: Site, tmp_path: Path) -> Iterator[Server]:
    """The same pages, served by a copy of the app that knows one language more."""
    server.stop()
    settings = settings_of("console", "", site.url)
    other = Server("pseudo", site, settings, copy_with_pseudo(tmp_path / "copy"))
    other.restart()
    yield other
    other.stop()
    server.restart()


def test_no_words_escape_the_catalogues(
    browser: Browser, pseudo_server: Server, emulator: Emulator, numbers: Iterator[Number]
) -> None:
    context = browser.new_context(
        locale=TAG, viewport={"width": 320, "height": 640}, timezone_id=TIME_ZONE.key
    )
    inbox = ConsoleInbox(pseudo_server.log)
    journey = Journey(context, pseudo_server, emulator, inbox, numbers)
    journey.expect("404")
    page, url = context.new_page(), pseudo_server.site.url

    page.goto(url)
    assert_disguised(page, LIVE)
    send(page, "phone", "")
    assert_disguised(page, "[role=alert]")
    send(page, "phone", journey.number.typed)
    assert_disguised(page, f"#code, {LIVE}")
    send(page, "code", "letters")
    assert_disguised(page, "[role=alert]")
    page.locator("#resend button").first.click(force=True)  # it waits
    assert_disguised(page, ".status:not(:empty)")
    page.locator("main a").last.click()
    assert_disguised(page, ".note")

    page.goto(f"{url}/code")
    page.locator(LIVE).wait_for()
    journey.later(600)
    send(page, "code", journey.sent_code())
    assert_disguised(page, ".actions .primary")
    page.locator(".actions .primary").click()
    page.locator(LIVE).wait_for()
    for _ in range(WRONG_CODES):
        send(page, "code", journey.wrong_code())
        page.locator("[role=alert], h1 + p + p + .actions").wait_for()
    assert_disguised(page, "h1 + p + p + .actions")

    page.locator("[data-forget]").click()
    page.locator(LIVE).wait_for()
    send(page, "phone", journey.other_number.typed)
    page.locator(f"{LIVE} #code").wait_for()
    send(page, "code", journey.sent_code(journey.other_number))
    assert_disguised(page, ".tick")
    for path in ("/nowhere", "/problem"):
        page.goto(url + path)
        assert_disguised(page, "h1")
    assert not journey.end()


def send(page: Page, field: str, text: str) -> None:
    """Fill in the form and send it, once the form reacts. The page sends a new code by itself."""
    page.locator(LIVE).wait_for()
    filled = page.locator(f"#{field}")
    is_new = filled.input_value() != text
    filled.fill(text)
    if not (field == "code" and text.isdecimal() and is_new):
        page.locator("form .primary").first.click()


def assert_disguised(page: Page, shown: str) -> None:
    """Once *shown* is there, all that can be read is of the catalogue, and fits."""
    page.locator(shown).first.wait_for()
    read = (text.replace(BRAND, "").replace(ZONE, "") for text in page.evaluate(READ))
    plain = [text for text in read if re.search("[A-Za-z]", text)]
    assert plain == []
    assert page.evaluate(FITS)
