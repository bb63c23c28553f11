"""Errors, security schemes and links in the OpenAPI document.

Each error has an example here, and each operation lists the errors that it may raise. A test
compares both with the code.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from otp_app import errors as e
from otp_app import routes, services
from otp_app.api.schemas import GuideError, Problem
from otp_app.i18n import english
from otp_app.web import problems
from otp_app.web.plain_pages import TEMPLATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastapi import FastAPI
    from starlette.requests import Request

NOW = datetime(2026, 3, 1, 14, 45, tzinfo=UTC)
_UNTIL = NOW + timedelta(seconds=24)

EXAMPLES: tuple[e.OtpError, ...] = (
    e.FieldsUnusable({"code": "must be a text"}),
    e.BodyTooLong(),
    e.NotJson(),
    e.PathUnknown(),
    e.MethodNotAllowed(),
    e.OriginRefused(),
    e.CallerUnknown(),
    e.ApiKeyRefused(),
    e.IdempotencyKeyReused(),
    e.IdempotencyKeyInUse(),
    e.Unexpected(),
    e.InvalidPhoneNumber(e.PhoneProblem.TOO_SHORT, region="US"),
    e.InvalidCode(e.CodeProblem.TOO_SHORT, length=6, count=5),
    e.ChannelNotOffered(channels=("sms", "voice")),
    e.NumberUnfit(),
    e.FlowMissing(),
    e.VerificationNotFound(),
    e.VerificationReplaced(ending="671"),
    e.VerificationExpired(),
    e.CodeUsedUp(),
    e.AlreadyVerified(),
    e.CodeMismatch(attempts_left=3, until=_UNTIL),
    e.AttemptsExhausted(until=_UNTIL),
    e.ResendTooSoon(until=_UNTIL),
    e.SendsExhausted(sends=4, until=_UNTIL),
    e.NumberBusy(),
    e.RateLimited("number", _UNTIL),
    e.ProviderRejected(),
    e.LanguageRefused(),
    e.ProviderUnavailable(),
    e.ProviderNotReached(),
    e.ProviderThrottled(seconds=30),
    e.ProviderTimedOut(),
    e.CheckTimedOut(),
    e.ProviderMisconfigured(),
    e.StoreUnavailable(),
    e.Overloaded(),
)
"""One example of each error code."""

_CALL = (
    e.ApiKeyRefused,
    e.CallerUnknown,
    e.FieldsUnusable,
    e.RateLimited,  # the rate limit of HTTP requests applies to every route
    e.StoreUnavailable,
)
_WRITE = (*_CALL, e.OriginRefused)
_POST = (*_WRITE, e.BodyTooLong, e.NotJson)
_ONCE = (e.IdempotencyKeyReused, e.IdempotencyKeyInUse)
_PROVIDER = (
    e.ProviderUnavailable,
    e.ProviderNotReached,
    e.ProviderThrottled,
    e.ProviderMisconfigured,
)
_SEND = (
    *_PROVIDER,
    e.Overloaded,
    e.ChannelNotOffered,
    e.InvalidPhoneNumber,
    e.LanguageRefused,
    e.NumberBusy,
    e.NumberUnfit,
    e.ProviderRejected,
    e.ProviderTimedOut,
    e.AttemptsExhausted,
    e.ResendTooSoon,
    e.SendsExhausted,
    e.VerificationExpired,
    e.VerificationNotFound,
)
_CHECK = (
    *_PROVIDER,
    e.Overloaded,
    e.InvalidCode,
    e.CodeMismatch,
    e.CheckTimedOut,
    e.AttemptsExhausted,
    e.AlreadyVerified,
    e.VerificationExpired,
    e.CodeUsedUp,
    e.VerificationNotFound,
    e.VerificationReplaced,
)

_RAISED: dict[str, tuple[type[e.OtpError], ...]] = {
    "create": (*_POST, *_ONCE, *_SEND),
    "read": (*_CALL, e.VerificationNotFound),
    "check": (*_POST, *_ONCE, *_CHECK),
    "resend": (*_POST, *_ONCE, *_SEND, e.AlreadyVerified, e.VerificationReplaced),
    "cancel": (*_WRITE, e.VerificationNotFound, e.AlreadyVerified, e.VerificationExpired),
    "guides": (*_POST, *_SEND, *_CHECK, e.FlowMissing),
}

Responses = dict[int | str, dict[str, Any]]

_RETRY_AFTER = {
    "Retry-After": {"description": "seconds", "schema": {"type": "string", "pattern": "^[0-9]+$"}}
}
_CHALLENGE = {"WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}}}
_HEADERS = {429: _RETRY_AFTER, 503: _RETRY_AFTER, 401: _CHALLENGE}
_LOCATION = {
    "description": "the address of the verification",
    "schema": {"type": "string", "format": "uri-reference"},
}
_LINKS = {  # operation id: description of the link
    "read": "Read the status",
    "check": "Check the code that the person typed",
    "resend": "Send the code again",
    "cancel": "Cancel the verification",
}


def error_responses(operation: str) -> Responses:
    """Return the problem responses of *operation* by status, with an example of each error."""
    return _by_status(
        _examples(operation), lambda error: error.status, problems.MEDIA_TYPE, "Problem"
    )


def guide_error_responses() -> Responses:
    """Return the error responses of the guides' routes, with the guides' statuses and format."""
    return _by_status(_examples("guides"), problems.guide_status, "application/json", "GuideError")


def created_response() -> dict[str, Any]:
    """Return the response to a new verification, with links to the operations on it."""
    return {
        "description": "The code was sent",
        "headers": {"Location": _LOCATION},
        "links": {
            name: {
                "operationId": name,
                "description": description,
                "parameters": {"id": "$response.body#/id"},
            }
            for name, description in _LINKS.items()
        },
    }


def optional_authentication() -> dict[str, Any]:
    """Return the security of operations that API_PUBLIC opens: a key, our cookie or neither."""
    return {"security": [{"key": []}, {"cookie": []}, {}]}


def required_authentication() -> dict[str, Any]:
    """Return the security of operations that require a key or our cookie."""
    return {"security": [{"key": []}, {"cookie": []}]}


def security_schemes(cookie: str) -> dict[str, Any]:
    """Return the security schemes: the API key, and the cookie named *cookie*."""
    return {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, from: python -m otp_app key NAME",
        },
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie,
            "description": "The app's cookie, which the pages and the first response set",
        },
    }


def _examples(operation: str) -> list[e.OtpError]:
    return [error for error in EXAMPLES if type(error) in _RAISED[operation]]


def _by_status(
    examples: Iterable[e.OtpError],
    status_of: Callable[[e.OtpError], int],
    media_type: str,
    schema: str,
) -> Responses:
    grouped: dict[int, dict[str, Any]] = defaultdict(dict)
    for error in examples:
        shape = problems.problem if schema == "Problem" else problems.guide_problem
        grouped[status_of(error)][error.code] = {"value": shape(error, NOW)}
    return {
        status: {
            "description": ", ".join(examples),
            "headers": _HEADERS.get(status, {}),
            "content": {
                media_type: {
                    "schema": {"$ref": f"#/components/schemas/{schema}"},
                    "examples": examples,
                }
            },
        }
        for status, examples in sorted(grouped.items())
    }


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
    components["securitySchemes"] = security_schemes(services.current().flows.name)
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
        "t": english().t,
        "title": request.app.title,
        "document": request.app.openapi(),
        "resolve": lambda schema: _resolved(schema, request.app.openapi()),
        "errors": [
            (error, problems.title(error.code), problems.problem(error, NOW)) for error in EXAMPLES
        ],
    }
    return _pages.TemplateResponse(request, "docs.html", context)


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Return *schema*, or the schema that its `$ref` refers to."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema
