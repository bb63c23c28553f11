"""The catalogues: those of the app, and a team's own texts, which override them.

The team's texts are in `texts/LANGUAGE.po`. The keys are the app's English sentences.
"""

from __future__ import annotations

import re
from functools import cache
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from babel import Locale
    from babel.messages.catalog import Message

TEXTS = Path("texts")
_TEMPLATE_NAME = "otp_app/i18n/locales/messages.pot"
_PLACE = re.compile(r"\{(\w+)\}")
_SAMPLES = (*range(1, 200), 0, 1_000_000)  # each plural category of CLDR has one of these numbers


class TextsUnusable(Exception):
    """A team's texts cannot be used. The text of the error says which, where, and what to do."""


def read(
    folder: Path, locales: Mapping[str, Locale], template: Callable[[], Catalog]
) -> dict[str, Catalog]:
    """Return the catalogues of *folder* by locale name; none if there is no such folder.

    Args:
        folder: the folder with the team's `.po` files.
        locales: the locales of the app, by name.
        template: returns the catalogue of all sentences of the app.

    Raises:
        TextsUnusable: some cannot be used. The text of the error names all problems.
    """
    found = {path: _own(path, locales) for path in sorted(folder.glob("*.po"))}
    problems = [
        f"{path}: {problem}"
        for path, catalogue in found.items()
        for problem in (
            [catalogue] if isinstance(catalogue, str) else _problems(catalogue, template())
        )
    ]
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise TextsUnusable(f"The texts cannot be used:\n{lines}")
    return {path.stem: one for path, one in found.items() if not isinstance(one, str)}


def _own(path: Path, locales: Mapping[str, Locale]) -> Catalog | str:
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


def catalogue(path: Path, locale: Locale) -> Catalog:
    """Return the catalogue in the file *path*."""
    with path.open("rb") as file:
        return read_po(file, locale=locale)


def words(
    template: Catalog, catalogues: Sequence[Catalog], locale: Locale
) -> Iterator[tuple[str, str | Mapping[str, str]]]:
    """Yield English sentences and their translations. Sentences in English only are left out.

    Sentences with plural forms are always included, with English for forms that are missing.
    """
    for message in filter(lambda message: message.id, template):
        strings, catalogue = next(_translations(message, catalogues), ((), template))
        if isinstance(message.id, tuple):
            one, many = message.id
            yield one, _forms((one, many), strings, catalogue, locale)
        elif strings:
            yield str(message.id), strings[0]


def _translations(
    message: Message, catalogues: Sequence[Catalog]
) -> Iterator[tuple[tuple[str, ...], Catalog]]:
    """Yield the strings of each catalogue that translates *message*, with the catalogue."""
    for catalogue in catalogues:
        found = catalogue.get(message.id)
        string = (found and not found.fuzzy and found.string) or ()
        strings = (string,) if isinstance(string, str) else tuple(string)
        if any(strings):
            yield strings, catalogue


def _forms(
    english: tuple[str, str], strings: tuple[str, ...], catalogue: Catalog, locale: Locale
) -> dict[str, str]:
    """Return the text for each plural category of *locale*, in *english* where a form is missing.

    *catalogue* numbers its forms, and *strings* has the forms in that order.
    """
    known = dict(enumerate(strings))
    return {
        category: known.get(number) or english[category != "one"]
        for category, number in _numbers_of_forms(catalogue.plural_forms, locale).items()
    }


@cache
def _numbers_of_forms(plural_forms: str, locale: Locale) -> Mapping[str, int]:
    """Return the number of the form for each plural category of *locale*.

    gettext has no public function that applies a `Plural-Forms` header to a number, so this
    compiles a catalogue whose forms are their own numbers.
    """
    numbers = Catalog(locale=locale)
    numbers.mime_headers = [("Plural-Forms", plural_forms)]
    numbers.add(("one", "many"), tuple("0123456789"))  # no language has more than six forms
    write_mo(file := BytesIO(), numbers)
    forms = GNUTranslations(BytesIO(file.getvalue()))
    samples = {locale.plural_form(n): n for n in reversed(_SAMPLES)}
    return {category: int(forms.ngettext("one", "many", n)) for category, n in samples.items()}
