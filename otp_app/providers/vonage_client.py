"""The official client, set up: with the right credentials, a token that lasts, and our adapter."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from vonage import Auth, HttpClientOptions, Vonage

if TYPE_CHECKING:
    from otp_app.providers.vonage_transport import VonageAdapter

TOKEN_LIFE = 600.0  # seconds; the SDK's tokens are good for 900


class TokenCachingAuth(Auth):
    """Signs once in ten minutes: the SDK takes 43 ms of processor time to sign each request.

    Counted by the clock that the token's own times come from, so that one set back makes a new one.
    """

    def __init__(self, application_id: str, private_key: str) -> None:
        super().__init__(application_id=application_id, private_key=_pem(private_key))
        self._lock = Lock()
        self._token = b""
        self._signed_at = 0.0

    def generate_application_jwt(self, claims: dict[str, object] | None = None) -> bytes:
        """The token in use, or a new one in its place."""
        with self._lock:
            if not 0 <= time.time() - self._signed_at < TOKEN_LIFE:
                self._token = super().generate_application_jwt(claims or {})
                self._signed_at = time.time()
            return self._token


def make_auth(
    api_key: str | None, api_secret: str | None, application_id: str | None, private_key: str | None
) -> Auth:
    """The application's credentials if they are there, else the account's.

    Raises:
        VonageError, PyJWTError, ValueError, OSError: they cannot be used.
    """
    if not application_id or not private_key:
        return Auth(api_key=api_key, api_secret=api_secret)
    auth = TokenCachingAuth(application_id, private_key)
    auth.generate_application_jwt()  # a key that cannot sign is better found now
    return auth


def make_client(auth: Auth, base_url: str, adapter: VonageAdapter) -> Vonage:
    """The SDK's client on *adapter*."""
    # The SDK posts again as often as its *option* pool_maxsize says, if a connection drops: the
    # adapter keeps that from it, and has a pool of its own.
    options = HttpClientOptions(api_host=urlsplit(base_url).netloc, max_retries=0, pool_maxsize=1)
    client = Vonage(auth, options)
    session = client.http_client._session  # noqa: SLF001 - there is no public way to its adapters
    session.trust_env = False  # a .netrc or a proxy of the environment would get the credentials
    session.mount("https://", adapter)
    return client


def _pem(private_key: str) -> str:
    r"""A key in any form that settings hold it in: PEM, PEM on one line with `\n`, or a path."""
    if "-----BEGIN" in private_key:
        return private_key.replace("\\n", "\n")
    return Path(private_key).read_text()
