"""The rounds: they outlive what can be named, and nobody outlives them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from otp_app.errors import StoreUnavailable
from otp_app.verification import background
from otp_app.verification.background import run_in_background, run_periodically

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "INTERVAL", 0)


class Job:
    """Something to do that fails in turn as it is told."""

    def __init__(self, *failures: Exception, then: Callable[[], object]) -> None:
        self._failures = [*failures]
        self._then = then

    async def do(self) -> None:
        if self._failures:
            raise self._failures.pop(0)
        self._then()


async def test_a_job_that_fails_is_tried_again_and_holds_no_other_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    again, other = asyncio.Event(), asyncio.Event()
    failing = Job(StoreUnavailable(), StoreUnavailable(), then=again.set)

    async with run_in_background(run_periodically(failing.do, Job(then=other.set).do), pytest.fail):
        await asyncio.wait_for(asyncio.gather(again.wait(), other.wait()), 5)

    assert capsys.readouterr().out.count("background_job.failed") == 2


async def test_a_bug_is_told_and_stops_the_app(capsys: pytest.CaptureFixture[str]) -> None:
    stopped = asyncio.Event()
    broken = Job(KeyError("canary"), then=pytest.fail)

    async with run_in_background(run_periodically(broken.do), stopped.set):
        await asyncio.wait_for(stopped.wait(), 5)

    out = capsys.readouterr().out
    assert "background.crashed" in out
    assert "KeyError" in out
    assert "canary" not in out


async def test_to_stop_the_app_is_no_death(capsys: pytest.CaptureFixture[str]) -> None:
    running = asyncio.Event()

    async with run_in_background(run_periodically(Job(then=running.set).do), pytest.fail):
        await asyncio.wait_for(running.wait(), 5)

    assert "rounds" not in capsys.readouterr().out
