"""Everything that passes between the browser and the server, and what the browser complains of."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_plus

from playwright.sync_api import Error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import (
        BrowserContext,
        ConsoleMessage,
        Frame,
        Page,
        Request,
        Response,
        WebError,
        WebSocket,
    )

# The values that the person typed: in the events of a form and of its preview, in a plain form
# post, and in JSON.
_IN_EVENT = re.compile(r'(?:\["(?:phone|code)",|"phone":)("(?:[^"\\]|\\.)*")')
_IN_POST = re.compile(r"\b(?:phone|code)=([^&]*)")
_IN_JSON = re.compile(r'"(?:phoneNumber|code)":"([^"]*)"')

# The line under the person's own field, for a shadow root.
_PREVIEW = re.compile(r'"ref_preview","value":\{[^{}]*\}')

# The value of the field itself, in a page that the server rendered with an error message.
_OWN_FIELD = re.compile(r'(<input id="(?:phone|code)"[^>]*? value=")[^"]*')

_MADE_BY_BUILD = frozenset({"script", "stylesheet", "image", "font"})
_OF_THE_BYTES = frozenset({"content-length", "etag"})  # numbers of the file, not of a person

_PAGE = """() => [
    ["DOM", document.documentElement.outerHTML],
    ["cookies", document.cookie],
    ["localStorage", JSON.stringify(localStorage)],
    ["sessionStorage", JSON.stringify(sessionStorage)],
    ["address", location.href],
    ["history", JSON.stringify(history.state)],
]"""


class Text(NamedTuple):
    """A text that was sent or shown, and its place."""

    where: str
    text: str


class Recorder:
    """Listens to a browser context from its beginning.

    *known_files* has the URLs of built files whose headers an earlier recorder has read in full.
    """

    def __init__(self, context: BrowserContext, known_files: set[str] | None = None) -> None:
        self.texts: list[Text] = []
        self.frames: list[str] = []
        """The frames that the server sent over WebSockets."""
        self.typed: set[str] = set()
        """Every phone number and code that left the browser."""
        self.complaints: list[str] = []
        self.failures: list[str] = []
        self._context = context
        self._known_files = set[str]() if known_files is None else known_files
        self._responses: list[Response] = []
        context.on("page", self._page)
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("requestfailed", self._failed)
        context.on("console", self._console)
        context.on("weberror", self._error)

    def everything(self) -> Iterator[Text]:
        """Yield all texts so far, all headers, and the present content of the open pages."""
        yield from self.texts
        for response in self._responses:
            of, to = self._headers(response)
            yield Text(f"headers of {response.url}", _written(of))
            yield Text(f"headers to {response.url}", _written(to))
        for page in self._context.pages:
            yield from (_untyped(where, text) for where, text in page.evaluate(_PAGE))

    def events_sent(self, handler: str) -> int:
        """Return the number of events for *handler* that the browser has sent."""
        sent = [text for where, text in self.texts if where == "frame sent"]
        return sum(f'.{handler}"' in text for text in sent)

    def _headers(self, response: Response) -> tuple[dict[str, str], dict[str, str]]:
        """Return the headers of *response* and of its request.

        All headers, cookies included, take two calls of the browser. Every page loads the same
        built files, so all headers of a file are read once, and later those without cookies.
        """
        request, url = response.request, response.url
        if url in self._known_files:
            return response.headers, request.headers
        if request.resource_type in _MADE_BY_BUILD:
            self._known_files.add(url)
        return response.all_headers(), request.all_headers()

    def _note(self, where: str, text: str) -> None:
        self.texts.append(_untyped(where, text))

    def _page(self, page: Page) -> None:
        page.on("websocket", self._socket)
        page.on("framenavigated", self._navigated)

    def _navigated(self, frame: Frame) -> None:
        self._note("address", frame.url)

    def _socket(self, socket: WebSocket) -> None:
        self._note("address of a socket", socket.url)
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._received)

    def _sent(self, payload: str | bytes) -> None:
        text = _decoded(payload)
        self.typed.update(json.loads(value) for value in _IN_EVENT.findall(text))
        self._note("frame sent", _IN_EVENT.sub("[typed]", text))

    def _received(self, payload: str | bytes) -> None:
        self.frames.append(_decoded(payload))
        self._note("frame received", _PREVIEW.sub("[preview]", _decoded(payload)))

    def _request(self, request: Request) -> None:
        self._note("address requested", request.url)
        if body := request.post_data:
            self.typed.update(map(unquote_plus, _IN_POST.findall(body)))
            self.typed.update(_IN_JSON.findall(body))
            untyped = _IN_JSON.sub("[typed]", _IN_POST.sub("[typed]", body))
            self._note(f"body to {request.url}", untyped)

    def _response(self, response: Response) -> None:
        self._responses.append(response)
        if response.status >= 400:
            self.failures.append(f"{response.status} {response.url}")
        if response.request.resource_type not in _MADE_BY_BUILD:
            self._note(f"body of {response.url}", _body(response))

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left meanwhile
            self.failures.append(f"{request.failure} {request.url}")

    def _console(self, message: ConsoleMessage) -> None:
        self._note("console", message.text)
        if message.type in {"error", "warning", "assert"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def _error(self, error: WebError) -> None:
        self._note("page error", f"{error.error}")
        self.complaints.append(f"page error: {error.error}")


def _untyped(where: str, text: str) -> Text:
    return Text(where, _OWN_FIELD.sub(r"\1[typed]", text))


def _written(headers: dict[str, str]) -> str:
    return "\n".join(
        f"{name}: {value}" for name, value in headers.items() if name not in _OF_THE_BYTES
    )


def _body(response: Response) -> str:
    try:
        return response.text()
    except Error:  # a redirect has none, and one whose page was left never came
        return ""


def _decoded(payload: str | bytes) -> str:
    return payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
