"""The message that brings a code, wherever its words are ours to choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_app.i18n.marks import _

if TYPE_CHECKING:
    from otp_app.i18n.languages import Language

TEXT = _("{code} is your {brand} code. Do not share it.")
"""Code first, as it stands in a notification; who it is from; what to beware of; no link.

To be translated in letters of GSM-7 (3GPP TS 23.038 section 6.2.1) where the language can do it:
then a message has room for 160 of them, and else for 70.
"""


def code_message(code: str, brand: str, language: Language) -> str:
    """The words alone, as WhatsApp brings them."""
    return language.say(TEXT, code=code, brand=brand)


def text_message(code: str, brand: str, domain: str, language: Language) -> str:
    """The words, and the line that binds the code to *domain*: autofill offers it nowhere else.

    https://developer.apple.com/documentation/security/enabling-autofill-for-domain-bound-sms-codes
    and https://wicg.github.io/sms-one-time-codes/#format
    """
    return f"{code_message(code, brand, language)}\n\n@{domain} #{code}"
