"""Types of settings, and the messages about invalid values. No message holds the value."""

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


PROVIDER_UNUSABLE = {
    "twilio": (
        "TWILIO_VERIFY_SERVICE_SID: the Service cannot be used. Check that it is there, that "
        "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN may use it, that its code length is 6 or more, "
        "and that it has a WhatsApp sender if CHANNELS has whatsapp (Twilio Console, Verify, "
        "Services)"
    ),
    "vonage": (
        "VONAGE_PRIVATE_KEY, VONAGE_BRAND_NAME, OTP_LOCALE: one of them cannot be used. The key "
        "must be PEM text or the path of a file, the locale a language that Vonage supports"
    ),
}
"""The messages for values that pass all checks of the settings, and that the provider refuses."""

LOOKUP_UNUSABLE = (
    "VONAGE_PRIVATE_KEY: cannot be used, and NUMBER_LOOKUP=vonage needs it. It must be PEM text or "
    "the path of a file"
)
NO_DECRYPTION_KEY = (
    "PHONE_ENCRYPTION_KEYS: none of them decrypts the numbers in the database. Add their "
    "key behind the first: PHONE_ENCRYPTION_KEYS=new,old"
)
DATABASE_SILENT = "the database does not answer, or its folder cannot be written"

MIN_SECRET = 32  # characters: RFC 2104 asks for an HMAC key of at least the hash's 32 bytes
_PORTS = {"https": 443, "http": 80}


def _origin(value: str) -> str:
    """Return the origin in *value* in the form that browsers send: scheme, host, optional port.

    The form is in lower case and without a default port: WHATWG HTML, "serialization of an origin".
    The origin is compared with headers of browsers, so the two must be spelled alike.

    Raises:
        ValueError: *value* is no http or https origin, or has a path, a query or credentials.
    """
    parts = urlsplit(value)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("has an invalid port") from None
    if parts.scheme not in _PORTS or not parts.hostname or "*" in parts.hostname:
        raise ValueError("is not an address that starts with https:// or http://")
    if parts.path.rstrip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be scheme, host and port only")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_default = port in (None, _PORTS[parts.scheme])
    return f"{parts.scheme}://{host}" + ("" if is_default else f":{port}")


Origin = Annotated[str, AfterValidator(_origin)]


def split(text: str) -> tuple[str, ...]:
    """Return the items of a comma-separated list, without spaces around them and empty items."""
    return tuple(item for part in text.split(",") if (item := part.strip()))


def _origins(value: str) -> str:
    return ",".join(map(_origin, split(value)))


Origins = Annotated[str, AfterValidator(_origins)]


def _api_keys(value: str) -> str:
    """Validate a comma-separated list of `NAME:SHA256` items with distinct names."""
    keys = split(value)
    if not all(re.fullmatch("[a-z0-9-]{1,32}:[0-9a-f]{64}", key) for key in keys):
        raise ValueError("must be NAME:SHA256, with commas between several")
    if len({key.partition(":")[0] for key in keys}) < len(keys):
        raise ValueError("has the same name twice")
    return value


ApiKeys = Annotated[str, AfterValidator(_api_keys)]


def _encryption_keys(keys: SecretStr) -> SecretStr:
    """Validate comma-separated Fernet keys, and reject keys whose bytes are not random."""
    for key in split(keys.get_secret_value()):
        if not re.fullmatch("[A-Za-z0-9_-]{43}=", key):
            raise ValueError("must be keys of 32 bytes in URL-safe base64, with commas between")
        if _is_not_random(urlsafe_b64decode(key)):
            raise ValueError("has a key that is not 32 random bytes")
    return keys


EncryptionKeys = Annotated[SecretStr, AfterValidator(_encryption_keys)]


