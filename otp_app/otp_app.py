"""The Reflex app, assembled from its pages, middleware and lifespan task."""

from __future__ import annotations

# ruff: noqa: E402 - the collector is set up before the imports
import gc

gc.set_threshold(20_000)  # the imports make no garbage, and 600 collections take 0.4 s of a start

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import reflex as rx
import structlog

from otp_app import api, routes
from otp_app.bootstrap import running
from otp_app.components import t
from otp_app.components.elements import connection_status, page_script
from otp_app.config import AppEnv, SettingsError, settings_or_exit
from otp_app.monitoring.logging import configure_logging, log_reference
from otp_app.pages import code, head, phone, problem, verified
from otp_app.reflex_compat import (
    Dirs,
    EventSpec,
    RegistrationContext,
    WrappedApp,
    environment,
    get_config,
    get_web_dir,
    is_prod_mode,
    page_of_module,
)
from otp_app.state.verify import FlowBinding, VerifyState
from otp_app.web.localized_pages import PageTranslations
from otp_app.web.pipeline import build_stack
from otp_app.web.socket_guard import EventFilter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import ASGIApp

    from otp_app.components import Handler, Prop

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


class App(WrappedApp, rx.App):
    """Reflex's app inside the layers of `otp_app/web/pipeline.py`."""

    def wrap(self, build: Callable[[], ASGIApp]) -> ASGIApp:
        """Return the ASGI app for the server, and replace the loggers that the server has set up.

        With `REFLEX_MOUNT_FRONTEND_COMPILED_APP` this app serves the pages, too.
        """
        configure_logging(production=settings.app_env is AppEnv.PRODUCTION)
        if environment.REFLEX_MOUNT_FRONTEND_COMPILED_APP.get():  # this server has the pages
            words.read_build(get_web_dir() / Dirs.STATIC)
        reflex = build()
        handlers = RegistrationContext.get().event_handlers
        return build_stack(reflex, settings, api.build(settings), words, handlers)


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
    app.add_page(
        page_of_module(component, page.__module__),
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

gc.freeze()  # no collection looks at the modules again
