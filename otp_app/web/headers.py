"""Adds security and cache headers to every HTTP response.

OWASP Secure Headers, https://owasp.org/www-project-secure-headers/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

from otp_app.web import csp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

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

        async def send_with_headers(message: Message) -> None:
            if message["type"].endswith("http.response.start"):
                self._add(MutableHeaders(scope=message), scope["path"], message["status"])
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _add(self, headers: MutableHeaders, path: str, status: int) -> None:
        headers.update(self._always)
        # The path decides, not the content type: a 304 has no type, and its headers replace those
        # of the cached response.
        if status >= 400 or not is_file(path):
            headers.update(_PAGES)
            headers["Content-Security-Policy"] = self._policy(path)
        elif not path.endswith(_NO_DOCUMENTS):
            headers["Content-Security-Policy"] = csp.FILES
        headers["Cache-Control"] = _kept(path, status)
        _shorten(headers, path)

    def _policy(self, path: str) -> str:
        return self._policies.get(path.strip("/"), self._policies[csp.ANY_OTHER])


def _shorten(headers: MutableHeaders, path: str) -> None:
    """Remove redundant headers, which would add 1 kB to a visit of a dozen files."""
    if vary := headers.get("vary"):  # each CORS layer of Reflex adds an `Origin`
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
