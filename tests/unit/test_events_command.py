"""`python -m otp_app events`: what it lists, and that `retry` puts it back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otp_app.__main__ import main
from otp_app.phone import PhoneNumber
from otp_app.storage.outbox import SqlOutbox
from otp_app.verification.client import Client
from otp_app.verification.models import Channel, Flow
from otp_app.verification.outbox import WebhookDispatcher, WebhookOutcome, WebhookResult
from tests.fakes import RIGHT, FakeReceiver
from tests.receiver import new_secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from otp_app.storage.store import SqlStore
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock

    Command = Callable[..., Awaitable[tuple[int, str]]]

PHONE = PhoneNumber("+14155552671")
ME = Client(Flow("flow"), "203.0.113.7")
NONE = "Dead letters, the newest first, at most 100\n  none\n"


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """The command, beside the event loop of the test: its exit code, and what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/otp.db")

    async def run(*words: str, **environment: str) -> tuple[int, str]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        code = await asyncio.to_thread(main, ["events", *words])
        return code, capsys.readouterr().out

    return run


@pytest.fixture
async def dispatcher(
    verifications: VerificationService, sql_store: SqlStore, clock: Clock
) -> WebhookDispatcher:
    """A dispatcher whose endpoint has just refused an event, and would accept the next attempt."""
    outbox = SqlOutbox(sql_store.engine, sql_store.encryption, clock.now)
    service = replace(verifications, store=replace(sql_store, outbox=outbox))
    started = await service.start(ME, PHONE, Channel.SMS)
    await service.check(ME, started.id, RIGHT)
    receiver = FakeReceiver(receipts=[WebhookResult(WebhookOutcome.GONE, "HTTP 410")])
    dispatcher = WebhookDispatcher(outbox, receiver, clock.now)
    await dispatcher.deliver()
    return dispatcher


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_the_dead_are_listed_without_numbers(
    command: Command, dispatcher: WebhookDispatcher
) -> None:
    code, told = await command()

    receiver = dispatcher.endpoint
    assert isinstance(receiver, FakeReceiver)
    assert (code, told) == (
        0,
        "Dead letters, the newest first, at most 100\n"
        f"  2026-03-01 12:00:00 UTC  verification.approved  {receiver.told[0].id}  "
        "dead 2026-03-01 12:00:00 UTC, attempts: 1, last: HTTP 410\n",
    )


async def test_a_retry_puts_them_back(
    command: Command, dispatcher: WebhookDispatcher, clock: Clock
) -> None:
    backend = {"WEBHOOK_URL": "https://backend.example.com", "WEBHOOK_SECRETS": new_secret()}

    code, told = await command("retry", **backend)
    after = await command()
    clock.tick(365 * 24 * 60 * 60)  # the command has the machine's own time
    await dispatcher.deliver()

    receiver = dispatcher.endpoint
    assert isinstance(receiver, FakeReceiver)
    assert (code, told.startswith("1 queued again"), "WEBHOOK_URL" in told) == (0, True, False)
    assert after == (0, NONE)
    assert len(receiver.told) == 2


@pytest.mark.usefixtures("dispatcher")
async def test_a_retry_without_a_backend_says_that_nobody_is_told(command: Command) -> None:
    code, told = await command("retry")

    assert (code, told.splitlines()[1].split(":")[0]) == (0, "WEBHOOK_URL")


@pytest.mark.usefixtures("sql_store")
async def test_where_none_is_dead_there_is_none(command: Command) -> None:
    assert await command() == (0, NONE)


@pytest.mark.parametrize("words", [(), ("retry",)])
@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"DATABASE_URL": "sqlite:///not-there.db"}, "DATABASE_URL: "),
        ({"DATABASE_URL": "canary:canary"}, "DATABASE_URL: "),
        ({"WEBHOOK_URL": "canary"}, "WEBHOOK_URL: "),
    ],
)
async def test_without_what_it_needs_it_says_so_and_makes_nothing(
    command: Command,
    tmp_path: Path,
    words: tuple[str, ...],
    environment: dict[str, str],
    named: str,
) -> None:
    code, told = await command(*words, **environment)

    assert code == 1
    assert named in told
    assert "canary" not in told
    assert files(tmp_path) == []


def test_nothing_else_is_understood() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["events", "delete"])

    assert caught.value.code == 2
