"""Adapter for Vonage Verify v2: https://developer.vonage.com/en/api/verify.v2."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import structlog
from jwt import PyJWTError
from pydantic import ValidationError
from vonage_utils.errors import VonageError

from otp_app.config.values import revealed
from otp_app.errors import (
    LanguageRefused,
    NumberBusy,
    ProviderMisconfigured,
    ProviderNotReached,
    ProviderRejected,
    ProviderTimedOut,
    Refusal,
    ResendTimedOut,
)
from otp_app.providers.error_tables import RefusedLanguages
from otp_app.providers.transport import IN_FLIGHT, TIMEOUTS, Bulkhead, HttpClient, Timeouts
from otp_app.providers.vendor_input import VendorError
from otp_app.providers.vonage.client import VonageApi, make_auth
from otp_app.providers.vonage.requests import (
    CANCEL,
    CHECK,
    CHECK_OUTCOMES,
    CODE_LENGTH,
    NEXT,
    NO_NEXT,
    NOT_FOUND,
    START,
    Request,
    Workflows,
    request_template,
    require_request_id,
)
from otp_app.verification.models import Channel, CheckOutcome, Reference, SecondStart

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from otp_app.config import (
        Settings,
    )
    from otp_app.phone import PhoneNumber
    from otp_app.providers.error_tables import LanguagesOf
    from otp_app.verification.ports import Provider

OPENS_AFTER = 30.0  # seconds


class CancelWindow:
    """Remembers the requests of the last 30 seconds.

    "Cancellation is only possible 30 seconds after the start of the verification request and before
    the second event", says https://developer.vonage.com/en/api/verify.v2#cancelRequest. The only
    documented error is 404, which also means that a request is over. If the app took a running
    request for finished, Vonage would go on to its next step: a call that nobody asked for.
    """

    def __init__(self) -> None:
        self._started: dict[Reference, float] = {}

    def started(self, reference: Reference) -> None:
        """Remember a new request, and forget those whose window is open."""
        now = time.monotonic()
        recent = {ref: at for ref, at in self._started.items() if now - at < OPENS_AFTER}
        self._started = {**recent, reference: now}

    def is_open(self, reference: Reference) -> bool:
        """Whether Vonage accepts a cancel, so that "not found" means that the request is over."""
        at = self._started.get(reference)
        return at is None or time.monotonic() - at >= OPENS_AFTER


P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)


class VonageProvider:
    """The Verify API by the models and credentials of the official SDK.

    A number has one request at a time: a workflow of steps, each with its own code.
    """

    name = "vonage"
    code_length = CODE_LENGTH
    second_start = SecondStart.REFUSED  # with a 409, "concurrent"
    max_attempts = 3  # "The PIN code can be retried a maximum of three times", says the API's page

    def __init__(
        self,
        brand: str,
        base_url: str,
        locale: str,
        *,
        api_key: str | None = None,
        api_secret: str | None = None,
        application_id: str | None = None,
        private_key: str | None = None,
        whatsapp_from: str | None = None,
        template_id: str | None = None,
        calls: bool = True,
        languages: LanguagesOf = RefusedLanguages,
        timeouts: Timeouts = TIMEOUTS,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self._brand = brand
        self._sender = whatsapp_from
        self._template_id = template_id
        self._calls = calls
        self._base_url = base_url
        self._locale = locale
        self._languages_of = languages
        self._auth = partial(make_auth, api_key, api_secret, application_id, private_key)
        self._deadlines = timeouts
        self._sends = Bulkhead(in_flight, timeouts.send)
        self._checks = Bulkhead(in_flight, timeouts.check)
        self._cancel_window = CancelWindow()

    async def open(self) -> None:
        """Check the settings, without a request to Vonage, because each one has a price.

        Raises:
            ProviderMisconfigured: the settings cannot be used.
        """
        try:
            auth = self._auth()
            template = request_template(self._brand, self._locale)
        except (VonageError, PyJWTError, ValueError, OSError) as exc:
            log.warning("vonage.settings_rejected", why=type(exc).__name__)
            raise ProviderMisconfigured from exc
        self._languages = self._languages_of(self.name, template.locale)
        self._workflows = Workflows(
            template, self._languages, self._sender, self._template_id, calls=self._calls
        )
        self._http = HttpClient(self._base_url, self._deadlines.connect)
        self._api = VonageApi(auth, self._http)

    async def aclose(self) -> None:
        """Close the connections. Later calls are refused."""
        self._sends.close()
        self._checks.close()
        await self._http.close()

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        """Start a request with one message or call, or with a text that a call may follow."""
        request = self._workflows.request(to, channel, language)
        return await self._start(request, channel, _after(self._deadlines.send))

    async def resend(
        self, reference: Reference, to: PhoneNumber, channel: Channel, language: str = ""
    ) -> Reference:
        """Take the request's next step if it is a call, else replace the request by a new one."""
        until = _after(self._deadlines.send)
        if channel is Channel.VOICE and await self._next(reference, until):
            return reference
        request = self._workflows.request(to, channel, language)
        try:
            await self._cancel(reference, self._sends, until)
        except ProviderTimedOut as exc:  # a cancel sends nothing, whatever its outcome
            raise ProviderNotReached(for_everybody=exc.for_everybody) from exc
        try:
            return await self._start(request, channel, until)
        except ProviderTimedOut as exc:
            raise ResendTimedOut(for_everybody=exc.for_everybody) from exc
        except NumberBusy as exc:
            if exc.reference == reference:  # too late to cancel the old request
                raise ProviderRejected(Refusal.CHANNEL) from exc
            raise

    async def check(
        self,
        reference: Reference,
        to: PhoneNumber,  # noqa: ARG002 - a request has one number
        code: str,
    ) -> CheckOutcome:
        """Check *code*. Only the status "completed" of exactly this request approves."""
        until = _after(self._deadlines.check)
        request_id = require_request_id(reference)
        try:
            answer = await self._call(self._checks, until, self._api.check, request_id, code)
        except VendorError as refused:
            if outcome := refused.find(CHECK_OUTCOMES):
                return outcome
            raise CHECK.error(refused) from refused
        if (answer.request_id, answer.status) != (reference, "completed"):
            raise ProviderTimedOut(for_everybody=False)
        return CheckOutcome.APPROVED

    async def cancel(self, reference: Reference) -> None:
        """Cancel the request. One that Vonage does not know any more is already over."""
        await self._cancel(reference, self._checks, _after(self._deadlines.check))

    async def _start(self, request: Request, channel: Channel, until: float) -> Reference:
        try:
            answer = await self._call(self._sends, until, self._api.start, request)
        except VendorError as refused:
            can_fall_back = request.locale != self._languages.fallback
            error = START.error(refused, can_fall_back=can_fall_back)
            if isinstance(error, LanguageRefused):
                self._languages.refuse(channel, request.locale)
            raise error from refused
        reference = require_request_id(answer.request_id)
        self._cancel_window.started(reference)
        return reference

    async def _next(self, reference: Reference, until: float) -> bool:
        """Take the next step of the workflow. Return whether there was one."""
        request_id = require_request_id(reference)
        try:
            await self._call(self._sends, until, self._api.next_step, request_id)
        except VendorError as refused:
            if refused.status in NO_NEXT:
                return False
            raise NEXT.error(refused) from refused
        return True

    async def _cancel(self, reference: Reference, bulkhead: Bulkhead, until: float) -> None:
        request_id = require_request_id(reference)
        try:
            await self._call(bulkhead, until, self._api.cancel, request_id)
        except VendorError as refused:
            if refused.status == NOT_FOUND and self._cancel_window.is_open(reference):
                return
            raise CANCEL.error(refused) from refused

    async def _call(
        self,
        bulkhead: Bulkhead,
        until: float,
        call: Callable[P, Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        async with bulkhead.enter(until):
            try:
                return await call(*args, **kwargs)
            except ValidationError as exc:  # an empty 2xx, or one without the expected fields
                raise ProviderTimedOut from exc


def _after(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def from_settings(settings: Settings, languages: LanguagesOf) -> Provider:
    """The provider that *settings* describe."""
    return VonageProvider(
        brand=settings.vonage_brand_name,
        base_url=settings.vonage_base_url,
        locale=settings.otp_locale,
        api_key=settings.vonage_api_key,
        api_secret=revealed(settings.vonage_api_secret),
        application_id=settings.vonage_application_id,
        private_key=revealed(settings.vonage_private_key),
        whatsapp_from=settings.vonage_whatsapp_from,
        template_id=settings.vonage_template_id,
        languages=languages,
        calls=Channel.VOICE in settings.channel_list,
    )
