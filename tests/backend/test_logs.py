"""The lines of the log about requests and events, and the data that never appears there."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING

from tests.backend.client import STATE
from tests.browser.recorder import Text
from tests.browser.sweep import Secrets
from tests.fakes import RIGHT, WRONG

if TYPE_CHECKING:
    from tests.backend.conftest import Browser
    from tests.backend.starts import Start
    from tests.fakes import FakeProvider
    from tests.logs import Lines

PHONE = {"phone": "07400 123456", "country": "GB", "channel": "sms"}
TOKEN = "3f2a9c04-77aa-4c1e-9f0e-0123456789ab"  # a token in the format of Reflex's pages


def post(browser: Browser, path: str, data: dict[str, str]) -> None:
    browser.client.post(path, data=data, headers={"cookie": browser.cookie}, follow_redirects=False)


def test_each_event_and_post_has_a_name_and_its_browser_another(
    browser: Browser, production_log: Lines
) -> None:
    with browser.socket() as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE})
        tab.send(f"{STATE}.check_code", {"form": {"code": WRONG}})
    post(browser, "/verify-otp", {"code": "12"})
    post(browser, "/verify-otp", {"code": RIGHT})

    sent, mismatch = production_log.named("ui_event.completed")
    invalid, right = production_log.named("http.responded")
    assert (sent["handler"], sent["outcome"]) == ("request_code", "ok")
    assert (mismatch["handler"], mismatch["outcome"]) == ("check_code", "code_mismatch")
    assert (invalid["path"], invalid["outcome"]) == ("/verify-otp", "code_invalid")
    assert (right["status"], right["outcome"]) == (200, "ok")
    answers = [sent, mismatch, invalid, right]
    assert len({answer["request"] for answer in answers}) == 4
    assert len({answer["session"] for answer in answers}) == 1
    assert all(isinstance(answer["duration_ms"], int) for answer in answers)
    [of_service] = production_log.named("verification.sent")
    assert of_service["request"] == sent["request"]


def test_who_comes_after_somebody_is_not_taken_for_them(
    browser: Browser, production_log: Lines
) -> None:
    post(browser, "/verify-otp", {"code": RIGHT})
    browser.client.post("/verify-otp", data={"code": RIGHT})

    somebody, nobody = production_log.named("http.responded")
    assert "session" in somebody
    assert "session" not in nobody
    assert nobody["outcome"] == "flow_missing"


def test_two_tabs_of_two_browsers_are_kept_apart(browser: Browser, production_log: Lines) -> None:
    other = type(browser)(browser.client, "flow=forged")
    with browser.socket(token="tab-1") as one, other.socket(token="tab-2") as two:
        for tab in (one, two, one):
            tab.send(f"{STATE}.request_code", {"form": {}})

    answers = production_log.named("ui_event.completed")
    assert ["session" in answer for answer in answers] == [True, False, True]


def test_the_first_lines_of_production_are_json_already(production_start: Start) -> None:
    lines = [json.loads(line) for line in production_start.stdout.splitlines()]

    said = [line["message"] for line in lines]
    assert said == ["two\\nlines", "proxy.untrusted", "two\\nlines"]
    assert production_start.stderr == ""


def test_with_every_logger_at_debug_no_secret_is_told(
    browser: Browser, provider: FakeProvider, debug_log: Lines
) -> None:
    provider._numbers = count(10**31)  # references that look like a vendor's
    with browser.socket(token=TOKEN) as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE})
        tab.send(f"{STATE}.check_code", {"form": {"code": WRONG}})
        tab.send(f"{STATE}.nowhere", {"form": PHONE, "code": RIGHT})
        tab.send(f"{STATE}.check_code", {"code": RIGHT, "more": PHONE})
    post(browser, "/request-otp", PHONE)
    post(browser, "/verify-otp", {"code": RIGHT})

    speakers = {line["logger"] for line in debug_log.read()}
    assert {"engineio.server", "otp_app"} < speakers
    cookie = browser.cookie.partition("=")[2]
    secrets = Secrets(
        phones=[PHONE["phone"], "+447400123456"],
        codes=[RIGHT, WRONG],
        words=[cookie, *cookie.split("."), TOKEN, *map(str, provider.checked)],
    )
    assert secrets.found_in([Text("log", line) for line in debug_log.text.splitlines()]) == []
