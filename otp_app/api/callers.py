"""Authentication of callers: a program with an API key, a browser with our cookie, or neither.

A caller without the cookie refers to its verification by a handle: a signed token with the flow and
the id (`otp_app/identity/tokens.py`).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import structlog
from fastapi import Depends, Request
from starlette.datastructures import MutableHeaders

from otp_app import services
from otp_app.errors import (
    ApiKeyRefused,
    CallerUnknown,
    FlowMissing,
    VerificationNotFound,
)
from otp_app.i18n.languages import best_for
from otp_app.identity import tokens
from otp_app.identity.requests import api_policy, client_key, require_same_origin
from otp_app.verification.client import Client
from otp_app.verification.models import Flow
from otp_app.web.bounds import ONE_PER_MINUTE, Buckets

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otp_app.config import Settings
    from otp_app.verification.client import Device

_STATE = "set_cookies"  # the key in the request's state for the list of `Set-Cookie` headers


def keep_cookie(request: Request, header: str) -> None:
    """Send the `Set-Cookie` *header* with the response to *request*, even with an error."""
    request.scope["state"].setdefault(_STATE, []).append(header)


class SetCookie:
    """Middleware that adds the cookies of `keep_cookie` to the response.

    Error responses need the cookies as well: a start may end in an error after the message was
    sent, and the browser's next request must be recognised as one of the same browser.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        state = scope.setdefault("state", {})

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                for header in state.get(_STATE, ()):
                    MutableHeaders(scope=message).append("set-cookie", header)
            await send(message)

        await self.app(scope, receive, send_with_cookie)


log = structlog.get_logger(__name__)
_lines = Buckets(ONE_PER_MINUTE)  # log lines about rejected keys, for each address
_SAFE = ("GET", "HEAD")  # RFC 9110 section 9.2.1


@dataclass(frozen=True)
class Caller:
    """The caller of a request.

    Attributes:
        address: key under which limits count the caller's address.
        flow: flow of the browser's cookie; None without the cookie.
        proved: number of the browser's session in E.164; empty without a session.
        device: proof of earlier successful verifications in this browser. None for an API key: a
            program acts for many people, and each call may be about another person's number.
        key: name of the API key; empty without a key.
        language: BCP 47 tag of the language for messages; empty if the caller accepts no language
            that the app has.
    """

    address: str
    flow: Flow | None = None
    proved: str = ""
    key: str = ""
    language: str = ""
    device: Device | None = None

    def client(self, flow: Flow) -> Client:
        """Return this caller with *flow*, in the form that the limits need."""
        return Client(flow, self.address, self.proved, self.key, self.language, self.device)

    def public_id(self, flow: Flow, id_: str) -> str:
        """Return the id of verification *id_* that this caller receives.

        The id is *id_* itself if the caller's cookie is for *flow*, else a handle.
        """
        handles = services.current().verification_tokens
        return id_ if flow == self.flow else handles.issue(flow, id_, self.key)

    def find(self, token: str) -> tuple[Client, str]:
        """Return the client and the id of the verification that *token* refers to.

        If *token* is not a handle of this caller, it counts as an id in the flow of the cookie. An
        empty one is returned as it is: the caller then means the open verification of the flow.

        Raises:
            VerificationNotFound: *token* is not this caller's, or is empty beside an API key.
            FlowMissing: there is neither a handle nor a cookie.
        """
        if opened := services.current().verification_tokens.read(token, self.key):
            flow, id_ = opened
            return self.client(flow), id_
        if self.flow is None:
            raise VerificationNotFound if token or self.key else FlowMissing
        return self.client(self.flow), token


async def optional_caller(request: Request) -> Caller:
    """Return the caller of *request*, with or without a key or cookie.

    Raises:
        OriginRefused: the request comes from a page of an origin that is not allowed.
        NotJson: the body is not JSON, so a form of another site could have sent it.
        ApiKeyRefused: the API key is not in the settings.
        CallerUnknown: API_PUBLIC requires a key, our cookie or an allowed origin.
    """
    settings: Settings = request.app.state.settings
    address = client_key(request.scope)
    if request.method not in _SAFE:
        require_same_origin(request, api_policy(settings.api_origins))
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


async def authenticated_caller(caller: OptionalCaller) -> Caller:
    """Return the caller, who has an API key or our cookie.

    Raises:
        CallerUnknown: the caller has neither.
    """
    if not caller.key and caller.flow is None:
        raise CallerUnknown
    return caller


def new_flow() -> Flow:
    """Return a random flow for a verification without a browser."""
    return Flow(secrets.token_urlsafe(32))


def new_browser_flow(request: Request) -> Flow:
    """Return the flow of a new cookie, which is sent with the response even if that is an error."""
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
        return tokens.name_of(authorization, settings.api_key_hashes)
    except ApiKeyRefused:
        if _lines.take(address):
            log.warning("api.key_rejected", address=address)
        raise


OptionalCaller = Annotated[Caller, Depends(optional_caller)]
AuthenticatedCaller = Annotated[Caller, Depends(authenticated_caller)]
