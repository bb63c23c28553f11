"""Events over the socket, valid and invalid."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from reflex_base.registry import RegistrationContext

from otp_app import services
from otp_app.verification.models import CheckOutcome, SecondStart
from tests.backend.client import HYDRATE, SIMULATED, STATE
from tests.fakes import RIGHT, WRONG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.backend.client import Socket
    from tests.backend.conftest import Browser
    from tests.fakes import FakeProvider

OURS = [
    "change_number",
    "check_code",
    "preview_number",
    "request_code",
    "resend",
    "setvar",  # every State of Reflex has it; without a `set_…` method it has no effect
    "show_code",
    "show_delivery",
    "show_phone",
    "show_verified",
    "start_again",
    "sync_clock",
]
THE_PHONES = ["choose_delay", "choose_trouble", "refresh", "setvar"]
REFLEXS = [
    "reflex___istate___shared____shared_state_base_internal.setvar",
    "reflex___state____frontend_event_exception_state.handle_frontend_exception",
    "reflex___state____frontend_event_exception_state.setvar",
    "reflex___state____on_load_internal_state.on_load_internal",
    "reflex___state____on_load_internal_state.set_is_hydrated",
    "reflex___state____on_load_internal_state.setvar",
    "reflex___state____update_vars_internal_state.setvar",
    "reflex___state____update_vars_internal_state.update_vars_internal",
    "hydrate",
    "hydrate_and_load",
    "set_is_hydrated",
    "setvar",
]
ROOT = "reflex___state____state"
CALLABLE = [
    *(f"{STATE}.{name}" for name in OURS),
    *(f"{SIMULATED}.{name}" for name in THE_PHONES),
    *(f"{ROOT}.{name}" for name in REFLEXS),
]

JSON: list[Any] = [
    None,
    True,
    0,
    -1.5,
    1e308,
    "",
    "text",
    "x" * 4_000,
    "\x00\r\n\u202e",
    [],
    [1, [2, [3]]],
    {},
    {"phone": 5, "code": 5, "country": [], "channel": {}},
    {"phone": None, "code": None},
    {"phone": {"$ne": ""}, "code": ["123456"]},
    {"__proto__": {"step": "verified"}, "_request_id": "x", "step": "verified"},
]
PHONE = {"phone": "07400 123456", "country": "GB", "channel": "sms"}


@pytest.fixture
def tab(browser: Browser) -> Iterator[Socket]:
    with browser.socket() as socket:
        yield socket


async def stands(browser: Browser) -> object:
    """Return this browser's verification in the store, or None."""
    flow = services.current().flows.read(browser.cookie)
    assert flow is not None
    return await services.current().verifications.current(flow)


def ask_and_leave(browser: Browser, token: str) -> None:
    """Request a code, and leave. The server has to notice: a token's state has one socket."""
    with browser.socket(token=token) as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE})
        tab.leave(browser.client.portal)


def test_these_are_all_the_handlers_that_a_client_can_call() -> None:
    registered = RegistrationContext.get().event_handlers

    assert sorted(registered) == sorted(CALLABLE)


def test_the_journey_works(browser: Browser, tab: Socket, provider: FakeProvider) -> None:
    sent = tab.state(tab.send(f"{STATE}.request_code", {"form": PHONE}))
    assert (sent["step"], sent["ending"]) == ("code", "456")
    wrong = tab.state(tab.send(f"{STATE}.check_code", {"form": {"code": WRONG}}))
    assert wrong["error"].startswith("That code does not match")
    right = tab.state(tab.send(f"{STATE}.check_code", {"form": {"code": RIGHT}}))
    assert right["step"] == "verified"

    assert len(provider.sent) == 1
    frames = "".join(tab.frames)
    assert "reference" not in frames
    assert "7400123456" not in frames
    assert RIGHT not in frames
    assert browser.cookie.partition("=")[2] not in frames


def wrapped(value: object) -> list[object]:
    """Return a payload of each kind with *value*. A value with fields has no fourth kind."""
    payloads: list[object] = [
        {"form": value},
        {"unknown": value},
        {"var_name": "step", "value": value},
    ]
    if not isinstance(value, dict):
        payloads.append({"vars": {f"{STATE}.step": value, f"{STATE}._request_id": value}})
    return payloads


