"""Settings: read once from the environment and `.env`, and validated together.

An invalid setting stops the start of the app. The message has the name of the setting, the problem
and an example, never the value. Each topic has its own module in this package. To add a topic, add
a base class to `Settings`.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Self

from dotenv import load_dotenv
from pydantic import ValidationError, model_validator
from pydantic_settings import SettingsConfigDict

from otp_app.config import production
from otp_app.config.events import EventSettings
from otp_app.config.limits import LimitSettings
from otp_app.config.look import LookName, LookSettings, Reaction
from otp_app.config.operators import OperatorSettings
from otp_app.config.providers import ProviderName
from otp_app.config.site import LOCAL, AppEnv
from otp_app.config.storage import DATABASE_EXAMPLE, StorageSettings
from otp_app.config.values import explained, is_open_to_others, listed, rates
from otp_app.theme.settings import ThemeSettings

__all__ = [
    "DATABASE_EXAMPLE",
    "LOCAL",
    "AppEnv",
    "LookName",
    "ProviderName",
    "Reaction",
    "Settings",
    "SettingsError",
    "load_settings",
    "settings_or_exit",
]


class SettingsError(Exception):
    """Invalid settings. The text of the exception is for the operator and holds no value."""


class Settings(
    LookSettings,
    LimitSettings,
    StorageSettings,
    EventSettings,
    OperatorSettings,
    ThemeSettings,
):
    """All settings. Each field has the name of its environment variable, in lower case."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    @property
    def brand(self) -> str:
        """The brand name on the pages."""
        return self.brand_name or self.sender

    @model_validator(mode="after")
    def _check_production(self) -> Self:
        if self.app_env is AppEnv.PRODUCTION and (found := production.problems(self)):
            raise ValueError("\n  - ".join(found))
        return self


def load_settings(env_file: Path | None = Path(".env")) -> Settings:
    """Read the settings. The environment takes precedence over *env_file*.

    Raises:
        SettingsError: a setting is invalid. The text names each invalid setting.
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
    """Return the settings of this process, or exit with the explanation of invalid ones."""
    try:
        return load_settings()
    except SettingsError as exc:
        raise SystemExit(str(exc)) from None
