"""Pieces of a form: labels, hints and errors where people and screen readers look for them."""

from __future__ import annotations

from typing import Any, cast

import reflex as rx
from reflex_components_core.el.element import Element
from reflex_components_core.el.elements.inline import A

from otp_app.components.words import COUNTRIES, COUNTRY, say

Text = rx.Var[str] | str
Prop = Any
"""What HTML attributes take; Reflex checks each at compile time."""
Handler = Any
"""An `@rx.event` of a State, which mypy takes for the decorator's own class."""


def choose(condition: Prop, yes: Text, no: Text = "") -> rx.Var[str]:
    """`rx.cond` of two texts, which its type hints leave out."""
    return cast("rx.Var[str]", rx.cond(condition, yes, no))  # type: ignore[call-overload]


def error_summary(id_: str, error: Text, field: Text) -> rx.Component:
    """The place at the top of a page that takes the focus and says what is wrong.

    Always there, so that it can be focused; announced when *error* is not empty.
    """
    return rx.el.div(
        rx.cond(
            error,
            rx.el.div(
                rx.el.h2(say("There is a problem")),
                A.create(error, href=f"#{field}"),  # `rx.el.a` is the router's: it moves no focus
                role="alert",
                class_name="summary",
            ),
        ),
        id=id_,
        tab_index=-1,
    )


def field(
    id_: str,
    label: Text,
    *below: rx.Component,
    hint: Text,
    error: Text,
    **props: Prop,
) -> rx.Component:
    """A labelled input with its hint, and its error while there is one."""
    described_by = choose(error, f"{id_}-hint {id_}-error", f"{id_}-hint")
    return rx.el.div(
        rx.el.label(label, html_for=id_),
        rx.el.p(hint, id=f"{id_}-hint", class_name="hint"),
        rx.cond(error, _error_text(id_, error)),
        rx.el.input(
            id=id_,
            name=id_,
            aria_invalid=choose(error, "true", "false"),
            aria_describedby=described_by,
            **props,
        ),
        *below,
        class_name=choose(error, "field wrong", "field"),
    )


def country_select(id_: str, label: Text) -> rx.Component:
    """A labelled native select of the countries, at the one that the person is likely in."""
    return rx.el.div(
        rx.el.label(label, html_for=id_),
        rx.el.select(
            rx.foreach(COUNTRIES, lambda pair: rx.el.option(pair[1], value=pair[0])),
            id=id_,
            name=id_,
            default_value=COUNTRY,
        ),
        LikelyCountry.create(),
        class_name="field",
    )


class LikelyCountry(Element):
    """Selects the likely country in the select before it, while the browser parses the page."""

    tag = "OtpCountry"
    alias = "otp-country"


def choices(
    name: str, legend: Text, options: list[tuple[str, Text]], *, hint: Text
) -> rx.Component:
    """Radio buttons over (value, text) pairs, the first one chosen."""
    first = options[0][0]
    return rx.el.fieldset(
        rx.el.legend(legend),
        rx.el.p(hint, id=f"{name}-hint", class_name="hint"),
        *(_choice(name, value, text, chosen=value == first) for value, text in options),
        aria_describedby=f"{name}-hint",
        class_name="choices",
    )


def submit(text: Text) -> rx.Component:
    """The one button that goes on."""
    return rx.el.button(text, type="submit", class_name="primary")


def _choice(name: str, value: str, text: Text, *, chosen: bool) -> rx.Component:
    id_ = f"{name}-{value}"
    return rx.el.div(
        rx.el.input(type="radio", id=id_, name=name, value=value, default_checked=chosen),
        rx.el.label(text, html_for=id_),
        class_name="choice",
    )


def _error_text(id_: str, error: Text) -> rx.Component:
    return rx.el.p(
        rx.el.span(say("Error:"), " ", class_name="unseen"),
        error,
        id=f"{id_}-error",
        class_name="error",
    )
