"""Texts on a page, in the person's language. `assets/say.js` translates them.

Pages are built once and served in every language. The Python code has the English texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import reflex as rx
from reflex.utils.imports import ImportVar
from reflex.vars import VarData

if TYPE_CHECKING:
    from otp_app.components.forms import Prop, Text
    from otp_app.i18n.languages import Sentence as English

_MODULE = "$/public/say"

SAID: set[str] = set()
"""All English texts of the pages. The server sends their translations with each page."""


def say(english: str, **values: Text) -> rx.vars.StringVar[str]:
    """Translate *english* into the person's language, with *values* for its placeholders."""
    SAID.add(english)
    return cast("rx.vars.StringVar[str]", _SAY.call(english, values).to(str))


def count(english: English, **values: Prop) -> rx.Var[str]:
    """Translate a sentence marked by `plural`. The value of its first placeholder is the number."""
    return say(english[0], **values)


def sentence(english: str, **elements: rx.Component) -> rx.Component:
    """Translate *english* with *elements* for its placeholders, in the translation's order."""
    SAID.add(english)
    return Sentence.create(*elements.values(), english=english, names=list(elements))


def for_script(english: English) -> str:
    """Return the key of a sentence marked by `plural` that a script translates in the browser."""
    SAID.add(english[0])
    return english[0]


class Sentence(rx.Component):
    """The React component `Sentence` of `say.js`: a translated sentence with elements in it."""

    library = _MODULE
    tag = "Sentence"

    english: rx.Var[str]
    names: rx.Var[list[str]]


def _of_countries(name: str, type_: Any) -> rx.Var[Any]:  # noqa: ANN401 - Reflex's type
    imports = VarData(imports={"$/public/countries": [ImportVar(name)]})
    return rx.Var(name, _var_type=type_, _var_data=imports)


_SAY: Any = rx.vars.FunctionStringVar.create(
    "say", _var_data=VarData(imports={_MODULE: [ImportVar("say")]})
)
COUNTRIES = _of_countries("COUNTRIES", list[list[str]])
"""(ISO 3166-1 code, name with calling code) pairs of the served countries, from `countries.js`."""
COUNTRY = _of_countries("COUNTRY", str)
"""The ISO 3166-1 code of the person's likely country, from `countries.js`."""
