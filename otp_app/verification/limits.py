"""The rate limits: how many messages and guesses each subject gets, and the reason for each limit.

An operator can change every limit by the setting of the same name. Windows slide. A use is counted
before the provider is called. A success resets only the consecutive failures of its number. A
resend, a restart, or another format, channel, tab or cookie resets nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otp_app.phone import PhoneNumber
    from otp_app.verification.client import Client

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

PREFIX_DIGITS = 4
"""Trailing digits that a block of numbers leaves open. SMS pumping fraud rents numbers in blocks of
this size."""

MIN_MESSAGE_AGE = 5 * MINUTE
"""Minimum age of a message that counts towards a conversion rate. A code takes about a minute to
arrive and to be typed, so a younger message has no result yet."""

PAUSED_BELOW = 0.2
"""Conversion rate below which a country is paused. Providers detect SMS pumping by the same signs:
Vonage's anti-fraud blocks a network by its volume and its conversion rate."""

TRUSTED_FROM = 0.3
"""Conversion rate from which a block of numbers is trusted: the limit of the block is lifted."""

TRUSTED_SENDS = 5
"""Minimum number of verifications of a trusted block: the rate of a smaller sample is chance."""

TRUSTED_FOR = DAY
"""Period over which the conversion rate of a block is measured."""

COUNTED_BY_ADDRESS = 2
"""Verifications of one address that count towards the pause of a country. A person needs one, and
a second one after a mistyped number. More of them are evidence about the address, not about the
country."""


class Action(StrEnum):
    """The kind of use that a limit counts."""

    SEND = "send"  # a message: the first one, a resend or a call
    CHECK = "check"  # a guess
    PAUSE = "pause"  # consumed only by the country breaker, all at once, to pause a country


class Scope(StrEnum):
    """The subject that a limit counts for."""

    SESSION = "session"  # the flow cookie
    ADDRESS = "address"  # IPv4, or the /64 of an IPv6 address
    NETWORK = "network"  # the /48 around an IPv6 address
    NUMBER = "number"
    UNPROVED_CLIENTS = "unproved_clients"  # a confirmed number, when the client is unproved
    CONSECUTIVE_FAILURES = "failures"  # consecutive failures of a number, since its last success
    PREFIX = "prefix"  # the block of a number: the number without its last digits
    COUNTRY = "country"
    COUNTRY_UNCONFIRMED = "country_unconfirmed"  # uses with an unconfirmed number and no API key
    COUNTRY_CONFIRMED = "country_confirmed"  # all other uses, while the country is paused
    GLOBAL = "everybody"  # the whole installation
    GLOBAL_UNCONFIRMED = "everybody_unconfirmed"  # COUNTRY_UNCONFIRMED over all countries
    KEY = "key"  # an API key, in place of the address
    SESSION_NUMBERS = "session_numbers"  # distinct numbers of one session
    ADDRESS_NUMBERS = "address_numbers"  # distinct numbers of one address


UNCONFIRMED = frozenset({Scope.COUNTRY_UNCONFIRMED, Scope.GLOBAL_UNCONFIRMED})
"""Scopes that apply neither to confirmed numbers nor to API keys."""


@dataclass(frozen=True)
class Limit:
    """At most *amount* uses in any period as long as *window*.

    Attributes:
        part_of: the name of the limit that this one is a share of, or empty. If a setting changes
            that limit and not this one, this one changes in proportion.
    """

    name: str
    action: Action
    scope: Scope
    amount: int
    window: timedelta
    part_of: str = ""

    def __hash__(self) -> int:
        return hash(self.name)  # a hash of all fields takes 2 µs


