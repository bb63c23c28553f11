"""The services of the running app, for pages, forms, webhooks and the API; the overload gate."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from otp_app.errors import Overloaded
from otp_app.identity.callers import Callers
from otp_app.verification.limits import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


log = structlog.get_logger(__name__)


class OverloadGate:
    """Bounds how many sends and how many checks are under way in this process at once.

    The two bounds are separate, so a code can be checked while sends are refused. A refusal comes
    at once: nothing waits at the gate.

    Args:
        sends: the number of sends that may be under way.
        checks: the number of checks that may be under way.
        on_refusal: called with the action of each refusal.
        now: returns the seconds of a monotonic clock.
    """

    LINE_EVERY = 1.0
    """Seconds between two lines of the log. A line for each refusal would add to the overload."""

    def __init__(
        self,
        sends: int,
        checks: int,
        on_refusal: Callable[[Action], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bounds = {Action.SEND: sends, Action.CHECK: checks}
        self._under_way: Counter[Action] = Counter()
        self._on_refusal = on_refusal
        self._now = now
        self._refused: Counter[Action] = Counter()  # since the last line
        self._next_line = now()

    @contextmanager
    def admit(self, action: Action) -> Iterator[None]:
        """Count *action* as under way until the block ends, in whatever way it ends.

        Raises:
            Overloaded: as many actions of this kind as allowed are under way.
        """
        if self._under_way[action] >= self._bounds[action]:
            self._refused[action] += 1
            self._on_refusal(action)
            self._report()
            raise Overloaded
        self._under_way[action] += 1
        try:
            yield
        finally:
            self._under_way[action] -= 1
            if self._refused:
                self._report()

    def _report(self) -> None:
        """Log the number of refusals since the last line, unless that line is too recent."""
        if (now := self._now()) < self._next_line:
            return
        self._next_line = now + self.LINE_EVERY
        sends, checks = self._refused[Action.SEND], self._refused[Action.CHECK]
        log.warning("overload.refused", sends=sends, checks=checks)
        self._refused.clear()


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
    gate: OverloadGate
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
