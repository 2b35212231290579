"""Text is ordered by its code points on PostgreSQL too, whatever language the database was made for. Frozen.

SQLite orders text so by itself. A database made for a language would order events of one moment, rules and keys
otherwise, and the same shop would learn other bytes. The change rebuilds the indexes of text columns, not the tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = (
    "api_keys", "consents", "dead_letters", "decisions", "erasures", "events", "identities", "identity_changes",
    "items", "meta", "outcomes", "rule_changes", "rules", "stream_offsets", "tombstones",
)  # fmt: skip

ELSEWHERE = sa.text("""
    SELECT c.relname, a.attname
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_collation o ON o.oid = a.attcollation
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attnum > 0
      AND NOT a.attisdropped AND a.atttypid = 'text'::regtype AND o.collname <> 'C'
    ORDER BY c.relname, a.attnum
""")


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    found: dict[str, list[str]] = {}
    for table, column in connection.execute(ELSEWHERE):
        if table in TABLES:
            found.setdefault(table, []).append(column)
    for table, columns in found.items():
        changes = ", ".join(f'ALTER COLUMN "{column}" TYPE text COLLATE "C"' for column in columns)
        op.execute(f'ALTER TABLE "{table}" {changes}')