POLICY: tuple[Limit, ...] = (
    # The limits of both providers' guides, and the daily limit for a number at Twilio and AWS.
    Limit("LIMIT_SEND_SESSION", Action.SEND, Scope.SESSION, 5, 15 * MINUTE),
    Limit("LIMIT_SEND_ADDRESS", Action.SEND, Scope.ADDRESS, 5, 15 * MINUTE),
    Limit("LIMIT_SEND_NUMBER", Action.SEND, Scope.NUMBER, 5, HOUR),
    Limit("LIMIT_SEND_NUMBER_DAY", Action.SEND, Scope.NUMBER, 10, DAY),
    # Unproved clients get three of the five messages to a confirmed number, so two remain for its
    # owner. login.gov has the same rule.
    Limit("LIMIT_SEND_NUMBER_UNPROVED", Action.SEND, Scope.UNPROVED_CLIENTS, 3, HOUR),
    # Unproved clients get six of the ten messages in a day, so four remain for the owner. Without
    # this limit, three messages an hour would use up the day in four hours.
    Limit(
        "LIMIT_SEND_NUMBER_UNPROVED_DAY",
        Action.SEND,
        Scope.UNPROVED_CLIENTS,
        6,
        DAY,
        part_of="LIMIT_SEND_NUMBER_DAY",
    ),
    # One message at a time to a number, against double clicks and simultaneous tabs or browsers.
    Limit("LIMIT_SEND_NUMBER_BURST", Action.SEND, Scope.NUMBER, 1, timedelta(seconds=30)),
    Limit("LIMIT_SEND_ADDRESS_DAY", Action.SEND, Scope.ADDRESS, 20, DAY),
    # Eight times the limit of one address. One customer of a hosting company may hold a whole /48
    # with its 65,536 /64s, but a mobile network has thousands of phones in a single /48. IPv4 has
    # no such limit, because each further IPv4 address costs an attacker money.
    Limit("LIMIT_SEND_NETWORK", Action.SEND, Scope.NETWORK, 40, 15 * MINUTE),
    Limit("LIMIT_SEND_NETWORK_DAY", Action.SEND, Scope.NETWORK, 160, DAY),
    # A person mistypes a number once or twice; a longer list of numbers is abuse.
    Limit("LIMIT_SEND_SESSION_NUMBERS", Action.SEND, Scope.SESSION_NUMBERS, 3, DAY),
    Limit("LIMIT_SEND_ADDRESS_NUMBERS", Action.SEND, Scope.ADDRESS_NUMBERS, 5, DAY),
    # SMS pumping fraud: limits for a block of numbers, for a country and for the whole bill.
    Limit("LIMIT_SEND_PREFIX", Action.SEND, Scope.PREFIX, 10, HOUR),
    Limit("LIMIT_SEND_COUNTRY", Action.SEND, Scope.COUNTRY, 60, HOUR),
    Limit("LIMIT_SEND_TOTAL", Action.SEND, Scope.GLOBAL, 200, HOUR),
    Limit("LIMIT_SEND_TOTAL_DAY", Action.SEND, Scope.GLOBAL, 1000, DAY),
    # Unconfirmed numbers get at most four fifths of the limits for a country and for the whole
    # bill. The last fifth is reserved for confirmed numbers and API keys. New numbers cost an
    # attacker nothing, so messages to them must not be able to block a country or all sending.
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
        Scope.GLOBAL_UNCONFIRMED,
        160,
        HOUR,
        part_of="LIMIT_SEND_TOTAL",
    ),
    Limit(
        "LIMIT_SEND_TOTAL_UNCONFIRMED_DAY",
        Action.SEND,
        Scope.GLOBAL_UNCONFIRMED,
        800,
        DAY,
        part_of="LIMIT_SEND_TOTAL_DAY",
    ),
    # A country is paused for one window after this many messages with too low a conversion rate.
    Limit("LIMIT_SEND_COUNTRY_PAUSE", Action.PAUSE, Scope.COUNTRY, 20, HOUR),
    # While a country is paused, confirmed numbers and API keys get the same fifth of its limit. An
    # attacker can confirm rented numbers, so confirmed numbers need a limit too.
    Limit(
        "LIMIT_SEND_COUNTRY_CONFIRMED",
        Action.SEND,
        Scope.COUNTRY_CONFIRMED,
        12,
        HOUR,
        part_of="LIMIT_SEND_COUNTRY",
    ),
    # A program with an API key acts for many people from one address.
    Limit("LIMIT_SEND_KEY", Action.SEND, Scope.KEY, 200, HOUR),
    Limit("LIMIT_CHECK_KEY", Action.CHECK, Scope.KEY, 1000, HOUR),
    # Guesses: the limit of the provider's guide; the limits of PyPI for numbers and addresses; at
    # most 100 consecutive failures (NIST SP 800-63B-4 section 3.2.2); and a global limit against
    # guesses that are spread over many numbers.
    Limit("LIMIT_CHECK_SESSION", Action.CHECK, Scope.SESSION, 5, 5 * MINUTE),
    Limit("LIMIT_CHECK_ADDRESS", Action.CHECK, Scope.ADDRESS, 10, 5 * MINUTE),
    Limit("LIMIT_CHECK_ADDRESS_HOUR", Action.CHECK, Scope.ADDRESS, 50, HOUR),
    Limit("LIMIT_CHECK_NETWORK", Action.CHECK, Scope.NETWORK, 80, 5 * MINUTE),
    Limit("LIMIT_CHECK_NETWORK_HOUR", Action.CHECK, Scope.NETWORK, 400, HOUR),
    Limit("LIMIT_CHECK_NUMBER", Action.CHECK, Scope.NUMBER, 20, HOUR),
    Limit("LIMIT_CHECK_NUMBER_DAY", Action.CHECK, Scope.NUMBER, 50, DAY),
    Limit("LIMIT_CHECK_FAILURES", Action.CHECK, Scope.CONSECUTIVE_FAILURES, 100, 30 * DAY),
    Limit("LIMIT_CHECK_TOTAL", Action.CHECK, Scope.GLOBAL, 500, 5 * MINUTE),
)


