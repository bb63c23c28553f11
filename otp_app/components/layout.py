"""The frame of every page, and the custom elements that the pages use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import reflex as rx
from reflex_components_core.el.element import Element
from reflex_components_core.el.elements.inline import A
from rjsmin import jsmin

from otp_app import routes
from otp_app.components.brand import home_link, team_links
from otp_app.components.forms import choose
from otp_app.components.words import say
from otp_app.i18n.languages import languages

if TYPE_CHECKING:
    from otp_app.components.forms import Prop, Text

MAIN = "main"
# "script" is split to avoid a hydration mismatch: React escapes the word on the server.
_DEV_COOKIE = (
    "document.write(`<${{'script'}} src='//${{location.hostname}}:{port}"
    + routes.DEV_COOKIE
    + "'></${{'script'}}>`)"
)
_DEV_FORMS = """addEventListener("submit", (event) => {{
  const form = event.target, path = form.getAttribute("action");
  if (path?.startsWith("/")) form.action = `//${{location.hostname}}:{port}${{path}}`;
}}, true);"""
_SCRIPTS = Path(__file__).with_name("scripts")


PLAIN_FORMS = say("JavaScript is off. You can still get a code and enter it")


def page(
    *content: rx.Component, brand: str, path: str, no_script: Text | None = None
) -> rx.Component:
    """Return the page at *path*: a skip link, the brand, *content*, and a footer.

    Args:
        content: the components of the main part.
        brand: the team's name.
        path: the URL path of the page, to which the language menu returns.
        no_script: a note for browsers without JavaScript, or None.
    """
    return rx.el.div(
        A.create(say("Skip to main content"), href=f"#{MAIN}", class_name="skip"),
        rx.el.header(home_link(brand), class_name="top"),
        rx.fragment() if no_script is None else _no_script(no_script),
        rx.el.main(*content, id=MAIN, tab_index=-1, class_name="card"),
        rx.el.footer(team_links(), _language_menu(path)),
        class_name="frame",
    )


def _no_script(text: Text) -> rx.Component:
    return rx.el.noscript(rx.el.p(text, class_name="note"))


def _language_menu(path: str) -> rx.Component:
    """Return a form with a button for each language, which works without JavaScript.

    Each button has the language's own name, so that its speakers recognise it.
    """
    return rx.el.form(
        rx.el.input(type="hidden", name="page", value=path),
        *(
            rx.el.button(
                language.name, type="submit", name="language", value=tag, lang=tag, dir="auto"
            )
            for tag, language in languages().items()
        ),
        method="post",
        action=routes.LANGUAGE,
        on_submit=None,
        aria_label=say("Language"),
        class_name="languages",
    )


def titled(title: rx.vars.StringVar[str], error: Text) -> rx.Var[str]:
    """Return *title* for the browser's tab, after "Error:" while *error* is not empty."""
    return choose(error, say("Error:") + " " + title, title)


def heading(*text: Text, at_load: bool = False) -> rx.Component:
    """Return the heading of a page, which takes the focus when the page replaces another one.

    With *at_load* the heading also takes the focus when the browser loads the page.
    """
    arrival = Arrival.create(load=True) if at_load else Arrival.create()
    return rx.fragment(arrival, rx.el.h1(*text, tab_index=-1))


def status(*texts: Text, class_name: Text = "status") -> rx.Component:
    """Return a live region. Screen readers announce its changes, and the focus does not move."""
    return rx.el.p(*texts, role="status", class_name=class_name)


def pending(answered: Prop) -> rx.Component:
    """Return the status of a request in flight. A change of *answered* ends it."""
    slowly = say("This is taking longer than usual. Keep this page open")
    return Pending.create(role="status", answered=answered, slowly=slowly)


def head(dev_backend: int | None = None) -> list[rx.Component]:
    """Return the head of every page, without the parts that `web/pages.py` adds.

    In development another server serves the pages, and our backend listens on the port
    *dev_backend*. The page then gets the cookie from the backend (see `web`), posts plain forms to
    it, and has the page script in its head. In production `web/pages.py` adds that script, because
    a script in this head would also be in the bundle.
    """
    scripts = (_DEV_COOKIE, _DEV_FORMS) if dev_backend else ()
    return [
        *(rx.el.script(script.format(port=dev_backend)) for script in scripts),
        *([rx.el.script(page_script())] if dev_backend else []),
        rx.el.meta(name="color-scheme", content="light dark"),
        rx.el.link(rel="icon", href=routes.ICON, type="image/svg+xml"),
    ]


def page_script() -> str:
    """Return all files of `scripts/` as one minified script.

    The script is inlined in the page because it has to run before the first submit.
    """
    return "".join(jsmin(script.read_text()) for script in sorted(_SCRIPTS.glob("*.js")))


class Arrival(Element):
    """Moves the focus to the heading that follows; with `load` even on a full page load."""

    tag = "OtpArrival"
    alias = "otp-arrival"

    load: rx.Var[bool]


class Go(Element):
    """Submits the form around it as soon as it is in the page."""

    tag = "OtpGo"
    alias = "otp-go"


class Keep(Element):
    """Restores the input of the form around it when its page is shown again."""

    tag = "OtpKeep"
    alias = "otp-keep"


class Watch(Element):
    """Presses the button inside it every `every` ms while the page is visible."""

    tag = "OtpWatch"
    alias = "otp-watch"

    every: rx.Var[int]

    def add_imports(self) -> Any:  # noqa: ANN401 - Reflex's own type is a page long
        """Import the element's module, which only pages with the element load. Reflex calls it."""
        return {"": "$/public/watch"}


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


class Preview(Element):
    """Shows the phone number as the server reads it from the form.

    The element presses the button inside it, which sends the element's JavaScript property `typed`
    to the server. The response is set as the property `value`: `text` to show, `country` to select,
    and the `turn` of the request, by which stale responses are dropped.
    """

    tag = "OtpPreview"
    alias = "otp-preview"


class Countdown(Element):
    """Shows the time left until a moment.

    If `ready` is set, the time is announced to screen readers at milestones, and buttons with
    `data-waits` are marked as disabled until then. The button inside the element reads the server's
    clock again.

    Attributes:
        until: the moment, in ms by the server's clock.
        clock: the current time, in ms by the server's clock.
        unit: the unit of the time that is shown, in ms.
        words: the sentence with the time left.
        ready: the sentence for the end of the wait.
    """

    tag = "OtpCountdown"
    alias = "otp-countdown"

    until: rx.Var[int]
    clock: rx.Var[int]
    unit: rx.Var[int]
    words: rx.Var[str]
    ready: rx.Var[str]

    def add_imports(self) -> Any:  # noqa: ANN401 - Reflex's own type is a page long
        """Import the element's module, which only pages with the element load. Reflex calls it."""
        return {"": "$/public/countdown"}


class WholeCode(Element):
    """Submits the form around it once its field has a code of `length` digits.

    Codes are sent one at a time: a change of `answered` reports the response to the last one.
    """

    tag = "OtpCode"
    alias = "otp-code"

    length: rx.Var[int]
    answered: rx.Var[int]
