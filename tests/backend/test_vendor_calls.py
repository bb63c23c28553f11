"""Vendor calls caused by refused posts: real adapters and the emulator, which logs requests."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from otp_app import services
from otp_app.phone import PhoneNumber
from otp_app.storage.engine import open_engine
from otp_app.storage.limits import SqlLimiter
from otp_app.storage.outbox import SqlOutbox
from otp_app.storage.phone_encryption import PhoneEncryption
from otp_app.storage.sessions import SqlSessions
from otp_app.storage.store import SqlStore
from otp_app.storage.tables import audit, events, verifications
from otp_app.verification.limits import POLICY
from otp_app.verification.models import Channel
from otp_app.verification.service import VerificationService
from otp_app.verification.sessions import Sessions
from tests.backend.conftest import ORIGIN, Browser
from tests.contract.conftest import make_twilio, make_vonage
from tests.database import connected
from tests.emulator import Clock, Emulator, twilio_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Table

    from otp_app.storage.engine import Engine
    from otp_app.verification.ports import Provider

PHONE = PhoneNumber("+447400123456")
SECRET = b"secret of the tests"


@dataclass(frozen=True)
class Site:
    """The backend with one vendor, all limits of the policy and a database of its own."""

    backend: TestClient
    emulator: Emulator
    engine: Engine
    provider: Provider

    def person(self, address: str) -> Browser:
        """Return a new browser at *address*."""
        client = TestClient(self.backend.app, base_url=ORIGIN, client=(address, 1))
        client.portal = self.backend.portal
        return Browser(client, services.current().flows.mint())

    def count(self, table: Table) -> int:
        """Return the number of rows in *table*."""

        async def work() -> int:
            async with connected(self.engine) as connection:
                counting = select(func.count()).select_from(table)
                return int((await connection.execute(counting)).scalar_one())

        found: int = self.call(work)
        return found

    def call(self, work: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401 - its answer
        """Run *work* on the server's event loop, and return its result."""
        assert self.backend.portal is not None
        return self.backend.portal.call(work, *args)


@contextmanager
def running(backend: TestClient, file: Path, make: Callable[[str], Provider]) -> Iterator[Site]:
    clock = Clock()
    with ExitStack() as stack:
        emulator = stack.enter_context(Emulator(clock))
        engine = open_engine(f"sqlite:///{file}")
        site = Site(backend, emulator, engine, make(emulator.url))
        stack.callback(site.call, engine.dispose)
        site.call(site.provider.open)
        stack.callback(site.call, site.provider.aclose)
        real = services.current()
        stack.callback(services.install, real)
        numbers = PhoneEncryption(SECRET)
        service = VerificationService(
            SqlStore(engine, numbers, SqlOutbox(engine, numbers, clock.now)),
            SqlLimiter(engine, SECRET),
            {site.provider.name: site.provider},
            site.provider.name,
            clock.now,
            limits=POLICY,
        )
        sessions = Sessions(SqlSessions(engine, numbers), clock.now)
        services.install(replace(real, verifications=service, sessions=sessions))
        yield site
        assert emulator.violations == []


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> Path:
    """Return a database for one test, without rows."""
    return Path(shutil.copy(migrated, tmp_path))


@pytest.fixture
def vonage(backend: TestClient, database: Path) -> Iterator[Site]:
    with running(backend, database, make_vonage) as site:
        yield site


@pytest.fixture
def twilio(backend: TestClient, database: Path) -> Iterator[Site]:
    with running(backend, database, make_twilio) as site:
        yield site


def post_on(me: Browser, clock: Clock, times: int = 40) -> set[int]:
    """Request a code to `PHONE` every three seconds, and return the statuses."""
    found = set()
    for _ in range(times):
        found.add(me.post("/request-otp", {"number": PHONE.e164}).status_code)
        clock.tick(3)
    return found


def test_posts_about_a_number_that_we_are_verifying_ask_vonage_nothing(vonage: Site) -> None:
    """S2."""
    assert post_on(vonage.person("198.51.100.1"), vonage.emulator.clock, times=1) == {303}
    vonage.emulator.clock.tick(31)

    statuses = post_on(vonage.person("198.51.100.2"), vonage.emulator.clock)

    assert statuses == {409, 429}
    assert len(vonage.emulator.requests) == 1
    assert [vonage.count(table) for table in (verifications, audit, events)] == [1, 2, 0]


def test_posts_about_a_number_that_is_busy_for_vonage_alone_are_few_questions(
    vonage: Site,
) -> None:
    """S2: the verification is not in our store, because another program started it."""
    vonage.call(vonage.provider.start, PHONE, Channel.SMS)

    statuses = post_on(vonage.person("198.51.100.2"), vonage.emulator.clock)

    assert statuses == {409, 429}
    starts = vonage.emulator.count("vonage.start") - 1
    assert 1 < starts <= 5
    assert len(vonage.emulator.requests) == 1 + starts
    assert vonage.count(audit) == 2 * starts
    assert vonage.count(events) == 0


def test_posts_about_a_number_that_twilio_holds_back_are_few_questions(twilio: Site) -> None:
    """S2: Twilio refuses with error 60202."""
    before = len(twilio.emulator.requests)
    twilio.emulator.fail("twilio.start", twilio_error(60202), times=None)

    statuses = post_on(twilio.person("198.51.100.2"), twilio.emulator.clock)

    assert statuses == {409, 429}
    starts = twilio.emulator.count("twilio.start")
    assert 1 < starts <= 5
    assert len(twilio.emulator.requests) == before + starts
    assert [twilio.count(table) for table in (audit, events)] == [2 * starts, 0]


@pytest.mark.parametrize("vendor", ["vonage", "twilio"])
def test_resends_that_the_limits_refuse_cancel_nothing(
    request: pytest.FixtureRequest, vendor: str
) -> None:
    """S4: the verification has ended, and its number has no message left in this hour."""
    site: Site = request.getfixturevalue(vendor)
    me = site.person("198.51.100.1")
    assert post_on(me, site.emulator.clock, times=1) == {303}
    for seconds in (31, 61, 121):
        site.emulator.clock.tick(seconds)
        assert me.post("/resend-otp").status_code == 303
    site.emulator.clock.tick(601)
    assert me.post("/resend-otp").status_code == 303  # the fifth to the number in this hour
    site.emulator.clock.tick(601)
    before = len(site.emulator.requests), site.count(audit)

    statuses = {me.post("/resend-otp").status_code for _ in range(20)}

    assert statuses == {429}
    assert (len(site.emulator.requests), site.count(audit)) == before
