"""Hash all numbers anew at the next start: the key of the hashes is now a subkey of SECRET_KEY."""

from datetime import UTC, datetime

import sqlalchemy as sa
import structlog
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

HITS = sa.table("limit_hits", sa.column("ends"))

log = structlog.get_logger(__name__)


def upgrade() -> None:
    _forget_hashes()
    # The subjects of limits are stored as hashes only, so they cannot be hashed anew.
    in_a_window = HITS.c.ends > datetime.now(UTC).timestamp()
    counting = sa.select(sa.func.count()).select_from(HITS).where(in_a_window)
    if uses := op.get_bind().execute(counting).scalar_one():
        log.warning("limit.uses_forgotten", uses=uses)


def downgrade() -> None:
    """An older version has its uses of limits back, and hashes the numbers in its own way."""
    _forget_hashes()


def _forget_hashes() -> None:
    """Remove the hashes of numbers. The start of the app fills them in, as after 0005."""
    for name in ("verifications", "users"):
        op.execute(sa.update(sa.table(name, sa.column("phone_key"))).values(phone_key=None))
