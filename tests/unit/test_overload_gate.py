"""The overload gate: the two counters, and the lines of the log about refusals."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import ExitStack

import pytest
from structlog.testing import capture_logs

from otp_app.errors import Overloaded
from otp_app.services import OverloadGate
from otp_app.verification.limits import Action
from otp_app.web.bounds import api_action

SENDS, CHECKS = 2, 3


class Gate(OverloadGate):
    """A gate with a clock that a test moves on, and a count of the refusals."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.refusals: Counter[Action] = Counter()
        super().__init__(SENDS, CHECKS, self._count, lambda: self.seconds)

    def _count(self, action: Action) -> None:
        self.refusals[action] += 1

    def refuse(self, action: Action, times: int = 1) -> None:
        """Ask for *times* places, all of which are refused."""
        for _ in range(times):
            with pytest.raises(Overloaded), self.admit(action):
                raise AssertionError("the gate admits one more")

    def fill(self, action: Action) -> ExitStack:
        """Take all places for *action*, and return what gives them back."""
        taken = ExitStack()
        for _ in range({Action.SEND: SENDS, Action.CHECK: CHECKS}[action]):
            taken.enter_context(self.admit(action))
        return taken


@pytest.mark.parametrize(
    ("full", "other"), [(Action.SEND, Action.CHECK), (Action.CHECK, Action.SEND)]
)
def test_sends_and_checks_have_separate_places(full: Action, other: Action) -> None:
    gate = Gate()

    with gate.fill(full):
        gate.refuse(full)
        with gate.fill(other):
            gate.refuse(other)

    assert gate.refusals == {full: 1, other: 1}


def test_a_place_is_free_again_when_its_action_ends() -> None:
    gate = Gate()

    for _ in range(2):
        with gate.fill(Action.SEND):
            gate.refuse(Action.SEND)


def test_a_place_is_free_again_after_an_exception() -> None:
    gate = Gate()

    for _ in range(SENDS + 1):
        with pytest.raises(KeyError), gate.admit(Action.SEND):
            raise KeyError


async def test_a_place_is_free_again_after_a_cancellation() -> None:
    gate = Gate()

    async def act() -> None:
        with gate.admit(Action.SEND):
            await asyncio.Event().wait()

    for _ in range(2):
        tasks = [asyncio.create_task(act()) for _ in range(SENDS)]
        await asyncio.sleep(0)
        gate.refuse(Action.SEND)
        for task in tasks:
            task.cancel()
        assert all(await asyncio.gather(*tasks, return_exceptions=True))


def test_a_refusal_names_no_clock_time_and_waits_one_second() -> None:
    assert Overloaded().params == {"seconds": 1}


def test_the_log_has_one_line_a_second_with_the_number_of_refusals() -> None:
    gate = Gate()

    with capture_logs() as lines, gate.fill(Action.SEND), gate.fill(Action.CHECK):
        gate.refuse(Action.SEND)  # at once
        gate.refuse(Action.SEND, times=5)
        gate.refuse(Action.CHECK, times=2)
        gate.seconds = 0.9
        gate.refuse(Action.SEND)
        gate.seconds = 1.0
        gate.refuse(Action.SEND)

    assert [(line["event"], line["sends"], line["checks"]) for line in lines] == [
        ("overload.refused", 1, 0),
        ("overload.refused", 7, 2),
    ]


def test_the_last_refusals_are_logged_when_an_action_ends() -> None:
    gate = Gate()

    with capture_logs() as lines, gate.fill(Action.SEND):
        gate.refuse(Action.SEND, times=4)
        gate.seconds = 1.0

    assert [line["sends"] for line in lines] == [1, 3]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/verifications/x"),
        ("DELETE", "/api/v1/verifications/x"),
        ("OPTIONS", "/api/v1/verifications"),
        ("POST", "/request-otp"),  # the plain forms ask the gate themselves
        ("POST", "/api/v1/nowhere"),
    ],
)
def test_other_requests_do_not_pass_the_gate(method: str, path: str) -> None:
    assert api_action({"type": "http", "method": method, "path": path}) is None
