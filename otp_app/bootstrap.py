"""The composition root: it builds the services from the settings."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import structlog

from otp_app import metrics, routes, services
from otp_app.config import (
    DATABASE_EXAMPLE,
    LookName,
    ProviderName,
    Reaction,
    Settings,
    SettingsError,
)
from otp_app.devices import DeviceCookies
from otp_app.errors import NumbersUnreadable, ProviderMisconfigured, StoreUnavailable
from otp_app.flows import FlowCookies
from otp_app.handles import Handles
from otp_app.proofs import Proofs
from otp_app.providers.languages import RefusedLanguages
from otp_app.session_cookies import SessionCookies
from otp_app.storage.deliveries import SqlDeliveries
from otp_app.storage.engine import migrate, open_engine
from otp_app.storage.events import SqlOutbox
from otp_app.storage.idempotency import SqlIdempotency
from otp_app.storage.limiter import SqlLimiter
from otp_app.storage.numbers import Numbers
from otp_app.storage.probe import Probe
from otp_app.storage.refusals import Refusals
from otp_app.storage.renewal import make_ready
from otp_app.storage.sessions import SqlSessions
from otp_app.storage.sql import SqlStore
from otp_app.verification.audit import Unanswered
from otp_app.verification.breaker import Breaker
from otp_app.verification.deliveries import Deliveries
from otp_app.verification.events import Courier, LeftOpen
from otp_app.verification.looking import Screening
from otp_app.verification.models import Channel
from otp_app.verification.rounds import go_round
from otp_app.verification.service import VerificationService
from otp_app.verification.sessions import Sessions
from otp_app.verification.sweeper import Sweeper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from opentelemetry.trace import Tracer
    from pydantic import SecretStr
    from sqlalchemy.ext.asyncio import AsyncEngine

    from otp_app.providers.simulated_phone import SimulatedPhone
    from otp_app.verification.audit import Observer
    from otp_app.verification.ports import NumberLook, Provider

_REFUSED = {
    ProviderName.TWILIO: (
        "TWILIO_VERIFY_SERVICE_SID: the Service cannot be used. Check that it is there, that "
        "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN may use it, that its code length is 6 or more, "
        "and that it has a WhatsApp sender if CHANNELS has whatsapp (Twilio Console, Verify, "
        "Services)"
    ),
    ProviderName.VONAGE: (
        "VONAGE_PRIVATE_KEY, VONAGE_BRAND_NAME, OTP_LOCALE: one of them cannot be used. The key "
        "must be PEM text or the path of a file, the locale a language that Vonage speaks"
    ),
}
_NO_ANSWER = "the database does not answer, or its folder cannot be written"
NO_KEY = (
    "NUMBER_KEYS: none of them opens the numbers in the database. Add the key that sealed them "
    "behind the first: NUMBER_KEYS=new,old"
)
log = structlog.get_logger(__name__)

SECRET_FILE = Path(".data/secret_key")


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """Build the services, install them and run the background jobs until the app ends.

    Raises:
        SettingsError: a setting is wrong, or the database cannot be used.
    """
    async with AsyncExitStack() as stack:
        url = settings.database_url.get_secret_value()
        engine = await _database(url)
        stack.push_async_callback(engine.dispose)
        secret = _secret(settings)
        numbers = Numbers(secret.encode(), settings.number_key_list)
        await _numbers_ready(engine, numbers)
        outbox = SqlOutbox(engine, numbers, _now) if settings.events_url else None
        store = SqlStore(engine, numbers, outbox)
        phone = _simulated_phone(settings)
        providers = {
            str(name): _provider(name, settings, secret, phone) for name in _wanted(settings)
        }
        for provider in providers.values():
            await _open(provider)
            stack.push_async_callback(provider.aclose)
        tracer = await _tracer(settings, stack)
        refusals = Refusals(keep=timedelta(seconds=settings.refusal_memory_seconds))
        limiter = SqlLimiter(engine, secret.encode(), metrics.refused, refusals)
        verifications = VerificationService(
            store,
            limiter,
            providers,
            settings.provider,
            _now,
            limits=settings.limits,
            countries=settings.countries,
            channels=settings.channel_list,
            screening=await _screening(settings, stack),
            observers=_observers(tracer),
        )
        here = services.Services(
            verifications,
            FlowCookies(secret, secure=settings.is_https),
            Sessions(SqlSessions(engine, numbers), _now, settings.session_policy),
            SessionCookies(secure=settings.is_https),
            Handles(secret),
            Proofs(secret),
            SqlIdempotency(engine, secret.encode()),
            Deliveries(SqlDeliveries(engine), _now, frozenset(map(str, settings.reporters))),
            limiter=limiter,
            database=Probe(engine),
            devices=DeviceCookies(secret, secure=settings.is_https),
            tracer=tracer,
            simulated_phone=phone,
        )
        services.install(here)
        stack.callback(services.uninstall)
        keep = timedelta(days=settings.keep_days)
        rounds = go_round(
            Sweeper(store, limiter, providers, _now, keep).sweep,
            Unanswered(store.journal, _now).sweep,
            Breaker(store.journal, limiter, settings.limits, _now).look,
        )
        await stack.enter_async_context(in_background(rounds, _stop))
        if outbox:
            await _tell_events(settings, store, outbox, stack)
        stack.callback(here.draining.set)
        yield


async def _tell_events(
    settings: Settings, store: SqlStore, outbox: SqlOutbox, stack: AsyncExitStack
) -> None:
    """Deliver events until *stack* closes.

    The delivery has a separate loop of background jobs, because one attempt may take seconds.
    """
    from otp_app.events.webhook import WebhookReceiver

    receiver = WebhookReceiver(settings.events_url or "", settings.events_secret_list, _now)
    stack.push_async_callback(receiver.aclose)
    rounds = go_round(LeftOpen(store, _now).close, Courier(outbox, receiver, _now).deliver)
    await stack.enter_async_context(in_background(rounds, _stop))


@asynccontextmanager
async def in_background(
    work: Coroutine[Any, Any, None], stop: Callable[[], None]
) -> AsyncIterator[None]:
    """Run *work* as a task inside the context. If *work* ends by itself, log it and call *stop*."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.critical("rounds.died", error=type(task.exception()).__name__)
            stop()

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _tracer(settings: Settings, stack: AsyncExitStack) -> Tracer | None:
    """Return the tracer, open until *stack* closes, or None if tracing is off.

    OpenTelemetry takes a third of a second to import, so it is imported only when needed.
    """
    if settings.otel_exporter_otlp_endpoint is None:
        return None
    from otp_app.tracing import tracing

    return await stack.enter_async_context(tracing())


