"""What a browser says of its person, and nobody has to believe: their language, their time zone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from otp_app import i18n, routes
from otp_app.cookies import cookie_value
from otp_app.i18n.languages import choose

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from otp_app.i18n.languages import Language


@dataclass(frozen=True)
class Preferences:
    """Read from a request's `Cookie` and `Accept-Language`, or a socket's."""

    cookie_header: str
    accept_language: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Preferences:
        """Those of a request with these *headers*, whose names are in lower case."""
        return cls(headers.get("cookie", ""), headers.get("accept-language", ""))

    @property
    def language(self) -> Language:
        """The one that the person chose, else their browser's."""
        return choose(self._cookie(routes.LANGUAGE_COOKIE), self.accept_language)

    @property
    def zone(self) -> tzinfo:
        """The browser's, which the pages' script leaves in a cookie; else UTC."""
        return i18n.time_zone(self._cookie(routes.TIME_ZONE_COOKIE))

    def _cookie(self, name: str) -> str:
        return cookie_value(self.cookie_header, name)
