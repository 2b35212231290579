"""Judgments: how well an item answers a query, and who says so. Frozen once released."""

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""
