"""`Idempotency-Key`: a repeated request receives the stored response and is not executed again.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse, Response

from otp_app import routes, services
from otp_app.api.callers import Caller, OptionalCaller  # noqa: TC001 - FastAPI evaluates it
from otp_app.errors import (
    CallerUnknown,
    CodeMismatch,
    InputError,
    LanguageRefused,
    OtpError,
    ProviderNotReached,
    RateLimited,
    VerificationError,
    VerificationNotFound,
)
from otp_app.storage.idempotency import StoredResponse
from otp_app.web import problems

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from pydantic import BaseModel

    from otp_app.i18n.languages import Language
    from otp_app.storage.idempotency import RequestKey, SqlIdempotencyStore

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
