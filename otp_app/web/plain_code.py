"""Template variables of the plain code page."""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING

from markupsafe import Markup

from otp_app import i18n, services
from otp_app.errors import AttemptsExhausted, VerificationExpired
from otp_app.i18n.en import CODE_HINT, MINUTES_LEFT, OTHER_CHANNELS, SENT

if TYPE_CHECKING:
    from datetime import tzinfo

    from otp_app.errors import OtpError
    from otp_app.i18n.languages import Language
    from otp_app.verification.models import Verification


def standing(verification: Verification, language: Language, zone: tzinfo) -> dict[str, object]:
    """Return the template variables of `code.html` for *verification*, with times in *zone*."""
    verifications = services.current().verifications
    now = verifications.now()
    left = verification.expires_at - now
    phone, time = verification.phone, i18n.clock(verification.expires_at, language, zone)
    return {
        "ending": Markup("<bdi>{}</bdi>").format(phone.ending),
        "time": time,
        "zone": i18n.zone_name(verification.expires_at, language, zone),
        "minutes_left": language.say(MINUTES_LEFT, minutes=ceil(left / timedelta(minutes=1))),
        "channel": verification.channel.value,
        "sent": language.say(SENT[verification.channel], ending="{ending}", time=time),
        "ways": [(way.value, OTHER_CHANNELS[way]) for way in verifications.channels_to(phone)],
        "is_locked": verification.is_locked(now),
        "is_over": not verification.is_open(now),
        "hint": language.say(CODE_HINT, length=verifications.code_length(verification)),
    }


def is_told(error: OtpError, verification: Verification) -> bool:
    """Return True if the page of *verification* shows the same as a message for *error*."""
    now = services.current().verifications.now()
    match error:
        case AttemptsExhausted():
            return verification.is_locked(now)
        case VerificationExpired():
            return not verification.is_open(now)
        case _:
            return False
