"""What values of settings look like, and what is said of those that do not; never the value."""

from __future__ import annotations

import re
import stat
from base64 import b64decode, urlsafe_b64decode
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from limits import parse_many as parse_rates
from pydantic import AfterValidator, SecretStr

from otp_app.verification.limits import POLICY
from otp_app.verification.models import Channel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo

MIN_SECRET = 32  # characters; RFC 2104 wants an HMAC key at least as long as the hash's 32 bytes
_PORTS = {"https": 443, "http": 80}


def _origin(value: str) -> str:
    """A scheme, a host and perhaps a port, nothing behind them, as browsers write it.

    Lower case, no default port: WHATWG HTML, "serialization of an origin". What is compared with a
    browser's word has to be written as it is.
    """
    parts = urlsplit(value)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("has a port that is none") from None
    if parts.scheme not in _PORTS or not parts.hostname or "*" in parts.hostname:
        raise ValueError("is not an address that starts with https:// or http://")
    if parts.path.rstrip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be scheme, host and port only")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_default = port in (None, _PORTS[parts.scheme])
    return f"{parts.scheme}://{host}" + ("" if is_default else f":{port}")


Origin = Annotated[str, AfterValidator(_origin)]


def split(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(item for part in text.split(",") if (item := part.strip()))


def _origins(value: str) -> str:
    return ",".join(map(_origin, split(value)))


Origins = Annotated[str, AfterValidator(_origins)]


def _api_keys(value: str) -> str:
    """Each as `NAME:SHA256`."""
    keys = split(value)
    if not all(re.fullmatch("[a-z0-9-]{1,32}:[0-9a-f]{64}", key) for key in keys):
        raise ValueError("must be NAME:SHA256, with commas between several")
    if len({key.partition(":")[0] for key in keys}) < len(keys):
        raise ValueError("has the same name twice")
    return value


ApiKeys = Annotated[str, AfterValidator(_api_keys)]


def _number_keys(keys: SecretStr) -> SecretStr:
    """Fernet keys of random bytes: those that somebody chose have repeats, or are a text."""
    for key in split(keys.get_secret_value()):
        if not re.fullmatch("[A-Za-z0-9_-]{43}=", key):
            raise ValueError("must be keys of 32 bytes in URL-safe base64, with commas between")
        if _is_chosen(urlsafe_b64decode(key)):
            raise ValueError("has a key that is not 32 random bytes")
    return keys


NumberKeys = Annotated[SecretStr, AfterValidator(_number_keys)]


def _webhook_secrets(secrets: SecretStr) -> SecretStr:
    """Secrets of 24 to 64 random bytes, as Standard Webhooks wants them.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    for secret in split(secrets.get_secret_value()):
        if not re.fullmatch("whsec_[A-Za-z0-9+/]{32,86}={0,2}", secret):
            raise ValueError("must be whsec_ and 24 to 64 bytes in base64, with commas between")
        try:
            raw = b64decode(secret.removeprefix("whsec_"), validate=True)
        except ValueError:
            raise ValueError("has a secret that is not base64") from None
        if _is_chosen(raw):
            raise ValueError("has a secret that is not random bytes")
    return secrets


WebhookSecrets = Annotated[SecretStr, AfterValidator(_webhook_secrets)]


def _is_chosen(raw: bytes) -> bool:
    """Whether it is a text, or repeats itself more than random bytes do once in 10**10 times."""
    return 2 * len(set(raw)) < len(raw) or (raw.isascii() and raw.decode().isprintable())


def _webhook_url(value: str) -> str:
    """Where to post to: as `Origin`, with a path and a query."""
    parts = urlsplit(value)
    _origin(f"{parts.scheme}://{parts.netloc}")
    if parts.fragment or re.search(r"[^!-~]", value):
        raise ValueError("must be ASCII without spaces and without a #")
    try:
        (parts.hostname or "").encode("idna")
    except UnicodeError:
        raise ValueError("has a host that is none") from None
    return value


WebhookUrl = Annotated[str, AfterValidator(_webhook_url)]


def _channels(value: str) -> str:
    """Names of `Channel`, each once, the first chosen at first."""
    names = split(value)
    if not names or not set(names) <= set(Channel) or len(set(names)) < len(names):
        known = ", ".join(Channel)
        raise ValueError(f"must be one or more of {known}, each once, with commas between")
    return ",".join(names)


Channels = Annotated[str, AfterValidator(_channels)]


def sid(prefix: str) -> AfterValidator:
    """One of Twilio's ids: https://www.twilio.com/docs/glossary/what-is-a-sid."""

    def check(value: str) -> str:
        if not re.fullmatch(prefix + "[0-9a-fA-F]{32}", value):
            raise ValueError(f"must be {prefix} and 32 hexadecimal digits")
        return value

    return AfterValidator(check)


def rates(environment: Mapping[str, str]) -> dict[str, tuple[int, timedelta]]:
    """The limits that are set, in the notation of the library `limits`: `5/15 minutes`.

    Raises:
        ValueError: naming the one that is no rate.
    """
    texts = {limit.name: environment.get(limit.name, "") for limit in POLICY}
    return {name: _rate(name, text) for name, text in texts.items() if text}


def _rate(name: str, text: str) -> tuple[int, timedelta]:
    try:
        found = parse_rates(text)
    except ValueError:
        found = []
    if len(found) != 1 or found[0].amount < 1:
        raise ValueError(f"{name}: is not a rate, for example 5/15 minutes")
    return found[0].amount, timedelta(seconds=found[0].get_expiry())


def is_open_to_others(path: Path) -> bool:
    """Whether its mode lets everybody on the machine read or write."""
    return bool(path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH))


def listed(problems: list[str]) -> str:
    """What the operator reads."""
    return "The settings cannot be used:\n" + "\n".join(f"  - {line}" for line in problems)


def explained(exc: ValidationError, fields: Mapping[str, FieldInfo]) -> str:
    """One line for each problem. pydantic's own text holds the values, so none of it is kept."""
    errors = exc.errors()
    return listed([_explain(error["loc"], error["msg"], error["type"], fields) for error in errors])


def _explain(
    loc: tuple[int | str, ...], message: str, type_: str, fields: Mapping[str, FieldInfo]
) -> str:
    ours = message.removeprefix("Value error, ")
    if not loc:  # our own cross-checks name the setting themselves
        return ours
    why = ours if type_ == "value_error" else _WHY.get(type_, "cannot be used")
    examples = fields[str(loc[0])].examples
    example = f", for example {examples[0]}" if examples else ""
    return f"{str(loc[0]).upper()}: {why}{example}"


_WHY = {
    "bool_parsing": "is neither true nor false",
    "enum": "is not one of the known names",
    "int_parsing": "is not a whole number",
    "float_parsing": "is not a number",
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "string_pattern_mismatch": "does not have the right form",
    "string_too_short": "is too short",
    "string_too_long": "is too long",
    "too_short": f"is shorter than {MIN_SECRET} characters",
}
