"""A team's own words, laid over ours: `texts/LANGUAGE.po`, with our English sentences as keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from babel.messages.pofile import PoFileError, read_po

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from babel import Locale
    from babel.messages.catalog import Catalog, Message

TEXTS = Path("texts")
_TEMPLATE_NAME = "otp_app/i18n/locales/messages.pot"
_PLACE = re.compile(r"\{(\w+)\}")


class TextsUnusable(Exception):
    """A team's words cannot be used. Its text says which, where, and what to do."""


def read(folder: Path, locales: Mapping[str, Locale], template: Catalog) -> dict[str, Catalog]:
    """The catalogues of *folder*, by the names of *locales*; none, if there is no such folder.

    Raises:
        TextsUnusable: naming all that is wrong.
    """
    found = {path: _catalogue(path, locales) for path in sorted(folder.glob("*.po"))}
    problems = [
        f"{path}: {problem}"
        for path, catalogue in found.items()
        for problem in (
            [catalogue] if isinstance(catalogue, str) else _problems(catalogue, template)
        )
    ]
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise TextsUnusable(f"The texts cannot be used:\n{lines}")
    return {path.stem: one for path, one in found.items() if not isinstance(one, str)}


def _catalogue(path: Path, locales: Mapping[str, Locale]) -> Catalog | str:
    """What is in the file, or what is wrong with it."""
    if path.stem not in locales:
        return (
            f"is for none of our languages. We have {', '.join(f'{name}.po' for name in locales)}"
        )
    try:
        with path.open("rb") as file:
            return read_po(file, locale=locales[path.stem], abort_invalid=True)
    except (PoFileError, UnicodeDecodeError) as exc:
        return f"is no gettext catalogue: {exc}"


def _problems(catalogue: Catalog, template: Catalog) -> Iterator[str]:
    for message in catalogue:
        if message.id and message.id not in template:
            yield f'"{_key(message)}" is no sentence of ours. Copy it from {_TEMPLATE_NAME}'
        elif message.id and (unknown := _unknown_places(message)):
            yield f'"{_key(message)}" is given no {unknown}'


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def _unknown_places(message: Message) -> str:
    """The braces of its words that stand for nothing which the sentence mentions."""
    known = set(_PLACE.findall(_key(message)))
    forms = (message.string,) if isinstance(message.string, str) else message.string or ()
    said = " ".join(form or "" for form in forms)
    unknown = [f"{{{name}}}" for name in _PLACE.findall(said) if name not in known]
    return ", ".join(unknown + re.findall("[{}]", _PLACE.sub("", said)))
