"""Who is the same shopper, what they agreed to, who was forgotten. Frozen once released."""

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tables of this step."""
