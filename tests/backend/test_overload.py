"""Above the bounds of the overload gate, sends and checks are refused before anything is done."""

from __future__ import annotations

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from otp_app import services
from otp_app.errors import Overloaded
from otp_app.i18n import english, languages
from otp_app.i18n.en import TEXTS
from otp_app.monitoring.metrics import REGISTRY, count_overload
from otp_app.services import OverloadGate
from otp_app.storage.tables import audit, limits, verifications
from otp_app.verification.limits import Action
from tests.backend.client import STATE
from tests.backend.test_vendor_calls import running
from tests.conftest import FRONT_END
from tests.contract.conftest import make_twilio
from tests.contract.observing import arrived
from tests.emulator import Hold
from tests.fakes import RIGHT, WRONG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx2 import Response
    from starlette.testclient import TestClient
    from starlette.types import Message

    from tests.backend.conftest import Browser
    from tests.backend.test_vendor_calls import Site
    from tests.fakes import FakeProvider

SENDS = 2
BUSY = english().t(TEXTS["overloaded"])
SEND_ROUTES = {
    "/api/v1/verifications": "application/problem+json",
    "/api/otp/request": "application/json",
    "/api/request-verification": "application/json",
}


def install(sends: int, checks: int) -> OverloadGate:
    """Install a gate with these bounds, whose clock stands still.

    The fixtures `provider` and `site` restore the gate of the app.
    """
    gate = OverloadGate(sends, checks, count_overload, lambda: 0.0)
    services.install(replace(services.current(), gate=gate))
    return gate


@pytest.fixture
def site(backend: TestClient, migrated: Path, tmp_path: Path) -> Iterator[Site]:
    """Yield the backend with an emulated Twilio and a bound of `SENDS` sends."""
    with running(backend, Path(shutil.copy(migrated, tmp_path)), make_twilio) as site:
        install(SENDS, 1)
        yield site


def ask(site: Site, index: int) -> Response:
    """Request a code by the API, from one of many browsers and addresses."""
    me = site.person(f"198.51.100.{index}")
    body = {"phone_number": f"+4474001234{index:02}"}
    return me.client.post("/api/v1/verifications", json=body, headers={"cookie": me.cookie})


@contextmanager
def full(site: Site) -> Iterator[None]:
    """Let the provider hold `SENDS` sends until the block ends. All of them succeed then."""
    released, before = Event(), site.emulator.count("twilio.start")
    site.emulator.fail("twilio.start", Hold(released), SENDS)
    with ThreadPoolExecutor(SENDS) as pool:
        running = [pool.submit(ask, site, index) for index in range(1, SENDS + 1)]
        try:
            site.call(arrived, site.emulator, "twilio.start", before + SENDS)
            yield
        finally:
            released.set()
    assert [one.result().status_code for one in running] == [201] * SENDS


def test_a_send_above_the_bound_is_refused_at_once_and_nothing_is_counted(site: Site) -> None:
    with full(site):
        before = [site.count(table) for table in (audit, limits, verifications)]
        me = site.person("198.51.100.9")
        for path, media_type in SEND_ROUTES.items():
            answer = me.client.post(path, content=b"{", headers={"cookie": me.cookie})
            assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["content-type"] == media_type
            assert "set-cookie" not in answer.headers
        after = [site.count(table) for table in (audit, limits, verifications)]

    assert after == before
    assert site.emulator.count("twilio.start") == SENDS
    assert ask(site, 9).status_code == 201  # the places are free again


def test_a_code_can_be_checked_while_sends_are_refused(site: Site) -> None:
    me = site.person("198.51.100.9")
    me.post("/request-otp", {"number": "+447400123499"})
    (message,) = site.emulator.messages

    with full(site):
        assert ask(site, 8).status_code == 503
        answer = me.post("/verify-otp", {"code": message.code})

    assert answer.status_code == 200


def test_a_request_that_is_aborted_gives_its_place_back(site: Site) -> None:
    gate, released = install(1, 1), Event()
    site.emulator.fail("twilio.start", Hold(released))
    app, cookie = site.backend.app, site.person("198.51.100.9").cookie
    body = b'{"phone_number": "+447400123456"}'

    async def abort() -> None:
        messages: list[Message] = [{"type": "http.request", "body": body}]

        async def receive() -> Message:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(_: Message) -> None:
            raise AssertionError("a response is sent")

        scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": "/api/v1/verifications",
            "query_string": b"",
            "headers": [
                (b"host", b"localhost:3000"),
                (b"content-type", b"application/json"),
                (b"cookie", cookie.encode()),
            ],
            "client": ("198.51.100.9", 1),
            "scheme": "http",
        }
        task = asyncio.ensure_future(app(scope, receive, send))
        await arrived(site.emulator, "twilio.start", 1)
        with pytest.raises(Overloaded), gate.admit(Action.SEND):
            raise AssertionError("there is a free place")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with gate.admit(Action.SEND):
            released.set()

    site.call(abort)

    assert released.is_set()


