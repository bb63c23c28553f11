"""All shades that the pages need, made from one brand colour so that all text is legible.

The shades have the names of the custom properties in `assets/app.css`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from otp_app.theme.colours import Colour, at_lightness, contrast, lightness, mixed, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

AA = 4.5
"""The contrast that text needs: https://www.w3.org/TR/WCAG22/#contrast-minimum. Borders and icons
need 3."""

WHITE, BLACK = Colour(255, 255, 255), Colour(0, 0, 0)
_STEP = 0.005  # of lightness: a difference that nobody sees
_TINT = 0.08  # share of the brand in the background of a note
_EDGE = 0.3  # share of the brand in the border of a note
_HOVER = 0.2  # share of black or white that a hovered element gains
_SEEN = 1.1  # least contrast of a visible change


@dataclass(frozen=True)
class Scheme:
    """The colours around the brand in light or dark mode, as `assets/app.css` has them."""

    surface: Colour
    ground: Colour
    text: Colour
    is_dark: bool = False

    @property
    def pole(self) -> Colour:
        """The colour with the most contrast to the surface: white or black."""
        return WHITE if self.is_dark else BLACK


LIGHT = Scheme(WHITE, ground=parse("#eef1f6"), text=parse("#17202e"))
DARK = Scheme(parse("#1a202b"), ground=parse("#10141b"), text=parse("#eef2f8"), is_dark=True)


@dataclass(frozen=True)
class Shades:
    """A brand's colours in one scheme.

    Attributes:
        brand: text, borders and icons; has AA on the surface, the ground and a note.
        brand_strong: `brand` while hovered.
        fill: the button. It may be any colour, because its border is `brand`.
        fill_strong: `fill` while hovered.
        on_fill: text on `fill` and `fill_strong`, with AA.
        note: the background of a note.
        note_line: the border of a note.
    """

    brand: Colour
    brand_strong: Colour
    fill: Colour
    fill_strong: Colour
    on_fill: Colour
    note: Colour
    note_line: Colour


@dataclass(frozen=True)
class Palette:
    """The shades made from a *given* brand colour, for light and for dark mode."""

    given: Colour
    light: Shades
    dark: Shades

    @property
    def is_corrected(self) -> bool:
        """Whether the given colour lacks AA in light mode. In dark mode most colours lack it."""
        return self.light.brand != self.given

    @property
    def measured(self) -> float:
        """The given colour's least contrast in light mode."""
        return worst(self.given, LIGHT)


def palette(given: Colour) -> Palette:
    """Return the palette of one colour. In light mode the button has exactly that colour."""
    brand = _readable(given, DARK)
    return Palette(
        given, _shades(_readable(given, LIGHT), given, LIGHT), _shades(brand, brand, DARK)
    )


def worst(colour: Colour, scheme: Scheme) -> float:
    """Return the least contrast of *colour* as text on the surface, the ground and a note."""
    grounds = (scheme.surface, scheme.ground, _note(colour, scheme))
    return min(contrast(colour, ground) for ground in grounds)


def text_on(fill: Colour) -> Colour:
    """Return white if it has AA on *fill*, else black.

    On every colour one of the two has a contrast of at least 4.58, the square root of 21.
    """
    return WHITE if contrast(WHITE, fill) >= AA else BLACK


def _readable(given: Colour, scheme: Scheme) -> Colour:
    """Return *given*, or its hue in the nearest lightness that has AA."""
    return next(shade for shade in _tried(given, scheme) if worst(shade, scheme) >= AA)


def _tried(given: Colour, scheme: Scheme) -> Iterator[Colour]:
    """Yield *given*, and its hue step by step towards the pole.

    In dark mode a dark colour starts from the opposite lightness: black becomes white, not grey.
    """
    yield given
    start = lightness(given)
    if scheme.is_dark:
        start = max(start, 1 - start)
    end = 1.0 if scheme.is_dark else 0.0
    steps = round(abs(end - start) / _STEP)
    for step in range(steps):
        yield at_lightness(given, start + (end - start) * step / steps)
    yield scheme.pole


def _shades(brand: Colour, fill: Colour, scheme: Scheme) -> Shades:
    return Shades(
        brand=brand,
        brand_strong=mixed(brand, scheme.pole, _HOVER),
        fill=fill,
        fill_strong=_pointed_at(fill),
        on_fill=text_on(fill),
        note=_note(brand, scheme),
        note_line=mixed(scheme.surface, brand, _EDGE),
    )


def _note(brand: Colour, scheme: Scheme) -> Colour:
    return mixed(scheme.surface, brand, _TINT)


def _pointed_at(fill: Colour) -> Colour:
    """Return *fill* with more contrast to its text, or with less if more would not be visible."""
    text = text_on(fill)
    away = BLACK if text == WHITE else WHITE
    further = (mixed(fill, away, share * _HOVER) for share in (1, 2))
    seen = (shade for shade in further if contrast(shade, fill) >= _SEEN)
    return next(seen, mixed(fill, text, _HOVER))
