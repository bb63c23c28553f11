"""The phone page: which number, and how the code should come."""

from __future__ import annotations

import reflex as rx

from otp_app import routes
from otp_app.components.forms import choices, choose, error_summary, field, select, submit
from otp_app.components.layout import Keep, heading, page, status
from otp_app.i18n import countries
from otp_app.state.verify import PHONE_ID, PROBLEM_ID, Step, VerifyState
from otp_app.verification.models import Channel

TITLE = "Enter your phone number"


def phone_page(
    brand: str, default_country: str, served: frozenset[str], *, simulated: bool = False
) -> rx.Component:
    """The form that asks for the number, of one of the countries *served*.

    With a way to the phone where messages arrive, if that is *simulated*.
    """
    error = choose(VerifyState.error_on == PHONE_ID, VerifyState.error)
    return page(
        error_summary(PROBLEM_ID, error, PHONE_ID),
        heading(TITLE),
        _where_you_are(),
        rx.el.p(f"{brand} will send you a code to prove that the phone is yours."),
        rx.el.form(
            select("country", "Country code", countries(served), default_country),
            field(
                PHONE_ID,
                "Mobile number",
                hint="Write it as you always do, or start with + for another country.",
                error=error,
                type="tel",
                auto_complete="tel",
            ),
            choices(
                "channel",
                "How should the code come?",
                [(Channel.SMS.value, "Text message"), (Channel.VOICE.value, "Call me")],
            ),
            submit("Send code"),
            Keep.create(),
            method="post",
            action=routes.REQUEST_OTP,
            on_submit=VerifyState.request_code,
            no_validate=True,
            custom_attrs={"data-live": rx.State.is_hydrated},
        ),
        status(VerifyState.busy),
        rx.el.p("Your phone company may charge for messages and calls.", class_name="hint"),
        *([_simulated_phone()] if simulated else []),
        brand=brand,
    )


def _where_you_are() -> rx.Component:
    """For who came back: the code that was sent is still good."""
    return rx.fragment(
        rx.match(
            VerifyState.step,
            (
                Step.CODE.value,
                rx.el.p(
                    "A code was sent to the number ending ",
                    rx.el.bdi(VerifyState.ending),
                    ". ",
                    rx.el.a("Enter it", href=routes.CODE),
                    class_name="note",
                ),
            ),
            (
                Step.VERIFIED.value,
                rx.el.p(
                    "The number ending ",
                    rx.el.bdi(VerifyState.ending),
                    " is already confirmed. ",
                    rx.el.a("Continue", href=routes.VERIFIED),
                    class_name="note",
                ),
            ),
            rx.fragment(),
        )
    )


def _simulated_phone() -> rx.Component:
    link = rx.el.a("Open the simulated phone", href=routes.SIMULATED_PHONE, target="_blank")
    return rx.el.p(link, " to see what arrives.", class_name="hint")
