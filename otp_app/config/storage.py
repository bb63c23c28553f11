"""What is kept, where, and for how long."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from otp_app.config.values import NumberKeys, split
from otp_app.verification.sweeper import KEEP

DATABASE_EXAMPLE = "sqlite:///.data/otp_app.db"


class StorageSettings(BaseSettings):
    """The database, and the numbers in it."""

    database_url: SecretStr = Field(SecretStr(DATABASE_EXAMPLE), examples=[DATABASE_EXAMPLE])
    number_keys: NumberKeys = Field(
        SecretStr(""), examples=["a key from the command in .env.example"]
    )
    keep_days: int = Field(KEEP.days, ge=1, le=3650, examples=["30"])

    @property
    def number_key_list(self) -> tuple[str, ...]:
        """The first seals numbers, all open them; none, if they stand in the clear."""
        return split(self.number_keys.get_secret_value())
