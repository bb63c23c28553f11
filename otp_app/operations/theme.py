"""Checks of the brand and of the team's own texts: docs/theming.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_app.config import ProviderName
from otp_app.i18n.languages import own_texts
from otp_app.i18n.texts import TEXTS, TextsUnusable
from otp_app.operations.findings import Finding, fail, ok, warn
from otp_app.theme.palette import AA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otp_app.config import Settings
    from otp_app.theme.palette import Palette


def theme(settings: Settings) -> Iterator[Finding]:
    """Report a brand colour with too little contrast, and messages with another brand name."""
    colours = settings.theme.style.palette
    yield _color(colours) if colours else ok("BRAND_COLOR", "is not set: the pages are blue")
    if settings.brand_name and _sends_by_another_name(settings):
        what = f"is on the pages only: messages are from {settings.vonage_brand_name}"
        yield warn("BRAND_NAME", what, "set VONAGE_BRAND_NAME, at most 16 characters")


def texts() -> list[Finding]:
    """Return the findings about the team's own texts."""
    try:
        own = own_texts()
    except TextsUnusable as exc:
        problems = str(exc).split("\n  - ")[1:]
        return [fail("texts", problem, "see docs/theming.md") for problem in problems]
    return [ok("texts", f"{TEXTS}/ has {', '.join(own)}" if own else "none of your own")]


def _color(colours: Palette) -> Finding:
    used, dark = colours.light.brand, colours.dark.brand
    if not colours.is_corrected:
        return ok("BRAND_COLOR", f"has {colours.measured:.2f}:1 at least; in the dark it is {dark}")
    what = f"has {colours.measured:.2f}:1 where text needs {AA}:1, so that text is {used}"
    return warn("BRAND_COLOR", what, f"set it to {used}, unless you want buttons of your colour")


def _sends_by_another_name(settings: Settings) -> bool:
    is_default = "vonage_brand_name" not in settings.model_fields_set
    return settings.provider is ProviderName.VONAGE and is_default
