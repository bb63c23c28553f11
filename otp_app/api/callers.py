"""Who calls: a program with its key, a browser with our cookie, or somebody with a handle."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import structlog
from fastapi import Depends, Request

from otp_app import services
from otp_app.api import keys
from otp_app.api.cookies import keep_cookie
from otp_app.errors import (
    ApiKeyRefused,
    CallerUnknown,
    FlowMissing,
    NotJson,
    OriginRefused,
    VerificationNotFound,
)
from otp_app.i18n.languages import best_for
from otp_app.verification.limits import Client
from otp_app.verification.models import Flow
from otp_app.web.proxies import scope_key
from otp_app.web.rates import Buckets
from otp_app.web.sockets import ONE_A_MINUTE

if TYPE_CHECKING:
    from otp_app.config import Settings
    from otp_app.verification.limits import Device

log = structlog.get_logger(__name__)
_lines = Buckets(ONE_A_MINUTE)  # of an address
_SAFE = ("GET", "HEAD")  # RFC 9110 section 9.2.1
_SAME_SITE = ("same-origin", "none", None)  # Sec-Fetch-Site; programs send none of it


@dataclass(frozen=True)
class Caller:
    """Who asks, and from where.

    Attributes:
        address: what limits by address count under.
        flow: of the browser that brings our cookie.
        proved: the number that this browser's session is for, in E.164, or nothing.
        device: the browser's record of earlier successes. None for an API key: a program speaks
            for many people, and each of its calls may be about another person's number.
        key: the name of the API key, or nothing.
        language: a BCP 47 tag, for messages; or nothing, if it asked for none that we speak.
    """

    address: str
    flow: Flow | None = None
    proved: str = ""
    key: str = ""
    language: str = ""
    device: Device | None = None

    def client(self, flow: Flow) -> Client:
        """What the limits know of it, in *flow*."""
        return Client(flow, self.address, self.proved, self.key, self.language, self.device)

    def name(self, flow: Flow, id_: str) -> str:
        """What it holds *id_* by: that alone where its cookie stands for *flow*, else a handle."""
        handles = services.current().handles
        return id_ if flow == self.flow else handles.issue(flow, id_, self.key)

    def find(self, handle: str) -> tuple[Client, str]:
        """Whose verification *handle* is, and its id; without one, what the cookie's flow has.

        Raises:
            VerificationNotFound: it is not this caller's.
            FlowMissing: there is neither a handle nor a cookie.
        """
        if opened := services.current().handles.open(handle, self.key):
            flow, id_ = opened
            return self.client(flow), id_
        if self.flow is None:
            raise VerificationNotFound if handle or self.key else FlowMissing
        return self.client(self.flow), handle


async def anybody(request: Request) -> Caller:
    """The caller, if it may call at all.

    Raises:
        OriginRefused, NotJson: another site's page could have sent this in a person's name.
        ApiKeyRefused: no such key.
        CallerUnknown: somebody must say who they are, by API_PUBLIC.
    """
    settings: Settings = request.app.state.settings
    address = scope_key(request.scope)
    if request.method not in _SAFE:
        _require_no_forgery(request, settings.api_origins)
    language = _language(request)
    if authorization := request.headers.get("authorization"):
        return Caller(address, key=_key(authorization, settings, address), language=language)
    here, cookies = services.current(), request.headers.get("cookie", "")
    flow = here.flows.read(cookies)
    is_from_a_page = request.headers.get("origin") in settings.api_origins
    if flow is None and not is_from_a_page and not settings.is_api_public:
        raise CallerUnknown
    session = await here.session(cookies)
    proved = session.phone.e164 if session else ""
    device = here.devices.read(cookies)
    return Caller(address, flow, proved, language=language, device=device)


async def somebody(caller: Anybody) -> Caller:
    """The caller, who has a key or a cookie. Raises `CallerUnknown`."""
    if not caller.key and caller.flow is None:
        raise CallerUnknown
    return caller


def new_flow() -> Flow:
    """Of a verification that no browser's cookie stands for."""
    return Flow(secrets.token_urlsafe(32))


def new_browser(request: Request) -> Flow:
    """The flow of a cookie that goes out with the answer, whatever that is."""
    flows = services.current().flows
    cookie = flows.mint()
    keep_cookie(request, flows.set_cookie(cookie))
    flow = flows.read(cookie)
    if flow is None:
        raise FlowMissing
    return flow


def _language(request: Request) -> str:
    wanted = best_for(request.headers.get("accept-language", ""))
    return wanted.tag if wanted else ""


def _key(authorization: str, settings: Settings, address: str) -> str:
    try:
        return keys.name_of(authorization, settings.api_key_hashes)
    except ApiKeyRefused:
        if _lines.take(address):
            log.warning("api.key_refused", address=address)
        raise


def _require_no_forgery(request: Request, origins: tuple[str, ...]) -> None:
    """Cross-site request forgery: a browser says whose page asks, and no form can send JSON."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    is_ours = site in _SAME_SITE if origin is None else origin in origins
    if not is_ours:
        raise OriginRefused
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and kind != "application/json":
        raise NotJson


Anybody = Annotated[Caller, Depends(anybody)]
Somebody = Annotated[Caller, Depends(somebody)]
