"""The database migrations that lead to `tables`, in the package that needs them.

Alembic is imported only if a migration is due: its import takes a tenth of a second of each start.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import column, inspect, select, table

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

_TABLE = "alembic_version"
_FOLDER = Path(__file__).parent


def config(connection: Connection) -> Config:
    """Return Alembic's configuration: the folder of the migrations, and the connection to use."""
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    return settings


def revisions() -> list[str]:
    """Return all revisions, the newest first. The file of each begins with it."""
    files = (_FOLDER / "versions").glob("[0-9]*.py")
    return sorted((file.name.partition("_")[0] for file in files), reverse=True)


def current(connection: Connection) -> str | None:
    """Return the revision of the database, or None if no migration was applied."""
    if not inspect(connection).has_table(_TABLE):
        return None
    revision: str | None = connection.scalar(
        select(column("version_num")).select_from(table(_TABLE))
    )
    return revision


def upgrade(connection: Connection) -> None:
    """Apply every missing migration, in the transaction of *connection*."""
    if current(connection) == revisions()[0]:
        return
    from alembic import command

    logging.getLogger("alembic").setLevel(logging.WARNING)
    command.upgrade(config(connection), "head")
