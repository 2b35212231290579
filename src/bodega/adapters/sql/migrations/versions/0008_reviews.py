"""Reviews: what shoppers wrote of items. Frozen once released."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TEXT_C = sa.Text().with_variant(TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", TEXT_C, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("item_id", TEXT_C, nullable=False),
        sa.Column("user_id", TEXT_C, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("dated", sa.Boolean, nullable=False),
        sa.Column("stars", sa.Double),
        sa.Column("title", TEXT_C, nullable=False),
        sa.Column("text", TEXT_C, nullable=False),
        sa.Column("language", TEXT_C, nullable=False),
        sa.Column("verified", sa.Boolean, nullable=False),
        sa.Column("helpful", sa.BigInteger, nullable=False),
        sa.Column("flags", TEXT_C, nullable=False),
        sa.Column("verdict", TEXT_C, nullable=False),
    )
    op.create_index("reviews_item", "reviews", ["item_id", "time", "id"])
    op.create_index("reviews_user", "reviews", ["user_id", "time"])
    op.execute("INSERT INTO meta (name, value) VALUES ('review_seq', 0)")
