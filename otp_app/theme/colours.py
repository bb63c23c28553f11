"""Colours: the contrast of two, and one hue in another lightness."""

from __future__ import annotations

import re
from math import cbrt
from typing import NamedTuple

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
