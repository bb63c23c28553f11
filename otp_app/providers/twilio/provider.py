"""Adapter for Twilio Verify v2: https://www.twilio.com/docs/verify/api."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from otp_app.config import (
    ProviderName,
    Settings,
)
from otp_app.config.values import revealed
from otp_app.errors import (
    LanguageRefused,
    ProviderError,
    ProviderMisconfigured,
    ProviderTimedOut,
)
from otp_app.providers.error_tables import RefusedLanguages
from otp_app.providers.transport import IN_FLIGHT, TIMEOUTS, Bulkhead, HttpClient, Timeouts
from otp_app.providers.twilio.client import (
    CANCEL,
    CHECK,
    CHECK_OUTCOMES,
    CHECK_STATUSES,
    NOT_FOUND,
    SERVICE,
    START,
    TwilioTransport,
    make_client,
)
from otp_app.providers.vendor_input import VendorError
from otp_app.verification.models import Channel, CheckOutcome, Reference, SecondStart

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from otp_app.errors import OtpError
    from otp_app.phone import PhoneNumber
    from otp_app.providers.error_tables import LanguagesOf
    from otp_app.verification.ports import Provider

T = TypeVar("T")

MIN_CODE_LENGTH = 6  # digits; NIST SP 800-63B-4 section 3.1.3.2

_SID = re.compile("VE[0-9a-fA-F]{32}")
_SERVICE_SID = re.compile("VA[0-9a-fA-F]{32}")
_REGIONAL = {"en-GB", "pt-BR", "zh-CN", "zh-HK"}
"""The tags with a region that Twilio lists. Any other gets a 404, even `en-US`: Twilio lists `en`.
https://www.twilio.com/docs/verify/supported-languages"""
_LANGUAGES = {
    "af", "ar", "ca", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "he", "hi", "hr", "hu",
    "id", "it", "ja", "kn", "ko", "lt", "ms", "mr", "nb", "nl", "pl", "pt", "ro", "ru", "sk", "sv",
    "te", "th", "tl", "tr", "uk", "vi", "zh",
}  # fmt: skip
"""The tags without a region that Twilio lists. `zh` is Simplified Chinese.
https://www.twilio.com/docs/verify/supported-languages"""
_CHANNELS = {Channel.SMS: "sms", Channel.VOICE: "call", Channel.WHATSAPP: "whatsapp"}

log = structlog.get_logger(__name__)


