"""Vonage's API on our transport, by the models and credentials of the official SDK.

The SDK's own methods block, so each call would occupy a thread, with six times the processor time
(docs/performance.md). They also wait for ever by default, follow redirects, post again up to ten
times when a connection closes without an answer, and read answers of any length.
https://github.com/Vonage/vonage-python-sdk/blob/main/http_client/src/vonage_http_client/http_client.py
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from vonage_http_client import Auth
from vonage_identity_insights.responses import IdentityInsightsResponse
from vonage_verify.responses import CheckCodeResponse, StartVerificationResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel
    from vonage_identity_insights import IdentityInsightsRequest
    from vonage_verify import VerifyRequest

    from otp_app.providers.transport import HttpClient

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

    @property
    def is_fresh(self) -> bool:
        """Whether the cached token is young enough to be used."""
        return 0 <= time.time() - self._signed_at < TOKEN_LIFE

    def generate_application_jwt(self, claims: dict[str, object] | None = None) -> bytes:
        """Return the cached token, or sign a new one if it is too old."""
        with self._lock:
            if not self.is_fresh:
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


class VonageApi:
    """The operations that the app uses, each one request.

    Every operation raises the errors of `HttpClient.request`, and `ValidationError` if a 2xx is not
    the documented response. Ids of requests are put into paths without escaping.
    """

    def __init__(self, auth: Auth, http: HttpClient) -> None:
        self._auth = auth
        self._http = http

    async def start(self, request: VerifyRequest) -> StartVerificationResponse:
        """Start a verification: https://developer.vonage.com/en/api/verify.v2#newRequest."""
        fields = await self._request("POST", "/v2/verify", _json(request))
        return StartVerificationResponse.model_validate(fields)

    async def check(self, request_id: str, code: str) -> CheckCodeResponse:
        """Check a code: https://developer.vonage.com/en/api/verify.v2#checkCode."""
        body = json.dumps({"code": code}).encode()
        fields = await self._request("POST", f"/v2/verify/{request_id}", body)
        return CheckCodeResponse.model_validate(fields)

    async def next_step(self, request_id: str) -> None:
        """Take the next step: https://developer.vonage.com/en/api/verify.v2#nextWorkflow."""
        await self._request("POST", f"/v2/verify/{request_id}/next_workflow")

    async def cancel(self, request_id: str) -> None:
        """Cancel a request: https://developer.vonage.com/en/api/verify.v2#cancelRequest."""
        await self._request("DELETE", f"/v2/verify/{request_id}")

    async def look_up(self, request: IdentityInsightsRequest) -> IdentityInsightsResponse:
        """Fetch insights: https://developer.vonage.com/en/api/identity-insights."""
        fields = await self._request("POST", "/identity-insights/v1/requests", _json(request))
        return IdentityInsightsResponse.model_validate(fields)

    async def _request(self, method: str, target: str, body: bytes = b"") -> Mapping[str, object]:
        headers = {
            "Accept": "application/json",
            "Authorization": await self._authorization(),
            "Content-Type": "application/json",
            "User-Agent": "otp_app",
        }
        response = await self._http.request(method, target, headers, body)
        return response.fields

    async def _authorization(self) -> str:
        """Return the credentials of a request. A new token is signed in a thread."""
        auth: Any = self._auth  # the SDK's methods have no types
        if not isinstance(auth, TokenCachingAuth):
            return str(auth.create_basic_auth_string())
        if not auth.is_fresh:
            await asyncio.to_thread(auth.generate_application_jwt)
        return f"Bearer {auth.generate_application_jwt().decode()}"


def _json(request: BaseModel) -> bytes:
    return request.model_dump_json(by_alias=True, exclude_none=True).encode()


def _pem(private_key: str) -> str:
    r"""Return the PEM of a key given as PEM, as PEM on one line with `\n`, or as a path."""
    if "-----BEGIN" in private_key:
        return private_key.replace("\\n", "\n")
    return Path(private_key).read_text()
