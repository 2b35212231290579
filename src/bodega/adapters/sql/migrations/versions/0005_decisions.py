"""What was shown by chance, and with which probability. Frozen once released: later changes are later files."""

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tables of this step."""
