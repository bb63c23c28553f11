"""The catalogues are complete, and people get the language they read."""

from __future__ import annotations

import re
from gettext import GNUTranslations
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from babel import Locale
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_keywords, parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from otp_app import i18n
from otp_app.i18n import (
    LOCALES,
    TEMPLATE,
    Language,
    best_for,
    kept_tag,
    languages,
    likely_country,
    negotiate,
    plural_placeholder,
)

if TYPE_CHECKING:
    from pathlib import Path

    from babel.messages.catalog import Catalog

TRANSLATED = sorted(path.name for path in LOCALES.iterdir() if path.is_dir())
KEYWORDS = parse_keywords(["t", "rich", "_:1,1t", "_:1,2"])


def catalogue(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file)


def translations(name: str) -> Catalog:
    return catalogue(LOCALES / name / "LC_MESSAGES" / "messages.po")


def forms(text: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text or ())


def compiled(catalogue: Catalog) -> GNUTranslations:
    file = BytesIO()
    write_mo(file, catalogue)
    return GNUTranslations(BytesIO(file.getvalue()))


def places(text: str) -> set[str]:
    return set(re.findall(r"\{\w+\}", text))


def test_the_template_has_what_the_sources_say() -> None:
    with (LOCALES.parent / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    found = extract_from_dir(
        LOCALES.parents[1], methods, options, keywords=KEYWORDS, strip_comment_tags=True
    )

    said = {found_ids for _, _, found_ids, _, _ in found}

    assert {message.id for message in catalogue(TEMPLATE) if message.id} == said


@pytest.mark.parametrize("name", TRANSLATED)
def test_a_catalogue_says_everything(name: str) -> None:
    template, translated = catalogue(TEMPLATE), translations(name)

    assert {message.id for message in translated} == {message.id for message in template} | {""}
    for message in translated:
        said = forms(message.string)
        assert all(said), message.id
        assert not message.fuzzy, message.id
        assert len(said) == (translated.num_plurals if message.pluralizable else 1)


@pytest.mark.parametrize("name", TRANSLATED)
def test_a_translation_keeps_the_places(name: str) -> None:
    for message in translations(name):
        if not message.id:
            continue
        english = forms(message.id)
        counted = re.findall(r"\{\w+\}", english[0])[:1]
        for text in forms(message.string):
            # Arabic counts one and two by the noun alone.
            missing = places(english[0]) - places(text)
            assert missing <= (set(counted) if message.pluralizable else set()), text
            assert places(text) <= places(english[0]), text


@pytest.mark.parametrize("name", TRANSLATED)
def test_every_plural_form_is_the_one_that_gettext_selects(name: str) -> None:
    catalogue = translations(name)
    gettext, language = compiled(catalogue), languages()[name.replace("_", "-")]
    plurals = [message.id for message in catalogue if isinstance(message.id, tuple)]

    assert plurals
    for one, many in plurals:
        values = dict.fromkeys((place[1:-1] for place in places(one)), "x")
        for number in (*range(1, 200), 1_000_000):
            counted = values | {plural_placeholder(one): number}
            assert language.t((one, many), **counted) == gettext.ngettext(
                one, many, number
            ).format_map(counted)


@pytest.mark.parametrize(
    ("tag", "counted"),
    [
        ("en", {1: "1 digit code", 6: "6 digit code"}),
        ("pl", {1: "1-cyfrowy", 6: "6-cyfrowy"}),
        ("ar", {4: "4 أرقام", 11: "11 رقمًا"}),
        ("ja", {6: "6 桁"}),
    ],
)
def test_numbers_are_counted_as_the_language_does(tag: str, counted: dict[int, str]) -> None:
    for number, text in counted.items():
        assert text in languages()[tag].t("Enter the {length} digit code", length=number)


@pytest.mark.parametrize(
    ("accept", "tag"),
    [
        ("en-GB,en;q=0.9", "en"),
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("da, nl;q=0.5", "nl"),
        ("nl;q=0.1, ja;q=0.9", "ja"),
        ("pt", "pt-BR"),
        ("pt-PT", "pt-BR"),  # another region is better than another language
        ("zh-CN", "zh-Hans"),
        ("zh", "zh-Hans"),
        ("zh-TW, de;q=0.1", "de"),  # another script cannot be read
        ("zh-Hant-HK", "en"),
        ("ar-EG", "ar"),
        ("de;q=0, es", "es"),
        ("DE-at", "de"),
        ("*", "en"),
        ("tlh", "en"),
        ("", "en"),
        (";;q=,,\x00;q=9, " + "x" * 9000, "en"),
    ],
)
def test_a_browser_gets_the_best_it_asks_for(accept: str, tag: str) -> None:
    assert negotiate("", accept).tag == tag


def test_a_flood_of_headers_does_not_fill_the_memory() -> None:
    for index in range(600):
        assert best_for(f"de, nl;q=0.{index:03}") is languages()["de"]
        assert best_for(f"nl, {'x' * 120}{index}") is languages()["nl"]

    kept = kept_tag.cache_info()
    assert kept.currsize == kept.maxsize == 512
    best_for("nl," + "x" * 9000)
    assert kept_tag.cache_info().misses == kept.misses  # a long header is not looked for, nor kept


def test_what_a_person_chose_comes_before_their_browser() -> None:
    assert negotiate("pl", "de").tag == "pl"
    assert negotiate("../../etc", "de").tag == "de"


@pytest.mark.parametrize(
    ("accept", "country"),
    [
        ("en-GB", "GB"),
        ("fr", "FR"),
        ("zh-Hant", "TW"),
        ("pt-BR,pt;q=0.9", "BR"),
        ("es-419,es-MX;q=0.5", "MX"),
        ("en", "US"),
        ("", "NL"),
        ("tlh", "NL"),
    ],
)
def test_the_country_is_where_the_browser_says(accept: str, country: str) -> None:
    assert likely_country(accept, frozenset(), "NL") == country


def test_a_country_that_is_not_served_is_not_offered_first() -> None:
    assert likely_country("fr-FR, fr-BE;q=0.9", frozenset({"BE", "NL"}), "NL") == "BE"
    assert likely_country("ja", frozenset({"BE", "NL"}), "NL") == "NL"


def test_countries_are_listed_by_their_full_names() -> None:
    countries = languages()["en"].countries()

    assert ("GB", "United Kingdom (+44)") in countries
    assert len(countries) > 200
    assert [code for code, _ in countries][:2] == ["AF", "AX"]  # Åland is no Z


def test_countries_go_by_the_names_and_the_order_of_the_language() -> None:
    german = [name for _, name in languages()["de"].countries(frozenset({"GB", "AT", "EG"}))]

    assert german == ["Ägypten (+20)", "Österreich (+43)", "Vereinigtes Königreich (+44)"]


def test_a_sign_stays_before_its_number_where_lines_run_from_the_right() -> None:
    assert languages()["ar"].countries(frozenset({"EG"})) == [("EG", "مصر (\u200e+20)")]


def test_every_language_has_a_name_of_its_own() -> None:
    names = {language.tag: language.name for language in languages().values()}

    assert names["pt-BR"] == "Português (Brasil)"
    assert len(set(names.values())) == len(names) == 11


def test_what_nobody_has_translated_is_said_in_english(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cs" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "messages.po").write_text('msgid "Continue"\nmsgstr "Pokračovat"\n')
    monkeypatch.setattr(i18n, "LOCALES", tmp_path)

    czech = Language(Locale("cs"))

    assert czech.t("Continue") == "Pokračovat"
    assert czech.t("Send code") == "Send code"
    said = [
        czech.t("You can get another code in {seconds} second", seconds=n).partition("in ")[2]
        for n in (1, 3)
    ]
    assert said == ["1 second", "3 seconds"]
