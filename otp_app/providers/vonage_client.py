"""Sets up the official Vonage client: credentials, a cached token, and our HTTP adapter."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from vonage import Auth, HttpClientOptions, Vonage

if TYPE_CHECKING:
    from otp_app.providers.vonage_transport import VonageAdapter

TOKEN_LIFE = 600.0  # seconds; the SDK's tokens are valid for 900


class TokenCachingAuth(Auth):
    """Signs a token once in ten minutes. The SDK would sign each request: 43 ms of CPU time each.

    The age of a token is measured by the wall clock, which the token's own times come from. A clock
    that was set back therefore leads to a new token.
    """

    def __init__(self, application_id: str, private_key: str) -> None:
        super().__init__(application_id=application_id, private_key=_pem(private_key))
        self._lock = Lock()
        self._token = b""
        self._signed_at = 0.0

    def generate_application_jwt(self, claims: dict[str, object] | None = None) -> bytes:
        """Return the cached token, or sign a new one if it is too old."""
        with self._lock:
            if not 0 <= time.time() - self._signed_at < TOKEN_LIFE:
                self._token = super().generate_application_jwt(claims or {})
                self._signed_at = time.time()
            return self._token


def make_auth(
    api_key: str | None, api_secret: str | None, application_id: str | None, private_key: str | None
) -> Auth:
    """Return the application's credentials if both are set, else the account's.

    Raises:
        VonageError, PyJWTError, ValueError, OSError: the credentials cannot be used.
    """
    if not application_id or not private_key:
        return Auth(api_key=api_key, api_secret=api_secret)
    auth = TokenCachingAuth(application_id, private_key)
    auth.generate_application_jwt()  # fails now, at start-up, if the key cannot sign
    return auth


def make_client(auth: Auth, base_url: str, adapter: VonageAdapter) -> Vonage:
    """Return the SDK's client on *adapter*."""
    # If a connection drops, the SDK's own adapter posts again, up to `pool_maxsize` times. Our
    # adapter replaces it, and has its own pool.
    options = HttpClientOptions(api_host=urlsplit(base_url).netloc, max_retries=0, pool_maxsize=1)
    client = Vonage(auth, options)
    session = client.http_client._session  # noqa: SLF001 - the SDK has no public way to it
    session.trust_env = False  # a .netrc or a proxy of the environment would get the credentials
    session.mount("https://", adapter)
    return client


def _pem(private_key: str) -> str:
    r"""Return the PEM of a key given as PEM, as PEM on one line with `\n`, or as a path."""
    if "-----BEGIN" in private_key:
        return private_key.replace("\\n", "\n")
    return Path(private_key).read_text()
