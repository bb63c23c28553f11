"""`python -m otp_app why`: what is told of one number, and what is not."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otp_app.__main__ import main
from otp_app.errors import OtpError, ProviderRejected, ProviderTimedOut
from otp_app.phone import PhoneNumber
from otp_app.storage.limits import SqlLimiter
from otp_app.verification.client import Client
from otp_app.verification.limits import POLICY
from otp_app.verification.models import Channel, Flow
from tests.emulator import Clock
from tests.fakes import RIGHT, WRONG, FakeProvider
from tests.unit.conftest import LIMIT_KEY, SECRET

if TYPE_CHECKING:
    from otp_app.storage.store import SqlStore
    from otp_app.verification.service import VerificationService

PHONE = PhoneNumber("+14155552671")
ME = Client(Flow("flow-canary"), "203.0.113.7")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def clock() -> Clock:
    """Stands still at the present, which is all that the command knows."""
    return Clock(datetime.now(UTC))


@pytest.fixture
def limited(verifications: VerificationService, sql_store: SqlStore) -> VerificationService:
    """The service under the whole policy, with the secret of the settings."""
    return replace(verifications, limits=POLICY, limiter=SqlLimiter(sql_store.engine, LIMIT_KEY))


@pytest.fixture(autouse=True)
def _installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/otp.db")
    monkeypatch.setenv("SECRET_KEY", SECRET.decode())
    for limit in POLICY:  # as in production
        rate = f"{limit.amount}/{limit.window.total_seconds():.0f} seconds"
        monkeypatch.setenv(limit.name, rate)


@pytest.fixture
def out(capsys: pytest.CaptureFixture[str]) -> Capture:
    return Capture(capsys)


class Capture:
    """The output of the command, which runs beside the event loop of the test."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    async def why(self, *arguments: str, code: int = 0) -> str:
        self._capsys.readouterr()
        assert await asyncio.to_thread(main, ["why", *arguments]) == code
        return self._capsys.readouterr().out


def at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


@pytest.mark.usefixtures("sql_store")
async def test_of_a_number_that_nobody_asked_for_there_is_nothing_to_tell(out: Capture) -> None:
    told = await out.why(PHONE.e164)

    assert "newest first, at most 20\n  none\n" in told
    assert "full" not in told
    assert len(re.findall(r"  room  LIMIT_\w+ +0 of", told)) == 18


async def test_the_number_is_found_in_any_form(limited: VerificationService, out: Capture) -> None:
    await limited.start(ME, PHONE, Channel.SMS)

    forms = [
        await out.why("+1 415-555-2671"),
        await out.why("001", "415", "555", "2671", "--country", "GB"),
        await out.why("--country", "us", "(415) 555-2671"),
    ]

    assert all("sent, code not yet entered, 1 message" in told for told in forms)


async def test_a_message_on_its_way_and_the_limits_it_used_are_told(
    limited: VerificationService, out: Capture, clock: Clock
) -> None:
    await limited.start(ME, PHONE, Channel.VOICE)

    told = await out.why(PHONE.e164)

    until = f"{clock.now() + timedelta(minutes=10):%H:%M:%S} UTC"
    line = "call by fake: sent, code not yet entered, 1 message, 5 guesses left, good until"
    assert f"  {at(clock.now())}  {line} {until}\n" in told
    room = at(clock.now() + timedelta(seconds=30))
    assert f"full  LIMIT_SEND_NUMBER_BURST           1 of 1 in 0:00:30, room from {room}\n" in told
    assert "room  LIMIT_SEND_NUMBER                 1 of 5 in 1:00:00\n" in told
    assert "room  LIMIT_SEND_TOTAL_DAY              1 of 1000 in 1 day\n" in told
    assert "SESSION" not in told


async def test_what_the_provider_was_asked_and_answered_is_told(
    limited: VerificationService, provider: FakeProvider, clock: Clock, out: Capture
) -> None:
    clock.tick(-60)
    started = await limited.start(ME, PHONE, Channel.SMS)
    clock.tick(30)
    provider.failures = [ProviderTimedOut(), KeyError("a crash")]
    with pytest.raises(OtpError):
        await limited.check(ME, started.id, RIGHT)
    clock.tick(30)
    with pytest.raises(KeyError):
        await limited.resend(ME, started.id, Channel.VOICE)

    told = (await out.why(PHONE.e164)).partition("Calls to providers")[2]

    lines = re.sub(r"in \d+ ms", "in … ms", told).splitlines()
    assert lines[1:4] == [
        f"  {at(clock.now())}  send (voice) to fake: no response yet",
        f"  {at(clock.now() - timedelta(seconds=30))}  check (sms) to fake: "
        "unknown, provider_timed_out, in … ms",
        f"  {at(clock.now() - timedelta(seconds=60))}  send (sms) to fake: ok, in … ms",
    ]


