"""Answers and counts: what was shown, and what came of it by day. Frozen once released."""

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
