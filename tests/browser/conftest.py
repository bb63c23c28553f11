"""A browser, the app with each provider in turn, and journeys that are swept when they end."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.front_end import front_end
from tests.browser.inbox import ConsoleInbox, EmulatorInbox
from tests.browser.install import find_browser_of_tests
from tests.browser.journey import PATIENCE, TIME_ZONE, Journey
from tests.browser.numbers import Number, new_numbers
from tests.browser.providers import PROVIDERS, SENDS_IN_FLIGHT, settings_of
from tests.browser.server import Server
from tests.browser.shown import SMALL, Shown
from tests.browser.states import STATES
from tests.emulator import Emulator, vonage_public_key
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from tests.browser.server import Site

_HERE = Path(__file__).parent

_FLAGS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark each test by its provider; then one after the other, so that each server starts once.

    A state of a page is visited once, too, for all the tests that look at it.
    """
    for item in items:
        if _HERE in item.path.parents:
            _mark(item)
    yield
    places = [place for place, item in enumerate(items) if _HERE in item.path.parents]
    ordered = sorted((items[place] for place in places), key=_turn)
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


def _mark(item: pytest.Item) -> None:
    """Add the markers `console` and `nightly`.

    The providers differ only behind one port, so most tests run with the first provider alone and
    are nightly tests with the others.
    """
    provider = _parameter(item, "provider")
    if provider == "console":
        item.add_marker("console")
    chosen = [
        mark.args[1] for mark in item.iter_markers("parametrize") if mark.args[0] == "provider"
    ]
    first = (chosen[0] if chosen else PROVIDERS)[0]
    if provider not in ("", first) and not item.get_closest_marker("every_provider"):
        item.add_marker("nightly")


def _turn(item: pytest.Item) -> tuple[int, int]:
    provider, state = _parameter(item, "provider"), _parameter(item, "state")
    return (
        PROVIDERS.index(provider) if provider else len(PROVIDERS),
        list(STATES).index(state) if state else -1,
    )


def _parameter(item: pytest.Item, name: str) -> str:
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get(name, "")) if callspec else ""


# The scope is the package, not the session: Playwright's event loop has to be gone before the
# asynchronous tests of other folders want one.


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    path = find_browser_of_tests()
    expect.set_options(timeout=PATIENCE * 1000)
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=_FLAGS) as browser,
    ):
        yield browser


@pytest.fixture(scope="package")
def emulator() -> Iterator[Emulator]:
    """The emulator of both services, Vonage and Twilio."""
    with Emulator(port=free_port(), vonage_public_key=vonage_public_key()) as emulator:
        yield emulator


@pytest.fixture(scope="package", params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    """The name of the provider that sends the codes."""
    name: str = request.param
    return name


@pytest.fixture(scope="package")
def site(provider: str, sites: dict[str, Site]) -> Site:
    """The folder of the built pages, and the address that is built into them."""
    return sites[provider]


@pytest.fixture(scope="package", name="front_end")
def serve_front_end() -> Iterator[list[str]]:
    """The origins of another site, whose pages may call the API."""
    with front_end() as origins:
        yield origins


@pytest.fixture(scope="package")
def server(provider: str, site: Site, emulator: Emulator, front_end: list[str]) -> Iterator[Server]:
    """The app in production, sending by *provider*."""
    own = {
        "ALLOWED_ORIGINS": ",".join(front_end),
        "MAX_SENDS_IN_FLIGHT": str(SENDS_IN_FLIGHT),
    }
    server = Server(provider, site, settings_of(provider, emulator.url, site.url) | own)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="package")
def numbers() -> Iterator[Number]:
    """Numbers that no other test has used."""
    return new_numbers()


@contextmanager
def journeys(
    browser: Browser, server: Server, emulator: Emulator, numbers: Iterator[Number]
) -> Iterator[Callable[..., Journey]]:
    """Yield a function that begins a journey with options of a Playwright context.

    All journeys are swept for leaks at the end.
    """
    journeys: list[Journey] = []

    def start(**options: Any) -> Journey:  # noqa: ANN401 - whatever Playwright takes
        context = browser.new_context(timezone_id=TIME_ZONE.key, **options)
        context.set_default_timeout(PATIENCE * 1000)
        is_local = server.name == "console"
        inbox = ConsoleInbox(server.log) if is_local else EmulatorInbox(emulator)
        journeys.append(Journey(context, server, emulator, inbox, numbers))
        return journeys[-1]

    yield start
    emulator.heal()
    problems = [problem for journey in journeys for problem in journey.end()]
    assert not problems, "\n".join(problems)


@pytest.fixture
def start_journey(
    browser: Browser, server: Server, emulator: Emulator, numbers: Iterator[Number]
) -> Iterator[Callable[..., Journey]]:
    """`journeys`, for one test."""
    with journeys(browser, server, emulator, numbers) as start:
        yield start


@pytest.fixture
def journey(start_journey: Callable[..., Journey]) -> Journey:
    """A person with a browser of their own."""
    return start_journey()


@pytest.fixture(scope="package", params=STATES)
def state(
    request: pytest.FixtureRequest,
    browser: Browser,
    server: Server,
    emulator: Emulator,
    numbers: Iterator[Number],
) -> Iterator[Shown]:
    """Each state in turn, in a small window. All tests of a state share one visit."""
    bring, options = STATES[request.param]
    with journeys(browser, server, emulator, numbers) as start:
        page = bring(start(viewport=SMALL, **options))
        has_scripts = options.get("java_script_enabled", True)
        yield Shown(request.param, page, has_scripts=has_scripts)


@pytest.fixture
def shown(state: Shown) -> Iterator[Shown]:
    """The page in its state. The changes that a test makes to its look are undone afterwards."""
    state.page.bring_to_front()
    yield state
    state.restore()
