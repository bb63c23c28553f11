"""Colours: the ratio is WCAG's, and whatever a brand's colour, what is made of it can be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otp_app.theme import AA
from otp_app.theme.palette import (
    DARK,
    LIGHT,
    Colour,
    Scheme,
    Shades,
    at_lightness,
    contrast,
    lightness,
    luminance,
    palette,
    parse,
    text_on,
    worst,
)

COLOURS = st.builds(Colour, *[st.integers(0, 255)] * 3)
WHITE, BLACK = Colour(255, 255, 255), Colour(0, 0, 0)
YELLOW, BLUE, PINK = parse("#ffdd00"), parse("#1f4fd8"), parse("#f4a7c0")
ON_BRAND = {LIGHT: WHITE, DARK: parse("#0d1628")}


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#fff", "#fff", 1.0),
        ("#000", "#fff", 21.0),
        ("#777", "#fff", 4.48),  # https://webaim.org/articles/contrast/
        ("#767676", "#fff", 4.54),
        ("#f00", "#fff", 4.0),
        ("#00f", "#fff", 8.59),
        ("#0f0", "#fff", 1.37),
    ],
)
def test_the_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert contrast(parse(one), parse(other)) == pytest.approx(ratio, abs=0.005)
    assert contrast(parse(other), parse(one)) == contrast(parse(one), parse(other))


@pytest.mark.parametrize("text", ["#1f4fd8", "1f4fd8", "#1F4FD8"])
def test_a_colour_is_written_with_or_without_its_sign(text: str) -> None:
    assert str(parse(text)) == "#1f4fd8"
    assert parse("#fd0") == YELLOW


@pytest.mark.parametrize(
    "text", ["", "#", "blue", "#12345", "#1f4fd8ff", "rgb(0,0,0)", "#1f4fd8\n"]
)
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a colour"):
        parse(text)


@given(COLOURS)
def test_a_colour_in_its_own_lightness_is_itself(colour: Colour) -> None:
    """Both matrices together lose one step of 255 at most."""
    back = at_lightness(colour, lightness(colour))

    assert all(abs(ours - theirs) <= 8 for ours, theirs in zip(back, colour, strict=True))


@pytest.mark.parametrize("colour", [YELLOW, BLUE, PINK, BLACK, WHITE])
def test_a_colour_of_the_screen_comes_back_exactly(colour: Colour) -> None:
    assert at_lightness(colour, lightness(colour)) == colour


@given(COLOURS, st.floats(0, 1), st.floats(0, 1))
def test_more_lightness_is_more_light(colour: Colour, one: float, other: float) -> None:
    """But for the steps of 255, and the chroma that is given up."""
    darker, lighter = sorted((one, other))

    assert (
        luminance(at_lightness(colour, darker)) <= luminance(at_lightness(colour, lighter)) + 0.02
    )


@given(COLOURS)
def test_a_grey_has_no_hue_in_any_lightness(colour: Colour) -> None:
    grey = Colour(*[colour.red] * 3)

    assert len(set(at_lightness(grey, colour.green / 255))) == 1


@given(COLOURS)
@example(YELLOW)
@example(BLACK)
@example(WHITE)
@example(PINK)
@example(parse("#777777"))
def test_whatever_the_brand_all_of_it_can_be_read(colour: Colour) -> None:
    """A13: text and borders on all they stand on, texts of buttons, pointed at or not."""
    made = palette(colour)

    for scheme, shades in ((LIGHT, made.light), (DARK, made.dark)):
        assert_readable(shades, scheme)


def assert_readable(shades: Shades, scheme: Scheme) -> None:
    for ground in (scheme.surface, scheme.ground, shades.note):
        assert contrast(shades.brand, ground) >= AA
        assert contrast(shades.brand_strong, ground) >= AA
    assert contrast(shades.on_fill, shades.fill) >= AA
    assert contrast(shades.on_fill, shades.fill_strong) >= AA
    assert contrast(shades.brand, ON_BRAND[scheme]) >= AA
    assert contrast(scheme.text, shades.note) >= 7


@given(COLOURS)
def test_the_main_button_is_of_the_very_colour_and_changes_when_pointed_at(colour: Colour) -> None:
    made = palette(colour)

    assert made.light.fill == colour
    assert contrast(made.light.fill, made.light.fill_strong) >= 1.1
    assert contrast(made.dark.fill, made.dark.fill_strong) >= 1.1


@given(COLOURS)
def test_a_colour_that_can_be_read_is_left_alone(colour: Colour) -> None:
    made = palette(colour)

    assert made.is_corrected == (worst(colour, LIGHT) < AA) == (made.light.brand != colour)
    assert (made.dark.brand == colour) == (worst(colour, DARK) >= AA)


@given(COLOURS)
def test_a_corrected_colour_is_as_near_as_can_be(colour: Colour) -> None:
    """The colour gets no more contrast than it needs, except for one step of the search."""
    made = palette(colour)

    if made.is_corrected:
        assert worst(made.light.brand, LIGHT) < AA + 0.25


def test_black_is_turned_over_in_the_dark_and_yellow_stays() -> None:
    assert palette(BLACK).dark.brand == WHITE
    assert palette(YELLOW).dark.brand == YELLOW
    assert palette(YELLOW).light.on_fill == BLACK
    assert palette(BLUE).light.brand == BLUE


def test_text_is_white_where_white_can_be_read() -> None:
    assert text_on(BLUE) == WHITE
    assert text_on(PINK) == BLACK


def test_the_grounds_are_those_of_the_style_sheet() -> None:
    css = Path("assets/app.css").read_text()
    for name in ("surface", "ground", "text"):
        found = re.search(rf"--{name}: light-dark\((#\w+), (#\w+)\);", css)
        assert found
        assert [getattr(scheme, name) for scheme in (LIGHT, DARK)] == [*map(parse, found.groups())]
    on_brand = re.search(r"--on-brand: light-dark\((#\w+), (#\w+)\);", css)
    assert on_brand
    assert [*ON_BRAND.values()] == [*map(parse, on_brand.groups())]
