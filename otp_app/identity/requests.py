"""The sender of a request: its address behind trusted proxies, and the origin of its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.datastructures import Headers

from otp_app.errors import NotJson, OriginRefused
from otp_app.verification.client import address_key, client_address, client_keys, is_direct_loopback

if TYPE_CHECKING:
    from collections.abc import Collection

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


_SAME_SITE = ("same-origin", "none", None)  # values of Sec-Fetch-Site; programs send none
_JSON = "application/json"


@dataclass(frozen=True)
class OriginPolicy:
    """The pages whose requests an endpoint accepts, to prevent cross-site request forgery.

    A request without `Origin` is always accepted, unless its `Sec-Fetch-Site` names another site:
    it comes from a program or an old browser.

    Attributes:
        origins: the origins of the pages.
        cross_site: whether a page of *origins* may be on another site, as for the API. Without it,
            the page may at most be on another port: another port is another origin of the same
            site, and `reflex run` serves pages and backend on two ports.
        hidden_origin: whether a page of our own origin may send `Origin: null`, as a page without
            a referrer does (Fetch, "append a request `Origin` header").
        json_only: whether the body of a POST must be JSON, which an HTML form cannot send.
    """

    origins: Collection[str]
    cross_site: bool = False
    hidden_origin: bool = False
    json_only: bool = False

    def allows(self, origin: str | None, site: str | None) -> bool:
        """Return whether a request with these values of `Origin` and `Sec-Fetch-Site` is accepted.

        None is the value of an absent header.
        """
        if origin is None:
            return site in _SAME_SITE
        if origin == "null":
            return self.hidden_origin and site == "same-origin"
        is_near = site in (*_SAME_SITE, "same-site")
        return origin in self.origins and (self.cross_site or is_near)


def form_policy(origins: Collection[str]) -> OriginPolicy:
    """Return the policy for the forms of our own pages, which are served from *origins*."""
    return OriginPolicy(origins, hidden_origin=True)


def api_policy(origins: Collection[str]) -> OriginPolicy:
    """Return the policy for the API, which the scripts of pages of *origins* call."""
    return OriginPolicy(origins, cross_site=True, json_only=True)


def require_same_origin(request: Request, policy: OriginPolicy) -> None:
    """Refuse a request that a page of another site could send with the person's cookies.

    Raises:
        OriginRefused: *policy* does not allow the page that sent the request.
        NotJson: the body of a POST request has to be JSON and is not.
    """
    headers = request.headers
    if not policy.allows(headers.get("origin"), headers.get("sec-fetch-site")):
        raise OriginRefused
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if policy.json_only and request.method == "POST" and kind != _JSON:
        raise NotJson


def require_own_page(request: Request) -> None:
    """Refuse a request to the plain pages that no page of ours sent.

    Raises:
        OriginRefused: the request comes from another site.
    """
    require_same_origin(request, form_policy(request.app.state.allowed_origins))


async def own_form(request: Request) -> dict[str, str]:
    """Return the fields of a urlencoded form that a page of ours sent.

    Raises:
        OriginRefused: the form is from another site.
    """
    require_own_page(request)
    body = await request.body()
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
