"""Delivery reports: their signatures, their storage, and their text on the code page."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import delete, select
from starlette.applications import Starlette

from otp_app import services
from otp_app.config import Settings
from otp_app.errors import StoreUnavailable
from otp_app.storage.deliveries import SqlDeliveryReports
from otp_app.storage.tables import deliveries as table
from otp_app.verification.deliveries import DeliveryStatus
from otp_app.verification.models import Reference
from otp_app.web import bounds, delivery_webhooks
from tests import emulator as known
from tests.backend.client import STATE
from tests.database import connected
from tests.emulator import Clock
from tests.emulator.webhooks import (
    Post,
    twilio_event,
    twilio_post,
    twilio_signature,
    vonage_event,
    vonage_post,
    vonage_summary,
)
from tests.fakes import RIGHT, FakeProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from httpx2 import Response
    from sqlalchemy import Executable
    from starlette.testclient import TestClient

    from otp_app.phone import PhoneNumber
    from otp_app.verification.deliveries import DeliveryReport
    from otp_app.verification.models import Channel
    from tests.backend.conftest import Browser

PUBLIC = "https://verify.example.com"
TWILIO_URL, VONAGE_URL = f"{PUBLIC}/webhooks/twilio", f"{PUBLIC}/webhooks/vonage"
SETTINGS = Settings(
    otp_provider="twilio",
    public_url=PUBLIC,
    twilio_event_streams=True,
    twilio_account_sid=known.TWILIO_ACCOUNT_SID,
    twilio_auth_token=known.TWILIO_AUTH_TOKEN,
    twilio_verify_service_sid=known.TWILIO_SERVICE_SID,
    vonage_api_key=known.VONAGE_API_KEY,
    vonage_application_id=known.VONAGE_APPLICATION_ID,
    vonage_private_key="(not needed here)",
    vonage_signature_secret=known.VONAGE_SIGNATURE_SECRET,
)
PHONE = {"phone": "07400 123456", "country": "GB", "channel": "sms"}
DEEP = "Bearer " + "W1tb" * 10_000 + ".e30.x"  # the token's header is a deeply nested list
NO_MESSAGE = "The text message could not be delivered. Choose “Call me instead”"


@dataclass
class Provider(FakeProvider):
    """A fake with a vendor's name, and a unique reference in the vendor's format."""

    def __post_init__(self) -> None:
        self.reference = str(uuid4()) if self.name == "vonage" else f"VE{uuid4().hex}"

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        await super().start(to, channel, language)
        return Reference(self.reference)


@dataclass(frozen=True)
class Inlet:
    """Posts to the webhook endpoints, on the event loop of the app."""

    backend: TestClient
    provider: Provider
    app: Starlette
    clock: Clock

    def send(self, post: Post) -> Response:
        return self.send_all([post])[0]

    def send_all(self, posts: Sequence[Post]) -> list[Response]:
        async def send() -> list[Response]:
            transport = ASGITransport(self.app)
            async with AsyncClient(transport=transport) as client:
                return [
                    await client.post(post.url, headers=dict(post.headers), content=post.body)
                    for post in posts
                ]

        answers: list[Response] = self._call(send)
        return answers

    def report(self, *statuses: str) -> None:
        """Post reports with *statuses*, in the vendor's terms."""
        for status in statuses:
            assert self.send(self.post(self.event(status))).is_success

    def event(self, status: str, channel: str = "sms") -> dict[str, Any]:
        event = vonage_event if self.provider.name == "vonage" else twilio_event
        return event(self.provider.reference, status, self.clock.now(), channel=channel)

    def post(self, event: object) -> Post:
        if self.provider.name == "vonage":
            return vonage_post(VONAGE_URL, event, self.clock.now())
        return twilio_post(TWILIO_URL, event if isinstance(event, bytes) else [event])

    def kept(self) -> list[DeliveryStatus]:
        """Return the statuses of all stored reports, in order of arrival."""

        async def read() -> list[DeliveryStatus]:
            query = select(table.c.status).order_by(table.c.id)
            async with connected(self.store.engine) as connection:
                return list((await connection.execute(query)).scalars())

        statuses: list[DeliveryStatus] = self._call(read)
        return statuses

    def do(self, statement: Executable) -> None:
        async def work() -> None:
            async with connected(self.store.engine) as connection:
                await connection.execute(statement)

        self._call(work)

    @property
    def store(self) -> SqlDeliveryReports:
        store = services.current().deliveries.store
        assert isinstance(store, SqlDeliveryReports)
        return store

    def _call(self, work: Callable[..., Any]) -> Any:  # noqa: ANN401 - the result of any work
        assert self.backend.portal is not None
        return self.backend.portal.call(work)


