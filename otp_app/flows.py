"""The flow cookie: which browser a verification belongs to.

The value is 256 random bits and our signature over them, so only names that this server minted are
accepted. Reflex's own client token names a tab and proves nothing.
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
    """What the log calls *flow*: how its hash in the database begins, and no way to the cookie."""
    return sha256(flow.encode()).hexdigest()[:12]


class FlowCookies:
    """Mints and reads the cookie. `__Host-` and `Secure` where people come by https."""

    def __init__(self, secret: str, *, secure: bool) -> None:
        self.name = "__Host-flow" if secure else "flow"
        self._attributes = "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
        self._signer = TimestampSigner(secret, salt="otp_app.flow")

    def mint(self) -> str:
        """The cookie of a new browser, as `name=value`."""
        return self._sign(secrets.token_urlsafe(32))

    def read(self, header: str) -> Flow | None:
        """The flow that a `Cookie` header names, if we minted it and it has not run out."""
        value = self._value(header)
        try:
            return Flow(self._signer.unsign(value, max_age=MAX_AGE).decode())
        except BadSignature:
            return None

    def renewed(self, header: str) -> str | None:
        """What to set instead of the cookie in *header*: a new one, an extended one or nothing."""
        flow = self.read(header)
        if flow is None:
            return self.mint()
        _, signed_at = self._signer.unsign(self._value(header), return_timestamp=True)
        age = self._signer.get_timestamp() - signed_at.timestamp()
        return self._sign(flow) if age > RENEW_AFTER else None

    def set_cookie(self, cookie: str) -> str:
        """The `Set-Cookie` header of *cookie*, a `name=value`."""
        return f"{cookie}; Max-Age={MAX_AGE}; {self._attributes}"

    def _sign(self, flow: str) -> str:
        return f"{self.name}={self._signer.sign(flow).decode()}"

    def _value(self, header: str) -> str:
        return cookie_value(header, self.name)
