"""After the right code: the flow is exchanged for a session, and only that sees the success."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from otp_app import services
from otp_app.storage.engine import open_engine
from otp_app.storage.numbers import Numbers
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


def verify(browser: Browser, code: str = RIGHT, **phone: str) -> None:
    with browser.socket(token="tab-that-verifies") as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE | phone})
        tab.send(f"{STATE}.check_code", {"form": {"code": code}})


def finish(browser: Browser) -> tuple[Browser, Response]:
    answer = browser.post("/finish")
    return browser.after(answer), answer


@pytest.fixture
def verified(browser: Browser) -> Browser:
    verify(browser)
    return finish(browser)[0]


def is_let_in(browser: Browser) -> bool:
    """Whether it gets the success page, which does not exist here: 404 takes its place."""
    return browser.get("/verified").status_code == 404


def success_shown(browser: Browser, token: str = "a-new-tab") -> str:
    """The ending that a tab of *browser* sees on the success page."""
    with browser.socket("/verified", token=token) as tab:
        tab.send(f"{STATE}.show_verified", {}, "/verified")
    return ending_in(tab.frames)


def ending_in(frames: list[str]) -> str:
    """What they say last of whose number is confirmed."""
    endings: list[str] = re.findall(r'"proved_rx_state_":"(\d*)"', "".join(frames))
    return endings[-1] if endings else ""


def test_an_approval_is_exchanged_for_new_cookies(browser: Browser) -> None:
    verify(browser)

    after, answer = finish(browser)

    assert (answer.status_code, answer.headers["location"]) == (303, "/verified")
    session, flow = answer.headers.get_list("set-cookie")
    assert re.fullmatch(r"session=[\w-]{43}; Path=/; HttpOnly; SameSite=Lax", session)
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
    verify(browser, code)

    after, answer = finish(browser)

    assert answer.headers["location"] == "/"
    assert "session=" not in after.cookie


def test_a_grant_works_once(browser: Browser, verified: Browser) -> None:
    thief, answer = finish(browser)  # who knows the flow cookie of before

    assert "session=" in verified.cookie
    assert answer.headers["location"] == "/"
    assert "session=" not in thief.cookie
    assert success_shown(browser, "the-thiefs-tab") == ""


def test_a_second_tab_finishes_too(verified: Browser) -> None:
    again, answer = finish(verified)

    assert answer.headers["location"] == "/verified"
    assert again.cookie == verified.cookie


def test_the_success_page_is_for_the_session_only(browser: Browser, verified: Browser) -> None:
    for stranger in (browser, type(browser)(browser.client, "session=" + "x" * 43)):
        for path in ("/verified", "/verified/", "/verified/index.html", "/%76erified", *ODD):
            answer = stranger.get(ORIGIN + path.replace("{}", "verified"))
            assert (answer.status_code, answer.headers["location"]) == (303, "/"), path

    assert is_let_in(verified)


def test_the_code_page_is_for_who_waits_for_a_code(browser: Browser, verified: Browser) -> None:
    """Anybody else would load two pages to see one. It does not exist here either."""
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
    flows = services.current().flows
    thief = type(verified)(verified.client, flows.mint())

    with thief.socket("/verified", token="stolen") as tab:
        tab.send(f"{STATE}.show_verified", {}, "/verified")

    assert "456" not in "".join(tab.frames)


def test_another_number_is_confirmed_beside_it_and_then_takes_its_place(verified: Browser) -> None:
    with verified.socket("/verified") as tab:
        tab.send(f"{STATE}.show_verified", {}, "/verified")
        assert '"path":"/"' in "".join(tab.send(f"{STATE}.start_again", {}))
        assert "_redirect" not in "".join(tab.send(f"{STATE}.show_phone", {}))
        tab.send(f"{STATE}.request_code", {"form": PHONE | {"phone": "07400 123457"}})
        assert success_shown(verified) == "456"
        tab.send(f"{STATE}.check_code", {"form": {"code": RIGHT}})

    assert success_shown(finish(verified)[0]) == "457"


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
    verify(phone)
    phone, _ = finish(phone)

    answer = verified.post("/sign-out")

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "session=" not in verified.after(answer).cookie
    for old in (verified, phone):
        assert not is_let_in(old)
        assert success_shown(old, "after") == ""
    assert len(provider.sent) == 2


@pytest.mark.parametrize("headers", EVIL)
@pytest.mark.parametrize("path", ["/finish", "/sign-out"])
def test_another_sites_page_can_neither_finish_nor_sign_out(
    verified: Browser, path: str, headers: dict[str, str]
) -> None:
    assert verified.post(path, None, **headers).status_code == 403
    assert is_let_in(verified)


def test_get_neither_finishes_nor_signs_out(verified: Browser) -> None:
    for path in ("/finish", "/sign-out"):
        assert verified.get(path).status_code in {404, 405}

    assert is_let_in(verified)


def test_under_two_ports_the_answer_leads_back_to_the_pages(browser: Browser) -> None:
    verify(browser)
    page = {"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-site"}

    answer = browser.post("/finish", None, **page)

    assert answer.headers["location"] == "http://127.0.0.1:3000/verified"


@pytest.fixture
def _without_database(verified: Browser, tmp_path: Path) -> Iterator[None]:
    del verified
    real = services.current()
    gone = SqlSessions(open_engine(f"sqlite:///{tmp_path}/gone.db"), Numbers(b"secret"))
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

    owner = portal.call(here.client, verified.cookie, "192.0.2.1", "en")
    stranger = portal.call(here.client, browser.cookie, "192.0.2.1", "en")

    assert (owner.proved, stranger.proved) == ("+447400123456", "")


def test_a_session_that_is_over_shows_nothing(verified: Browser) -> None:
    real = services.current()
    later = replace(real.sessions, now=lambda: real.verifications.now() + timedelta(hours=2))
    services.install(replace(real, sessions=later))

    assert not is_let_in(verified)
    assert success_shown(verified) == ""
    services.install(real)
