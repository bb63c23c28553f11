"""Settings of the database: address, encryption of numbers and retention."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from otp_app.config.values import NumberKeys, split
from otp_app.verification.sweeper import KEEP

DATABASE_EXAMPLE = "sqlite:///.data/otp_app.db"


class StorageSettings(BaseSettings):
    """The address of the database, the encryption keys, and the days that rows are kept."""

    database_url: SecretStr = Field(SecretStr(DATABASE_EXAMPLE), examples=[DATABASE_EXAMPLE])
    number_keys: NumberKeys = Field(
        SecretStr(""), examples=["a key from the command in .env.example"]
    )
    keep_days: int = Field(KEEP.days, ge=1, le=3650, examples=["30"])

    @property
    def number_key_list(self) -> tuple[str, ...]:
        """The Fernet keys for numbers. The first key encrypts, and every key decrypts.

        Numbers are stored unencrypted if the tuple is empty.
        """
        return split(self.number_keys.get_secret_value())
