"""Run by Alembic for every command, on the connection it was given."""

from typing import Literal

from alembic import context
from sqlalchemy.types import TypeDecorator

from otp_app.storage.tables import metadata


def _plain_types(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write a new step in SQLAlchemy's own types: it must not change when ours do."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl!r}"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_server_default=True,
    render_item=_plain_types,
    render_as_batch=True,  # SQLite can alter little: a changed table is copied
    transactional_ddl=True,  # on SQLite too: `migrate` begins the transaction itself
)
with context.begin_transaction():
    context.run_migrations()
