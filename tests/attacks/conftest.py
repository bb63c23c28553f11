"""The production build with one provider, behind one proxy, under the limits of production."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otp_app.verification.limits import POLICY
from tests.attacks.circuits import close_circuits
from tests.attacks.world import MONTH, World, addresses, scattered_numbers
from tests.browser.providers import settings_of
from tests.browser.server import Server
from tests.emulator import Emulator, vonage_public_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.numbers import Number
    from tests.browser.server import Site

COUNTRIES = "US,GB"


def settings(services: str, public: str) -> dict[str, str]:
    """Return the settings of production, with the emulator at the URL *services*.

    The HTTP rates are high, so that an attack reaches the limit that its test is about;
    `backend/test_request_rates.py` covers the rates. Refusals are not cached, because
    `World.later` changes the rows of the limits in the database directly. No country is paused:
    the audit decides about a pause, and `World.later` cannot make an append-only table older.
    """
    limits = {
        limit.name: f"{limit.amount}/{int(limit.window.total_seconds())} seconds"
        for limit in POLICY
    }
    return {
        **settings_of("vonage", services, public),
        **settings_of("twilio", services, public),
        **limits,
        "LIMIT_SEND_COUNTRY_PAUSE": "100000/3600 seconds",
        "ALLOWED_COUNTRIES": COUNTRIES,
        "TRUSTED_PROXY_HOPS": "1",
        "MAX_SENDS_IN_FLIGHT": "256",
        "MAX_CHECKS_IN_FLIGHT": "512",
        "SOCKETS_PER_ADDRESS": "20",
    }


@pytest.fixture(scope="package")
def emulator() -> Iterator[Emulator]:
    with Emulator(vonage_public_key=vonage_public_key()) as emulator:
        yield emulator


@pytest.fixture(scope="package")
def server(emulator: Emulator, sites: dict[str, Site]) -> Iterator[Server]:
    site = sites["twilio"]
    server = Server("attacked", site, settings(emulator.url, site.url))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="package")
def numbers() -> Iterator[Number]:
    return scattered_numbers()


@pytest.fixture(scope="package")
def all_addresses() -> Iterator[str]:
    return addresses()


@pytest.fixture
def world(
    server: Server, emulator: Emulator, numbers: Iterator[Number], all_addresses: Iterator[str]
) -> Iterator[World]:
    """Yield the world a month after the last test, when no limit counts that test any more.

    All circuits are closed. At the end the log and the responses are swept for leaks.
    """
    close_circuits(server)
    world = World(server, emulator, numbers, all_addresses)
    yield world
    emulator.heal()
    world.later(MONTH.total_seconds())
    problems = world.problems()
    assert not problems, "\n".join(problems)
