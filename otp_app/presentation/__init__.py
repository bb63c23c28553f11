"""The texts that a person gets, in the language and time zone of the browser.

The pages with and without JavaScript, the API and the command line share this package. No module of
the package imports Reflex or Starlette.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_date, format_time, get_timezone_name
from babel.lists import format_list

from otp_app import routes
from otp_app.errors import CodeMismatch, OtpError, ResendTooSoon
from otp_app.i18n import english, negotiate
from otp_app.i18n.en import CHANNEL_TEXTS, CHOICE, TEXT, TEXTS
from otp_app.identity.cookies import cookie_value
from otp_app.verification.deliveries import DeliveryStatus
from otp_app.verification.models import Channel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import tzinfo

    from otp_app.errors import Param
    from otp_app.i18n import Language
    from otp_app.verification.deliveries import DeliveryReport

_NO_CHOICE = {"refused_landline": "refused_number", "refused_channel": "refused_number"}
"""Error keys whose text offers another channel, and the keys that replace them if there is none."""

WARN_FROM = 3  # attempts left; from here on the page shows how many


def message(
    error: OtpError,
    *,
    language: Language | None = None,
    zone: tzinfo = UTC,
    now: datetime | None = None,
    on_code_page: bool = False,
) -> str:
    """Return the text of *error* for the person, in *language* or English.

    Args:
        error: the error.
        language: the person's language.
        zone: the time zone for times in the text.
        now: the current time; by default that of the system clock.
        on_code_page: whether the text quotes the buttons of the code page, which send another code,
            or the choices of the phone page.
    """
    language, now = language or english(), now or datetime.now(UTC)
    values = {name: _written(value, language, zone, now) for name, value in error.params.items()}
    if isinstance(channels := error.params.get("channels"), tuple):
        values["choices"] = _choices(channels, language, on_code_page=on_code_page)
    if "region" in error.params:
        values["country"] = language.country(str(error.params["region"]))
    if isinstance(error, ResendTooSoon):
        values["seconds"] = _seconds_until(error.params, now)
    return language.t(TEXTS[_key(error)], **values)


def delivery(
    report: DeliveryReport, channels: Iterable[Channel], language: Language, zone: tzinfo
) -> str:
    """Return the text of a delivery report for the person; empty if there is nothing to report.

    Args:
        report: the delivery report.
        channels: the channels that the person may choose. After a failure the text offers those
            that did not fail, or the same one again if there is no other.
        language: the person's language.
        zone: the time zone for the time of the report.
    """
    texts = CHANNEL_TEXTS[report.channel]
    if report.status.is_failure:
        others = [channel for channel in channels if channel is not report.channel]
        choices = _choices(others or [report.channel], language, on_code_page=True)
        return language.t(texts.not_delivered, choices=choices)
    if report.status is DeliveryStatus.DELIVERED:
        return language.t(texts.delivered, at=clock(report.at, language, zone))
    return ""


def clock(moment: datetime, language: Language, zone: tzinfo, now: datetime | None = None) -> str:
    """Return the time of day of *moment*, with its date if *now* is given and on another day.

    A time in UTC, the zone of people whose own zone is unknown, ends in "UTC".
    """
    here, locale = moment.astimezone(zone), language.locale
    text = format_time(here, "short", locale=locale)
    if now is not None and here.date() != now.astimezone(zone).date():
        text = f"{format_date(here, 'long', locale=locale)}, {text}"
    return f"{text} UTC" if zone is UTC else text


def zone_name(moment: datetime, language: Language, zone: tzinfo) -> str:
    """Return the name of *zone*, such as "Central European Time".

    A zone that belongs to no place is named by its offset at *moment*.
    """
    area, _, place = getattr(zone, "key", "").partition("/")
    is_of_a_place = place and area != "Etc"
    named = zone if is_of_a_place else moment.astimezone(zone)
    return get_timezone_name(named, locale=language.locale)


def time_zone(name: str) -> tzinfo:
    """Return the time zone with the IANA name *name*, or UTC if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _choices(channels: Iterable[str], language: Language, *, on_code_page: bool) -> str:
    """Return the quoted labels of *channels* as a list, such as: “Text message” or “Call me”."""
    texts = [CHANNEL_TEXTS[Channel(channel)] for channel in channels]
    labels = [text.resend if on_code_page else text.choice for text in texts]
    quoted = [language.t(CHOICE, choice=language.t(label)) for label in labels]
    return format_list(quoted, "or", language.locale)


def _written(value: Param, language: Language, zone: tzinfo, now: datetime) -> str | int:
    if isinstance(value, datetime):
        return clock(value, language, zone, now)
    if isinstance(value, tuple):
        return ""  # a tuple of channels becomes `choices`
    return value if isinstance(value, int) else language.left_to_right(value)


def _key(error: OtpError) -> str:
    if error.params.get("channels") == ():
        return _NO_CHOICE.get(error.key, error.key)
    left = error.params.get("attempts_left")
    if not isinstance(error, CodeMismatch) or not isinstance(left, int) or left > WARN_FROM:
        return error.key
    return f"{error.key}_last" if left == 1 else f"{error.key}_few"


def _seconds_until(params: Mapping[str, object], now: datetime) -> int:
    until = params["until"]
    if not isinstance(until, datetime):
        raise TypeError("until")
    return max(1, round((until - now).total_seconds()))


def code_message(code: str, brand: str, language: Language) -> str:
    """Return the text of a WhatsApp message, which is the sentence alone."""
    return language.t(TEXT, code=code, brand=brand)


def text_message(code: str, brand: str, domain: str, language: Language) -> str:
    """Return a text message: the sentence, and a line that binds the code to *domain*.

    Autofill then offers the code on that domain only.
    https://developer.apple.com/documentation/security/enabling-autofill-for-domain-bound-sms-codes
    and https://wicg.github.io/sms-one-time-codes/#format
    """
    return f"{code_message(code, brand, language)}\n\n@{domain} #{code}"


@dataclass(frozen=True)
class Preferences:
    """The preferences in the `Cookie` and `Accept-Language` headers of a request or a socket."""

    cookie_header: str
    accept_language: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Preferences:
        """Return the preferences in *headers*, a mapping with names in lower case."""
        return cls(headers.get("cookie", ""), headers.get("accept-language", ""))

    @property
    def language(self) -> Language:
        """The language that the person has chosen, else the best match for the browser's."""
        return negotiate(self._cookie(routes.LANGUAGE_COOKIE), self.accept_language)

    @property
    def zone(self) -> tzinfo:
        """The browser's time zone, which a script of the pages stores in a cookie; else UTC."""
        return time_zone(self._cookie(routes.TIME_ZONE_COOKIE))

    def _cookie(self, name: str) -> str:
        return cookie_value(self.cookie_header, name)
