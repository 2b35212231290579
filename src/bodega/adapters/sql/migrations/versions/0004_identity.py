"""Who is the same shopper, what they agreed to, who was forgotten. Frozen once released."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identities",
        sa.Column("left", sa.Text, nullable=False),
        sa.Column("right", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("apart", sa.Boolean, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("left", "right"),
    )
    op.create_index("identities_right", "identities", ["right"])
    op.create_table(
        "identity_changes",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("left", sa.Text, nullable=False),
        sa.Column("right", sa.Text, nullable=False),
    )
    op.create_index("identity_changes_left", "identity_changes", ["left"])
    op.create_index("identity_changes_right", "identity_changes", ["right"])
    op.create_table(
        "consents",
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("granted", sa.Boolean, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("subject", "purpose"),
    )
    op.create_table(
        "erasures",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    op.create_index("erasures_time", "erasures", ["time"])
    op.create_table(
        "tombstones",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("erasure", sa.Text, nullable=False),
    )
    op.drop_index("events_session", table_name="events")
    op.create_index("events_session", "events", ["session_id", "user_id", "time"])
    for name in ("privacy_seq", "identity_seq", "forget_seq", "retained"):
        op.execute(f"INSERT INTO meta (name, value) VALUES ('{name}', 0)")  # noqa: S608 - our own words
