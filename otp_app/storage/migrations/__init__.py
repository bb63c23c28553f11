"""The database migrations that lead to `tables`, in the package that needs them."""

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
    """Return Alembic's configuration: the folder of the migrations, and the connection to use."""
    settings = _places()
    settings.attributes["connection"] = connection
    return settings


def steps() -> ScriptDirectory:
    """Return all migrations."""
    return ScriptDirectory.from_config(_places())


def upgrade(connection: Connection) -> None:
    """Apply every missing migration, in the transaction of *connection*."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    command.upgrade(config(connection), "head")


def _places() -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings
