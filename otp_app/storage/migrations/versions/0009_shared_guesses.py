"""Guesses by reference, and where a message was asked for."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Added columns leave the tables where they are: the triggers of the audit stay.
_COLUMNS: dict[str, list[sa.Column[Any]]] = {
    "verifications": [
        sa.Column("attempts", sa.Integer(), server_default="5", nullable=False),
        sa.Column("guesses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("joined", sa.Boolean(), server_default=sa.false(), nullable=False),
    ],
    "audit": [sa.Column("source", sa.String(64), nullable=True)],
}


def upgrade() -> None:
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.add_column(table, column)


def downgrade() -> None:
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.drop_column(table, column.name)
