"""The exchange of a flow for a session after the right code. Success needs the session."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from otp_app import routes, services
from otp_app.phone import PhoneNumber
from otp_app.storage.engine import open_engine
from otp_app.storage.phone_encryption import PhoneEncryption
from otp_app.storage.sessions import SqlSessions
from tests.backend.client import STATE
from tests.backend.conftest import ORIGIN
from tests.fakes import RIGHT, WRONG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from httpx2 import Response

    from tests.backend.conftest import Browser
    from tests.fakes import FakeProvider

PHONE = {"phone": "07400 123456", "country": "GB", "channel": "sms"}
ODD = ["//{}", "/%2e/{}", "/x/%2e%2e/{}/", "/{}.html", "/%2e/{}.html", "/{}/index.html"]
EVIL: list[dict[str, str]] = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
]


def verify(browser: Browser, code: str = RIGHT, **phone: str) -> str:
    """Enter *code* in a tab, and return the proof that the tab gets."""
    with browser.socket(token="tab-that-verifies") as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE | phone})
        proof = proof_in(tab.send(f"{STATE}.check_code", {"form": {"code": code}}))
        tab.leave(browser.client.portal)
    return proof


def proof_in(frames: list[str]) -> str:
    """Return the last proof in *frames*."""
    proofs: list[str] = re.findall(r'"proof_rx_state_":"([^"]*)"', "".join(frames))
    return proofs[-1] if proofs else ""


def finish(browser: Browser, proof: str = "") -> tuple[Browser, Response]:
    answer = browser.post("/finish", {"proof": proof})
    return browser.after(answer), answer


@pytest.fixture
def verified(browser: Browser) -> Browser:
    return finish(browser, verify(browser))[0]


def is_let_in(browser: Browser) -> bool:
    """Return True if *browser* may see the success page.

    The page is not built in these tests, so 404 stands for access.
    """
    return browser.get("/verified").status_code == 404


def success_shown(browser: Browser, token: str = "a-new-tab") -> str:
    """Return the last digits that a tab of *browser* shows on the success page."""
    with browser.socket("/verified", token=token) as tab:
        tab.send(f"{STATE}.show_verified", {}, "/verified")
    return ending_in(tab.frames)


def ending_in(frames: list[str]) -> str:
    """Return the last value in *frames* for the last digits of the confirmed number."""
    endings: list[str] = re.findall(r'"proved_rx_state_":"(\d*)"', "".join(frames))
    return endings[-1] if endings else ""


def test_an_approval_is_exchanged_for_new_cookies(browser: Browser) -> None:
    after, answer = finish(browser, verify(browser))

    assert (answer.status_code, answer.headers["location"]) == (303, "/verified")
    session, device, flow = answer.headers.get_list("set-cookie")
    assert re.fullmatch(r"session=[\w-]{43}; Path=/; HttpOnly; SameSite=Lax", session)
    assert device.startswith("device=")
    assert device.endswith("; Max-Age=31536000; Path=/; HttpOnly; SameSite=Lax")
    assert flow.startswith("flow=")
    assert browser.cookie not in after.cookie
    assert is_let_in(after)
    assert success_shown(after) == "456"


def test_a_socket_of_before_goes_for_the_session_and_is_not_told_more(browser: Browser) -> None:
    with browser.socket() as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE})
        frames = tab.send(f"{STATE}.check_code", {"form": {"code": RIGHT}})

    assert tab.state(frames)["step"] == "verified"
    assert ending_in(tab.frames) == ""


@pytest.mark.parametrize("code", [WRONG, "12345", ""])
def test_what_is_not_approved_is_exchanged_for_nothing(browser: Browser, code: str) -> None:
    proof = verify(browser, code)

    after, answer = finish(browser, proof)

    assert proof == ""
    assert_is_told_to_start_again(answer)
    assert "session=" not in after.cookie


def test_a_grant_works_once(browser: Browser) -> None:
    proof = verify(browser)
    verified, _ = finish(browser, proof)

    thief, answer = finish(browser, proof)  # the thief knows the old flow cookie and the proof

    assert "session=" in verified.cookie
    assert_is_told_to_start_again(answer)
    assert "session=" not in thief.cookie
    assert success_shown(browser, "the-thiefs-tab") == ""


def assert_is_told_to_start_again(answer: Response) -> None:
    assert answer.status_code == 409
    assert "set-cookie" not in answer.headers
    assert "We could not finish confirming your number" in answer.text
    assert "start again to get a new code" in answer.text
    assert '<form method="post" action="/start-again">' in answer.text


def test_who_knows_the_flow_cookie_alone_gets_no_session(browser: Browser) -> None:
    with browser.socket(token="tab-of-the-person") as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE})
        thief = type(browser)(browser.client, browser.cookie)
        assert_gets_nothing(thief)
        proof = proof_in(tab.send(f"{STATE}.check_code", {"form": {"code": RIGHT}}))
        assert_gets_nothing(thief)

    after, answer = finish(browser, proof)

    assert answer.headers["location"] == "/verified"
    assert success_shown(after) == "456"
    assert_gets_nothing(thief)


def assert_gets_nothing(thief: Browser) -> None:
    """Assert that *thief* gets neither a session nor a proof, in any way."""
    for form in ({}, {"proof": ""}, {"proof": "x"}, {"proof": services.current().flows.mint()}):
        assert "set-cookie" not in thief.post("/finish", form).headers
    for code in (WRONG, "", "12"):
        assert "set-cookie" not in thief.post("/verify-otp", {"code": code}).headers
    assert "set-cookie" not in thief.get("/verify-otp").headers
    for path in (routes.TWILIO_CHECK, routes.VONAGE_CHECK):
        checked = thief.client.post(path, json={"code": WRONG}, headers={"cookie": thief.cookie})
        assert "set-cookie" not in checked.headers
    with thief.socket(token="the-thiefs-tab") as tab:
        for view in ("show_phone", "show_code", "show_verified", "show_delivery"):
            tab.send(f"{STATE}.{view}", {})
        tab.send(f"{STATE}.check_code", {"form": {"code": ""}})
    assert proof_in(tab.frames) == ""
    assert ending_in(tab.frames) == ""


def test_a_tab_that_comes_back_still_has_its_proof(browser: Browser) -> None:
    """The tab reloads or reconnects between the right code and the exchange."""
    verify(browser)

    with browser.socket("/code", token="tab-that-verifies") as tab:
        tab.send(f"{STATE}.show_code", {}, "/code")

    assert finish(browser, proof_in(tab.frames))[1].headers["location"] == "/verified"


def test_a_tab_that_lost_its_state_is_told_so_and_starts_again(
    browser: Browser, provider: FakeProvider
) -> None:
    """The server may have restarted between the right code and the exchange."""
    verify(browser)
    with browser.socket("/code", token="a-tab-without-its-state") as tab:
        shown = tab.state(tab.send(f"{STATE}.show_code", {}, "/code"))
    assert shown["step"] == "verified"  # the page then posts its proof
    assert proof_in(tab.frames) == ""

    _, answer = finish(browser)
    assert_is_told_to_start_again(answer)
    answer = browser.post("/start-again")

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    anew = browser.after(answer)
    assert anew.cookie != browser.cookie
    assert finish(anew, verify(anew, phone="07400 123457"))[1].headers["location"] == "/verified"
    assert len(provider.sent) == 2


def test_a_proof_of_another_flow_is_worth_nothing(browser: Browser) -> None:
    """The flow cookie was replaced between the right code and the exchange."""
    proof = verify(browser)
    other = type(browser)(browser.client, services.current().flows.mint())

    assert_is_told_to_start_again(finish(other, proof)[1])


def test_the_proof_of_one_number_does_not_finish_another(browser: Browser) -> None:
    proof = verify(browser)
    with browser.socket(token="tab-2") as tab:
        frames = tab.send(f"{STATE}.request_code", {"form": PHONE | {"phone": "07400 123457"}})
        frames += tab.send(f"{STATE}.check_code", {"form": {"code": RIGHT}})
    with browser.socket("/code", token="tab-that-verifies") as tab:
        tab.send(f"{STATE}.show_code", {}, "/code")

    assert proof_in(tab.frames) == ""  # by now that tab shows the other number
    assert success_shown(finish(browser, proof_in(frames))[0]) == "457"
    assert_is_told_to_start_again(finish(browser, proof)[1])


def test_a_session_for_another_number_does_not_hide_that_this_one_is_not_confirmed(
    verified: Browser,
) -> None:
    verify(verified, phone="07400 123457")

    for answer in (finish(verified)[1], verified.get("/verify-otp")):
        assert_is_told_to_start_again(answer)


def test_a_second_tab_finishes_too(verified: Browser) -> None:
    again, answer = finish(verified)

    assert answer.headers["location"] == "/verified"
    assert again.cookie == verified.cookie


def test_the_success_page_is_for_the_session_only(browser: Browser, verified: Browser) -> None:
    for unproved in (browser, type(browser)(browser.client, "session=" + "x" * 43)):
        for path in ("/verified", "/verified/", "/verified/index.html", "/%76erified", *ODD):
            answer = unproved.get(ORIGIN + path.replace("{}", "verified"))
            assert (answer.status_code, answer.headers["location"]) == (303, "/"), path

    assert is_let_in(verified)


def test_the_code_page_is_for_who_waits_for_a_code(browser: Browser, verified: Browser) -> None:
    """Other visitors are redirected, or they would load two pages to see one.

    The page is not built in these tests, so 404 stands for access.
    """
    newcomer = type(browser)(browser.client, services.current().flows.mint())
    for other, path in ((newcomer, "/"), (verified, "/verified")):
        for spelling in ("/code", *ODD):
            answer = other.get(ORIGIN + spelling.replace("{}", "code"))
            assert (answer.status_code, answer.headers["location"]) == (303, path), spelling

    with newcomer.socket(token="newcomer") as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE | {"phone": "07400 654321"}})
    assert newcomer.get("/code").status_code == 404


def test_a_stolen_token_of_the_success_page_shows_nothing(verified: Browser) -> None:
    with verified.socket("/verified", token="stolen") as tab:
        tab.send(f"{STATE}.show_verified", {}, "/verified")
    assert '"456"' in "".join(tab.frames)
    flows = services.current().flows
    thief = type(verified)(verified.client, flows.mint())

    with thief.socket("/verified", token="stolen") as tab:
        tab.send(f"{STATE}.show_verified", {}, "/verified")

    assert ending_in(tab.frames) == ""
    assert '"456"' not in "".join(tab.frames)  # without quotes a random id might contain it


def test_another_number_is_confirmed_beside_it_and_then_takes_its_place(verified: Browser) -> None:
    with verified.socket("/verified") as tab:
        tab.send(f"{STATE}.show_verified", {}, "/verified")
        assert '"path":"/"' in "".join(tab.send(f"{STATE}.start_again", {}))
        assert "_redirect" not in "".join(tab.send(f"{STATE}.show_phone", {}))
        tab.send(f"{STATE}.request_code", {"form": PHONE | {"phone": "07400 123457"}})
        assert success_shown(verified) == "456"
        proof = proof_in(tab.send(f"{STATE}.check_code", {"form": {"code": RIGHT}}))

    assert success_shown(finish(verified, proof)[0]) == "457"


@pytest.mark.parametrize(("path", "page"), [("/", "show_phone"), ("/code", "show_code")])
def test_a_new_tab_of_the_session_is_shown_the_success(
    verified: Browser, path: str, page: str
) -> None:
    with verified.socket(path, token="tab-2") as tab:
        frames = tab.send(f"{STATE}.{page}", {}, path)

    assert '"path":"/verified"' in "".join(frames)


def test_signing_out_ends_it_in_every_browser(
    browser: Browser, verified: Browser, provider: FakeProvider
) -> None:
    phone = type(browser)(browser.client, services.current().flows.mint())
    phone, _ = finish(phone, verify(phone))

    answer = verified.post("/sign-out")

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "session=" not in verified.after(answer).cookie
    for old in (verified, phone):
        assert not is_let_in(old)
        assert success_shown(old, "after") == ""
    assert len(provider.sent) == 2


def test_the_device_is_known_after_the_session_and_opens_nothing(
    browser: Browser, verified: Browser
) -> None:
    portal, here = browser.client.portal, services.current()
    assert portal is not None

    after = verified.after(verified.post("/sign-out"))
    client = portal.call(here.callers.client, after.cookie, "192.0.2.1", "en")

    assert re.search(r"\bdevice=", after.cookie)
    assert client.has_proved(PhoneNumber("+447400123456"))
    assert not client.has_proved(PhoneNumber("+447400123457"))
    assert client.proved == ""
    assert not is_let_in(after)
    assert success_shown(after, "after") == ""


def test_a_second_success_is_remembered_beside_the_first(verified: Browser) -> None:
    portal, here = verified.client.portal, services.current()
    assert portal is not None
    again, _ = finish(verified, verify(verified, phone="07400 123457"))
    client = portal.call(here.callers.client, again.cookie, "192.0.2.1", "en")

    numbers = ("+447400123456", "+447400123457")
    assert all(client.has_proved(PhoneNumber(number)) for number in numbers)


@pytest.mark.parametrize("path", ["/finish", "/start-again", "/sign-out"])
def test_another_sites_page_can_neither_finish_nor_sign_out(verified: Browser, path: str) -> None:
    for headers in EVIL:
        answer = verified.post(path, None, **headers)

        assert answer.status_code == 403, headers
        assert "set-cookie" not in answer.headers, headers
        assert is_let_in(verified), headers


def test_get_neither_finishes_nor_signs_out(verified: Browser) -> None:
    for path in ("/finish", "/start-again", "/sign-out"):
        assert verified.get(path).status_code in {404, 405}

    assert is_let_in(verified)


def test_under_two_ports_the_answer_leads_back_to_the_pages(browser: Browser) -> None:
    form = {"proof": verify(browser)}
    page = {"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-site"}

    answer = browser.post("/finish", form, **page)

    assert answer.headers["location"] == "http://127.0.0.1:3000/verified"


@pytest.fixture
def _without_database(verified: Browser, tmp_path: Path) -> Iterator[None]:
    del verified
    real = services.current()
    gone = SqlSessions(open_engine(f"sqlite:///{tmp_path}/gone.db"), PhoneEncryption(b"secret"))
    (tmp_path / "gone.db").unlink()
    services.install(replace(real, sessions=replace(real.sessions, store=gone)))
    yield
    services.install(real)


@pytest.mark.usefixtures("_without_database")
def test_without_the_database_nobody_has_verified(verified: Browser) -> None:
    for answer in (verified.get("/verified"), verified.post("/finish"), verified.post("/sign-out")):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "120")
        assert "Something went wrong on our side. Try again after " in answer.text
        assert "set-cookie" not in answer.headers


def test_the_rules_are_told_which_number_the_session_has_proved(
    browser: Browser, verified: Browser
) -> None:
    portal = browser.client.portal
    assert portal is not None
    here = services.current()

    owner = portal.call(here.callers.client, verified.cookie, "192.0.2.1", "en")
    unproved = portal.call(here.callers.client, browser.cookie, "192.0.2.1", "en")

    assert (owner.proved, unproved.proved) == ("+447400123456", "")


def test_a_session_that_is_over_shows_nothing(verified: Browser) -> None:
    real = services.current()
    later = replace(real.sessions, now=lambda: real.verifications.now() + timedelta(hours=2))
    services.install(replace(real, sessions=later))

    assert not is_let_in(verified)
    assert success_shown(verified) == ""
    services.install(real)
