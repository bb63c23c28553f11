"""The device cookie: a browser's own record of the numbers that it has confirmed.

It outlives the session, so that the owner of a number is known when they come back to confirm it
again. It is worth one thing: the part of a confirmed number's messages that other clients may not
use up. It opens no session, and holds no number: a random id, a keyed hash of the id with each
number, and our signature over all of them.
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
MOST_NUMBERS = 3  # a person has one or two; more of them show that a browser is shared

_MARK = 16  # bytes of a hash: nobody finds another number with the same one


@dataclass(frozen=True)
class KnownDevice:
    """What one browser's cookie says.

    Attributes:
        marks: what stands for the numbers, the last one first.
    """

    id: str
    marks: tuple[str, ...]
    key: bytes = field(repr=False)

    def has_proved(self, phone: PhoneNumber) -> bool:
        """Whether *phone* is one of the numbers."""
        return self._mark(phone) in self.marks

    def remembering(self, phone: PhoneNumber) -> KnownDevice:
        """The same device after a success with *phone*."""
        mark = self._mark(phone)
        marks = (mark, *(other for other in self.marks if other != mark))
        return KnownDevice(self.id, marks[:MOST_NUMBERS], self.key)

    def _mark(self, phone: PhoneNumber) -> str:
        """Of another device, the same number has another mark."""
        labelled = f"otp_app.device mark\0{self.id}\0{phone.e164}".encode()
        digest = hmac.digest(self.key, labelled, "sha256")[:_MARK]
        return urlsafe_b64encode(digest).decode().rstrip("=")


class DeviceCookies:
    """Writes and reads the cookie. `__Host-` and `Secure` where people come by https."""

    def __init__(self, secret: str, *, secure: bool) -> None:
        self.name = "__Host-device" if secure else "device"
        self._attributes = "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
        self._signer = TimestampSigner(secret, salt="otp_app.device")
        self._key = secret.encode()

    def read(self, header: str) -> KnownDevice | None:
        """The device in a `Cookie` header, if we signed it within the last year."""
        try:
            value = self._signer.unsign(cookie_value(header, self.name), max_age=MAX_AGE).decode()
        except BadSignature:
            return None
        id_, *marks = value.split(".")
        return KnownDevice(id_, tuple(marks), self._key)

    def set_cookie(self, header: str, phone: PhoneNumber) -> str:
        """The `Set-Cookie` header after a success with *phone*. The browser had sent *header*."""
        device = self.read(header) or KnownDevice(secrets.token_urlsafe(16), (), self._key)
        known = device.remembering(phone)
        value = self._signer.sign(".".join((known.id, *known.marks))).decode()
        return f"{self.name}={value}; Max-Age={MAX_AGE}; {self._attributes}"
