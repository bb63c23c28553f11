"""The state of the verification pages: the vars that they show, and their event handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator  # noqa: TC003 - Reflex evaluates annotations
from contextlib import suppress
from typing import TYPE_CHECKING

import reflex as rx
import structlog

from otp_app import routes, services
from otp_app.errors import AttemptsExhausted, OtpError, Overloaded, ResendTooSoon, StoreUnavailable
from otp_app.presentation.code_page import CodePage, Step
from otp_app.reflex_compat import EventSpec, Middleware
from otp_app.state import (
    CODE_ID,
    PHONE_ID,
    PROBLEM_ID,
    RESEND_ID,
    Form,
    RequestMixin,
    field_text,
    milliseconds,
    parse_channel_field,
    parse_phone_form,
    server_time,
    set_preview,
)
from otp_app.verification.limits import Action
from otp_app.verification.models import Channel, Verification

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from otp_app.reflex_compat import App, BaseState, Event
    from otp_app.verification.client import Client

log = structlog.get_logger(__name__)


class VerifyState(RequestMixin, rx.State):
    """A copy of the flow's verification for the pages. All decisions are the service's.

    Vars without `_` are sent to the browser.
    """

    step: str = Step.PHONE.value
    error: str = ""
    error_on: str = ""  # the id of the field with the error, or the field that a refusal is about
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
    async def request_code(self, form: Form) -> AsyncIterator[EventSpec | None]:
        """Send a code to the number in *form*: its fields are `country`, `phone` and `channel`."""
        self._begin()  # the page shows by itself that it waits
        yield set_preview(form)
        yield await self._show(self._start(form), PHONE_ID)

    @rx.event(temporal=True)  # an old preview is not repeated after a reconnect
    def preview_number(self, form: Form) -> EventSpec:
        """Show the number that a code would go to, if *form* has a whole number.

        Nothing is stored, and no provider is called. A further field `turn` numbers the request, so
        that the page drops stale responses.
        """
        return set_preview(form, text=self._promise(form), turn=field_text(form, "turn"))

    @rx.event
    async def check_code(self, form: Form) -> AsyncIterator[EventSpec | None]:
        """Check the `code` in *form*."""
        self._begin()
        yield None
        yield await self._show(self._check(form), CODE_ID)

    @rx.event
    async def resend(self, form: Form) -> AsyncIterator[EventSpec | None]:
        """Send a new code to the same number, by the `channel` in *form* or else as before."""
        self._begin()
        yield None
        yield await self._show(self._resend(form), RESEND_ID)

    @rx.event(temporal=True)  # an old poll is not repeated after a reconnect
    async def show_delivery(self) -> None:
        """Show the delivery report of the last message. No provider is called."""
        flow = self._known_flow()
        with suppress(StoreUnavailable):  # the next poll tries again
            current = await services.current().verifications.current(flow) if flow else None
            await self._mirror_delivery(current)

    @rx.event(temporal=True)
    def sync_clock(self) -> None:
        """Send the server's time to a page whose own clock was set or stood still."""
        self.clock = milliseconds(server_time())

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

    async def _start(self, form: Form) -> Verification:
        verifications, gate = services.current().verifications, services.current().gate
        with gate.admit(Action.SEND):
            phone, channel = parse_phone_form(form)
            return await verifications.start(await self._client(), phone, channel)

    async def _check(self, form: Form) -> Verification:
        here = services.current()
        with here.gate.admit(Action.CHECK):
            client, id_ = await self._client_and_id()
            approved = await here.verifications.check(client, id_, field_text(form, "code"))
        self.proof = here.proofs.issue(client.flow, approved.id)  # no other tab gets it
        return approved

    async def _resend(self, form: Form) -> Verification:
        here = services.current()
        with here.gate.admit(Action.SEND):
            client, id_ = await self._client_and_id()
            sent = await here.verifications.resend(client, id_, parse_channel_field(form))
        self.notice = self._page_about(sent).sent_again
        return sent

    async def _show(self, action: Awaitable[Verification], field: str) -> EventSpec | None:
        """Await *action* and go to the page of the result, or show the error at *field*."""
        try:
            verification = await action
            self._mirror(verification)
            await self._mirror_delivery(verification)
        except Overloaded as exc:  # the person made no mistake, so the focus stays; the gate logs
            self.notice, self.error_on = self._message(exc, on_code_page=False), field
            return None
        except OtpError as exc:
            log.info("ui_event.completed", outcome=exc.code)
            return await self._explain(exc, field)
        finally:
            self._settle()
        log.info("ui_event.completed", outcome="ok")
        is_there = field != PHONE_ID and self._page() == routes.CODE
        return None if is_there else rx.redirect(self._page())

    async def _explain(self, error: OtpError, field: str) -> EventSpec | None:
        """Show *error* where the person can correct it, and the present state of the flow."""
        if not isinstance(error, StoreUnavailable):
            await self._restore()
        text = self._message(error, on_code_page=field == RESEND_ID)
        if field == RESEND_ID and isinstance(error, (ResendTooSoon, AttemptsExhausted)):
            # The person made no mistake, so the text is a notice.
            self.notice, self.early = text, self.step == Step.CODE
            return None
        if Step(self.step).explains(error):
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
        session = await here.callers.session(self.router.headers.cookie)
        self.proved = session.phone.ending if session else ""

    def _mirror(self, verification: Verification | None) -> None:
        now = server_time()
        self.step, self.clock = Step.of(verification, now).value, milliseconds(now)
        if verification is None or verification.id != self._request_id:
            self.proof = ""
        if verification is None:
            self._request_id = ""
            return
        self._request_id = verification.id
        page = self._page_about(verification)
        self.ending = page.ending
        self.channel, self.channels = page.channel.value, [*map(str, page.channels)]
        self.expires, self.expires_at = page.expires, milliseconds(verification.expires_at)
        self.zone = page.zone_name
        self.resend_at = milliseconds(verification.resend_at)
        self.code_length = page.code_length

    async def _mirror_delivery(self, verification: Verification | None) -> None:
        """Copy the delivery report of the message whose code this tab waits for."""
        if not verification or verification.id != self._request_id or self.step != Step.CODE:
            self.delivery, self.awaits_delivery, self.failed = "", False, False
            return
        deliveries, report = services.current().deliveries, None
        with suppress(StoreUnavailable):  # the next poll can read the report
            report = await deliveries.of(verification)
        self.delivery = self._page_about(verification).delivery(report)
        self.awaits_delivery = deliveries.awaits(verification, report)
        self.failed = report is not None and report.status.is_failure

    def _page_about(self, verification: Verification) -> CodePage:
        here = services.current().verifications
        return CodePage.of(verification, here, self._language(), self._zone())

    def _settle(self) -> None:
        self.answered = milliseconds(server_time())

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

    async def _client_and_id(self) -> tuple[Client, str]:
        """Return the client of this event, and the id of the verification that the tab shows."""
        if not self._request_id:  # the tab's state was lost, but not the cookie
            await self._restore()
        return await self._client(), self._request_id


class FlowBinding(Middleware):
    """Resets a state before it handles an event of another flow. Runs inside the state's lock."""

    async def preprocess(self, app: App, state: BaseState, event: Event) -> None:
        """Bind *state* to the flow. The result None lets Reflex handle *event*."""
        del app, event
        (await state.get_state(VerifyState))._bind()  # noqa: SLF001 - without _, browsers could call it
