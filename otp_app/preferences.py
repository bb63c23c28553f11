"""The preferences of a person, from unauthenticated browser data: language and time zone."""

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
    """The preferences in the `Cookie` and `Accept-Language` headers of a request or a socket."""

    cookie_header: str
    accept_language: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Preferences:
        """Return the preferences in *headers*, a mapping with names in lower case."""
        return cls(headers.get("cookie", ""), headers.get("accept-language", ""))

    @property
    def language(self) -> Language:
        """The language that the person has chosen, else the best match for the browser's."""
        return choose(self._cookie(routes.LANGUAGE_COOKIE), self.accept_language)

    @property
    def zone(self) -> tzinfo:
        """The browser's time zone, which a script of the pages stores in a cookie; else UTC."""
        return i18n.time_zone(self._cookie(routes.TIME_ZONE_COOKIE))

    def _cookie(self, name: str) -> str:
        return cookie_value(self.cookie_header, name)
