"""The limit policy: how often, for whom, and why. Every row can be set by its name.

Windows move, and what they count is counted before the provider is asked. A success gives nothing
back but the number's row of failures; a resend, a restart, another format, channel, tab or cookie
gives nothing back at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from otp_app.addresses import network_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otp_app.phone import PhoneNumber
    from otp_app.verification.models import Flow

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

PREFIX_DIGITS = 4
"""Numbers that differ in their last four digits only are one block, as pumpers rent them."""

RIPE = 5 * MINUTE
"""A message that is younger says nothing yet: its code takes a minute to come and to be typed."""

PAUSED_BELOW = 0.2
"""Share of approved verifications below which a country is paused. Providers judge pumping alike:
Vonage's anti-fraud blocks a network by its volume and its conversion."""

TRUSTED_FROM = 0.3
"""Share from which a block of numbers is people's, not a pumper's: its own limit is lifted."""

TRUSTED_SENDS = 5
"""Verifications that a block must have had for its share to mean anything."""

TRUSTED_FOR = DAY
"""How far back a block's verifications count."""


class Action(StrEnum):
    """What is counted."""

    SEND = "send"  # start, resend and call alike
    CHECK = "check"
    PAUSE = "pause"  # of a country: nobody spends it but the breaker, who spends all of it


class Scope(StrEnum):
    """Whom it is counted for."""

    SESSION = "session"  # the flow cookie
    ADDRESS = "address"  # IPv4, or the /64 of an IPv6 address
    NETWORK = "network"  # the /48 around an IPv6 address
    NUMBER = "number"
    STRANGERS = "strangers"  # a confirmed number, for those who have not proved that it is theirs
    FAILURES = "failures"  # the number's, since its last success
    PREFIX = "prefix"  # the number without its last digits
    COUNTRY = "country"
    EVERYBODY = "everybody"
    KEY = "key"  # an API key, in place of the address
    SESSION_NUMBERS = "session_numbers"  # different numbers of one session
    ADDRESS_NUMBERS = "address_numbers"


@dataclass(frozen=True)
class Limit:
    """At most *amount* in any *window*."""

    name: str
    action: Action
    scope: Scope
    amount: int
    window: timedelta


POLICY: tuple[Limit, ...] = (
    # Both guides' limits, and what Twilio and AWS allow a number in a day.
    Limit("LIMIT_SEND_SESSION", Action.SEND, Scope.SESSION, 5, 15 * MINUTE),
    Limit("LIMIT_SEND_ADDRESS", Action.SEND, Scope.ADDRESS, 5, 15 * MINUTE),
    Limit("LIMIT_SEND_NUMBER", Action.SEND, Scope.NUMBER, 5, HOUR),
    Limit("LIMIT_SEND_NUMBER_DAY", Action.SEND, Scope.NUMBER, 10, DAY),
    # Of the five, strangers to a confirmed number leave two to whom it belongs, as login.gov does.
    Limit("LIMIT_SEND_NUMBER_STRANGERS", Action.SEND, Scope.STRANGERS, 3, HOUR),
    # One message at a time to a number, whoever asks: double clicks, tabs and browsers at once.
    Limit("LIMIT_SEND_NUMBER_BURST", Action.SEND, Scope.NUMBER, 1, timedelta(seconds=30)),
    Limit("LIMIT_SEND_ADDRESS_DAY", Action.SEND, Scope.ADDRESS, 20, DAY),
    # Eight addresses' worth. One customer of a hoster has all 65,536 /64s of a /48, but a mobile
    # network has thousands of phones in one. An IPv4 address has no such row: it costs money.
    Limit("LIMIT_SEND_NETWORK", Action.SEND, Scope.NETWORK, 40, 15 * MINUTE),
    Limit("LIMIT_SEND_NETWORK_DAY", Action.SEND, Scope.NETWORK, 160, DAY),
    # People mistype a number once or twice; lists of numbers are somebody else's business.
    Limit("LIMIT_SEND_SESSION_NUMBERS", Action.SEND, Scope.SESSION_NUMBERS, 3, DAY),
    Limit("LIMIT_SEND_ADDRESS_NUMBERS", Action.SEND, Scope.ADDRESS_NUMBERS, 5, DAY),
    # Pumping: blocks of numbers, one country, the whole bill.
    Limit("LIMIT_SEND_PREFIX", Action.SEND, Scope.PREFIX, 10, HOUR),
    Limit("LIMIT_SEND_COUNTRY", Action.SEND, Scope.COUNTRY, 60, HOUR),
    # So many in a window of which too few come to a success: the country is paused for the window.
    Limit("LIMIT_SEND_COUNTRY_PAUSE", Action.PAUSE, Scope.COUNTRY, 20, HOUR),
    Limit("LIMIT_SEND_TOTAL", Action.SEND, Scope.EVERYBODY, 200, HOUR),
    Limit("LIMIT_SEND_TOTAL_DAY", Action.SEND, Scope.EVERYBODY, 1000, DAY),
    # A program with an API key speaks for many people from one address.
    Limit("LIMIT_SEND_KEY", Action.SEND, Scope.KEY, 200, HOUR),
    Limit("LIMIT_CHECK_KEY", Action.CHECK, Scope.KEY, 1000, HOUR),
    # Guessing: the guide's limit, PyPI's for numbers and addresses, NIST's hundred in a row
    # (SP 800-63B-4 section 3.2.2), and a brake on guesses spread over everything.
    Limit("LIMIT_CHECK_SESSION", Action.CHECK, Scope.SESSION, 5, 5 * MINUTE),
    Limit("LIMIT_CHECK_ADDRESS", Action.CHECK, Scope.ADDRESS, 10, 5 * MINUTE),
    Limit("LIMIT_CHECK_ADDRESS_HOUR", Action.CHECK, Scope.ADDRESS, 50, HOUR),
    Limit("LIMIT_CHECK_NETWORK", Action.CHECK, Scope.NETWORK, 80, 5 * MINUTE),
    Limit("LIMIT_CHECK_NETWORK_HOUR", Action.CHECK, Scope.NETWORK, 400, HOUR),
    Limit("LIMIT_CHECK_NUMBER", Action.CHECK, Scope.NUMBER, 20, HOUR),
    Limit("LIMIT_CHECK_NUMBER_DAY", Action.CHECK, Scope.NUMBER, 50, DAY),
    Limit("LIMIT_CHECK_FAILURES", Action.CHECK, Scope.FAILURES, 100, 30 * DAY),
    Limit("LIMIT_CHECK_TOTAL", Action.CHECK, Scope.EVERYBODY, 500, 5 * MINUTE),
)


@dataclass(frozen=True)
class Client:
    """Who is asking: a browser's flow, and the address it comes from.

    Attributes:
        proved: the number, in E.164, that this browser has proved to be its own; or empty.
        key: the name of the API key, in place of the address; or empty.
        language: a BCP 47 tag, for messages; the provider's own choice, if there is none.
    """

    flow: Flow
    address: str
    proved: str = ""
    key: str = ""
    language: str = ""

    @property
    def network(self) -> str:
        """The wider network around the address, if it counts under one."""
        return network_key(self.address)


@dataclass(frozen=True)
class Conversion:
    """Of so many verifications that were sent, so many were approved."""

    sent: int
    approved: int

    @property
    def share(self) -> float:
        """From 0 to 1; of none it is 1, as nothing speaks against them."""
        return self.approved / self.sent if self.sent else 1.0


@dataclass(frozen=True)
class Spending:
    """One use of a limit by *subject*; with *once*, only the first of the window counts."""

    limit: Limit
    subject: str
    once: str = ""


def spendings(
    policy: Sequence[Limit], action: Action, client: Client, phone: PhoneNumber
) -> list[Spending]:
    """What *action* uses up."""
    others = {Scope.ADDRESS, Scope.ADDRESS_NUMBERS, Scope.NETWORK} if client.key else {Scope.KEY}
    if not client.network:
        others.add(Scope.NETWORK)
    return [
        _spending(limit, client, phone)
        for limit in policy
        if limit.action is action and limit.scope not in others
    ]


def of_everybody(policy: Sequence[Limit]) -> list[Spending]:
    """What anybody's use counts towards: the limits of the whole bill."""
    return [Spending(limit, "") for limit in policy if limit.scope is Scope.EVERYBODY]


def block_of(phone: PhoneNumber) -> str:
    """What the numbers of a block have in common."""
    return phone.e164[:-PREFIX_DIGITS]


def adjusted(policy: Sequence[Limit], rates: Mapping[str, tuple[int, timedelta]]) -> list[Limit]:
    """*policy* with other rates for the rows named in *rates*."""
    return [
        replace(limit, amount=rates[limit.name][0], window=rates[limit.name][1])
        if limit.name in rates
        else limit
        for limit in policy
    ]


def _spending(limit: Limit, client: Client, phone: PhoneNumber) -> Spending:
    subject = {
        Scope.SESSION: client.flow,
        Scope.ADDRESS: client.address,
        Scope.NETWORK: client.network,
        Scope.NUMBER: phone.e164,
        Scope.STRANGERS: phone.e164,
        Scope.FAILURES: phone.e164,
        Scope.PREFIX: block_of(phone),
        Scope.COUNTRY: phone.region,
        Scope.EVERYBODY: "",
        Scope.KEY: client.key,
        Scope.SESSION_NUMBERS: client.flow,
        Scope.ADDRESS_NUMBERS: client.address,
    }[limit.scope]
    is_of_numbers = limit.scope in (Scope.SESSION_NUMBERS, Scope.ADDRESS_NUMBERS)
    return Spending(limit, subject, once=phone.e164 if is_of_numbers else "")
