"""Says so when the connection is lost. Reflex's own banner would name our host and port."""

from __future__ import annotations

import reflex as rx
from reflex_components_core.core.banner import has_connection_errors
from reflex_components_core.el.element import Element

from otp_app.components.words import say


def connection_status() -> rx.Component:
    """What `App.app_wraps` puts around every page: a live region that is there from the start."""
    return rx.fragment(
        Connection.create(
            broken=has_connection_errors,
            live=rx.State.is_hydrated,
            lost=say("The connection was lost. Trying again"),
            offline=say("You are offline. What you entered is still here"),
            back=say("You are connected again"),
            slow=say("The connection is slow. You can go on all the same"),
            custom_attrs={"role": "status"},
        )
    )


class Connection(Element):
    """Says one of its sentences, when there is something to say of the connection."""

    tag = "OtpConnection"
    alias = "otp-connection"

    broken: rx.Var[bool]
    live: rx.Var[bool]
    lost: rx.Var[str]
    offline: rx.Var[str]
    back: rx.Var[str]
    slow: rx.Var[str]
