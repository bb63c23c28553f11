"""The FastAPI application of the API, and the middleware that routes requests to it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware

from otp_app import routes
from otp_app.api import docs, failures, guides, verifications
from otp_app.api.cookies import SetCookie
from otp_app.api.failures import METHODS
from otp_app.api.once import REPLAYED
from otp_app.api.schemas import Health

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from otp_app.config import Settings

health = APIRouter(tags=["health"])


class ApiFirst:
    """Routes requests for paths of the API to the API, and all others to the pages.

    Reflex's `api_transformer` would put the API behind the CORS middleware of the pages, which
    rejects origins that may call the API. These origins cannot be added there, because Reflex uses
    the same list for the origins that may open the websocket.
    """

    def __init__(self, pages: ASGIApp, api: ASGIApp) -> None:
        self._pages = pages
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        is_api = scope["type"] == "http" and _is_api(scope["path"])
        await (self._api if is_api else self._pages)(scope, receive, send)


def build(settings: Settings) -> FastAPI:
    """Return the API without the pages. Its routes use the services of `services.current`."""
    app = FastAPI(
        title=f"{settings.brand} verification API",
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        exception_handlers=failures.HANDLERS,
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
        allow_headers=["Content-Type", "Idempotency-Key"],  # no API keys: pages keep no secrets
        expose_headers=["Location", "Retry-After", REPLAYED],
    )
    return app


@health.head(routes.HEALTH, include_in_schema=False)
@health.get(routes.HEALTH, summary="Whether the process answers", operation_id="health")
async def alive() -> Health:
    """Return 200 without a request to the database or a provider."""
    return Health()


def _is_api(path: str) -> bool:
    return f"{path}/".startswith(routes.API) or path == routes.HEALTH
