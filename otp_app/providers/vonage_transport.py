"""An HTTP adapter that adds bounds to the Vonage SDK's session.

By itself the SDK waits for ever, follows redirects, posts again up to ten times when a connection
closes without a response, and reads responses of any length.
https://github.com/Vonage/vonage-python-sdk/blob/main/http_client/src/vonage_http_client/http_client.py
"""

from __future__ import annotations

import time
from io import BytesIO
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectTimeout, SSLError
from urllib3 import Retry
from urllib3.exceptions import HTTPError, NewConnectionError

from otp_app.errors import ProviderNotReached, ProviderTimedOut
from otp_app.providers.answers import MAX_BODY, require_answer

if TYPE_CHECKING:
    from requests import PreparedRequest, Response
    from urllib3 import HTTPResponse

    from otp_app.providers.lanes import Deadlines

CONNECTIONS = 20  # kept open; there are fewer threads


class VonageAdapter(HTTPAdapter):
    """Sends each request once, to `base_url` alone, within bounds of time and size.

    For a response that is not a 2xx the adapter raises `Refused` or an `OtpError`. Its responses
    set no cookies.
    """

    def __init__(self, base_url: str, deadlines: Deadlines) -> None:
        super().__init__(pool_maxsize=CONNECTIONS, max_retries=Retry(0, read=False))
        self._scheme = base_url.partition(":")[0]
        self._deadlines = deadlines

    def send(self, request: PreparedRequest, *_args: Any, **options: Any) -> Response:  # noqa: ANN401
        """Send the request, and return a 2xx whose body the SDK can read.

        Raises:
            Refused: the status is not 2xx.
            ProviderNotReached: the request certainly never left.
            ProviderTimedOut: the request may have left, and there is no usable response.
        """
        until = time.monotonic() + self._deadlines.send
        request.url = str(request.url).replace("https", self._scheme, 1)  # the SDK writes https
        options |= {"stream": True, "timeout": (self._deadlines.connect, self._deadlines.silence)}
        try:
            response = super().send(request, **options)
            body = _read(response.raw, until)
        except (OSError, HTTPError) as exc:  # raised by requests, and by urllib3 for the body
            raise (ProviderNotReached if _never_left(exc) else ProviderTimedOut) from exc
        require_answer(response.status_code, body, response.headers.get("Retry-After", ""))
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
