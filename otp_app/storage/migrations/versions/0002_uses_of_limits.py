"""uses of limits."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "limit_hits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("ends", sa.Float(), nullable=False),
        sa.Column("batch", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_limit_hits")),
    )
    with op.batch_alter_table("limit_hits", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_limit_hits_ends"), ["ends"], unique=False)
        batch_op.create_index(batch_op.f("ix_limit_hits_batch"), ["batch"], unique=False)
        batch_op.create_index("ix_limit_hits_key", ["key", "at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("limit_hits", schema=None) as batch_op:
        batch_op.drop_index("ix_limit_hits_key")
        batch_op.drop_index(batch_op.f("ix_limit_hits_batch"))
        batch_op.drop_index(batch_op.f("ix_limit_hits_ends"))

    op.drop_table("limit_hits")
