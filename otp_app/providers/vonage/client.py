"""The official client with bounds: its HTTP adapter, its credentials, a token that lasts.

By default the SDK waits for ever, follows redirects, posts again up to ten times when a
connection closes without an answer, and reads answers of any length.
https://github.com/Vonage/vonage-python-sdk/blob/main/http_client/src/vonage_http_client/http_client.py
"""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectTimeout, SSLError
from urllib3 import Retry
from urllib3.exceptions import HTTPError, NewConnectionError
from vonage import Auth, HttpClientOptions, Vonage

from otp_app.errors import ProviderNotReached, ProviderTimedOut
from otp_app.providers.responses import MAX_BODY, require_usable_response

if TYPE_CHECKING:
    from requests import PreparedRequest, Response
    from urllib3 import HTTPResponse

    from otp_app.providers.bulkhead import Timeouts

CONNECTIONS = 20  # kept open; there are fewer threads


class VonageAdapter(HTTPAdapter):
    """Sends each request once, to `base_url` alone, within bounds of time and size.

    For a response that is not a 2xx the adapter raises `VendorError` or an `OtpError`. Its
    responses set no cookies.
    """

    def __init__(self, base_url: str, timeouts: Timeouts) -> None:
        super().__init__(pool_maxsize=CONNECTIONS, max_retries=Retry(0, read=False))
        self._scheme = base_url.partition(":")[0]
        self._deadlines = timeouts

    def send(self, request: PreparedRequest, *_args: Any, **options: Any) -> Response:  # noqa: ANN401
        """Send the request, and return a 2xx whose body the SDK can read.

        Raises:
            Refused: the status is not 2xx.
            ProviderNotReached: the request certainly never left.
            ProviderTimedOut: the request may have left, and there is no usable response.
        """
        until = time.monotonic() + self._deadlines.send
        request.url = str(request.url).replace("https", self._scheme, 1)  # the SDK writes https
        options |= {"stream": True, "timeout": (self._deadlines.connect, self._deadlines.read)}
        try:
            response = super().send(request, **options)
            body = _read(response.raw, until)
        except (OSError, HTTPError) as exc:  # raised by requests, and by urllib3 for the body
            raise (ProviderNotReached if _never_left(exc) else ProviderTimedOut) from exc
        require_usable_response(response.status_code, body, response.headers.get("Retry-After", ""))
        response.raw = BytesIO(body)
        return response


def _read(raw: HTTPResponse, until: float) -> bytes:
    """Read the body, but at most `MAX_BODY` + 1 bytes. The last one shows that it is too long."""
    body = bytearray()
    try:
        while len(body) <= MAX_BODY and (
            chunk := raw.read1(MAX_BODY + 1 - len(body), decode_content=True)
        ):
            body += chunk
            if time.monotonic() >= until:
                raise ProviderTimedOut
    finally:
        raw.close()  # closes the connection, unless the whole body was read: then it is pooled
    return bytes(body)


def _never_left(exc: Exception) -> bool:
    """Whether there was no connection: by DNS, a refusal, a timeout or a failure of TLS."""
    reason = getattr(exc.args[0], "reason", None) if exc.args else None
    return isinstance(exc, ConnectTimeout | SSLError) or isinstance(reason, NewConnectionError)


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
