"""Components of the pages: texts and the parts of a form. No component imports a state.

Pages are built once and served in every language, so the texts in the code are English. The
function `t` of `assets/components.js` translates them in the browser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import reflex as rx

from otp_app.i18n import key_of
from otp_app.reflex_compat import A, Element, ImportVar, VarData

if TYPE_CHECKING:
    from otp_app.i18n import Sentence

MODULE = "$/public/components"
"""The JavaScript module `assets/components.js`, as Reflex imports it."""


class Translator:
    """Translates the texts of the pages into the person's language, in the browser.

    Attributes:
        sentences: the English texts of all pages. The server sends their translations with each
            page.
    """

    def __init__(self) -> None:
        self.sentences: set[str] = set()

    def __call__(self, sentence: Sentence, **values: Prop) -> rx.vars.StringVar[str]:
        """Translate *sentence*, with *values* for its placeholders.

        The first placeholder of a sentence with plural forms is the number.
        """
        return cast("rx.vars.StringVar[str]", _T.call(self.key(sentence), values).to(str))

    def rich(self, sentence: Sentence, **elements: rx.Component) -> rx.Component:
        """Translate *sentence* with *elements* for its placeholders, in the translation's order."""
        return Rich.create(*elements.values(), english=self.key(sentence), names=list(elements))

    def key(self, sentence: Sentence) -> str:
        """Return the key by which a script translates *sentence*."""
        key = key_of(sentence)
        self.sentences.add(key)
        return key


t = Translator()


class Rich(rx.Component):
    """The React component `Rich` of `components.js`: a translated sentence with elements in it."""

    library = MODULE
    tag = "Rich"

    english: rx.Var[str]
    names: rx.Var[list[str]]


def _of_countries(name: str, type_: Any) -> rx.Var[Any]:  # noqa: ANN401 - Reflex's type
    imports = VarData(imports={"$/public/countries": [ImportVar(name)]})
    return rx.Var(name, _var_type=type_, _var_data=imports)


_T: Any = rx.vars.FunctionStringVar.create(
    "t", _var_data=VarData(imports={MODULE: [ImportVar("t")]})
)
COUNTRIES = _of_countries("COUNTRIES", list[list[str]])
"""(ISO 3166-1 code, name with calling code) pairs of the served countries, from `countries.js`."""
COUNTRY = _of_countries("COUNTRY", str)
"""The ISO 3166-1 code of the person's likely country, from `countries.js`."""


Text = rx.Var[str] | str
Prop = Any
"""The value of an HTML attribute. Reflex checks its type at compile time."""
Handler = Any
"""An `@rx.event` method of a State, whose type mypy infers as the decorator's own class."""


def text_if(condition: Prop, yes: Text, no: Text = "") -> rx.Var[str]:
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
                rx.el.h2(t("There is a problem")),
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
    described_by = text_if(error, f"{id_}-hint {id_}-error", f"{id_}-hint")
    return rx.el.div(
        rx.el.label(label, html_for=id_),
        rx.el.p(hint, id=f"{id_}-hint", class_name="hint"),
        rx.cond(error, _error_text(id_, error)),
        rx.el.input(
            id=id_,
            name=id_,
            aria_invalid=text_if(error, "true", "false"),
            aria_describedby=described_by,
            **props,
        ),
        *below,
        class_name=text_if(error, "field wrong", "field"),
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
        rx.el.span(t("Error:"), " ", class_name="unseen"),
        error,
        id=f"{id_}-error",
        class_name="error",
    )


def live_form(*content: rx.Component, action: str, handler: Handler, saying: Text) -> rx.Component:
    """A form that calls *handler*, or posts to *action* while the page is not live."""
    return rx.el.form(
        *content,
        method="post",
        action=action,
        on_submit=handler,
        no_validate=True,
        custom_attrs={"data-live": rx.State.is_hydrated, "data-pending": saying},
    )
