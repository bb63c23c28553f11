"""Settings that load, and that an operator may still not have meant; files, theme and texts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from otp_app import routes
from otp_app.cli import Finding, fail, ok, rate, unsafe, warn
from otp_app.config import (
    LOCAL,
    AppEnv,
    ProviderName,
    Settings,
    SettingsError,
    load_settings,
)
from otp_app.config.values import is_open_to_others
from otp_app.i18n import own_texts
from otp_app.i18n.texts import TEXTS, TextsUnusable
from otp_app.identity.keyring import SECRET_FILE
from otp_app.phone import regions
from otp_app.theme import AA
from otp_app.verification.limits import POLICY, Limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otp_app.theme.palette import Palette

ENV_FILE = Path(".env")


def env_file(*, production: bool) -> Iterator[Finding]:
    """Yield the findings about `.env`: the file's mode, and whether git tracks the file."""
    if not ENV_FILE.exists():
        yield ok(".env", "does not exist: the settings come from the environment")
        return
    yield private(".env", ENV_FILE, production=production)
    yield _committed()


def private(check: str, path: Path, *, production: bool) -> Finding:
    """Return the finding about the mode of *path*: only owner and group may read or write it."""
    if is_open_to_others(path):
        what = "can be read or changed by others"
        return unsafe(check, what, f"chmod o-rwx {path}", production=production)
    return ok(check, "cannot be read by others")


def _committed() -> Finding:
    git = shutil.which("git")
    if git is None:
        return ok(".env in git", "not checked: git is not installed")
    command = [git, "ls-files", "--", str(ENV_FILE)]
    # The command is constant: no input of a user is part of it.
    answer = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # nosec B603
    if answer.stdout:
        fix = "git rm --cached .env, and change every secret in it: the history keeps them"
        return fail(".env in git", "is committed", fix)
    return ok(".env in git", "is not committed" if answer.returncode == 0 else "no repository here")


def theme(settings: Settings) -> Iterator[Finding]:
    """Report a brand colour with too little contrast, and messages with another brand name."""
    colours = settings.theme.style.palette
    yield _color(colours) if colours else ok("BRAND_COLOR", "is not set: the pages are blue")
    if settings.brand_name and _sends_by_another_name(settings):
        what = f"is on the pages only: messages name {settings.vonage_brand_name}"
        yield warn("BRAND_NAME", what, "set VONAGE_BRAND_NAME, at most 16 characters")


def texts() -> list[Finding]:
    """Return the findings about the team's own texts."""
    try:
        own = own_texts()
    except TextsUnusable as exc:
        problems = str(exc).split("\n  - ")[1:]
        return [fail("texts", problem, "see docs/theming.md") for problem in problems]
    return [ok("texts", f"{TEXTS}/ has {', '.join(own)}" if own else "no texts of your own")]


def _color(colours: Palette) -> Finding:
    used, dark = colours.light.brand, colours.dark.brand
    if not colours.is_corrected:
        return ok("BRAND_COLOR", f"has {colours.measured:.2f}:1 at least; in the dark it is {dark}")
    what = f"has {colours.measured:.2f}:1 and text needs {AA}:1, so text has the colour {used}"
    return warn("BRAND_COLOR", what, f"set it to {used}, unless you want buttons of your colour")


def _sends_by_another_name(settings: Settings) -> bool:
    is_default = "vonage_brand_name" not in settings.model_fields_set
    return settings.provider is ProviderName.VONAGE and is_default


_HERE = {*LOCAL, "::1"}
_WEBHOOKS = {
    ProviderName.VONAGE: (routes.VONAGE_WEBHOOK, "VONAGE_SIGNATURE_SECRET"),
    ProviderName.TWILIO: (routes.TWILIO_WEBHOOK, "TWILIO_EVENT_STREAMS"),
}


def read() -> tuple[Settings | None, list[Finding]]:
    """Return the settings, or None if they are invalid, and the findings from loading them."""
    try:
        return load_settings(), [ok("settings", "are valid")]
    except SettingsError as exc:
        problems = [line for line in str(exc).split("\n  - ") if not line.endswith(":")]
        return None, [fail("settings", problem, "see .env.example") for problem in problems]


def configuration(settings: Settings) -> Iterator[Finding]:
    """Yield the findings that need neither the network nor the database."""
    yield from _secret_key(settings)
    yield _number_keys(settings)
    yield _proxy_hops(settings)
    yield _public_url(settings)
    yield _origins()
    yield _countries(settings)
    yield from _webhooks(settings)
    yield from _limits(settings)


