"""Requests to Vonage: workflows of steps, each of which sends its own code."""

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
"""Seconds until Vonage takes the next step of a workflow by itself. 900 is the longest that Vonage
allows. A code lives for 600 s in this app, so a call is only made because the person asked for
it."""

LOCALES = (
    "en-us", "en-gb", "en-au", "en-in", "es-es", "es-mx", "es-us", "fr-fr", "de-de", "it-it",
    "pt-br", "pt-pt", "nl-nl", "ru-ru", "cs-cz", "da-dk", "hi-in", "id-id", "ar-xa", "zh-cn",
)  # fmt: skip
"""Locales that Vonage's own templates have both for text and for speech. The first locale of a
language is its default. https://developer.vonage.com/en/verify/guides/verify-v2-languages"""

_REQUEST_ID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Request(VerifyRequest):
    """The SDK's request, extended by templates and by languages that the SDK does not list."""

    locale: str  # type: ignore[assignment]
    template_id: str | None = None


Step = SmsChannel | VoiceChannel | WhatsappChannel


def request_template(brand: str, locale: str) -> Request:
    """Return the part that all requests have in common, without steps.

    Raises:
        ValueError: the SDK does not accept *brand*, or Vonage does not have the language.
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
    """Makes the requests to start a verification.

    Attributes:
        template: the part that all requests have in common.
        languages: the languages that Vonage refused, by channel.
        whatsapp_from: the operator's WhatsApp Business number, digits only, or None.
        template_id: the id of the operator's own template for text messages, or None.
        calls: whether a call may follow a text message.
    """

    template: Request
    languages: RefusedLanguages
    whatsapp_from: str | None
    template_id: str | None
    calls: bool

    def request(self, to: PhoneNumber, channel: Channel, language: str = "") -> Request:
        """Return a request to *to*, in *language* if Vonage has it and has not refused it lately.

        The template's locale is kept if it is as near to *language*.

        Raises:
            ProviderRejected: a request to this number, or by this channel, cannot be made.
        """
        try:
            steps = self._steps(to.digits, channel)
        except ValidationError as exc:  # the SDK requires seven digits at least
            raise ProviderRejected(Refusal.NUMBER) from exc
        nearest_locale = nearest(language, self.template.locale) or self.template.locale
        locale = self.languages.usable(channel, nearest_locale)
        own_words = self.template_id if channel is Channel.SMS else None  # Vonage: texts only
        return self.template.model_copy(
            update={"workflow": steps, "locale": locale, "template_id": own_words}
        )

    def _steps(self, to: str, channel: Channel) -> list[Step]:
        """Return the step that was asked for, and the next one that the same request allows.

        No step follows WhatsApp. Many people do not have it, and Vonage does not document that a
        step whose message failed still takes its full time: a call might come unasked.
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
        if self.whatsapp_from is None:  # WhatsApp is not set up any more
            raise ProviderRejected(Refusal.CHANNEL)
        to = VoiceChannel(to=to).to
        # Not validated, because the SDK accepts sender numbers of eleven digits at most.
        return WhatsappChannel.model_construct(to=to, from_=self.whatsapp_from)


def is_request_id(value: object) -> bool:
    """Whether *value* has the form of a request's id, which is a UUID."""
    return isinstance(value, str) and _REQUEST_ID.fullmatch(value) is not None


def require_request_id(value: str) -> Reference:
    """Require the form of a request's id, because the SDK puts it into paths without escaping it.

    Raises:
        ProviderTimedOut: *value* is not a request's id.
    """
    if not is_request_id(value):
        raise ProviderTimedOut
    return Reference(value)


def nearest(tag: str, preferred: str = "") -> str | None:
    """Return Vonage's locale for a tag such as `en-GB`, or None if Vonage lacks the language.

    For a region that Vonage lacks, the locale is *preferred* if it has the same language, else the
    language's first.
    """
    wanted = tag.lower()
    language = wanted.partition("-")[0] + "-"
    spoken = [locale for locale in LOCALES if locale.startswith(language)]
    return min(spoken, key=lambda locale: (locale != wanted, locale != preferred), default=None)
