"""Pages for when something is not there or went wrong. They need no state and no socket."""

from __future__ import annotations

import reflex as rx

from otp_app import routes
from otp_app.components.layout import heading, page

NOT_FOUND_TITLE = "Page not found"
PROBLEM_TITLE = "There is a problem with this service"


def not_found_page(brand: str) -> rx.Component:
    """For an address that leads nowhere."""
    return page(
        heading(NOT_FOUND_TITLE),
        rx.el.p("Check the address, or ", rx.el.a("start again", href=routes.PHONE), "."),
        brand=brand,
    )


def problem_page(brand: str) -> rx.Component:
    """For what nobody foresaw."""
    return page(
        heading(PROBLEM_TITLE),
        rx.el.p("Something went wrong on our side. Try again in a few minutes."),
        rx.el.p(rx.el.a("Start again", href=routes.PHONE)),
        brand=brand,
    )