def _webhook_secrets(secrets: SecretStr) -> SecretStr:
    """Validate comma-separated secrets of 24 to 64 random bytes, as Standard Webhooks requires.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    for secret in split(secrets.get_secret_value()):
        if not re.fullmatch("whsec_[A-Za-z0-9+/]{32,86}={0,2}", secret):
            raise ValueError("must be whsec_ and 24 to 64 bytes in base64, with commas between")
        try:
            raw = b64decode(secret.removeprefix("whsec_"), validate=True)
        except ValueError:
            raise ValueError("has a secret that is not base64") from None
        if _is_not_random(raw):
            raise ValueError("has a secret that is not random bytes")
    return secrets


WebhookSecrets = Annotated[SecretStr, AfterValidator(_webhook_secrets)]


def _is_not_random(raw: bytes) -> bool:
    """Return True if *raw* was chosen by a person: printable text, or many repeated bytes.

    Fewer than one in 10**10 random keys is rejected by this test.
    """
    return 2 * len(set(raw)) < len(raw) or (raw.isascii() and raw.decode().isprintable())


def _webhook_url(value: str) -> str:
    """Validate the URL of a webhook endpoint: an `Origin` with an optional path and query."""
    parts = urlsplit(value)
    _origin(f"{parts.scheme}://{parts.netloc}")
    if parts.fragment or re.search(r"[^!-~]", value):
        raise ValueError("must be ASCII without spaces and without a #")
    try:
        (parts.hostname or "").encode("idna")
    except UnicodeError:
        raise ValueError("has an invalid host") from None
    return value


WebhookUrl = Annotated[str, AfterValidator(_webhook_url)]


def _channels(value: str) -> str:
    """Validate comma-separated, distinct names of `Channel`. The first is the default channel."""
    names = split(value)
    if not names or not set(names) <= set(Channel) or len(set(names)) < len(names):
        known = ", ".join(Channel)
        raise ValueError(f"must be one or more of {known}, each once, with commas between")
    return ",".join(names)


Channels = Annotated[str, AfterValidator(_channels)]


def sid(prefix: str) -> AfterValidator:
    """Return a validator of Twilio's ids: *prefix* and 32 hexadecimal digits.

    https://www.twilio.com/docs/glossary/what-is-a-sid
    """

    def check(value: str) -> str:
        if not re.fullmatch(prefix + "[0-9a-fA-F]{32}", value):
            raise ValueError(f"must be {prefix} and 32 hexadecimal digits")
        return value

    return AfterValidator(check)


def parse_limit_rates(environment: Mapping[str, str]) -> dict[str, tuple[int, timedelta]]:
    """Return amount and window of each limit that *environment* sets, by the name of the limit.

    Rates have the notation of the library `limits`, such as `5/15 minutes`.

    Raises:
        ValueError: a value is not a rate. The text names the limit.
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
    """Return True if the mode of *path* lets every user of the machine read or write."""
    return bool(path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH))


def error_list(problems: list[str]) -> str:
    """Return the message for the operator, with one line for each of *problems*."""
    return "The settings cannot be used:\n" + "\n".join(f"  - {line}" for line in problems)


def explain_errors(exc: ValidationError, fields: Mapping[str, FieldInfo]) -> str:
    """Return the message for the operator, with one line for each error in *exc*.

    The texts of pydantic hold the values, so they are replaced by our own.
    """
    errors = exc.errors()
    return error_list(
        [_explain(error["loc"], error["msg"], error["type"], fields) for error in errors]
    )


def _explain(
    loc: tuple[int | str, ...], message: str, type_: str, fields: Mapping[str, FieldInfo]
) -> str:
    ours = message.removeprefix("Value error, ")
    if not loc:  # the messages of our model validators already name the setting
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


def revealed(secret: SecretStr | None) -> str | None:
    """The value of *secret*; None if it is not set."""
    return secret.get_secret_value() if secret else None


def revealed_text(secret: SecretStr | None) -> str:
    """The value of *secret*; empty if it is not set."""
    return secret.get_secret_value() if secret else ""
