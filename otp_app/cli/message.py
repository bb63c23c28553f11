"""`python -m otp_app message`: prints the text message as fragments of a Vonage template.

Each line is a JSON object, the body of one POST request. There is one line for each language that
Vonage supports: https://developer.vonage.com/en/api/verify.v2#addTemplateFragmentToTemplate
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from otp_app.config import SettingsError, load_settings
from otp_app.i18n import languages
from otp_app.presentation import text_message
from otp_app.providers.vonage.requests import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE, BRAND = "${code}", "${brand}"
"""Placeholders that Vonage replaces with the code and the brand."""


def run() -> int:
    """Print all fragments. Return the exit code: 1 if the settings cannot be used, else 0."""
    try:
        settings = load_settings()
    except SettingsError as exc:
        sys.stdout.write(f"{exc}\n")
        return 1
    for fragment in fragments(settings.domain, settings.otp_locale):
        sys.stdout.write(f"{json.dumps(fragment, ensure_ascii=False)}\n")
    return 0


def fragments(domain: str, operators: str) -> Iterator[dict[str, str]]:
    """Yield the fragment of each language that Vonage supports.

    Args:
        domain: the host whose pages may fill in the code.
        operators: OTP_LOCALE. The locale of a fragment is the one that the app requests for the
            language with this setting.
    """
    for language in languages().values():
        if locale := nearest(language.tag, nearest(operators) or ""):
            text = text_message(CODE, BRAND, domain, language)
            yield {"channel": "sms", "locale": locale, "text": text}
