"""The message that brings a code: what it says, how long it is, and what Vonage gets of it."""

from __future__ import annotations

import json

import pytest

from otp_app.__main__ import main
from otp_app.i18n import Language, languages
from otp_app.presentation import code_message, text_message
from otp_app.verification.checking import parse_code

CODE, DOMAIN = "493027", "verify.example.com"
BRAND = "A brand, 16 long"  # the longest that Vonage takes
LAST_LINE = f"@{DOMAIN} #{CODE}"

GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""One character each. 3GPP TS 23.038 section 6.2.1"""
BY_GSM_7 = {"en", "de", "es", "fr", "nl", "pt-BR"}
"""The languages that can be written so, if one chooses one's words."""


every_language = pytest.mark.parametrize(
    "language", languages().values(), ids=lambda language: language.tag
)


@pytest.mark.row("C13")
@every_language
def test_a_text_puts_the_code_first_names_the_service_and_ends_with_the_line_of_its_domain(
    language: Language,
) -> None:
    lines = text_message(CODE, BRAND, DOMAIN, language).split("\n")

    assert lines[0].startswith(CODE)
    assert BRAND in lines[0]
    assert lines[1:] == ["", LAST_LINE]


@pytest.mark.row("C14")
@every_language
def test_a_text_has_no_link_and_fits_in_one_segment_where_the_language_allows(
    language: Language,
) -> None:
    text = text_message(CODE, BRAND, DOMAIN, language)

    assert not any(sign in text for sign in ("http", "://", "www.", "/"))
    if language.tag in BY_GSM_7:
        assert set(text) <= GSM_7
    assert len(text) <= (160 if set(text) <= GSM_7 else 2 * 67)  # of UCS-2: two segments at most


@pytest.mark.row("C14")
def test_a_text_says_not_to_share_the_code() -> None:
    assert "Do not share it" in text_message(CODE, BRAND, DOMAIN, languages()["en"])


@every_language
def test_the_code_is_found_in_the_whole_message_pasted(language: Language) -> None:
    assert parse_code(text_message(CODE, "Studio 54", DOMAIN, language), 6) == CODE


def test_a_whatsapp_message_has_the_words_alone() -> None:
    words = code_message(CODE, BRAND, languages()["en"])

    assert words == f"{CODE} is your {BRAND} code. Do not share it."


def test_vonages_template_gets_a_fragment_for_each_language_it_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PUBLIC_URL", f"https://{DOMAIN}:8443")
    monkeypatch.setenv("OTP_LOCALE", "en-GB")

    assert main(["message"]) == 0

    fragments = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    locales = [fragment["locale"] for fragment in fragments]
    assert {"en-gb", "de-de", "ar-xa", "pt-br", "zh-cn"} <= set(locales)
    assert len(set(locales)) == len(locales) < len(languages())  # it lacks Polish and Japanese
    for fragment in fragments:
        assert fragment.keys() == {"channel", "locale", "text"}
        assert fragment["channel"] == "sms"
        assert fragment["text"].startswith("${code}")
        assert "${brand}" in fragment["text"]
        assert fragment["text"].endswith(f"\n@{DOMAIN} #${{code}}")


def test_settings_that_cannot_be_used_are_told_in_place_of_the_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PUBLIC_URL", "canary")

    assert main(["message"]) == 1

    assert "PUBLIC_URL" in capsys.readouterr().out
