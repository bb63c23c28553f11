"""The Reflex app, assembled from its pages, middleware and lifespan task."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import reflex as rx
import structlog
from reflex.config import get_config
from reflex.constants import Dirs
from reflex.event import EventSpec  # noqa: TC002 - Reflex evaluates it
from reflex.utils.exec import is_prod_mode
from reflex.utils.prerequisites import get_web_dir
from reflex_base.environment import environment
from reflex_base.registry import RegistrationContext
from starlette.middleware.gzip import GZipMiddleware

from otp_app import routes
from otp_app.api import app as api
from otp_app.api.app import ApiFirst
from otp_app.bootstrap import running
from otp_app.components.controls import t
from otp_app.components.elements import connection_status
from otp_app.components.layout import head, page_script
from otp_app.config import AppEnv, SettingsError, settings_or_exit
from otp_app.monitoring.logging import configure_logging, log_reference
from otp_app.pages import code, phone, problem, verified
from otp_app.state.middleware import EventFilter, FlowBinding
from otp_app.state.verify import VerifyState
from otp_app.web import delivery_webhooks as webhooks
from otp_app.web import plain_routes
from otp_app.web.localized_pages import LocalizedPages, PageTranslations
from otp_app.web.pipeline import BrandIcon, build_stack
from otp_app.web.sessions import FlowCookieMiddleware, PageGate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import ASGIApp

    from otp_app.components.controls import Handler, Prop

settings = settings_or_exit()
configure_logging(production=settings.app_env is AppEnv.PRODUCTION)
log = structlog.get_logger(__name__)


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    """Run the services on the event loop of the server.

    Raises:
        SystemExit: a setting is wrong. The message names the setting.
    """
    try:
        async with running(settings):
            yield
    except SettingsError as exc:
        raise SystemExit(str(exc)) from None


class App(rx.App):
    """Reflex's app, wrapped in our API and middleware.

    An `api_transformer` runs inside the handlers that Reflex adds for CORS and for exceptions. The
    API and the outer middleware must run outside of them.
    """

    def __call__(self) -> ASGIApp:
        """Return the ASGI app for the server, and replace the loggers that the server has set up.

        With `REFLEX_MOUNT_FRONTEND_COMPILED_APP` this app serves the pages, too.
        """
        configure_logging(production=settings.app_env is AppEnv.PRODUCTION)
        if environment.REFLEX_MOUNT_FRONTEND_COMPILED_APP.get():  # this server has the pages
            words.learn(get_web_dir() / Dirs.STATIC)
        app = ApiFirst(super().__call__(), api.build(settings))
        handlers = RegistrationContext.get().event_handlers
        return build_stack(app, settings, handlers, [words.script])


def on_backend_error(exception: Exception) -> EventSpec:
    """Log the type of *exception* and redirect to the error page with the reference of the log."""
    log.error("ui_event.failed", error=type(exception).__name__)
    return rx.redirect(f"{routes.PROBLEM}?reference={log_reference()}")


def _add(
    route: str,
    title: rx.Var[str],
    page: Callable[..., rx.Component],
    on_load: Handler = None,
    **props: Prop,
) -> None:
    component = page(settings.brand, **props)

    def built() -> rx.Component:
        return component

    built.__module__ = page.__module__  # Reflex splits the code of the pages by module
    app.add_page(
        built,
        route=route,
        title=title.to(str) + f" – {settings.brand}",
        description=t("Confirm your phone number with {brand}", brand=settings.brand),
        on_load=on_load,
    )


theme = settings.theme
words = PageTranslations(
    t.sentences, settings.countries, settings.default_country, page_script(), theme.style
)
app = App(
    html_lang="en",
    html_custom_attrs={"dir": "ltr"},
    head_components=head(None if is_prod_mode() else get_config().backend_port),
    stylesheets=["/app.css", *(["/theme.css"] if theme.has_sheet else [])],
    reset_style=False,
    app_wraps={(1, "Connection"): lambda stateful: connection_status() if stateful else None},
    toaster=None,
    backend_exception_handler=on_backend_error,
    api_transformer=[
        partial(LocalizedPages, words=words),
        PageGate,
        plain_routes.build(settings.brand, theme, settings.own_origins, words),
        *([partial(BrandIcon, palette=theme.style.palette)] if theme.style.palette else []),
        GZipMiddleware,
        webhooks.build(settings),
        FlowCookieMiddleware,
    ],
)
app.add_middleware(EventFilter())
app.add_middleware(FlowBinding())
app.register_lifespan_task(lifespan)

channels = settings.channel_list
_add(
    routes.PHONE,
    phone.TITLE,
    phone.phone_page,
    VerifyState.show_phone,
    channels=channels,
    help_url=settings.help_url or "",
    simulated=settings.has_simulated_phone,
)
_add(routes.CODE, code.TITLE, code.code_page, VerifyState.show_code, channels=channels)
_add(routes.VERIFIED, verified.TITLE, verified.verified_page, VerifyState.show_verified)
_add("404", problem.NOT_FOUND_TITLE, problem.not_found_page)
_add(routes.PROBLEM, problem.PROBLEM_TITLE, problem.problem_page)

if settings.has_simulated_phone:  # otherwise its modules are not imported
    from otp_app.pages import simulated_phone
    from otp_app.state.simulated_phone import SimulatedPhoneGate, SimulatedPhoneState

    app.add_middleware(SimulatedPhoneGate())
    _add(
        routes.SIMULATED_PHONE,
        simulated_phone.TITLE,
        simulated_phone.simulated_phone_page,
        SimulatedPhoneState.refresh,
    )
