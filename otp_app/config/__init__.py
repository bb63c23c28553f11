"""Settings: read once from the environment and `.env`, and validated together.

An invalid setting stops the start of the app. The message has the name of the setting, the problem
and an example, never the value. Each topic has its own module in this package. To add a topic, add
a base class to `Settings`.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from dotenv import load_dotenv
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from otp_app.config.providers import (
    NumberLookupName,
    NumberLookupSettings,
    ProviderName,
    RiskReaction,
)
from otp_app.config.site import LOCAL, AppEnv, LimitSettings
from otp_app.config.values import (
    MIN_SECRET,
    EncryptionKeys,
    WebhookSecrets,
    WebhookUrl,
    error_list,
    explain_errors,
    is_open_to_others,
    parse_limit_rates,
    split,
)
from otp_app.theme import ThemeSettings
from otp_app.verification.background import RETENTION
from otp_app.verification.limits import POLICY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otp_app.verification.limits import Limit

LOOSEST = 10  # the highest factor between the rate of a limit and its default

_SERVICES = (
    "vonage_base_url",
    "twilio_base_url",
    "twilio_lookups_base_url",
    "vonage_insights_base_url",
    "webhook_url",
)


def problems(settings: Settings) -> list[str]:
    """Return one line for each setting that is missing, insecure or too loose for production."""
    return [*_missing(settings), *_not_https(settings), *_too_loose(settings)]


def _missing(settings: Settings) -> Iterator[str]:
    if settings.provider is ProviderName.CONSOLE:
        yield (
            "OTP_PROVIDER: the console provider shows codes to the operator only, so it cannot run "
            "in production. Set the credentials of vonage or twilio"
        )
    if settings.secret_key is None:
        yield (
            f"SECRET_KEY: missing. Set {MIN_SECRET} or more random characters, for example "
            "from: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    if not settings.allowed_countries:
        yield (
            "ALLOWED_COUNTRIES: missing. Name the countries that codes may go to, for example "
            "US,GB: attackers make you pay for messages to all others"
        )


def _not_https(settings: Settings) -> Iterator[str]:
    if not settings.is_https:
        yield "PUBLIC_URL: must be https in production, as https://verify.example.com"
    if any(not origin.startswith("https://") for origin in split(settings.allowed_origins)):
        yield "ALLOWED_ORIGINS: must be https in production"
    for name in _SERVICES:
        if (url := getattr(settings, name)) and not url.startswith("https://"):
            yield f"{name.upper()}: must be https in production"


def _too_loose(settings: Settings) -> Iterator[str]:
    for limit, default in zip(settings.limits, POLICY, strict=True):
        if _rate(limit) > LOOSEST * _rate(default):
            yield (
                f"{limit.name}: is more than {LOOSEST} times as loose as its default, "
                f"{default.amount} in {default.window}"
            )


def _rate(limit: Limit) -> float:
    """Return the rate of *limit* in uses per second."""
    return limit.amount / limit.window.total_seconds()


class WebhookSettings(BaseSettings):
    """The backend's webhook endpoint, and the secrets that sign the events."""

    webhook_url: WebhookUrl | None = Field(
        None, repr=False, examples=["https://backend.example.com/events"]
    )
    webhook_secrets: WebhookSecrets = Field(
        SecretStr(""), examples=["a secret from the command in .env.example"]
    )

    @property
    def webhook_secret_list(self) -> tuple[str, ...]:
        """The signing secrets. Every event is signed with each of them."""
        return split(self.webhook_secrets.get_secret_value())

    @model_validator(mode="after")
    def _check_events(self) -> Self:
        if self.webhook_url and not self.webhook_secret_list:
            raise ValueError(
                "WEBHOOK_SECRETS: missing, and needed by WEBHOOK_URL to sign with. .env.example "
                "has "
                "the command that makes one"
            )
        return self


