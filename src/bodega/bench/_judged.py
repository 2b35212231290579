"""A judged set from files: items, queries, judgments, and perhaps what people clicked.

Any usual file will do (CSV, TSV, JSON Lines, Parquet; gzipped or not): columns are found by their names, and TREC's
`qrels` (query 0 item grade, separated by blanks, no header) is read as well. Grades are numbers, or ESCI's and WANDS'
words. Nothing is dropped in silence: what could not be joined is counted in `facts`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from bodega.adapters.sql import SqlStore
from bodega.bench.result import data_hash
from bodega.catalog import ItemOptions, import_items
from bodega.errors import BadFeed
from bodega.evaluation import Case
from bodega.feeds import infer, open_feed
from bodega.schema import EVENT_CODES, Context, ItemTable, Log
from bodega.schema.arrays import Doubles

QUERY: Final = ("query_id", "qid", "query id", "topic", "topic_id", "search_id", "id")
ITEM: Final = (
    "item_id",
    "product_id",
    "item",
    "product",
    "doc_id",
    "docid",
    "pid",
    "asin",
    "sku",
    "objectID",
    "upc",
    "docno",
)
GRADE: Final = ("grade", "relevance", "label", "judgment", "judgement", "rel", "rating", "score", "esci_label", "gain")
TEXT: Final = ("query", "text", "query_text", "search_term", "title", "q")
TITLE: Final = ("title", "product_title", "item_title", "name", "product_name", "item_name", "text", "contents")
COUNT: Final = ("count", "clicks", "n", "weight", "frequency", "times")

WORDS: Final[dict[str, float]] = {
    "e": 1.0,
    "exact": 1.0,
    "s": 0.1,
    "substitute": 0.1,
    "c": 0.01,
    "complement": 0.01,
    "i": 0.0,
    "irrelevant": 0.0,
    "partial": 0.5,
}
"""Grades in words: ESCI's gains (Reddy et al. 2022) and WANDS' (Exact 1, Partial .5)."""

DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class JudgedFiles:
    """Where a judged set lies. `clicks` may be missing."""

    items: Path
    queries: Path
    judgments: Path
    clicks: Path | None = None

    def paths(self) -> list[Path]:
        return [path for path in (self.items, self.queries, self.judgments, self.clicks) if path]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The catalog, the queries with their graded answers, and the clicks of other people as a log."""

    table: ItemTable
    cases: list[Case]
    """`relevant` are the items with a grade above 0; `context.query` is the query."""
    gain: Doubles
    """(pairs,) the grade of each relevant item of each case, in their order."""
    log: Log
    digest: str
    facts: dict[str, object] = field(default_factory=dict)


def read_judged(files: JudgedFiles, seed: int) -> Judged:
    """Read and join the files. Raises BadFeed for a missing file or column, and where nothing can be joined."""
    table = _catalog(files.items, seed)
    texts = _queries(files.queries)
    grades, lost = _judgments(files.judgments, texts, table)
    kept = {query: found for query, found in grades.items() if any(grade > 0 for grade in found.values())}
    if not kept:
        raise BadFeed(
            "no judgment names a known query and a known item with a grade above 0",
            where=str(files.judgments),
            allowed=f"ids of {files.queries.name} and {files.items.name}",
            got=f"{lost:,} rows that could not be joined",
            next="check the id columns",
        )
    cases, gain = [], []
    for query, found in kept.items():
        rows = sorted(row for row, grade in found.items() if grade > 0)
        cases.append(Case(Context(place="search", query=texts[query]), np.array(rows, np.int32)))
        gain += [found[row] for row in rows]
    log, clicks = _clicks(files.clicks, texts, table) if files.clicks else (no_log(), 0)
    facts: dict[str, object] = {
        "items": len(table),
        "queries": len(cases),
        "judged_pairs": sum(len(found) for found in grades.values()),
        "unjoined_judgments": lost,
        "click_pairs": clicks,
    }
    return Judged(table, cases, np.array(gain, np.float64), log, data_hash(*files.paths()), facts)


def no_log() -> Log:
    """A log in which nothing happened."""
    return _log([], ())


