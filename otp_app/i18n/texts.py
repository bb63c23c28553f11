"""A team's own texts, which override the built-in ones.

They are in `texts/LANGUAGE.po`. The keys are the app's English sentences.
"""

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
    """A team's texts cannot be used. The text of the error says which, where, and what to do."""


def read(folder: Path, locales: Mapping[str, Locale], template: Catalog) -> dict[str, Catalog]:
    """Return the catalogues of *folder* by locale name; none if there is no such folder.

    Args:
        folder: the folder with the team's `.po` files.
        locales: the locales of the app, by name.
        template: the catalogue of all sentences of the app.

    Raises:
        TextsUnusable: some cannot be used. The text of the error names all problems.
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
    """Return the catalogue in the file *path*, or a description of the problem with the file."""
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
    """Return the placeholders and stray braces of a translation that its sentence does not have."""
    known = set(_PLACE.findall(_key(message)))
    forms = (message.string,) if isinstance(message.string, str) else message.string or ()
    said = " ".join(form or "" for form in forms)
    unknown = [f"{{{name}}}" for name in _PLACE.findall(said) if name not in known]
    return ", ".join(unknown + re.findall("[{}]", _PLACE.sub("", said)))