async def test_each_ending_is_told(
    verifications: VerificationService, provider: FakeProvider, clock: Clock, out: Capture
) -> None:
    async def begin(name: str) -> str:
        clock.tick(-600)  # each is older than the one before
        started = await verifications.start(replace(ME, flow=Flow(name)), PHONE, Channel.SMS)
        return started.id

    async def guess(name: str, id_: str, code: str) -> None:
        client = replace(ME, flow=Flow(name))
        try:
            await verifications.check(client, id_, code)
        except OtpError:
            return

    locked = await begin("locked")
    for _ in range(5):
        await guess("locked", locked, WRONG)
    clock.tick(600)
    await begin("given up")
    await verifications.cancel(Flow("given up"))
    await guess("verified", await begin("verified"), RIGHT)
    await begin("late")
    provider.failures = [ProviderTimedOut(), ProviderRejected()]
    for name in ("unknown", "refused"):
        with pytest.raises(OtpError):
            await begin(name)

    told = await out.why(PHONE.e164)

    became = re.findall(r"by fake: (.+)", told)
    assert "not sent: the provider refused or failed, 0 messages, 5 guesses left" in became
    assert "verified, 1 message, 4 guesses left" in became
    assert "canceled, or replaced by another verification, 1 message, 5 guesses left" in became
    assert became.count("expired, 1 message, 5 guesses left") == 2
    assert any(line.startswith("ended by wrong codes, 1 message, 0 guesses") for line in became)
    times = re.findall(r"  (\S+ \S+) UTC  text", told)
    assert times == sorted(times, reverse=True)


async def test_wrong_codes_lock_the_browser_until_a_time_that_is_told(
    limited: VerificationService, clock: Clock, out: Capture
) -> None:
    started = await limited.start(ME, PHONE, Channel.SMS)
    for _ in range(5):
        with pytest.raises(OtpError):
            await limited.check(ME, started.id, WRONG)

    told = await out.why(PHONE.e164)

    end = f"{clock.now() + timedelta(minutes=10):%H:%M:%S} UTC"
    assert (
        f"ended by wrong codes, 1 message, 0 guesses left, the browser gets no new code until {end}"
        in told
    )
    assert "room  LIMIT_CHECK_NUMBER                5 of 20 in 1:00:00" in told
    assert "room  LIMIT_CHECK_FAILURES              5 of 100 in 30 days" in told


async def test_a_limit_that_is_full_comes_first_and_says_when_there_is_room(
    limited: VerificationService, clock: Clock, out: Capture
) -> None:
    begun = clock.now() - timedelta(minutes=50)
    clock.tick(-50 * 60)
    for index in range(5):
        await limited.start(
            Client(Flow(f"flow-{index}"), f"198.51.100.{index}"), PHONE, Channel.SMS
        )
        clock.tick(60)

    told = (await out.why(PHONE.e164)).partition("Limits")[2].splitlines()

    room = at(begun + timedelta(hours=1))
    assert (
        told[1] == f"  full  LIMIT_SEND_NUMBER                 5 of 5 in 1:00:00, room from {room}"
    )
    assert not any(line.startswith("  full") for line in told[2:])


async def test_twenty_verifications_are_enough(
    verifications: VerificationService, out: Capture
) -> None:
    for index in range(22):
        await verifications.start(replace(ME, flow=Flow(f"flow-{index}")), PHONE, Channel.SMS)

    assert (await out.why(PHONE.e164)).count("by fake") == 20