class TwilioProvider:
    """The Verify API by the SDK's own asynchronous client, on a bounded transport.

    A verification keeps its SID, its code and its lifetime of ten minutes when it is sent again.
    """

    name = "twilio"
    max_attempts = 5  # https://www.twilio.com/docs/verify/api/rate-limits-and-timeouts
    second_start = SecondStart.SAME_CODE  # the pending verification, even another client's

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        service_sid: str,
        base_url: str,
        locale: str,
        *,
        template_sid: str | None = None,
        by_whatsapp: bool = False,
        languages: LanguagesOf = RefusedLanguages,
        timeouts: Timeouts = TIMEOUTS,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self.code_length = MIN_CODE_LENGTH
        self._credentials = account_sid, auth_token
        self._service_sid = service_sid
        self._base_url = base_url
        self._locale = _twilios(locale)
        self._languages = languages(self.name, self._locale)
        self._by_whatsapp = by_whatsapp
        # Only texts take a template. A call with one is an error:
        # https://www.twilio.com/docs/api/errors/60408
        self._template = {"template_sid": template_sid} if template_sid else {}
        self._deadlines = timeouts
        self._in_flight = in_flight
        self._sends = Bulkhead(in_flight, timeouts.send)
        self._checks = Bulkhead(in_flight, timeouts.check)

    async def open(self) -> None:
        """Connect the SDK to this event loop, and check that the Verify Service fits the settings.

        Raises:
            ProviderMisconfigured: the Verify Service or the credentials do not fit.
        """
        if not _SERVICE_SID.fullmatch(self._service_sid):
            raise ProviderMisconfigured
        self._http = HttpClient(self._base_url, self._deadlines.connect)
        transport = TwilioTransport(self._base_url, self._http)
        client = make_client(*self._credentials, transport)
        client.verify.base_url = self._base_url
        self._service: Any = client.verify.v2.services(self._service_sid)
        try:
            await self._read_service()
        except ProviderMisconfigured:
            await self.aclose()
            raise
        except ProviderError as exc:
            log.warning("twilio.service_check_skipped", why=exc.code, code_length=self.code_length)

    async def aclose(self) -> None:
        """Close the connections. Later calls are refused."""
        self._sends.close()
        self._checks.close()
        await self._http.close()

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        """Create a verification. While one is pending, Twilio sends its code again instead."""
        locale = self._languages.usable(channel, self._locale_for(language))
        fields = {
            "to": to.e164,
            "channel": _CHANNELS[channel],
            "locale": locale,
        } | (self._template if channel is Channel.SMS else {})
        try:
            create = self._service.verifications.create_async
            answer = await self._call(self._sends, create, **fields)
        except VendorError as refused:
            raise self._refusal(refused, channel, locale) from refused
        sid = _require_sid(answer.sid)
        if answer.to != to.e164 or answer.status != "pending":
            raise ProviderTimedOut(for_everybody=False)  # the response does not fit the request
        return sid

    async def resend(
        self,
        reference: Reference,  # noqa: ARG002 - Twilio finds the verification by the number
        to: PhoneNumber,
        channel: Channel,
        language: str = "",
    ) -> Reference:
        """Create the verification again: Twilio sends the same one, on any channel."""
        return await self.start(to, channel, language)

    async def check(self, reference: Reference, to: PhoneNumber, code: str) -> CheckOutcome:
        """Check *code*. Only the status "approved" of this verification and number approves."""
        create = self._service.verification_checks.create_async
        try:
            answer = await self._call(
                self._checks, create, verification_sid=_require_sid(reference), code=code
            )
        except VendorError as refused:
            if outcome := refused.find(CHECK_OUTCOMES):
                return outcome
            raise CHECK.error(refused) from refused
        if (_require_sid(answer.sid), answer.to) != (reference, to.e164):
            raise ProviderTimedOut(for_everybody=False)
        return _outcome(answer.status)

    async def cancel(self, reference: Reference) -> None:
        """Cancel the verification. One that Twilio does not know any more is already over."""
        verification = self._service.verifications(_require_sid(reference))
        try:
            answer = await self._call(self._checks, verification.update_async, status="canceled")
        except VendorError as refused:
            if NOT_FOUND in refused.codes:
                return
            raise CANCEL.error(refused) from refused
        if (answer.sid, answer.status) != (reference, "canceled"):
            raise ProviderTimedOut

    async def _read_service(self) -> None:
        """Read the code length from the Verify Service, which sets it for all verifications.

        Also check that the Service has a WhatsApp sender if WhatsApp is offered. The sender has to
        be the customer's own: https://www.twilio.com/docs/api/errors/68008
        """
        try:
            service = await self._call(self._checks, self._service.fetch_async)
        except VendorError as refused:
            raise SERVICE.error(refused) from refused
        if not isinstance(service.code_length, int):
            raise ProviderTimedOut
        if service.code_length < MIN_CODE_LENGTH:
            log.error("twilio.code_length_rejected", code_length=service.code_length)
            raise ProviderMisconfigured
        if self._by_whatsapp and not has_whatsapp_sender(service.whatsapp):
            log.error("twilio.whatsapp_sender_missing")
            raise ProviderMisconfigured
        self.code_length = service.code_length

    def _refusal(self, refused: VendorError, channel: Channel, locale: str) -> OtpError:
        """Return the error for a refused start, and remember a refused language."""
        error = START.error(refused, can_fall_back=locale != self._locale)
        if isinstance(error, LanguageRefused):
            self._languages.refuse(channel, locale)
        return error

    def _locale_for(self, language: str) -> str:
        """Return Twilio's locale for *language*, or the operator's locale if it is as near."""
        locale = _twilios(language)
        is_as_near = locale not in _REGIONAL and locale == self._locale.partition("-")[0]
        return locale if locale in _REGIONAL | _LANGUAGES and not is_as_near else self._locale

    async def _call(
        self, bulkhead: Bulkhead, call: Callable[..., Awaitable[T]], **fields: str
    ) -> T:
        async with bulkhead.enter():
            try:
                return await call(**fields)
            except ValueError as exc:  # the SDK reads an empty 2xx as broken JSON
                raise ProviderTimedOut from exc


def _twilios(tag: str) -> str:
    """Return Twilio's tag for a BCP 47 tag: with its region only if Twilio lists that region."""
    return tag if tag in _REGIONAL else tag.partition("-")[0]


def has_whatsapp_sender(whatsapp: object) -> bool:
    """Whether the field `whatsapp` of a Verify Service names a sender."""
    return isinstance(whatsapp, dict) and bool(whatsapp.get("msg_service_sid"))


def _require_sid(sid: object) -> Reference:
    """Require the form of a SID, because the SDK puts SIDs into paths without escaping them."""
    if not isinstance(sid, str) or not _SID.fullmatch(sid):
        raise ProviderTimedOut
    return Reference(sid)


def _outcome(status: object) -> CheckOutcome:
    outcome = CHECK_STATUSES.get(status) if isinstance(status, str) else None
    if outcome is None:
        raise ProviderTimedOut(for_everybody=False)
    return outcome


def from_settings(settings: Settings, languages: LanguagesOf) -> Provider:
    """The provider that *settings* describe."""
    is_sender = settings.provider is ProviderName.TWILIO
    return TwilioProvider(
        account_sid=settings.twilio_account_sid or "",
        auth_token=revealed(settings.twilio_auth_token) or "",
        service_sid=settings.twilio_verify_service_sid or "",
        base_url=settings.twilio_base_url,
        locale=settings.otp_locale,
        template_sid=settings.twilio_template_sid,
        languages=languages,
        by_whatsapp=is_sender and Channel.WHATSAPP in settings.channel_list,
    )
