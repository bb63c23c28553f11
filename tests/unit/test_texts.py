"""A team's own words go before ours, and cannot break a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otp_app import i18n
from otp_app.i18n import Language, languages, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PROMISE = "{brand} will send you a code to prove that the phone is yours."
ONE, MANY = "{length} number. Spaces do not matter.", "{length} numbers. Spaces do not matter."


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`texts/` of an installation."""
    monkeypatch.setattr(texts, "TEXTS", tmp_path)
    languages.cache_clear()
    yield tmp_path
    languages.cache_clear()


def entry(key: str, said: str) -> str:
    return f'msgid "{key}"\nmsgstr "{said}"\n\n'


def spoken(folder: Path, **files: str) -> Mapping[str, Language]:
    for name, content in files.items():
        (folder / f"{name}.po").write_text(content)
    return languages()


def test_a_sentence_of_ours_is_said_in_their_words(folder: Path) -> None:
    english = entry("Continue", "Go on") + entry(PROMISE, "{brand} texts you.")
    said = spoken(folder, en=english, pt_BR=entry("Continue", "Vamos"))

    assert said["en"].t("Continue") == "Go on"
    assert said["en"].t(PROMISE, brand="Acme") == "Acme texts you."
    assert said["pt-BR"].t("Continue") == "Vamos"


def test_what_they_leave_out_stays_ours(folder: Path) -> None:
    ours = languages()["de"].words
    languages.cache_clear()
    fuzzy, empty = "#, fuzzy\n" + entry("Call me", "?"), entry("Send code", "")

    theirs = spoken(folder, de=entry("Continue", "Los") + fuzzy + empty)["de"].words

    assert {key for key in ours if ours[key] != theirs[key]} == {"Continue"}
    assert ours.keys() == theirs.keys()


def test_what_counts_has_their_forms(folder: Path) -> None:
    ids, forms = f'msgid "{ONE}"\nmsgid_plural "{MANY}"', ("{length}!", "Type {length}")
    numbered = "\n".join(f'msgstr[{n}] "{form}"' for n, form in enumerate(forms))
    said = spoken(folder, en=f"{ids}\n{numbered}\n")

    assert said["en"].t((ONE, MANY), length=1) == "1!"
    assert said["en"].t((ONE, MANY), length=6) == "Type 6"
    assert said["nl"].t((ONE, MANY), length=6) not in {"Type 6", MANY}


def test_a_place_can_be_left_out(folder: Path) -> None:
    said = spoken(folder, en=entry(PROMISE, "We text you."))

    assert said["en"].t(PROMISE, brand="Acme") == "We text you."


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("en", entry("Continue", "Go on {brand}"), '"Continue" is given no {brand}'),
        ("en", entry(PROMISE, "{brand.name}"), f'"{PROMISE}" is given no {{, }}'),
        ("en", entry(PROMISE, "{brand!r} {0}"), "is given no {0}, {, }"),
        ("en", entry(PROMISE, "{ {brand}"), "is given no {"),
        ("en", entry("Contineu", "Go on"), '"Contineu" is no sentence of ours. Copy it from'),
        ("en", "Continue: Go on", "is no gettext catalogue"),
        ("cs", entry("Continue", "Dále"), "is for none of our languages. We have en.po, ar.po"),
        ("pt-BR", entry("Continue", "Vamos"), "is for none of our languages"),
    ],
)
def test_words_that_cannot_be_used_end_the_start_with_the_reason(
    folder: Path, name: str, content: str, why: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        spoken(folder, **{name: content})

    assert f"{name}.po: " in str(caught.value)
    assert why in str(caught.value)


def test_all_that_is_wrong_is_said_at_once(folder: Path) -> None:
    (folder / "xx.po").write_text("")
    (folder / "de.po").write_bytes(b'msgid "Continue"\nmsgstr "\xff"\n')

    with pytest.raises(texts.TextsUnusable) as caught:
        i18n.own_texts()

    assert len(str(caught.value).splitlines()) == 3


def test_there_need_be_no_folder(folder: Path) -> None:
    folder.rmdir()

    assert len(languages()) == 11
