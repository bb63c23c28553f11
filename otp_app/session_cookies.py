"""The session cookie: the proof that a browser has verified a number."""

from __future__ import annotations

import re

from otp_app.cookies import cookie_value
from otp_app.verification.sessions import Token

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
