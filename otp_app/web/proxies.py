"""Replaces the proxy's address and scheme in the ASGI scope by the client's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from otp_app.addresses import address_key, client_address, client_keys, is_this_machine

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_SECURE = {"http": "https", "ws": "wss"}


class BehindProxies:
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


def scope_key(scope: Scope) -> str:
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
    return is_direct and is_this_machine(_peer(scope), Headers(scope=scope))


def _peer(scope: Scope) -> str:
    host, _ = scope.get("client") or ("", 0)  # a Unix socket has no peer address
    return str(host)
