"""Every page in every state that it can be in, by name, whatever the language.

A state brings a page there: `STATES["code error"].bring(journey)`. The journey has to be one with
the console provider, and a browser context with the state's `options`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tests.browser.tab import LIVE

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, WebSocketRoute

    from tests.browser.journey import Journey

    Bring = Callable[[Journey], Page]

ALERT = "[role=alert]"
STATUS = ".status:not(:empty)"
GO_ON = "form .primary"
RESEND = "#resend button"
NEW_CODE = "main > .actions .primary"
EXPIRED = "h1 + #problem + p + .actions"
LOCKED = "h1 + p + p + .actions"
FINISHING = "form:has(otp-go) .primary"
START_AGAIN = "form[action='/start-again'] .primary"
CHANGE_NUMBER = "main p > a"
CONNECTION = "otp-connection[said]"
SOCKET = "**/_event/**"

REFERENCE = "0123456789ab"
WRONG_CODES = 5
WAIT = 31.0  # seconds until the next message may be sent
VALID = 600.0  # seconds that a code works


class State(NamedTuple):
    """The function that brings a journey to the state, and the options of Playwright's context."""

    bring: Bring
    options: dict[str, Any]


STATES: dict[str, State] = {}


def _state(**options: Any) -> Callable[[Bring], Bring]:  # noqa: ANN401 - whatever Playwright takes
    """Return a decorator that registers a function in `STATES` under its name."""

    def file(bring: Bring) -> Bring:
        STATES[bring.__name__.replace("_", " ")] = State(bring, options)
        return bring

    return file


@_state()
def phone(journey: Journey) -> Page:
    return _open(journey, "/", LIVE)


@_state()
def phone_error(journey: Journey) -> Page:
    page = phone(journey)
    _send(page, "phone", "")
    return _shown(page, ALERT)


@_state()
def phone_code_sent(journey: Journey) -> Page:
    """Open the phone page again, while a code is valid."""
    page = phone(journey)
    _send(page, "phone", journey.number.typed)
    _shown(page, f"{LIVE} #code").locator(CHANGE_NUMBER).last.click()
    return _shown(page, f"{LIVE} #phone", ".note")


@_state()
def code(journey: Journey) -> Page:
    journey.request_code()
    return _open(journey, "/code", f"{LIVE} #code")


@_state()
def code_error(journey: Journey) -> Page:
    page = code(journey)
    _send(page, "code", "letters")
    return _shown(page, ALERT)


@_state()
def wrong_code(journey: Journey) -> Page:
    page = code(journey)
    _send(page, "code", journey.wrong_code())
    return _shown(page, ALERT)


@_state()
def few_attempts(journey: Journey) -> Page:
    """Enter wrong codes until one more would lock the number."""
    page = code(journey)
    _enter_wrong_codes(page, journey, WRONG_CODES - 1)
    return page


@_state()
def too_early(journey: Journey) -> Page:
    """Request another message before the waiting time is over."""
    page = code(journey)
    page.locator(RESEND).first.click(force=True)  # it waits
    return _shown(page, STATUS)


@_state()
def sent_again(journey: Journey) -> Page:
    page = code(journey)
    journey.later(WAIT)
    page.reload()
    _shown(page, LIVE).locator(RESEND).first.click()
    return _shown(page, STATUS)


@_state()
def expired(journey: Journey) -> Page:
    page = code(journey)
    journey.later(VALID)
    _send(page, "code", journey.sent_code())
    return _shown(page, EXPIRED)


@_state()
def locked(journey: Journey) -> Page:
    page = code(journey)
    _enter_wrong_codes(page, journey, WRONG_CODES - 1)
    _send(page, "code", journey.wrong_code())
    return _shown(page, LOCKED)


@_state()
def finishing(journey: Journey) -> Page:
    """Enter the right code, and hold up the response with the session."""
    page = code(journey)
    page.route("**/finish", lambda route: route.fulfill(status=204))  # a page stays for that
    with page.expect_response("**/finish"):  # it would cut off where somebody goes meanwhile
        _send(page, "code", journey.sent_code())
    return _shown(page, FINISHING)