@pytest.fixture(params=["vonage", "twilio"])
def provider(request: pytest.FixtureRequest, backend: TestClient) -> Iterator[Provider]:
    """Replace the provider of the other tests by one whose reports are accepted."""
    del backend
    real, fake = services.current(), Provider(name=request.param)
    verifications = replace(
        real.verifications, providers={fake.name: fake}, provider=fake.name, limits=()
    )
    deliveries = replace(real.deliveries, reporters=frozenset({fake.name}))
    services.install(replace(real, verifications=verifications, deliveries=deliveries))
    yield fake
    services.install(real)


@pytest.fixture
def inlet(backend: TestClient, provider: Provider) -> Iterator[Inlet]:
    clock = Clock()
    app = Starlette(routes=delivery_webhooks.build_routes(SETTINGS, clock.now))
    inlet = Inlet(backend, provider, app, clock)
    yield inlet
    inlet.do(delete(table))


vonage_only = pytest.mark.parametrize("provider", ["vonage"], indirect=True)
twilio_only = pytest.mark.parametrize("provider", ["twilio"], indirect=True)


@pytest.fixture
def sent(browser: Browser) -> Browser:
    """Return a browser after a code was sent."""
    browser.post("/request-otp", {"number": PHONE["phone"], "country": "GB"})
    return browser


@pytest.mark.parametrize("path", ["/webhooks/vonage", "/webhooks/twilio"])
def test_without_the_settings_there_are_no_receivers(backend: TestClient, path: str) -> None:
    assert backend.post(path, content=b"{}").status_code == 404


@pytest.mark.parametrize(
    ("provider", "said", "kept"),
    [
        ("vonage", "completed", DeliveryStatus.DELIVERED),
        ("vonage", "failed", DeliveryStatus.FAILED),
        ("vonage", "rejected", DeliveryStatus.FAILED),
        ("vonage", "blocked", DeliveryStatus.FAILED),
        ("twilio", "sent", DeliveryStatus.ACCEPTED),
        ("twilio", "delivered", DeliveryStatus.DELIVERED),
        ("twilio", "read", DeliveryStatus.DELIVERED),
        ("twilio", "undelivered", DeliveryStatus.UNDELIVERED),
        ("twilio", "failed", DeliveryStatus.FAILED),
    ],
    indirect=["provider"],
)
@pytest.mark.usefixtures("sent")
def test_what_is_signed_is_kept(inlet: Inlet, said: str, kept: DeliveryStatus) -> None:
    answer = inlet.send(inlet.post(inlet.event(said)))

    assert (answer.status_code, answer.content) == (204, b"")
    assert inlet.kept() == [kept]


@pytest.mark.usefixtures("sent")
def test_a_replay_is_answered_and_kept_once(inlet: Inlet) -> None:
    post = inlet.post(inlet.event("failed"))

    answers = inlet.send_all([post] * 5)

    assert [answer.status_code for answer in answers] == [204] * 5
    assert len(inlet.kept()) == 1


@pytest.mark.usefixtures("sent")
def test_a_retry_is_kept_once(inlet: Inlet) -> None:
    """The vendor signs a report again for each retry."""
    event = inlet.event("failed")
    inlet.send(inlet.post(event))
    inlet.clock.tick(60)

    assert inlet.send(inlet.post(event)).status_code == 204

    assert len(inlet.kept()) == 1


@pytest.mark.usefixtures("sent")
def test_what_another_app_of_the_account_did_is_not_kept(inlet: Inlet) -> None:
    event = inlet.event("failed")
    id_ = inlet.provider.reference
    strange = json.loads(json.dumps(event).replace(id_, id_[:-4] + "abcd"))

    assert inlet.send(inlet.post(strange)).status_code == 204

    assert inlet.kept() == []


