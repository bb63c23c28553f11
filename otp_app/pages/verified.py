"""The success page."""

from __future__ import annotations

import reflex as rx

from otp_app import routes
from otp_app.components import t, text_if
from otp_app.pages import heading, page
from otp_app.state.verify import VerifyState

HEADING = t("Your number is confirmed")
_NOT_YET = t("One moment")
TITLE = text_if(VerifyState.proved, HEADING, _NOT_YET)
SIGN_OUT_ID = "sign-out"


def verified_page(brand: str) -> rx.Component:
    """Return the page. The prerendered HTML confirms nothing; a browser with a session does."""
    return page(
        rx.el.div(
            rx.cond(VerifyState.proved, _confirmed(), heading(_NOT_YET)), class_name="proved"
        ),
        brand=brand,
        path=routes.VERIFIED,
        no_script=HEADING,  # only a browser with a session gets this page
    )


def _confirmed() -> rx.Component:
    return rx.fragment(
        rx.el.div(class_name="tick", aria_hidden="true"),
        heading(HEADING),
        rx.el.p(
            t.rich(
                "You have proved that the number ending {ending} is yours.",
                ending=rx.el.bdi(VerifyState.proved),
            )
        ),
        rx.el.div(
            rx.el.button(
                t("Confirm another number"),
                type="button",
                on_click=VerifyState.start_again,
                custom_attrs={"data-forget": ""},
            ),
            rx.el.button(t("Sign out"), type="submit", form=SIGN_OUT_ID),
            class_name="actions",
        ),
        rx.el.form(
            id=SIGN_OUT_ID, method="post", action=routes.SIGN_OUT, on_submit=None, hidden=True
        ),
    )
