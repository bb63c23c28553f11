"""Serves the pages in the person's language.

Reflex prerenders each page once, for everybody. `assets/say.js` leaves marks there: `⟦…⟧` around
JSON that says what belongs in their place. Here they become words, and the page gets the data by
which the script says the same when it takes over. And the brand's colours.
"""

from __future__ import annotations

import asyncio
import json
import re
from hashlib import sha256
from html import escape, unescape
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from otp_app.i18n.languages import likely_country
from otp_app.preferences import Preferences
from otp_app.theme.style import Style
from otp_app.web.codings import Coding, coding_of, compress
from otp_app.web.headers import is_file

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otp_app.i18n.languages import Language

_ROOT, _HEAD_ENDS = '<html dir="ltr" lang="en"', "</head>"
_LIST = "index.html"  # the page that has the list of countries
# It leaves no element behind that React would stumble over.
_DEV_SCRIPT = """globalThis.WORDS = %s;
Object.assign(document.documentElement, { lang: "%s", dir: "%s" });
document.currentScript.remove();"""
_DEV_STYLE = """
document.adoptedStyleSheets = [new CSSStyleSheet()];
document.adoptedStyleSheets[0].replaceSync(%s);"""

_MARK = re.compile("\u27e6(.*?)\u27e7")
_COUNTRIES = re.compile('<option value="\u27e6&quot;countries&quot;\u27e7">.*?</option>')
_WHOLE = {b"accept-encoding", b"range", b"if-none-match", b"if-modified-since"}
_VALIDATORS = ("etag", "last-modified", "accept-ranges")


def language_of(headers: Headers) -> Language:
    """The one that the person chose, else their browser's."""
    return Preferences.of(headers).language


class Words:
    """The words of the pages, in the language of the browser's cookie or `Accept-Language`.

    Each page is translated and compressed once for each language and coding, when it is first asked
    for. What is kept is bounded by the pages that were built: no header adds to it.

    Attributes:
        script: what every page runs before it is shown.
    """

    def __init__(
        self,
        said: AbstractSet[str],
        served: frozenset[str],
        default_country: str,
        script: str = "",
        style: Style | None = None,
    ) -> None:
        self.script = script
        self._said, self._served, self._default_country = said, served, default_country
        self._style = style or Style()
        self._built: dict[bytes, str] = {}
        self._kept: dict[tuple[bytes, str, Coding], bytes] = {}
        self._turn = asyncio.Lock()

    def learn(self, built: Path) -> None:
        """Read the pages in the folder *built*. No other HTML is translated.

        Raises:
            RuntimeError: a page lacks a mark that words or countries replace, or has one too many.
        """
        for path in sorted(built.rglob("*.html")):
            html = path.read_text()
            _require_marks(path.relative_to(built).as_posix(), html)
            self._built[sha256(html.encode()).digest()] = html

    async def page(self, body: bytes, headers: Headers) -> tuple[bytes, Coding] | None:
        """The prerendered page *body* in the person's language, in the best coding of the browser.

        None for what is not one of the pages that were built.
        """
        digest, coding = sha256(body).digest(), coding_of(headers.get("accept-encoding", ""))
        if digest not in self._built:
            return None
        language = language_of(headers)
        key = (digest, language.tag, coding)
        if key not in self._kept:
            async with self._turn:  # another request may have made it meanwhile
                if key not in self._kept:
                    await asyncio.to_thread(self._keep, digest, language, coding)
        return self._kept[key], coding

    def _keep(self, digest: bytes, language: Language, coding: Coding) -> None:
        whole = compress(self._translate(self._built[digest], language).encode(), coding)
        self._kept[digest, language.tag, coding] = whole

    async def serve_countries(self, request: Request) -> Response:
        """What `assets/countries.js` asks for where it does not find it in the page."""
        return JSONResponse(self._countries(language_of(request.headers)))

    def dev_script(self, headers: Headers) -> str:
        """Gives the words to a page that does not come from us: see `components.layout.head`."""
        language = language_of(headers)
        data = _json(self._data(language) | self._countries(language))
        script = _DEV_SCRIPT % (data, language.tag, language.direction)
        return script + (_DEV_STYLE % json.dumps(css) if (css := self._style.css) else "")

    def country(self, headers: Headers) -> str:
        """The code of the country that the person is likely in, for a page without scripts."""
        accept = headers.get("accept-language", "")
        return likely_country(accept, self._served, self._default_country)

    def _countries(self, language: Language) -> dict[str, object]:
        return {"countries": self.countries(language), "country": self._default_country}

    def countries(self, language: Language) -> list[tuple[str, str]]:
        """(code, name) pairs of those that are served, in the order of *language*."""
        return language.countries(self._served)

    def _translate(self, html: str, language: Language) -> str:
        options = _options(self.countries(language), self._default_country)
        html = _COUNTRIES.sub(lambda _: options, html)
        html = _MARK.sub(lambda mark: escape(_say(unescape(mark[1]), language)), html)
        root = f'<html dir="{language.direction}" lang="{language.tag}"'
        data = _json(self._data(language))
        head = (
            f'{self._style.markup}<script id="words" type="application/json">{data}</script>'
            f"<script>{self.script}</script>{_HEAD_ENDS}"
        )
        return html.replace(_ROOT, root, 1).replace(_HEAD_ENDS, head, 1)

    def _data(self, language: Language) -> dict[str, object]:
        """What `say.js` reads."""
        words = {key: words for key, words in language.words.items() if key in self._said}
        return {"language": language.tag, "words": words}


