"""The words of every error and delivery, and how times and countries are written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_time

from otp_app.errors import CodeMismatch, OtpError, ResendTooSoon
from otp_app.i18n.en import DELIVERIES, TEXTS
from otp_app.phone import SATELLITE_AND_GLOBAL, dial_code, regions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from otp_app.verification.deliveries import Delivery

LOCALE = Locale("en", "US")
WARN_FROM = 3  # attempts left from which the person is told how many


def message(error: OtpError, *, zone: tzinfo = UTC, now: datetime | None = None) -> str:
    """What to tell the person about *error*, with clock times of *zone*."""
    now = now or datetime.now(UTC)
    texts = {name: _written(value, zone, now) for name, value in error.params.items()}
    if "region" in texts:
        texts["country"] = country(texts["region"])
    if isinstance(error, ResendTooSoon):
        texts["seconds"] = str(_seconds_until(error.params, now))
    return TEXTS[_key(error)].format_map(texts)


def delivery(report: Delivery, zone: tzinfo) -> str:
    """What to tell the person about their message, with the clock time of *zone*."""
    words = DELIVERIES[report.channel, report.status]
    return words.format(at=clock(report.at, zone))


def country(region: str) -> str:
    """The name of an ISO 3166-1 region."""
    if region in ("", SATELLITE_AND_GLOBAL):
        return "this country"
    return str(LOCALE.territories.get(region, region))


def countries(served: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """The regions *served*, or all with phone numbers, as (code, "Name (+code)"), by name."""
    names = {region: country(region) for region in served & regions() or regions()}
    ordered = sorted(names, key=lambda region: names[region])
    return [(region, f"{names[region]} (+{dial_code(region)})") for region in ordered]


def clock(moment: datetime, zone: tzinfo, now: datetime | None = None) -> str:
    """The time of day of *moment*, with its date unless that is today's by *now*.

    And with the zone's name where we do not know the person's.
    """
    here = moment.astimezone(zone)
    text = format_time(here, "short", locale=LOCALE)
    if now is not None and here.date() != now.astimezone(zone).date():
        text = f"{format_date(here, 'long', locale=LOCALE)}, {text}"
    return f"{text} UTC" if zone is UTC else text


def time_zone(name: str) -> tzinfo:
    """The zone of that IANA name, UTC if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _written(value: str | int | datetime, zone: tzinfo, now: datetime) -> str:
    return clock(value, zone, now) if isinstance(value, datetime) else str(value)


def _key(error: OtpError) -> str:
    left = error.params.get("attempts_left")
    if not isinstance(error, CodeMismatch) or not isinstance(left, int) or left > WARN_FROM:
        return error.key
    return f"{error.key}_last" if left == 1 else f"{error.key}_few"


def _seconds_until(params: Mapping[str, object], now: datetime) -> int:
    until = params["until"]
    if not isinstance(until, datetime):
        raise TypeError("until")
    return max(1, round((until - now).total_seconds()))