def _observers(tracer: Tracer | None) -> list[Observer]:
    """Return the callbacks for every provider call that ends: metrics and, if enabled, traces."""
    if tracer is None:
        return [metrics.Counts()]
    from otp_app.tracing import Spans

    return [metrics.Counts(), Spans(tracer)]


def _stop() -> None:
    """Shut the server down. Without background jobs, abandoned verifications are never canceled."""
    signal.raise_signal(signal.SIGTERM)


async def _database(url: str) -> AsyncEngine:
    """Migrate the database and return its engine.

    Raises:
        SettingsError: the URL is invalid, or the database does not respond.
    """
    try:
        await migrate(url)
        return open_engine(url)
    except StoreUnavailable:
        why = _NO_ANSWER
    except ValueError as exc:
        why = str(exc)
    raise SettingsError(f"DATABASE_URL: {why}. Check it, for example {DATABASE_EXAMPLE}")


async def _numbers_ready(engine: AsyncEngine, numbers: Numbers) -> None:
    try:
        await make_ready(engine, numbers)
    except NumbersUnreadable:
        raise SettingsError(NO_KEY) from None
    except StoreUnavailable:
        raise SettingsError(f"DATABASE_URL: {_NO_ANSWER}") from None


async def _open(provider: Provider) -> None:
    try:
        await provider.open()
    except ProviderMisconfigured:
        raise SettingsError(_REFUSED[ProviderName(provider.name)]) from None


async def _screening(settings: Settings, stack: AsyncExitStack) -> Screening:
    """Return the risk screening, with its number lookup open until *stack* closes.

    Raises:
        SettingsError: the lookup service cannot use its credentials.
    """
    look = _look(settings)
    if look is None:
        return Screening()
    try:
        await look.open()
    except ProviderMisconfigured:
        raise SettingsError(
            "VONAGE_PRIVATE_KEY: cannot be used, and LOOK=vonage needs it. It must be PEM text or "
            "the path of a file"
        ) from None
    stack.push_async_callback(look.aclose)
    return Screening(
        look,
        blocks=settings.concerns(Reaction.BLOCK),
        warns=settings.concerns(Reaction.WARN),
        recent=timedelta(hours=settings.look_sim_swap_hours),
    )


def _look(settings: Settings) -> NumberLook | None:
    """Return the configured number lookup service, if any."""
    match settings.look:
        case LookName.TWILIO:
            return _twilio_look(settings)
        case LookName.VONAGE:
            return _vonage_look(settings)
        case LookName.OFF:
            return None


