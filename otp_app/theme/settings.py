"""The branding settings, a part of `otp_app.config.Settings`, and the theme made from them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from otp_app.theme import logo
from otp_app.theme.colours import parse
from otp_app.theme.logo import ASSETS, Logo
from otp_app.theme.palette import palette
from otp_app.theme.style import Style

SHEET = "theme.css"  # in assets/, if the team has one


def _color(text: str) -> str:
    return str(parse(text))


def _logo(name: str) -> str:
    logo.read(name)
    return name


def _link(url: str) -> str:
    """Require the URL of a web page, a mail address or a phone number."""
    if re.search(r"[^!-~]", url):
        raise ValueError("must be ASCII without spaces: https://…, mailto:… or tel:…")
    parts = urlsplit(url)
    is_page = parts.scheme in {"https", "http"} and parts.hostname
    is_mail = parts.scheme == "mailto" and "@" in parts.path
    is_call = parts.scheme == "tel" and re.fullmatch(r"\+?[\d().-]+", parts.path)
    if not (is_page or is_mail or is_call):
        raise ValueError("is none of https://…, mailto:… and tel:…")
    return url


Link = Annotated[str, AfterValidator(_link)]


@dataclass(frozen=True)
class Theme:
    """The team's branding, which every page has.

    Attributes:
        style: the CSS made from the brand colour and the radius.
        logo: stands before the name, or replaces it if `logo_has_name`.
        logo_has_name: whether the logo shows the name.
        help_url: the page, mail address or phone number for help.
        privacy_url: the privacy notice.
        terms_url: the terms of use.
        has_sheet: whether there is an `assets/theme.css`.
    """

    style: Style
    logo: Logo | None = None
    logo_has_name: bool = False
    help_url: str | None = None
    privacy_url: str | None = None
    terms_url: str | None = None
    has_sheet: bool = False


class ThemeSettings(BaseSettings):
    """The settings of a team's branding. docs/theming.md describes them."""

    # 40 characters fit in one line beside a logo on a small phone.
    brand_name: str | None = Field(
        None, min_length=1, max_length=40, pattern=r"^[^\r\n\t\u27e6\u27e7]*$", examples=["Acme"]
    )
    brand_logo: Annotated[str, AfterValidator(_logo)] | None = Field(None, examples=["logo.svg"])
    brand_logo_has_name: bool = Field(False, examples=["true"])  # noqa: FBT003
    brand_color: Annotated[str, AfterValidator(_color)] | None = Field(None, examples=["#1f4fd8"])
    # CSS pixels, of the card's corners. 24 is half the height of a button, so fully round.
    brand_radius: int | None = Field(None, ge=0, le=24, examples=["12"])
    help_url: Link | None = Field(None, examples=["https://example.com/help"])
    privacy_url: Link | None = Field(None, examples=["https://example.com/privacy"])
    terms_url: Link | None = Field(None, examples=["https://example.com/terms"])

    @cached_property
    def theme(self) -> Theme:
        """The theme made from these settings."""
        colours = palette(parse(self.brand_color)) if self.brand_color else None
        return Theme(
            style=Style(colours, self.brand_radius),
            logo=logo.read(self.brand_logo) if self.brand_logo else None,
            logo_has_name=self.brand_logo_has_name,
            help_url=self.help_url,
            privacy_url=self.privacy_url,
            terms_url=self.terms_url,
            has_sheet=(ASSETS / SHEET).is_file(),
        )
