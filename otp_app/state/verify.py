"""The state of the verification pages: the vars that they show, and their event handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator  # noqa: TC003 - Reflex evaluates annotations
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, TypedDict

import reflex as rx
import structlog
from reflex.event import EventSpec  # noqa: TC002 - Reflex evaluates annotations

from otp_app import i18n, routes, services
from otp_app.addresses import address_key
from otp_app.errors import (
    AlreadyVerified,
    AttemptsExhausted,
    InputError,
    OtpError,
    ResendTooSoon,
    StoreUnavailable,
    VerificationExpired,
)
from otp_app.i18n.en import CHANNELS, OTHER_CHANNELS
from otp_app.i18n.marks import _
from otp_app.phone import PhoneNumber, named_country
from otp_app.preferences import Preferences
from otp_app.verification.inputs import parse_channel
from otp_app.verification.models import Channel, Status, Verification

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from datetime import datetime, tzinfo

    from otp_app.i18n.languages import Language
    from otp_app.verification.limits import Client
    from otp_app.verification.models import Flow


log = structlog.get_logger(__name__)


class Step(StrEnum):
    """The step of the flow that the pages show."""

    PHONE = "phone"
    CODE = "code"
    EXPIRED = "expired"
    LOCKED = "locked"
    VERIFIED = "verified"  # about to be exchanged for a session


_TOLD_BY: dict[type[OtpError], Step] = {  # the page of that step explains the error
    AlreadyVerified: Step.VERIFIED,
    AttemptsExhausted: Step.LOCKED,
    VerificationExpired: Step.EXPIRED,
}

_SENT_AGAIN = {
    Channel.SMS: _("We sent a new code by text message to the number ending {ending}"),
    Channel.VOICE: _("We are calling the number ending {ending}"),
    Channel.WHATSAPP: _("We sent a new code by WhatsApp to the number ending {ending}"),
}

PROBLEM_ID = "problem"  # the error summary, which takes the focus
PHONE_ID = "phone"
PREVIEW_ID = "preview"
CODE_ID = "code"
RESEND_ID = "resend"


_PROMISES = {
    Channel.SMS: _("We will text {number}"),
    Channel.VOICE: _("We will call {number}"),
    Channel.WHATSAPP: _("We will send a WhatsApp message to {number}"),
}


class PhoneForm(TypedDict):
    """The phone page's fields."""

    country: str
    phone: str
    channel: str


class PreviewForm(PhoneForm):
    """The phone form during typing, with a request id so that stale replies are dropped."""

    turn: str


class CodeForm(TypedDict):
    """The code page's field."""

    code: str


