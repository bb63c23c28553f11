"""The session cookie: the proof that a browser has verified a number."""

from __future__ import annotations

import re

from otp_app.cookies import cookie_value
from otp_app.verification.sessions import Token

_TOKEN = re.compile(r"[\w-]{43}", re.ASCII)  # 256 bits in base64


class SessionCookies:
    """Writes and reads the cookie. `__Host-` and `Secure` where people come by https.

    It has no age of its own: the server knows when a session is over.
    """

    def __init__(self, *, secure: bool) -> None:
        self.name = "__Host-session" if secure else "session"
        self._attributes = "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")

    def read(self, header: str) -> Token | None:
        """The token in a `Cookie` header, if it has the form of one."""
        value = cookie_value(header, self.name)
        return Token(value) if _TOKEN.fullmatch(value) else None

    def set_cookie(self, token: Token) -> str:
        """The `Set-Cookie` header of *token*."""
        return f"{self.name}={token}; {self._attributes}"

    def delete_cookie(self) -> str:
        """The `Set-Cookie` header that takes it away."""
        return f"{self.name}=; Max-Age=0; {self._attributes}"
