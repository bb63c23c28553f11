"""Paths of the pages and forms, and the names of what a browser brings along."""

PHONE = "/"
CODE = "/code"
VERIFIED = "/verified"
PROBLEM = "/problem"
SIMULATED_PHONE = "/phone"

REQUEST_OTP = "/request-otp"
VERIFY_OTP = "/verify-otp"
FINISH = "/finish"
SIGN_OUT = "/sign-out"

DEV_COOKIE = "/_flow.js"
TIME_ZONE_COOKIE = "tz"  # set by the pages' script: an IANA name
