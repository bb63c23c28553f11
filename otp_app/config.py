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
from typing import Annotated, Self
from urllib.parse import urlsplit

from dotenv import load_dotenv
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from otp_app.config_values import (
    MIN_SECRET,
    ApiKeys,
    Channels,
    NumberKeys,
    Origin,
    Origins,
    WebhookSecrets,
    WebhookUrl,
    explained,
    is_open_to_others,
    listed,
    rates,
    sid,
    split,
)
from otp_app.verification.limits import POLICY, Limit, adjusted
from otp_app.verification.looking import Concern
from otp_app.verification.models import Channel
from otp_app.verification.sessions import SessionPolicy
from otp_app.verification.sweeper import KEEP

LOCAL = ("localhost", "127.0.0.1", "0.0.0.0")  # noqa: S104 - Reflex prints the last at its start
DEVELOPMENT_SLACK = 20  # times: one developer is all the traffic there is, and tries all day
LOOSEST = 10  # in production, how many times a limit may be looser than its default

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


class LookName(StrEnum):
    """Who is asked about a number before its first code."""

    OFF = "off"
    TWILIO = "twilio"
    VONAGE = "vonage"


class Reaction(StrEnum):
    """What to do about a finding."""

    BLOCK = "block"
    WARN = "warn"  # in the log
    IGNORE = "ignore"  # do not even ask


