"""The sender of a request: its address behind trusted proxies, and the origin of its page."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from otp_app.verification.client import address_key, client_address, client_keys, is_direct_loopback

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

_SECURE = {"http": "https", "ws": "wss"}


class TrustedProxies:
    """Sets the client's address and scheme in the scope, for the app inside and for Reflex.

    Args:
        app: the app inside.
        hops: the number of trusted proxies in front of the server.
        https: whether visitors use https. A proxy terminates https and connects by http, and
            redirects with the scheme of that connection would lead away from https.
    """

    def __init__(self, app: ASGIApp, *, hops: int, https: bool) -> None:
        self.app = app
        self._hops = hops
        self._https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] in {"http", "websocket"}:
            scope = {**scope, "client": (self._client(scope), 0), "scheme": self._scheme(scope)}
        await self.app(scope, receive, send)

    def _client(self, scope: Scope) -> str:
        forwarded_for = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
        return client_address(_peer(scope), forwarded_for, self._hops)

    def _scheme(self, scope: Scope) -> str:
        scheme: str = scope["scheme"]
        return _SECURE.get(scheme, scheme) if self._https else scheme


def client_key(scope: Scope) -> str:
    """Return the key under which the limits count the client of *scope*."""
    return address_key(_peer(scope))


def scope_keys(scope: Scope) -> tuple[str, ...]:
    """Return the keys under which rates count the client of *scope*: address, then network."""
    return client_keys(_peer(scope))


def is_from_this_machine(scope: Scope) -> bool:
    """Return True if the request in *scope* seems to come from this machine, without a proxy.

    HTTP/1.0 counts as a proxy: many versions of nginx use it by default and add no header, and no
    browser uses it.
    """
    is_direct = scope["http_version"] not in {"1.0", "1"}  # granian writes "1"
    return is_direct and is_direct_loopback(_peer(scope), Headers(scope=scope))


def _peer(scope: Scope) -> str:
    host, _ = scope.get("client") or ("", 0)  # a Unix socket has no peer address
    return str(host)


_SAME_SITE = {"same-origin", "none", None}  # values of Sec-Fetch-Site; old browsers send none


def require_same_origin(request: Request) -> None:
    """Refuse a request that a page of another site sent with the person's cookies.

    Raises:
        HTTPException: 403, the request is from another site.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    # A page without a referrer sends `Origin: null` (Fetch, "append a request `Origin` header").
    # Sec-Fetch-Site then has to be same-origin.
    hidden = origin == "null" and site == "same-origin"
    named = origin in request.app.state.allowed_origins
    # Another port is another origin of the same site. `reflex run` serves pages and backend on two
    # ports.
    allowed = _SAME_SITE | ({"same-site"} if named else set())
    if not (hidden or named or origin is None) or site not in allowed:
        raise HTTPException(403)


async def own_form(request: Request) -> dict[str, str]:
    """Return the fields of a urlencoded form that a page of ours sent.

    Raises:
        HTTPException: 403, the form is from another site.
    """
    require_same_origin(request)
    body = await request.body()
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