@pytest.fixture
def payloads(request: pytest.FixtureRequest, event: str) -> list[object]:
    """Return all payloads, or one of each value if the tests are not nightly.

    A value then has another kind of payload for the next event, and the next value another kind
    for the same event.
    """
    if request.config.getoption("nightly"):
        return [payload for value in JSON for payload in wrapped(value)]
    turn = CALLABLE.index(event)
    kinds = [wrapped(value) for value in JSON]
    return [kind[(turn + place) % len(kind)] for place, kind in enumerate(kinds)]


@pytest.mark.parametrize("event", CALLABLE)
def test_no_json_makes_a_handler_change_anything(
    browser: Browser,
    tab: Socket,
    provider: FakeProvider,
    event: str,
    payloads: list[object],
    capfd: pytest.CaptureFixture[str],
) -> None:
    tab.send(f"{STATE}.request_code", {"form": PHONE})
    tab.send(f"{STATE}.check_code", {"form": {"code": WRONG}})
    portal = browser.client.portal
    assert portal is not None
    before = portal.call(stands, browser)
    capfd.readouterr()

    tab.send_all(event, payloads)

    assert portal.call(stands, browser) == before
    assert (len(provider.sent), len(provider.checked)) == (1, 1)
    written = "".join(capfd.readouterr())
    assert "Traceback" not in written
    assert browser.cookie not in written
    assert "Traceback" not in "".join(tab.frames)
    shown = tab.state(tab.send(f"{STATE}.show_code", {}, "/code"))
    assert shown["step"] == "code"


@pytest.mark.parametrize("event", ["request_code", "preview_number", "check_code", "resend"])
def test_the_framework_reads_any_form_without_a_warning(
    tab: Socket, caplog: pytest.LogCaptureFixture, event: str
) -> None:
    """Reflex warns for each event if it cannot resolve the annotations of the handler."""
    of_a_page = {"__reflex_form_data__": [*PHONE.items()]}

    tab.send_all(f"{STATE}.{event}", [{"form": form} for form in (of_a_page, PHONE, *JSON)])

    messages = [record.getMessage() for record in caplog.records]
    assert [one for one in messages if "Error transforming event" in one] == []


@pytest.mark.parametrize("payload", JSON)
def test_a_payload_of_any_type_leaves_the_socket_usable(tab: Socket, payload: object) -> None:
    for event in (f"{STATE}.request_code", f"{STATE}._mirror", f"{STATE}.reset", "nowhere"):
        tab.send(event, payload)

    assert tab.state(tab.send(f"{STATE}.request_code", {"form": PHONE}))["step"] == "code"


@pytest.mark.parametrize("name", ["_request_id", "step", "error", "ending", "_backend_vars"])
def test_no_var_can_be_set_from_outside(tab: Socket, name: str) -> None:
    tab.send(f"{STATE}.setvar", {"var_name": name, "value": "verified"})
    tab.send(f"{STATE}.set_{name}", {"value": "verified"})
    tab.send(f"{ROOT}.update_vars", {"vars": {f"{STATE}.{name}": "verified"}})

    shown = tab.state(tab.send(f"{STATE}.show_phone", {}))
    assert "verified" not in str(shown.values())


@pytest.mark.parametrize("cookie", ["", "flow=forged", "their own"])
def test_a_token_that_was_left_or_stolen_shows_nothing(browser: Browser, cookie: str) -> None:
    """D2, D3: Reflex keeps a closed tab's state for 15 minutes, for any client with its token."""
    ask_and_leave(browser, "left")
    own = services.current().flows.mint()

    with type(browser)(browser.client, cookie.replace("their own", own)).socket(
        "/code", token="left"
    ) as thief:
        thief.send(f"{STATE}.show_code", {}, "/code")

    shown = "".join(thief.frames)
    assert '"step_rx_state_":"code"' not in shown
    assert '"ending_rx_state_":"456"' not in shown


def test_a_tab_that_comes_back_finds_its_state(browser: Browser) -> None:
    ask_and_leave(browser, "same")

    with browser.socket("/code", token="same") as again:
        assert '"ending_rx_state_":"456"' in "".join(again.frames)


