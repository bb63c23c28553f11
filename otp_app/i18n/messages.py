"""The text of a message with a code, for the channels whose text the app chooses itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_app.i18n.marks import _

if TYPE_CHECKING:
    from otp_app.i18n.languages import Language

TEXT = _("{code} is your {brand} code. Do not share it.")
"""The code comes first, so that a notification shows it. The brand and a warning follow, no link.

Translations should use only letters of GSM-7 (3GPP TS 23.038 section 6.2.1) where the language
allows it. A message then has room for 160 letters, otherwise for 70.
"""


def code_message(code: str, brand: str, language: Language) -> str:
    """Return the text of a WhatsApp message, which is the sentence alone."""
    return language.say(TEXT, code=code, brand=brand)


def text_message(code: str, brand: str, domain: str, language: Language) -> str:
    """Return a text message: the sentence, and a line that binds the code to *domain*.

    Autofill then offers the code on that domain only.
    https://developer.apple.com/documentation/security/enabling-autofill-for-domain-bound-sms-codes
    and https://wicg.github.io/sms-one-time-codes/#format
    """
    return f"{code_message(code, brand, language)}\n\n@{domain} #{code}"