class MonitoringSettings(BaseSettings):
    """The token for `/metrics`, and the endpoint that traces are exported to."""

    metrics_token: SecretStr | None = Field(
        None, min_length=MIN_SECRET, examples=["(48 random bytes)"]
    )
    # OpenTelemetry reads this setting itself. The field exists so that an invalid value stops the
    # start of the app.
    otel_exporter_otlp_endpoint: str | None = Field(
        None, pattern=r"^https?://[^\s/]+\S*$", examples=["http://localhost:4318"]
    )


DATABASE_EXAMPLE = "sqlite:///.data/otp_app.db"


class StorageSettings(BaseSettings):
    """The database and its durability, the keys and lifetime of rows, and the number of workers."""

    database_url: SecretStr = Field(SecretStr(DATABASE_EXAMPLE), examples=[DATABASE_EXAMPLE])
    sqlite_synchronous: Literal["FULL", "NORMAL"] | None = Field(None, examples=["NORMAL"])
    phone_encryption_keys: EncryptionKeys = Field(
        SecretStr(""), examples=["a key from the command in .env.example"]
    )
    retention_days: int = Field(RETENTION.days, ge=1, le=3650, examples=["30"])
    redis_url: SecretStr | None = Field(None, examples=["redis://127.0.0.1:6379/0"])
    workers: int = Field(1, ge=1, le=64, examples=["2"])

    @property
    def phone_encryption_key_list(self) -> tuple[str, ...]:
        """The Fernet keys for numbers. The first key encrypts, and every key decrypts.

        Numbers are stored unencrypted if the tuple is empty.
        """
        return split(self.phone_encryption_keys.get_secret_value())

    @field_validator("redis_url")
    @classmethod
    def _check_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must be redis://, rediss:// or unix://")
        return value

    @model_validator(mode="after")
    def _check_workers(self) -> Self:
        if self.workers > 1 and self.redis_url is None:
            raise ValueError(
                "WORKERS: more than one needs REDIS_URL, because each worker would know its own "
                "pages only"
            )
        return self


__all__ = [
    "DATABASE_EXAMPLE",
    "LOCAL",
    "AppEnv",
    "NumberLookupName",
    "ProviderName",
    "RiskReaction",
    "Settings",
    "SettingsError",
    "load_settings",
    "settings_or_exit",
]


class SettingsError(Exception):
    """Invalid settings. The text of the exception is for the operator and holds no value."""


class Settings(
    NumberLookupSettings,
    LimitSettings,
    StorageSettings,
    WebhookSettings,
    MonitoringSettings,
    ThemeSettings,
):
    """All settings. Each field has the name of its environment variable, in lower case."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    @property
    def synchronous(self) -> str:
        """SQLite's setting `synchronous`: in production, FULL unless it is set."""
        is_production = self.app_env is AppEnv.PRODUCTION
        return self.sqlite_synchronous or ("FULL" if is_production else "NORMAL")

    @property
    def brand(self) -> str:
        """The brand name on the pages."""
        return self.brand_name or self.sender

    @model_validator(mode="after")
    def _check_production(self) -> Self:
        if self.app_env is AppEnv.PRODUCTION and (found := problems(self)):
            raise ValueError("\n  - ".join(found))
        return self


def load_settings(env_file: Path | None = Path(".env")) -> Settings:
    """Read the settings. The environment takes precedence over *env_file*.

    Raises:
        SettingsError: a setting is invalid. The text names each invalid setting.
    """
    was_read = env_file is not None and load_dotenv(env_file)
    try:
        settings = Settings(limit_rates=parse_limit_rates(os.environ))
    except ValidationError as exc:
        raise SettingsError(explain_errors(exc, Settings.model_fields)) from None
    except ValueError as exc:
        raise SettingsError(error_list([str(exc)])) from None
    if env_file and was_read and settings.app_env is AppEnv.PRODUCTION:
        _require_private(env_file)
    return settings


def _require_private(env_file: Path) -> None:
    if is_open_to_others(env_file):
        problem = f"{env_file}: can be read or changed by others. chmod o-rwx {env_file}"
        raise SettingsError(error_list([problem]))


@cache
def settings_or_exit() -> Settings:
    """Return the settings of this process, or exit with the explanation of invalid ones."""
    try:
        return load_settings()
    except SettingsError as exc:
        raise SystemExit(str(exc)) from None
