"""Exception handlers: every failure becomes a problem response (RFC 9457)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from otp_app.errors import FieldsUnusable, MethodNotAllowed, OtpError, PathUnknown, Unexpected
from otp_app.i18n.marks import _
from otp_app.web import problems

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi import Request
    from starlette.responses import Response

METHODS = ("GET", "HEAD", "POST", "DELETE")

_NAME = re.compile(r"[A-Za-z_-][A-Za-z0-9_-]{0,39}")
_WHY = {  # by pydantic's type of error, because pydantic's own texts may hold values
    "missing": _("is missing"),
    "extra_forbidden": _("is not known"),
    "string_type": _("must be a text"),
    "string_unicode": _("must be a text"),
    "string_too_long": _("is too long"),
    "string_pattern_mismatch": _("does not have the right form"),
    "json_invalid": _("is not JSON"),
    "enum": _("is none of the known names"),
    "model_attributes_type": _("must be an object"),
}
_OTHERWISE = _("cannot be used")
_BODY = "body"
_REFUSALS: dict[int, type[OtpError]] = {404: PathUnknown, 405: MethodNotAllowed}

log = structlog.get_logger(__name__)


async def _told(request: Request, error: OtpError) -> Response:
    return problems.answer(error, request)


async def _unusable(request: Request, error: RequestValidationError) -> Response:
    """Handle missing, unknown and invalid fields. The response has names, and no values."""
    found = {_field(one["loc"]): _WHY.get(one["type"], _OTHERWISE) for one in error.errors()}
    return problems.answer(FieldsUnusable(found), request)


async def _not_routed(request: Request, error: HTTPException) -> Response:
    """Handle errors of the framework: unknown paths and methods, and bodies that are not JSON."""
    refusal: OtpError = FieldsUnusable({_BODY: _WHY["json_invalid"]})
    if error.status_code in _REFUSALS:
        refusal = _REFUSALS[error.status_code]()
    answer = problems.answer(refusal, request)
    if isinstance(refusal, MethodNotAllowed):
        answer.headers["Allow"] = ", ".join(_allowed(request))
    return answer


def _allowed(request: Request) -> list[str]:
    """Return all methods of the path. The framework returns those of the first route only."""
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
    """Return the field's name at *place*, such as `code` for `("body", "code")`.

    The caller chooses the names of unknown fields, so a name of another form is replaced by `body`.
    """
    names = [str(name) for name in place[1:] if _NAME.fullmatch(str(name))]
    return names[0] if names else _BODY


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    OtpError: _told,
    RequestValidationError: _unusable,
    HTTPException: _not_routed,
    Exception: _crashed,
}