async def test_no_code_no_reference_no_browser_and_no_other_number_is_told(
    limited: VerificationService, out: Capture
) -> None:
    started = await limited.start(ME, PHONE, Channel.SMS)
    await limited.start(
        Client(Flow("other"), "198.51.100.1"), PhoneNumber("+447400123456"), Channel.SMS
    )

    told = await out.why(PHONE.e164)

    secrets = [
        PHONE.digits,
        "4155552",
        "7400",
        RIGHT,
        "canary",
        "reference",
        started.id,
        ME.address,
    ]
    assert not [secret for secret in secrets if secret in told]
    assert "The number ending 671" in told
    assert told.count("by fake") == 1


@pytest.mark.parametrize(
    ("vendor_code", "said"),
    [
        (
            "400 21608",
            "trial account: verify this number at Twilio first, "
            "https://www.twilio.com/docs/api/errors/21608",
        ),
        ("400 21612", ", https://www.twilio.com/docs/api/errors/21612"),
        ("400", "refused_number 400, in "),
    ],
)
async def test_the_providers_code_is_told_with_what_can_be_mended(
    verifications: VerificationService, out: Capture, vendor_code: str, said: str
) -> None:
    refusal = ProviderRejected()
    refusal.vendor_code = vendor_code
    provider = FakeProvider("twilio", failures=[refusal])
    service = replace(verifications, providers={"twilio": provider}, provider="twilio")
    with pytest.raises(ProviderRejected):
        await service.start(ME, PHONE, Channel.SMS)

    told = await out.why(PHONE.e164)

    assert f"refused, refused_number {vendor_code}, in " in told
    assert said in told
    assert ("https" in told) is ("https" in said)


@pytest.mark.usefixtures("sql_store")
@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("+14155552671", ["US is served", "mobile: reached by text message, call"]),
        ("+442079460000", ["GB is served", "landline: reached by call"]),
        ("+18005550123", ["other: gets no codes"]),
        ("+5491123456789", ["AR is not in ALLOWED_COUNTRIES"]),
    ],
)
async def test_whether_a_number_can_be_reached_is_told(
    out: Capture, monkeypatch: pytest.MonkeyPatch, number: str, said: list[str]
) -> None:
    monkeypatch.setenv("ALLOWED_COUNTRIES", "US,GB")

    told = await out.why(number)

    assert [text for text in said if text not in told] == []


async def test_the_secret_that_the_app_made_is_found(
    verifications: VerificationService,
    out: Capture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.delenv("SECRET_KEY")
    (tmp_path / ".data").mkdir()
    (tmp_path / ".data/secret_key").write_bytes(SECRET)
    await replace(verifications, limits=POLICY).start(ME, PHONE, Channel.SMS)

    assert "1 of 5" in await out.why(PHONE.e164)


async def test_without_the_secret_nothing_is_found(
    limited: VerificationService, out: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SECRET_KEY")
    await limited.start(ME, PHONE, Channel.SMS)

    told = await out.why(PHONE.e164, code=1)

    assert "SECRET_KEY: is not set and .data/secret_key is not there" in told
    assert "US is served" in told
    assert not (tmp_path / ".data").exists()


@pytest.mark.parametrize("url", ["sqlite:///not-there.db", "sqlite:///empty.db", "canary:canary"])
async def test_without_its_database_it_says_so_and_makes_none(
    out: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    (tmp_path / "empty.db").touch()
    monkeypatch.setenv("DATABASE_URL", url)

    told = await out.why(PHONE.e164, code=1)

    assert told.startswith("DATABASE_URL: ")
    assert "canary" not in told
    assert not (tmp_path / "not-there.db").exists()


async def test_bad_settings_are_explained(out: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "canary")

    told = await out.why(PHONE.e164, code=1)

    assert "PORT" in told
    assert "canary" not in told


@pytest.mark.parametrize(
    "arguments", [[], ["02079460000"], ["+1415"], ["canary"], ["02079460000", "--country", "XX"]]
)
def test_what_is_no_number_is_wrong_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["why", *arguments])

    assert caught.value.code == 2
    assert capsys.readouterr().out == ""


async def test_it_runs_as_a_command(limited: VerificationService, tmp_path: Path) -> None:
    """Unlike the other command lines in these tests, this one has a Python of its own."""
    await limited.start(ME, PHONE, Channel.SMS)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "otp_app", "why", PHONE.e164]

    answer = await asyncio.to_thread(
        subprocess.run, command, env=environment, cwd=tmp_path, capture_output=True, check=True
    )

    assert b"sent, code not yet entered" in answer.stdout
    assert answer.stderr == b""
