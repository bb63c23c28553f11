"""Pages for when something is not there or went wrong. They need no state and no socket.

Where the server itself fails, `web.forms` shows the same as a page without a script.
"""

from __future__ import annotations

import reflex as rx

from otp_app import routes
from otp_app.components.layout import Reference, heading, page
from otp_app.components.words import say
from otp_app.i18n.en import REFERENCE, SERVICE_PROBLEM, WENT_WRONG, WHAT_WAS_ENTERED

NOT_FOUND_TITLE = say("Page not found")
PROBLEM_TITLE = say(SERVICE_PROBLEM)


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
    """For what nobody foresaw. Its address may bring the reference to quote."""
    return page(
        heading(PROBLEM_TITLE),
        rx.el.p(say(WENT_WRONG)),
        rx.el.p(say(WHAT_WAS_ENTERED)),
        Reference.create(words=say(REFERENCE, reference="{reference}")),
        rx.el.p(rx.el.a(say("Start again"), href=routes.PHONE)),
        brand=brand,
        path=routes.PHONE,
    )
