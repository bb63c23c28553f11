"""The API, assembled, and its place in front of the pages."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match

from otp_app import routes
from otp_app.api import docs, guides, verifications
from otp_app.api.cookies import SetCookie
from otp_app.api.once import REPLAYED
from otp_app.api.schemas import Health
from otp_app.errors import (
    FieldsUnusable,
    MethodNotAllowed,
    OtpError,
    PathUnknown,
    Unexpected,
)
from otp_app.web import problems

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from otp_app.config import Settings

_NAME = re.compile(r"[A-Za-z_-][A-Za-z0-9_-]{0,39}")
_WHY = {  # pydantic's types of errors; its texts may hold values
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "string_type": "must be a text",
    "string_too_long": "is too long",
    "json_invalid": "is not JSON",
    "enum": "is none of the known names",
    "model_attributes_type": "must be an object",
}

METHODS = ("GET", "HEAD", "POST", "DELETE")
_BODY = "body"
_REFUSALS: dict[int, type[OtpError]] = {404: PathUnknown, 405: MethodNotAllowed}

log = structlog.get_logger(__name__)
health = APIRouter(tags=["health"])


class ApiFirst:
    """Hands the API what is its own, and the rest to the pages.

    Reflex's `api_transformer` would put it inside the CORS of the pages, which refuses what pages
    of other origins may ask of the API; their list is also who may open the socket.
    """

    def __init__(self, pages: ASGIApp, api: ASGIApp) -> None:
        self._pages = pages
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        is_api = scope["type"] == "http" and _is_api(scope["path"])
        await (self._api if is_api else self._pages)(scope, receive, send)


def build(settings: Settings) -> FastAPI:
    """The API on its own. Its services are those in use."""
    app = FastAPI(
        title=f"{settings.brand} verification API",
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        exception_handlers={
            OtpError: _told,
            RequestValidationError: _unusable,
            HTTPException: _not_routed,
            Exception: _crashed,
        },
    )
    app.state.settings = settings
    app.routes.extend(docs.pages())
    for router in (guides.router, verifications.router, health):
        app.include_router(router)
    app.openapi = cache(lambda: docs.openapi(app))  # type: ignore[method-assign]
    app.add_middleware(SetCookie)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.api_origins,
        allow_credentials=True,
        allow_methods=METHODS,
        allow_headers=["Content-Type", "Idempotency-Key"],  # no keys: a page has no secrets
        expose_headers=["Location", "Retry-After", REPLAYED],
    )
    return app


@health.head(routes.HEALTH, include_in_schema=False)
@health.get(routes.HEALTH, summary="Whether the process answers", operation_id="health")
async def alive() -> Health:
    """Asks neither the database nor the provider."""
    return Health()


def _is_api(path: str) -> bool:
    return f"{path}/".startswith(routes.API) or path == routes.HEALTH


async def _told(request: Request, error: Exception) -> Response:
    if not isinstance(error, OtpError):
        raise error
    return problems.answer(error, request)


async def _unusable(request: Request, error: Exception) -> Response:
    """Fields that are missing, unknown or of another type, by their names alone."""
    if not isinstance(error, RequestValidationError):
        raise error
    found = {_field(one["loc"]): _WHY.get(one["type"], "cannot be used") for one in error.errors()}
    return problems.answer(FieldsUnusable(found), request)


async def _not_routed(request: Request, error: Exception) -> Response:
    """What the framework refuses: no such path or method, a body that is no JSON."""
    if not isinstance(error, HTTPException):
        raise error
    refusal: OtpError = FieldsUnusable({_BODY: _WHY["json_invalid"]})
    if error.status_code in _REFUSALS:
        refusal = _REFUSALS[error.status_code]()
    answer = problems.answer(refusal, request)
    if isinstance(refusal, MethodNotAllowed):
        answer.headers["Allow"] = ", ".join(_allowed(request))
    return answer


def _allowed(request: Request) -> list[str]:
    """All methods of the path; the framework names those of its first route only."""
    return [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


async def _crashed(request: Request, error: Exception) -> Response:
    log.error("api.failed", error=type(error).__name__)
    return problems.answer(Unexpected(), request)


def _field(place: tuple[int | str, ...]) -> str:
    """The name at *place*, such as `("body", "code")`; a caller may have made it up."""
    names = [str(name) for name in place[1:] if _NAME.fullmatch(str(name))]
    return names[0] if names else _BODY
