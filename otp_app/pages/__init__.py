"""The frame of every page. Each page is a module of this package, without rules of the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import reflex as rx

from otp_app import routes
from otp_app.components import t, text_if
from otp_app.components.elements import FocusHeading, Pending, page_script
from otp_app.config import settings_or_exit
from otp_app.i18n import languages
from otp_app.i18n.en import _
from otp_app.reflex_compat import A
from otp_app.web.dev_server import head_scripts

if TYPE_CHECKING:
    from otp_app.components import Prop, Text


def home_link(brand: str) -> rx.Component:
    """Return the logo and the name as a link to the first page."""
    theme = settings_or_exit().theme
    if not theme.logo:
        return rx.el.a(brand, href=routes.PHONE, class_name="brand")
    named = theme.logo_has_name
    logo = rx.el.img(
        src=theme.logo.src,
        alt=brand if named else "",
        # Attributes reserve the space at once. Reflex would turn `width` and `height` into CSS,
        # which arrives with the script.
        custom_attrs={"width": theme.logo.width, "height": theme.logo.height},
    )
    content = [logo] if named else [logo, brand]
    return rx.el.a(*content, href=routes.PHONE, class_name="brand with-logo")


def help_link() -> rx.Component:
    """Return a link to help, for the text of a page; nothing if `HELP_URL` is not set."""
    url = settings_or_exit().theme.help_url
    return rx.el.a(t("Help"), href=url) if url else rx.fragment()


def team_links() -> rx.Component:
    """Return links to help, privacy and terms, those that are set, in one order on every page."""
    theme = settings_or_exit().theme
    named = (
        (_("Help"), theme.help_url),
        (_("Privacy"), theme.privacy_url),
        (_("Terms"), theme.terms_url),
    )
    links = [rx.el.a(t(name), href=url) for name, url in named if url]
    return rx.el.p(*links, class_name="links") if links else rx.fragment()


MAIN = "main"

PLAIN_FORMS = t("JavaScript is off. You can still get a code and enter it")


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
        A.create(t("Skip to main content"), href=f"#{MAIN}", class_name="skip"),
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
        aria_label=t("Language"),
        class_name="languages",
    )


def titled(title: rx.vars.StringVar[str], error: Text) -> rx.Var[str]:
    """Return *title* for the browser's tab, after "Error:" while *error* is not empty."""
    return text_if(error, t("Error:") + " " + title, title)


def heading(*text: Text, at_load: bool = False) -> rx.Component:
    """Return the heading of a page, which takes the focus when the page replaces another one.

    With *at_load* the heading also takes the focus when the browser loads the page.
    """
    arrival = FocusHeading.create(load=True) if at_load else FocusHeading.create()
    return rx.fragment(arrival, rx.el.h1(*text, tab_index=-1))


def status(*texts: Text, class_name: Text = "status") -> rx.Component:
    """Return a live region. Screen readers announce its changes, and the focus does not move."""
    return rx.el.p(*texts, role="status", class_name=class_name)


def pending(answered: Prop) -> rx.Component:
    """Return the status of a request in flight. A change of *answered* ends it."""
    slowly = t("This is taking longer than usual. Keep this page open")
    return Pending.create(role="status", answered=answered, slowly=slowly)


def head(dev_backend: int | None = None) -> list[rx.Component]:
    """Return the head of every page, without the parts that `web/localized_pages.py` adds.

    In development another server serves the pages, and our backend listens on the port
    *dev_backend*. The page then has the scripts of `web/dev_server.py` and the page script in its
    head. In production `web/localized_pages.py` adds the page script, because a script in this head
    would also be in the bundle.
    """
    scripts = [*head_scripts(dev_backend), page_script()] if dev_backend else []
    return [
        *map(rx.el.script, scripts),
        rx.el.meta(name="color-scheme", content="light dark"),
        rx.el.link(rel="icon", href=routes.ICON, type="image/svg+xml"),
    ]
