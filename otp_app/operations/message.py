"""`python -m otp_app message`: the text message, as Vonage takes it for a template's fragments.

One JSON object a line, the body of a post for each language that Vonage has:
https://developer.vonage.com/en/api/verify.v2#addTemplateFragmentToTemplate
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from otp_app.config import SettingsError, load_settings
from otp_app.i18n.languages import languages
from otp_app.i18n.messages import text_message
from otp_app.providers.vonage_requests import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE, BRAND = "${code}", "${brand}"
"""What Vonage puts its own in place of."""


def run() -> int:
    """Tell all; 1 if the settings cannot be used, else 0."""
    try:
        settings = load_settings()
    except SettingsError as exc:
        sys.stdout.write(f"{exc}\n")
        return 1
    for fragment in fragments(settings.domain, settings.otp_locale):
        sys.stdout.write(f"{json.dumps(fragment, ensure_ascii=False)}\n")
    return 0


def fragments(domain: str, operators: str) -> Iterator[dict[str, str]]:
    """For each language, under the locale that is asked for it where *operators* is OTP_LOCALE."""
    for language in languages().values():
        if locale := nearest(language.tag, nearest(operators) or ""):
            text = text_message(CODE, BRAND, domain, language)
            yield {"channel": "sms", "locale": locale, "text": text}
