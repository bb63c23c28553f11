"""The languages of the app: gettext catalogues, read by Babel, and which one a person wants.

A catalogue's keys are the English sentences. What a sentence mentions stands in it as `{name}`; a
sentence with plural forms counts its first one. The forms go by CLDR's categories, which browsers
know too: https://cldr.unicode.org/index/cldr-spec/plural-rules
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from gettext import c2py
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import combining, normalize

from babel import Locale
from babel.core import get_global, parse_locale
from babel.messages.pofile import read_po

from otp_app.i18n import texts
from otp_app.phone import SATELLITE_AND_GLOBAL, dial_code, regions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from babel.messages.catalog import Catalog, Message

Sentence = str | tuple[str, str]
"""In English; with its plural where it has one."""

SOURCE = Locale("en")
LOCALES = Path(__file__).with_name("locales")
TEMPLATE = LOCALES / "messages.pot"

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_SAMPLES = (*range(1, 200), 0, 1_000_000)  # every category of CLDR has one of these numbers
_MOST_TAGS = 20  # of an `Accept-Language`; browsers send a handful


@dataclass(frozen=True, eq=False)
class Language:
    """A language that the pages speak.

    Attributes:
        words: by the English sentence what stands for it; forms by plural category where it counts.
    """

    locale: Locale
    words: Mapping[str, str | Mapping[str, str]]

    @property
    def tag(self) -> str:
        """Its name by BCP 47, as `html lang` wants it."""
        return str(self.locale).replace("_", "-")

    @property
    def direction(self) -> str:
        """Where its lines run: `ltr` or `rtl`."""
        return self.locale.text_direction

    @property
    def name(self) -> str:
        """What its speakers call it."""
        name = self.locale.get_display_name() or self.tag
        return name[0].upper() + name[1:]

    def say(self, english: Sentence, **values: object) -> str:
        """*english* in this language, with *values* in their places."""
        key = english if isinstance(english, str) else english[0]
        said = self.words.get(key, key)
        if not isinstance(said, str):
            said = said[self.locale.plural_form(int(str(values[counted(key)])))]
        return said.format_map(values)

    def country(self, region: str) -> str:
        """The name of an ISO 3166-1 region."""
        if region in ("", SATELLITE_AND_GLOBAL):
            return self.say("this country")
        return str(self.locale.territories.get(region, region))

    def countries(self, served: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
        """The regions *served*, or all with phone numbers, as (code, "Name (+code)"), by name."""
        names = {region: self.country(region) for region in served & regions() or regions()}
        ordered = sorted(names, key=lambda region: _sortable(names[region]))
        return [
            (region, f"{names[region]} ({self.left_to_right(f'+{dial_code(region)}')})")
            for region in ordered
        ]

    def left_to_right(self, number: str) -> str:
        """*number*, whose + stays before it where lines run from the right.

        By the mark U+200E: https://www.unicode.org/reports/tr9/#Implicit_Directional_Marks
        """
        return number if self.direction == "ltr" else f"\u200e{number}"


def counted(english: str) -> str:
    """The placeholder that decides the plural form: a sentence's first."""
    found = _PLACEHOLDER.search(english)
    if not found:
        raise ValueError("a sentence with plural forms needs a {placeholder}")
    return found[1]


@cache
def languages() -> Mapping[str, Language]:
    """All of them, by their tags: English, and each folder of `locales/`.

    A team's own words go before ours; if they cannot be used, they end the process and say why.
    """
    try:
        own = own_texts()
    except texts.TextsUnusable as exc:
        raise SystemExit(str(exc)) from None
    found = [_read(locale, own.get(name)) for name, locale in _locales().items()]
    return {language.tag: language for language in found}


def own_texts() -> dict[str, Catalog]:
    """The catalogues that the team has laid over ours, by the names of ours.

    Raises:
        TextsUnusable: naming all that is wrong with them.
    """
    return texts.read(texts.TEXTS, _locales(), _catalogue(TEMPLATE, SOURCE))


def _locales() -> dict[str, Locale]:
    folders = sorted(path.name for path in LOCALES.iterdir() if path.is_dir())
    return {str(SOURCE): SOURCE} | {name: Locale.parse(name) for name in folders}


