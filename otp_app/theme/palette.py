"""All that the pages need of a brand's one colour, so that everybody can read it.

The names are those of the custom properties in `assets/app.css`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from otp_app.theme.colours import Colour, at_lightness, contrast, lightness, mixed, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

AA = 4.5
"""What text needs: https://www.w3.org/TR/WCAG22/#contrast-minimum. Borders and icons need 3."""

WHITE, BLACK = Colour(255, 255, 255), Colour(0, 0, 0)
_STEP = 0.005  # of lightness: less than anybody sees
_TINT = 0.08  # of the brand in the ground of a note
_EDGE = 0.3  # and in the line around it
_HOVER = 0.2  # of black or white in what is pointed at
_SEEN = 1.1  # the contrast of a change that is seen


@dataclass(frozen=True)
class Scheme:
    """What the brand stands on, light or dark: as in `assets/app.css`."""

    surface: Colour
    ground: Colour
    text: Colour
    is_dark: bool = False

    @property
    def pole(self) -> Colour:
        """What is best read on it."""
        return WHITE if self.is_dark else BLACK


LIGHT = Scheme(WHITE, ground=parse("#eef1f6"), text=parse("#17202e"))
DARK = Scheme(parse("#1a202b"), ground=parse("#10141b"), text=parse("#eef2f8"), is_dark=True)


@dataclass(frozen=True)
class Shades:
    """A brand's colours in one scheme.

    Attributes:
        brand: text, borders and icons; has AA on the surface, the ground and a note.
        brand_strong: the same where it is pointed at.
        fill: the button; its border is `brand`, so that it may be of any colour.
        fill_strong: the same where it is pointed at.
        on_fill: text on both, with AA.
        note: the ground of a note.
        note_line: the line around it.
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
    """What becomes of a *given* colour."""

    given: Colour
    light: Shades
    dark: Shades

    @property
    def is_corrected(self) -> bool:
        """Whether the given colour cannot be read in the light. In the dark most cannot."""
        return self.light.brand != self.given

    @property
    def measured(self) -> float:
        """The given colour's contrast in the light, where it is least."""
        return worst(self.given, LIGHT)


def palette(given: Colour) -> Palette:
    """Everything, from one colour. In the light the button has it as it is."""
    brand = _readable(given, DARK)
    return Palette(
        given, _shades(_readable(given, LIGHT), given, LIGHT), _shades(brand, brand, DARK)
    )


def worst(colour: Colour, scheme: Scheme) -> float:
    """The contrast of *colour* as text, on what it has least."""
    grounds = (scheme.surface, scheme.ground, _note(colour, scheme))
    return min(contrast(colour, ground) for ground in grounds)


def text_on(fill: Colour) -> Colour:
    """White, else black: one of them has 4.58 on any colour, which is the root of 21."""
    return WHITE if contrast(WHITE, fill) >= AA else BLACK


def _readable(given: Colour, scheme: Scheme) -> Colour:
    """*given*, or the nearest lightness of it that has AA."""
    return next(shade for shade in _tried(given, scheme) if worst(shade, scheme) >= AA)


def _tried(given: Colour, scheme: Scheme) -> Iterator[Colour]:
    """*given*, and its hue step by step towards the pole.

    In the dark a dark colour starts from its mirror image: black becomes white and not grey.
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
    """*fill* further from its text; if it is at the end already, nearer to it."""
    text = text_on(fill)
    away = BLACK if text == WHITE else WHITE
    further = (mixed(fill, away, share * _HOVER) for share in (1, 2))
    seen = (shade for shade in further if contrast(shade, fill) >= _SEEN)
    return next(seen, mixed(fill, text, _HOVER))
