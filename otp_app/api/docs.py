"""The OpenAPI document and an HTML page of it, without scripts and without external resources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from otp_app import routes, services
from otp_app.api import documented
from otp_app.api.schemas import GuideError, Problem
from otp_app.i18n.languages import english
from otp_app.web import problems
from otp_app.web.forms import TEMPLATES

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

ABOUT = (
    "Send one-time codes and check them. Programs bring an API key, browsers our cookie; the "
    "guides' routes also work with the requestId alone. Requests are limited by caller, address, "
    "number, country and in all, together with the pages."
)

_pages = Jinja2Templates([Path(__file__).with_name("templates"), TEMPLATES])
_pages.env.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)


def pages() -> list[Route]:
    """Return the routes of the OpenAPI document and the HTML page."""
    return [
        Route(routes.OPENAPI, _document, methods=["GET"]),
        Route(routes.API_DOCS, _page, methods=["GET"]),
    ]


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of *app*: https://spec.openapis.org/oas/v3.1.0."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=ABOUT,
        routes=app.routes,
    )
    components = document["components"]
    components["securitySchemes"] = documented.security_schemes(services.current().flows.name)
    for model in (GuideError, Problem):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        components["schemas"] |= {**schema.pop("$defs", {}), model.__name__: schema}
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    return document


async def _document(request: Request) -> Response:
    return JSONResponse(request.app.openapi())


async def _page(request: Request) -> Response:
    context = {
        "brand": request.app.state.settings.brand,
        "theme": request.app.state.settings.theme,
        "language": english(),
        "say": english().say,
        "title": request.app.title,
        "document": request.app.openapi(),
        "resolve": lambda schema: _resolved(schema, request.app.openapi()),
        "errors": [
            (error, problems.title(error.code), problems.problem(error, documented.NOW))
            for error in documented.EXAMPLES
        ],
    }
    return _pages.TemplateResponse(request, "docs.html", context)


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Return *schema*, or the schema that its `$ref` refers to."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema
