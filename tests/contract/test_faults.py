"""Services that break in the middle: one request, an honest answer, in time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from otp_app.errors import OtpError, ProviderError, ProviderTimedOut, ProviderUnavailable
from otp_app.verification.models import Channel, CheckOutcome, Reference
from tests.contract.numbers import PHONE
from tests.contract.observing import SOON, arrived, words_of
from tests.emulator import (
    Answer,
    Drop,
    DropBefore,
    Empty,
    Emulator,
    Fault,
    Hang,
    Html,
    Huge,
    Redirect,
    Reset,
    Trickle,
    Truncated,
    WrongJson,
)

if TYPE_CHECKING:
    from otp_app.verification.ports import Provider

PERHAPS_SENT: dict[str, Fault] = {
    "dropped": Drop(),
    "dropped before it was read": DropBefore(),
    "reset": Reset(),
    "empty 200": Empty(200),
    "empty 201": Empty(201),
    "empty 204": Empty(204),
    "empty 500": Empty(500),
    "page with 200": Html(200),
    "page with 504": Html(504),
    "list": WrongJson(),
    "empty object": WrongJson({}),
    "text": WrongJson("done"),
    "number": WrongJson(7),
    "null": Answer(200, "null"),
    "nested without end": Answer(200, "[" * 60_000),
    "number without end": Answer(200, '{"sid": ' + "9" * 5_000 + "}"),
    "not text": Answer(200, b"\xff\xfe\xfd"),
    "not what it says it is": Answer(200, b"plain", {"Content-Encoding": "gzip"}),
    "unknown charset": Answer(200, b"{}", {"Content-Type": "application/json; charset=nope"}),
    "ids of the wrong type": WrongJson({"sid": 7, "request_id": 7, "status": [], "to": {}}),
    "cut short": Truncated(),
    "huge": Huge(10_000_000),
}
NOT_SENT: dict[str, Fault] = {
    "page with 502": Html(502),
    "page with 503": Html(503),
    "huge page with 500": Huge(10_000_000, status=500),
}
SLOW: dict[str, Fault] = {"hanging": Hang(5), "trickling": Trickle(5)}
FAULTS = {**PERHAPS_SENT, **NOT_SENT}


def start(vendor: Provider) -> str:
    return f"{vendor.name}.start"


@pytest.mark.parametrize("fault", PERHAPS_SENT.values(), ids=PERHAPS_SENT)
async def test_a_start_whose_end_is_unknown_may_have_sent_and_is_not_repeated(
    vendor: Provider, emulator: Emulator, fault: Fault
) -> None:
    emulator.fail(start(vendor), fault, times=None)

    with pytest.raises(ProviderTimedOut) as caught:
        await vendor.start(PHONE, Channel.SMS)

    assert emulator.count(start(vendor)) == 1
    assert PHONE.digits not in words_of(caught.value)


@pytest.mark.parametrize("fault", SLOW.values(), ids=SLOW)
async def test_a_start_that_takes_too_long_may_have_sent_and_is_not_repeated(
    hasty: Provider, emulator: Emulator, fault: Fault
) -> None:
    emulator.fail(start(hasty), fault, times=None)

    async with asyncio.timeout(SOON):
        with pytest.raises(ProviderTimedOut):
            await hasty.start(PHONE, Channel.SMS)

    assert emulator.count(start(hasty)) == 1


@pytest.mark.parametrize("fault", NOT_SENT.values(), ids=NOT_SENT)
async def test_a_start_that_failed_for_sure_is_not_repeated_either(
    vendor: Provider, emulator: Emulator, fault: Fault
) -> None:
    emulator.fail(start(vendor), fault, times=None)

    with pytest.raises(ProviderUnavailable):
        await vendor.start(PHONE, Channel.SMS)

    assert emulator.count(start(vendor)) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirection_is_not_followed(
    vendor: Provider, emulator: Emulator, status: int
) -> None:
    before = len(emulator.requests)
    emulator.fail(start(vendor), Redirect(f"{emulator.url}/elsewhere", status), times=None)

    with pytest.raises(ProviderUnavailable):
        await vendor.start(PHONE, Channel.SMS)

    assert len(emulator.requests) == before + 1


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_check_that_goes_wrong_approves_nothing(
    vendor: Provider, emulator: Emulator, fault: Fault
) -> None:
    reference = await vendor.start(PHONE, Channel.SMS)
    emulator.fail(f"{vendor.name}.check", fault, times=None)

    with pytest.raises(ProviderError) as caught:
        await vendor.check(reference, PHONE, emulator.messages[0].code)

    assert emulator.count(f"{vendor.name}.check") == 1
    assert reference not in words_of(caught.value)


@pytest.mark.parametrize("fault", SLOW.values(), ids=SLOW)
async def test_a_check_that_takes_too_long_approves_nothing(
    hasty: Provider, emulator: Emulator, fault: Fault
) -> None:
    reference = await hasty.start(PHONE, Channel.SMS)
    emulator.fail(f"{hasty.name}.check", fault, times=None)

    async with asyncio.timeout(SOON):
        with pytest.raises(ProviderTimedOut):
            await hasty.check(reference, PHONE, emulator.messages[0].code)

    assert emulator.count(f"{hasty.name}.check") == 1


async def test_an_approval_that_was_lost_is_not_guessed_from_what_comes_after(
    vendor: Provider, emulator: Emulator
) -> None:
    reference = await vendor.start(PHONE, Channel.SMS)
    code = emulator.messages[0].code
    emulator.fail(f"{vendor.name}.check", Drop())
    with pytest.raises(ProviderTimedOut):
        await vendor.check(reference, PHONE, code)

    assert await vendor.check(reference, PHONE, code) is CheckOutcome.EXPIRED


@pytest.mark.parametrize("fault", [Drop(), Html(502), Redirect("http://127.0.0.1:9/")])
async def test_a_cancel_that_goes_wrong_says_so(
    vendor: Provider, emulator: Emulator, fault: Fault
) -> None:
    reference = await vendor.start(PHONE, Channel.SMS)
    emulator.fail(f"{vendor.name}.cancel", fault, times=None)

    with pytest.raises(ProviderError):
        await vendor.cancel(reference)

    assert emulator.count(f"{vendor.name}.cancel") == 1


async def test_a_start_that_nobody_waits_for_any_longer_is_not_repeated(
    vendor: Provider, emulator: Emulator
) -> None:
    emulator.fail(start(vendor), Hang(0.3), times=None)
    sending = asyncio.create_task(vendor.start(PHONE, Channel.SMS))
    await arrived(emulator, start(vendor), 1)

    sending.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sending
    await vendor.aclose()  # waits for the thread that sends, if there is one
    assert emulator.count(start(vendor)) == 1


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "../../v2/verify",
        "x/next_workflow",
        "%2e%2e",
        "VE" + "0" * 31,
        "VE" + "0" * 33,
        "VE" + "g" * 32,
        "VE" + "0" * 32 + "\n",
        "0" * 36,
        "00000000-0000-4000-8000-00000000000",
        "00000000-0000-4000-8000-000000000000/..",
        "٠" * 8 + "-0000-4000-8000-000000000000",
    ],
)
async def test_an_id_that_could_change_the_path_never_leaves(
    vendor: Provider, emulator: Emulator, reference: str
) -> None:
    before = len(emulator.requests)

    for call in (
        vendor.check(Reference(reference), PHONE, "123456"),
        vendor.cancel(Reference(reference)),
    ):
        with pytest.raises(OtpError):
            await call

    assert len(emulator.requests) == before
