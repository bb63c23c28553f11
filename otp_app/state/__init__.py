"""The event handlers that browsers may call, and the forms that these handlers receive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import reflex as rx

from otp_app import presentation, services
from otp_app.errors import InputError
from otp_app.i18n.en import CHANNEL_TEXTS
from otp_app.phone import PhoneNumber, named_country
from otp_app.presentation import Preferences
from otp_app.reflex_compat import EventSpec  # noqa: TC001 - Reflex evaluates annotations
from otp_app.verification.channels import parse_channel
from otp_app.verification.client import address_key

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from otp_app.errors import OtpError
    from otp_app.i18n import Language
    from otp_app.reflex_compat import RouterData
    from otp_app.verification.client import Client
    from otp_app.verification.models import Channel, Flow

# The ids of elements.
PROBLEM_ID = "problem"  # the error summary, which takes the focus
PHONE_ID = "phone"
PREVIEW_ID = "preview"
CODE_ID = "code"
RESEND_ID = "resend"


Form: TypeAlias = dict[str, Any]
"""The fields of a form by name, as a page sends them. Another client can send any JSON instead.

Reflex evaluates the annotations of handlers. This one lets every value pass unchanged.
"""


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
        number = language.left_to_right(phone.written)
        return language.t(CHANNEL_TEXTS[channel].promise, number=number)

    async def _client(self) -> Client:
        cookies, address = self.router.headers.cookie, address_key(self.router.session.client_ip)
        return await services.current().callers.client(cookies, address, self._language().tag)

    def _known_flow(self) -> Flow | None:
        return services.current().flows.read(self.router.headers.cookie)

    def _message(self, error: OtpError, *, on_code_page: bool) -> str:
        """Return the text of *error*. See `presentation.message`."""
        return presentation.message(
            error,
            language=self._language(),
            zone=self._zone(),
            now=server_time(),
            on_code_page=on_code_page,
        )

    def _language(self) -> Language:
        """Return the language of the page."""
        return self._preferences().language

    def _zone(self) -> tzinfo:
        return self._preferences().zone

    def _preferences(self) -> Preferences:
        headers = self.router.headers
        return Preferences(headers.cookie, headers.accept_language)


def parse_phone_form(form: object) -> tuple[PhoneNumber, Channel | None]:
    """Return the number and the channel in the phone page's *form*.

    Raises:
        InputError: the number or the channel is not valid.
    """
    return PhoneNumber.parse(
        field_text(form, "phone"), field_text(form, "country")
    ), parse_channel_field(form)


def parse_channel_field(form: object) -> Channel | None:
    """Return the channel in *form*, or None if *form* has none.

    Raises:
        ChannelNotOffered: no such channel exists.
    """
    return parse_channel(field_text(form, "channel"), services.current().verifications.channels)


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
