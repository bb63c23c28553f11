"""What Vonage is asked for: workflows of steps, each with a code of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError
from vonage_verify import SmsChannel, VerifyRequest, VoiceChannel, WhatsappChannel

from otp_app.errors import ProviderRejected, ProviderTimedOut, Refusal
from otp_app.verification.models import Channel, Reference

if TYPE_CHECKING:
    from otp_app.phone import PhoneNumber
    from otp_app.providers.languages import RefusedLanguages

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
    """The SDK's, with what it lacks: templates, and languages past the first thirteen."""

    locale: str  # type: ignore[assignment]
    template_id: str | None = None


Step = SmsChannel | VoiceChannel | WhatsappChannel


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


@dataclass(frozen=True)
class Workflows:
    """Makes requests.

    Attributes:
        template: what all have in common.
        languages: those that Vonage refused, by channel.
        whatsapp_from: the operator's WhatsApp Business number, digits only, where there is one.
        template_id: of the operator's own words for texts.
        calls: whether a text may be followed by a call.
    """

    template: Request
    languages: RefusedLanguages
    whatsapp_from: str | None
    template_id: str | None
    calls: bool

    def request(self, to: PhoneNumber, channel: Channel, language: str = "") -> Request:
        """A request to *to*, in *language* if Vonage speaks it and has not refused it lately.

        The template's locale stays where it is as near.

        Raises:
            ProviderRejected: a request to this number, or by this channel, cannot be made.
        """
        try:
            steps = self._steps(to.digits, channel)
        except ValidationError as exc:  # the SDK wants seven digits at least
            raise ProviderRejected(Refusal.NUMBER) from exc
        nearest_locale = nearest(language, self.template.locale) or self.template.locale
        locale = self.languages.usable(channel, nearest_locale)
        own_words = self.template_id if channel is Channel.SMS else None  # of texts, says Vonage
        return self.template.model_copy(
            update={"workflow": steps, "locale": locale, "template_id": own_words}
        )

    def _steps(self, to: str, channel: Channel) -> list[Step]:
        """The message asked for, and what the person can have next in the same request.

        Nothing comes after WhatsApp. Many people do not have it, and Vonage does not say that it
        waits for the time of a step whose message has failed: a call would come by itself.
        """
        match channel:
            case Channel.SMS if self.calls:
                return [SmsChannel(to=to), VoiceChannel(to=to)]
            case Channel.SMS:
                return [SmsChannel(to=to)]
            case Channel.VOICE:
                return [VoiceChannel(to=to)]
            case Channel.WHATSAPP:
                return [self._whatsapp(to)]

    def _whatsapp(self, to: str) -> WhatsappChannel:
        if self.whatsapp_from is None:  # it is not set up any more
            raise ProviderRejected(Refusal.CHANNEL)
        to = VoiceChannel(to=to).to
        # Not validated: the SDK takes numbers of eleven digits at most for the sender's.
        return WhatsappChannel.model_construct(to=to, from_=self.whatsapp_from)


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
