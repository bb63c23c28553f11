"""Serves the pages in the person's language.

Reflex prerenders each page once, for everybody. `assets/say.js` leaves marks there: `⟦…⟧` around
JSON that says what belongs in their place. Here they become words, and the page gets the data by
which the script says the same when it takes over. And the brand's colours.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
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

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otp_app.i18n.languages import Language

KEPT = 8192  # all pages in all languages and countries, so that nobody can keep us compressing

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
    """What the pages say, by who asks: their browser's cookie and `Accept-Language`.

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
        self._compressed = lru_cache(KEPT)(self._compress)

    def page(self, html: str, headers: Headers) -> tuple[bytes, Coding]:
        """The prerendered *html* in the person's language, as their browser takes it."""
        coding = coding_of(headers.get("accept-encoding", ""))
        has_countries = _COUNTRIES.search(html) is not None
        country = self.country(headers) if has_countries else ""  # others are all the same
        version = (html, language_of(headers), country)
        if coding is Coding.IDENTITY:  # that of tools, which would take the most memory
            return self._translate(*version).encode(), coding
        return self._compressed(*version, coding), coding

    async def serve_countries(self, request: Request) -> Response:
        """What `assets/countries.js` asks for where it does not find it in the page."""
        return JSONResponse(self._countries(request.headers))

    def dev_script(self, headers: Headers) -> str:
        """Gives the words to a page that does not come from us: see `components.layout.head`."""
        language = language_of(headers)
        data = _json(self._data(language) | self._countries(headers))
        script = _DEV_SCRIPT % (data, language.tag, language.direction)
        return script + (_DEV_STYLE % json.dumps(css) if (css := self._style.css) else "")

    def country(self, headers: Headers) -> str:
        """The code of the country that the person is likely in."""
        accept = headers.get("accept-language", "")
        return likely_country(accept, self._served, self._default_country)

    def _countries(self, headers: Headers) -> dict[str, object]:
        names = self.countries(language_of(headers))
        return {"countries": names, "country": self.country(headers)}

    def _compress(self, html: str, language: Language, country: str, coding: Coding) -> bytes:
        return compress(self._translate(html, language, country).encode(), coding)

    def countries(self, language: Language) -> list[tuple[str, str]]:
        """(code, name) pairs of those that are served, in the order of *language*."""
        return language.countries(self._served)

    def _translate(self, html: str, language: Language, country: str) -> str:
        options = _options(self.countries(language), country)
        html = _COUNTRIES.sub(lambda _: options, html)
        html = _MARK.sub(lambda mark: escape(_say(unescape(mark[1]), language)), html)
        root = f'<html dir="{language.direction}" lang="{language.tag}"'
        data = _json(self._data(language))
        head = (
            f'{self._style.markup}<script id="words" type="application/json">{data}</script>'
            f"<script>{self.script}</script></head>"
        )
        return html.replace('<html dir="ltr" lang="en"', root, 1).replace("</head>", head, 1)

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
                    whole, coding = self._words.page(body.decode(), headers)
                    await send(_rewritten(start, len(whole), coding))
                    await send({"type": "http.response.body", "body": whole})

        return send_translated


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
