"""A palette and a radius as CSS, for the head of every page.

The rules weigh nothing against others (`:where`): what `assets/theme.css` says, and what `app.css`
does for more contrast or paper, goes before them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otp_app.theme.palette import Palette

_SMALL = 2 / 3  # of the radius, for what stands in a card


@dataclass(frozen=True)
class Style:
    """What the settings change. No `css` at all, if that is nothing.

    Attributes:
        markup: as it stands in a page's head; its content is `css`, which the policy knows.
    """

    palette: Palette | None = None
    radius: int | None = None

    @property
    def css(self) -> str:
        """Custom properties, in place of those at the top of `app.css`."""
        return _radii(self.radius) + _colours(self.palette)

    @property
    def markup(self) -> str:
        """For the head of a page, behind the style sheets."""
        style = f"<style>{self.css}</style>" if self.css else ""
        return _theme_color(self.palette) + style


def _radii(radius: int | None) -> str:
    if radius is None:
        return ""
    return f":where(:root){{--radius:{radius}px;--radius-small:{round(_SMALL * radius)}px}}"


def _colours(palette: Palette | None) -> str:
    """For browsers that know `light-dark()`. Older ones keep the colours that are built in."""
    if not palette:
        return ""
    light, dark = asdict(palette.light), asdict(palette.dark)
    colours = ";".join(
        f"--{name.replace('_', '-')}:light-dark({light[name]},{dark[name]})" for name in light
    )
    return f"@supports (color:light-dark(red,red)){{:where(:root){{{colours}}}}}"


def _theme_color(palette: Palette | None) -> str:
    """For the browser's own bars: https://html.spec.whatwg.org/#meta-theme-color."""
    return f'<meta name="theme-color" content="{palette.given}">' if palette else ""