@_state()
def not_finished(journey: Journey) -> Page:
    """Open the code page while another tab, with the right code, waits for its session."""
    journey.expect("409")
    finishing(journey)
    return _open(journey, "/code", START_AGAIN)


@_state()
def verified(journey: Journey) -> Page:
    page = code(journey)
    _send(page, "code", journey.sent_code())
    return _shown(page, ".tick")


@_state()
def phone_already_verified(journey: Journey) -> Page:
    """Open the phone page after the right code, before the session has arrived."""
    page = finishing(journey)
    page.goto(f"{journey.server.site.url}/")
    return _shown(page, LIVE, ".note")


@_state()
def not_found(journey: Journey) -> Page:
    journey.expect("404")
    return _open(journey, "/nowhere", "h1")


@_state()
def problem(journey: Journey) -> Page:
    return _open(journey, f"/problem?reference={REFERENCE}", "h1")


@_state()
def offline(journey: Journey) -> Page:
    """Cut the network off in a way that the browser reports to the page."""
    journey.expect("ERR_INTERNET_DISCONNECTED", "WebSocket connection")
    page = code(journey)
    journey.context.set_offline(offline=True)
    return _shown(page, CONNECTION)


@_state()
def connection_lost(journey: Journey) -> Page:
    """Make the server unreachable while the browser still has a network."""
    page = journey.context.new_page()
    sockets: list[WebSocketRoute] = []

    def connect(socket: WebSocketRoute) -> None:
        if sockets:
            socket.send("this is no packet")
            socket.close()
        else:
            socket.connect_to_server()
            sockets.append(socket)

    page.route_web_socket(SOCKET, connect)
    page.goto(journey.server.site.url)
    _shown(page, LIVE)
    sockets[0].close()
    return _shown(page, CONNECTION)


@_state(java_script_enabled=False)
def no_script(journey: Journey) -> Page:
    journey.expect("csp http")  # the scripts that are not run
    return _open(journey, "/", "#phone")


@_state()
def plain_phone_error(journey: Journey) -> Page:
    page = phone(journey)
    return _post(journey, page, ALERT)


@_state()
def plain_code_error(journey: Journey) -> Page:
    page = code(journey)
    return _post(journey, page, ALERT)


@_state()
def plain_verified(journey: Journey) -> Page:
    page = code(journey)
    write = "(field, code) => field.value = code"  # as nobody types it: it would go by itself
    page.locator("#code").evaluate(write, journey.sent_code())
    return _post(journey, page, ".tick")


def _open(journey: Journey, path: str, shown: str) -> Page:
    page = journey.context.new_page()
    page.goto(journey.server.site.url + path)
    return _shown(page, shown)


def _shown(page: Page, *selectors: str) -> Page:
    """Return *page* once each of *selectors* is visible."""
    page.bring_to_front()
    for selector in selectors:
        page.locator(selector).first.wait_for()
    return page


def _send(page: Page, field: str, text: str) -> None:
    """Fill in the form and send it, once the form reacts. The page sends a new code by itself."""
    page.locator(LIVE).wait_for()
    filled = page.locator(f"#{field}")
    is_new = filled.input_value() != text
    filled.fill(text)
    if not (field == "code" and text.isdecimal() and is_new):
        page.locator(GO_ON).first.click()


def _enter_wrong_codes(page: Page, journey: Journey, count: int) -> None:
    for nth in range(count):
        said = page.locator(ALERT).inner_text() if nth else ""
        _send(page, "code", journey.wrong_code())
        page.wait_for_function(
            "said => (document.querySelector('[role=alert]')?.innerText ?? said) !== said", arg=said
        )


def _post(journey: Journey, page: Page, shown: str) -> Page:
    """Send the form as a browser without a script does."""
    journey.expect("422")
    page.evaluate("document.querySelector('main form').submit()")
    return _shown(page, shown)
