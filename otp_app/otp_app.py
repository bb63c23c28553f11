"""The app, assembled: pages, middleware, lifespan."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import reflex as rx
import structlog
from reflex.config import get_config
from reflex.event import EventSpec  # noqa: TC002 - Reflex evaluates it
from reflex.utils.exec import is_prod_mode
from reflex_base.registry import RegistrationContext
from starlette.middleware.gzip import GZipMiddleware

from otp_app import routes
from otp_app.api import app as api
from otp_app.api.app import ApiFirst
from otp_app.bootstrap import running
from otp_app.components.connection import connection_lost
from otp_app.components.layout import head
from otp_app.components.words import SAID, say
from otp_app.config import AppEnv, SettingsError, settings_or_exit
from otp_app.observability import configure_logging
from otp_app.pages import code, phone, problem, verified
from otp_app.state.binding import BoundToFlow
from otp_app.state.verify import VerifyState
from otp_app.web import forms
from otp_app.web.armour import armoured
from otp_app.web.event_gate import EventGate
from otp_app.web.flow_cookie import FlowCookie
from otp_app.web.pages import PagesInLanguage, Words
from otp_app.web.sessions import SuccessGate
from otp_app.webhooks import app as webhooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

    from otp_app.components.forms import Handler

settings = settings_or_exit()
configure_logging(production=settings.app_env is AppEnv.PRODUCTION)
log = structlog.get_logger(__name__)


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    """Build the services on the loop they will live on."""
    try:
        async with running(settings):
            yield
    except SettingsError as exc:
        raise SystemExit(str(exc)) from None


class App(rx.App):
    """Reflex's app, in ours: an `api_transformer` stands inside what answers CORS and crashes.

    The API stands in front of it, for the same reason.
    """

    def __call__(self) -> ASGIApp:
        """What the server runs. It has set up its own loggers by now."""
        configure_logging(production=settings.app_env is AppEnv.PRODUCTION)
        app = ApiFirst(super().__call__(), api.build(settings))
        return armoured(app, settings, RegistrationContext.get().event_handlers)


def on_backend_error(exception: Exception) -> EventSpec:
    """Show the error page. The browser learns nothing of *exception*, the log its type."""
    log.error("handler.failed", error=type(exception).__name__)
    return rx.redirect(routes.PROBLEM)


def _add(
    route: str, title: rx.vars.StringVar[str], component: rx.Component, on_load: Handler = None
) -> None:
    app.add_page(
        component,
        route=route,
        title=title + f" – {settings.brand}",
        description=say("Confirm your phone number with {brand}", brand=settings.brand),
        on_load=on_load,
    )


words = Words(SAID, settings.countries, settings.default_country)
app = App(
    html_lang="en",
    html_custom_attrs={"dir": "ltr"},
    head_components=head(None if is_prod_mode() else get_config().backend_port),
    stylesheets=["/app.css"],
    reset_style=False,
    app_wraps={(1, "ConnectionLost"): lambda stateful: connection_lost() if stateful else None},
    toaster=None,
    backend_exception_handler=on_backend_error,
    api_transformer=[
        partial(PagesInLanguage, words=words),
        GZipMiddleware,
        forms.build(settings.brand, settings.own_origins, words),
        webhooks.build(settings),
        SuccessGate,
        FlowCookie,
    ],
)
app.add_middleware(EventGate())
app.add_middleware(BoundToFlow())
app.register_lifespan_task(lifespan)

brand, channels = settings.brand, settings.channel_list
_add(
    routes.PHONE,
    phone.TITLE,
    phone.phone_page(brand, channels, simulated=settings.has_simulated_phone),
    VerifyState.show_phone,
)
_add(routes.CODE, code.TITLE, code.code_page(brand, channels), VerifyState.show_code)
_add(routes.VERIFIED, verified.TITLE, verified.verified_page(brand), VerifyState.show_verified)
_add("404", problem.NOT_FOUND_TITLE, problem.not_found_page(brand))
_add(routes.PROBLEM, problem.PROBLEM_TITLE, problem.problem_page(brand))

if settings.has_simulated_phone:  # elsewhere nothing of it is even imported
    from otp_app.pages import simulated_phone
    from otp_app.state.simulated_phone import SimulatedPhoneState, ThisMachineOnly

    app.add_middleware(ThisMachineOnly())
    _add(
        routes.SIMULATED_PHONE,
        simulated_phone.TITLE,
        simulated_phone.simulated_phone_page(brand),
        SimulatedPhoneState.look,
    )
