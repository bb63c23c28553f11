"""The English texts. Each says what happened and how to go on.

None of them has the words "please", "sorry" or "invalid".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from otp_app.verification.models import Channel

if TYPE_CHECKING:
    from otp_app.i18n import Sentence


@overload
def mark(text: str) -> str: ...
@overload
def mark(text: str, plural: str) -> tuple[str, str]: ...
def mark(text: str, plural: str = "") -> Sentence:
    """Mark a text for translation, and return it unchanged.

    A text with a *plural* is returned as the pair of both. Its first placeholder is the number.
    """
    return (text, plural) if plural else text


_ = mark
"""The name by which `pybabel extract` finds marked texts."""


_LANDLINE = _("This number cannot get messages. Enter a mobile number, or choose {choices}")
_DOWN = _("We cannot send or check codes at the moment. Try again in a few minutes")
SERVICE_PROBLEM = _("There is a problem with this service")
WENT_WRONG = _("Something went wrong on our side. Try again in a few minutes.")
WENT_WRONG_UNTIL = _("Something went wrong on our side. Try again after {time}.")
WHAT_WAS_ENTERED = _(
    "What you entered may be lost. If a code was sent to you, you can still enter it."
)
REFERENCE = _("If you ask for help, quote this reference: {reference}")
PAGE_EXPIRED = _("This page has expired")
NOTHING_DONE = _("Nothing was sent and nothing was changed.")
NOT_CONFIRMED_HERE = _("We could not finish confirming your number")
CODE_USED_ELSEWHERE = _(
    "The code was entered in another tab, or sent twice, or this page was open for too long."
)
GO_ON_ELSEWHERE = _("If another tab is open, go on there. If not, start again to get a new code.")
RESEND_TOO_SOON = _(
    "You can get another code in {seconds} second",
    "You can get another code in {seconds} seconds",
)
RESEND_NOW = _("You can get another code now")
CODE_HINT = _(
    "{length} number. Spaces do not matter.",
    "{length} numbers. Spaces do not matter.",
)
MINUTES_LEFT = _("{minutes} minute left", "{minutes} minutes left")

CHOICE = _("“{choice}”")
"""The label of a button, quoted inside a sentence."""


@dataclass(frozen=True)
class ChannelText:
    """The texts about one channel.

    Attributes:
        choice: the label of the channel on the phone page.
        promise: the sentence below the field of the phone page, about the number in the field.
        sent: the notice on the code page after the first code.
        resend: the label of the button on the code page that sends another code.
        sending: the status while that button's action is in progress.
        sent_again: the notice after another code.
        delivered: the text of the report that the last message was delivered.
        not_delivered: the text of the report that the last message was not delivered.
    """

    choice: str
    promise: str
    sent: str
    resend: str
    sending: str
    sent_again: str
    delivered: str
    not_delivered: str


CHANNEL_TEXTS = {
    Channel.SMS: ChannelText(
        choice=_("Text message"),
        promise=_("We will text {number}"),
        sent=_(
            "We sent a code by text message to the number ending {ending}. It works until {time}."
        ),
        resend=_("Send a new text message"),
        sending=_("Sending a new code"),
        sent_again=_("We sent a new code by text message to the number ending {ending}"),
        delivered=_("Delivered at {at}"),
        not_delivered=_("The text message could not be delivered. Choose {choices}"),
    ),
    Channel.VOICE: ChannelText(
        choice=_("Call me"),
        promise=_("We will call {number}"),
        sent=_("We are calling the number ending {ending}. The code works until {time}."),
        resend=_("Call me instead"),
        sending=_("Calling your phone"),
        sent_again=_("We are calling the number ending {ending}"),
        delivered=_("We called at {at}"),
        not_delivered=_("The call did not get through. Choose {choices}"),
    ),
    Channel.WHATSAPP: ChannelText(
        choice=_("WhatsApp"),
        promise=_("We will send a WhatsApp message to {number}"),
        sent=_("We sent a code by WhatsApp to the number ending {ending}. It works until {time}."),
        resend=_("Send it by WhatsApp"),
        sending=_("Sending a new code"),
        sent_again=_("We sent a new code by WhatsApp to the number ending {ending}"),
        delivered=_("Delivered at {at}"),
        not_delivered=_("The WhatsApp message could not be delivered. Choose {choices}"),
    ),
}

TEXT = _("{code} is your {brand} code. Do not share it.")
"""The code comes first, so that a notification shows it. The brand and a warning follow, no link.

