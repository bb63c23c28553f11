"""The dependencies of the API's routes: who is calling, and `Idempotency-Key`.

A repeated request with an idempotency key receives the stored response and is not executed again:
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import structlog
from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import MutableHeaders

from otp_app import routes, services
from otp_app.errors import (
    ApiKeyRefused,
    CallerUnknown,
    CodeMismatch,
    FlowMissing,
    InputError,
    LanguageRefused,
    OtpError,
    ProviderNotReached,
    RateLimited,
    VerificationError,
    VerificationNotFound,
)
from otp_app.i18n import best_for
from otp_app.identity.callers import Caller
from otp_app.identity.requests import api_policy, client_key, require_same_origin
from otp_app.storage.idempotency import StoredResponse
from otp_app.web import problems
from otp_app.web.bounds import ONE_PER_MINUTE, Buckets

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from pydantic import BaseModel
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otp_app.config import Settings
    from otp_app.i18n import Language
    from otp_app.storage.idempotency import RequestKey, SqlIdempotencyStore
    from otp_app.verification.models import Flow

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
_log_rate = Buckets(ONE_PER_MINUTE)  # log lines about rejected keys, for each address
_SAFE = ("GET", "HEAD")  # RFC 9110 section 9.2.1


async def optional_caller(request: Request) -> Caller:
    """Return the caller of *request*, with or without a key or cookie.

    Raises:
        OriginRefused: the request comes from a page of an origin that is not allowed.
        NotJson: the body is not JSON, so a form of another site could have sent it.
        ApiKeyRefused: the API key is not in the settings.
        CallerUnknown: API_PUBLIC requires a key, our cookie or an allowed origin.
    """
    settings: Settings = request.app.state.settings
    if request.method not in _SAFE:
        require_same_origin(request, api_policy(settings.api_origins))
    headers = request.headers
    if authorization := headers.get("authorization"):
        return _program(request, authorization, settings.api_key_hashes)
    is_from_a_page = headers.get("origin") in settings.api_origins
    unknown = None if is_from_a_page or settings.is_api_public else CallerUnknown
    callers, address = services.current().callers, client_key(request.scope)
    return await callers.browser(headers.get("cookie", ""), address, _tag(request), unknown)


async def authenticated_caller(caller: OptionalCaller) -> Caller:
    """Return the caller, who has an API key or our cookie.

    Raises:
        CallerUnknown: the caller has neither.
    """
    if not caller.key and caller.flow is None:
        raise CallerUnknown
    return caller


def _program(request: Request, authorization: str, hashes: Mapping[str, str]) -> Caller:
    """Return the caller with the API key in *authorization*, and log a key that is refused."""
    address = client_key(request.scope)
    try:
        return services.current().callers.program(authorization, hashes, address, _tag(request))
    except ApiKeyRefused:
        if _log_rate.take(address):
            log.warning("api.key_rejected", address=address)
        raise


def _tag(request: Request) -> str:
    wanted = best_for(request.headers.get("accept-language", ""))
    return wanted.tag if wanted else ""


def new_browser_flow(request: Request) -> Flow:
    """Return the flow of a new cookie, which is sent with the response even if that is an error."""
    flows = services.current().flows
    cookie = flows.mint()
    keep_cookie(request, flows.set_cookie(cookie))
    flow = flows.read(cookie)
    if flow is None:
        raise FlowMissing
    return flow


OptionalCaller = Annotated[Caller, Depends(optional_caller)]
AuthenticatedCaller = Annotated[Caller, Depends(authenticated_caller)]

CREATED = 201
REPLAYED = "Idempotency-Replayed"

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        pattern=r"^[\x21-\x7e]*$",
        description="the same for all attempts of one request; a response is kept for 24 hours",
        examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
    ),
]


@dataclass(frozen=True)
class Idempotent:
    """Executes an operation once for each idempotency key of a caller.

    Without a key, every request is executed.
    """

    caller: Caller
    request: Request
    key: str

    async def __call__(self, status: int, work: Callable[[], Awaitable[BaseModel]]) -> Response:
        """Return the result of *work* with *status*, or the stored response of an earlier request.

        Raises:
            CallerUnknown: the request has an idempotency key, and no API key and no cookie.
            IdempotencyKeyReused: the key was used for another request.
            IdempotencyKeyInUse: the first request with the key has no response yet.
        """
        if not self.key:
            return _response(StoredResponse(status, (await work()).model_dump_json()))
        store, ticket = services.current().idempotency, await self._request_key()
        if kept := await store.begin(ticket, _now()):
            return _response(kept, {REPLAYED: "true"})
        answer = await self._run(store, ticket, status, work)
        await store.store(ticket, answer)
        is_told = answer.status != status
        return _response(answer, problems.content_language(self._language) if is_told else {})

    @property
    def _language(self) -> Language:
        return problems.language_of(self.request)

    async def _run(
        self,
        store: SqlIdempotencyStore,
        ticket: RequestKey,
        status: int,
        work: Callable[[], Awaitable[BaseModel]],
    ) -> StoredResponse:
        try:
            return StoredResponse(status, (await work()).model_dump_json())
        except OtpError as error:
            if not _may_have_acted(error, status):
                await store.release(ticket)
                raise
            told = problems.problem(error, _now(), language=self._language)
            return StoredResponse(error.status, json.dumps(told))

    async def _request_key(self) -> RequestKey:
        caller = self.caller.key or self.caller.flow
        if not caller:  # keys are scoped to the caller: unknown callers would share their keys
            raise CallerUnknown
        request = f"{self.request.method} {self.request.url.path}\n".encode()
        whole = request + await self.request.body()
        return services.current().idempotency.request_key(caller, self.key, whole)


async def _idempotent(
    request: Request, caller: OptionalCaller, key: IdempotencyKey = ""
) -> Idempotent:
    return Idempotent(caller, request, key)


def _may_have_acted(error: OtpError, status: int) -> bool:
    """Return True if a message may have been sent or a guess was used up, so *error* is stored.

    After other errors a retry with the same key is executed again. The number of stored responses
    is thereby bounded by the limits on messages and guesses.
    """
    match error:
        case InputError() | LanguageRefused() | RateLimited() | ProviderNotReached():
            return False
        case VerificationNotFound():  # from a create: closed while its message was sent
            return status == CREATED
        case VerificationError():
            return isinstance(error, CodeMismatch)
        case _:
            return True


def _response(answer: StoredResponse, headers: dict[str, str] | None = None) -> Response:
    headers = headers or {}
    if answer.status >= 400:
        return Response(answer.body, answer.status, headers, problems.MEDIA_TYPE)
    if answer.status == CREATED:
        headers |= {"Location": f"{routes.VERIFICATIONS}/{json.loads(answer.body)['id']}"}
    return Response(answer.body, answer.status, headers, JSONResponse.media_type)


def _now() -> datetime:
    return services.current().verifications.now()


IdempotentRequest = Annotated[Idempotent, Depends(_idempotent)]