@pytest.mark.row("D4")
def test_a_crash_of_a_handler_tells_the_browser_only_where_it_is_in_the_log(
    tab: Socket, provider: FakeProvider, capfd: pytest.CaptureFixture[str]
) -> None:
    """H5: the log has the type and place of the error."""
    provider.failures = [RuntimeError("canary")]

    tab.send(f"{STATE}.request_code", {"form": PHONE})
    tab.flush()

    frames = "".join(tab.frames)
    quoted = re.findall(r'"path":"/problem\?reference=([0-9a-f]{12})"', frames)
    written = "".join(capfd.readouterr())
    assert "canary" not in frames + written
    (line,) = (line for line in written.splitlines() if "ui_event.failed" in line)
    assert "error=RuntimeError" in line
    assert [f"request={one}" for one in quoted] == re.findall(r"request=\w+", line)


@pytest.mark.row("B9")
@pytest.mark.parametrize(
    ("typed", "text", "country"),
    [
        ({}, "We will text +44 7400 123456", ""),
        ({"channel": "voice"}, "We will call +44 7400 123456", ""),
        ({"phone": "+44 7400 123456", "country": "US"}, "We will text +44 7400 123456", "GB"),
        ({"phone": "0044740012345", "country": "US"}, "", "GB"),  # an incomplete number
        ({"phone": "020 7946 0958"}, "", ""),  # a landline, which gets no text messages
        ({"channel": "fax"}, "", ""),
    ],
)
def test_the_number_that_would_be_used_is_shown_where_it_is_whole(
    tab: Socket, typed: dict[str, str], text: str, country: str
) -> None:
    frames = tab.send(f"{STATE}.preview_number", {"form": PHONE | typed | {"turn": "7"}})

    assert f'"value":{{"country":"{country}","text":"{text}","turn":"7"}}' in "".join(frames)


@pytest.mark.row("B9")
def test_a_preview_sends_nothing_and_is_kept_nowhere(
    tab: Socket, provider: FakeProvider, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "123456" in "".join(tab.send(f"{STATE}.preview_number", {"form": PHONE}))

    # The server sends the whole state after HYDRATE.
    later = "".join([*tab.send(HYDRATE, {}), *capfd.readouterr()])
    assert "answered_rx_state_" in later
    assert "123456" not in later
    assert provider.sent == []


@pytest.mark.row("B19")
def test_a_preview_knows_of_no_number_whether_it_is_known(tab: Socket) -> None:
    here = services.current()
    nothing: Any = None  # neither a database for lookups nor a counter
    blind = replace(here.verifications, store=nothing, limiter=nothing, providers={})
    services.install(replace(here, verifications=blind))

    frames = tab.send(f"{STATE}.preview_number", {"form": PHONE})

    assert "We will text +44 7400 123456" in "".join(frames)


def test_a_code_cannot_be_checked_from_a_browser_without_a_verification(
    tab: Socket, provider: FakeProvider
) -> None:
    shown = tab.state(tab.send(f"{STATE}.check_code", {"form": {"code": RIGHT}}))

    assert shown["error"] == "Your session ended. Start again"
    assert provider.checked == []


@pytest.mark.row("C20")
def test_the_time_is_told_and_nothing_else(tab: Socket, provider: FakeProvider) -> None:
    tab.send(f"{STATE}.request_code", {"form": PHONE})

    told = tab.state(tab.send(f"{STATE}.sync_clock", {}, "/code"))

    assert set(told) == {"clock"}
    assert len(provider.sent) == 1


def test_a_code_that_is_used_up_elsewhere_is_told_and_a_new_one_comes_at_once(
    tab: Socket, provider: FakeProvider
) -> None:
    provider.second_start = SecondStart.SAME_CODE
    provider.answers = [CheckOutcome.EXHAUSTED]
    tab.send(f"{STATE}.request_code", {"form": PHONE})

    told = tab.state(tab.send(f"{STATE}.check_code", {"form": {"code": RIGHT}}, "/code"))
    after = tab.state(tab.send(f"{STATE}.resend", {"form": {}}, "/code"))

    assert told["step"] == "expired"
    assert told["error"].startswith("That code does not work any more: wrong codes")
    assert (after["step"], after["error"]) == ("code", "")
    assert len(provider.sent) == 2


@pytest.mark.row("C26")
def test_who_asks_for_a_code_in_a_lock_is_told_until_when(
    tab: Socket, provider: FakeProvider
) -> None:
    tab.send(f"{STATE}.request_code", {"form": PHONE})
    for _ in range(provider.max_attempts):
        tab.send(f"{STATE}.check_code", {"form": {"code": WRONG}})

    told = tab.state(tab.send(f"{STATE}.resend", {"form": {}}, "/code"))

    assert told["notice"].startswith("You cannot enter a code until")
    assert len(provider.sent) == 1
