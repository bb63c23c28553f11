"""The steps that lead to `tables`, kept with the code that needs them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

if TYPE_CHECKING:
    from sqlalchemy import Connection


def config(connection: Connection) -> Config:
    """What Alembic would read from a file: where the steps are, and whom to apply them to."""
    settings = _places()
    settings.attributes["connection"] = connection
    return settings


def steps() -> ScriptDirectory:
    """All steps that there are."""
    return ScriptDirectory.from_config(_places())


def upgrade(connection: Connection) -> None:
    """Apply every step that is missing, in the transaction of *connection*."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    command.upgrade(config(connection), "head")


def _places() -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings
