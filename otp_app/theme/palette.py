"""All shades that the pages need, made from one brand colour so that all text is legible.

The shades have the names of the custom properties in `assets/app.css`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import cbrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

Vector = tuple[float, float, float]

_LINEAR_TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_LMS_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
_LAB_TO_LMS = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_LMS_TO_LINEAR = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)
_FADES = 32  # steps of chroma, from full to none, to find a colour that sRGB has


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


def luminance(colour: Colour) -> float:
    """Return the relative luminance, from 0 for black to 1 for white.

    https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
    """
    red, green, blue = map(_linear, colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def mixed(colour: Colour, other: Colour, share: float) -> Colour:
    """Mix *colour* with a *share*, 0 to 1, of *other*, as `color-mix(in srgb, …)` does."""
    pairs = zip(colour, other, strict=True)
    return Colour(*(round(part + share * (theirs - part)) for part, theirs in pairs))


def lightness(colour: Colour) -> float:
    """Return the perceived lightness, the L of Oklab: from 0 for black to 1 for white."""
    return _lab(colour)[0]


def at_lightness(colour: Colour, wanted: float) -> Colour:
    """Return the hue of *colour* in the *wanted* lightness, with as much chroma as sRGB has there.

    The calculation is in Oklab: https://bottosson.github.io/posts/oklab/. Chroma is reduced and
    lightness kept, as in CSS: https://www.w3.org/TR/css-color-4/#gamut-mapping.
    """
    _, a, b = _lab(colour)
    for fade in range(_FADES, -1, -1):
        linear = _from_lab((wanted, a * fade / _FADES, b * fade / _FADES))
        if all(-1e-4 <= part <= 1 + 1e-4 for part in linear):
            break
    return Colour(*(round(255 * _encoded(min(max(part, 0.0), 1.0))) for part in linear))


def _lab(colour: Colour) -> Vector:
    red, green, blue = map(_linear, colour)
    long, medium, short = _times(_LINEAR_TO_LMS, (red, green, blue))
    return _times(_LMS_TO_LAB, (cbrt(long), cbrt(medium), cbrt(short)))


def _from_lab(lab: Vector) -> Vector:
    long, medium, short = _times(_LAB_TO_LMS, lab)
    return _times(_LMS_TO_LINEAR, (long**3, medium**3, short**3))


def _times(matrix: tuple[Vector, Vector, Vector], vector: Vector) -> Vector:
    x, y, z = vector
    first, second, third = (a * x + b * y + c * z for a, b, c in matrix)
    return first, second, third


def _linear(part: int) -> float:
    """Return the linear light, 0 to 1, of a part of sRGB: IEC 61966-2-1, as WCAG applies it."""
    value = part / 255
    return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)


def _encoded(light: float) -> float:
    return float(12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)


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
