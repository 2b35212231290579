"""Judgments: how well an item answers a query, and who says so. Frozen once released."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TEXT_C = sa.Text().with_variant(TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "judgments",
        sa.Column("query", TEXT_C, primary_key=True),
        sa.Column("item_id", TEXT_C, primary_key=True),
        sa.Column("origin", TEXT_C, primary_key=True),
        sa.Column("who", TEXT_C, primary_key=True),
        sa.Column("grade", sa.SmallInteger, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("note", TEXT_C, nullable=False),
    )
    op.create_index("judgments_judge", "judgments", ["origin", "who"])
