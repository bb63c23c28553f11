"""Error responses of the API: RFC 9457 problem details, and the guides' `{error}`.

https://www.rfc-editor.org/rfc/rfc9457
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from math import ceil
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from structlog.contextvars import bind_contextvars

from otp_app import presentation, routes, services
from otp_app.errors import (
    ApiKeyRefused,
    CallerUnknown,
    FieldsUnusable,
    InputError,
    OtpError,
    Overloaded,
    VerificationError,
)
from otp_app.i18n import english, negotiate
from otp_app.presentation import Preferences

if TYPE_CHECKING:
    from datetime import tzinfo

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from otp_app.i18n import Language

MEDIA_TYPE = "application/problem+json"
BAD_REQUEST = 400
_GUIDE_STATUSES = (410, 429)  # the statuses of errors in the guides, besides 400


def problem_response(error: OtpError, request: Request) -> JSONResponse:
    """Return the response to *request* for *error*, in the format of its path."""
    zone = Preferences.of(request.headers).zone
    now = services.current().verifications.now()
    is_guide = request.url.path in routes.GUIDES
    return _response(error, now, zone, language_of(request), is_guide=is_guide)


def _response(
    error: OtpError, now: datetime, zone: tzinfo, language: Language, *, is_guide: bool
) -> JSONResponse:
    headers = {**content_language(language), **retry_after(error), **_challenge(error)}
    if is_guide:
        body = guide_problem(error, now, zone, language)
        return JSONResponse(body, guide_status(error), headers)
    body = problem(error, now, zone, language)
    return JSONResponse(body, error.status, headers, MEDIA_TYPE)


async def overloaded(scope: Scope, _receive: Receive, send: Send) -> None:
    """Respond with 503 `overloaded`, with headers and body that are ready. This is an ASGI app."""
    bind_contextvars(outcome=Overloaded.code)
    language = negotiate("", Headers(scope=scope).get("accept-language", ""))
    ready = _overload_response(language, is_guide=scope["path"] in routes.GUIDES)
    headers = list(ready.raw_headers)  # outer layers add headers to the list
    await send({"type": "http.response.start", "status": ready.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": ready.body})


@cache
def _overload_response(language: Language, *, is_guide: bool) -> JSONResponse:
    """Return the response to every refusal in *language*, in the format of the path."""
    # The text has no time, so any time and zone do.
    return _response(Overloaded(), datetime.now(UTC), UTC, language, is_guide=is_guide)


def language_of(request: Request) -> Language:
    """Return the best language for the request's `Accept-Language`."""
    return negotiate("", request.headers.get("accept-language", ""))


def content_language(language: Language) -> dict[str, str]:
    """Return the header `Content-Language` (RFC 9110 section 8.5)."""
    return {"Content-Language": language.tag}


def problem(
    error: OtpError, now: datetime, zone: tzinfo = UTC, language: Language | None = None
) -> dict[str, Any]:
    """Return the problem details (RFC 9457 section 3.1) of *error*, in English by default.

    Extension members are `code` and, where they apply, `attempts_left`, `until` and `errors`.
    """
    language = language or english()
    return {
        "type": problem_type(error.code),
        "title": title(error.code),
        "status": error.status,
        "detail": presentation.message(error, language=language, zone=zone, now=now),
        **_known(error, language),
    }


def guide_problem(
    error: OtpError, now: datetime, zone: tzinfo = UTC, language: Language | None = None
) -> dict[str, Any]:
    """Return the error in the guides' format: `error` is the message."""
    language = language or english()
    text = presentation.message(error, language=language, zone=zone, now=now)
    return {"error": text, **_known(error, language)}


def problem_type(code: str) -> str:
    """Return a URI reference to the description of *code* in our documentation."""
    return f"{routes.API_DOCS}#{code}"


def title(code: str) -> str:
    """Return the title for programmers, the same for every occurrence of *code*."""
    return code.replace("_", " ").capitalize()


def guide_status(error: OtpError) -> int:
    """Return the status of *error* in the guides: 400 for nearly every mistake of the caller."""
    if isinstance(error, FieldsUnusable):
        is_only_missing = set(error.problems.values()) == {"is missing"}
        return BAD_REQUEST if is_only_missing else error.status
    is_theirs = isinstance(error, (InputError, VerificationError)) or error.status == 422
    return BAD_REQUEST if is_theirs and error.status not in _GUIDE_STATUSES else error.status


def retry_after(error: OtpError) -> dict[str, str]:
    """Return the header `Retry-After` in whole seconds (RFC 9110 section 10.2.3), if it applies."""
    match error.status, error.params:
        case _, {"seconds": int(seconds)}:
            return {"Retry-After": str(seconds)}
        case 429, {"until": datetime() as until}:
            now = services.current().verifications.now()
            return {"Retry-After": str(max(1, ceil((until - now).total_seconds())))}
        case _:
            return {}


def _known(error: OtpError, language: Language) -> dict[str, Any]:
    known: dict[str, Any] = {"code": error.code}
    if left := error.params.get("attempts_left"):
        known["attempts_left"] = left
    if isinstance(until := error.params.get("until"), datetime):
        known["until"] = until.isoformat()
    if isinstance(error, FieldsUnusable):
        found = error.problems.items()
        known["errors"] = [{"field": name, "problem": language.t(why)} for name, why in found]
    return known


def _challenge(error: OtpError) -> dict[str, str]:
    """Return the header `WWW-Authenticate` for a 401 (RFC 9110 section 15.5.2)."""
    is_about_caller = isinstance(error, (ApiKeyRefused, CallerUnknown))
    return {"WWW-Authenticate": "Bearer"} if is_about_caller else {}
