"""The frame of every page."""

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
# In two parts, as React writes the word into a page otherwise than it then wants to find it.
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
    """The page of the app at *path*: a way past the header, the brand, the content, the footer.

    *no_script* is what to know without JavaScript.
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
    """Buttons that work without a script. Each language goes by its own name, for who needs it."""
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
    """*title* for the browser's tab, which says first that there is an *error*, while there is."""
    return choose(error, say("Error:") + " " + title, title)


def heading(*text: Text, at_load: bool = False) -> rx.Component:
    """The one heading of a page. It takes the focus when the page takes another one's place.

    With *at_load* also when the browser has just loaded it.
    """
    arrival = Arrival.create(load=True) if at_load else Arrival.create()
    return rx.fragment(arrival, rx.el.h1(*text, tab_index=-1))


def status(*texts: Text, class_name: Text = "status") -> rx.Component:
    """A live region that is there from the start: what happens is announced, nothing moves."""
    return rx.el.p(*texts, role="status", class_name=class_name)


def pending(answered: Prop) -> rx.Component:
    """The status of what was asked for; *answered* is other whenever an answer has come."""
    slowly = say("This is taking longer than usual. Keep this page open")
    return Pending.create(role="status", answered=answered, slowly=slowly)


def head(dev_backend: int | None = None) -> list[rx.Component]:
    """What every page has in its head, besides what `web/pages.py` puts there.

    Where another server brings the pages, ours is at the port *dev_backend*: the cookie comes from
    there, see `web`, plain posts go there, and the pages' script has to be theirs. In production it
    would be in the bundle too, for nothing.
    """
    scripts = (_DEV_COOKIE, _DEV_FORMS) if dev_backend else ()
    return [
        *(rx.el.script(script.format(port=dev_backend)) for script in scripts),
        *([rx.el.script(page_script())] if dev_backend else []),
        rx.el.meta(name="color-scheme", content="light dark"),
        rx.el.link(rel="icon", href=routes.ICON, type="image/svg+xml"),
    ]


def page_script() -> str:
    """What HTML cannot do by itself. Inlined: it must be there before the first submit."""
    return "".join(jsmin(script.read_text()) for script in sorted(_SCRIPTS.glob("*.js")))


class Arrival(Element):
    """Moves the focus to the heading after it; where the browser has just loaded it, on `load`."""

    tag = "OtpArrival"
    alias = "otp-arrival"

    load: rx.Var[bool]


class Go(Element):
    """Submits the form it is in, as soon as it is there."""

    tag = "OtpGo"
    alias = "otp-go"


class Keep(Element):
    """Gives a form back what was typed in it, when its page is shown again."""

    tag = "OtpKeep"
    alias = "otp-keep"


class Watch(Element):
    """Presses the button in it `every` so many ms, while somebody is looking."""

    tag = "OtpWatch"
    alias = "otp-watch"

    every: rx.Var[int]

    def add_imports(self) -> Any:  # noqa: ANN401 - Reflex's own type is a page long
        """Reflex's: the element's own module, which only the page that has it loads."""
        return {"": "$/public/watch"}


class Reference(Element):
    """Says what to quote of a failure, in the sentence `words`."""

    tag = "OtpReference"
    alias = "otp-reference"

    words: rx.Var[str]


class Pending(Element):
    """The status that says what is being done, until `answered` changes, and `slowly` after 10 s.

    What it says is in `data-pending` of the form or button that asks.
    """

    tag = "OtpPending"
    alias = "otp-pending"

    role: rx.Var[str]
    answered: rx.Var[int]
    slowly: rx.Var[str]


class Preview(Element):
    """Shows the number that its form would use: presses the button in it, which asks for that.

    What was typed is its `typed`. Takes the answer as its `value`: `text` to show, `country` to
    select, and the `turn` of the question.
    """

    tag = "OtpPreview"
    alias = "otp-preview"


class Countdown(Element):
    """The time left until `until`, in `unit`s of so many ms. Times are ms by the server.

    `words` is the sentence for it. With `ready`, what is then said, it is announced at milestones,
    and buttons with `data-waits` wait. The button in it asks for `clock` again.
    """

    tag = "OtpCountdown"
    alias = "otp-countdown"

    until: rx.Var[int]
    clock: rx.Var[int]
    unit: rx.Var[int]
    words: rx.Var[str]
    ready: rx.Var[str]

    def add_imports(self) -> Any:  # noqa: ANN401 - Reflex's own type is a page long
        """Likewise."""
        return {"": "$/public/countdown"}


class WholeCode(Element):
    """Sends the form it is in once its field has a code of `length` digits, one at a time.

    `answered` is other whenever an answer has come.
    """

    tag = "OtpCode"
    alias = "otp-code"

    length: rx.Var[int]
    answered: rx.Var[int]
