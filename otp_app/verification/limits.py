"""The limit policy: how often, for whom, and why. Every row can be set by its name.

Windows move, and what they count is counted before the provider is asked. A success gives nothing
back but the number's row of failures; a resend, a restart, another format, channel, tab or cookie
gives nothing back at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

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

COUNTED_BY_ADDRESS = 2
"""Verifications of one address that count towards a pause. A person needs one, and a second one
after a mistyped number. Further ones say something about the address, not about the country."""


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
    COUNTRY_UNCONFIRMED = "country_unconfirmed"  # numbers that nobody has confirmed, and no API key
    COUNTRY_CONFIRMED = "country_confirmed"  # the others, while the country is paused
    EVERYBODY = "everybody"
    EVERYBODY_UNCONFIRMED = "everybody_unconfirmed"  # as COUNTRY_UNCONFIRMED, of all countries
    KEY = "key"  # an API key, in place of the address
    SESSION_NUMBERS = "session_numbers"  # different numbers of one session
    ADDRESS_NUMBERS = "address_numbers"


UNCONFIRMED = frozenset({Scope.COUNTRY_UNCONFIRMED, Scope.EVERYBODY_UNCONFIRMED})
"""Scopes that a confirmed number and an API key do not count towards."""


@dataclass(frozen=True)
class Limit:
    """At most *amount* in any *window*.

    Attributes:
        part_of: the row that this one is a part of. If a setting changes that row and not this
            one, this one changes in proportion.
    """

    name: str
    action: Action
    scope: Scope
    amount: int
    window: timedelta
    part_of: str = ""


POLICY: tuple[Limit, ...] = (
    # Both guides' limits, and what Twilio and AWS allow a number in a day.
    Limit("LIMIT_SEND_SESSION", Action.SEND, Scope.SESSION, 5, 15 * MINUTE),
    Limit("LIMIT_SEND_ADDRESS", Action.SEND, Scope.ADDRESS, 5, 15 * MINUTE),
    Limit("LIMIT_SEND_NUMBER", Action.SEND, Scope.NUMBER, 5, HOUR),
    Limit("LIMIT_SEND_NUMBER_DAY", Action.SEND, Scope.NUMBER, 10, DAY),
    # Of the five, strangers to a confirmed number leave two to whom it belongs, as login.gov does.
    Limit("LIMIT_SEND_NUMBER_STRANGERS", Action.SEND, Scope.STRANGERS, 3, HOUR),
    # And four of the ten a day: without this row, three an hour use up the day in four hours.
    Limit(
        "LIMIT_SEND_NUMBER_UNPROVED_DAY",
        Action.SEND,
        Scope.STRANGERS,
        6,
        DAY,
        part_of="LIMIT_SEND_NUMBER_DAY",
    ),
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
    Limit("LIMIT_SEND_TOTAL", Action.SEND, Scope.EVERYBODY, 200, HOUR),
    Limit("LIMIT_SEND_TOTAL_DAY", Action.SEND, Scope.EVERYBODY, 1000, DAY),
    # Numbers that nobody has confirmed get four fifths of these at most. The last fifth is for
    # confirmed numbers and API keys: new numbers cost an attacker nothing, so messages to them must
    # not be able to stop a country or everything.
    Limit(
        "LIMIT_SEND_COUNTRY_UNCONFIRMED",
        Action.SEND,
        Scope.COUNTRY_UNCONFIRMED,
        48,
        HOUR,
        part_of="LIMIT_SEND_COUNTRY",
    ),
    Limit(
        "LIMIT_SEND_TOTAL_UNCONFIRMED",
        Action.SEND,
        Scope.EVERYBODY_UNCONFIRMED,
        160,
        HOUR,
        part_of="LIMIT_SEND_TOTAL",
    ),
    Limit(
        "LIMIT_SEND_TOTAL_UNCONFIRMED_DAY",
        Action.SEND,
        Scope.EVERYBODY_UNCONFIRMED,
        800,
        DAY,
        part_of="LIMIT_SEND_TOTAL_DAY",
    ),
    # So many in a window of which too few come to a success: the country is paused for the window.
    Limit("LIMIT_SEND_COUNTRY_PAUSE", Action.PAUSE, Scope.COUNTRY, 20, HOUR),
    # Confirmed numbers and API keys get the same fifth of a paused country. A pumper can confirm
    # rented numbers, so the messages to confirmed numbers must have an end too.
    Limit(
        "LIMIT_SEND_COUNTRY_CONFIRMED",
        Action.SEND,
        Scope.COUNTRY_CONFIRMED,
        12,
        HOUR,
        part_of="LIMIT_SEND_COUNTRY",
    ),
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


class Device(Protocol):
    """A browser's record of its successes, for the time after its session."""

    def has_proved(self, phone: PhoneNumber) -> bool:
        """True if one of the successes was with *phone*."""
        ...


@dataclass(frozen=True)
class Client:
    """Who is asking: a browser's flow, and the address it comes from.

    Attributes:
        proved: the number, in E.164, that this browser's session is for; or empty.
        key: the name of the API key, in place of the address; or empty.
        language: a BCP 47 tag, for messages; the provider's own choice, if there is none.
        device: the browser's record of earlier successes; None for an API key.
    """

    flow: Flow
    address: str
    proved: str = ""
    key: str = ""
    language: str = ""
    device: Device | None = None

    @property
    def source(self) -> str:
        """The origin of a message: the API key, else the address."""
        return f"key {self.key}" if self.key else self.address

    def has_proved(self, phone: PhoneNumber) -> bool:
        """True if this browser has proved to hold *phone*: by its session, or earlier."""
        return self.proved == phone.e164 or bool(self.device and self.device.has_proved(phone))

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
    """*policy* with other rates for the rows named in *rates*, and for the parts of these rows."""
    amounts = {limit.name: limit.amount for limit in policy}
    return [_adjusted(limit, rates, amounts.get(limit.part_of, 1)) for limit in policy]


def _adjusted(limit: Limit, rates: Mapping[str, tuple[int, timedelta]], whole: int) -> Limit:
    """*limit* at its own rate, else at its part of the rate of the row that had *whole*."""
    if limit.name in rates:
        amount, window = rates[limit.name]
        return replace(limit, amount=amount, window=window)
    if limit.part_of in rates:
        amount, window = rates[limit.part_of]
        return replace(limit, amount=max(1, amount * limit.amount // whole), window=window)
    return limit


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
        Scope.COUNTRY_UNCONFIRMED: phone.region,
        Scope.COUNTRY_CONFIRMED: phone.region,
        Scope.EVERYBODY: "",
        Scope.EVERYBODY_UNCONFIRMED: "",
        Scope.KEY: client.key,
        Scope.SESSION_NUMBERS: client.flow,
        Scope.ADDRESS_NUMBERS: client.address,
    }[limit.scope]
    is_of_numbers = limit.scope in (Scope.SESSION_NUMBERS, Scope.ADDRESS_NUMBERS)
    return Spending(limit, subject, once=phone.e164 if is_of_numbers else "")
