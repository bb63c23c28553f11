"""Serves the pages in the person's language.

Reflex prerenders each page once, for everybody. `assets/say.js` leaves marks there: `⟦…⟧` around
JSON that says what belongs in their place. Here they become words, and the page gets the data by
which the script says the same when it takes over.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from html import escape, unescape
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser

from otp_app import routes
from otp_app.i18n.languages import choose, likely_country
from otp_app.web.headers import is_file

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otp_app.i18n.languages import Language

KEPT = 256  # pages by language and country

# It leaves no element behind that React would stumble over.
_DEV_SCRIPT = """globalThis.WORDS = %s;
Object.assign(document.documentElement, { lang: "%s", dir: "%s" });
document.currentScript.remove();"""

_MARK = re.compile("\u27e6(.*?)\u27e7")
_COUNTRIES = re.compile('<option value="\u27e6&quot;countries&quot;\u27e7">.*?</option>')
_WHOLE = {b"accept-encoding", b"range", b"if-none-match", b"if-modified-since"}
_VALIDATORS = ("etag", "last-modified", "accept-ranges")


def language_of(headers: Headers) -> Language:
    """The one that the person chose, else their browser's."""
    return choose(_cookie(headers), headers.get("accept-language", ""))


class Words:
    """What the pages say, by who asks: their browser's cookie and `Accept-Language`."""

    def __init__(
        self, said: AbstractSet[str], served: frozenset[str], default_country: str
    ) -> None:
        self._said, self._served, self._default_country = said, served, default_country
        self._translated = lru_cache(KEPT)(self._translate)

    def page(self, html: str, headers: Headers) -> str:
        """The prerendered *html* in the person's language."""
        return self._translated(html, language_of(headers), self.country(headers))

    def script(self, headers: Headers) -> str:
        """Gives the words to a page that does not come from us: see `components.layout.head`."""
        language = language_of(headers)
        data = self._data(language, self.country(headers))
        return _DEV_SCRIPT % (data, language.tag, language.direction)

    def country(self, headers: Headers) -> str:
        """The code of the country that the person is likely in."""
        accept = headers.get("accept-language", "")
        return likely_country(accept, self._served, self._default_country)

    def countries(self, language: Language) -> list[tuple[str, str]]:
        """(code, name) pairs of those that are served, in the order of *language*."""
        return language.countries(self._served)

    def _translate(self, html: str, language: Language, country: str) -> str:
        options = _options(self.countries(language), country)
        html = _COUNTRIES.sub(lambda _: options, html)
        html = _MARK.sub(lambda mark: escape(_say(unescape(mark[1]), language)), html)
        root = f'<html dir="{language.direction}" lang="{language.tag}"'
        data = (
            f'<script id="words" type="application/json">{self._data(language, country)}</script>'
        )
        return html.replace('<html dir="ltr" lang="en"', root, 1).replace(
            "</head>", f"{data}</head>", 1
        )

    def _data(self, language: Language, country: str) -> str:
        """What `say.js` reads, as JSON that can stand in a script element."""
        data = {
            "language": language.tag,
            "words": {key: words for key, words in language.words.items() if key in self._said},
            "countries": self.countries(language),
            "country": country,
        }
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        return text.replace("<", "\\u003c")


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
                    whole = self._words.page(body.decode(), headers).encode()
                    await send(_resized(start, len(whole)))
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


def _resized(start: Message, size: int) -> Message:
    headers = MutableHeaders(raw=list(start["headers"]))
    headers["content-length"] = str(size)
    for name in _VALIDATORS:
        del headers[name]
    return {**start, "headers": headers.raw}


def _say(mark: str, language: Language) -> str:
    english, values = json.loads(mark)
    return language.say(english, **values)


def _options(countries: list[tuple[str, str]], chosen: str) -> str:
    return "".join(
        f'<option value="{code}"{" selected" * (code == chosen)}>{escape(name)}</option>'
        for code, name in countries
    )


def _cookie(headers: Headers) -> str:
    return cookie_parser(headers.get("cookie", "")).get(routes.LANGUAGE_COOKIE, "")
