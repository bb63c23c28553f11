"""Reports a lost connection to the person. Reflex's own banner would show our host and port."""

from __future__ import annotations

import reflex as rx
from reflex_components_core.core.banner import has_connection_errors
from reflex_components_core.el.element import Element

from otp_app.components.words import say


def connection_status() -> rx.Component:
    """Return a live region, which `App.app_wraps` adds to every page from the start.

    Screen readers only announce changes of a live region that is already there.
    """
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
    """The element of `scripts/connection.js`: shows the sentence for the connection's state.

    Attributes:
        broken: whether Reflex's connection has errors.
        live: whether the page is hydrated.
        lost: the sentence for a lost connection.
        offline: the sentence for a browser that is offline.
        back: the sentence for a connection that is restored.
        slow: the sentence for a page that is not hydrated in time.
    """

    tag = "OtpConnection"
    alias = "otp-connection"

    broken: rx.Var[bool]
    live: rx.Var[bool]
    lost: rx.Var[str]
    offline: rx.Var[str]
    back: rx.Var[str]
    slow: rx.Var[str]
