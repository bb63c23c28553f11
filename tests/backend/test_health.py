"""The monitoring endpoints, and the access to them."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from sqlite3 import connect
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from starlette.applications import Starlette

from otp_app import services
from otp_app.config import AppEnv, Settings
from otp_app.errors import ProviderMisconfigured, ProviderRejected, ProviderTimedOut
from otp_app.monitoring import metrics
from otp_app.storage import engine
from otp_app.verification.limits import POLICY
from tests.fakes import RIGHT, WRONG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.backend.conftest import Browser
    from tests.fakes import FakeProvider

PHONE = {"number": "07400 123456", "country": "GB"}
TOKEN = "canary-canary-canary-canary-canary"
HERE = ("127.0.0.1", 4711)
SENT = {"provider": "fake", "channel": "sms", "country": "GB"}


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the cache of the probe's result."""
    monkeypatch.setattr(engine, "FRESH", 0.0)


@pytest.fixture
def local(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """Return a client on the app's own machine."""
    monkeypatch.setattr(browser.client._transport, "client", HERE)
    return browser


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Scrapes:
    """The increase of the metrics since the object was created."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._before = self._scrape()

    def new(self, name: str, **labels: str) -> float:
        key = name, frozenset(labels.items())
        return self.now(name, **labels) - self._before.get(key, 0)

    def now(self, name: str, **labels: str) -> float:
        return self._scrape().get((name, frozenset(labels.items())), 0)

    def _scrape(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        answer = self._browser.get("/metrics")
        assert answer.status_code == 200
        return samples(answer.text)


@pytest.fixture
def scrapes(local: Browser) -> Scrapes:
    return Scrapes(local)


def database_file() -> Path:
    path = services.current().database.engine.url.database
    assert path is not None
    return Path(path)


@contextmanager
def away(file: Path) -> Iterator[None]:
    """Move *file* away, and back at the end."""
    elsewhere = file.rename(file.with_suffix(".away"))
    yield
    elsewhere.rename(file)


@contextmanager
def limits(*names: str) -> Iterator[None]:
    """Apply only the limits of the policy with these *names*."""
    real = services.current()
    chosen = tuple(limit for limit in POLICY if limit.name in names)
    services.install(replace(real, verifications=replace(real.verifications, limits=chosen)))
    yield
    services.install(real)


def ready(browser: Browser) -> tuple[int, Mapping[str, Any]]:
    answer = browser.get("/ready")
    return answer.status_code, answer.json()


def settled(browser: Browser) -> tuple[int, Mapping[str, Any]]:
    """Request `/ready` until the database is not busy, and return the response."""
    while (answer := ready(browser))[1]["database"] == "busy":
        continue
    return answer


def test_who_can_work_is_ready(browser: Browser) -> None:
    assert ready(browser) == (200, {"status": "ready", "database": "ok", "provider": "ok"})


def test_a_probe_sets_no_cookie_and_counts_nothing(browser: Browser) -> None:
    assert "set-cookie" not in browser.get("/ready").headers
    assert browser.client.head("/ready").status_code == 200


def test_without_its_database_it_is_not_ready(browser: Browser) -> None:
    with away(database_file()):
        assert ready(browser) == (200, {"status": "ready", "database": "busy", "provider": "ok"})
        answer = settled(browser)

    assert answer == (503, {"status": "not_ready", "database": "failing", "provider": "ok"})
    assert ready(browser)[0] == 200


def test_nobody_waits_for_a_database_that_somebody_holds(browser: Browser) -> None:
    """S11: the database counts as busy for some seconds, like under load."""
    database = services.current().database
    with closing(connect(database_file(), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        assert ready(browser) == (200, {"status": "ready", "database": "busy", "provider": "ok"})

        assert database._checking is not None
        assert not database._checking.done()
        assert settled(browser)[0] == 503
        other.execute("ROLLBACK")
    assert any(ready(browser)[0] == 200 for _ in range(20))  # each waits a while for the probe


def test_a_database_of_another_version_is_not_ready(browser: Browser) -> None:
    with closing(connect(database_file(), isolation_level=None)) as other:
        (before,) = other.execute("SELECT version_num FROM alembic_version").fetchone()
        other.execute("UPDATE alembic_version SET version_num = 'newer'")
        answer = settled(browser)
        other.execute("UPDATE alembic_version SET version_num = ?", (before,))

    assert answer[0] == 503
    assert answer[1]["database"] == "other_version"


def test_who_is_stopping_takes_no_more_traffic(browser: Browser) -> None:
    draining = services.current().draining
    draining.set()
    answer = ready(browser)
    draining.clear()

    assert answer == (503, {"status": "draining", "database": "ok", "provider": "ok"})


def test_a_provider_that_fails_is_told_of_and_no_reason_to_go_elsewhere(
    browser: Browser, provider: FakeProvider
) -> None:
    provider.failures = [ProviderMisconfigured()]
    browser.post("/request-otp", PHONE)

    assert ready(browser) == (200, {"status": "ready", "database": "ok", "provider": "failing"})


def test_messages_and_codes_are_counted_by_what_came_of_them(
    browser: Browser, scrapes: Scrapes
) -> None:
    browser.post("/request-otp", PHONE)
    browser.post("/verify-otp", {"code": WRONG})
    browser.post("/verify-otp", {"code": RIGHT})

    assert scrapes.new("otp_sends_total", **SENT, outcome="ok") == 1
    assert scrapes.new("otp_checks_total", **SENT, outcome="rejected") == 1
    assert scrapes.new("otp_checks_total", **SENT, outcome="ok") == 1
    assert scrapes.new("otp_provider_seconds_count", provider="fake", operation="send") == 1
    assert scrapes.new("otp_provider_seconds_count", provider="fake", operation="check") == 2


@pytest.mark.parametrize(
    ("fault", "outcome", "sent"),
    [
        (ProviderTimedOut(), "unknown", 1),
        (ProviderRejected(), "refused", 0),
        (ProviderMisconfigured(), "failed", 0),
    ],
)
def test_a_verification_counts_once_its_message_may_be_out(
    browser: Browser,
    provider: FakeProvider,
    scrapes: Scrapes,
    fault: Exception,
    outcome: str,
    sent: int,
) -> None:
    provider.failures = [fault]

    browser.post("/request-otp", PHONE)

    assert scrapes.new("otp_sends_total", **SENT, outcome=outcome) == 1
    assert scrapes.new("otp_verifications_sent_total", country="GB") == sent


def test_conversion_is_of_verifications_and_not_of_messages(
    browser: Browser, provider: FakeProvider, scrapes: Scrapes
) -> None:
    provider.failures = [ProviderTimedOut()]
    browser.post("/request-otp", PHONE)
    browser.post("/request-otp", {"number": "07400 123457", "country": "GB"})
    browser.post("/verify-otp", {"code": RIGHT})

    assert scrapes.new("otp_verifications_sent_total", country="GB") == 2
    assert scrapes.new("otp_verifications_approved_total", country="GB") == 1


def test_a_refusal_is_counted_under_its_limit(browser: Browser, scrapes: Scrapes) -> None:
    with limits("LIMIT_SEND_SESSION_NUMBERS"):
        for ending in range(4):
            browser.post("/request-otp", {"number": f"07400 12345{ending}", "country": "GB"})

        assert scrapes.new("otp_limit_refusals_total", limit="LIMIT_SEND_SESSION_NUMBERS") == 1


def test_what_is_used_of_the_whole_bill_is_shown(browser: Browser, scrapes: Scrapes) -> None:
    with limits("LIMIT_SEND_TOTAL"):
        before = scrapes.now("otp_budget_used", limit="LIMIT_SEND_TOTAL")
        browser.post("/request-otp", PHONE)

        assert scrapes.now("otp_budget_used", limit="LIMIT_SEND_TOTAL") == before + 1
        assert scrapes.now("otp_budget", limit="LIMIT_SEND_TOTAL") == 200


def test_without_the_database_there_is_no_budget_and_all_the_rest(
    local: Browser,
) -> None:
    with limits("LIMIT_SEND_TOTAL"), away(database_file()):
        text = local.get("/metrics").text

    assert "otp_open_sockets" in text
    assert 'otp_budget{limit="LIMIT_SEND_TOTAL"}' not in text


def test_a_provider_that_fails_is_in_the_metrics_too(
    browser: Browser, provider: FakeProvider, scrapes: Scrapes
) -> None:
    provider.failures = [ProviderMisconfigured()]
    browser.post("/request-otp", PHONE)

    assert scrapes.now("otp_provider_failing", provider="fake", operation="send") == 1
    assert scrapes.now("otp_provider_failing", provider="fake", operation="check") == 0


def test_open_pages_are_counted(browser: Browser, scrapes: Scrapes) -> None:
    with browser.socket():
        assert scrapes.new("otp_open_sockets") == 1

    assert scrapes.new("otp_open_sockets") == 0


def test_metrics_name_nobody(browser: Browser, local: Browser) -> None:
    browser.post("/request-otp", PHONE)
    browser.post("/verify-otp", {"code": RIGHT})

    text = local.get("/metrics").text

    number, flow = "7400123456", browser.cookie.partition("=")[2]
    assert not [
        secret for secret in (number, RIGHT, "reference-", flow[:20], HERE[0]) if secret in text
    ]


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("203.0.113.7", {}),
        ("testclient", {}),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}),
        ("127.0.0.1", {"x-real-ip": "127.0.0.1"}),
        ("127.0.0.1", {"via": "1.1 proxy"}),
        ("127.0.0.1", {"x-forwarded-proto": "https"}),
        ("127.0.0.1", {"x-forwarded-host": "a.example"}),
        ("127.0.0.1", {"cf-connecting-ip": "127.0.0.1"}),
        ("127.0.0.1", {"true-client-ip": "127.0.0.1"}),
        ("127.0.0.1", {"host": "rebound.example"}),
    ],
)
def test_without_a_token_only_this_machine_may_read(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, peer: str, headers: dict[str, str]
) -> None:
    monkeypatch.setattr(browser.client._transport, "client", (peer, 4711))

    answer = browser.client.get("/metrics", headers=headers)

    assert (answer.status_code, answer.text) == (401, "METRICS_TOKEN is needed")


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_has_several_addresses(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, peer: str
) -> None:
    monkeypatch.setattr(browser.client._transport, "client", (peer, 4711))

    assert browser.get("/metrics").status_code == 200


def put_in_front(browser: Browser, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Put the monitoring endpoints with *settings* in front of the app."""
    endpoints = Starlette(routes=metrics.build_routes(settings))
    endpoints.mount("", browser.client.app)
    monkeypatch.setattr(browser.client._transport, "app", endpoints)


@pytest.fixture
def guarded(local: Browser, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """Return a client on the machine of an app with a token for metrics."""
    put_in_front(local, monkeypatch, Settings(metrics_token=SecretStr(TOKEN)))
    return local


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Basic {TOKEN}", 401),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer \xe9", 401),
        ("Bearer ", 401),
        ("", 401),
    ],
)
def test_who_has_the_token_may_read(guarded: Browser, authorization: str, status: int) -> None:
    headers = {b"authorization": authorization.encode()}

    answer = guarded.client.get("/metrics", headers=headers)

    assert answer.status_code == status
    assert TOKEN not in answer.text
    assert (answer.headers.get("www-authenticate") == "Bearer") is (status == 401)


def test_with_a_token_this_machine_needs_it_too(guarded: Browser) -> None:
    assert guarded.get("/metrics").status_code == 401


def test_behind_a_proxy_nobody_reads_without_a_token(
    local: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S13: no header shows the proxy; only the setting does."""
    put_in_front(local, monkeypatch, Settings(trusted_proxy_hops=1))

    assert local.get("/metrics").status_code == 401


def test_in_production_nobody_reads_without_a_token(
    local: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All clients of a proxy that adds no header would seem to be on this machine."""
    put_in_front(local, monkeypatch, Settings.model_construct(app_env=AppEnv.PRODUCTION))

    assert local.get("/metrics").status_code == 401
