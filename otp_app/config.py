"""Settings: from the environment and `.env`, read once, checked together.

A bad one stops the start with its name, what is wrong and an example, never with its value.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self
from urllib.parse import urlsplit

from dotenv import load_dotenv
from limits import parse_many as parse_rates
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from otp_app.verification.limits import POLICY, Limit, adjusted
from otp_app.verification.sessions import SessionPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL = ("localhost", "127.0.0.1", "0.0.0.0")  # noqa: S104 - Reflex prints the last at its start
DEVELOPMENT_SLACK = 20  # times: one developer is all the traffic there is, and tries all day
LOOSEST = 10  # in production, how many times a limit may be looser than its default
MIN_SECRET = 32  # characters; RFC 2104 wants an HMAC key at least as long as the hash's 32 bytes

DATABASE_EXAMPLE = "sqlite:///.data/otp_app.db"


class SettingsError(Exception):
    """The settings cannot be used. Its text is for the operator and holds no value."""


class AppEnv(StrEnum):
    """How strict to be."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class ProviderName(StrEnum):
    """Who can send codes."""

    CONSOLE = "console"
    VONAGE = "vonage"
    TWILIO = "twilio"


def _origin(value: str) -> str:
    """A scheme, a host and perhaps a port, nothing behind them."""
    parts = urlsplit(value)
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("has a port that is none") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "*" in parts.hostname:
        raise ValueError("is not an address that starts with https:// or http://")
    if parts.path.rstrip("/") or parts.query or parts.fragment or parts.username:
        raise ValueError("must be scheme, host and port only")
    return value.rstrip("/")


