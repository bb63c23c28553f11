"""The script that Alembic runs for every command, on the connection in its configuration."""

from typing import Literal

from alembic import context
from sqlalchemy.types import TypeDecorator

from otp_app.storage.tables import metadata


def _plain_types(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Render SQLAlchemy's types in a new migration, so that later changes of ours do not affect it.

    Alembic calls this for each *item* and uses its default if the result is False.
    """
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl!r}"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_server_default=True,
    render_item=_plain_types,
    render_as_batch=True,  # copies a table to change it, because SQLite supports little ALTER
    transactional_ddl=True,  # on SQLite too, because `migrate` begins the transaction itself
)
with context.begin_transaction():
    context.run_migrations()
