"""The forms of the live pages: fields, steps, and ids of elements."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypedDict

import reflex as rx
from reflex.event import EventSpec  # noqa: TC002 - Reflex evaluates annotations

from otp_app import i18n, services
from otp_app.errors import (
    AlreadyVerified,
    AttemptsExhausted,
    InputError,
    OtpError,
    VerificationExpired,
)
from otp_app.i18n import Preferences
from otp_app.i18n.en import _
from otp_app.phone import PhoneNumber, named_country
from otp_app.verification.channels import parse_channel
from otp_app.verification.client import address_key
from otp_app.verification.models import Channel, Status, Verification

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, tzinfo

    from reflex.istate.data import RouterData

    from otp_app.i18n.languages import Language
    from otp_app.verification.client import Client
    from otp_app.verification.models import Flow


class Step(StrEnum):
    """The step of the flow that the pages show."""

    PHONE = "phone"
    CODE = "code"
    EXPIRED = "expired"
    LOCKED = "locked"
    VERIFIED = "verified"  # about to be exchanged for a session


STEP_SHOWING: dict[type[OtpError], Step] = {  # the page of that step explains the error
    AlreadyVerified: Step.VERIFIED,
    AttemptsExhausted: Step.LOCKED,
    VerificationExpired: Step.EXPIRED,
}

SENT_AGAIN = {
    Channel.SMS: _("We sent a new code by text message to the number ending {ending}"),
    Channel.VOICE: _("We are calling the number ending {ending}"),
    Channel.WHATSAPP: _("We sent a new code by WhatsApp to the number ending {ending}"),
}

PROBLEM_ID = "problem"  # the error summary, which takes the focus
PHONE_ID = "phone"
PREVIEW_ID = "preview"
CODE_ID = "code"
RESEND_ID = "resend"

PROMISES = {
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


class RequestMixin:
    """The data of the browser in each request: its cookies, address, language and time zone."""

    if TYPE_CHECKING:
        router: RouterData

    def _promise(self, form: object) -> str:
        """Return the sentence with channel and number of the code, or "" if none can be sent."""
        try:
            phone, chosen = parse_phone_form(form)
        except InputError:
            return ""
        verifications = services.current().verifications
        channel = chosen or verifications.default_channel(phone)
        if not verifications.can_reach(phone, channel):
            return ""
        language = self._language()
        return language.t(PROMISES[channel], number=language.left_to_right(phone.written))

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
            error, language=self._language(), zone=self._zone(), now=server_time(), labels=labels
        )

    def _language(self) -> Language:
        """Return the language of the page."""
        return self._preferences().language

    def _preferences(self) -> Preferences:
        headers = self.router.headers
        return Preferences(headers.cookie, headers.accept_language)


def step_of(verification: Verification | None) -> Step:
    """The step that the browser with *verification* is at."""
    now = server_time()
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


def parse_phone_form(form: object) -> tuple[PhoneNumber, Channel | None]:
    """Return the number in the phone page's *form* and the channel, None for the first.

    Raises:
        InputError: the number or the channel is not valid.
    """
    phone = PhoneNumber.parse(field_text(form, "phone"), field_text(form, "country"))
    return phone, parse_channel(
        field_text(form, "channel"), services.current().verifications.channels
    )


def field_text(form: object, name: str) -> str:
    """Return the field *name*. A socket can send any JSON; a value that is no text becomes ""."""
    value = form.get(name) if isinstance(form, dict) else None
    return value if isinstance(value, str) else ""


def set_preview(form: object, **shown: str) -> EventSpec:
    """Return the event that sets the country of the number in the form.

    A var would not do: it would be kept in the state.
    """
    country = named_country(field_text(form, "phone"), field_text(form, "country"))
    return rx.set_value(PREVIEW_ID, {"country": country, **shown})


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def server_time() -> datetime:
    """The server's time."""
    return services.current().verifications.now()
