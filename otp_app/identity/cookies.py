"""The cookies that name a browser: the flow cookie, the session cookie, and a strict reader.

The value of the flow cookie is 256 random bits and a signature over them, so only values that
this server issued are accepted. Reflex's own client token names a tab and proves nothing.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from itsdangerous import BadSignature, TimestampSigner

from otp_app.verification.models import Flow
from otp_app.verification.sessions import Token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otp_app.phone import PhoneNumber

_BLANKS = " \t"  # RFC 6265 section 5.2; `str.strip` also removes bytes of the name, such as 0xA0
_COOKIE = b"cookie"


def cookie_value(header: str, name: str) -> str:
    r"""Return the value of the cookie *name* in a `Cookie` header; "" if it is absent or duplicate.

    A browser enforces the rules of the prefix `__Host-` on exact names only. A parser that strips
    more than the browser does would take `\xa0__Host-flow`, which any sibling domain can set, for
    `__Host-flow`. If there are two cookies of one name, somebody else has set one of them.
    """
    pairs = (pair.partition("=") for pair in header.split(";"))
    values = [value for key, equals, value in pairs if equals and key.strip(_BLANKS) == name]
    return values[0].strip(_BLANKS) if len(values) == 1 else ""


def with_one_cookie_header(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return ASGI *headers* with all `Cookie` lines joined into one, by RFC 9113 section 8.2.3.

    A parser that reads only one of several lines would not notice a duplicate name.
    """
    cookies = [value for name, value in headers if name.lower() == _COOKIE]
    others = [pair for pair in headers if pair[0].lower() != _COOKIE]
    return [*others, *([(_COOKIE, b"; ".join(cookies))] if cookies else [])]


FLOW_MAX_AGE = 24 * 60 * 60  # seconds; a verification takes minutes, a tab stays open for a day
RENEW_AFTER = 60 * 60  # seconds


def log_id(flow: Flow) -> str:
    """Return the id of *flow* for the log: the first 12 hex digits of its SHA-256.

    The id matches the stored hash, and the cookie cannot be derived from it.
    """
    return sha256(flow.encode()).hexdigest()[:12]


def new_flow() -> Flow:
    """Return a random flow of 256 bits."""
    return Flow(secrets.token_urlsafe(32))


class FlowCookies:
    """Creates and reads the flow cookie.

    Args:
        key: the key of the signature.
        secure: True if the site uses https. The cookie then has the prefix `__Host-` and is
            `Secure`.
    """

    def __init__(self, key: bytes, *, secure: bool) -> None:
        self.name = "__Host-flow" if secure else "flow"
        self._attributes = "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
        self._signer = TimestampSigner(key)

    def mint(self) -> str:
        """Return the cookie of a new flow, as `name=value`."""
        return self._sign(new_flow())

    def read(self, header: str) -> Flow | None:
        """Return the flow in a `Cookie` header, if the signature is valid and not too old."""
        value = self._value(header)
        try:
            return Flow(self._signer.unsign(value, max_age=FLOW_MAX_AGE).decode())
        except BadSignature:
            return None

    def renewed(self, header: str) -> str | None:
        """Return the cookie that replaces the one in *header*, as `name=value`.

        Without a valid cookie, this is a new flow. A cookie older than `RENEW_AFTER` is signed
        again. Otherwise the result is None: nothing is to be set.
        """
        flow = self.read(header)
        if flow is None:
            return self.mint()
        _, signed_at = self._signer.unsign(self._value(header), return_timestamp=True)
        age = self._signer.get_timestamp() - signed_at.timestamp()
        return self._sign(flow) if age > RENEW_AFTER else None

    def set_cookie(self, cookie: str) -> str:
        """Return the `Set-Cookie` header for *cookie*, a `name=value`."""
        return f"{cookie}; Max-Age={FLOW_MAX_AGE}; {self._attributes}"

    def _sign(self, flow: str) -> str:
        return f"{self.name}={self._signer.sign(flow).decode()}"

    def _value(self, header: str) -> str:
        return cookie_value(header, self.name)


_TOKEN = re.compile(r"[\w-]{43}", re.ASCII)  # 256 bits in base64


class SessionCookies:
    """Writes and reads the session cookie.

    The cookie has no `Max-Age`, because the server decides when a session ends.

    Args:
        secure: True if the site uses https. The cookie then has the prefix `__Host-` and is
            `Secure`.
    """

    def __init__(self, *, secure: bool) -> None:
        self.name = "__Host-session" if secure else "session"
        self._attributes = "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")

    def read(self, header: str) -> Token | None:
        """Return the token in a `Cookie` header, or None if it is missing or malformed."""
        value = cookie_value(header, self.name)
        return Token(value) if _TOKEN.fullmatch(value) else None

    def set_cookie(self, token: Token) -> str:
        """Return the `Set-Cookie` header that stores *token*."""
        return f"{self.name}={token}; {self._attributes}"

    def delete_cookie(self) -> str:
        """Return the `Set-Cookie` header that deletes the cookie."""
        return f"{self.name}=; Max-Age=0; {self._attributes}"


DEVICE_MAX_AGE = 365 * 24 * 60 * 60  # seconds, from the last success
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
        text = f"{self.id}\0{phone.e164}".encode()
        digest = hmac.digest(self.key, text, "sha256")[:_MARK]
        return urlsafe_b64encode(digest).decode().rstrip("=")


class DeviceCookies:
    """Writes and reads the device cookie.

    Args:
        key: the key of the signature.
        number_key: the key of the hashes of numbers.
        secure: True if the site uses https. The cookie then has the prefix `__Host-` and is
            `Secure`.
    """

    def __init__(self, key: bytes, number_key: bytes, *, secure: bool) -> None:
        self.name = "__Host-device" if secure else "device"
        self._attributes = "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
        self._signer = TimestampSigner(key)
        self._number_key = number_key

    def read(self, header: str) -> KnownDevice | None:
        """Return the device in a `Cookie` header, if it was signed by us within `MAX_AGE`."""
        try:
            value = self._signer.unsign(
                cookie_value(header, self.name), max_age=DEVICE_MAX_AGE
            ).decode()
        except BadSignature:
            return None
        id_, *marks = value.split(".")
        return KnownDevice(id_, tuple(marks), self._number_key)

    def set_cookie(self, header: str, phone: PhoneNumber) -> str:
        """Return the `Set-Cookie` header after a success with *phone*.

        *header* is the `Cookie` header of the browser, with its earlier numbers.
        """
        device = self.read(header) or KnownDevice(secrets.token_urlsafe(16), (), self._number_key)
        known = device.remembering(phone)
        value = self._signer.sign(".".join((known.id, *known.marks))).decode()
        return f"{self.name}={value}; Max-Age={DEVICE_MAX_AGE}; {self._attributes}"
