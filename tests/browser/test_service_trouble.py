"""The service that sends is down, or does not say what it did."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from otp_app.i18n import english
from otp_app.i18n.en import TEXTS
from tests.browser.providers import every_provider, services_only
from tests.browser.tab import Step
from tests.emulator import Drop, Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.journey import Journey

pytestmark = services_only


def test_a_service_that_is_down_sends_nothing_and_the_number_stays(journey: Journey) -> None:
    tab = journey.open()

    with down(journey.emulator):
        tab.request_code(journey.number)
        tab.wait_for_problem(english().t(TEXTS["provider_unavailable"]))
    tab.wait_for(Step.PHONE)
    expect(tab.phone).to_have_value(journey.number.typed)

    tab.send.click()
    tab.wait_for(Step.CODE)
    assert len(journey.deliveries()) == 1


def test_a_service_that_is_down_at_the_check_is_asked_again(journey: Journey) -> None:
    tab = journey.at_the_code_page()

    with down(journey.emulator):
        tab.enter_code(journey.sent_code())
        tab.wait_for_problem(english().t(TEXTS["provider_unavailable"]))

    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.VERIFIED)


def test_a_lost_answer_is_told_as_such_and_the_start_is_not_repeated(journey: Journey) -> None:
    start = f"{journey.server.name}.start"
    before = journey.emulator.count(start)
    journey.emulator.fail(start, Drop())
    tab = journey.open()

    tab.request_code(journey.number)
    tab.wait_for_problem(english().t(TEXTS["provider_timed_out"]))

    assert journey.emulator.count(start) == before + 1


@every_provider
def test_after_a_lost_answer_the_person_can_try_again_and_confirm(journey: Journey) -> None:
    journey.emulator.fail(f"{journey.server.name}.start", Drop())
    tab = journey.open()
    tab.request_code(journey.number)
    tab.wait_for_problem(english().t(TEXTS["provider_timed_out"]))

    journey.later(31)
    tab.send.click()

    tab.wait_for(Step.CODE)
    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.VERIFIED)


@contextmanager
def down(emulator: Emulator) -> Iterator[None]:
    """Make the services refuse connections inside the context."""
    emulator.stop()
    try:
        yield
    finally:
        emulator.start()
