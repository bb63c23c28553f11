"""The pages without JavaScript, rendered from templates."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from starlette.templating import Jinja2Templates
from structlog.contextvars import bind_contextvars

from otp_app import presentation, routes, services
from otp_app.errors import OtpError, Overloaded, StoreUnavailable, Unexpected
from otp_app.i18n import languages
from otp_app.i18n.en import (
    CHANNEL_TEXTS,
    NOTHING_DONE,
    PAGE_EXPIRED,
    REFERENCE,
    SERVICE_PROBLEM,
    WENT_WRONG,
    WENT_WRONG_UNTIL,
    WHAT_WAS_ENTERED,
)
from otp_app.monitoring.logging import log_reference
from otp_app.phone import named_country
from otp_app.presentation import Preferences
from otp_app.presentation.code_page import CodePage
from otp_app.web.localized_pages import language_of
from otp_app.web.problems import retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from otp_app.i18n import Language
    from otp_app.verification.models import Verification


RETRY_AFTER_OUTAGE = 120  # seconds to wait during an outage; enough for most restarts
FORBIDDEN, UNAVAILABLE = 403, 503

log = structlog.get_logger(__name__)

TEMPLATES = Path(__file__).with_name("templates")
pages = Jinja2Templates(TEMPLATES)


async def store_unavailable_page(request: Request, error: Any) -> Response:  # noqa: ANN401 - Starlette's
    """Render the 503 page for a database outage."""
    bind_contextvars(outcome=error.code)
    person = Preferences.of(request.headers)
    language = person.language
    time = presentation.clock(_later(), language, person.zone)
    sentences = [language.t(WENT_WRONG_UNTIL, time=time), *_what_to_quote(language)]
    answer = problem(request, SERVICE_PROBLEM, sentences, error.status)
    answer.headers.update(_retry_after(error))
    return answer


async def crash_page(request: Request, error: Exception) -> Response:
    """Render the 500 page for an unexpected error, with the reference of its line in the log.

    The log gets the type of the error only.
    """
    bind_contextvars(outcome=Unexpected.code)
    log.error("page.request_failed", error=type(error).__name__)
    language = language_of(request.headers)
    sentences = [language.t(WENT_WRONG), *_what_to_quote(language)]
    return problem(request, SERVICE_PROBLEM, sentences, 500)


async def forbidden_page(request: Request, _error: Exception) -> Response:
    """Render the 403 page for a form that another origin sent, by the browser's headers."""
    nothing_done = language_of(request.headers).t(NOTHING_DONE)
    return problem(request, PAGE_EXPIRED, [nothing_done], FORBIDDEN)


def _what_to_quote(language: Language) -> list[str]:
    quoted = language.t(REFERENCE, reference=log_reference())
    return [language.t(WHAT_WAS_ENTERED), quoted]


def problem(
    request: Request, what: str, sentences: list[str], status: int, start_again: str = ""
) -> Response:
    """Render an error page that works without scripts, a socket and the database.

    "Start again" posts to *start_again*, if given, and is a link to the phone page otherwise.
    """
    frame = page_context(request)
    own = {"what": language_of(request.headers).t(what), "page": routes.PHONE}
    context = frame | own | {"sentences": sentences, "start_again": start_again}
    return pages.TemplateResponse(request, "problem.html", context, status)


def _retry_after(error: OtpError) -> dict[str, str]:
    """Return the `Retry-After` header (RFC 9110 section 10.2.3), with a guess for an outage."""
    is_down = {"Retry-After": str(RETRY_AFTER_OUTAGE)} if error.status == UNAVAILABLE else {}
    return retry_after(error) or is_down


def _time_to_try(error: OtpError, person: Preferences) -> str:
    """Return the time of day for a retry after an outage, or "" for other errors."""
    is_down = error.status == UNAVAILABLE and not isinstance(error, Overloaded)
    return presentation.clock(_later(), person.language, person.zone) if is_down else ""


def _later() -> datetime:
    return services.current().verifications.now() + timedelta(seconds=RETRY_AFTER_OUTAGE)


async def code_page_with_error(
    request: Request, error: OtpError, field: str, value: str = ""
) -> Response:
    """Render the code page with *error* at *field*, and *value* in the field."""
    bind_contextvars(outcome=error.code)
    with suppress(StoreUnavailable):
        return code_page(request, await current_verification(request), error, field, value)
    return code_page(request, None, error, field, value)


def code_page(
    request: Request,
    current: Verification | None,
    error: OtpError | None = None,
    field: str = "",
    value: str = "",
) -> Response:
    """The code page without JavaScript, with an *error* of its *field*."""
    person = Preferences.of(request.headers)
    language, zone = person.language, person.zone
    service = services.current().verifications
    shown = CodePage.of(current, service, language, zone) if current else None
    context = page_context(request) | {
        "page": routes.VERIFY_OTP,
        "verify": routes.VERIFY_OTP,
        "resend": routes.RESEND_OTP,
        "field": field,
        "value": value,
        "current": shown,
    }
    if error and not (shown and shown.step.explains(error)):
        context["error"] = presentation.message(
            error, language=language, zone=zone, on_code_page=True
        )
        context["try_after"] = _time_to_try(error, person)
    status = error.status if error else 200
    answer = pages.TemplateResponse(request, "code.html", context, status)
    answer.headers.update(_retry_after(error) if error else {})
    return answer


def phone_page_with_error(
    request: Request,
    field: str,
    error: OtpError,
    value: str,
    action: Mapping[str, object],
) -> Response:
    """Render the form named *field* with *error*, and *value* in the field."""
    bind_contextvars(outcome=error.code)
    person = Preferences.of(request.headers)
    texts = {
        "field": field,
        "error": presentation.message(error, language=person.language, zone=person.zone),
        "value": value,
    }
    texts["try_after"] = _time_to_try(error, person)
    context = page_context(request) | texts | dict(action)
    answer = pages.TemplateResponse(request, f"{field}.html", context, error.status)
    answer.headers.update(_retry_after(error))
    return answer


def phone_page_choices(request: Request, form: Mapping[str, str], number: str) -> dict[str, object]:
    """Return the choices of the phone page and what is selected in *form*.

    A country that *number* names comes before the chosen country, and that before the likely one.
    """
    words, chosen = request.app.state.words, form.get("country", "")
    countries = words.countries(language_of(request.headers))
    wanted = (named_country(number, chosen), chosen, words.country(request.headers))
    served = {code for code, _ in countries}
    channels = {
        one.value: CHANNEL_TEXTS[one].choice for one in services.current().verifications.channels
    }
    channel = form.get("channel", "")
    return {
        "countries": countries,
        "country": next((country for country in wanted if country in served), ""),
        "channels": channels,
        "channel": channel if channel in channels else next(iter(channels)),
    }


def page_context(request: Request) -> dict[str, object]:
    """Return the template variables that every page needs."""
    language = language_of(request.headers)
    return {
        "brand": request.app.state.brand,
        "theme": request.app.state.theme,
        "language": language,
        "t": language.t,
        "languages": languages().values(),
        "choose_language": routes.LANGUAGE,
    }


async def current_verification(request: Request) -> Verification | None:
    """The verification of the browser that sent *request*, if it has one."""
    here = services.current()
    flow = here.flows.read(request.headers.get("cookie", ""))
    return await here.verifications.current(flow) if flow else None