Translations should use only letters of GSM-7 (3GPP TS 23.038 section 6.2.1) where the language
allows it. A message then has room for 160 letters, otherwise for 70.
"""

TEXTS: dict[str, Sentence] = {
    "phone_missing": _("Enter your mobile number"),
    "phone_not_digits": _("Enter the number using only numbers, spaces, brackets, dashes and +"),
    "phone_too_short": _(
        "This number is too short for {country}. Check that no numbers are missing"
    ),
    "phone_too_long": _("This number is too long for {country}. Check for extra numbers"),
    "phone_not_in_country": _(
        "This is not a {country} number. Check it, or choose another country code"
    ),
    "phone_country_missing": _("Choose a country code, or start the number with +"),
    "phone_country_code_unknown": _(
        "{prefix} is not a country code. Check the start of the number"
    ),
    "phone_extension": _("Enter the number without an extension"),
    "phone_landline": _LANDLINE,
    "phone_no_whatsapp": _("We cannot send WhatsApp messages to {country}. Choose {choices}"),
    "phone_not_personal": _(
        "We cannot send codes to this kind of number. Enter your own mobile number"
    ),
    "phone_not_served": _("We cannot send codes to {country} yet. Use a different number"),
    "number_unfit": _("We cannot send a code to this number. Use a different number"),
    "fields_unusable": _("Some fields cannot be used as they are: {fields}"),
    "body_too_long": _("The body is too long. Send 8 kB at most"),
    "not_json": _("Send the body as JSON, with Content-Type: application/json"),
    "path_unknown": _("There is nothing at this address. See /api/docs"),
    "method_not_allowed": _("This address does not take that method. See /api/docs"),
    "origin_refused": _("This page may not call us. Add its origin to ALLOWED_ORIGINS"),
    "caller_unknown": _("Say who asks: send an API key, or bring the cookie of our pages"),
    "api_key_refused": _(  # pragma: allowlist nextline secret
        "This API key is not known. Check that all of it was copied"
    ),
    "idempotency_key_reused": _(
        "This Idempotency-Key was used for another request. Use a new one for each request"
    ),
    "idempotency_key_in_use": _(
        "The first request with this Idempotency-Key has not been answered. Wait for it, or use a "
        "new key and know that a message may have been sent"
    ),
    "unexpected": _("There is a problem with this service. Try again in a few minutes"),
    "channel_not_offered": _("Choose {choices}"),
    "code_missing": _("Enter the {length} digit code", "Enter the {length} digit code"),
    "code_not_digits": _("The code has only numbers"),
    "code_too_short": _(
        "The code has {length} number. You entered {count}",
        "The code has {length} numbers. You entered {count}",
    ),
    "code_too_long": _(
        "The code has {length} number. You entered {count}",
        "The code has {length} numbers. You entered {count}",
    ),
    "code_mismatch": _(
        "That code does not match. Check the newest message and enter the code again"
    ),
    "code_mismatch_few": _(
        "That code does not match. Check the newest message. You can try {attempts_left} more time",
        "That code does not match. Check the newest message. "
        "You can try {attempts_left} more times",
    ),
    "code_mismatch_last": _(
        "That code does not match. Check the newest message. "
        "You can try once more, then you will have to wait until {until}"
    ),
    "verification_expired": _("That code has expired. Get a new code"),
    "code_used_up": _(
        "That code does not work any more: wrong codes were entered for this number in another "
        "browser. Get a new code"
    ),
    "flow_missing": _(
        "This page needs a cookie to remember you. Allow cookies for it, reload it and start again"
    ),
    "verification_not_found": _("Your session ended. Start again"),
    "verification_replaced": _(
        "That page was for an earlier message. "
        "Enter the newest code, sent to the number ending {ending}"
    ),
    "already_verified": _("This number is already confirmed"),
    "attempts_exhausted": _(
        "You cannot enter a code until {until}. A wrong code was entered too many times. "
        "After that, get a new code and try again"
    ),
    "resend_too_soon": RESEND_TOO_SOON,
    "sends_exhausted": _(
        "You have asked for {sends} code. You can ask for another after {until}",
        "You have asked for {sends} codes. You can ask for another after {until}",
    ),
    "rate_limited_number": _(
        "Too many codes were asked for or entered for this number. Try again after {until}"
    ),
    "rate_limited_network": _(
        "There have been too many requests from your network. Try again after {until}"
    ),
    "rate_limited_other": _("There have been too many requests. Try again after {until}"),
    "number_busy": _(
        "This number is busy with an earlier code. Wait a few minutes, then try again"
    ),
    "refused_number": _("We cannot send a code to this number. Use a different number"),
    "refused_landline": _LANDLINE,
    "refused_country": _("We cannot send codes to this country yet. Use a different number"),
    "refused_channel": _(
        "We cannot reach this number that way now. Choose {choices}, or try again later"
    ),
    "language_refused": _(
        "We could not send the code in your language. Try again to get it in another language"
    ),
    "provider_unavailable": _DOWN,
    "provider_not_reached": _DOWN,
    "provider_misconfigured": _DOWN,
    "provider_throttled": _(
        "There are too many requests just now. Try again in {seconds} second",
        "There are too many requests just now. Try again in {seconds} seconds",
    ),
    "provider_timed_out": _(
        "We could not tell whether that worked. Wait 30 seconds, then try again"
    ),
    "check_timed_out": _("We could not check the code. Enter it again, or get a new code"),
    "overloaded": _("This service is very busy. Try again in a moment"),
    "store_unavailable": _("There is a problem with this service. Try again in a few minutes"),
}
