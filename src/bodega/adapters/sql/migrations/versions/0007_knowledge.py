"""What was mined of items: facts, and what a merchant decided of them. Frozen once released."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TEXT_C = sa.Text().with_variant(TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "facts",
        sa.Column("item_id", TEXT_C, primary_key=True),
        sa.Column("attribute", TEXT_C, primary_key=True),
        sa.Column("value", TEXT_C, primary_key=True),
        sa.Column("kind", TEXT_C, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("conflict", sa.Boolean, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    op.create_index("facts_value", "facts", ["attribute", "value"])
    op.create_table(
        "fact_decisions",
        sa.Column("item_id", TEXT_C, primary_key=True),
        sa.Column("attribute", TEXT_C, primary_key=True),
        sa.Column("value", TEXT_C, primary_key=True),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("who", TEXT_C, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO meta (name, value) VALUES ('fact_seq', 0)")
