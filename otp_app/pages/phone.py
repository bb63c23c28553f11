"""The phone page: which number, and how the code should come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import reflex as rx

from otp_app import routes
from otp_app.components.forms import (
    choices,
    choose,
    country_select,
    error_summary,
    field,
    submit,
)
from otp_app.components.layout import Keep, heading, page, status
from otp_app.components.words import say, sentence
from otp_app.i18n.en import CHANNELS
from otp_app.state.verify import PHONE_ID, PROBLEM_ID, Step, VerifyState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otp_app.components.forms import Text
    from otp_app.verification.models import Channel

TITLE = say("Enter your phone number")


def phone_page(brand: str, channels: Sequence[Channel], *, simulated: bool = False) -> rx.Component:
    """The form that asks for the number, and how the code should come, if there are *channels*.

    With a way to the phone where messages arrive, if that is *simulated*.
    """
    error = choose(VerifyState.error_on == PHONE_ID, VerifyState.error)
    return page(
        error_summary(PROBLEM_ID, error, PHONE_ID),
        heading(TITLE),
        _where_you_are(),
        rx.el.p(say("{brand} will send you a code to prove that the phone is yours.", brand=brand)),
        rx.el.form(
            country_select("country", say("Country code")),
            field(
                PHONE_ID,
                say("Mobile number"),
                hint=say("Write it as you always do, or start with + for another country."),
                error=error,
                type="tel",
                auto_complete="tel",
                dir="ltr",
            ),
            *([_channel_choices(channels)] if len(channels) > 1 else []),
            submit(say("Send code")),
            Keep.create(),
            method="post",
            action=routes.REQUEST_OTP,
            on_submit=VerifyState.request_code,
            no_validate=True,
            custom_attrs={"data-live": rx.State.is_hydrated},
        ),
        status(VerifyState.busy),
        rx.el.p(say("Your phone company may charge for messages and calls."), class_name="hint"),
        *([_simulated_phone()] if simulated else []),
        brand=brand,
        path=routes.PHONE,
    )


def _channel_choices(channels: Sequence[Channel]) -> rx.Component:
    options: list[tuple[str, Text]] = [(one.value, say(CHANNELS[one])) for one in channels]
    return choices("channel", say("How should the code come?"), options)


def _where_you_are() -> rx.Component:
    """For who came back: the code that was sent is still good."""
    ending = rx.el.bdi(VerifyState.ending)
    enter = rx.el.a(say("Enter it"), href=routes.CODE)
    go_on = rx.el.a(say("Continue"), href=routes.VERIFIED)
    return rx.fragment(
        rx.match(
            VerifyState.step,
            (
                Step.CODE.value,
                rx.el.p(
                    sentence(
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
                    sentence(
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
    # For developers, in English as what it leads to.
    return rx.el.p(link, " to see what arrives.", lang="en", dir="ltr", class_name="hint")
