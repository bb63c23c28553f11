"""Pages for when something is not there or went wrong. They need no state and no socket."""

from __future__ import annotations

import reflex as rx

from otp_app import routes
from otp_app.components.layout import heading, page
from otp_app.components.words import say

NOT_FOUND_TITLE = say("Page not found")
PROBLEM_TITLE = say("There is a problem with this service")


def not_found_page(brand: str) -> rx.Component:
    """For an address that leads nowhere."""
    return page(
        heading(NOT_FOUND_TITLE),
        rx.el.p(say("Check the address, or start again.")),
        rx.el.p(rx.el.a(say("Start again"), href=routes.PHONE)),
        brand=brand,
        path=routes.PHONE,
    )


def problem_page(brand: str) -> rx.Component:
    """For what nobody foresaw."""
    return page(
        heading(PROBLEM_TITLE),
        rx.el.p(say("Something went wrong on our side. Try again in a few minutes.")),
        rx.el.p(rx.el.a(say("Start again"), href=routes.PHONE)),
        brand=brand,
        path=routes.PHONE,
    )
