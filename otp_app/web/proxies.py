"""Puts the client in the place of the proxies that stand in front of us."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from otp_app.addresses import address_key, client_address, client_keys, is_this_machine

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_SECURE = {"http": "https", "ws": "wss"}


class BehindProxies:
    """Everything inside, Reflex too, finds the client's address and scheme in the scope.

    Args:
        app: what is inside.
        hops: how many proxies in front of us are to be believed.
        https: whether people come by https, which only a proxy can speak: with the scheme that it
            speaks to us, redirects would lead away from https.
    """

    def __init__(self, app: ASGIApp, *, hops: int, https: bool) -> None:
        self.app = app
        self._hops = hops
        self._https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
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
    """The key that the limits of the client in *scope* count under."""
    return address_key(_peer(scope))


def scope_keys(scope: Scope) -> tuple[str, ...]:
    """The keys that rates of the client in *scope* count under: address first, then network."""
    return client_keys(_peer(scope))


def is_from_this_machine(scope: Scope) -> bool:
    """True if the request in *scope* seems to be made on this machine.

    Many versions of nginx speak HTTP/1.0 by default and add no header. No browser speaks it.
    """
    is_direct = scope["http_version"] not in {"1.0", "1"}  # granian writes the latter
    return is_direct and is_this_machine(_peer(scope), Headers(scope=scope))


def _peer(scope: Scope) -> str:
    host, _ = scope.get("client") or ("", 0)  # a Unix socket has none
    return str(host)
