"""The requests to Vonage, workflows of steps with a code each; and its problems in our terms.

All problems: https://developer.vonage.com/en/api/verify.v2, in the form of RFC 9457. Their hosts
and details vary, so the status counts, and the last word of `type` where that is not enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError
from vonage_verify import SmsChannel, VerifyRequest, VoiceChannel, WhatsappChannel

from otp_app.errors import NumberBusy, ProviderRejected, ProviderTimedOut, Refusal
from otp_app.providers.error_tables import (
    ACCOUNT,
    THROTTLED,
    UNCLEAR,
    ErrorFactory,
    ErrorTable,
    Rows,
    language,
    rejected,
    setting,
)
from otp_app.providers.vendor_input import UNNAMED
from otp_app.verification.models import Channel, CheckOutcome, Reference

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from otp_app.phone import PhoneNumber
    from otp_app.providers.error_tables import RefusedLanguages
    from otp_app.providers.vendor_input import VendorError

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


NOT_FOUND: Final = 404
CONFLICT: Final = 409

_ADDRESS = "check VONAGE_BASE_URL: this is not the service's address"
_TEMPLATE = "check VONAGE_TEMPLATE_ID, and that the account may use templates"
_FRAGMENT = "add a fragment in this language to the template"
_SENDER = "check VONAGE_WHATSAPP_FROM, and which channels the account may use"

_SETTINGS = {"brand", "code_length", "channel_timeout", "client_ref"}
_OF_THE_LANGUAGE = {"locale", "template_id"}
_OF_THE_CHANNEL = {"workflow", "channel", "from"}

_ANY: Rows = {
    401: ACCOUNT,  # credentials, under any name
    402: ACCOUNT,  # balance
    # A 403 with a name that is not here may be about a channel or the template.
    (403, UNNAMED): ACCOUNT,
    (403, "unprovisioned"): ACCOUNT,
    (403, "account-suspended"): ACCOUNT,
    (403, "invalid-api-key"): ACCOUNT,
    429: THROTTLED,  # requests of the account in a second
}
"""Errors of every operation: https://developer.vonage.com/en/api-errors"""


def _running(refused: VendorError) -> NumberBusy:
    """Return the error for a 409 to a start, whose body names the request that has the number."""
    request_id = refused.problem.get("request_id")
    return NumberBusy(str(request_id) if is_request_id(request_id) else None)


def _invalid_parameters(refused: VendorError) -> ErrorFactory:
    """Return the row for a 422 by the parameters that it names. By default the number is at fault.

    `invalid_parameters` is a list in the documentation, but one object in the fixtures of Vonage's
    own SDKs.
    """
    blamed = refused.problem.get("invalid_parameters")
    items = blamed if isinstance(blamed, list) else [blamed]
    names = {str(item.get("name")) for item in items if isinstance(item, dict)}
    lasts = {name.rpartition(".")[2] for name in names}  # `workflow.0.to`
    if lasts and lasts <= _OF_THE_CHANNEL:
        return rejected(Refusal.CHANNEL, _SENDER)
    if not names or not names <= _SETTINGS | _OF_THE_LANGUAGE:
        return rejected(Refusal.NUMBER)
    if "template_id" in names:  # no such template, or it has no fragment in this language
        return language(rejected(Refusal.CHANNEL, _TEMPLATE))
    if "locale" in names:
        return language(setting("set OTP_LOCALE to a language that Vonage supports"))
    return setting(f"check the settings behind {', '.join(sorted(names))}")


START = ErrorTable(
    "vonage.start",
    {
        **_ANY,
        (403, "forbidden"): rejected(Refusal.CHANNEL, _TEMPLATE),  # only texts have a template
        (NOT_FOUND, "template-not-found"): rejected(Refusal.CHANNEL, _TEMPLATE),
        (NOT_FOUND, "template-fragment-not-found"): language(rejected(Refusal.CHANNEL, _FRAGMENT)),
        NOT_FOUND: language(setting(_ADDRESS)),  # or the template, or one of its languages
        CONFLICT: ErrorFactory(_running),
        412: rejected(Refusal.NUMBER),  # the number's network is not supported
        422: _invalid_parameters,
    },
    unlisted=rejected(Refusal.CHANNEL),
)

NEXT = ErrorTable("vonage.next", _ANY, unlisted=rejected(Refusal.CHANNEL))
NO_NEXT = frozenset({NOT_FOUND, CONFLICT})  # over, no further step, or not possible at the moment

CHECK_OUTCOMES: Mapping[Hashable, CheckOutcome] = {
    (400, "invalid-code"): CheckOutcome.MISMATCH,
    NOT_FOUND: CheckOutcome.EXPIRED,  # already verified, over or unknown
    410: CheckOutcome.EXHAUSTED,
}
CHECK = ErrorTable(
    "vonage.check",
    {
        **_ANY,
        403: ACCOUNT,  # a check has no channel and no template
        CONFLICT: UNCLEAR,  # this step takes no code, or takes none at the moment
    },
    unlisted=UNCLEAR,
)

CANCEL = ErrorTable(
    "vonage.cancel",
    {
        **_ANY,
        NOT_FOUND: rejected(Refusal.CHANNEL),  # too early, see `CancelWindow`
        CONFLICT: rejected(Refusal.CHANNEL),
    },
)

NUMBER_LOOKUP = ErrorTable("vonage.look", {**_ANY, 403: ACCOUNT, NOT_FOUND: setting(_ADDRESS)})
