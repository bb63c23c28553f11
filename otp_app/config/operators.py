"""Settings of monitoring."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from otp_app.config.values import MIN_SECRET


class OperatorSettings(BaseSettings):
    """The token for `/metrics`, and the endpoint that traces are exported to."""

    metrics_token: SecretStr | None = Field(
        None, min_length=MIN_SECRET, examples=["(48 random bytes)"]
    )
    # OpenTelemetry reads this setting itself. The field exists so that an invalid value stops the
    # start of the app.
    otel_exporter_otlp_endpoint: str | None = Field(
        None, pattern=r"^https?://[^\s/]+\S*$", examples=["http://localhost:4318"]
    )