FORGED: list[dict[str, Any]] = [
    {"secret": "another-secret-of-thirty-two-characters"},  # pragma: allowlist secret
    {"algorithm": "none"},
    {"algorithm": "HS512"},
    {"payload_hash": "0" * 64},
    {"payload_hash": None},
    {"payload_hash": 5},
    {"payload_hash": "\ud800"},
    {"iat": None},
    {"iat": "now"},
    {"iat": True},
    {"iat": 1e400},
    {"iat": 10**400},
    {"iat": float("nan")},
    {"exp": 1},
    {"api_key": "zyxw9876"},  # pragma: allowlist secret
    {"application_id": "00000000-0000-4000-8000-000000000005"},
    {"application_id": ["00000000-0000-4000-8000-000000000004"]},
]
"""Arguments of `vonage_post` that make the token of another app, or a token that is no token."""


@vonage_only
@pytest.mark.usefixtures("sent")
def test_a_token_that_is_not_vonages_for_us_is_refused(inlet: Inlet) -> None:
    event, now = inlet.event("failed"), inlet.clock.now()

    answers = inlet.send_all([vonage_post(VONAGE_URL, event, now, **forged) for forged in FORGED])

    found = {str(f): (a.status_code, a.content) for f, a in zip(FORGED, answers, strict=True)}
    assert found == {str(forged): (401, b"") for forged in FORGED}
    assert inlet.kept() == []


@vonage_only
@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_token_of_another_time_is_refused(inlet: Inlet, minutes: int) -> None:
    issued = inlet.clock.now() + timedelta(minutes=minutes)

    answer = inlet.send(vonage_post(VONAGE_URL, inlet.event("failed"), issued))

    assert answer.status_code == 401
    assert inlet.kept() == []


@vonage_only
@pytest.mark.usefixtures("sent")
def test_a_token_is_good_for_its_body_only(inlet: Inlet) -> None:
    post = inlet.post(inlet.event("completed"))
    changed = replace(post, body=post.body.replace(b"completed", b"failed"))

    assert inlet.send(changed).status_code == 401
    assert inlet.send(replace(post, body=post.body + b" ")).status_code == 401
    assert inlet.kept() == []


@vonage_only
@pytest.mark.usefixtures("sent")
def test_without_a_token_nothing_is_believed(inlet: Inlet) -> None:
    post = inlet.post(inlet.event("failed"))
    headers = ["", "Bearer", "Bearer x.y.z", "Basic YTpi", "Bearer ..", DEEP]

    answers = inlet.send_all([replace(post, headers={"Authorization": one}) for one in headers])

    found = {one[:20]: answer.status_code for one, answer in zip(headers, answers, strict=True)}
    assert found == {one[:20]: 401 for one in headers}
    assert inlet.kept() == []


@vonage_only
@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize("name", ["application_id", "api_key", "jti", "iss"])
def test_a_claim_that_is_not_there_contradicts_nothing(inlet: Inlet, name: str) -> None:
    missing: dict[str, Any] = {name: None}
    post = vonage_post(VONAGE_URL, inlet.event("failed"), inlet.clock.now(), **missing)

    answer = inlet.send(post)

    assert answer.status_code == 204


@vonage_only
@pytest.mark.usefixtures("sent")
def test_a_token_may_be_a_little_old_and_the_clocks_a_little_apart(inlet: Inlet) -> None:
    post = inlet.post(inlet.event("failed"))
    inlet.clock.tick(14 * 60)

    assert inlet.send(post).status_code == 204

    assert len(inlet.kept()) == 1
    inlet.clock.tick(120)
    assert inlet.send(post).status_code == 401


