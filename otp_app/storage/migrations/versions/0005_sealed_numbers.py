"""Room for sealed numbers, and a keyed hash to find them by."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The hash needs a secret, which the start of the app has and fills the new columns with.
    with op.batch_alter_table("verifications", schema=None) as batch_op:
        batch_op.add_column(sa.Column("phone_key", sa.String(length=64), nullable=True))
        batch_op.alter_column(
            "phone",
            existing_type=sa.String(length=16),
            type_=sa.String(length=255),
            existing_nullable=False,
        )
        batch_op.create_index("ix_verifications_phone_key", ["phone_key"], unique=False)
        batch_op.drop_index("ix_verifications_ended")
        batch_op.create_index("ix_verifications_ended", ["expires_at", "canceled"], unique=False)
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("phone_key", sa.String(length=64), nullable=True))
        batch_op.alter_column(
            "phone_number",
            existing_type=sa.String(length=16),
            type_=sa.String(length=255),
            existing_nullable=False,
        )
        batch_op.drop_constraint("uq_users_phone_number", type_="unique")
        batch_op.create_unique_constraint("uq_users_phone_key", ["phone_key"])


def downgrade() -> None:
    """Only for numbers in the clear: sealed ones do not fit."""
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_constraint("uq_users_phone_key", type_="unique")
        batch_op.create_unique_constraint("uq_users_phone_number", ["phone_number"])
        batch_op.alter_column(
            "phone_number",
            existing_type=sa.String(length=255),
            type_=sa.String(length=16),
            existing_nullable=False,
        )
        batch_op.drop_column("phone_key")
    with op.batch_alter_table("verifications", schema=None) as batch_op:
        batch_op.drop_index("ix_verifications_ended")
        batch_op.create_index("ix_verifications_ended", ["canceled", "expires_at"], unique=False)
        batch_op.drop_index("ix_verifications_phone_key")
        batch_op.alter_column(
            "phone",
            existing_type=sa.String(length=255),
            type_=sa.String(length=16),
            existing_nullable=False,
        )
        batch_op.drop_column("phone_key")
