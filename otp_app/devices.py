"""The device cookie: a browser's own record of the numbers that it has confirmed.

The cookie outlives the session, so that the owner of a number is recognized when they confirm the
number again. The cookie grants one thing: the share of a confirmed number's messages that unproved
clients may not use up. The cookie opens no session and contains no number. The value is a random
id, a keyed hash of the id with each number, and our signature over all of them.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from itsdangerous import BadSignature, TimestampSigner

from otp_app.cookies import cookie_value

if TYPE_CHECKING:
    from otp_app.phone import PhoneNumber

MAX_AGE = 365 * 24 * 60 * 60  # seconds, from the last success
MOST_NUMBERS = 3  # a person has one or two

_MARK = 16  # bytes of a hash, enough to rule out collisions


@dataclass(frozen=True)
class KnownDevice:
    """The content of one browser's cookie.

    Attributes:
        id: the random id of the browser.
        marks: the keyed hashes of the confirmed numbers, the most recent one first.
        key: the key of the hashes.
    """

    id: str
    marks: tuple[str, ...]
    key: bytes = field(repr=False)

    def has_proved(self, phone: PhoneNumber) -> bool:
        """Return whether *phone* is one of the confirmed numbers."""
        return self._mark(phone) in self.marks

    def remembering(self, phone: PhoneNumber) -> KnownDevice:
        """Return the same device after a success with *phone*. The oldest number may drop out."""
        mark = self._mark(phone)
        marks = (mark, *(other for other in self.marks if other != mark))
        return KnownDevice(self.id, marks[:MOST_NUMBERS], self.key)

    def _mark(self, phone: PhoneNumber) -> str:
        """Return the keyed hash of *phone*, which is different for each device."""
        labelled = f"otp_app.device mark\0{self.id}\0{phone.e164}".encode()
        digest = hmac.digest(self.key, labelled, "sha256")[:_MARK]
        return urlsafe_b64encode(digest).decode().rstrip("=")


class DeviceCookies:
    """Writes and reads the device cookie.

    Args:
        secret: the key of the signature and of the hashes.
        secure: True if the site uses https. The cookie then has the prefix `__Host-` and is
            `Secure`.
    """

    def __init__(self, secret: str, *, secure: bool) -> None:
        self.name = "__Host-device" if secure else "device"
        self._attributes = "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
        self._signer = TimestampSigner(secret, salt="otp_app.device")
        self._key = secret.encode()

    def read(self, header: str) -> KnownDevice | None:
        """Return the device in a `Cookie` header, if it was signed by us within `MAX_AGE`."""
        try:
            value = self._signer.unsign(cookie_value(header, self.name), max_age=MAX_AGE).decode()
        except BadSignature:
            return None
        id_, *marks = value.split(".")
        return KnownDevice(id_, tuple(marks), self._key)

    def set_cookie(self, header: str, phone: PhoneNumber) -> str:
        """Return the `Set-Cookie` header after a success with *phone*.

        *header* is the `Cookie` header of the browser, with its earlier numbers.
        """
        device = self.read(header) or KnownDevice(secrets.token_urlsafe(16), (), self._key)
        known = device.remembering(phone)
        value = self._signer.sign(".".join((known.id, *known.marks))).decode()
        return f"{self.name}={value}; Max-Age={MAX_AGE}; {self._attributes}"
