"""The phone and code forms as plain posts: without JavaScript, or before the page is live."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otp_app import services
from otp_app.errors import ProviderUnavailable
from otp_app.verification.limits import POLICY
from otp_app.verification.models import Channel, CheckOutcome, SecondStart
from otp_app.verification.risk import NumberInsight, RiskScreening, RiskSignal
from tests.backend.client import STATE
from tests.emulator import Clock
from tests.fakes import RIGHT, WRONG, FakeLook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx2 import Response

    from tests.backend.conftest import Browser
    from tests.fakes import FakeProvider

NUMBER = {"number": "07400 123456", "country": "GB"}


def post(browser: Browser, path: str, data: dict[str, str], **headers: str) -> Response:
    return browser.client.post(
        path, data=data, headers={"cookie": browser.cookie} | headers, follow_redirects=False
    )


@pytest.mark.parametrize("field", ["number", "phone"])
def test_a_number_leads_to_the_code_page(
    browser: Browser, provider: FakeProvider, field: str
) -> None:
    answer = post(browser, "/request-otp", {field: "07400 123456", "country": "GB"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/verify-otp")
    assert len(provider.sent) == 1


def test_a_code_leads_to_success_and_a_second_post_of_it_too(
    browser: Browser, provider: FakeProvider
) -> None:
    post(browser, "/request-otp", NUMBER)

    for _ in range(2):
        answer = post(browser, "/verify-otp", {"code": RIGHT})
        assert answer.status_code == 200
        assert "Your number is confirmed" in answer.text
        assert "<bdi>456</bdi>" in answer.text
        browser = browser.after(answer)

    assert len(provider.checked) == 1


def test_two_posts_of_a_code_at_once_both_lead_to_success(
    browser: Browser, provider: FakeProvider
) -> None:
    post(browser, "/request-otp", NUMBER)
    first = post(browser, "/verify-otp", {"code": RIGHT})
    second = post(browser, "/verify-otp", {"code": RIGHT})  # sent with the old cookies

    assert (second.status_code, second.headers["location"]) == (303, "/verify-otp")
    assert "set-cookie" not in second.headers
    after = browser.after(first)
    assert "session=" in after.cookie
    assert after.get("/verified").status_code == 404  # allowed, but no page is built here
    assert len(provider.checked) == 1


def test_a_second_post_that_has_the_session_too_is_led_to_success(browser: Browser) -> None:
    post(browser, "/request-otp", NUMBER)
    session = post(browser, "/verify-otp", {"code": RIGHT}).headers["set-cookie"].partition(";")[0]
    both = replace(browser, cookie=f"{browser.cookie}; {session}")

    assert post(both, "/verify-otp", {"code": RIGHT}).headers["location"] == "/verify-otp"
    answer = see(both)

    assert (answer.status_code, answer.headers["location"]) == (303, "/verified")


def test_a_second_post_whose_first_answer_was_lost_is_told_what_happened(browser: Browser) -> None:
    post(browser, "/request-otp", NUMBER)
    post(browser, "/verify-otp", {"code": RIGHT})

    post(browser, "/verify-otp", {"code": RIGHT})
    answer = see(browser)

    assert answer.status_code == 409
    assert "set-cookie" not in answer.headers
    assert "The code was entered in another tab, or sent twice" in answer.text
    assert '<form method="post" action="/start-again">' in answer.text


@pytest.mark.parametrize("code", [RIGHT, WRONG, "", "1"])
def test_after_success_a_post_with_the_flow_cookie_of_before_gets_no_session(
    browser: Browser, code: str
) -> None:
    post(browser, "/request-otp", NUMBER)
    with browser.socket("/code") as tab:  # by now the person's own tab has the proof
        tab.send(f"{STATE}.check_code", {"form": {"code": RIGHT}}, "/code")

    answer = post(browser, "/verify-otp", {"code": code})

    assert (answer.status_code, answer.headers["location"]) == (303, "/verify-otp")
    assert "set-cookie" not in answer.headers


def test_a_second_post_of_the_number_sends_nothing(
    browser: Browser, provider: FakeProvider
) -> None:
    post(browser, "/request-otp", NUMBER)
    post(browser, "/request-otp", NUMBER)

    assert len(provider.sent) == 1


def test_what_is_wrong_is_said_and_what_was_typed_is_kept(browser: Browser) -> None:
    answer = post(browser, "/request-otp", {"number": '0740"><b>', "country": "GB"})

    assert answer.status_code == 422
    assert "Enter the number using only numbers" in answer.text
    assert "<title>Error: " in answer.text
    assert "0740&#34;&gt;&lt;b&gt;" in answer.text
    assert '<option value="GB" selected>' in answer.text


def test_after_a_mistake_the_form_has_all_that_the_page_has(browser: Browser) -> None:
    typed = {"phone": "0740", "country": "GB", "channel": "voice"}

    page = post(browser, "/request-otp", typed, **{"accept-language": "fr"}).text

    for field in ('<select id="country"', 'id="phone"', 'id="channel-sms"', 'id="phone-hint"'):
        assert field in page
    assert 'value="voice" checked>' in page
    assert page.count(" selected>") == 1
    assert 'aria-describedby="phone-hint phone-error"' in page


@pytest.mark.row("B6")
@pytest.mark.parametrize(
    ("typed", "country"),
    [
        ({"phone": "+44 7400", "country": "US"}, "GB"),  # a + goes before the chosen country
        ({"phone": "0740", "country": "GB"}, "GB"),
        ({"phone": "0740", "country": "XX"}, "FR"),
        ({"phone": "0740"}, "FR"),
    ],
)
def test_the_form_comes_back_with_the_country_of_the_number(
    browser: Browser, typed: dict[str, str], country: str
) -> None:
    answer = post(browser, "/request-otp", typed, **{"accept-language": "fr"})

    assert f'<option value="{country}" selected>' in answer.text


def test_a_wrong_code_says_so(browser: Browser) -> None:
    post(browser, "/request-otp", NUMBER)

    answer = post(browser, "/verify-otp", {"code": WRONG})

    assert answer.status_code == 409
    assert "That code does not match" in answer.text


def test_the_provider_being_down_says_so(browser: Browser, provider: FakeProvider) -> None:
    provider.failures = [ProviderUnavailable()]

    answer = post(browser, "/request-otp", NUMBER)

    assert answer.status_code == 503
    assert "We cannot send or check codes at the moment" in answer.text


def test_a_number_that_a_look_speaks_against_is_refused_and_kept(
    browser: Browser, provider: FakeProvider
) -> None:
    look = FakeLook(insight=NumberInsight(sim_swapped=True))
    now = services.current()
    screening = RiskScreening(look, blocked=frozenset(RiskSignal))
    services.install(replace(now, verifications=replace(now.verifications, screening=screening)))

    answer = post(browser, "/request-otp", NUMBER)

    assert answer.status_code == 422
    assert "We cannot send a code to this number. Use a different number" in answer.text
    assert f'value="{NUMBER["number"]}"' in answer.text
    assert provider.sent == []


def test_without_the_cookie_nothing_is_sent(browser: Browser, provider: FakeProvider) -> None:
    answer = browser.client.post("/request-otp", data=NUMBER)

    assert answer.status_code == 409
    assert "needs a cookie" in answer.text
    assert provider.sent == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:3001"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/request-otp", "/verify-otp", "/resend-otp"])
def test_another_sites_form_is_refused(
    browser: Browser, provider: FakeProvider, path: str, headers: dict[str, str]
) -> None:
    assert post(browser, path, NUMBER, **headers).status_code == 403
    assert provider.sent == []


def test_a_body_that_no_form_has_is_refused(browser: Browser, provider: FakeProvider) -> None:
    assert post(browser, "/request-otp", {"number": "1" * 9000}).status_code == 413
    assert provider.sent == []


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"number", b"=&=&", b'{"number": 1}', b"%zz"])
def test_an_odd_body_is_an_empty_form(browser: Browser, body: bytes) -> None:
    answer = browser.client.post("/request-otp", content=body, headers={"cookie": browser.cookie})

    assert answer.status_code == 422
    assert "Enter your mobile number" in answer.text


def test_get_changes_nothing(browser: Browser, provider: FakeProvider) -> None:
    browser.client.get("/request-otp?number=07400123456&country=GB")

    assert provider.sent == []


def test_a_channel_that_does_not_exist_is_refused(browser: Browser, provider: FakeProvider) -> None:
    answer = post(browser, "/request-otp", NUMBER | {"channel": "fax"})

    assert answer.status_code == 422
    assert provider.sent == []


def test_a_limit_is_told_with_its_time_and_sends_retry_after(
    browser: Browser, provider: FakeProvider
) -> None:
    here = services.current()
    services.install(replace(here, verifications=replace(here.verifications, limits=POLICY)))
    post(browser, "/request-otp", NUMBER)
    other_browser = type(browser)(browser.client, here.flows.mint())

    answer = post(other_browser, "/request-otp", NUMBER)

    assert answer.status_code == 429
    assert "for this number. Try again after" in answer.text
    assert 1 <= int(answer.headers["retry-after"]) <= 30
    assert len(provider.sent) == 1


@pytest.mark.row("D4")
def test_a_crash_is_told_on_a_page_with_where_it_is_in_the_log(
    browser: Browser,
    provider: FakeProvider,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(browser.client._transport, "raise_server_exceptions", False)
    provider.failures = [RuntimeError("canary")]

    answer = browser.post("/request-otp", NUMBER)

    assert answer.status_code == 500
    assert "<title>There is a problem with this service – " in answer.text
    assert "If a code was sent to you, you can still enter it" in answer.text
    written = "".join(capfd.readouterr())
    (line,) = (line for line in written.splitlines() if "page.request_failed" in line)
    assert "canary" not in answer.text + written
    quoted = re.findall(r"quote this reference: ([0-9a-f]{12})<", answer.text)
    assert [f"request={one}" for one in quoted] == re.findall(r"request=\w+", line)


@pytest.mark.row("D6")
@pytest.mark.usefixtures("provider")
def test_a_form_of_no_page_of_ours_is_told_that_the_page_has_expired(browser: Browser) -> None:
    answer = post(browser, "/verify-otp", {"code": RIGHT}, origin="https://evil.example")

    assert answer.status_code == 403
    assert "This page has expired" in answer.text
    assert "Nothing was sent and nothing was changed" in answer.text


@pytest.mark.row("D5")
def test_what_is_down_is_told_with_a_time_and_sends_retry_after(
    browser: Browser, provider: FakeProvider
) -> None:
    provider.failures = [ProviderUnavailable()]

    answer = post(browser, "/request-otp", NUMBER)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "120")
    assert re.search(r"Try again after \d{1,2}:\d\d", answer.text)


@pytest.fixture
def clock(provider: FakeProvider) -> Iterator[Clock]:
    """Return the clock of the services, which a test can move on."""
    del provider
    here, clock = services.current(), Clock()
    services.install(replace(here, verifications=replace(here.verifications, now=clock.now)))
    yield clock
    services.install(here)


def see(browser: Browser) -> Response:
    """Load the plain code page."""
    return browser.get("/verify-otp")


@pytest.mark.row("C12", "C23")
def test_the_code_page_says_where_the_code_went_and_until_when(
    browser: Browser, clock: Clock
) -> None:
    post(browser, "/request-otp", NUMBER)
    clock.tick(30)

    answer = see(browser)

    assert answer.status_code == 200
    assert "text message to the number ending <bdi>456</bdi>. It works until" in answer.text
    assert "10 minute" in answer.text
    assert "Spaces do not matter" in answer.text
    assert "aria-invalid" not in answer.text
    assert "07400" not in answer.text


def test_without_a_code_on_its_way_the_code_page_leads_to_the_first(browser: Browser) -> None:
    answer = see(browser)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.row("C18")
def test_asking_again_too_early_sends_nothing_and_says_when(
    browser: Browser, provider: FakeProvider, clock: Clock
) -> None:
    post(browser, "/request-otp", NUMBER)
    clock.tick(6)

    answer = post(browser, "/resend-otp", {"channel": "sms"})

    assert answer.status_code == 429
    assert "You can get another code in" in answer.text
    assert "<title>Error: Check your phone" in answer.text
    assert 'href="#resend"' in answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert len(provider.sent) == 1


@pytest.mark.row("C17")
@pytest.mark.parametrize(
    ("channel", "words"),
    [
        (Channel.SMS, "We sent a code by text message"),
        (Channel.VOICE, "We are calling the number ending <bdi>456</bdi>"),
    ],
)
def test_after_the_wait_each_press_sends_one_message(
    browser: Browser, provider: FakeProvider, clock: Clock, channel: Channel, words: str
) -> None:
    post(browser, "/request-otp", NUMBER)
    clock.tick(31)

    answer = post(browser, "/resend-otp", {"channel": channel.value})
    again = post(browser, "/resend-otp", {"channel": channel.value})

    assert (answer.status_code, answer.headers["location"]) == (303, "/verify-otp")
    assert again.status_code == 429
    assert [by for _, by in provider.sent] == [Channel.SMS, channel]
    assert words in see(browser).text


@pytest.mark.row("C23")
def test_an_expired_code_is_told_with_a_button_for_a_new_one(
    browser: Browser, provider: FakeProvider, clock: Clock
) -> None:
    post(browser, "/request-otp", NUMBER)
    clock.tick(601)

    for answer in (post(browser, "/verify-otp", {"code": RIGHT}), see(browser)):
        assert "<h1>That code has expired</h1>" in answer.text
        assert "Get a new code" in answer.text
        assert "There is a problem" not in answer.text  # the heading has the message
    post(browser, "/resend-otp", {"channel": "sms"})

    assert len(provider.sent) == 2
    assert "Security code" in see(browser).text


def test_a_code_that_is_used_up_elsewhere_is_told_with_a_button_for_a_new_one(
    browser: Browser, provider: FakeProvider
) -> None:
    provider.second_start = SecondStart.SAME_CODE
    provider.answers = [CheckOutcome.EXHAUSTED]
    post(browser, "/request-otp", NUMBER)

    answer = post(browser, "/verify-otp", {"code": RIGHT})
    again = post(browser, "/resend-otp", {})

    assert answer.status_code == 410
    assert '<a href="#resend">That code does not work any more: wrong codes' in answer.text
    assert "Get a new code</button>" in answer.text
    assert (again.status_code, again.headers["location"]) == (303, "/verify-otp")
    assert len(provider.sent) == 2


@pytest.mark.row("C26", "C27")
def test_a_lock_is_told_with_its_reason_its_end_and_the_time_zone(
    browser: Browser, provider: FakeProvider
) -> None:
    here = replace(browser, cookie=f"{browser.cookie}; tz=Asia/Kolkata")
    post(here, "/request-otp", NUMBER)
    for _ in range(provider.max_attempts):
        post(here, "/verify-otp", {"code": WRONG})

    for answer in (post(here, "/verify-otp", {"code": RIGHT}), see(here)):
        assert "<h1>You cannot enter a code until" in answer.text
        assert "A wrong code was entered too many times" in answer.text
        assert "Time zone: India Time." in answer.text
        assert "Security code" not in answer.text
    refused = post(here, "/resend-otp", {"channel": "sms"})
    assert refused.status_code == 429
    assert len(provider.sent) == 1


def test_after_a_lock_the_pages_with_and_without_scripts_offer_a_new_code(
    browser: Browser, provider: FakeProvider, clock: Clock
) -> None:
    post(browser, "/request-otp", NUMBER)
    for _ in range(provider.max_attempts):
        post(browser, "/verify-otp", {"code": WRONG})
    clock.tick(601)

    without = see(browser)
    with browser.socket("/code") as tab:
        shown = tab.state(tab.send(f"{STATE}.sync_clock", {}, "/code"))
        shown |= tab.state(tab.frames)

    assert "<h1>That code has expired" in without.text
    assert "Get a new code</button>" in without.text
    assert shown["step"] == "expired"


@pytest.mark.row("C17")
@pytest.mark.parametrize("channel", ["fax", "<b>"])
def test_a_way_that_does_not_exist_sends_nothing(
    browser: Browser, provider: FakeProvider, channel: str
) -> None:
    post(browser, "/request-otp", NUMBER)

    answer = post(browser, "/resend-otp", {"channel": channel})

    assert answer.status_code == 422
    assert len(provider.sent) == 1


def test_asking_again_without_the_cookie_or_a_code_sends_nothing(
    browser: Browser, provider: FakeProvider
) -> None:
    without_cookie = browser.client.post("/resend-otp", data={"channel": "sms"})
    without_code = post(browser, "/resend-otp", {"channel": "sms"})

    assert without_cookie.status_code == 409
    assert "needs a cookie" in without_cookie.text
    assert without_code.status_code == 404
    assert "Your session ended. Start again" in without_code.text
    assert provider.sent == []


def test_a_number_that_is_confirmed_already_gets_no_other_code(
    browser: Browser, provider: FakeProvider
) -> None:
    post(browser, "/request-otp", NUMBER)
    with browser.socket("/code") as tab:
        tab.send(f"{STATE}.check_code", {"form": {"code": RIGHT}}, "/code")

    answer = post(browser, "/resend-otp", {"channel": "sms"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/verify-otp")
    assert see(browser).status_code == 409  # the page for a code that was entered elsewhere
    assert len(provider.sent) == 1
