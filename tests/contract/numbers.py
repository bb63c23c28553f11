"""Numbers and codes that the contract is tried with."""

from otp_app.phone import PhoneNumber

PHONE = PhoneNumber("+14155552671")
OTHER_PHONE = PhoneNumber("+447700900123")


def wrong(code: str) -> str:
    """A code of the same length that is not *code*."""
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}"