class VerifyState(rx.State):
    """A copy of the flow's verification for the pages. All decisions are the service's.

    Vars without `_` are sent to the browser.
    """

    step: str = Step.PHONE.value
    error: str = ""
    error_on: str = ""  # the id of the field with the error
    notice: str = ""
    early: bool = False  # whether the notice repeats the countdown: then for screen readers only
    answered: int = 0  # server time (ms) of the last reply; a change re-enables the buttons
    ending: str = ""
    channel: str = Channel.SMS.value  # the channel of the last message
    channels: list[str] = [*map(str, Channel)]  # noqa: RUF012 - the channels that reach the number
    expires: str = ""
    expires_at: int = 0  # server time, ms since 1970
    zone: str = ""  # the name of the time zone of all times shown
    code_length: int = 6
    proof: str = ""  # only in the tab that entered the right code; `/finish` exchanges it
    proved: str = ""  # the last digits of the number of this browser's session
    resend_at: int = 0  # server time, ms since 1970
    clock: int = 0  # server time, ms since 1970
    delivery: str = ""  # the delivery report of the last message, as text
    awaits_delivery: bool = False  # whether the page polls for delivery reports
    failed: bool = False  # whether the last message is known not to have arrived

    _request_id: str = ""  # our id of the verification; the provider's id stays in the store
    _wants_phone: bool = False  # whether this tab chose to go to the phone page
    _spoken: str = ""  # the language of the texts in this state
    _flow: str | None = None  # the flow that this state belongs to

    def _bind(self) -> None:
        """Reset everything if the flow has changed, and the messages if the language has."""
        flow = self._known_flow() or ""
        if self._flow not in (None, flow):
            self.reset()  # type: ignore[no-untyped-call]
        self._flow = flow
        spoken = self._language().tag
        if spoken != self._spoken:
            self._begin()  # the messages are in the old language
            self._spoken = spoken

    @rx.event
    async def show_phone(self) -> EventSpec | None:
        """Fill the phone page, or redirect a tab that did not choose it to the flow's page."""
        stays = bool(self._request_id) or self._wants_phone
        await self._restore()
        self._leave(CODE_ID, RESEND_ID)
        if stays or self._page() == routes.PHONE:
            return None
        return rx.redirect(self._page(), replace=True)

    @rx.event
    async def show_code(self) -> EventSpec | None:
        """Fill the code page, or redirect if there is no code to enter."""
        await self._restore()
        self._leave(PHONE_ID)
        return None if self._page() == routes.CODE else rx.redirect(self._page(), replace=True)

    @rx.event
    async def show_verified(self) -> EventSpec | None:
        """Fill the success page, or redirect a browser without a session."""
        await self._restore()
        self._wants_phone = False
        return None if self.proved else rx.redirect(self._page(), replace=True)

    @rx.event
    async def request_code(self, form: PhoneForm) -> AsyncIterator[EventSpec | None]:
        """Send a code to the number in the form."""
        self._begin()  # the page shows by itself that it waits
        yield _previewed(form)
        yield await self._show(self._start(form), PHONE_ID)

    @rx.event(temporal=True)  # an old preview is not repeated after a reconnect
    def preview_number(self, form: PreviewForm) -> EventSpec:
        """Show the number that a code would go to, if the form has a whole number.

        Nothing is stored, and no provider is called.
        """
        return _previewed(form, text=self._promise(form), turn=_text(form, "turn"))

    @rx.event
    async def check_code(self, form: CodeForm) -> AsyncIterator[EventSpec | None]:
        """Check the code in the form."""
        self._begin()
        yield None
        yield await self._show(self._check(form), CODE_ID)

    @rx.event
    async def send_again(self) -> AsyncIterator[EventSpec | None]:
        """Send a new code to the same number by the same channel."""
        self._begin()
        yield None
        yield await self._show(self._resend(), RESEND_ID)

    @rx.event
    async def text_me(self) -> AsyncIterator[EventSpec | None]:
        """Send a new code to the same number by text message."""
        self._begin()
        yield None
        yield await self._show(self._resend(Channel.SMS), RESEND_ID)

    @rx.event
    async def whatsapp_me(self) -> AsyncIterator[EventSpec | None]:
        """Send a new code to the same number by WhatsApp."""
        self._begin()
        yield None
        yield await self._show(self._resend(Channel.WHATSAPP), RESEND_ID)

    @rx.event
    async def call_me(self) -> AsyncIterator[EventSpec | None]:
        """Send a new code to the same number by a voice call."""
        self._begin()
        yield None
        yield await self._show(self._resend(Channel.VOICE), RESEND_ID)

    @rx.event(temporal=True)  # an old poll is not repeated after a reconnect
    async def show_delivery(self) -> None:
        """Show the delivery report of the last message. No provider is called."""
        flow = self._known_flow()
        with suppress(StoreUnavailable):  # the next poll tries again
            current = await services.current().verifications.current(flow) if flow else None
            await self._mirror_delivery(current)

    @rx.event(temporal=True)
    def tell_time(self) -> None:
        """Send the server's time to a page whose own clock was set or stood still."""
        self.clock = _milliseconds(_now())

    @rx.event
    def change_number(self) -> EventSpec:
        """Go back to the phone page. The code stays valid until a code goes to another number."""
        self._begin()
        return rx.redirect(routes.PHONE)

    @rx.event
    async def start_again(self) -> EventSpec:
        """Cancel this verification and go to the phone page."""
        self._begin()
        self._wants_phone = True
        if flow := self._known_flow():
            await services.current().verifications.cancel(flow)
        return rx.redirect(routes.PHONE)

    async def _start(self, form: PhoneForm) -> Verification:
        phone, channel = _wanted(form)
        verifications = services.current().verifications
        return await verifications.start(await self._client(), phone, channel)

    def _promise(self, form: object) -> str:
        """Return the sentence with channel and number of the code, or "" if none can be sent."""
        try:
            phone, chosen = _wanted(form)
        except InputError:
            return ""
        verifications = services.current().verifications
        channel = chosen or verifications.first_to(phone)
        if not verifications.can_reach(phone, channel):
            return ""
        return self._say(_PROMISES[channel], number=self._language().left_to_right(phone.written))

    async def _check(self, form: CodeForm) -> Verification:
        client, id_ = await self._asked()
        here = services.current()
        approved = await here.verifications.check(client, id_, _text(form, "code"))
        self.proof = here.proofs.issue(client.flow, approved.id)  # no other tab gets it
        return approved

    async def _resend(self, channel: Channel | None = None) -> Verification:
        client, id_ = await self._asked()
        sent = await services.current().verifications.resend(client, id_, channel)
        self.notice = self._language().say(_SENT_AGAIN[sent.channel], ending=sent.phone.ending)
        return sent

    async def _show(self, action: Awaitable[Verification], field: str) -> EventSpec | None:
        """Await *action* and go to the page of the result, or show the error at *field*."""
        try:
            verification = await action
            self._mirror(verification)
            await self._mirror_delivery(verification)
        except OtpError as exc:
            log.info("event.answered", outcome=exc.code)
            return await self._explain(exc, field)
        finally:
            self._settle()
        log.info("event.answered", outcome="ok")
        is_there = field != PHONE_ID and self._page() == routes.CODE
        return None if is_there else rx.redirect(self._page())

    async def _explain(self, error: OtpError, field: str) -> EventSpec | None:
        """Show *error* where the person can correct it, and the present state of the flow."""
        if not isinstance(error, StoreUnavailable):
            await self._restore()
        text = self._words(error, OTHER_CHANNELS if field == RESEND_ID else CHANNELS)
        if field == RESEND_ID and isinstance(error, (ResendTooSoon, AttemptsExhausted)):
            # The person made no mistake, so the text is a notice.
            self.notice, self.early = text, self.step == Step.CODE
            return None
        if _TOLD_BY.get(type(error)) == self.step:
            return rx.redirect(self._page())
        belongs_here = field == PHONE_ID or self._page() == routes.CODE
        self.error, self.error_on = text, field if belongs_here else PHONE_ID
        return rx.set_focus(PROBLEM_ID) if belongs_here else rx.redirect(routes.PHONE)

    async def _restore(self) -> None:
        """Read the flow's verification from the store. No provider is called."""
        self._settle()
        here, flow = services.current(), self._known_flow()
        current = await here.verifications.current(flow) if flow else None
        self._mirror(current)
        await self._mirror_delivery(current)
        session = await here.session(self.router.headers.cookie)
        self.proved = session.phone.ending if session else ""

    def _mirror(self, verification: Verification | None) -> None:
        self.step = _step(verification).value
        self.clock = _milliseconds(_now())
        if verification is None or verification.id != self._request_id:
            self.proof = ""
        if verification is None:
            self._request_id = ""
            return
        self._request_id = verification.id
        self.ending = verification.phone.ending
        self.channel = verification.channel.value
        self.expires = i18n.clock(verification.expires_at, self._language(), self._zone())
        self.expires_at = _milliseconds(verification.expires_at)
        self.zone = i18n.zone_name(verification.expires_at, self._language(), self._zone())
        self.resend_at = _milliseconds(verification.resend_at)
        verifications = services.current().verifications
        self.channels = [*map(str, verifications.channels_to(verification.phone))]
        self.code_length = verifications.code_length(verification)

    async def _mirror_delivery(self, verification: Verification | None) -> None:
        """Copy the delivery report of the message whose code this tab waits for."""
        if not verification or verification.id != self._request_id or self.step != Step.CODE:
            self.delivery, self.awaits_delivery, self.failed = "", False, False
            return
        deliveries, report = services.current().deliveries, None
        with suppress(StoreUnavailable):  # the next poll can read the report
            report = await deliveries.of(verification)
        channels = services.current().verifications.channels_to(verification.phone)
        language, zone = self._language(), self._zone()
        self.delivery = i18n.delivery(report, channels, language, zone) if report else ""
        self.awaits_delivery = deliveries.awaits(verification, report)
        self.failed = report is not None and report.status.is_failure

    def _settle(self) -> None:
        self.answered = _milliseconds(_now())

    def _begin(self) -> None:
        self.error, self.error_on, self.notice, self.early = "", "", "", False

    def _leave(self, *fields: str) -> None:
        """Remove an error on one of *fields*, which are on another page."""
        if self.error_on in fields:
            self._begin()

    def _page(self) -> str:
        if self.step != Step.PHONE:
            return routes.CODE
        return routes.VERIFIED if self.proved and not self._wants_phone else routes.PHONE

    async def _asked(self) -> tuple[Client, str]:
        """Return the client of this event, and the id of the verification that the tab shows."""
        if not self._request_id:  # the tab's state was lost, but not the cookie
            await self._restore()
        return await self._client(), self._request_id

    async def _client(self) -> Client:
        cookies, address = self.router.headers.cookie, address_key(self.router.session.client_ip)
        return await services.current().client(cookies, address, self._language().tag)

    def _known_flow(self) -> Flow | None:
        return services.current().flows.read(self.router.headers.cookie)

    def _zone(self) -> tzinfo:
        return self._preferences().zone

    def _words(self, error: OtpError, labels: Mapping[Channel, str]) -> str:
        """Return the message for *error*, on a page whose channel buttons have *labels*."""
        return i18n.message(
            error, language=self._language(), zone=self._zone(), now=_now(), labels=labels
        )

    def _say(self, english: str, **values: str) -> str:
        return self._language().say(english, **values)

    def _language(self) -> Language:
        """Return the language of the page."""
        return self._preferences().language

    def _preferences(self) -> Preferences:
        headers = self.router.headers
        return Preferences(headers.cookie, headers.accept_language)


