"""Paths of pages, forms, webhooks, probes and the API, and names of cookies."""

from posixpath import normpath

PHONE = "/"
CODE = "/code"
VERIFIED = "/verified"
PROBLEM = "/problem"
SIMULATED_PHONE = "/phone"

REQUEST_OTP = "/request-otp"
VERIFY_OTP = "/verify-otp"
RESEND_OTP = "/resend-otp"
FINISH = "/finish"
START_AGAIN = "/start-again"
SIGN_OUT = "/sign-out"
LANGUAGE = "/language"
COUNTRIES = "/countries"

API = "/api/"
API_DOCS = "/api/docs"
OPENAPI = "/api/openapi.json"
HEALTH = "/health"
VONAGE_REQUEST, VONAGE_CHECK = "/api/request-verification", "/api/check-verification"
TWILIO_REQUEST, TWILIO_CHECK = "/api/otp/request", "/api/otp/verify"
VERIFICATIONS = "/api/v1/verifications"

GUIDES = frozenset({VONAGE_REQUEST, VONAGE_CHECK, TWILIO_REQUEST, TWILIO_CHECK})
"""Paths whose error responses have the format of the Vonage and Twilio guides."""
VONAGE_WEBHOOK = "/webhooks/vonage"
TWILIO_WEBHOOK = "/webhooks/twilio"
READY = "/ready"
METRICS = "/metrics"

ICON = "/favicon.svg"
DEV_COOKIE = "/_flow.js"
TIME_ZONE_COOKIE = "tz"  # an IANA name, set by the pages' script
LANGUAGE_COOKIE = "language"  # a BCP 47 tag, set when the person chooses a language
PHONE_COOKIE = "simulated_phone"  # has the token of the simulated phone


def page_at(path: str) -> str:
    """The path of the page that the server of files serves at *path*.

    The server finds `/code` at `//code`, `/./code/`, `/x/../code`, `/code.html` and
    `/code/index.html` too, and at `/CODE` on a file system that ignores case.
    """
    first = normpath(f"/{path.lstrip('/')}").split("/")[1]
    return f"/{first.partition('.')[0].lower()}"
