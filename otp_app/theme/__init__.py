"""The theme of the pages: its settings, a part of `otp_app.config.Settings`; its CSS and logo.

The rules of the CSS have no specificity (`:where`), so `assets/theme.css` and the parts of
`app.css` for more contrast and for paper override them.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import imagesize
from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

if TYPE_CHECKING:
    from otp_app.theme.palette import Palette

AA = 4.5
"""The contrast that text needs: https://www.w3.org/TR/WCAG22/#contrast-minimum. Borders and icons
need 3."""

_SMALL = 2 / 3  # of the radius, for elements inside a card


@dataclass(frozen=True)
class Style:
    """The CSS that the settings lead to. `css` is empty without a palette and a radius.

    Attributes:
        palette: the shades of the brand colour, or None for the built-in colours.
        radius: the radius of the card's corners in CSS pixels, or None for the built-in one.
    """

    palette: Palette | None = None
    radius: int | None = None

    @property
    def css(self) -> str:
        """Custom properties that replace those at the top of `app.css`."""
        return _radii(self.radius) + _colours(self.palette)

    @property
    def markup(self) -> str:
        """HTML for the head of a page, after the style sheets.

        The content of its `style` element is `css`, whose hash is in the content security policy.
        """
        style = f"<style>{self.css}</style>" if self.css else ""
        return _theme_color(self.palette) + style


def _radii(radius: int | None) -> str:
    if radius is None:
        return ""
    return f":where(:root){{--radius:{radius}px;--radius-small:{round(_SMALL * radius)}px}}"


def _colours(palette: Palette | None) -> str:
    """Return colours for browsers with `light-dark()`. Older ones keep the built-in colours."""
    if not palette:
        return ""
    light, dark = asdict(palette.light), asdict(palette.dark)
    colours = ";".join(
        f"--{name.replace('_', '-')}:light-dark({light[name]},{dark[name]})" for name in light
    )
    return f"@supports (color:light-dark(red,red)){{:where(:root){{{colours}}}}}"


def _theme_color(palette: Palette | None) -> str:
    """Return the colour of the browser's own bars as a `meta` element.

    https://html.spec.whatwg.org/#meta-theme-color
    """
    return f'<meta name="theme-color" content="{palette.given}">' if palette else ""


ASSETS = Path("assets")
HEIGHT = 32  # CSS pixels
WIDEST = 6  # times the height: 192 of the 320 pixels of a small phone
HEAVIEST = 20_000  # bytes; a first visit loads 150 kB in all
SHARP = 2  # pixels of a PNG for one CSS pixel, for the screens of phones

_PNG = b"\x89PNG\r\n\x1a\n"
_SVG = re.compile(rb"<svg\b[^>]*>")
_VIEW_BOX = re.compile(rb"""\sviewBox\s*=\s*["'][\d.\s,-]*?[\s,]+([\d.]+)[\s,]+([\d.]+)\s*["']""")


@dataclass(frozen=True)
class Logo:
    """The URL path of the logo, and its size in CSS pixels."""

    src: str
    width: int
    height: int = HEIGHT


def read_logo(name: str) -> Logo:
    """Return the logo in the file *name* of `assets/`.

    Raises:
        ValueError: the file cannot be used. The text gives the reason.
    """
    if not re.fullmatch(r"[\w-][\w.-]*\.(svg|png)", name):
        raise ValueError("is not the name of an .svg or .png file in assets/")
    path = ASSETS / name
    if not path.is_file():
        raise ValueError("is not in assets/")
    content = path.read_bytes()
    if len(content) > HEAVIEST:
        raise ValueError(f"is a file of more than {HEAVIEST // 1000} kB")
    width, height = _png(content) if path.suffix == ".png" else _svg(content)
    if width > WIDEST * height:
        raise ValueError(f"is more than {WIDEST} times as wide as high")
    return Logo(f"/{name}", round(HEIGHT * width / height))


def _png(content: bytes) -> tuple[float, float]:
    """Return width and height. imagesize would read a JPEG or GIF of this name, too."""
    width, height = imagesize.get(BytesIO(content))
    if not content.startswith(_PNG) or height < 0:
        raise ValueError("is not a PNG, despite its name")
    if height < SHARP * HEIGHT:
        raise ValueError(f"is less than {SHARP * HEIGHT} pixels high, so not sharp on phones")
    return width, height


def _svg(content: bytes) -> tuple[float, float]:
    """Return width and height from the root's `viewBox`, else from its `width` and `height`.

    imagesize reads no `viewBox`, the only size that most logos have.
    """
    root = _SVG.search(content)
    if not root:
        raise ValueError("is not an SVG, despite its name")
    found = _VIEW_BOX.search(root[0])
    try:
        width, height = map(float, found.groups() if found else imagesize.get(BytesIO(root[0])))
    except ValueError:
        width = height = 0.0
    if not (width > 0 and height > 0):
        raise ValueError("is an SVG without a viewBox, so its proportions are unknown")
    return width, height


SHEET = "theme.css"  # in assets/, if the team has one


def _color(text: str) -> str:
    from otp_app.theme.palette import parse  # only with a colour: coloraide takes 0.2 s

    return str(parse(text))


def _palette(color: str | None) -> Palette | None:
    if not color:
        return None
    from otp_app.theme.palette import palette, parse

    return palette(parse(color))


def _logo(name: str) -> str:
    read_logo(name)
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
        raise ValueError("must begin with https:, mailto: or tel:")
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
        return Theme(
            style=Style(_palette(self.brand_color), self.brand_radius),
            logo=read_logo(self.brand_logo) if self.brand_logo else None,
            logo_has_name=self.brand_logo_has_name,
            help_url=self.help_url,
            privacy_url=self.privacy_url,
            terms_url=self.terms_url,
            has_sheet=(ASSETS / SHEET).is_file(),
        )
