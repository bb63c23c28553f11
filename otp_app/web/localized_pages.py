"""Serves the pages in the person's language.

Reflex prerenders each page once, for everybody. `assets/components.js` leaves placeholders in the
HTML: `⟦…⟧` around JSON with the English text and its values. This module replaces the placeholders
by translations. The page also gets the translations as data, so that the script renders the same
text when React hydrates the page, and the brand's colours.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from enum import StrEnum
from hashlib import sha256
from html import escape, unescape
from typing import TYPE_CHECKING

import brotli
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from otp_app.i18n import likely_country
from otp_app.presentation import Preferences
from otp_app.theme import Style
from otp_app.web.headers import is_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otp_app.i18n import Language

# The highest quality is 11. A page at 10 is an eighth smaller than at 9. Quality 11 takes twice as
# long and saves another fiftieth.
BROTLI_QUALITY = 10
_BROTLI: Callable[[bytes, int, int], bytes] = brotli.compress


class ContentEncoding(StrEnum):
    """The content codings that the server supports, best first."""

    BROTLI = "br"
    GZIP = "gzip"
    IDENTITY = "identity"


def negotiate_encoding(accept: str) -> ContentEncoding:
    """Return the best coding that *accept*, an `Accept-Encoding`, allows.

    Weights are ignored, except that a weight of zero excludes a coding.
    """
    accepted = {
        part.partition(";")[0].strip().lower() for part in accept.split(",") if _is_accepted(part)
    }
    return next(
        (coding for coding in ContentEncoding if coding in accepted), ContentEncoding.IDENTITY
    )


def compress(text: bytes, coding: ContentEncoding) -> bytes:
    """Return *text* in *coding*.

    Brotli takes 10 to 30 ms for a page, so callers cache the result. It runs without the GIL.
    """
    match coding:
        case ContentEncoding.BROTLI:
            return _BROTLI(text, brotli.MODE_TEXT, BROTLI_QUALITY)
        case ContentEncoding.GZIP:
            return gzip.compress(text, mtime=0)
        case ContentEncoding.IDENTITY:
            return text


def _is_accepted(part: str) -> bool:
    """Return False if the weight of *part* is zero, which excludes the coding."""
    return not re.search(r";\s*q\s*=\s*0(\.0*)?\s*$", part)


_ROOT, _HEAD_ENDS = '<html dir="ltr" lang="en"', "</head>"
_LIST = "index.html"  # the page with the list of countries

_MARK = re.compile("\u27e6(.*?)\u27e7")
_COUNTRIES = re.compile('<option value="\u27e6&quot;countries&quot;\u27e7">.*?</option>')
_WHOLE = {b"accept-encoding", b"range", b"if-none-match", b"if-modified-since"}
_VALIDATORS = ("etag", "last-modified", "accept-ranges")


def language_of(headers: Headers) -> Language:
    """Return the language that the person chose, else the best for `Accept-Language`."""
    return Preferences.of(headers).language


class PageTranslations:
    """The translated pages, by the language cookie or `Accept-Language` of the browser.

    Each page is translated once for each language, and compressed once for each coding, at the
    first request. At most pages x languages x codings are kept: no request header can make this
    more.

    Attributes:
        script: the inline script that every page runs before it is shown.
        style: the CSS of the theme.
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
        self.style = style or Style()
        self._pages: dict[bytes, str] = {}
        self._kept: dict[tuple[bytes, str, ContentEncoding], bytes] = {}
        self._turn = asyncio.Lock()

    def read_build(self, built: Path) -> None:
        """Read the pages in the folder *built*. No other HTML is translated later.

        Raises:
            RuntimeError: a page has too few or too many of the places that are replaced.
        """
        for path in sorted(built.rglob("*.html")):  # the build has each page at two paths
            html = path.read_text()
            _require_marks(path.relative_to(built).as_posix(), html)
            self._pages[sha256(html.encode()).digest()] = html

    async def page(self, body: bytes, headers: Headers) -> tuple[bytes, ContentEncoding] | None:
        """Return the prerendered page *body* in the person's language, with its coding.

        The coding is the best that the browser accepts. The result is None if *body* is not a page
        of the build.
        """
        digest, language = sha256(body).digest(), language_of(headers)
        coding = negotiate_encoding(headers.get("accept-encoding", ""))
        if digest not in self._pages:
            return None
        key = (digest, language.tag, coding)
        if key not in self._kept:
            async with self._turn:  # another request may have made the page meanwhile
                if key not in self._kept:
                    self._kept[key] = await asyncio.to_thread(self._make, digest, language, coding)
        return self._kept[key], coding

    def _make(self, digest: bytes, language: Language, coding: ContentEncoding) -> bytes:
        key = (digest, language.tag, ContentEncoding.IDENTITY)
        if key not in self._kept:
            self._kept[key] = self._translate(self._pages[digest], language).encode()
        return compress(self._kept[key], coding)

    async def serve_countries(self, request: Request) -> Response:
        """Return the countries as JSON, for pages without them. See `assets/countries.js`."""
        return JSONResponse(self.country_data(language_of(request.headers)))

    def country(self, headers: Headers) -> str:
        """Return the code of the person's likely country, for a page without scripts."""
        accept = headers.get("accept-language", "")
        return likely_country(accept, self._served, self._default_country)

    def country_data(self, language: Language) -> dict[str, object]:
        """Return the data that `countries.js` reads: the countries, and the default country."""
        return {"countries": self.countries(language), "country": self._default_country}

    def countries(self, language: Language) -> list[tuple[str, str]]:
        """Return (code, name) pairs of the countries served, sorted by name in *language*."""
        return language.countries(self._served)

    def _translate(self, html: str, language: Language) -> str:
        html = _COUNTRIES.sub(lambda _: self._options(language), html)
        html = _MARK.sub(lambda mark: escape(_text(unescape(mark[1]), language)), html)
        root = f'<html dir="{language.direction}" lang="{language.tag}"'
        data = as_json(self.data(language))
        head = (
            f'{self.style.markup}<script id="words" type="application/json">{data}</script>'
            f"<script>{self.script}</script>{_HEAD_ENDS}"
        )
        return html.replace(_ROOT, root, 1).replace(_HEAD_ENDS, head, 1)

    def _options(self, language: Language) -> str:
        """Return the countries as `option` elements, with the default country selected."""
        chosen = self._default_country
        return "".join(
            f'<option value="{code}"{" selected" * (code == chosen)}>{escape(name)}</option>'
            for code, name in self.countries(language)
        )

    def data(self, language: Language) -> dict[str, object]:
        """Return the data that `components.js` reads: the language and its translations."""
        words = {key: words for key, words in language.words.items() if key in self._said}
        return {"language": language.tag, "words": words}


