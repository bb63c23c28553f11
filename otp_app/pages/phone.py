"""The phone page: the form for the number and the channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import reflex as rx

from otp_app import routes
from otp_app.components import (
    Handler,
    choices,
    country_select,
    error_summary,
    field,
    submit,
    t,
    text_if,
)
from otp_app.components.elements import Preview, RestoreInput
from otp_app.i18n.en import CHANNEL_TEXTS
from otp_app.pages import PLAIN_FORMS, heading, page, pending, status, titled
from otp_app.presentation.code_page import Step
from otp_app.state import PHONE_ID, PREVIEW_ID, PROBLEM_ID, Form
from otp_app.state.verify import VerifyState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otp_app.components import Text
    from otp_app.verification.models import Channel

HEADING = t("Enter your phone number")
_ERROR = text_if(VerifyState.error_on == PHONE_ID, VerifyState.error)
TITLE = titled(HEADING, _ERROR)


def phone_page(
    brand: str, channels: Sequence[Channel], *, help_url: str = "", simulated: bool = False
) -> rx.Component:
    """Return the page with the form for the number.

    Args:
        brand: the name of the operator.
        channels: the channels to choose from. A single one is not shown as a choice.
        help_url: the operator's page with other ways to prove one's identity, if there is one.
        simulated: whether the page links to the simulated phone.
    """
    return page(
        error_summary(PROBLEM_ID, _ERROR, PHONE_ID),
        heading(HEADING),
        _where_you_are(),
        rx.el.p(t("{brand} will send you a code to prove that the phone is yours.", brand=brand)),
        rx.el.form(
            country_select("country", t("Country code")),
            field(
                PHONE_ID,
                t("Mobile number"),
                _preview(),
                hint=t("Write it as you always do, or start with + for another country."),
                error=_ERROR,
                type="tel",
                auto_complete="tel",
                dir="ltr",
            ),
            _channel_choices(channels),
            submit(t("Send code")),
            pending(VerifyState.answered),
            status(text_if(VerifyState.error_on == PHONE_ID, VerifyState.notice)),
            RestoreInput.create(),
            method="post",
            action=routes.REQUEST_OTP,
            on_submit=VerifyState.request_code,
            no_validate=True,
            custom_attrs={
                "data-live": rx.State.is_hydrated,
                "data-pending": t("Sending your code"),
            },
        ),
        _how_safe(help_url),
        *([_simulated_phone()] if simulated else []),
        brand=brand,
        path=routes.PHONE,
        no_script=PLAIN_FORMS,
    )


def _preview() -> rx.Component:
    """The preview of the number, below the field. The field itself is left as typed."""
    preview: Handler = VerifyState.preview_number
    return Preview.create(
        on_request=lambda form: preview(form.to(Form)),
        id=PREVIEW_ID,
        custom_attrs={"data-live": rx.State.is_hydrated},
    )


def _how_safe(help_url: str) -> rx.Component:
    """The risks of codes by phone. NIST SP 800-63B-4 requires this text for RESTRICTED methods.

    See sections 3.1.3.3 and 3.2.9.
    """
    other_ways = rx.el.p(rx.el.a(t("Other ways to confirm that it is you"), href=help_url))
    return rx.el.details(
        rx.el.summary(t("How safe is a code by phone?")),
        rx.el.p(
            t(
                "Messages and calls can be intercepted or sent elsewhere, for example by somebody "
                "who has your number moved to another SIM card."
            )
        ),
        rx.el.p(t("Never tell anybody the code, whoever asks for it.")),
        *([other_ways] if help_url else []),
    )


def _channel_choices(channels: Sequence[Channel]) -> rx.Component:
    cost = t("Your phone company may charge for messages and calls.")
    if len(channels) == 1:
        return rx.el.p(cost, class_name="hint")
    options: list[tuple[str, Text]] = [
        (one.value, t(CHANNEL_TEXTS[one].choice)) for one in channels
    ]
    return choices("channel", t("How should the code come?"), options, hint=cost)


def _where_you_are() -> rx.Component:
    """A link to the code page or success page, for a person who came back to this page."""
    ending = rx.el.bdi(VerifyState.ending)
    enter = rx.el.a(t("Enter it"), href=routes.CODE)
    go_on = rx.el.a(t("Continue"), href=routes.VERIFIED)
    return rx.fragment(
        rx.match(
            VerifyState.step,
            (
                Step.CODE.value,
                rx.el.p(
                    t.rich(
                        "A code was sent to the number ending {ending}. {link}",
                        ending=ending,
                        link=enter,
                    ),
                    class_name="note",
                ),
            ),
            (
                Step.VERIFIED.value,
                rx.el.p(
                    t.rich(
                        "The number ending {ending} is already confirmed. {link}",
                        ending=ending,
                        link=go_on,
                    ),
                    class_name="note",
                ),
            ),
            rx.fragment(),
        )
    )


def _simulated_phone() -> rx.Component:
    link = rx.el.a("Open the simulated phone", href=routes.SIMULATED_PHONE, target="_blank")
    # This link is for developers. It is in English, like the page that it leads to.
    return rx.el.p(link, " to see what arrives.", lang="en", dir="ltr", class_name="hint")
