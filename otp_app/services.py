"""The services in use: what the ways in reach for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otp_app.flows import FlowCookies
    from otp_app.handles import Handles
    from otp_app.storage.idempotency import SqlIdempotency
    from otp_app.verification.service import VerificationService


@dataclass(frozen=True)
class Services:
    """Everything a page or a route may call."""

    verifications: VerificationService
    flows: FlowCookies
    handles: Handles
    idempotency: SqlIdempotency


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
