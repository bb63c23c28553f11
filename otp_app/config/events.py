"""Settings of the webhooks that report the results of verifications to a backend."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from otp_app.config.values import WebhookSecrets, WebhookUrl, split


class EventSettings(BaseSettings):
    """The backend's webhook endpoint, and the secrets that sign the events."""

    events_url: WebhookUrl | None = Field(
        None, repr=False, examples=["https://backend.example.com/events"]
    )
    events_secrets: WebhookSecrets = Field(
        SecretStr(""), examples=["a secret from the command in .env.example"]
    )

    @property
    def events_secret_list(self) -> tuple[str, ...]:
        """The signing secrets. Every event is signed with each of them."""
        return split(self.events_secrets.get_secret_value())

    @model_validator(mode="after")
    def _check_events(self) -> Self:
        if self.events_url and not self.events_secret_list:
            raise ValueError(
                "EVENTS_SECRETS: missing, and needed by EVENTS_URL to sign with. .env.example has "
                "the command that makes one"
            )
        return self