@twilio_only
@pytest.mark.usefixtures("sent")
def test_a_signature_that_is_not_twilios_for_us_is_refused(inlet: Inlet) -> None:
    event = inlet.event("failed")
    right = inlet.post(event)
    bare = {"X-Twilio-Signature": twilio_signature(TWILIO_URL)}
    forged = [
        twilio_post(TWILIO_URL, [event], token="0" * 32),
        twilio_post(VONAGE_URL.replace("vonage", "twilio/x"), [event]),
        twilio_post(TWILIO_URL.replace("verify", "another"), [event]),
        replace(right, headers={}),
        replace(right, headers={"X-Twilio-Signature": "x"}),
        replace(right, body=right.body.replace(b"failed", b"delivered")),
        replace(right, body=b""),
        replace(right, url=right.url + "&x=1"),
        Post(TWILIO_URL, bare, right.body),  # the signature covers the URL but no body
        Post(TWILIO_URL, bare, b""),
    ]

    answers = [
        inlet.send(replace(post, url=post.url.replace("twilio/x", "twilio"))) for post in forged
    ]

    assert [answer.status_code for answer in answers] == [401] * len(forged)
    assert inlet.kept() == []
    assert inlet.send(right).status_code == 204


@pytest.mark.usefixtures("sent")
def test_forgeries_are_counted_in_the_log_and_not_told(
    inlet: Inlet,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moments = iter([*range(30), *range(60, 90)])
    monkeypatch.setattr(bounds, "now", lambda: next(moments))
    post = inlet.post(inlet.event("canary"))

    inlet.send_all([replace(post, headers={"Authorization": "canary"})] * 20)

    written = capfd.readouterr().out
    assert [line.partition("times=")[2] for line in written.splitlines()] == ["1"]
    assert "canary" not in written


ODD: list[Any] = [
    None,
    True,
    5,
    10**400,
    "text",
    "\ud800",
    [],
    [[]],
    {},
    {"data": []},
    {"type": ["event"], "status": {}, "channel": 5, "request_id": None},
]


BODIES = [
    b"",
    b"{",
    b"null",
    b"[" * 100_000,
    b"9" * 5000,
    b'{"a":' * 50_000,
    b"NaN",
    *(json.dumps(value).encode() for value in ODD if value != 10**400),
    *(json.dumps([value]).encode() for value in ODD if value != 10**400),
]


@pytest.mark.usefixtures("sent")
def test_no_body_that_is_signed_is_an_error(inlet: Inlet) -> None:
    answers = inlet.send_all([inlet.post(body) for body in BODIES])

    found = {body[:30]: answer.status_code for body, answer in zip(BODIES, answers, strict=True)}
    assert found == {body[:30]: 204 for body in BODIES}
    assert inlet.kept() == []


@pytest.mark.usefixtures("sent")
def test_no_value_of_a_field_is_an_error(inlet: Inlet) -> None:
    event = inlet.event("failed")
    times = ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "yesterday", "2026-01-01"]
    odd = [*ODD[:3], *ODD[4:], *times, "x" * 5000, "\x00", "\u0661"]
    spoilt = [event | {name: value} for name in event for value in odd]
    data = event.get("data", {})
    spoilt += [event | {"data": data | {name: value}} for name in data for value in odd]

    answers = inlet.send_all([inlet.post(one) for one in spoilt])

    assert {answer.status_code for answer in answers} == {204}


@twilio_only
@pytest.mark.usefixtures("sent")
def test_a_body_that_is_no_text_is_refused(inlet: Inlet) -> None:
    assert inlet.send(inlet.post(b"\xff")).status_code == 401


@vonage_only
@pytest.mark.usefixtures("sent")
def test_what_is_no_report_of_a_message_is_not_kept(inlet: Inlet) -> None:
    now, id_ = inlet.clock.now(), inlet.provider.reference
    others = [
        vonage_summary(id_, "completed", now),
        vonage_event(id_, "user_rejected", now),
        vonage_event(id_, "expired", now),
        vonage_event(id_, "failed", now, channel="email"),
        vonage_event(id_, "action_pending", now, channel="silent_auth", action={"type": "check"}),
    ]

    answers = inlet.send_all([inlet.post(other) for other in others])

    assert [answer.status_code for answer in answers] == [204] * len(others)
    assert inlet.kept() == []