def _secret_key(settings: Settings) -> Iterator[Finding]:
    if settings.secret_key:
        yield ok("SECRET_KEY", "is set")
        return
    what = f"is not set: the key in {SECRET_FILE} is used, on this machine only"
    fix = "make one: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
    yield warn("SECRET_KEY", what, fix)
    if SECRET_FILE.exists():
        yield private(str(SECRET_FILE), SECRET_FILE, production=False)


def _number_keys(settings: Settings) -> Finding:
    check, keys = "PHONE_ENCRYPTION_KEYS", len(settings.phone_encryption_key_list)
    if keys:
        return ok(check, f"the first of {keys} encrypts numbers")
    what = "is not set: numbers are stored without encryption"
    if settings.app_env is AppEnv.PRODUCTION:
        return warn(check, what, "set it as .env.example says, then python -m otp_app rotate")
    return ok(check, what)


def _proxy_hops(settings: Settings) -> Finding:
    check, production = "TRUSTED_PROXY_HOPS", settings.app_env is AppEnv.PRODUCTION
    if settings.is_https and not settings.trusted_proxy_hops:
        what = "is 0, so all clients behind the proxy that terminates https count as one address"
        return unsafe(check, what, "set it to the number of proxies", production=production)
    if settings.trusted_proxy_hops and not settings.is_https:
        what = "is set without https: a client that bypasses the proxy can claim any address"
        return warn(check, what, "set it to 0, or PUBLIC_URL to the proxy's address")
    return ok(check, "fits PUBLIC_URL")


def _public_url(settings: Settings) -> Finding:
    parts = urlsplit(settings.origin)
    if not settings.origin.isascii():
        what = "is not in the form that browsers send, so no page can open its socket"
        return fail("PUBLIC_URL", what, "write the host in ASCII, with xn--")
    if settings.app_env is AppEnv.PRODUCTION and parts.hostname in _HERE:
        return fail(
            "PUBLIC_URL", "is a name of this machine only", "set it to the address that people open"
        )
    return ok("PUBLIC_URL", "only its pages may open the socket")


def _origins() -> Finding:
    """Report Reflex's own settings for allowed origins: the app does not start with them set."""
    names = ("REFLEX_CORS_ALLOWED_ORIGINS", "REFLEX_TRANSPORT")
    if found := [name for name in names if os.environ.get(name)]:
        return fail("allowed origins", f"{', '.join(found)}: set", "unset them: PUBLIC_URL is used")
    return ok("allowed origins", "follow from PUBLIC_URL")


def _countries(settings: Settings) -> Finding:
    check, served = "ALLOWED_COUNTRIES", settings.countries
    if not served:
        return warn(check, "is not set: codes go to every country", "set it, for example to US,GB")
    if unknown := sorted(served - regions()):
        return fail(
            check, f"{', '.join(unknown)}: no such country", "use ISO 3166-1 codes, such as GB"
        )
    if settings.default_country not in served:
        return warn(check, "lacks DEFAULT_COUNTRY", "set DEFAULT_COUNTRY to one of them")
    return ok(check, f"{len(served)} set")


def _webhooks(settings: Settings) -> Iterator[Finding]:
    """Report whether the app accepts delivery reports of each provider.

    The provider's account decides whether reports are sent, which cannot be checked here.
    """
    for name in settings.complete_providers():
        path, setting = _WEBHOOKS[name]
        if name in settings.reporters:
            what = f"are accepted at {settings.origin}{path} (docs/webhooks.md has the set-up)"
        else:
            what = f"are not accepted: {setting} is not set (docs/webhooks.md explains them)"
        yield ok(f"{name} webhooks", what)


def _limits(settings: Settings) -> Iterator[Finding]:
    pairs = zip(settings.limits, POLICY, strict=True)
    set_ones = [(limit, default) for limit, default in pairs if limit.name in settings.limit_rates]
    looser = [(limit, default) for limit, default in set_ones if _is_looser(limit, default)]
    for limit, default in looser:
        what = f"{rate(limit)}: looser than its default, {rate(default)}"
        yield warn(limit.name, what, "unset it, unless this is intended")
    if not looser:
        yield ok("limits", "none is set looser than its default")


def _is_looser(limit: Limit, default: Limit) -> bool:
    """Return True if *limit* allows a higher rate or a larger burst than *default*."""
    faster = limit.amount * default.window > default.amount * limit.window
    return faster or limit.amount > default.amount
