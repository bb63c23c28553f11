"""The channels that pages and plain forms offer, and those that they refuse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from otp_app.verification.models import Channel
from tests.backend.client import STATE, Socket
from tests.backend.conftest import offer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.backend.conftest import Browser
    from tests.emulator import Clock
    from tests.fakes import FakeProvider

MOBILE = {"phone": "07400 123456", "country": "GB"}
LANDLINE = {"phone": "020 7946 0958", "country": "GB"}
CHINESE = {"phone": "131 2345 6789", "country": "CN"}
ALL = tuple(Channel)


@pytest.fixture
def tab(browser: Browser) -> Iterator[Socket]:
    offer(*ALL)
    with browser.socket() as socket:
        yield socket


def ask(tab: Socket, form: dict[str, str]) -> dict[str, Any]:
    return tab.state(tab.send(f"{STATE}.request_code", {"form": form}))


def resend(tab: Socket, form: dict[str, str]) -> dict[str, Any]:
    return tab.state(tab.send(f"{STATE}.resend", {"form": form}, "/code"))


@pytest.mark.row("B20")
@pytest.mark.parametrize(
    ("form", "channels"),
    [
        (MOBILE | {"channel": "whatsapp"}, ["sms", "voice", "whatsapp"]),
        (CHINESE | {"channel": "sms"}, ["sms", "voice"]),
        (LANDLINE | {"channel": "voice"}, ["voice"]),
    ],
)
def test_the_code_page_has_the_ways_that_reach_the_number(
    tab: Socket, form: dict[str, str], channels: list[str]
) -> None:
    shown = ask(tab, form) | tab.state(tab.send(f"{STATE}.show_code", {}, "/code"))

    assert shown["step"] == "code"
    assert shown.get("channels", [*map(str, ALL)]) == channels
    assert shown.get("channel", "sms") == form["channel"]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (CHINESE | {"channel": "whatsapp"}, "Choose “Text message” or “Call me”"),
        (LANDLINE | {"channel": "sms"}, "or choose “Call me”"),
        (MOBILE | {"channel": "fax"}, "Choose “Text message”, “Call me”, or “WhatsApp”"),
    ],
)
def test_what_the_number_cannot_take_is_refused_by_page_and_form_in_the_same_words(
    browser: Browser, tab: Socket, provider: FakeProvider, form: dict[str, str], words: str
) -> None:
    shown = ask(tab, form)
    answer = browser.post("/request-otp", form, **{"sec-fetch-site": "same-origin"})

    assert words in shown["error"]
    assert answer.status_code == 422
    assert words in answer.text
    assert provider.sent == []


def test_a_channel_that_is_not_offered_is_refused(browser: Browser, provider: FakeProvider) -> None:
    form = MOBILE | {"channel": "whatsapp"}

    answer = browser.post("/request-otp", form, **{"sec-fetch-site": "same-origin"})

    assert answer.status_code == 422
    assert "Choose “Text message” or “Call me”" in answer.text
    assert provider.sent == []


@pytest.mark.row("C21")
@pytest.mark.parametrize(
    ("form", "channel", "notice"),
    [
        ({}, Channel.WHATSAPP, "We sent a new code by WhatsApp to"),
        ({"channel": ""}, Channel.WHATSAPP, "We sent a new code by WhatsApp to"),
        ({"channel": "whatsapp"}, Channel.WHATSAPP, "We sent a new code by WhatsApp to"),
        ({"channel": "sms"}, Channel.SMS, "We sent a new code by text message to"),
        ({"channel": "voice"}, Channel.VOICE, "We are calling"),
    ],
)
def test_each_button_sends_its_way_and_says_so(
    tab: Socket,
    clock: Clock,
    provider: FakeProvider,
    form: dict[str, str],
    channel: Channel,
    notice: str,
) -> None:
    ask(tab, MOBILE | {"channel": "whatsapp"})
    clock.tick(30)

    shown = resend(tab, form)

    assert [sent_by for _, sent_by in provider.sent] == [Channel.WHATSAPP, channel]
    assert shown["notice"] == f"{notice} the number ending 456"


def test_a_resend_by_a_channel_that_does_not_exist_is_refused(
    tab: Socket, clock: Clock, provider: FakeProvider
) -> None:
    ask(tab, MOBILE | {"channel": "sms"})
    clock.tick(30)

    shown = resend(tab, {"channel": "fax"})

    assert "Choose “Send a new text message”" in shown["error"]
    assert len(provider.sent) == 1


def test_a_refusal_on_the_code_page_names_its_own_buttons(tab: Socket, clock: Clock) -> None:
    ask(tab, CHINESE | {"channel": "sms"})
    clock.tick(30)

    shown = resend(tab, {"channel": "whatsapp"})

    assert "“Send a new text message” or “Call me instead”" in shown["error"]


def test_a_plain_form_that_was_refused_lets_the_person_choose_another_way(browser: Browser) -> None:
    offer(*ALL)

    answer = browser.post(
        "/request-otp", CHINESE | {"channel": "whatsapp"}, **{"sec-fetch-site": "same-origin"}
    )

    chosen = re.findall(r'<input type="radio" .*? value="(\w+)"(?: (checked))?>', answer.text)
    assert chosen == [("sms", ""), ("voice", ""), ("whatsapp", "checked")]


@pytest.mark.parametrize("channels", [(Channel.SMS,), (Channel.SMS, Channel.VOICE)])
def test_where_there_is_one_way_a_plain_form_asks_nothing(
    browser: Browser, channels: tuple[Channel, ...]
) -> None:
    offer(*channels)

    answer = browser.post("/request-otp", {"phone": "1"}, **{"sec-fetch-site": "same-origin"})

    assert answer.text.count('type="radio"') == (len(channels) if len(channels) > 1 else 0)
    assert answer.text.count(" checked>") == (1 if len(channels) > 1 else 0)


def test_a_form_without_a_choice_takes_the_first_that_is_offered(
    browser: Browser, provider: FakeProvider
) -> None:
    offer(Channel.WHATSAPP, Channel.SMS)

    browser.post("/request-otp", MOBILE, **{"sec-fetch-site": "same-origin"})

    assert [channel for _, channel in provider.sent] == [Channel.WHATSAPP]
