"""What was mined of items: facts, and what a merchant decided of them. Frozen."""

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass
