"""The team's branding on every page: name and logo in the header, links in the footer."""

from __future__ import annotations

import reflex as rx

from otp_app import routes
from otp_app.components.words import say
from otp_app.config import settings_or_exit
from otp_app.i18n.marks import _


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
    return rx.el.a(say("Help"), href=url) if url else rx.fragment()


def team_links() -> rx.Component:
    """Return links to help, privacy and terms, those that are set, in one order on every page."""
    theme = settings_or_exit().theme
    named = (
        (_("Help"), theme.help_url),
        (_("Privacy"), theme.privacy_url),
        (_("Terms"), theme.terms_url),
    )
    links = [rx.el.a(say(name), href=url) for name, url in named if url]
    return rx.el.p(*links, class_name="links") if links else rx.fragment()
