"""The composition root: it builds the services from the settings."""

from __future__ import annotations

import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from otp_app import routes, services
from otp_app.config import (
    DATABASE_EXAMPLE,
    NumberLookupName,
    ProviderName,
    RiskReaction,
    Settings,
    SettingsError,
    values,
)
from otp_app.errors import PhoneDecryptionFailed, ProviderMisconfigured, StoreUnavailable
from otp_app.identity.callers import Proofs, VerificationTokens
from otp_app.identity.cookies import DeviceCookies, FlowCookies, SessionCookies
from otp_app.identity.keyring import Keyring, Purpose, open_keyring
from otp_app.monitoring import metrics
from otp_app.providers.error_tables import RefusedLanguages
from otp_app.storage.deliveries import SqlDeliveryReports
from otp_app.storage.engine import DatabaseProbe, migrate, open_engine
from otp_app.storage.idempotency import SqlIdempotencyStore
from otp_app.storage.limits import Refusals, SqlLimiter
from otp_app.storage.outbox import SqlOutbox
from otp_app.storage.phone_encryption import PhoneEncryption, prepare_numbers
from otp_app.storage.sessions import SqlSessions
from otp_app.storage.store import SqlStore
from otp_app.verification.background import (
    AbandonedCalls,
    CountryPause,
    ExpiryCatchUp,
    Sweeper,
    run_in_background,
    run_periodically,
)
from otp_app.verification.deliveries import DeliveryReports
from otp_app.verification.outbox import WebhookDispatcher
from otp_app.verification.risk import RiskScreening
from otp_app.verification.service import VerificationService
from otp_app.verification.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from opentelemetry.trace import Tracer

    from otp_app.providers.simulated_phone import SimulatedPhone
    from otp_app.storage.engine import Engine
    from otp_app.verification.audit import Observer
    from otp_app.verification.ports import Provider
    from otp_app.verification.risk import NumberLookup


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """Build the services, install them and run the background jobs until the app ends.

    Raises:
        SettingsError: a setting is wrong, or the database cannot be used.
    """
    async with AsyncExitStack() as stack:
        url = settings.database_url.get_secret_value()
        engine = await _database(url, settings.synchronous)
        stack.push_async_callback(engine.dispose)
        keyring = open_keyring(settings)
        key, secure = keyring.subkey, settings.is_https
        numbers = PhoneEncryption(key(Purpose.STORED_NUMBER), settings.phone_encryption_key_list)
        await _prepare_numbers(engine, numbers)
        outbox = SqlOutbox(engine, numbers, _now) if settings.webhook_url else None
        store = SqlStore(engine, numbers, outbox)
        phone = _simulated_phone(settings)
        providers = {
            str(name): _provider(name, settings, keyring, phone)
            for name in _providers_needed(settings)
        }
        for provider in providers.values():
            await _open(provider)
            stack.push_async_callback(provider.aclose)
        tracer, observers = await _tracing(settings, stack)
        refusals = Refusals(keep=timedelta(seconds=settings.refusal_memory_seconds))
        limiter = SqlLimiter(engine, key(Purpose.LIMIT), metrics.count_refusal, refusals)
        verifications = VerificationService(
            store,
            limiter,
            providers,
            settings.provider,
            _now,
            limits=settings.limits,
            countries=settings.countries,
            channels=settings.channel_list,
            screening=await _risk_screening(settings, stack),
            observers=observers,
        )
        here = services.Services(
            verifications,
            FlowCookies(key(Purpose.FLOW_COOKIE), secure=secure),
            Sessions(SqlSessions(engine, numbers), _now, settings.session_policy),
            SessionCookies(secure=secure),
            VerificationTokens(key(Purpose.VERIFICATION)),
            Proofs(key(Purpose.PROOF)),
            SqlIdempotencyStore(engine, key(Purpose.IDEMPOTENCY)),
            DeliveryReports(
                SqlDeliveryReports(engine), _now, frozenset(map(str, settings.reporters))
            ),
            limiter=limiter,
            database=DatabaseProbe(engine),
            devices=DeviceCookies(
                key(Purpose.DEVICE_COOKIE), key(Purpose.DEVICE_NUMBER), secure=secure
            ),
            gate=services.OverloadGate(
                settings.max_sends_in_flight,
                settings.max_checks_in_flight,
                metrics.count_overload,
            ),
            tracer=tracer,
            simulated_phone=phone,
        )
        services.install(here)
        stack.callback(services.uninstall)
        keep = timedelta(days=settings.retention_days)
        rounds = run_periodically(
            Sweeper(store, limiter, providers, _now, keep).sweep,
            AbandonedCalls(store.audit_store, _now).sweep,
            CountryPause(store, limiter, settings.limits, _now).review,
        )
        await stack.enter_async_context(run_in_background(rounds, _stop))
        if outbox:
            await _dispatch_webhooks(settings, store, outbox, stack)
        stack.push_async_callback(verifications.finish)
        stack.callback(here.draining.set)
        yield


