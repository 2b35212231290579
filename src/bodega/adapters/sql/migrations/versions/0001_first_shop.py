"""The first layout: items, events, dead letters, keys, counters. Frozen: later changes are later files."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _items()
    _events()
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("line", sa.BigInteger, nullable=False),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
    )
    op.create_index("dead_letters_reason", "dead_letters", ["kind", "reason", "time"])
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("revoked", sa.BigInteger),
    )
    op.create_index("api_keys_hash", "api_keys", ["hash"], unique=True)
    op.create_table(
        "meta",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO meta (name, value) VALUES ('item_seq', 0)")


def _items() -> None:
    op.create_table(
        "items",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("first_seq", sa.BigInteger, nullable=False),
        sa.Column("change_seq", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
    )
    op.create_index("items_first", "items", ["first_seq"])
    op.create_index("items_change", "items", ["change_seq"])


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("type", sa.SmallInteger, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("position", sa.Integer),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("price", sa.Double),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("quantity", sa.Double, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.PrimaryKeyConstraint("time", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("events_id", "events", ["id"], unique=True)
    op.create_index("events_user", "events", ["user_id", "time"])
    op.create_index("events_session", "events", ["session_id", "time"])
