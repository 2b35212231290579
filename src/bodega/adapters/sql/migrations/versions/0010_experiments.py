"""Experiments: what is compared, and who changed it. Frozen once released."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TEXT_C = sa.Text().with_variant(TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", TEXT_C, primary_key=True),
        sa.Column("state", TEXT_C, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "experiment_changes",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("who", TEXT_C, nullable=False),
        sa.Column("what", TEXT_C, nullable=False),
        sa.Column("experiment", TEXT_C, nullable=False),
        sa.Column("why", TEXT_C, nullable=False),
        sa.Column("before", sa.LargeBinary, nullable=False),
        sa.Column("after", sa.LargeBinary, nullable=False),
    )
    op.create_index("experiment_changes_experiment", "experiment_changes", ["experiment", "id"])
    op.execute("INSERT INTO meta (name, value) VALUES ('experiment_seq', 0)")