def _catalog(path: Path, seed: int) -> ItemTable:
    """The items through the ordinary import (cleaning included), in a seeded order: file order may leak the answers."""
    feed = open_feed(path)
    named = infer(feed.columns, feed.sample(), {"id": (*ITEM, "id"), "title": TITLE})
    with tempfile.TemporaryDirectory(prefix="bodega-bench-") as folder:
        store = SqlStore.open(f"sqlite:///{folder}/bench.db")
        try:
            import_items(path, store.catalog, store.dead, ItemOptions(limit=1.0, mapping=named))
            items = list(store.catalog.scan())
        finally:
            store.close()
    order = np.random.default_rng(seed).permutation(len(items))
    return ItemTable.of(items[row] for row in order)


def _queries(path: Path) -> dict[str, str]:
    """{query id (or its text where there is no id): text}."""
    return {
        row.get("id") or row["text"]: row["text"]
        for row in _rows(path, {"text": TEXT, "id": QUERY}, needed=("text",))
        if row["text"]
    }


def _judgments(path: Path, texts: Mapping[str, str], table: ItemTable) -> tuple[dict[str, dict[int, float]], int]:
    """({query key: {item row: grade}}, rows that could not be joined)."""
    key_of = {text: key for key, text in texts.items()}
    grades: dict[str, dict[int, float]] = {}
    lost = 0
    for row in _rows(path, {"grade": GRADE, "item": ITEM, "id": QUERY, "text": TEXT}, needed=("grade", "item")):
        named = row.get("id", "")
        key = named if named in texts else key_of.get(row.get("text", named))
        item = table.index.get(row["item"])
        if key is None or item is None:
            lost += 1
            continue
        grades.setdefault(key, {})[item] = _grade(row["grade"], path)
    return grades, lost


def _clicks(path: Path, texts: Mapping[str, str], table: ItemTable) -> tuple[Log, int]:
    """Clicks as a log: one event a click, a minute apart, at most 50 a row; and how many rows were joined."""
    events: list[tuple[str, int]] = []
    joined = 0
    for row in _rows(path, {"item": ITEM, "text": TEXT, "id": QUERY, "count": COUNT}, needed=("item",)):
        item = table.index.get(row["item"])
        text = row.get("text") or texts.get(row.get("id", ""), "")
        if item is None or not text:
            continue
        joined += 1
        count = row.get("count", "")
        events += [(text, item)] * (min(50, max(1, int(float(count)))) if count else 1)
    queries = tuple(dict.fromkeys(text for text, _ in events))
    return _log(events, queries), joined


def _log(events: Sequence[tuple[str, int]], queries: tuple[str, ...]) -> Log:
    n = len(events)
    code = {text: number for number, text in enumerate(queries)}
    people = np.arange(n, dtype=np.int32)
    return Log(
        time=1_700_000_000.0 + 60.0 * np.arange(n, dtype=np.float64),
        type=np.full(n, EVENT_CODES["click"], np.int8),
        user=people,
        session=people,
        item=np.array([item for _, item in events], np.int32),
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=np.array([code[text] for text, _ in events], np.int32),
        position=np.full(n, -1, np.int32),
        n_users=n,
        n_sessions=n,
        queries=queries,
    )


def _rows(path: Path, fields: Mapping[str, Sequence[str]], *, needed: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows of a file with our names for its columns, every value as clean text."""
    if path.suffix in (".qrels", ".trec"):
        for line in path.read_text("utf-8").splitlines():
            query, _, item, grade = line.split()
            yield {"id": query, "item": item, "grade": grade}
        return
    feed = open_feed(path)
    columns = infer(feed.columns, feed.sample(), fields)
    missing = [name for name in needed if name not in columns]
    if missing:
        raise BadFeed(
            "a column that is needed was not found",
            where=str(path),
            allowed="; ".join(f"{name}: {', '.join(fields[name][:6])}" for name in missing),
            got=", ".join(feed.columns),
            next="rename the column",
        )
    for row in feed:
        if not row.error:
            yield {name: _text(row.values.get(column)) for name, column in columns.items()}


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else " ".join(str(value).split())


def _grade(text: str, path: Path) -> float:
    known = WORDS.get(text.casefold())
    if known is not None:
        return known
    try:
        return max(0.0, float(text))
    except ValueError as error:
        raise BadFeed(
            "a grade is neither a number nor a known word",
            where=str(path),
            allowed=f"a number, or {', '.join(WORDS)}",
            got=text,
        ) from error