def test_a_page_of_another_origin_can_read_the_refusal(browser: Browser) -> None:
    install(0, 0)

    answer = browser.client.post("/api/otp/request", headers={"origin": FRONT_END})

    assert answer.status_code == 503
    assert answer.headers["access-control-allow-origin"] == FRONT_END
    assert answer.headers["access-control-expose-headers"] == "Retry-After"


def test_a_refusal_is_in_the_language_of_the_caller(browser: Browser) -> None:
    install(0, 0)

    for language in languages().values():
        for path in ("/api/v1/verifications", "/api/otp/verify"):
            answer = browser.client.post(path, headers={"accept-language": language.tag})
            text = answer.json()["detail" if "v1" in path else "error"]
            assert text == language.t(TEXTS["overloaded"])
            assert answer.headers["content-language"] == language.tag


def test_refusals_are_one_line_of_the_log_and_one_metric(
    browser: Browser, capfd: pytest.CaptureFixture[str]
) -> None:
    install(0, 0)
    name, labels = "otp_overload_refusals_total", {"operation": "send"}
    before = REGISTRY.get_sample_value(name, labels) or 0.0

    with browser.socket() as tab:
        for _ in range(5):
            browser.client.post("/api/otp/request")
            browser.post("/request-otp", {"number": "07400 123456"})
            tab.send(f"{STATE}.request_code", {"form": {"phone": "07400 123456"}})

    written = "".join(capfd.readouterr())
    assert written.count("overload.refused") == 1
    assert "http.responded" not in written
    assert "ui_event.completed" not in written
    assert REGISTRY.get_sample_value(name, labels) == before + 15


def test_the_plain_phone_page_says_so_and_keeps_what_was_entered(
    browser: Browser, provider: FakeProvider
) -> None:
    install(0, 1)
    form = {"phone": "07400 12345", "country": "FR", "channel": "voice"}

    answer = browser.post("/request-otp", form)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert BUSY in answer.text
    assert "Try again after" not in answer.text
    assert 'value="07400 12345"' in answer.text
    assert '<option value="FR" selected>' in answer.text
    assert 'value="voice" checked' in answer.text
    assert provider.calls == []


def test_the_plain_code_page_says_so_and_keeps_half_a_code(
    browser: Browser, provider: FakeProvider
) -> None:
    browser.post("/request-otp", {"number": "07400 123456", "country": "GB"})
    install(0, 0)

    check = browser.post("/verify-otp", {"code": "123"})
    resend = browser.post("/resend-otp", {"channel": "voice"})

    for answer in (check, resend):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert BUSY in answer.text
    assert 'value="123"' in check.text
    assert "Change the number" in resend.text
    assert (len(provider.sent), provider.checked) == (1, [])


def test_a_live_page_says_so_in_place_and_works_again(
    browser: Browser, provider: FakeProvider
) -> None:
    with browser.socket() as tab:
        install(0, 0)
        frames = tab.send(f"{STATE}.request_code", {"form": {"phone": "+447400123456"}})
        refused = tab.state(frames)
        assert (refused["notice"], refused["error_on"]) == (BUSY, "phone")
        assert refused["answered"]  # the buttons work again
        assert refused["error"] == ""
        assert "_focus" not in "".join(frames)
        assert provider.calls == []

        install(1, 0)
        sent = tab.state(tab.send(f"{STATE}.request_code", {"form": {"phone": "+447400123456"}}))
        assert (sent["notice"], sent["step"]) == ("", "code")
        install(0, 1)
        wrong = tab.send(f"{STATE}.check_code", {"form": {"code": WRONG}}, "/code")
        assert "_focus" in "".join(wrong)

        install(0, 0)
        frames = tab.send(f"{STATE}.check_code", {"form": {"code": RIGHT}}, "/code")
        refused = tab.state(frames)
        assert (refused["notice"], refused["error_on"]) == (BUSY, "code")
        assert "_focus" not in "".join(frames)
        install(0, 1)
        refused = tab.state(tab.send(f"{STATE}.resend", {"form": {}}, "/code"))
        assert (refused["notice"], refused["error_on"]) == (BUSY, "resend")
        right = tab.state(tab.send(f"{STATE}.check_code", {"form": {"code": RIGHT}}, "/code"))
        assert (right["notice"], right["step"]) == ("", "verified")
