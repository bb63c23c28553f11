"""A language that nobody speaks, for whoever looks for words that no catalogue has.

It is put in the place of a real one, in a copy of the app: as anybody adds a language.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from tests.browser.server import copy_app

if TYPE_CHECKING:
    from pathlib import Path

TAG = "eo"  # Babel knows its plural forms and clock times, and browsers ask for it

_LETTERS = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "áƀćđéƒǵħíĵķłḿńóṕɋŕśťúṽŵẍýźÁƁĆĐÉƑǴĦÍĴĶŁḾŃÓṔɊŔŚŤÚṼŴẌÝŹ",
)


def pseudo(text: str) -> str:
    """*text* without a plain letter, a third longer, with its places as they were."""
    parts = re.split(r"(\{\w+\})", text)
    disguised = "".join(part if part[:1] == "{" else part.translate(_LETTERS) for part in parts)
    return disguised + "~" * (len(text) // 3)


def copy_with_pseudo(folder: Path) -> Path:
    """The app in *folder*, with the language added."""
    copy_app(folder)
    locales = folder / "otp_app" / "i18n" / "locales"
    catalogue = locales / TAG / "LC_MESSAGES"
    catalogue.mkdir(parents=True)
    with (
        (locales / "messages.pot").open("rb") as template,
        (catalogue / "messages.po").open("wb") as out,
    ):
        write_po(out, _translated(read_po(template)))
    return folder


def _translated(template: Catalog) -> Catalog:
    translated = Catalog(Locale(TAG), fuzzy=False)
    for message in template:
        if message.id:
            ids = message.id
            text = pseudo(ids) if isinstance(ids, str) else tuple(map(pseudo, ids))
            translated.add(ids, text)
    return translated