async def _dispatch_webhooks(
    settings: Settings, store: SqlStore, outbox: SqlOutbox, stack: AsyncExitStack
) -> None:
    """Deliver events until *stack* closes.

    The delivery has a separate loop of background jobs, because one attempt may take seconds.
    """
    from otp_app.webhooks_out import HttpWebhookEndpoint

    receiver = HttpWebhookEndpoint(settings.webhook_url or "", settings.webhook_secret_list, _now)
    stack.push_async_callback(receiver.aclose)
    rounds = run_periodically(
        ExpiryCatchUp(store, _now).catch_up, WebhookDispatcher(outbox, receiver, _now).deliver
    )
    await stack.enter_async_context(run_in_background(rounds, _stop))


async def _tracing(
    settings: Settings, stack: AsyncExitStack
) -> tuple[Tracer | None, list[Observer]]:
    """Return the tracer, open until *stack* closes, and the observers of provider calls.

    Without traces there is no tracer. OpenTelemetry takes a third of a second to import, so it is
    imported only when needed.
    """
    if settings.otel_exporter_otlp_endpoint is None:
        return None, [metrics.ProviderMetrics()]
    from otp_app.monitoring.tracing import ProviderSpans, tracing

    tracer = await stack.enter_async_context(tracing())
    return tracer, [metrics.ProviderMetrics(), ProviderSpans(tracer)]


def _stop() -> None:
    """Shut the server down. Without background jobs, abandoned verifications are never canceled."""
    signal.raise_signal(signal.SIGTERM)


async def _database(url: str, synchronous: str) -> Engine:
    """Migrate the database and return its engine.

    Raises:
        SettingsError: the URL is invalid, or the database does not respond.
    """
    try:
        await migrate(url)
        return open_engine(url, synchronous)
    except StoreUnavailable as exc:
        why = exc.why or values.DATABASE_SILENT
    except ValueError as exc:
        why = str(exc)
    raise SettingsError(f"DATABASE_URL: {why}. Check it, for example {DATABASE_EXAMPLE}")


async def _prepare_numbers(engine: Engine, numbers: PhoneEncryption) -> None:
    try:
        await prepare_numbers(engine, numbers)
    except PhoneDecryptionFailed:
        raise SettingsError(values.NO_DECRYPTION_KEY) from None
    except StoreUnavailable:
        raise SettingsError(f"DATABASE_URL: {values.DATABASE_SILENT}") from None


async def _open(provider: Provider) -> None:
    try:
        await provider.open()
    except ProviderMisconfigured:
        raise SettingsError(values.PROVIDER_UNUSABLE[provider.name]) from None


async def _risk_screening(settings: Settings, stack: AsyncExitStack) -> RiskScreening:
    """Return the risk screening, with its number lookup open until *stack* closes.

    Raises:
        SettingsError: the lookup service cannot use its credentials.
    """
    look = _number_lookup(settings)
    if look is None:
        return RiskScreening()
    try:
        await look.open()
    except ProviderMisconfigured:
        raise SettingsError(values.LOOKUP_UNUSABLE) from None
    stack.push_async_callback(look.aclose)
    return RiskScreening(
        look,
        blocked=settings.signals(RiskReaction.BLOCK),
        warned=settings.signals(RiskReaction.WARN),
        recent=timedelta(hours=settings.number_lookup_sim_swap_hours),
    )


def _number_lookup(settings: Settings) -> NumberLookup | None:
    """Return the configured number lookup service, if any."""
    match settings.number_lookup:
        case NumberLookupName.TWILIO:
            from otp_app.providers.twilio import lookup as twilio_lookup

            return twilio_lookup.from_settings(settings)
        case NumberLookupName.VONAGE:
            from otp_app.providers.vonage import lookup as vonage_lookup

            return vonage_lookup.from_settings(settings)
        case NumberLookupName.OFF:
            return None


def _providers_needed(settings: Settings) -> set[ProviderName]:
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
    name: ProviderName, settings: Settings, keyring: Keyring, phone: SimulatedPhone | None
) -> Provider:
    """Return the adapter of provider *name*.

    A vendor's SDK takes up to a second to import, so it is imported only when needed.
    """
    match name:
        case ProviderName.TWILIO:
            from otp_app.providers.twilio import provider as twilio

            return twilio.from_settings(settings, _refused_languages)
        case ProviderName.VONAGE:
            from otp_app.providers.vonage import provider as vonage

            return vonage.from_settings(settings, _refused_languages)
        case ProviderName.CONSOLE:
            from otp_app.providers.console import ConsoleProvider

            return ConsoleProvider(keyring.subkey(Purpose.CONSOLE_CODE), _now, sys.stdout, phone)


def _refused_languages(provider: str, fallback: str) -> RefusedLanguages:
    """Return the record of languages that *provider* has refused, counted in the metrics."""
    return RefusedLanguages(provider, fallback, metrics.language_refused)


def _now() -> datetime:
    return datetime.now(UTC)
