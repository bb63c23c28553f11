"""Count the cancels of a verification, and delete events of verifications without a message."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

VERIFICATIONS = sa.table("verifications", sa.column("id"), sa.column("status"))


def upgrade() -> None:
    op.add_column(
        "verifications",
        sa.Column("cancels", sa.Integer(), server_default="0", nullable=False),
    )
    op.add_column("verifications", sa.Column("cancel_at", sa.DateTime(timezone=True)))
    # The app has no name for these events any more.
    refused = sa.select(VERIFICATIONS.c.id).where(VERIFICATIONS.c.status == "refused")
    for name in ("events", "dead_events"):
        told = sa.table(name, sa.column("verification"))
        op.execute(sa.delete(told).where(told.c.verification.in_(refused)))


def downgrade() -> None:
    op.drop_column("verifications", "cancel_at")
    op.drop_column("verifications", "cancels")