@dataclass(frozen=True)
class LimitUse:
    """One use of a limit.

    Attributes:
        subject: the value of the limit's scope, for example the number; empty for all traffic.
        distinct: if set, a use by the same subject with the same value counts once in a window.
    """

    limit: Limit
    subject: str
    distinct: str = ""


def limit_uses(
    policy: Sequence[Limit], action: Action, client: Client, phone: PhoneNumber
) -> list[LimitUse]:
    """Return the limits of *policy* that one *action* of *client* for *phone* uses.

    A client with an API key counts by its key, every other client by its address and network.
    """
    others = {Scope.ADDRESS, Scope.ADDRESS_NUMBERS, Scope.NETWORK} if client.key else {Scope.KEY}
    if not client.network:
        others.add(Scope.NETWORK)
    return [
        _limit_use(limit, client, phone)
        for limit in policy
        if limit.action is action and limit.scope not in others
    ]


def global_limit_uses(policy: Sequence[Limit]) -> list[LimitUse]:
    """Return the global limits of *policy*, which every use counts towards."""
    return [LimitUse(limit, "") for limit in policy if limit.scope is Scope.GLOBAL]


def block_of(phone: PhoneNumber) -> str:
    """Return the block of *phone*: its E.164 form without the last `PREFIX_DIGITS` digits."""
    return phone.e164[:-PREFIX_DIGITS]


def adjusted(policy: Sequence[Limit], rates: Mapping[str, tuple[int, timedelta]]) -> list[Limit]:
    """Return *policy* with the amounts and windows of *rates*, which maps names of limits.

    A limit that is a share of a changed limit keeps its proportion.
    """
    amounts = {limit.name: limit.amount for limit in policy}
    return [_adjusted(limit, rates, amounts.get(limit.part_of, 1)) for limit in policy]


def _adjusted(limit: Limit, rates: Mapping[str, tuple[int, timedelta]], whole: int) -> Limit:
    """Return *limit* with its own rate, else with its share of the rate of the limit it is part of.

    *whole* is the amount that this other limit has in the policy. A share is at least 1.
    """
    if limit.name in rates:
        amount, window = rates[limit.name]
        return replace(limit, amount=amount, window=window)
    if limit.part_of in rates:
        amount, window = rates[limit.part_of]
        return replace(limit, amount=max(1, amount * limit.amount // whole), window=window)
    return limit


def _limit_use(limit: Limit, client: Client, phone: PhoneNumber) -> LimitUse:
    is_of_numbers = limit.scope in (Scope.SESSION_NUMBERS, Scope.ADDRESS_NUMBERS)
    subject = _SUBJECTS[limit.scope](client, phone)
    return LimitUse(limit, subject, distinct=phone.e164 if is_of_numbers else "")


_SUBJECTS: dict[Scope, Callable[[Client, PhoneNumber], str]] = {
    Scope.SESSION: lambda client, _: client.flow,
    Scope.ADDRESS: lambda client, _: client.address,
    Scope.NETWORK: lambda client, _: client.network,
    Scope.NUMBER: lambda _, phone: phone.e164,
    Scope.UNPROVED_CLIENTS: lambda _, phone: phone.e164,
    Scope.CONSECUTIVE_FAILURES: lambda _, phone: phone.e164,
    Scope.PREFIX: lambda _, phone: block_of(phone),
    Scope.COUNTRY: lambda _, phone: phone.region,
    Scope.COUNTRY_UNCONFIRMED: lambda _, phone: phone.region,
    Scope.COUNTRY_CONFIRMED: lambda _, phone: phone.region,
    Scope.GLOBAL: lambda _, __: "",
    Scope.GLOBAL_UNCONFIRMED: lambda _, __: "",
    Scope.KEY: lambda client, _: client.key,
    Scope.SESSION_NUMBERS: lambda client, _: client.flow,
    Scope.ADDRESS_NUMBERS: lambda client, _: client.address,
}
"""The value of each scope in a request of a client for a number."""