@twilio_only
@pytest.mark.usefixtures("sent")
def test_events_of_other_kinds_in_a_post_are_left_out(inlet: Inlet) -> None:
    event = inlet.event("delivered")
    events = [
        event | {"type": "com.twilio.eventstreams.test-event", "data": {"test_id": "x"}},
        event | {"type": "com.twilio.accountsecurity.verify.verification.approved"},
        event | {"type": "delivered"},
        inlet.event("delivered", channel="email"),
        inlet.event("undelivered", channel="rbm"),
    ]

    assert inlet.send(twilio_post(TWILIO_URL, events)).status_code == 204

    assert inlet.kept() == [DeliveryStatus.UNDELIVERED]


@pytest.mark.usefixtures("sent")
def test_a_store_that_is_down_makes_the_vendor_come_again(inlet: Inlet) -> None:
    here = services.current()
    down = replace(here.deliveries, store=Down(inlet.store.engine))
    services.install(replace(here, deliveries=down))
    post = inlet.post(inlet.event("failed"))

    assert inlet.send(post).status_code == 503

    services.install(here)
    assert inlet.send(post).status_code == 204
    assert len(inlet.kept()) == 1


class Down(SqlDeliveryReports):
    """Storage of deliveries whose database is down."""

    async def add(
        self, deliveries: Sequence[DeliveryReport]
    ) -> Sequence[tuple[str, DeliveryReport]]:
        del deliveries
        raise StoreUnavailable

    async def reports(self, verification: object) -> Sequence[DeliveryReport]:
        del verification
        raise StoreUnavailable


def test_a_long_post_is_taken_from_twilio_only(backend: TestClient) -> None:
    """Neither vendor has a webhook endpoint in this test."""
    body = b" " * 200_000

    assert backend.post("/webhooks/twilio", content=body).status_code == 404
    assert backend.post("/webhooks/vonage", content=body).status_code == 413
    assert backend.post("/webhooks/twilio", content=body * 2).status_code == 413


@pytest.fixture
def events_of_twilio(request: pytest.FixtureRequest) -> int:
    """Return a number of events that fills several posts."""
    return 5_000 if request.config.getoption("nightly") else 1_000


@twilio_only
def test_events_in_any_order_and_twice_come_to_one_answer(
    inlet: Inlet, sent: Browser, events_of_twilio: int
) -> None:
    now, id_ = inlet.clock.now(), inlet.provider.reference
    words = ["sent", "undelivered", "delivered"]
    events = [
        twilio_event(id_, words[place % 3], now + timedelta(milliseconds=place), sent_at=now)
        for place in range(events_of_twilio)
    ]
    events[-1] |= {"type": events[2]["type"]}  # the newest report is "delivered"
    shuffled = events * 2
    random.Random(1).shuffle(shuffled)
    batches = [shuffled[start : start + 250] for start in range(0, len(shuffled), 250)]

    answers = inlet.send_all([twilio_post(TWILIO_URL, batch) for batch in batches])

    assert {answer.status_code for answer in answers} == {204}
    assert len(inlet.kept()) == events_of_twilio
    with sent.socket("/code") as tab:
        shown = tab.state(tab.send(f"{STATE}.show_code", {}, "/code"))
    assert shown["delivery"].startswith("Delivered at")


@pytest.fixture
def posts_of_vonage(request: pytest.FixtureRequest) -> int:
    """Return the number of posts, each with one event."""
    return 250 if request.config.getoption("nightly") else 50


@vonage_only
def test_posts_in_any_order_and_twice_come_to_one_answer(
    inlet: Inlet, sent: Browser, posts_of_vonage: int
) -> None:
    now, id_ = inlet.clock.now(), inlet.provider.reference
    events = [
        vonage_event(id_, "failed", now + timedelta(milliseconds=place))
        for place in range(posts_of_vonage)
    ]
    posts = [inlet.post(event) for event in events * 2]
    random.Random(1).shuffle(posts)

    answers = inlet.send_all(posts)

    assert {answer.status_code for answer in answers} == {204}
    assert len(inlet.kept()) == posts_of_vonage
    with sent.socket("/code") as tab:
        shown = tab.state(tab.send(f"{STATE}.show_code", {}, "/code"))
    assert shown["delivery"] == NO_MESSAGE


