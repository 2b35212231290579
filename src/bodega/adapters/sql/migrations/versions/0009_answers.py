"""Answers and counts: what was shown, and what came of it by day. Frozen once released."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TEXT_C = sa.Text().with_variant(TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("request_id", TEXT_C, nullable=False),
        sa.Column("place", TEXT_C, nullable=False),
        sa.Column("user_id", TEXT_C, nullable=False),
        sa.Column("session_id", TEXT_C, nullable=False),
        sa.Column("query", TEXT_C, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("time", "request_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("answers_request", "answers", ["request_id"], unique=True)
    op.create_index("answers_user", "answers", ["user_id"])
    op.create_index("answers_session", "answers", ["session_id"])
    op.create_table(
        "metrics_days",
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("answers", sa.BigInteger, nullable=False),
        sa.Column("events", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "metrics_daily",
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("hour", sa.SmallInteger, nullable=False),
        sa.Column("place", TEXT_C, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("source", TEXT_C, nullable=False),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("day", "level", "hour", "place", "position", "source"),
    )
