"""The services in use: what the ways in reach for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otp_app.errors import FlowMissing
from otp_app.verification.limits import Client

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from otp_app.devices import DeviceCookies
    from otp_app.flows import FlowCookies
    from otp_app.handles import Handles
    from otp_app.proofs import Proofs
    from otp_app.providers.simulated_phone import SimulatedPhone
    from otp_app.session_cookies import SessionCookies
    from otp_app.storage.idempotency import SqlIdempotency
    from otp_app.storage.limiter import SqlLimiter
    from otp_app.storage.probe import Probe
    from otp_app.verification.deliveries import Deliveries
    from otp_app.verification.service import VerificationService
    from otp_app.verification.sessions import Session, Sessions


@dataclass(frozen=True)
class Services:
    """Everything a page or a route may call."""

    verifications: VerificationService
    flows: FlowCookies
    sessions: Sessions
    session_cookies: SessionCookies
    handles: Handles
    proofs: Proofs
    idempotency: SqlIdempotency
    deliveries: Deliveries
    limiter: SqlLimiter
    database: Probe
    devices: DeviceCookies
    tracer: Tracer | None = None
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once no more traffic should come: the app is stopping."""
    simulated_phone: SimulatedPhone | None = None
    """Where the console's messages arrive, in development."""

    async def client(self, cookies: str, address: str, language: str) -> Client:
        """Who is asking, by the `Cookie` header, the key of the address, and the language.

        Raises:
            FlowMissing: cookies are blocked, or ours ran out while a tab stayed open.
        """
        flow = self.flows.read(cookies)
        if flow is None:
            raise FlowMissing
        session = await self.session(cookies)
        proved = session.phone.e164 if session else ""
        return Client(flow, address, proved, language=language, device=self.devices.read(cookies))

    async def session(self, cookies: str) -> Session | None:
        """The session that a `Cookie` header proves."""
        return await self.sessions.find(self.session_cookies.read(cookies))


_installed: list[Services] = []


def install(services: Services) -> None:
    """Make *services* the ones in use, until `uninstall`."""
    _installed[:] = [services]


def uninstall() -> None:
    """The app is stopping."""
    _installed.clear()


def current() -> Services:
    """The services in use.

    Raises:
        RuntimeError: outside the app's lifespan.
    """
    if not _installed:
        raise RuntimeError("The app is not running: its lifespan installs the services")
    return _installed[0]
