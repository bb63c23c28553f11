"""Every problem of Vonage's document that can answer us, and what it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otp_app.errors import NumberBusy
from otp_app.verification.models import Channel, CheckOutcome
from tests.contract.numbers import OTHER_PHONE, PHONE
from tests.contract.observing import (
    BROKEN,
    BUSY,
    CHANNEL,
    DOWN,
    LANGUAGE,
    NUMBER,
    SETTING,
    THROTTLED,
    UNCLEAR,
    UNKNOWN,
    Kind,
    assert_cancel_fails,
    assert_check_fails,
    assert_start_fails,
    error_of,
    kind_of,
)
from tests.emulator import VONAGE_ERRORS, Answer, Emulator, vonage_error

if TYPE_CHECKING:
    from otp_app.providers.vonage.provider import VonageProvider

Problem = tuple[int, str]
"""The status of a problem, and the last part of its type."""

ANY = {
    (401, "unauthorized"): BROKEN,
    (401, "jwt-expired"): BROKEN,
    (402, "low-balance"): BROKEN,
    (500, "internal-error"): DOWN,
}
START: dict[Problem, Kind] = {
    **ANY,
    (409, "concurrent"): BUSY,
    (412, "silent-auth-failed"): NUMBER,
    (412, "network-not-supported"): NUMBER,
    (422, "invalid-params"): SETTING,  # the document's example blames the brand
    (429, "throttled"): THROTTLED,
}
CHECK = {**ANY, (409, "no-code"): UNCLEAR, (429, "throttled"): THROTTLED}
CHECK_OUTCOMES = {
    (400, "invalid-code"): CheckOutcome.MISMATCH,
    (404, "request-not-found"): CheckOutcome.EXPIRED,
    (410, "expired"): CheckOutcome.EXHAUSTED,
}
GO_ANOTHER_WAY = {(404, "request-not-found"), (409, "conflict"), (409, "no-events")}


def blaming(*names: str) -> Answer:
    blamed = [{"name": name, "reason": "Invalid"} for name in names]
    return vonage_error(422, "invalid-params", invalid_parameters=blamed)


def kinds(operation: str) -> set[Problem]:
    return {(row.status, row.kind) for row in VONAGE_ERRORS if operation in row.operations}


def test_the_tables_here_name_every_documented_problem() -> None:
    assert kinds("vonage.start") == set(START)
    assert kinds("vonage.check") == {*CHECK, *CHECK_OUTCOMES}
    assert kinds("vonage.cancel") == {*ANY, (404, "request-not-found")}
    assert kinds("vonage.next") == {*ANY, *GO_ANOTHER_WAY}


@pytest.mark.parametrize("kind", START)
async def test_a_refused_start_is_told_as_what_it_is(
    vonage: VonageProvider, emulator: Emulator, kind: Problem
) -> None:
    answer = vonage_error(*kind, detail=f"refused {PHONE.digits}")

    await assert_start_fails(vonage, emulator, answer, START[kind])


@pytest.mark.parametrize("kind", CHECK)
async def test_a_refused_check_is_told_as_what_it_is(
    vonage: VonageProvider, emulator: Emulator, kind: Problem
) -> None:
    def answer(reference: str) -> Answer:
        return vonage_error(*kind, detail=f"no {reference}")

    await assert_check_fails(vonage, emulator, answer, CHECK[kind])


@pytest.mark.parametrize(("kind", "outcome"), CHECK_OUTCOMES.items())
async def test_a_code_that_is_not_right_is_an_answer(
    vonage: VonageProvider, emulator: Emulator, kind: Problem, outcome: CheckOutcome
) -> None:
    reference = await vonage.start(PHONE, Channel.SMS)
    emulator.fail("vonage.check", vonage_error(*kind))

    assert await vonage.check(reference, PHONE, emulator.messages[0].code) is outcome


@pytest.mark.parametrize("kind", ANY)
async def test_a_refused_cancel_is_told_as_what_it_is(
    vonage: VonageProvider, emulator: Emulator, kind: Problem
) -> None:
    await assert_cancel_fails(vonage, emulator, vonage_error(*kind), ANY[kind])


@pytest.mark.parametrize("kind", ANY)
async def test_a_refused_next_step_is_told_as_what_it_is(
    vonage: VonageProvider, emulator: Emulator, kind: Problem
) -> None:
    reference = await vonage.start(PHONE, Channel.SMS)
    emulator.fail("vonage.next", vonage_error(*kind))

    error = await error_of(vonage.resend(reference, PHONE, Channel.VOICE))

    assert kind_of(error) == ANY[kind]
    assert len(emulator.messages) == 1


async def test_a_busy_number_comes_with_the_request_that_has_it(
    vonage: VonageProvider,
) -> None:
    reference = await vonage.start(PHONE, Channel.SMS)

    with pytest.raises(NumberBusy) as caught:
        await vonage.start(PHONE, Channel.SMS)

    assert caught.value.reference == reference


@pytest.mark.parametrize("request_id", ["../../v2/verify", "", 7, None])
async def test_a_busy_number_comes_without_what_cannot_be_a_request(
    vonage: VonageProvider, emulator: Emulator, request_id: object
) -> None:
    emulator.fail("vonage.start", vonage_error(409, "concurrent", request_id=request_id))

    with pytest.raises(NumberBusy) as caught:
        await vonage.start(PHONE, Channel.SMS)

    assert caught.value.reference is None


@pytest.mark.parametrize(
    ("blamed", "expected"),
    [
        ([{"name": "to", "reason": "Invalid"}], NUMBER),
        ([{"name": "workflow.0.to", "reason": "Invalid"}], NUMBER),
        ([{"name": "brand", "reason": "Invalid"}, {"name": "to", "reason": "Invalid"}], NUMBER),
        ([{"name": "workflow", "reason": "Not enabled"}], CHANNEL),
        ([{"name": "workflow.0.from", "reason": "Invalid"}], CHANNEL),
        ([{"name": "brand", "reason": "Invalid"}], SETTING),
        ("all of them", NUMBER),
        (None, NUMBER),
    ],
)
async def test_the_blamed_parameter_decides_what_is_refused(
    vonage: VonageProvider, emulator: Emulator, blamed: object, expected: Kind
) -> None:
    fault = vonage_error(422, "invalid-params", invalid_parameters=blamed)
    emulator.fail("vonage.start", fault, times=2)

    for phone, language in ((PHONE, ""), (OTHER_PHONE, "de")):
        assert kind_of(await error_of(vonage.start(phone, Channel.SMS, language))) == expected


@pytest.mark.parametrize(
    ("fault", "in_fallback"),
    [
        (blaming("locale"), SETTING),
        (blaming("template_id"), CHANNEL),
        (blaming("locale", "template_id"), CHANNEL),
        (blaming("brand", "locale"), SETTING),
        (vonage_error(404, "template-fragment-not-found"), CHANNEL),
        (vonage_error(404, "request-not-found"), SETTING),
        (Answer(404, "<html>not here</html>"), SETTING),
    ],
)
async def test_a_language_is_to_blame_where_there_is_another_one_to_try(
    vonage: VonageProvider, emulator: Emulator, fault: Answer, in_fallback: Kind
) -> None:
    emulator.fail("vonage.start", fault, times=3)

    for phone, expected in ((PHONE, LANGUAGE), (OTHER_PHONE, in_fallback)):
        assert kind_of(await error_of(vonage.start(phone, Channel.SMS, "de"))) == expected
    assert [request.body["locale"] for request in emulator.requests] == ["de-de", "en-us"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(400, {"title": "Bad Request"}), CHANNEL),
        (Answer(401, {"type": "https://developer.vonage.com/api-errors#jwt-revoked"}), BROKEN),
        (Answer(403, "<html>no</html>"), BROKEN),
        (Answer(403, {"type": "https://developer.nexmo.com/api-errors#unprovisioned"}), BROKEN),
        (Answer(403, {"title": "Account suspended"}), BROKEN),
        (vonage_error(403, "forbidden"), CHANNEL),
        (Answer(403, {"title": "Not for this network"}), CHANNEL),
        (vonage_error(404, "template-not-found"), CHANNEL),
        (Answer(415, None), CHANNEL),
    ],
    ids=lambda value: (
        f"{value.status} {str(value.body)[-16:]}" if isinstance(value, Answer) else ""
    ),
)
async def test_a_start_that_is_refused_without_a_document_counts_for_itself_alone(
    vonage: VonageProvider, emulator: Emulator, answer: Answer, expected: Kind
) -> None:
    emulator.fail("vonage.start", answer)

    assert kind_of(await error_of(vonage.start(PHONE, Channel.SMS, "de"))) == expected


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("7", 7), ("10000", 60), ("soon", 30), (None, 30)],
)
async def test_it_passes_the_wait_on_within_reason(
    vonage: VonageProvider, emulator: Emulator, retry_after: str | None, seconds: int
) -> None:
    emulator.fail("vonage.start", vonage_error(429, "throttled", retry_after=retry_after))

    error = await error_of(vonage.start(PHONE, Channel.SMS))

    assert (kind_of(error), error.params) == (THROTTLED, {"seconds": seconds})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(400, {"title": "Bad Request"}), UNCLEAR),
        (Answer(400, "<html>bad request</html>"), UNCLEAR),
        (Answer(422, {"title": "Invalid params"}), UNCLEAR),
        (Answer(403, {"title": "Forbidden"}), BROKEN),
        (Answer(500, None), UNKNOWN),
        (Answer(503, "[" * 60000), DOWN),
        (Answer(504, "<html>gateway timeout</html>"), UNKNOWN),
    ],
    ids=lambda value: f"{value.status} {str(value.body)[:16]}" if isinstance(value, Answer) else "",
)
async def test_a_check_that_is_refused_without_a_document_proves_nothing(
    vonage: VonageProvider, emulator: Emulator, answer: Answer, expected: Kind
) -> None:
    await assert_check_fails(vonage, emulator, lambda _reference: answer, expected)
