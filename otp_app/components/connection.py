"""Says so when the connection is lost. Reflex's own banner would name our host and port."""

from __future__ import annotations

import reflex as rx
from reflex_components_core.core.banner import has_connection_errors

from otp_app.components.words import say


def connection_lost() -> rx.Component:
    """What `App.app_wraps` puts around every page: nothing, until there is no connection."""
    note = rx.el.p(
        say("The connection was lost. Trying again"), role="status", class_name="note lost"
    )
    # The place is there from the start, so that what appears in it is announced.
    return rx.fragment(rx.el.div(rx.cond(has_connection_errors, note), aria_live="polite"))
