"""The composition root: settings in, services out."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from otp_app import services
from otp_app.config import DATABASE_EXAMPLE, ProviderName, Settings, SettingsError
from otp_app.errors import ProviderMisconfigured, StoreUnavailable
from otp_app.flows import FlowCookies
from otp_app.observability import configure_logging
from otp_app.session_cookies import SessionCookies
from otp_app.storage.deliveries import SqlDeliveries
from otp_app.storage.engine import migrate, open_engine
from otp_app.storage.limiter import SqlLimiter
from otp_app.storage.sessions import SqlSessions
from otp_app.storage.sql import SqlStore
from otp_app.verification.deliveries import Deliveries
from otp_app.verification.service import VerificationService
from otp_app.verification.sessions import Sessions
from otp_app.verification.sweeper import Sweeper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pydantic import SecretStr
    from sqlalchemy.ext.asyncio import AsyncEngine

    from otp_app.verification.ports import Provider

_REFUSED = {
    ProviderName.TWILIO: (
        "TWILIO_VERIFY_SERVICE_SID: the Service cannot be used. Check that it is there, that "
        "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN may use it, and that its code length is 6 or "
        "more (Twilio Console, Verify, Services)"
    ),
    ProviderName.VONAGE: (
        "VONAGE_PRIVATE_KEY, VONAGE_BRAND_NAME, OTP_LOCALE: one of them cannot be used. The key "
        "must be PEM text or the path of a file, the locale a language that Vonage speaks"
    ),
}
SECRET_FILE = Path(".data/secret_key")


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """Install the services while the app runs."""
    configure_logging()
    async with AsyncExitStack() as stack:
        url = settings.database_url.get_secret_value()
        engine = await _database(url)
        stack.push_async_callback(engine.dispose)
        store = SqlStore(engine)
        secret = _secret(settings)
        providers = {str(name): _provider(name, settings, secret) for name in _wanted(settings)}
        for provider in providers.values():
            await _open(provider)
            stack.push_async_callback(provider.aclose)
        limiter = SqlLimiter(engine, secret.encode())
        verifications = VerificationService(
            store,
            limiter,
            providers,
            settings.provider,
            _now,
            limits=settings.limits,
            countries=settings.countries,
        )
        services.install(
            services.Services(
                verifications,
                FlowCookies(secret, secure=settings.is_https),
                Sessions(SqlSessions(engine), _now, settings.session_policy),
                SessionCookies(secure=settings.is_https),
                Deliveries(SqlDeliveries(engine), _now, frozenset(map(str, settings.reporters))),
            )
        )
        stack.callback(services.uninstall)
        await stack.enter_async_context(_in_background(Sweeper(store, limiter, providers, _now)))
        yield


@asynccontextmanager
async def _in_background(sweeper: Sweeper) -> AsyncIterator[None]:
    task = asyncio.create_task(sweeper.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _database(url: str) -> AsyncEngine:
    """The migrated database, or why there is none."""
    try:
        await migrate(url)
        return open_engine(url)
    except StoreUnavailable:
        why = "the database does not answer, or its folder cannot be written"
    except ValueError as exc:
        why = str(exc)
    raise SettingsError(f"DATABASE_URL: {why}. Check it, for example {DATABASE_EXAMPLE}")


async def _open(provider: Provider) -> None:
    try:
        await provider.open()
    except ProviderMisconfigured:
        raise SettingsError(_REFUSED[ProviderName(provider.name)]) from None


def _wanted(settings: Settings) -> set[ProviderName]:
    """Who sends new codes, and who may still have old ones to check."""
    return {settings.provider, *settings.complete_providers()}


def _provider(name: ProviderName, settings: Settings, secret: str) -> Provider:
    """Build one adapter. A vendor's SDK takes up to a second to import, so only when needed."""
    match name:
        case ProviderName.TWILIO:
            return _twilio(settings)
        case ProviderName.VONAGE:
            return _vonage(settings)
        case ProviderName.CONSOLE:
            from otp_app.providers.console import ConsoleProvider

            return ConsoleProvider(secret.encode(), _now, sys.stdout)


def _twilio(settings: Settings) -> Provider:
    from otp_app.providers.twilio import TwilioProvider

    return TwilioProvider(
        account_sid=settings.twilio_account_sid or "",
        auth_token=_revealed(settings.twilio_auth_token) or "",
        service_sid=settings.twilio_verify_service_sid or "",
        base_url=settings.twilio_base_url,
        locale=settings.otp_locale,
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
    )


def _secret(settings: Settings) -> str:
    """The key of our signatures. In development one is made, and kept over restarts."""
    if settings.secret_key:
        return settings.secret_key.get_secret_value()
    SECRET_FILE.parent.mkdir(mode=0o700, exist_ok=True)
    if not SECRET_FILE.exists():
        _write_secret()
    return SECRET_FILE.read_text()


def _write_secret() -> None:
    """All of it or nothing, and of two processes the first one's."""
    with NamedTemporaryFile("w", dir=SECRET_FILE.parent) as file:  # mode 0600
        file.write(secrets.token_urlsafe(48))
        file.flush()
        with suppress(FileExistsError):
            os.link(file.name, SECRET_FILE)


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _now() -> datetime:
    return datetime.now(UTC)
