"""Error pages: "not found" and "problem". They need no state and no socket.

If the server itself fails, `web.plain_routes` renders the same text in a page without scripts.
"""

from __future__ import annotations

import reflex as rx

from otp_app import routes
from otp_app.components import t
from otp_app.components.elements import Reference
from otp_app.i18n.en import REFERENCE, SERVICE_PROBLEM, WENT_WRONG, WHAT_WAS_ENTERED
from otp_app.pages import heading, page

NOT_FOUND_TITLE = t("Page not found")
PROBLEM_TITLE = t(SERVICE_PROBLEM)


def not_found_page(brand: str) -> rx.Component:
    """Return the page for a path without a page."""
    return page(
        heading(NOT_FOUND_TITLE),
        rx.el.p(t("Check the address, or start again.")),
        rx.el.p(rx.el.a(t("Start again"), href=routes.PHONE)),
        brand=brand,
        path=routes.PHONE,
    )


def problem_page(brand: str) -> rx.Component:
    """Return the page for unexpected errors. The URL may contain the reference to quote."""
    return page(
        heading(PROBLEM_TITLE),
        rx.el.p(t(WENT_WRONG)),
        rx.el.p(t(WHAT_WAS_ENTERED)),
        Reference.create(words=t(REFERENCE, reference="{reference}")),  # the script fills it in
        rx.el.p(rx.el.a(t("Start again"), href=routes.PHONE)),
        brand=brand,
        path=routes.PHONE,
    )
