"""The channels by which a number can receive a code, and the errors for all others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from otp_app.errors import (
    ChannelNotOffered,
    InvalidPhoneNumber,
    PhoneProblem,
    ProviderRejected,
    Refusal,
)
from otp_app.phone import Kind
from otp_app.verification.models import Channel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otp_app.phone import PhoneNumber

WITHOUT_WHATSAPP = frozenset({"CN", "CU", "IR", "KP", "SY"})
"""Countries whose numbers businesses cannot message by WhatsApp. Cuba, Iran, North Korea and Syria:
https://docs.360dialog.com/partner/help-and-support/faq. China:
https://docs.aws.amazon.com/end-user-messaging/latest/userguide/nx-supported-countries-asia.html"""


def channels_for(phone: PhoneNumber, offered: Sequence[Channel]) -> tuple[Channel, ...]:
    """Return the channels of *offered* by which *phone* can receive a code, in the same order."""
    good = _usable_channels(phone)
    return tuple(channel for channel in offered if channel in good)


def require_channel(phone: PhoneNumber, channel: Channel, offered: Sequence[Channel]) -> None:
    """Check that *channel* is offered and that *phone* can receive a code by it.

    Raises:
        ChannelNotOffered: with the `channels` that are offered.
        InvalidPhoneNumber: with the `channels` that reach this number, which may be none.
    """
    ways = channels_for(phone, offered)
    if phone.kind is Kind.OTHER:
        raise InvalidPhoneNumber(PhoneProblem.NOT_PERSONAL)
    if channel not in offered:
        raise ChannelNotOffered(channels=ways or tuple(offered))
    if channel not in ways:
        raise InvalidPhoneNumber(_problem(phone, ways), channels=ways, region=phone.region)


@contextmanager
def suggest_alternatives(
    phone: PhoneNumber, channel: Channel, offered: Sequence[Channel]
) -> Iterator[None]:
    """Add the remaining channels for *phone* to a `ProviderRejected` of *channel*."""
    try:
        yield
    except ProviderRejected as exc:
        good = {Channel.VOICE} if exc.refusal is Refusal.LANDLINE else set(Channel)
        others = (way for way in channels_for(phone, offered) if way in good - {channel})
        raise ProviderRejected(exc.refusal, channels=tuple(others)) from exc


def _usable_channels(phone: PhoneNumber) -> set[Channel]:
    match phone.kind:
        case Kind.OTHER:
            return set()
        case Kind.LANDLINE:
            return {Channel.VOICE}
        case _ if phone.region in WITHOUT_WHATSAPP:
            return {Channel.SMS, Channel.VOICE}
        case _:
            return set(Channel)


def _problem(phone: PhoneNumber, ways: Sequence[Channel]) -> PhoneProblem:
    if phone.kind is Kind.LANDLINE:
        return PhoneProblem.LANDLINE if ways else PhoneProblem.NOT_PERSONAL
    return PhoneProblem.NO_WHATSAPP if ways else PhoneProblem.NOT_SERVED


def parse_channel(name: str, offered: Sequence[Channel]) -> Channel | None:
    """Return the channel called *name*, or None if *name* is empty.

    Raises:
        ChannelNotOffered: no such channel exists. Its `channels` are those *offered*.
    """
    try:
        return Channel(name) if name else None
    except ValueError:
        raise ChannelNotOffered(channels=tuple(offered)) from None
