"""What is kept? Every table, described once; the migrations build them and a test compares the two.

Events are keyed by (time, id): SQLite then stores them *in* that order (`sqlite_with_rowid=False`), so the scan that
learning starts with is one sequential read without a sort, and an import in time order only ever appends. Measured on
200,000 rows: 68k inserts/s against 63k/s with a row number and a time index beside it, 325 bytes an event with indexes.
Times are integer microseconds since 1970 UTC: exact, and the same in every database. Empty text means "not given";
a null would only add a third state to two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
)
from sqlalchemy import Text as PlainText
from sqlalchemy.dialects.postgresql import TEXT as POSTGRES_TEXT

METADATA = MetaData()

Text = PlainText().with_variant(POSTGRES_TEXT(collation="C"), "postgresql")
"""Text, ordered by its code points on both databases: the same events are scanned in the same order."""

ITEMS = Table(
    "items",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("payload", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("change_seq", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Index("items_first", "first_seq"),
    Index("items_change", "change_seq"),
)
"""`first_seq` is the order of first arrival, `change_seq` that of the last change; a deleted item leaves its row, empty
but for both, so that whoever follows the changes learns of it."""

EVENTS = Table(
    "events",
    METADATA,
    Column("time", BigInteger, nullable=False),
    Column("id", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("type", SmallInteger, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("position", Integer),
    Column("request_id", Text, nullable=False),
    Column("price", Double),
    Column("currency", Text, nullable=False),
    Column("quantity", Double, nullable=False),
    Column("channel", Text, nullable=False),
    Column("value", Double),
    PrimaryKeyConstraint("time", "id"),
    Index("events_id", "id", unique=True),
    # What a state is made of is read from the index alone: .4 ms for 600 events instead of .9 to 2. Not in PostgreSQL,
    # whose index entries may not be longer than 2.7 kB.
    Index("events_doings", "user_id", "time", "id", "type", "item_id", "query", "value").ddl_if(dialect="sqlite"),
    Index("events_user", "user_id", "time").ddl_if(dialect="postgresql"),
    Index("events_session", "session_id", "user_id", "time"),  # who else was on this visit is read from it alone
    sqlite_with_rowid=False,
)

DEAD_LETTERS = Table(
    "dead_letters",
    METADATA,
    Column("id", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("raw", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Index("dead_letters_reason", "kind", "reason", "time"),
)
"""`id` is the digest of kind, reason, source, line and raw row: importing a file again does not double its letters."""

API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("revoked", BigInteger),
    Index("api_keys_hash", "hash", unique=True),
)

RULES = Table(
    "rules",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("payload", LargeBinary, nullable=False),
    Column("version", BigInteger, nullable=False),
)
"""Merchandising rules in force or switched off; `version` is the number of the change that made them so."""

RULE_CHANGES = Table(
    "rule_changes",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("before", LargeBinary, nullable=False),
    Column("after", LargeBinary, nullable=False),
    Column("undoes", BigInteger, nullable=False),
    Index("rule_changes_rule", "rule", "id"),
)
"""The audit trail of the rules, never rewritten; an empty payload means that there was no rule."""

STREAM_OFFSETS = Table(
    "stream_offsets",
    METADATA,
    Column("stream", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("minor", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    PrimaryKeyConstraint("stream", "partition"),
)
"""How far each partition of a stream is stored, written in the transaction of its events; `time` of that writing."""

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("place", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Index("decisions_time", "time"),
    Index("decisions_user", "user_id"),
    Index("decisions_session", "session_id"),
)
"""Pages on which something was shown by chance; `payload` is the JSON of their slots (see `schema.trials`)."""

OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("request_id", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("worker", Text, nullable=False),
    PrimaryKeyConstraint("request_id", "item_id"),
    Index("outcomes_time", "time"),
)
"""Items of such pages that were wanted, each once; `time` is when that was noted."""

ANSWERS = Table(
    "answers",
    METADATA,
    Column("time", BigInteger, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    PrimaryKeyConstraint("time", "request_id"),
    Index("answers_request", "request_id", unique=True),
    Index("answers_user", "user_id"),
    Index("answers_session", "session_id"),
    sqlite_with_rowid=False,
)
"""One line a page that was answered, in order of time as events are; `payload` is the rest of `schema.answers`."""

METRICS_DAYS = Table(
    "metrics_days",
    METADATA,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("until", BigInteger, nullable=False),
    Column("answers", BigInteger, nullable=False),
    Column("events", BigInteger, nullable=False),
)
"""Which days (since 1970 UTC) are counted, how far (microseconds), and how many rows of the store that were: a day
whose rows are others by now is counted again."""

METRICS_DAILY = Table(
    "metrics_daily",
    METADATA,
    Column("day", Integer, nullable=False),
    Column("hour", SmallInteger, nullable=False),
    Column("place", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    PrimaryKeyConstraint("day", "level", "hour", "place", "position", "source"),
)
"""What a day came to, by hour and place, by place, position and source, by place, and whole (`level` 0 to 3; what a
level does not part by is -1 or empty). `payload` holds the counts of `insight.counting`; nobody is named here."""

IDENTITIES = Table(
    "identities",
    METADATA,
    Column("left", Text, nullable=False),
    Column("right", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("apart", Boolean, nullable=False),
    Column("time", BigInteger, nullable=False),
    PrimaryKeyConstraint("left", "right"),
    Index("identities_right", "right"),
)
"""Which two ids were said to be one shopper (or, `apart`, not to be): subjects `user:...` or `session:...`, the lower
one left. What events say themselves (one that carries a user and a session) is not repeated here."""

IDENTITY_CHANGES = Table(
    "identity_changes",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("left", Text, nullable=False),
    Column("right", Text, nullable=False),
    Index("identity_changes_left", "left"),
    Index("identity_changes_right", "right"),
)
"""The audit trail of `identities`; an erasure removes the lines of who is forgotten, nothing else ever changes it."""

CONSENTS = Table(
    "consents",
    METADATA,
    Column("subject", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("granted", Boolean, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    PrimaryKeyConstraint("subject", "purpose"),
)
"""The newest word of a subject on each purpose."""

ERASURES = Table(
    "erasures",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Index("erasures_time", "time"),
)
"""The receipts of who was forgotten: no id stands in them, only its keyed digest."""

TOMBSTONES = Table(
    "tombstones",
    METADATA,
    Column("subject", Text, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("erasure", Text, nullable=False),
)
"""Keyed digests of forgotten subjects: what they did up to `time` is not taken in again, whoever delivers it."""

REVIEWS = Table(
    "reviews",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("dated", Boolean, nullable=False),
    Column("stars", Double),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("helpful", BigInteger, nullable=False),
    Column("flags", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Index("reviews_item", "item_id", "time", "id"),
    Index("reviews_user", "user_id", "time"),
)
"""`number` is the order of first arrival; `time` that of the arrival where the review is not `dated`; `flags` are
reasons joined by commas; `digest` is of the content alone, so that delivering it again changes nothing."""

FACTS = Table(
    "facts",
    METADATA,
    Column("item_id", Text, primary_key=True),
    Column("attribute", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("conflict", Boolean, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Index("facts_value", "attribute", "value"),
)
"""What was mined of items; `payload` is the JSON of number, evidence and what the shop says instead."""

FACT_DECISIONS = Table(
    "fact_decisions",
    METADATA,
    Column("item_id", Text, primary_key=True),
    Column("attribute", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("accepted", Boolean, nullable=False),
    Column("who", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
)
"""What merchants decided of facts: kept whatever is mined again; an empty item means every item."""

EXPERIMENTS = Table(
    "experiments",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
)
"""Experiments as JSON (`schema.experiments.KeptExperiment`); `version` is the number of their newest change."""

EXPERIMENT_CHANGES = Table(
    "experiment_changes",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("experiment", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("before", LargeBinary, nullable=False),
    Column("after", LargeBinary, nullable=False),
    Index("experiment_changes_experiment", "experiment", "id"),
)
"""The audit trail of experiments, never rewritten; an empty payload means that there was none."""

JUDGMENTS = Table(
    "judgments",
    METADATA,
    Column("query", Text, primary_key=True),
    Column("item_id", Text, primary_key=True),
    Column("origin", Text, primary_key=True),
    Column("who", Text, primary_key=True),
    Column("grade", SmallInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Index("judgments_judge", "origin", "who"),
)
"""Opinions on how well an item answers a query, one a judge: people of the shop, clicks of many, a language model. No
shopper is named, so an erasure has nothing to take from here."""

META = Table(
    "meta",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Counters: `item_seq`, the newest value of `items.change_seq`; `rule_seq`, that of `rule_changes.id`;
`review_seq`, changes of reviews; `privacy_seq`,
changes of identities, consents and erasures; `identity_seq`, the newest `identity_changes.id`; `forget_seq`, erasures;
`fact_seq`, changes of facts and of what was decided of them; `experiment_seq`, the newest `experiment_changes.id`;
`retained`, when old events were last removed (microseconds)."""
