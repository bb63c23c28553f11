"""Twilio's error codes in our terms.

The codes: https://www.twilio.com/docs/api/errors, each with a page of its own such as
https://www.twilio.com/docs/api/errors/60203. A code that is not here is judged by its HTTP status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otp_app.errors import ProviderTimedOut, Refusal
from otp_app.providers.refusals import (
    ACCOUNT,
    RefusalTable,
    Row,
    busy,
    misconfigured,
    rejected,
    throttled,
    unavailable,
)
from otp_app.verification.models import CheckOutcome

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

NOT_FOUND: Final = 20404

_ANY: Mapping[Hashable, Row] = {
    **ACCOUNT,
    20003: misconfigured,  # credentials
    20429: throttled,  # concurrent requests of the account, or a rate limit of the service
    20500: unavailable,
    20503: unavailable,
    25109: throttled,  # burst limit of Verify
}

START = RefusalTable(
    "twilio.start",
    {
        **_ANY,
        NOT_FOUND: misconfigured,  # the service or the language, as nothing else is asked for
        # This number, or this way to it
        21211: rejected(Refusal.NUMBER),
        21408: rejected(Refusal.COUNTRY),  # no permission for the region
        21610: rejected(Refusal.CHANNEL),  # the person answered STOP to texts
        21614: rejected(Refusal.LANDLINE),  # not a mobile number
        60200: rejected(Refusal.NUMBER),  # invalid parameter; the number is the only one not ours
        60205: rejected(Refusal.LANDLINE),
        60220: rejected(Refusal.COUNTRY),  # China needs vetting
        60223: rejected(Refusal.CHANNEL),  # channel disabled in the service
        60227: rejected(Refusal.CHANNEL),  # the template does not support it
        60238: rejected(Refusal.COUNTRY),  # blocked by Twilio, sanctioned countries among others
        60331: rejected(Refusal.CHANNEL),  # the locale cannot be spoken; a text can be written
        60410: rejected(Refusal.CHANNEL),  # Fraud Guard holds texts to the prefix back for hours
        60412: rejected(Refusal.NUMBER),  # Fraudulent Signup Prevention
        60550: rejected(Refusal.CHANNEL),  # no channel can be selected
        60605: rejected(Refusal.COUNTRY),  # geographic permissions
        68008: rejected(Refusal.CHANNEL),  # the service has no sender or template for WhatsApp
        # Too often. After five wrong codes Twilio keeps a number back until the code expires, up to
        # ten minutes: a wait of seconds would be a promise it does not keep.
        60202: busy,
        60203: throttled,  # five messages in ten minutes
        60212: busy,  # concurrent requests for the number
        # The service as it is set up
        21608: misconfigured,  # a trial account sends to its owner only
        60201: misconfigured,  # template translation not approved
        60204: misconfigured,  # feature not enabled
        60206: misconfigured,  # PSD2 needs amount and payee
        60214: misconfigured,  # PSD2 does not call
        60217: misconfigured,  # invalid service configuration
        60222: misconfigured,  # SendGrid sender
        60224: misconfigured,  # template substitutions missing
        60226: misconfigured,  # China needs a friendly name
        60228: misconfigured,  # no such template
        60229: misconfigured,  # no such translation
        60243: misconfigured,  # custom messages
        60252: misconfigured,  # no template fits
        60408: misconfigured,  # a template where there is no text
        60602: misconfigured,  # application hash
    },
)

CHECK_OUTCOMES: Mapping[Hashable, CheckOutcome] = {
    NOT_FOUND: CheckOutcome.EXPIRED,  # expired, approved, canceled or never there
    60202: CheckOutcome.EXHAUSTED,
}
CHECK = RefusalTable("twilio.check", _ANY, unlisted=ProviderTimedOut)

CANCEL = RefusalTable("twilio.cancel", _ANY)

LOOK = RefusalTable("twilio.look", _ANY)

SERVICE = RefusalTable("twilio.service", {**_ANY, NOT_FOUND: misconfigured, 404: misconfigured})

CHECK_STATUSES: Mapping[object, CheckOutcome] = {
    "approved": CheckOutcome.APPROVED,
    "pending": CheckOutcome.MISMATCH,  # a wrong code is no error to Twilio
    "max_attempts_reached": CheckOutcome.EXHAUSTED,
    "canceled": CheckOutcome.EXPIRED,
    "deleted": CheckOutcome.EXPIRED,
    "failed": CheckOutcome.EXPIRED,
    "expired": CheckOutcome.EXPIRED,
}
"""`status` in a 2xx to a check. https://www.twilio.com/docs/verify/api/verification-check"""
