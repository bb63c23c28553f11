"""What is the team's own on every page: its name and logo above, its links below."""

from __future__ import annotations

import reflex as rx

from otp_app import routes
from otp_app.components.words import say
from otp_app.config import settings_or_exit
from otp_app.i18n.marks import _


def home_link(brand: str) -> rx.Component:
    """The logo and the name, which lead to the first page."""
    theme = settings_or_exit().theme
    if not theme.logo:
        return rx.el.a(brand, href=routes.PHONE, class_name="brand")
    named = theme.logo_has_name
    logo = rx.el.img(
        src=theme.logo.src,
        alt=brand if named else "",
        # As attributes: of its own properties Reflex makes CSS, which comes with the script.
        custom_attrs={"width": theme.logo.width, "height": theme.logo.height},
    )
    content = [logo] if named else [logo, brand]
    return rx.el.a(*content, href=routes.PHONE, class_name="brand with-logo")


def help_link() -> rx.Component:
    """The way to help, for a page's own text; nothing, if `HELP_URL` is not set."""
    url = settings_or_exit().theme.help_url
    return rx.el.a(say("Help"), href=url) if url else rx.fragment()


def team_links() -> rx.Component:
    """Help, privacy and terms, as far as they are set: in the same order on every page."""
    theme = settings_or_exit().theme
    named = (
        (_("Help"), theme.help_url),
        (_("Privacy"), theme.privacy_url),
        (_("Terms"), theme.terms_url),
    )
    links = [rx.el.a(say(name), href=url) for name, url in named if url]
    return rx.el.p(*links, class_name="links") if links else rx.fragment()
