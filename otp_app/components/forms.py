"""Parts of a form, with labels, hints and errors where people and screen readers expect them."""

from __future__ import annotations

from typing import Any, cast

import reflex as rx
from reflex_components_core.el.element import Element
from reflex_components_core.el.elements.inline import A

from otp_app.components.words import COUNTRIES, COUNTRY, say

Text = rx.Var[str] | str
Prop = Any
"""The value of an HTML attribute. Reflex checks its type at compile time."""
Handler = Any
"""An `@rx.event` method of a State, whose type mypy infers as the decorator's own class."""


def choose(condition: Prop, yes: Text, no: Text = "") -> rx.Var[str]:
    """Return `rx.cond` of two texts, a case that the type hints of `rx.cond` leave out."""
    return cast("rx.Var[str]", rx.cond(condition, yes, no))  # type: ignore[call-overload]


def error_summary(id_: str, error: Text, field: Text) -> rx.Component:
    """Return the error summary at the top of a page, which takes the focus after an error.

    The outer element is always present, so that it can take the focus. Screen readers announce the
    summary when *error* is not empty.

    Args:
        id_: the id of the outer element.
        error: the text of the error; empty if there is none.
        field: the id of the field that the error links to.
    """
    return rx.el.div(
        rx.cond(
            error,
            rx.el.div(
                rx.el.h2(say("There is a problem")),
                A.create(error, href=f"#{field}"),  # `rx.el.a` is the router's: no focus
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
    """Return a labelled input with its hint, its error if there is one, and *below* under it."""
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
    """Return a labelled native select of countries, with the person's likely country selected."""
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
    """Return radio buttons for the (value, text) pairs of *options*, the first one checked."""
    first = options[0][0]
    return rx.el.fieldset(
        rx.el.legend(legend),
        rx.el.p(hint, id=f"{name}-hint", class_name="hint"),
        *(_choice(name, value, text, chosen=value == first) for value, text in options),
        aria_describedby=f"{name}-hint",
        class_name="choices",
    )


def submit(text: Text) -> rx.Component:
    """Return the primary button of a form."""
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
