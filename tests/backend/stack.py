"""The HTTP pipeline around any app, for tests without the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_app import api
from otp_app.web.localized_pages import PageTranslations
from otp_app.web.pipeline import build_stack

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from otp_app.config import Settings


def in_stack(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Return *app* in the place of Reflex inside all layers, without translated pages."""
    words = PageTranslations(set(), frozenset(), "GB")
    return build_stack(app, settings, api.build(settings), words, handlers=())
