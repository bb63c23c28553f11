"""The services in use: what the ways in reach for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otp_app.flows import FlowCookies
    from otp_app.session_cookies import SessionCookies
    from otp_app.verification.deliveries import Deliveries
    from otp_app.verification.service import VerificationService
    from otp_app.verification.sessions import Sessions


@dataclass(frozen=True)
class Services:
    """Everything a page or a route may call."""

    verifications: VerificationService
    flows: FlowCookies
    sessions: Sessions
    session_cookies: SessionCookies
    deliveries: Deliveries


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