def _step(verification: Verification | None) -> Step:
    now = _now()
    match verification and verification.status:
        case Status.APPROVED:
            return Step.VERIFIED
        case Status.EXHAUSTED if verification and verification.is_locked(now):
            return Step.LOCKED
        case Status.EXPIRED:
            return Step.EXPIRED
        case Status.PENDING | Status.UNKNOWN if verification and verification.reference:
            return Step.CODE if verification.is_open(now) else Step.EXPIRED
        case _:
            return Step.PHONE


def _wanted(form: object) -> tuple[PhoneNumber, Channel | None]:
    """Return the number in the phone page's *form* and the channel, None for the first.

    Raises:
        InputError: the number or the channel is not valid.
    """
    phone = PhoneNumber.parse(_text(form, "phone"), _text(form, "country"))
    return phone, parse_channel(_text(form, "channel"), services.current().verifications.channels)


def _text(form: object, name: str) -> str:
    """Return the field *name*. A socket can send any JSON; a value that is no text becomes ""."""
    value = form.get(name) if isinstance(form, dict) else None
    return value if isinstance(value, str) else ""


def _previewed(form: object, **shown: str) -> EventSpec:
    """Return the event that sets the country of the number in the form.

    A var would not do: it would be kept in the state.
    """
    country = named_country(_text(form, "phone"), _text(form, "country"))
    return rx.set_value(PREVIEW_ID, {"country": country, **shown})


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _now() -> datetime:
    return services.current().verifications.now()
