"""Count limits in one row for each subject, and conversions with them.

0011 has forgotten the uses of limits, so no row is moved.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "limits",
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_limits")),
        sqlite_with_rowid=False,
    )
    op.add_column("verifications", sa.Column("source", sa.LargeBinary(length=16), nullable=True))
    op.add_column("verifications", sa.Column("counted_at", sa.DateTime(timezone=True)))
    op.drop_table("limit_hits")
    op.drop_index("ix_audit_block", table_name="audit")  # conversions do not read the audit


def downgrade() -> None:
    op.create_index("ix_audit_block", "audit", ["block", "at"], unique=False)
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
    op.drop_column("verifications", "counted_at")
    op.drop_column("verifications", "source")
    op.drop_table("limits")
