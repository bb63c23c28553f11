"""The events that a team's backend is told, and those that it never took."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("verification", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(length=64), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["verification"],
            ["verifications.id"],
            name="fk_events_verification",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("verification", name="pk_events"),
    )
    op.create_index("ix_events_due", "events", ["delivered_at", "due_at"])
    op.create_table(
        "dead_events",
        sa.Column("verification", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(length=64), nullable=True),
        sa.Column("died_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["verification"],
            ["verifications.id"],
            name="fk_dead_events_verification",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("verification", name="pk_dead_events"),
    )


def downgrade() -> None:
    op.drop_table("dead_events")
    op.drop_table("events")