def test_the_page_learns_of_a_delivery_when_it_asks(
    browser: Browser, provider: Provider, inlet: Inlet
) -> None:
    with browser.socket("/code") as tab:
        started = tab.state(tab.send(f"{STATE}.request_code", {"form": PHONE}))
        assert (started["delivery"], started["awaits_delivery"]) == ("", True)
        assert tab.state(tab.send(f"{STATE}.show_delivery", {}, "/code"))["awaits_delivery"]

        inlet.report("failed")
        failed = tab.state(tab.send(f"{STATE}.show_delivery", {}, "/code"))
        assert (failed["delivery"], failed["awaits_delivery"]) == (NO_MESSAGE, False)
        assert failed["failed"]  # the page puts the other channel first

    frames = "".join(tab.frames)
    assert provider.reference not in frames
    assert len(provider.sent) == 1


@twilio_only
def test_a_delivery_is_told_with_its_time_in_the_zone_of_the_person(
    browser: Browser, inlet: Inlet
) -> None:
    person = replace(browser, cookie=f"{browser.cookie}; tz=Asia/Kolkata")
    with person.socket("/code") as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE})
        inlet.report("delivered")
        shown = tab.state(tab.send(f"{STATE}.show_delivery", {}, "/code"))

    there = datetime.now(UTC) + timedelta(hours=5, minutes=30)
    minutes = [there, there - timedelta(minutes=1)]  # the minute may have changed meanwhile
    assert shown["delivery"] in [f"Delivered at {m:%-I:%M\u202f%p}" for m in minutes]


def test_a_delivery_is_told_in_the_language_of_the_person(browser: Browser, inlet: Inlet) -> None:
    person = replace(browser, cookie=f"{browser.cookie}; language=ja")
    with person.socket("/code") as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE})
        inlet.report("failed")
        shown = tab.state(tab.send(f"{STATE}.show_delivery", {}, "/code"))

    assert shown["delivery"].startswith("テキストメッセージを配信できませんでした")


@twilio_only
def test_a_later_sent_does_not_undo_delivered(browser: Browser, inlet: Inlet) -> None:
    with browser.socket("/code") as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE})
        inlet.report("delivered", "sent")
        shown = tab.state(tab.send(f"{STATE}.show_delivery", {}, "/code"))

    assert shown["delivery"].startswith("Delivered at")


@pytest.mark.usefixtures("provider")
def test_nobody_waits_for_reports_that_are_not_set_up(browser: Browser) -> None:
    here = services.current()
    unheard = replace(here.deliveries, reporters=frozenset())
    services.install(replace(here, deliveries=unheard))
    with browser.socket("/code") as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE})
        tab.send(f"{STATE}.show_code", {}, "/code")

    assert '"awaits_delivery_rx_state_":true' not in "".join(tab.frames)


def test_once_the_code_is_right_the_page_stops_asking(browser: Browser, inlet: Inlet) -> None:
    with browser.socket("/code") as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE})
        inlet.report("failed")
        verified = tab.state(tab.send(f"{STATE}.check_code", {"form": {"code": RIGHT}}))
        assert (verified["step"], verified["awaits_delivery"]) == ("verified", False)
        after = tab.state(tab.send(f"{STATE}.show_delivery", {}, "/code"))

    assert (after["delivery"], after["awaits_delivery"]) == ("", False)


def test_a_store_that_is_down_is_no_problem_of_who_only_waits(
    browser: Browser, inlet: Inlet
) -> None:
    here = services.current()
    with browser.socket("/code") as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE})
        down = replace(here.deliveries, store=Down(inlet.store.engine))
        services.install(replace(here, deliveries=down))
        frames = tab.send(f"{STATE}.show_delivery", {}, "/code")
        started = tab.state(tab.send(f"{STATE}.show_code", {}, "/code"))

    assert "_redirect" not in "".join(frames)
    assert started.get("error", "") == ""


def test_another_browser_is_told_nothing(sent: Browser, inlet: Inlet) -> None:
    inlet.report("failed")
    other_browser = replace(sent, cookie=services.current().flows.mint())

    with other_browser.socket("/code") as tab:
        tab.send(f"{STATE}.show_delivery", {}, "/code")

    assert NO_MESSAGE not in "".join(tab.frames)
