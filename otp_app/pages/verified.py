"""The success page."""

from __future__ import annotations

import reflex as rx

from otp_app import routes
from otp_app.components.layout import heading, page
from otp_app.state.verify import VerifyState

TITLE = "Your number is confirmed"
SIGN_OUT_ID = "sign-out"


def verified_page(brand: str) -> rx.Component:
    """Says so, to the browser that has verified; the prerendered page says nothing."""
    return page(rx.cond(VerifyState.proved, _confirmed(), heading("One moment")), brand=brand)


def _confirmed() -> rx.Component:
    return rx.fragment(
        rx.el.div(class_name="tick", aria_hidden="true"),
        heading(TITLE),
        rx.el.p(
            "You have proved that the number ending ", rx.el.bdi(VerifyState.proved), " is yours."
        ),
        rx.el.div(
            rx.el.button(
                "Confirm another number",
                type="button",
                on_click=VerifyState.start_again,
                custom_attrs={"data-forget": ""},
            ),
            rx.el.button("Sign out", type="submit", form=SIGN_OUT_ID),
            class_name="actions",
        ),
        rx.el.form(
            id=SIGN_OUT_ID, method="post", action=routes.SIGN_OUT, on_submit=None, hidden=True
        ),
    )
