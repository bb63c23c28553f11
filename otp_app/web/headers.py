"""The response headers: the Content-Security-Policy of each page, and what browsers may keep.

https://www.w3.org/TR/CSP3/ and https://owasp.org/www-project-secure-headers/
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

FILE_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""Policy of files. The longer policy of pages would make the many small files a tenth larger."""

_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
_STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)
_EMPTY = ""  # emotion adds an empty <style> and fills it by the CSSOM, which CSP allows

ANY_OTHER_PAGE = "*"
"""Key of the policy for paths at which no page was built."""


def page_policies(
    built: Path, origins: Sequence[str], scripts: Sequence[str] = (), style: str = ""
) -> Mapping[str, str]:
    """Return the policy of each page, by its path without slashes.

    A policy allows the inline scripts and styles of the page's HTML file.

    Args:
        built: the folder with the HTML files of the build.
        origins: our origins, whose sockets a page may open.
        scripts: inline scripts that the server adds to every page.
        style: an inline style that the server adds to every page.
    """
    html: dict[str, list[str]] = {ANY_OTHER_PAGE: []}
    for file in sorted(built.rglob("*.html")):
        page = file.relative_to(built).with_suffix("").as_posix()
        for name in (page.removesuffix("index").strip("/"), ANY_OTHER_PAGE):
            html.setdefault(name, []).append(file.read_text())
    return {page: _policy(texts, origins, scripts, style) for page, texts in html.items()}


def _policy(html: Sequence[str], origins: Sequence[str], scripts: Sequence[str], style: str) -> str:
    inline = {*scripts, *_inline(_SCRIPT, html)}
    styles = {_EMPTY, style, *_inline(_STYLE, html)}
    return "; ".join(
        [
            "default-src 'none'",
            " ".join(["script-src 'self'", *_hashes(inline)]),
            " ".join(["style-src 'self'", *_hashes(styles)]),
            "img-src 'self'",
            "font-src 'self'",
            " ".join(["connect-src 'self'", *map(_socket, origins)]),
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _inline(pattern: re.Pattern[str], texts: Sequence[str]) -> set[str]:
    return {match for text in texts for match in pattern.findall(text)}


def _hashes(contents: set[str]) -> Iterator[str]:
    for content in sorted(contents):
        digest = hashlib.sha256(content.encode()).digest()
        yield f"'sha256-{base64.b64encode(digest).decode()}'"


def _socket(origin: str) -> str:
    """Return the socket's origin: Safari before 15.4 does not include it in 'self'."""
    return "ws" + origin.removeprefix("http")


_BUILT = "/assets/"  # file names there contain a hash of the content
_NO_DOCUMENTS = (".css", ".js")  # never shown as a document, thanks to the type and `nosniff`
_FILES = (".css", ".svg", ".ico", ".png", ".txt", ".woff2")

_FOREVER = "public, max-age=31536000, immutable"  # a year
_SHORT = "public, max-age=300"  # seconds; a new style sheet is in use after 5 minutes
_NEVER = "no-store"

_FEATURES = (
    "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen",
    "geolocation", "gyroscope", "magnetometer", "microphone", "midi", "payment",
    "picture-in-picture", "publickey-credentials-get", "screen-wake-lock", "usb",
    "xr-spatial-tracking",
)  # fmt: skip

_ALWAYS = {"X-Content-Type-Options": "nosniff"}
_PAGES = {
    "X-Frame-Options": "DENY",  # for browsers without frame-ancestors
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": ", ".join(
        [*(f"{feature}=()" for feature in _FEATURES), "otp-credentials=(self)"]
    ),
}
"""Headers that matter for documents only. On a dozen files they would add 5 kB to a visit."""
_HSTS = "Strict-Transport-Security"  # RFC 6797
_A_YEAR = "max-age=31536000"  # seconds


def on_response_start(send: Send, edit: Callable[[MutableHeaders, int], None]) -> Send:
    """Return a `send` that first lets *edit* change the headers of the response.

    *edit* also gets the status. The refusal of a websocket is a response, too.
    """

    async def send_edited(message: Message) -> None:
        if message["type"].endswith("http.response.start"):
            edit(MutableHeaders(scope=message), message["status"])
        await send(message)

    return send_edited


class SecurityHeaders:
    """Adds the headers to every response, those of other middleware included.

    Args:
        app: the app inside.
        policies: the Content-Security-Policy of each page, by its path without slashes.
        https: whether visitors use https; adds Strict-Transport-Security.
        subdomains: whether Strict-Transport-Security includes subdomains. A page of a subdomain
            that is open by plain http can be replaced on the way, and then set cookies for the
            whole domain.
    """

    def __init__(
        self, app: ASGIApp, *, policies: Mapping[str, str], https: bool, subdomains: bool = False
    ) -> None:
        self.app = app
        self._policies = policies
        hsts = {_HSTS: _A_YEAR + "; includeSubDomains" * subdomains}
        self._always = _ALWAYS | (hsts if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""

        def add(headers: MutableHeaders, status: int) -> None:
            self._add(headers, scope["path"], status)

        await self.app(scope, receive, on_response_start(send, add))

    def _add(self, headers: MutableHeaders, path: str, status: int) -> None:
        headers.update(self._always)
        # The path decides, not the content type: a 304 has no type, and its headers replace those
        # of the cached response.
        if status >= 400 or not is_file(path):
            headers.update(_PAGES)
            headers["Content-Security-Policy"] = self._policy(path)
        elif not path.endswith(_NO_DOCUMENTS):
            headers["Content-Security-Policy"] = FILE_POLICY
        headers["Cache-Control"] = _kept(path, status)
        _shorten(headers, path)

    def _policy(self, path: str) -> str:
        return self._policies.get(path.strip("/"), self._policies[ANY_OTHER_PAGE])


def _shorten(headers: MutableHeaders, path: str) -> None:
    """Remove redundant headers, which would add 1 kB to a visit of a dozen files."""
    if vary := headers.get("vary"):  # Reflex has two CORS layers, and each adds an `Origin`
        headers["vary"] = ", ".join(dict.fromkeys(vary.split(", ")))
    if path.startswith(_BUILT):  # the content at a path never changes, and there is an ETag
        del headers["last-modified"], headers["accept-ranges"]


def is_file(path: str) -> bool:
    """Return True if *path* is the path of a file, not of a page."""
    return path.startswith(_BUILT) or path.endswith(_FILES)


def _kept(path: str, status: int) -> str:
    """Return the value of `Cache-Control`."""
    if status >= 300 and status != 304:
        return _NEVER
    if path.startswith(_BUILT):
        return _FOREVER
    return _SHORT if path.endswith(_FILES) else _NEVER
