"""The languages of the app: gettext catalogues, read by Babel, and the choice of one for a person.

The keys of a catalogue are the English sentences. Values stand in a sentence as placeholders, such
as `{name}`. The first placeholder decides the plural form. Plural forms are named by CLDR's plural
categories, as in browsers: https://cldr.unicode.org/index/cldr-spec/plural-rules
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import combining, normalize

from babel import Locale
from babel.core import get_global, parse_locale

from otp_app.i18n import texts
from otp_app.phone import SATELLITE_AND_GLOBAL, dial_code, regions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from babel.messages.catalog import Catalog

Sentence = str | tuple[str, str]
"""An English sentence, or the pair of its singular and its plural."""

SOURCE = Locale("en")
LOCALES = Path(__file__).with_name("locales")
TEMPLATE = LOCALES / "messages.pot"

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_MOST_TAGS = 20  # tags of an `Accept-Language` that are read; browsers send a few
_KEPT_HEADERS = 512  # values of `Accept-Language` whose language is kept; a few dozen are common
_LONGEST_KEPT = 128  # characters of such a value; browsers send fewer, and anybody can send 8 kB


@dataclass(frozen=True, eq=False)
class Language:
    """A language of the pages.

    Attributes:
        locale: the CLDR locale.
        own: the team's own catalogue, if there is one.
    """

    locale: Locale
    own: Catalog | None = field(default=None, repr=False)

    @cached_property
    def words(self) -> Mapping[str, str | Mapping[str, str]]:
        """The translation of each English sentence: a text, or texts by plural category.

        A sentence that is missing is shown in English. The catalogue is read at the first use,
        because it takes 10 to 20 ms.
        """
        catalogues = [self.own] if self.own else []
        if self.locale != SOURCE:
            path = LOCALES / str(self.locale) / "LC_MESSAGES" / "messages.po"
            catalogues.append(texts.catalogue(path, self.locale))
        return dict(texts.words(_template(), catalogues, self.locale))

    @property
    def tag(self) -> str:
        """The BCP 47 tag, for `html lang`."""
        return str(self.locale).replace("_", "-")

    @property
    def direction(self) -> str:
        """The direction of writing: `ltr` or `rtl`."""
        return self.locale.text_direction

    @property
    def name(self) -> str:
        """The name of the language in the language itself, capitalised."""
        name = self.locale.get_display_name() or self.tag
        return name[0].upper() + name[1:]

    def t(self, sentence: Sentence, **values: object) -> str:
        """Translate *sentence*, with *values* for its placeholders, as `t` of the pages does."""
        key = key_of(sentence)
        text = self.words.get(key, key)
        if not isinstance(text, str):
            text = text[self.locale.plural_form(int(str(values[plural_placeholder(key)])))]
        return text.format_map(values)

    def country(self, region: str) -> str:
        """Return the name of an ISO 3166-1 region, or "this country" for a number without one."""
        if region in ("", SATELLITE_AND_GLOBAL):
            return self.t("this country")
        return str(self.locale.territories.get(region, region))

    def countries(self, served: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
        """Return (code, "Name (+calling code)") pairs of the *served* regions, sorted by name.

        An empty *served* stands for all regions that have phone numbers.
        """
        names = {region: self.country(region) for region in served & regions() or regions()}
        ordered = sorted(names, key=lambda region: _sortable(names[region]))
        return [
            (region, f"{names[region]} ({self.left_to_right(f'+{dial_code(region)}')})")
            for region in ordered
        ]

    def left_to_right(self, number: str) -> str:
        """Return *number* so that its + stays in front of it in a right-to-left text.

        The mark U+200E does this: https://www.unicode.org/reports/tr9/#Implicit_Directional_Marks
        """
        return number if self.direction == "ltr" else f"\u200e{number}"


def key_of(sentence: Sentence) -> str:
    """Return the key of *sentence* in the catalogues: its text, or its singular."""
    return sentence if isinstance(sentence, str) else sentence[0]


def plural_placeholder(english: str) -> str:
    """Return the name of the placeholder that decides the plural form: the sentence's first.

    Raises:
        ValueError: the sentence has no placeholder.
    """
    found = _PLACEHOLDER.search(english)
    if not found:
        raise ValueError("a sentence with plural forms needs a {placeholder}")
    return found[1]


@cache
def languages() -> Mapping[str, Language]:
    """Return all languages by tag: English, and one for each folder of `locales/`.

    The team's own texts override the built-in ones. Unusable texts end the process with a message
    that gives the reason.
    """
    try:
        own = own_texts()
    except texts.TextsUnusable as exc:
        raise SystemExit(str(exc)) from None
    found = (Language(locale, own.get(name)) for name, locale in _locales().items())
    return {language.tag: language for language in found}


def own_texts() -> dict[str, Catalog]:
    """Return the team's own catalogues by locale name.

    Raises:
        TextsUnusable: some cannot be used. The text of the error names all problems.
    """
    return texts.read(texts.TEXTS, _locales(), _template)


def _locales() -> dict[str, Locale]:
    folders = sorted(path.name for path in LOCALES.iterdir() if path.is_dir())
    return {str(SOURCE): SOURCE} | {name: Locale.parse(name) for name in folders}


def english() -> Language:
    """Return English, the language that the sentences are written in."""
    return languages()[str(SOURCE)]


def negotiate(wanted: str, accept: str = "") -> Language:
    """Return the language with the tag *wanted*, else the best for *accept*, else English.

    *accept* is an `Accept-Language` header: RFC 9110 section 12.5.4. The script of a language has
    to match, its region does not. CLDR's likely subtags fill in the parts that a tag leaves out.
    """
    if wanted in languages():
        return languages()[wanted]
    return best_for(accept) or english()


def best_for(accept: str) -> Language | None:
    """Return the best language for an `Accept-Language`, or None if the app has none of them."""
    find = kept_tag if len(accept) <= _LONGEST_KEPT else _best_tag
    tag = find(accept)
    return languages()[tag] if tag else None


def _best_tag(accept: str) -> str:
    """Return the tag of the best language for an `Accept-Language`, empty if there is none."""
    return next(filter(None, map(_nearest, _accepted(accept))), "")


kept_tag = lru_cache(_KEPT_HEADERS)(_best_tag)
"""`_best_tag` with the latest results kept, because every request asks for a language."""


def likely_country(accept: str, served: frozenset[str], fallback: str) -> str:
    """Return the first region of an `Accept-Language` that is *served*, else *fallback*.

    For a tag without a region, CLDR's likely subtags supply one. An empty *served* stands for all
    regions that have phone numbers.
    """
    known = served & regions() or regions()
    said = (region for _, _, region in map(_likely, _accepted(accept)))
    return next((region for region in said if region in known), fallback)


def _nearest(tag: str) -> str:
    language, script, region = _likely(tag)
    tags = {other: _likely(other) for other in languages()}
    same = [other for other, parts in tags.items() if parts[:2] == (language, script)]
    return min(same, key=lambda other: tags[other][2] != region) if same else ""


def _accepted(header: str) -> list[str]:
    """Return the tags of an `Accept-Language`, the one with the highest weight first."""
    weighed = [_tag_and_weight(part) for part in header.split(",")[:_MOST_TAGS]]
    return [tag for tag, weight in sorted(weighed, key=lambda pair: -pair[1]) if weight > 0]


def _tag_and_weight(part: str) -> tuple[str, float]:
    tag, _, parameter = part.partition(";")
    weight = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", parameter)
    return tag.strip(), float(weight[1]) if weight else float(not parameter)


def _likely(tag: str) -> tuple[str, str, str]:
    """Return language, script and region of *tag*, with missing parts from CLDR's likely subtags.

    All three are empty if *tag* is not a language tag.
    """
    try:
        language, region, script = parse_locale(tag, sep="-")[:3]
    except ValueError:
        return "", "", ""
    known = get_global("likely_subtags")
    keys = (
        f"{language}_{script}_{region}",
        f"{language}_{region}",
        f"{language}_{script}",
        language,
    )
    full = next((known[key] for key in keys if key in known), language)
    _, likely_region, likely_script = parse_locale(full)[:3]
    return language, script or likely_script or "", region or likely_region or ""


@cache
def _template() -> Catalog:
    """Return the catalogue of all sentences of the app."""
    return texts.catalogue(TEMPLATE, SOURCE)


def _sortable(name: str) -> str:
    """Return *name* without accents, so that Åland is sorted under A. Babel has no collation."""
    return "".join(c for c in normalize("NFD", name) if not combining(c)).casefold()
