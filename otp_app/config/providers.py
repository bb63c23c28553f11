"""The accounts at the vendors: who sends codes, and who is asked about a number before."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from otp_app.config.site import LOCAL, AppEnv, SiteSettings
from otp_app.config.values import MIN_SECRET, Channels, Origin, sid, split
from otp_app.verification.models import Channel
from otp_app.verification.risk import RiskSignal


class ProviderName(StrEnum):
    """The providers that can send codes."""

    CONSOLE = "console"
    VONAGE = "vonage"
    TWILIO = "twilio"


class ProviderSettings(SiteSettings):
    """The credentials and options of all providers, and the choice of the one that sends."""

    otp_provider: ProviderName | None = Field(None, examples=["twilio"])
    # There is no e-mail: access to a mailbox does not prove that a person holds a phone number, and
    # NIST SP 800-63B-4 section 3.1.3 does not allow e-mail as a channel.
    channels: Channels = Field("sms,voice", examples=["sms,voice,whatsapp"])
    otp_locale: str = Field("en-US", pattern="^[a-z]{2}(-[A-Z]{2})?$", examples=["en-GB"])

    vonage_api_key: str | None = Field(None, pattern="^[0-9a-zA-Z]+$", examples=["abcd1234"])
    vonage_api_secret: SecretStr | None = Field(None, examples=["(from the dashboard)"])
    vonage_application_id: str | None = Field(
        None, pattern="^[0-9a-fA-F-]{36}$", examples=["00000000-0000-4000-8000-000000000000"]
    )
    vonage_private_key: SecretStr | None = Field(None, examples=["/run/secrets/vonage.key"])
    vonage_brand_name: str = Field(
        "MyApp", min_length=1, max_length=16, pattern=r"^[^/{}:$\r\n]*$", examples=["MyApp"]
    )
    # Digits only, without a plus sign: the format that Vonage requires.
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

    @property
    def channel_list(self) -> tuple[Channel, ...]:
        """The channels for codes, in the order in which the pages offer them."""
        return tuple(map(Channel, split(self.channels)))

    @property
    def provider(self) -> ProviderName:
        """The provider that sends: OTP_PROVIDER, else the one with credentials, else console."""
        if self.otp_provider:
            return self.otp_provider
        return next(iter(self.complete_providers()), ProviderName.CONSOLE)

    @property
    def reporters(self) -> frozenset[ProviderName]:
        """The providers whose delivery reports the app accepts, because their signature is checked.

        Vonage needs VONAGE_SIGNATURE_SECRET, Twilio needs TWILIO_EVENT_STREAMS.
        """
        signed = {
            ProviderName.VONAGE: self.vonage_signature_secret,
            ProviderName.TWILIO: self.twilio_event_streams,
        }
        return frozenset(name for name in self.complete_providers() if signed[name])

    @property
    def sender(self) -> str:
        """The brand name in the provider's messages."""
        if self.provider is ProviderName.VONAGE:
            return self.vonage_brand_name
        return self.twilio_brand_name

    @property
    def has_simulated_phone(self) -> bool:
        """Whether the app serves `/phone`.

        The page shows codes, so it exists only in development, with the console provider and on
        this machine's own address.
        """
        is_local = self.domain in LOCAL
        is_console = self.provider is ProviderName.CONSOLE
        return is_console and is_local and self.app_env is AppEnv.DEVELOPMENT

    def complete_providers(self) -> tuple[ProviderName, ...]:
        """Return the providers whose credentials are complete, Vonage before Twilio."""
        return tuple(
            name for name in (ProviderName.VONAGE, ProviderName.TWILIO) if not self._missing(name)
        )

    def _missing(self, provider: ProviderName) -> list[str]:
        """Return the names of the settings that *provider* needs and that are not set."""
        if provider is ProviderName.CONSOLE:
            return []
        if provider is ProviderName.TWILIO:
            wanted = ["twilio_account_sid", "twilio_auth_token", "twilio_verify_service_sid"]
        elif self.vonage_application_id or self.vonage_private_key:
            wanted = ["vonage_application_id", "vonage_private_key"]
        else:
            wanted = ["vonage_api_key", "vonage_api_secret"]
        return [name.upper() for name in wanted if getattr(self, name) is None]

    def _begun(self) -> list[ProviderName]:
        """Return the providers for which at least one credential is set."""
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
    def _check_provider(self) -> Self:
        complete = self.complete_providers()
        if self.otp_provider is None and len(complete) > 1:
            raise ValueError(
                "OTP_PROVIDER: credentials of both services are set. Choose the one that sends, "
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


class NumberLookupName(StrEnum):
    """The service of the number lookup."""

    OFF = "off"
    TWILIO = "twilio"
    VONAGE = "vonage"


class RiskReaction(StrEnum):
    """The reaction to a risk that the number lookup finds."""

    BLOCK = "block"  # send no code
    WARN = "warn"  # log the risk and send the code
    IGNORE = "ignore"  # leave the risk out of the lookup


_NEEDS = {
    NumberLookupName.TWILIO: ("twilio_account_sid", "twilio_auth_token"),
    NumberLookupName.VONAGE: ("vonage_application_id", "vonage_private_key"),  # takes no API key
}


class NumberLookupSettings(ProviderSettings):
    """The service of the number lookup and the reaction to each risk.

    The lookup uses the same credentials as the provider of that name.
    """

    number_lookup: NumberLookupName = Field(NumberLookupName.OFF, examples=["twilio"])
    # Seconds. The person waits for the lookup and then for the send, so the lookup may take no
    # longer than a send.
    number_lookup_timeout: float = Field(2.0, ge=0.1, le=5.0, examples=["2.0"])
    number_lookup_sim_swap: RiskReaction = Field(RiskReaction.BLOCK, examples=["warn"])
    # Hours. The bounds are those of Vonage's `period`. Where the carrier reports no date, Twilio
    # uses the period in your agreement with Twilio instead.
    # https://developer.vonage.com/en/api/identity-insights
    number_lookup_sim_swap_hours: int = Field(72, ge=1, le=2400, examples=["72"])
    number_lookup_voip: RiskReaction = Field(RiskReaction.WARN, examples=["block"])
    number_lookup_pumping: RiskReaction = Field(RiskReaction.WARN, examples=["block"])
    twilio_lookups_base_url: Origin = Field(
        "https://lookups.twilio.com", examples=["https://lookups.twilio.com"]
    )
    vonage_insights_base_url: Origin = Field(
        "https://api-eu.vonage.com", examples=["https://api-us.vonage.com"]
    )

    def signals(self, *reactions: RiskReaction) -> frozenset[RiskSignal]:
        """Return the risks whose reaction is one of *reactions* and that the service can find."""
        chosen = {
            RiskSignal.SIM_SWAP: self.number_lookup_sim_swap,
            RiskSignal.VOIP: self.number_lookup_voip,
            RiskSignal.PUMPING: self.number_lookup_pumping,
        }
        if self.number_lookup is NumberLookupName.VONAGE:
            del chosen[RiskSignal.PUMPING]  # Vonage has no insight about pumping
        return frozenset(concern for concern, reaction in chosen.items() if reaction in reactions)

    @model_validator(mode="after")
    def _check_number_lookup(self) -> Self:
        """Require the settings of the chosen number lookup, and a use of its results."""
        if self.number_lookup is NumberLookupName.OFF:
            return self
        if missing := [
            name.upper() for name in _NEEDS[self.number_lookup] if not getattr(self, name)
        ]:
            raise ValueError(
                f"{', '.join(missing)}: missing, and needed by "
                f"NUMBER_LOOKUP={self.number_lookup.value}. "
                "Or set NUMBER_LOOKUP=off to send without a lookup"
            )
        if (
            self.number_lookup is NumberLookupName.VONAGE
            and "number_lookup_pumping" in self.model_fields_set
        ):
            raise ValueError(
                "NUMBER_LOOKUP_PUMPING: Vonage does not report it. Unset it, or set "
                "NUMBER_LOOKUP=twilio"
            )
        if not self.signals(RiskReaction.BLOCK, RiskReaction.WARN):
            raise ValueError(
                f"NUMBER_LOOKUP: {self.number_lookup.value} is set, and all its results are "
                "ignored. Set NUMBER_LOOKUP_SIM_SWAP or NUMBER_LOOKUP_VOIP to block or warn, or "
                "NUMBER_LOOKUP=off"
            )
        return self
