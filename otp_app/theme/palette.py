"""All shades that the pages need, made from one brand colour so that all text is legible.

The shades have the names of the custom properties in `assets/app.css`. coloraide calculates
luminance, lightness and mixtures. Its import takes 0.2 s, so the app imports this module only where
`BRAND_COLOR` is set.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from coloraide import Color

from otp_app.theme import AA


class Colour(NamedTuple):
    """A colour of sRGB, each part from 0 to 255."""

    red: int
    green: int
    blue: int

    def __str__(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"


def parse(text: str) -> Colour:
    """Return the colour in *text*: three or six hexadecimal digits, with or without a `#`.

    Raises:
        ValueError: *text* is not such a colour.
    """
    found = re.fullmatch("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", text)
    if not found:
        raise ValueError("is not a colour of 3 or 6 hexadecimal digits")
    digits = found[1] if len(found[1]) == 6 else "".join(2 * digit for digit in found[1])
    return Colour(*bytes.fromhex(digits))


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio, 1 to 21: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@lru_cache
def luminance(colour: Colour) -> float:
    """Return the relative luminance, from 0 for black to 1 for white.

    https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
    """
    return _color(colour).luminance()


def mixed(colour: Colour, other: Colour, share: float) -> Colour:
    """Mix *colour* with a *share*, 0 to 1, of *other*, as `color-mix(in srgb, …)` does."""
    return _rounded(_color(colour).mix(_color(other), share, space="srgb"))


def lightness(colour: Colour) -> float:
    """Return the perceived lightness, the L of Oklab: from 0 for black to 1 for white."""
    return _color(colour).convert("oklch")["lightness"]


def at_lightness(colour: Colour, wanted: float) -> Colour:
    """Return the hue of *colour* in the *wanted* lightness, with as much chroma as sRGB has there.

    Chroma is reduced and lightness kept: https://www.w3.org/TR/css-color-4/#gamut-mapping.
    """
    color = _color(colour).convert("oklch").set("lightness", wanted)
    return _rounded(color.convert("srgb").fit(method=_FIT))


def _color(colour: Colour) -> Color:
    return Color("srgb", [part / 255 for part in colour])


def _rounded(color: Color) -> Colour:
    red, green, blue = (round(255 * part) for part in color.coords(nans=False))
    return Colour(red, green, blue)


WHITE, BLACK = Colour(255, 255, 255), Colour(0, 0, 0)
_FIT = "raytrace"  # coloraide's method that reduces chroma the least, and keeps lightness and hue
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
    """Return *given*, or its hue in the nearest lightness towards the pole that has AA.

    In dark mode a dark colour starts from the opposite lightness: black becomes white, not grey.
    """
    if worst(given, scheme) >= AA:
        return given
    start = lightness(given)
    if scheme.is_dark:
        start = max(start, 1 - start)
    end = 1.0 if scheme.is_dark else 0.0
    steps = round(abs(end - start) / _STEP)

    def shade(step: int) -> Colour:
        return at_lightness(given, start + (end - start) * step / steps)

    # Each step has more contrast than the one before.
    first = bisect_left(range(steps), AA, key=lambda step: worst(shade(step), scheme))
    return shade(first) if first < steps else scheme.pole


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
