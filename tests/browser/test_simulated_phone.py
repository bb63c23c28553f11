"""The simulated phone beside the app: what is sent arrives, and each switch leads to its page."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.journey import PATIENCE
from tests.browser.providers import console_only, services_only
from tests.browser.tab import PhoneTab, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from tests.browser.journey import Journey
    from tests.browser.server import Server

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
DOWN = "We cannot send or check codes at the moment"


@pytest.fixture
def phone(browser: Browser, server: Server) -> Iterator[PhoneTab]:
    """In a browser of its own, which may see codes. Afterwards nothing goes wrong any more."""
    with browser.new_context() as context:
        phone = PhoneTab(context.new_page())
        phone.page.goto(f"{server.site.url}/phone")
        expect(phone.nothing).to_be_checked()
        yield phone
        phone.switch("Nothing")


@console_only
def test_a_text_message_arrives_by_itself_and_its_code_is_right(
    journey: Journey, phone: PhoneTab
) -> None:
    tab = journey.at_the_code_page()

    tab.enter_code(phone.read(journey.number.ending))

    tab.wait_for(Step.VERIFIED)


@console_only
def test_a_call_rings_until_it_is_answered_and_says_the_code(
    journey: Journey, phone: PhoneTab
) -> None:
    tab = journey.at_the_code_page(by="voice")

    words = phone.answer(journey.number.ending)

    tab.enter_code("".join(str(DIGITS.index(word)) for word in words.split(", ")))
    tab.wait_for(Step.VERIFIED)


@console_only
@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ("Landline", "This number cannot get messages"),
        ("Provider down", DOWN),
        ("Too many requests", "Try again in 30 seconds"),
        ("No answer", "We could not tell whether that worked"),
    ],
)
def test_a_message_that_is_not_sent_is_explained(
    journey: Journey, phone: PhoneTab, switch: str, words: str
) -> None:
    tab = journey.open()
    phone.switch(switch)

    tab.request_code(journey.number)

    tab.wait_for_problem(words)
    assert journey.deliveries() == []


@console_only
def test_while_a_provider_does_not_answer_the_page_says_what_it_does(
    journey: Journey, phone: PhoneTab
) -> None:
    tab = journey.open()
    phone.switch("No answer")

    tab.request_code(journey.number)

    tab.page.get_by_role("status").filter(has_text="Sending your code").wait_for()
    tab.wait_for_problem("We could not tell whether that worked")


@console_only
@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ("Provider down", DOWN),
        ("Wrong code", "That code does not match"),
        ("No answer", "We could not check the code"),
    ],
)
def test_a_code_that_is_not_accepted_is_explained(
    journey: Journey, phone: PhoneTab, switch: str, words: str
) -> None:
    tab = journey.at_the_code_page()
    phone.switch(switch)

    tab.enter_code(phone.read(journey.number.ending))

    tab.wait_for_problem(words)


@console_only
def test_codes_that_are_all_wrong_lock_the_number(journey: Journey, phone: PhoneTab) -> None:
    tab = journey.at_the_code_page()
    code = phone.read(journey.number.ending)
    phone.switch("Wrong code")

    for words in ["Check the newest", "3 more times", "2 more times", "once more"]:
        tab.enter_code(code)
        tab.wait_for_problem(words)
    tab.enter_code(code)

    tab.wait_for(Step.LOCKED)


@console_only
def test_a_code_can_expire_at_once(journey: Journey, phone: PhoneTab) -> None:
    tab = journey.at_the_code_page()
    phone.switch("Code expired")

    tab.enter_code(phone.read(journey.number.ending))

    tab.wait_for(Step.EXPIRED)


@console_only
def test_in_place_of_a_lost_message_a_new_one_arrives(journey: Journey, phone: PhoneTab) -> None:
    phone.switch("Lost")
    tab = journey.at_the_code_page()
    assert len(journey.deliveries()) == 1  # the terminal has what is sent
    phone.switch("Nothing")
    journey.later(31)

    tab.page.reload()
    tab.wait_for(Step.CODE)
    tab.ask_again()

    phone.newest(journey.number.ending).wait_for()
    assert phone.read(journey.number.ending) == journey.sent_code()
    expect(phone.messages.filter(has_text=f"•••{journey.number.ending}")).to_have_count(1)


@console_only
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_phone_fits_a_narrow_screen(browser: Browser, server: Server, scheme: str) -> None:
    size = {"width": 320, "height": 640}
    with browser.new_context(viewport=size, color_scheme=scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(f"{server.site.url}/phone")
        page.get_by_role("radio", name="Nothing").wait_for()

        assert page.evaluate("document.documentElement.scrollWidth") == 320


@console_only
def test_behind_a_proxy_the_phone_asks_for_the_token_of_the_terminal(
    start_journey: Callable[..., Journey], browser: Browser, server: Server
) -> None:
    """S13: only TRUSTED_PROXY_HOPS shows it."""
    since = server.log.size
    server.restart(TRUSTED_PROXY_HOPS="1")
    journey, context = start_journey(), browser.new_context()
    try:
        page = context.new_page()
        page.goto(f"{server.site.url}/phone")
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Open the simulated phone").click()
        [token] = re.findall(r"\?token=(\S+)", server.log.text(since))
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Open the simulated phone").click()

        phone = PhoneTab(page)
        expect(phone.nothing).to_be_checked()
        assert page.url.rstrip("/") == f"{server.site.url}/phone"
        tab = journey.at_the_code_page()
        tab.enter_code(phone.read(journey.number.ending))
        tab.wait_for(Step.VERIFIED)
    finally:
        context.close()
        server.restart(TRUSTED_PROXY_HOPS="0")


@console_only
def test_stock_nginx_does_not_lend_its_address(server: Server) -> None:
    """S13: it speaks HTTP/1.0, with our own host and no header."""
    for path in ("/phone", "/metrics"):
        statuses = [asked(server, path, version) for version in ("1.1", "1.0")]
        assert statuses in ([307, 403], [200, 401])


def asked(server: Server, path: str, version: str) -> int:
    """The status of a request by HTTP of this *version*."""
    request = f"GET {path} HTTP/{version}\r\nHost: localhost:{server.site.port}\r\n"
    with socket.create_connection(("127.0.0.1", server.site.port), PATIENCE) as connection:
        connection.sendall(f"{request}Connection: close\r\n\r\n".encode())
        return int(connection.makefile("rb").readline().split()[1])


@console_only
def test_the_phone_page_leads_to_it(journey: Journey) -> None:
    tab = journey.open()

    with journey.context.expect_page() as opened:
        tab.page.get_by_role("link", name="Open the simulated phone").click()

    expect(opened.value.get_by_role("heading", name="Simulated phone")).to_be_visible()


@services_only
def test_with_a_real_provider_there_is_no_trace_of_it(journey: Journey) -> None:
    built = journey.server.site.folder / "web/build/client"
    contents = [path.read_bytes() for path in built.rglob("*") if path.is_file()]

    assert any(b"Enter your phone number" in content for content in contents)
    assert [path for path in built.rglob("*") if path.stem in {"phone", "simulated_phone"}] == []
    assert not any(b"imulated" in content for content in contents)
    assert journey.context.request.get(f"{journey.server.site.url}/phone").status == 404
