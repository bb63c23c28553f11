"""A palette and a radius as CSS, for the head of every page.

The rules have no specificity (`:where`). The rules of `assets/theme.css`, and those of `app.css`
for high contrast and for print, therefore override them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otp_app.theme.palette import Palette

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
