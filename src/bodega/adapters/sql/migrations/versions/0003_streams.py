"""How far consumers of streams have come. Frozen once released: later changes are later files."""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tables of this step."""
