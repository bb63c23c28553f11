"""The two forms as plain posts: without JavaScript, or before the page is alive."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otp_app import services
from otp_app.errors import ProviderUnavailable
from otp_app.verification.limits import POLICY
from otp_app.verification.looking import Concern, Insight, Screening
from tests.fakes import RIGHT, WRONG, FakeLook

if TYPE_CHECKING:
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

    assert (answer.status_code, answer.headers["location"]) == (303, "/code")
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
    second = post(browser, "/verify-otp", {"code": RIGHT})  # was on its way with the old cookies

    assert (second.status_code, second.headers["location"]) == (303, "/verified")
    assert "set-cookie" not in second.headers
    assert "session=" in browser.after(first).cookie
    assert len(provider.checked) == 1


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
    assert 'name="country" value="GB"' in answer.text


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
    look = FakeLook(insight=Insight(sim_swapped=True))
    now = services.current()
    screening = Screening(look, blocks=frozenset(Concern))
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
@pytest.mark.parametrize("path", ["/request-otp", "/verify-otp"])
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
    stranger = type(browser)(browser.client, here.flows.mint())

    answer = post(stranger, "/request-otp", NUMBER)

    assert answer.status_code == 429
    assert "for this number. Try again after" in answer.text
    assert 1 <= int(answer.headers["retry-after"]) <= 30
    assert len(provider.sent) == 1


def test_d4_a_crash_is_told_on_a_page_with_where_it_is_in_the_log(
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
    (line,) = (line for line in written.splitlines() if "page.failed" in line)
    assert "canary" not in answer.text + written
    quoted = re.findall(r"quote this reference: ([0-9a-f]{12})<", answer.text)
    assert [f"request={one}" for one in quoted] == re.findall(r"request=\w+", line)


@pytest.mark.usefixtures("provider")
def test_d6_a_form_of_no_page_of_ours_is_told_that_the_page_has_expired(browser: Browser) -> None:
    answer = post(browser, "/verify-otp", {"code": RIGHT}, origin="https://evil.example")

    assert answer.status_code == 403
    assert "This page has expired" in answer.text
    assert "Nothing was sent and nothing was changed" in answer.text


def test_d5_what_is_down_is_told_with_a_time_and_sends_retry_after(
    browser: Browser, provider: FakeProvider
) -> None:
    provider.failures = [ProviderUnavailable()]

    answer = post(browser, "/request-otp", NUMBER)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "120")
    assert re.search(r"Try again after \d{1,2}:\d\d", answer.text)
