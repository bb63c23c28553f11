"""The services of the running app, for pages, forms, webhooks and the API."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otp_app.identity.callers import Callers

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from otp_app.identity.callers import Proofs, VerificationTokens
    from otp_app.identity.cookies import DeviceCookies, FlowCookies, SessionCookies
    from otp_app.providers.simulated_phone import SimulatedPhone
    from otp_app.storage.engine import DatabaseProbe
    from otp_app.storage.idempotency import SqlIdempotencyStore
    from otp_app.storage.limits import SqlLimiter
    from otp_app.verification.deliveries import DeliveryReports
    from otp_app.verification.service import VerificationService
    from otp_app.verification.sessions import Sessions


@dataclass(frozen=True)
class Services:
    """All services that pages and routes may call."""

    verifications: VerificationService
    flows: FlowCookies
    sessions: Sessions
    session_cookies: SessionCookies
    verification_tokens: VerificationTokens
    proofs: Proofs
    idempotency: SqlIdempotencyStore
    deliveries: DeliveryReports
    limiter: SqlLimiter
    database: DatabaseProbe
    devices: DeviceCookies
    tracer: Tracer | None = None
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the app is stopping and should receive no more traffic."""
    simulated_phone: SimulatedPhone | None = None
    """Receives the messages of the console provider in development; None otherwise."""

    @property
    def callers(self) -> Callers:
        """The part that tells who is calling."""
        return Callers(
            self.flows, self.session_cookies, self.sessions, self.devices, self.verification_tokens
        )


_installed: list[Services] = []


def install(services: Services) -> None:
    """Make *services* the result of `current` until `uninstall` is called."""
    _installed[:] = [services]


def uninstall() -> None:
    """Remove the installed services. The lifespan calls this when the app stops."""
    _installed.clear()


def current() -> Services:
    """Return the installed services.

    Raises:
        RuntimeError: the app's lifespan has not started or has ended.
    """
    if not _installed:
        raise RuntimeError("The app is not running: its lifespan installs the services")
    return _installed[0]