def _twilio_look(settings: Settings) -> NumberLook:
    from otp_app.providers.twilio_look import TwilioLook

    return TwilioLook(
        account_sid=settings.twilio_account_sid or "",
        auth_token=_revealed(settings.twilio_auth_token) or "",
        base_url=settings.twilio_lookups_base_url,
        wanted=settings.concerns(Reaction.BLOCK, Reaction.WARN),
        seconds=settings.look_timeout,
    )


def _vonage_look(settings: Settings) -> NumberLook:
    from otp_app.providers.vonage_look import VonageLook

    return VonageLook(
        application_id=settings.vonage_application_id or "",
        private_key=_revealed(settings.vonage_private_key) or "",
        base_url=settings.vonage_insights_base_url,
        wanted=settings.concerns(Reaction.BLOCK, Reaction.WARN),
        recent=timedelta(hours=settings.look_sim_swap_hours),
        seconds=settings.look_timeout,
    )


def _wanted(settings: Settings) -> set[ProviderName]:
    """Return the provider for new verifications, and those that may still have open ones."""
    return {settings.provider, *settings.complete_providers()}


def _simulated_phone(settings: Settings) -> SimulatedPhone | None:
    """Return the simulated phone for local development, and print its address.

    Without the simulated phone, its module is not imported.
    """
    if not settings.has_simulated_phone:
        return None
    from otp_app.providers.simulated_phone import SimulatedPhone

    phone = SimulatedPhone(_now)
    address = f"{settings.origin}{routes.SIMULATED_PHONE}"
    sys.stdout.write(f"\n  ☎  Simulated phone: {address}\n")
    sys.stdout.write(f"     through a proxy: {address}?token={phone.token}\n\n")
    sys.stdout.flush()
    return phone


def _provider(
    name: ProviderName, settings: Settings, secret: str, phone: SimulatedPhone | None
) -> Provider:
    """Return the adapter of provider *name*.

    A vendor's SDK takes up to a second to import, so it is imported only when needed.
    """
    match name:
        case ProviderName.TWILIO:
            return _twilio(settings)
        case ProviderName.VONAGE:
            return _vonage(settings)
        case ProviderName.CONSOLE:
            from otp_app.providers.console import ConsoleProvider

            return ConsoleProvider(secret.encode(), _now, sys.stdout, phone)


def _twilio(settings: Settings) -> Provider:
    from otp_app.providers.twilio import TwilioProvider

    is_sender = settings.provider is ProviderName.TWILIO
    return TwilioProvider(
        account_sid=settings.twilio_account_sid or "",
        auth_token=_revealed(settings.twilio_auth_token) or "",
        service_sid=settings.twilio_verify_service_sid or "",
        base_url=settings.twilio_base_url,
        locale=settings.otp_locale,
        template_sid=settings.twilio_template_sid,
        languages=_refused_languages,
        by_whatsapp=is_sender and Channel.WHATSAPP in settings.channel_list,
    )


def _vonage(settings: Settings) -> Provider:
    from otp_app.providers.vonage import VonageProvider

    return VonageProvider(
        brand=settings.vonage_brand_name,
        base_url=settings.vonage_base_url,
        locale=settings.otp_locale,
        api_key=settings.vonage_api_key,
        api_secret=_revealed(settings.vonage_api_secret),
        application_id=settings.vonage_application_id,
        private_key=_revealed(settings.vonage_private_key),
        whatsapp_from=settings.vonage_whatsapp_from,
        template_id=settings.vonage_template_id,
        languages=_refused_languages,
        calls=Channel.VOICE in settings.channel_list,
    )


def _refused_languages(provider: str, fallback: str) -> RefusedLanguages:
    """Return the record of languages that *provider* has refused, counted in the metrics."""
    return RefusedLanguages(provider, fallback, metrics.language_refused)


def _secret(settings: Settings) -> str:
    """Return the key of our signatures. In development a key is created and kept in a file."""
    if settings.secret_key:
        return settings.secret_key.get_secret_value()
    SECRET_FILE.parent.mkdir(mode=0o700, exist_ok=True)
    if not SECRET_FILE.exists():
        _write_secret()
    return SECRET_FILE.read_text()


def _write_secret() -> None:
    """Create `SECRET_FILE` atomically. If two processes do so, the file of the first one stays."""
    with NamedTemporaryFile("w", dir=SECRET_FILE.parent) as file:  # mode 0600
        file.write(secrets.token_urlsafe(48))
        file.flush()
        with suppress(FileExistsError):
            os.link(file.name, SECRET_FILE)


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _now() -> datetime:
    return datetime.now(UTC)