class LocalizedPages:
    """Middleware that translates the HTML that Reflex serves."""

    def __init__(self, app: ASGIApp, words: PageTranslations) -> None:
        self.app = app
        self._words = words

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "http" and scope["method"] == "GET" and not is_file(scope["path"]):
            send = self._translating(Headers(scope=scope), send)
            scope = _uncompressed_request(scope)
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


def _uncompressed_request(scope: Scope) -> Scope:
    """Return *scope* as a request for the whole, uncompressed file, sent as body messages."""
    headers = [pair for pair in scope["headers"] if pair[0] not in _WHOLE]
    extensions = dict(scope.get("extensions") or {})
    extensions.pop("http.response.pathsend", None)
    return {**scope, "headers": headers, "extensions": extensions}


def _rewritten(start: Message, size: int, coding: ContentEncoding) -> Message:
    headers = MutableHeaders(raw=list(start["headers"]))
    for name in _VALIDATORS:
        del headers[name]
    headers["content-length"] = str(size)
    headers.add_vary_header("Accept-Encoding, Accept-Language, Cookie")
    if coding is not ContentEncoding.IDENTITY:
        headers["content-encoding"] = coding
    return {**start, "headers": headers.raw}


def _require_marks(name: str, html: str) -> None:
    """Check that the page *name* has each text that `PageTranslations` replaces, exactly once.

    A new version of Reflex may write the HTML differently.

    Raises:
        RuntimeError: one of the texts is missing, or there several times.
    """
    wanted = {_ROOT: 1, _HEAD_ENDS: 1}
    found = {mark: html.count(mark) for mark in wanted}
    if name == _LIST:
        wanted["countries"], found["countries"] = 1, len(_COUNTRIES.findall(html))
    if found != wanted:
        raise RuntimeError(
            f"{name}: has marks {found} and not {wanted}. Delete .web and build anew"
        )


def as_json(data: dict[str, object]) -> str:
    """Return *data* as JSON that is safe inside a script element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _text(mark: str, language: Language) -> str:
    english, values = json.loads(mark)
    return language.t(english, **values)
