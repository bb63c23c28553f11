"""The custom elements of the pages. Their scripts are in `scripts/` and `assets/`.

React adds no listener for the event of a custom element that was prerendered. `Bridge` in
`assets/components.js` therefore renders the elements that have an event trigger.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import reflex as rx
from rjsmin import jsmin

from otp_app.components import MODULE, t
from otp_app.reflex_compat import (
    Element,
    has_connection_errors,
    no_args_event_spec,
)

_SCRIPTS = Path(__file__).with_name("scripts")


def page_script() -> str:
    """Return all files of `scripts/` as one minified script.

    The script is inlined in the page because it has to run before the first submit.
    """
    return "".join(jsmin(script.read_text()) for script in sorted(_SCRIPTS.glob("*.js")))


def connection_status() -> rx.Component:
    """Return a live region, which `App.app_wraps` adds to every page from the start.

    Screen readers only announce changes of a live region that is already there.
    """
    return rx.fragment(
        Connection.create(
            broken=has_connection_errors,
            live=rx.State.is_hydrated,
            lost=t("The connection was lost. Trying again"),
            offline=t("You are offline. What you entered is still here"),
            back=t("You are connected again"),
            slow=t("The connection is slow. You can go on all the same"),
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


class FocusHeading(Element):
    """Moves the focus to the heading that follows; with `load` even on a full page load."""

    tag = "OtpArrival"
    alias = "otp-arrival"

    load: rx.Var[bool]


class AutoSubmit(Element):
    """Submits the form around it as soon as it is in the page."""

    tag = "OtpGo"
    alias = "otp-go"


class RestoreInput(Element):
    """Restores the input of the form around it when its page is shown again."""

    tag = "OtpKeep"
    alias = "otp-keep"


class Poll(rx.Component):
    """Renders nothing, and calls `on_tick` every `every` ms while the page is visible."""

    library = "$/public/poll"
    tag = "Poll"

    every: rx.Var[int]
    on_tick: rx.EventHandler[no_args_event_spec]  # type: ignore[type-arg, valid-type]


class Reference(Element):
    """Shows the reference of a failure, for a request for help, in the sentence `words`."""

    tag = "OtpReference"
    alias = "otp-reference"

    words: rx.Var[str]


class Pending(Element):
    """Shows the status of a request in flight until `answered` changes.

    The text is in `data-pending` of the form or button that sends the request. After 10 s the text
    is `slowly`.
    """

    tag = "OtpPending"
    alias = "otp-pending"

    role: rx.Var[str]
    answered: rx.Var[int]
    slowly: rx.Var[str]


def _detail(detail: rx.Var[Any]) -> tuple[rx.Var[Any]]:
    """The spec of an event trigger that passes on the `detail` of the element's event."""
    return (detail,)


class Bridge(rx.Component):
    """The custom element `element`, whose event `request` triggers `on_request`."""

    library = MODULE
    tag = "Bridge"

    element: rx.Var[str]
    on_request: rx.EventHandler[_detail]  # type: ignore[type-arg, valid-type]


class Preview(Bridge):
    """Shows the phone number as the server reads it from the form.

    After a pause in typing, `on_request` gets the fields of the form and a `turn`. The response
    comes by `rx.set_value`: `text` to show, `country` to select, and the `turn` of the request, by
    which stale responses are dropped.
    """

    element: rx.Var[str] = rx.Var.create("otp-preview")


class Countdown(Bridge):
    """Shows the time left until a moment.

    If `ready` is set, the time is announced to screen readers at milestones, and buttons with
    `data-waits` are marked as disabled until then. If the clocks of the browser disagree,
    `on_request` is called, and has to read the server's clock again.

    Attributes:
        until: the moment, in ms by the server's clock.
        clock: the current time, in ms by the server's clock.
        unit: the unit of the time that is shown, in ms.
        words: the sentence with the time left.
        ready: the sentence for the end of the wait.
    """

    element: rx.Var[str] = rx.Var.create("otp-countdown")

    until: rx.Var[int]
    clock: rx.Var[int]
    unit: rx.Var[int]
    words: rx.Var[str]
    ready: rx.Var[str]

    def add_imports(self) -> Any:  # noqa: ANN401 - Reflex's own type is a page long
        """Import the element's module, which only pages with the element load. Reflex calls it."""
        return {"": "$/public/countdown"}


class CodeAutoSubmit(Element):
    """Submits the form around it once its field has a code of `length` digits.

    Codes are sent one at a time: a change of `answered` reports the response to the last one.
    """

    tag = "OtpCode"
    alias = "otp-code"

    length: rx.Var[int]
    answered: rx.Var[int]
