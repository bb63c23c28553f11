"""Words on a page, in the language of the person who reads it. The work is in `assets/say.js`.

Pages are built once and served in every language: what stands here is their English.
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
"""All that the pages say: what the server sends along with them."""


def say(english: str, **values: Text) -> rx.vars.StringVar[str]:
    """*english* in the person's language, with *values* in the places named for them."""
    SAID.add(english)
    return cast("rx.vars.StringVar[str]", _SAY.call(english, values).to(str))


def count(english: English, **values: Prop) -> rx.Var[str]:
    """The same for a sentence that `plural` has marked: by the number in its first place."""
    return say(english[0], **values)


def sentence(english: str, **elements: rx.Component) -> rx.Component:
    """The same with elements in the places, each of which can move."""
    SAID.add(english)
    return Sentence.create(*elements.values(), english=english, names=list(elements))


def for_script(english: English) -> str:
    """A sentence that a script says, and counts in."""
    SAID.add(english[0])
    return english[0]


class Sentence(rx.Component):
    """`Sentence` of `say.js`."""

    library = _MODULE
    tag = "Sentence"

    english: rx.Var[str]
    names: rx.Var[list[str]]


def _of_countries(name: str, type_: Any) -> rx.Var[Any]:  # noqa: ANN401 - what Reflex takes
    imports = VarData(imports={"$/public/countries": [ImportVar(name)]})
    return rx.Var(name, _var_type=type_, _var_data=imports)


_SAY: Any = rx.vars.FunctionStringVar.create(
    "say", _var_data=VarData(imports={_MODULE: [ImportVar("say")]})
)
COUNTRIES = _of_countries("COUNTRIES", list[list[str]])
"""(ISO 3166-1 code, name with calling code) pairs of all that are served: `countries.js`."""
COUNTRY = _of_countries("COUNTRY", str)
"""The code of the country that the person is likely in."""
