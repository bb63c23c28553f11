"""What Vonage is asked for: workflows of steps, each with a code of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import ValidationError
from vonage_verify import SmsChannel, VerifyRequest, VoiceChannel

from otp_app.errors import ProviderRejected, ProviderTimedOut, Refusal
from otp_app.verification.models import Channel, Reference

if TYPE_CHECKING:
    from otp_app.phone import PhoneNumber

CODE_LENGTH = 6  # digits; by default Vonage sends four

CHANNEL_TIMEOUT = 900
"""Seconds until Vonage takes the next step of a workflow by itself, the longest it allows. A code
lives 600 s here, so a call is only ever made because the person asked for it."""

LOCALES = (
    "en-us", "en-gb", "en-au", "en-in", "es-es", "es-mx", "es-us", "fr-fr", "de-de", "it-it",
    "pt-br", "pt-pt", "nl-nl", "ru-ru", "cs-cz", "da-dk", "hi-in", "id-id", "ar-xa", "zh-cn",
)  # fmt: skip
"""What Vonage both writes and speaks by its own templates; the first of a language stands for it.
https://developer.vonage.com/en/verify/guides/verify-v2-languages"""

_REQUEST_ID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Request(VerifyRequest):
    """The SDK's, for every language of the service: the SDK's own list has thirteen."""

    locale: str  # type: ignore[assignment]


def request_template(brand: str, locale: str) -> Request:
    """What all requests have in common.

    Raises:
        ValueError: the SDK does not take this brand, or Vonage does not speak this language.
    """
    spoken = nearest(locale)
    if spoken is None:
        raise ValueError("locale")
    return Request(
        brand=brand,
        locale=spoken,
        code_length=CODE_LENGTH,
        channel_timeout=CHANNEL_TIMEOUT,
        workflow=[],
    )


def request_to(to: PhoneNumber, channel: Channel, template: Request, language: str = "") -> Request:
    """A request of a call, or of a text that a call can follow, in *language* if Vonage speaks it.

    The template's locale stays where it is as near.
    """
    try:
        call = VoiceChannel(to=to.digits)
        text = SmsChannel(to=to.digits)
    except ValidationError as exc:  # the SDK wants seven digits at least
        raise ProviderRejected(Refusal.NUMBER) from exc
    steps = [call] if channel is Channel.VOICE else [text, call]
    locale = nearest(language, template.locale) or template.locale
    return template.model_copy(update={"workflow": steps, "locale": locale})


def is_request_id(value: object) -> bool:
    """Whether it can be a request's id, a UUID."""
    return isinstance(value, str) and _REQUEST_ID.fullmatch(value) is not None


def require_request_id(value: str) -> Reference:
    """A request's id, fit for a path: the SDK escapes nothing."""
    if not is_request_id(value):
        raise ProviderTimedOut
    return Reference(value)


def nearest(tag: str, preferred: str = "") -> str | None:
    """What Vonage speaks for a tag such as `en-GB`, None if it does not speak the language.

    For a region it lacks that is *preferred*, or the language's first.
    """
    wanted = tag.lower()
    language = wanted.partition("-")[0] + "-"
    spoken = [locale for locale in LOCALES if locale.startswith(language)]
    return min(spoken, key=lambda locale: (locale != wanted, locale != preferred), default=None)