def english() -> Language:
    """The language that the words are written in."""
    return languages()[str(SOURCE)]


def choose(wanted: str, accept: str = "") -> Language:
    """The one of tag *wanted*, else the best for an `Accept-Language`, else English.

    A script must be understood, a region need not: RFC 9110 section 12.5.4, and CLDR's likely
    subtags for what a tag leaves out.
    """
    if wanted in languages():
        return languages()[wanted]
    return best_for(accept) or english()


def best_for(accept: str) -> Language | None:
    """The best for an `Accept-Language`; none, if it names none that we speak."""
    return next(filter(None, map(_nearest, _accepted(accept))), None)


def likely_country(accept: str, served: frozenset[str], fallback: str) -> str:
    """The region of an `Accept-Language`, said or likely, that is *served*; else *fallback*."""
    known = served & regions() or regions()
    said = (region for _, _, region in map(_likely, _accepted(accept)))
    return next((region for region in said if region in known), fallback)


def _nearest(tag: str) -> Language | None:
    language, script, region = _likely(tag)
    tags = {other: _likely(other) for other in languages()}
    same = [other for other, parts in tags.items() if parts[:2] == (language, script)]
    return languages()[min(same, key=lambda other: tags[other][2] != region)] if same else None


def _accepted(header: str) -> list[str]:
    """The tags of an `Accept-Language`, the dearest first."""
    weighed = [_weighed(part) for part in header.split(",")[:_MOST_TAGS]]
    return [tag for tag, weight in sorted(weighed, key=lambda pair: -pair[1]) if weight > 0]


def _weighed(part: str) -> tuple[str, float]:
    tag, _, parameter = part.partition(";")
    weight = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", parameter)
    return tag.strip(), float(weight[1]) if weight else float(not parameter)


def _likely(tag: str) -> tuple[str, str, str]:
    """Language, script and region of *tag*; what it leaves out as CLDR finds likely."""
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


def _read(locale: Locale, own: Catalog | None = None) -> Language:
    template = _catalogue(TEMPLATE, SOURCE)
    catalogues = [own] if own else []
    if locale != SOURCE:
        path = LOCALES / str(locale) / "LC_MESSAGES" / "messages.po"
        catalogues.append(_catalogue(path, locale))
    return Language(locale, dict(_words(template, catalogues, locale)))


def _catalogue(path: Path, locale: Locale) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=locale)


def _words(
    template: Catalog, catalogues: Sequence[Catalog], locale: Locale
) -> Iterator[tuple[str, str | Mapping[str, str]]]:
    """What differs from the English keys; English stands in for what nobody has translated."""
    for message in filter(lambda message: message.id, template):
        said, plural = _said(message, catalogues)
        if isinstance(message.id, tuple):
            yield message.id[0], _forms(message.id, said, plural, locale)
        elif said:
            yield str(message.id), said[0]


def _said(message: Message, catalogues: Sequence[Catalog]) -> tuple[tuple[str, ...], str]:
    """What the first catalogue that has it says, and how it numbers its forms."""
    for catalogue in catalogues:
        found = catalogue.get(message.id)
        if found and not found.fuzzy and any(said := _strings(found)):
            return said, catalogue.plural_expr
    return (), "0"


def _strings(message: Message) -> tuple[str, ...]:
    string = message.string or ()
    return (string,) if isinstance(string, str) else tuple(string)


def _forms(
    english: tuple[str, ...], said: tuple[str, ...], plural: str, locale: Locale
) -> dict[str, str]:
    """Text by category. A catalogue numbers its forms, by the C expression *plural*."""
    index = c2py(plural)
    samples = {locale.plural_form(n): n for n in reversed(_SAMPLES)}
    numbered = {category: index(n) for category, n in samples.items()}
    return {
        category: said[number]
        if number < len(said) and said[number]
        else english[category != "one"]
        for category, number in numbered.items()
    }


def _sortable(name: str) -> str:
    """*name* without accents: Åland by A. Babel has no collation."""
    return "".join(c for c in normalize("NFD", name) if not combining(c)).casefold()
