"""What operators watch."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from otp_app.config.values import MIN_SECRET


class OperatorSettings(BaseSettings):
    """Metrics and traces."""

    metrics_token: SecretStr | None = Field(
        None, min_length=MIN_SECRET, examples=["(48 random bytes)"]
    )
    # Read by OpenTelemetry itself; here so that a bad one stops the start.
    otel_exporter_otlp_endpoint: str | None = Field(
        None, pattern=r"^https?://[^\s/]+\S*$", examples=["http://localhost:4318"]
    )
