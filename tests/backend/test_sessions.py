"""Identity of a browser: the flow cookie, the socket's origin, a second tab and a reload."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.websockets import WebSocketDisconnect

from tests.backend.client import STATE
from tests.fakes import RIGHT, WRONG

if TYPE_CHECKING:
    from tests.backend.conftest import Browser
    from tests.fakes import FakeProvider

PHONE = {"phone": "07400 123456", "country": "GB", "channel": "sms"}


def test_the_cookie_comes_once(browser: Browser) -> None:
    again = browser.client.get("/_flow.js", headers={"cookie": browser.cookie})

    assert "set-cookie" not in again.headers


def test_a_forged_cookie_is_replaced(browser: Browser) -> None:
    answer = browser.client.get("/_flow.js", headers={"cookie": "flow=forged"})

    assert answer.headers["set-cookie"].startswith("flow=")
    assert "HttpOnly" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:3001", "http://localhost"]
)
def test_another_sites_page_cannot_open_the_socket(browser: Browser, origin: str) -> None:
    with pytest.raises(WebSocketDisconnect), browser.socket(origin=origin):
        pass


def test_a_second_tab_is_sent_to_where_the_flow_is(
    browser: Browser, provider: FakeProvider
) -> None:
    with browser.socket() as first, browser.socket(token="tab-2") as second:
        first.send(f"{STATE}.request_code", {"form": PHONE})

        frames = second.send(f"{STATE}.show_phone", {})

    assert '"path":"/code"' in "".join(frames)
    assert second.state(frames)["ending"] == "456"
    assert len(provider.sent) == 1


def test_a_tab_that_came_back_to_the_phone_page_stays(browser: Browser) -> None:
    with browser.socket() as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE})

        frames = tab.send(f"{STATE}.show_phone", {})

    assert "_redirect" not in "".join(frames)


def test_a_tab_that_lost_its_state_can_still_enter_the_code(browser: Browser) -> None:
    with browser.socket() as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE})
    with browser.socket(token="tab-2") as reborn:
        shown = reborn.state(reborn.send(f"{STATE}.check_code", {"form": {"code": RIGHT}}))

    assert shown["step"] == "verified"


def test_the_code_page_of_a_replaced_number_says_so(
    browser: Browser, provider: FakeProvider
) -> None:
    with browser.socket() as old, browser.socket(token="tab-2") as new:
        old.send(f"{STATE}.request_code", {"form": PHONE})
        new.send(f"{STATE}.request_code", {"form": PHONE | {"phone": "07400 123457"}})

        shown = old.state(old.send(f"{STATE}.check_code", {"form": {"code": RIGHT}}))

    assert "sent to the number ending 457" in shown["error"]
    assert provider.checked == []


def test_a_locked_number_says_until_when_beside_another_ones_code_page(browser: Browser) -> None:
    with browser.socket() as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE})
        for _ in range(5):
            frames = tab.send(f"{STATE}.check_code", {"form": {"code": WRONG}})
        assert tab.state(frames)["step"] == "locked"
        tab.send(f"{STATE}.request_code", {"form": PHONE | {"phone": "07400 123457"}})

        shown = tab.state(tab.send(f"{STATE}.request_code", {"form": PHONE}))

    assert shown["error"].startswith("You cannot enter a code until")
    assert shown["error_on"] == "phone"
