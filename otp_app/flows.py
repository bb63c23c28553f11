"""The flow cookie, which identifies the browser that a verification belongs to.

The value is 256 random bits with our signature, so the server accepts only values that it has
created. Reflex's own client token identifies a tab and is not authenticated.
"""

from __future__ import annotations

import secrets
from hashlib import sha256

from itsdangerous import BadSignature, TimestampSigner

from otp_app.cookies import cookie_value
from otp_app.verification.models import Flow

MAX_AGE = 24 * 60 * 60  # seconds; a verification takes minutes, a tab stays open for a day
RENEW_AFTER = 60 * 60  # seconds


def short_name(flow: Flow) -> str:
    """Return the id of *flow* for the log: the first 12 hex digits of its SHA-256.

    The id matches the stored hash, and the cookie cannot be derived from it.
    """
    return sha256(flow.encode()).hexdigest()[:12]


class FlowCookies:
    """Creates and reads the flow cookie.

    Args:
        secret: the key of the signature.
        secure: True if the site uses https. The cookie then has the prefix `__Host-` and is
            `Secure`.
    """

    def __init__(self, secret: str, *, secure: bool) -> None:
        self.name = "__Host-flow" if secure else "flow"
        self._attributes = "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
        self._signer = TimestampSigner(secret, salt="otp_app.flow")

    def mint(self) -> str:
        """Return the cookie of a new flow, as `name=value`."""
        return self._sign(secrets.token_urlsafe(32))

    def read(self, header: str) -> Flow | None:
        """Return the flow in a `Cookie` header, if the signature is valid and not too old."""
        value = self._value(header)
        try:
            return Flow(self._signer.unsign(value, max_age=MAX_AGE).decode())
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
        return f"{cookie}; Max-Age={MAX_AGE}; {self._attributes}"

    def _sign(self, flow: str) -> str:
        return f"{self.name}={self._signer.sign(flow).decode()}"

    def _value(self, header: str) -> str:
        return cookie_value(header, self.name)
