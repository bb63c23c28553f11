"""The success page."""

from __future__ import annotations

import reflex as rx

from otp_app.components.layout import heading, page
from otp_app.state.verify import Step, VerifyState

TITLE = "Your number is confirmed"


def verified_page(brand: str) -> rx.Component:
    """Says so, to the browser that has verified; the prerendered page says nothing."""
    return page(
        rx.cond(VerifyState.step == Step.VERIFIED.value, _confirmed(), _looking()),
        brand=brand,
    )


def _confirmed() -> rx.Component:
    return rx.fragment(
        rx.el.div(class_name="tick", aria_hidden="true"),
        heading(TITLE),
        rx.el.p(
            "You have proved that the number ending ", rx.el.bdi(VerifyState.ending), " is yours."
        ),
        rx.el.div(
            rx.el.button(
                "Confirm another number",
                type="button",
                on_click=VerifyState.start_again,
                custom_attrs={"data-forget": ""},
            ),
            class_name="actions",
        ),
    )


def _looking() -> rx.Component:
    return heading("One moment")