def _sid(prefix: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(prefix + "[0-9a-fA-F]{32}", value):
            raise ValueError(f"must be {prefix} and 32 hexadecimal digits")
        return value

    return AfterValidator(check)


Origin = Annotated[str, AfterValidator(_origin)]


class Settings(BaseSettings):
    """What an operator decides. Names are the environment's, in lower case."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    app_env: AppEnv = Field(AppEnv.DEVELOPMENT, examples=["production"])
    port: int = Field(3000, ge=1, le=65535, examples=["3000"])
    public_url: Origin | None = Field(None, examples=["https://verify.example.com"])
    trusted_proxy_hops: int = Field(0, ge=0, le=10, examples=["1"])
    sockets_per_address: int = Field(20, ge=1, le=1_000_000, examples=["20"])
    secret_key: SecretStr | None = Field(
        None, min_length=MIN_SECRET, examples=["(48 random bytes)"]
    )
    database_url: SecretStr = Field(SecretStr(DATABASE_EXAMPLE), examples=[DATABASE_EXAMPLE])
    default_country: str = Field("US", pattern="^[A-Z]{2}$", examples=["GB"])
    allowed_countries: str = Field(
        "", pattern=r"^[A-Z]{2}(\s*,\s*[A-Z]{2})*$|^$", examples=["US,GB"]
    )
    session_idle_minutes: int = Field(60, ge=1, le=60 * 24, examples=["60"])
    session_hours: int = Field(24, ge=1, le=24 * 30, examples=["24"])
    otp_locale: str = Field("en-US", pattern="^[a-z]{2}(-[A-Z]{2})?$", examples=["en-GB"])

    otp_provider: ProviderName | None = Field(None, examples=["twilio"])

    vonage_api_key: str | None = Field(None, pattern="^[0-9a-zA-Z]+$", examples=["abcd1234"])
    vonage_api_secret: SecretStr | None = Field(None, examples=["(from the dashboard)"])
    vonage_application_id: str | None = Field(
        None, pattern="^[0-9a-fA-F-]{36}$", examples=["00000000-0000-4000-8000-000000000000"]
    )
    vonage_private_key: SecretStr | None = Field(None, examples=["/run/secrets/vonage.key"])
    vonage_brand_name: str = Field(
        "MyApp", min_length=1, max_length=16, pattern=r"^[^/{}:$\r\n]*$", examples=["MyApp"]
    )
    vonage_signature_secret: SecretStr | None = Field(
        None, min_length=MIN_SECRET, examples=["(from the dashboard)"]
    )
    vonage_base_url: Origin = Field("https://api.nexmo.com", examples=["https://api.nexmo.com"])

    twilio_account_sid: Annotated[str, _sid("AC")] | None = Field(
        None, examples=["AC and 32 hexadecimal digits"]
    )
    twilio_auth_token: SecretStr | None = Field(None, examples=["(from the console)"])
    twilio_verify_service_sid: Annotated[str, _sid("VA")] | None = Field(
        None, examples=["VA and 32 hexadecimal digits"]
    )
    twilio_brand_name: str = Field("MyApp", min_length=1, max_length=30, examples=["MyApp"])
    twilio_base_url: Origin = Field(
        "https://verify.twilio.com", examples=["https://verify.twilio.com"]
    )

    limit_rates: dict[str, tuple[int, timedelta]] = Field(default_factory=dict)
    """Other rates for rows of `POLICY`, each set by its own name: see `_rates`."""

    @property
    def countries(self) -> frozenset[str]:
        """Where codes may go; everywhere, if there is none."""
        return frozenset(re.findall("[A-Z]{2}", self.allowed_countries))

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The policy, with the rates that the environment sets; loose on who develops alone."""
        slack = 1 if self.app_env is AppEnv.PRODUCTION else DEVELOPMENT_SLACK
        loose = {limit.name: (slack * limit.amount, limit.window) for limit in POLICY}
        return tuple(adjusted(POLICY, loose | self.limit_rates))

    @property
    def session_policy(self) -> SessionPolicy:
        """How long a success lasts."""
        idle = timedelta(minutes=self.session_idle_minutes)
        return SessionPolicy(idle, timedelta(hours=self.session_hours))

    @property
    def provider(self) -> ProviderName:
        """Who sends: the one asked for, else the one with credentials, else the console."""
        if self.otp_provider:
            return self.otp_provider
        return next(iter(self.complete_providers()), ProviderName.CONSOLE)

    @property
    def reporters(self) -> frozenset[ProviderName]:
        """Those whose delivery reports can be told from forged ones."""
        signed = {
            ProviderName.VONAGE: self.vonage_signature_secret,
            ProviderName.TWILIO: self.public_url,  # its token signs the address, too
        }
        return frozenset(name for name in self.complete_providers() if signed[name])

    @property
    def brand(self) -> str:
        """The name that pages and messages go by."""
        if self.provider is ProviderName.VONAGE:
            return self.vonage_brand_name
        return self.twilio_brand_name

    @property
    def origin(self) -> str:
        """Where people open the app."""
        return self.public_url or f"http://localhost:{self.port}"

    @property
    def is_https(self) -> bool:
        """Whether people reach the app by https, so that cookies can insist on it."""
        return self.origin.startswith("https://")

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The pages that may open our socket; a browser sends theirs with the handshake."""
        if self.public_url:
            return (self.public_url,)
        return tuple(f"http://{host}:{self.port}" for host in LOCAL)

    def complete_providers(self) -> tuple[ProviderName, ...]:
        """Those whose credentials are all there."""
        return tuple(
            name for name in (ProviderName.VONAGE, ProviderName.TWILIO) if not self._missing(name)
        )

    def _missing(self, provider: ProviderName) -> list[str]:
        """The credentials that *provider* still needs."""
        if provider is ProviderName.CONSOLE:
            return []
        if provider is ProviderName.TWILIO:
            wanted = ["twilio_account_sid", "twilio_auth_token", "twilio_verify_service_sid"]
        elif self.vonage_application_id or self.vonage_private_key:
            wanted = ["vonage_application_id", "vonage_private_key"]
        else:
            wanted = ["vonage_api_key", "vonage_api_secret"]
        return [name.upper() for name in wanted if getattr(self, name) is None]

    @model_validator(mode="after")
    def _check_provider(self) -> Self:
        complete = self.complete_providers()
        if self.otp_provider is None and len(complete) > 1:
            raise ValueError(
                "OTP_PROVIDER: credentials of both services are set, so say which one sends, "
                "for example OTP_PROVIDER=twilio"
            )
        for name in (self.otp_provider,) if self.otp_provider else self._begun():
            if missing := self._missing(name):
                raise ValueError(
                    f"{', '.join(missing)}: missing, and needed to send by {name.value}. "
                    "Or set OTP_PROVIDER=console to work without an account"
                )
        return self

    def _begun(self) -> list[ProviderName]:
        """Those that somebody started to set credentials of."""
        begun = []
        if any(
            (
                self.vonage_api_key,
                self.vonage_api_secret,
                self.vonage_application_id,
                self.vonage_private_key,
            )
        ):
            begun.append(ProviderName.VONAGE)
        if self.twilio_account_sid or self.twilio_auth_token or self.twilio_verify_service_sid:
            begun.append(ProviderName.TWILIO)
        return begun

    @model_validator(mode="after")
    def _check_webhooks(self) -> Self:
        if self.vonage_signature_secret and not self.vonage_application_id:
            raise ValueError(
                "VONAGE_SIGNATURE_SECRET: Vonage reports deliveries to applications only. "
                "Set VONAGE_APPLICATION_ID and VONAGE_PRIVATE_KEY, or unset it"
            )
        return self

    @model_validator(mode="after")
    def _check_production(self) -> Self:
        if self.app_env is AppEnv.PRODUCTION and (problems := list(self._production_problems())):
            raise ValueError("\n  - ".join(problems))
        return self

    def _production_problems(self) -> list[str]:
        problems = []
        if self.provider is ProviderName.CONSOLE:
            problems.append(
                "OTP_PROVIDER: the console provider shows codes to nobody but the operator, so it "
                "cannot run in production. Set the credentials of vonage or twilio"
            )
        if self.secret_key is None:
            problems.append(
                f"SECRET_KEY: missing. Set {MIN_SECRET} or more random characters, for example "
                "from: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
            )
        if not self.allowed_countries:
            problems.append(
                "ALLOWED_COUNTRIES: missing. Name the countries that codes may go to, for example "
                "US,GB: messages to others are what attackers make you pay for"
            )
        if not self.is_https:
            problems.append(
                "PUBLIC_URL: must be https in production, as https://verify.example.com"
            )
        problems.extend(
            f"{limit.name}: is more than {LOOSEST} times as loose as its default, "
            f"{default.amount} in {default.window}"
            for limit, default in zip(self.limits, POLICY, strict=True)
            if limit.amount / limit.window.total_seconds()
            > LOOSEST * default.amount / default.window.total_seconds()
        )
        problems.extend(
            f"{name.upper()}: must be https in production"
            for name in ("vonage_base_url", "twilio_base_url")
            if not getattr(self, name).startswith("https://")
        )
        return problems


def load_settings(env_file: Path | None = Path(".env")) -> Settings:
    """Read the settings. The environment goes before *env_file*.

    Raises:
        SettingsError: naming each setting that is wrong.
    """
    if env_file is not None:
        load_dotenv(env_file)
    rates = _rates(os.environ)
    try:
        return Settings(limit_rates=rates)
    except ValidationError as exc:
        raise SettingsError(_explain(exc)) from None


def _rates(environment: Mapping[str, str]) -> dict[str, tuple[int, timedelta]]:
    """The limits that are set, in the notation of the library `limits`: `5/15 minutes`."""
    texts = {limit.name: environment.get(limit.name, "") for limit in POLICY}
    return {name: _rate(name, text) for name, text in texts.items() if text}


def _rate(name: str, text: str) -> tuple[int, timedelta]:
    try:
        rates = parse_rates(text)
    except ValueError:
        rates = []
    if len(rates) != 1 or rates[0].amount < 1:
        raise SettingsError(f"{name}: is not a rate, for example 5/15 minutes")
    return rates[0].amount, timedelta(seconds=rates[0].get_expiry())


@cache
def settings_or_exit() -> Settings:
    """The settings of this process; a bad one ends it with its explanation."""
    try:
        return load_settings()
    except SettingsError as exc:
        raise SystemExit(str(exc)) from None


def _explain(exc: ValidationError) -> str:
    """One line for each problem. pydantic's own text holds the values, so none of it is kept."""
    lines = [_explain_one(error["loc"], error["msg"], error["type"]) for error in exc.errors()]
    return "The settings cannot be used:\n" + "\n".join(f"  - {line}" for line in lines)


def _explain_one(loc: tuple[int | str, ...], message: str, type_: str) -> str:
    if not loc:  # our own cross-checks name the setting themselves
        return message.removeprefix("Value error, ")
    field = Settings.model_fields[str(loc[0])]
    why = (
        message.removeprefix("Value error, ")
        if type_ == "value_error"
        else _WHY.get(type_, "cannot be used")
    )
    example = f", for example {field.examples[0]}" if field.examples else ""
    return f"{str(loc[0]).upper()}: {why}{example}"


_WHY = {
    "enum": "is not one of the known names",
    "int_parsing": "is not a whole number",
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "string_pattern_mismatch": "does not have the right form",
    "string_too_short": "is too short",
    "string_too_long": "is too long",
    "too_short": f"is shorter than {MIN_SECRET} characters",
}