class PagesInLanguage:
    """Stands around Reflex and translates the HTML that it serves."""

    def __init__(self, app: ASGIApp, words: Words) -> None:
        self.app = app
        self._words = words

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and scope["method"] == "GET" and not is_file(scope["path"]):
            send = self._translating(Headers(scope=scope), send)
            scope = _for_the_whole(scope)
        await self.app(scope, receive, send)

    def _translating(self, headers: Headers, send: Send) -> Send:
        start: Message = {}
        body = bytearray()

        async def send_translated(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_html(message):
                start = message
            elif not start:
                await send(message)
            else:
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    await self._send_whole(bytes(body), headers, start, send)

        return send_translated

    async def _send_whole(self, body: bytes, headers: Headers, start: Message, send: Send) -> None:
        if found := await self._words.page(body, headers):
            body, coding = found
            start = _rewritten(start, len(body), coding)
        await send(start)
        await send({"type": "http.response.body", "body": body})


def _is_html(start: Message) -> bool:
    return Headers(scope=start).get("content-type", "").startswith("text/html")


def _for_the_whole(scope: Scope) -> Scope:
    """The request for all of the file, as it is: not compressed, not in part, not by the kernel."""
    headers = [pair for pair in scope["headers"] if pair[0] not in _WHOLE]
    extensions = dict(scope.get("extensions") or {})
    extensions.pop("http.response.pathsend", None)
    return {**scope, "headers": headers, "extensions": extensions}


def _rewritten(start: Message, size: int, coding: Coding) -> Message:
    headers = MutableHeaders(raw=list(start["headers"]))
    for name in _VALIDATORS:
        del headers[name]
    headers["content-length"] = str(size)
    headers["vary"] = "Accept-Encoding, Accept-Language, Cookie"
    if coding is not Coding.IDENTITY:
        headers["content-encoding"] = coding
    return {**start, "headers": headers.raw}


def _require_marks(name: str, html: str) -> None:
    """Check that the page *name* has each mark that `Words` replaces, as Reflex writes it now."""
    wanted = {_ROOT: 1, _HEAD_ENDS: 1}
    found = {mark: html.count(mark) for mark in wanted}
    if name == _LIST:
        wanted["countries"], found["countries"] = 1, len(_COUNTRIES.findall(html))
    if found != wanted:
        raise RuntimeError(
            f"{name}: has marks {found} and not {wanted}. Delete .web and build anew"
        )


def _json(data: dict[str, object]) -> str:
    """JSON that can stand in a script element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _say(mark: str, language: Language) -> str:
    english, values = json.loads(mark)
    return language.say(english, **values)


def _options(countries: list[tuple[str, str]], chosen: str) -> str:
    return "".join(
        f'<option value="{code}"{" selected" * (code == chosen)}>{escape(name)}</option>'
        for code, name in countries
    )