class Settings(BaseSettings):
    """What an operator decides. Names are the environment's, in lower case."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    app_env: AppEnv = Field(AppEnv.DEVELOPMENT, examples=["production"])
    port: int = Field(3000, ge=1, le=65535, examples=["3000"])
    public_url: Origin | None = Field(None, examples=["https://verify.example.com"])
    allowed_origins: Origins = Field("", examples=["https://shop.example.com,https://example.com"])
    api_keys: ApiKeys = Field("", examples=["(from: python -m otp_app key NAME)"])
    api_public: bool | None = Field(None, examples=["false"])
    trusted_proxy_hops: int = Field(0, ge=0, le=10, examples=["1"])
    sockets_per_address: int = Field(20, ge=1, le=1_000_000, examples=["20"])
    secret_key: SecretStr | None = Field(
        None, min_length=MIN_SECRET, examples=["(48 random bytes)"]
    )
    database_url: SecretStr = Field(SecretStr(DATABASE_EXAMPLE), examples=[DATABASE_EXAMPLE])
    number_keys: NumberKeys = Field(
        SecretStr(""), examples=["a key from the command in .env.example"]
    )
    keep_days: int = Field(KEEP.days, ge=1, le=3650, examples=["30"])
    default_country: str = Field("US", pattern="^[A-Z]{2}$", examples=["GB"])
    allowed_countries: str = Field(
        "", pattern=r"^[A-Z]{2}(\s*,\s*[A-Z]{2})*$|^$", examples=["US,GB"]
    )
    session_idle_minutes: int = Field(60, ge=1, le=60 * 24, examples=["60"])
    session_hours: int = Field(24, ge=1, le=24 * 30, examples=["24"])
    events_url: WebhookUrl | None = Field(
        None, repr=False, examples=["https://backend.example.com/events"]
    )
    events_secrets: WebhookSecrets = Field(
        SecretStr(""), examples=["a secret from the command in .env.example"]
    )
    otp_locale: str = Field("en-US", pattern="^[a-z]{2}(-[A-Z]{2})?$", examples=["en-GB"])

    otp_provider: ProviderName | None = Field(None, examples=["twilio"])
    # No e-mail: who reads a mailbox does not hold the phone number that an approval is about, and
    # NIST SP 800-63B-4 section 3.1.3 does not take e-mail for a channel.
    channels: Channels = Field("sms,voice", examples=["sms,voice,whatsapp"])

    vonage_api_key: str | None = Field(None, pattern="^[0-9a-zA-Z]+$", examples=["abcd1234"])
    vonage_api_secret: SecretStr | None = Field(None, examples=["(from the dashboard)"])
    vonage_application_id: str | None = Field(
        None, pattern="^[0-9a-fA-F-]{36}$", examples=["00000000-0000-4000-8000-000000000000"]
    )
    vonage_private_key: SecretStr | None = Field(None, examples=["/run/secrets/vonage.key"])
    vonage_brand_name: str = Field(
        "MyApp", min_length=1, max_length=16, pattern=r"^[^/{}:$\r\n]*$", examples=["MyApp"]
    )
    # The number alone, as Vonage wants it.
    vonage_whatsapp_from: str | None = Field(
        None, pattern="^[1-9][0-9]{6,14}$", examples=["447700900000"]
    )
    vonage_template_id: str | None = Field(
        None, pattern="^[0-9a-fA-F-]{36}$", examples=["00000000-0000-4000-8000-000000000000"]
    )
    vonage_signature_secret: SecretStr | None = Field(
        None, min_length=MIN_SECRET, examples=["(from the dashboard)"]
    )
    vonage_base_url: Origin = Field("https://api.nexmo.com", examples=["https://api.nexmo.com"])

    twilio_account_sid: Annotated[str, sid("AC")] | None = Field(
        None, examples=["AC and 32 hexadecimal digits"]
    )
    twilio_auth_token: SecretStr | None = Field(None, examples=["(from the console)"])
    twilio_verify_service_sid: Annotated[str, sid("VA")] | None = Field(
        None, examples=["VA and 32 hexadecimal digits"]
    )
    twilio_brand_name: str = Field("MyApp", min_length=1, max_length=30, examples=["MyApp"])
    twilio_template_sid: Annotated[str, sid("HJ")] | None = Field(
        None, examples=["HJ and 32 hexadecimal digits"]
    )
    twilio_event_streams: bool = Field(False, examples=["true"])  # noqa: FBT003
    twilio_base_url: Origin = Field(
        "https://verify.twilio.com", examples=["https://verify.twilio.com"]
    )

    metrics_token: SecretStr | None = Field(
        None, min_length=MIN_SECRET, examples=["(48 random bytes)"]
    )
    # Read by OpenTelemetry itself; here so that a bad one stops the start.
    otel_exporter_otlp_endpoint: str | None = Field(
        None, pattern=r"^https?://[^\s/]+\S*$", examples=["http://localhost:4318"]
    )

    look: LookName = Field(LookName.OFF, examples=["twilio"])
    # Seconds. No longer than a send may take, which the person waits for after it.
    look_timeout: float = Field(2.0, ge=0.1, le=5.0, examples=["2.0"])
    look_sim_swap: Reaction = Field(Reaction.BLOCK, examples=["warn"])
    # Hours. The bounds are those of Vonage's `period`. Twilio looks back as far as was agreed with
    # it, where the carrier tells no date. https://developer.vonage.com/en/api/identity-insights
    look_sim_swap_hours: int = Field(72, ge=1, le=2400, examples=["72"])
    look_voip: Reaction = Field(Reaction.WARN, examples=["block"])
    look_pumping: Reaction = Field(Reaction.WARN, examples=["block"])
    twilio_lookups_base_url: Origin = Field(
        "https://lookups.twilio.com", examples=["https://lookups.twilio.com"]
    )
    vonage_insights_base_url: Origin = Field(
        "https://api-eu.vonage.com", examples=["https://api-us.vonage.com"]
    )

    limit_rates: Annotated[dict[str, tuple[int, timedelta]], NoDecode] = Field(default_factory=dict)
    """Other rates for rows of `POLICY`, each set by its own name; nobody can set `LIMIT_RATES`."""

    @property
    def countries(self) -> frozenset[str]:
        """Where codes may go; everywhere, if there is none."""
        return frozenset(re.findall("[A-Z]{2}", self.allowed_countries))

    @property
    def channel_list(self) -> tuple[Channel, ...]:
        """How codes may travel, in the order in which they are offered."""
        return tuple(map(Channel, split(self.channels)))

    @property
    def number_key_list(self) -> tuple[str, ...]:
        """The first seals numbers, all open them; none, if they stand in the clear."""
        return split(self.number_keys.get_secret_value())

    @property
    def events_secret_list(self) -> tuple[str, ...]:
        """All sign the events."""
        return split(self.events_secrets.get_secret_value())

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
        """Those who report deliveries, and whose reports can be told from forged ones."""
        signed = {
            ProviderName.VONAGE: self.vonage_signature_secret,
            ProviderName.TWILIO: self.twilio_event_streams,
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
    def domain(self) -> str:
        """Whose pages may fill in our codes by themselves."""
        return urlsplit(self.origin).hostname or ""

    @property
    def is_https(self) -> bool:
        """Whether people reach the app by https, so that cookies can insist on it."""
        return self.origin.startswith("https://")

    @property
    def own_origins(self) -> tuple[str, ...]:
        """The pages that may open our socket; a browser sends theirs with the handshake."""
        if self.public_url:
            return (self.public_url,)
        return tuple(f"http://{host}:{self.port}" for host in LOCAL)

    @property
    def has_simulated_phone(self) -> bool:
        """Whether `/phone` is there: only where codes go nowhere and nobody else comes."""
        is_local = self.domain in LOCAL
        is_console = self.provider is ProviderName.CONSOLE
        return is_console and is_local and self.app_env is AppEnv.DEVELOPMENT

    def concerns(self, *reactions: Reaction) -> frozenset[Concern]:
        """What a look is for, as far as one of *reactions* is set for it."""
        chosen = {
            Concern.SIM_SWAP: self.look_sim_swap,
            Concern.VOIP: self.look_voip,
            Concern.PUMPING: self.look_pumping,
        }
        if self.look is LookName.VONAGE:
            del chosen[Concern.PUMPING]  # it has no such insight
        return frozenset(concern for concern, reaction in chosen.items() if reaction in reactions)

    @property
    def api_origins(self) -> tuple[str, ...]:
        """The pages that may call the API: ours, and those of ALLOWED_ORIGINS."""
        return (*self.own_origins, *split(self.allowed_origins))

    @property
    def api_key_hashes(self) -> dict[str, str]:
        """The SHA-256 of each API key in hexadecimal, by the key's name."""
        return dict(key.split(":") for key in split(self.api_keys))

    @property
    def is_api_public(self) -> bool:
        """Whether who has neither a key, nor our cookie, nor an allowed page may call the API."""
        if self.api_public is None:
            return self.app_env is not AppEnv.PRODUCTION
        return self.api_public

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

    @model_validator(mode="after")
    def _check_channels(self) -> Self:
        by_vonage = self.provider is ProviderName.VONAGE
        if by_vonage and Channel.WHATSAPP in self.channel_list and not self.vonage_whatsapp_from:
            raise ValueError(
                "VONAGE_WHATSAPP_FROM: missing, and needed by CHANNELS=whatsapp. Set your WhatsApp "
                "Business number, for example 447700900000, or take whatsapp out of CHANNELS"
            )
        return self

    @model_validator(mode="after")
    def _check_look(self) -> Self:
        if self.look is LookName.OFF:
            return self
        if missing := [name.upper() for name in _LOOK_NEEDS[self.look] if not getattr(self, name)]:
            raise ValueError(
                f"{', '.join(missing)}: missing, and needed by LOOK={self.look.value}. "
                "Or set LOOK=off to send without a look at the number"
            )
        if self.look is LookName.VONAGE and "look_pumping" in self.model_fields_set:
            raise ValueError("LOOK_PUMPING: Vonage cannot tell it. Unset it, or set LOOK=twilio")
        if not self.concerns(Reaction.BLOCK, Reaction.WARN):
            raise ValueError(
                f"LOOK: {self.look.value} is set and all it could find is ignored. Set "
                "LOOK_SIM_SWAP or LOOK_VOIP to block or warn, or LOOK=off"
            )
        return self

    @model_validator(mode="after")
    def _check_events(self) -> Self:
        if self.events_url and not self.events_secret_list:
            raise ValueError(
                "EVENTS_SECRETS: missing, and needed by EVENTS_URL to sign with. .env.example has "
                "the command that makes one"
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
        if self.twilio_event_streams and not self.public_url:
            raise ValueError(
                "TWILIO_EVENT_STREAMS: Twilio signs the address that it posts to. Set PUBLIC_URL, "
                "for example PUBLIC_URL=https://verify.example.com"
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
        if any(not origin.startswith("https://") for origin in split(self.allowed_origins)):
            problems.append("ALLOWED_ORIGINS: must be https in production")
        problems.extend(
            f"{limit.name}: is more than {LOOSEST} times as loose as its default, "
            f"{default.amount} in {default.window}"
            for limit, default in zip(self.limits, POLICY, strict=True)
            if limit.amount / limit.window.total_seconds()
            > LOOSEST * default.amount / default.window.total_seconds()
        )
        problems.extend(
            f"{name.upper()}: must be https in production"
            for name in _SERVICES
            if (url := getattr(self, name)) and not url.startswith("https://")
        )
        return problems


def load_settings(env_file: Path | None = Path(".env")) -> Settings:
    """Read the settings. The environment goes before *env_file*.

    Raises:
        SettingsError: naming each setting that is wrong.
    """
    was_read = env_file is not None and load_dotenv(env_file)
    try:
        settings = Settings(limit_rates=rates(os.environ))
    except ValidationError as exc:
        raise SettingsError(explained(exc, Settings.model_fields)) from None
    except ValueError as exc:
        raise SettingsError(listed([str(exc)])) from None
    if env_file and was_read and settings.app_env is AppEnv.PRODUCTION:
        _require_private(env_file)
    return settings


def _require_private(env_file: Path) -> None:
    if is_open_to_others(env_file):
        problem = f"{env_file}: can be read or changed by others. chmod o-rwx {env_file}"
        raise SettingsError(listed([problem]))


@cache
def settings_or_exit() -> Settings:
    """The settings of this process; a bad one ends it with its explanation."""
    try:
        return load_settings()
    except SettingsError as exc:
        raise SystemExit(str(exc)) from None


_SERVICES = (
    "vonage_base_url",
    "twilio_base_url",
    "twilio_lookups_base_url",
    "vonage_insights_base_url",
    "events_url",
)

_LOOK_NEEDS = {
    LookName.TWILIO: ("twilio_account_sid", "twilio_auth_token"),
    LookName.VONAGE: ("vonage_application_id", "vonage_private_key"),  # no key and secret there
}
