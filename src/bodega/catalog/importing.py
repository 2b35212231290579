"""How does a file become a catalog? Read, recognise, clean, store in batches, account for every row.

Rows stream: at any moment there is one batch of items in memory. Rows that cannot be used go to the dead letter box
with their reason; a feed with too many of them stops, what was good before stays. Cost: about 40 k rows/s a core for
seven columns into a store that costs nothing. Not for: single items from HTTP (they arrive as Items already).
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path

from bodega.catalog.building import Builder
from bodega.catalog.draft import Draft, Refusal
from bodega.catalog.exports import EXPORTS, Export, recognise
from bodega.catalog.fields import JOIN, NAMES
from bodega.catalog.ledger import Ledger
from bodega.errors import BadFeed, TooManyBadRows
from bodega.feeds import Feed, RawRow, open_feed
from bodega.protocols import CatalogStore, DeadLetterBox, ImportReport, NoProgress, Progress, Written
from bodega.schema import DeadLetter, Item
from bodega.settings import Settings

SAMPLED = 500
PATIENCE = 100
"""Rows before a share of bad ones counts for anything."""
RAW_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class ItemOptions:
    """How to read a source of items.

    `format`: a file format (csv, tsv, jsonl, parquet, xml) or an export (shopify, woocommerce, google, magento,
    algolia); None recognises it. `mapping`: {our field: their column}, over what is inferred; an empty column leaves
    the field out; "a > b" takes one category level from each. `source`: the name to report (default: the file's).
    `limit`: share of bad rows at which to stop (default: the setting; 1.0 never stops).
    """

    format: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    progress: Progress = field(default_factory=NoProgress)
    source: str = ""
    limit: float | None = None


def import_items(
    source: Path | str | Iterable[dict[str, object] | Item],
    store: CatalogStore,
    dead: DeadLetterBox,
    options: ItemOptions | None = None,
) -> ImportReport:
    """Put all items of a file (or of any iterable of dicts or Items) into the store.

    Raises BadFeed (not readable, no id column, unknown mapping) and TooManyBadRows; what was stored before stays.
    """
    options = options or ItemOptions()
    rows: Iterable[RawRow]
    if isinstance(source, Path | str):
        feed = open_feed(source, format=options.format if options.format not in EXPORTS else None)
        sample, columns, kind, notes = feed.sample(SAMPLED), feed.columns, feed.format, feed.notes
        rows, name = feed, options.source or feed.path.name
    else:
        sample, rows = _peeked(source)
        columns = list(dict.fromkeys(column for row in sample for column in row.values))
        kind, notes, name = "rows", [], options.source or "rows"
    made = bool(sample) and isinstance(sample[0], _Made)
    told = {} if made else _checked(options.mapping, columns, name)
    named = options.format if options.format in EXPORTS else ""
    export = recognise(columns, sample, told, feed=kind, named=named or "")
    if not made and columns and not export.mapping.get("id"):
        raise _no_id(columns, name)
    return _Import(export, store, dead, options, name).run(rows, told, notes)


class _Made(RawRow):
    """A row that a program handed in as a finished Item."""

    item: Item | None = None


class _Import:
    """One import on its way: batch, counts, letters."""

    def __init__(
        self, export: Export, store: CatalogStore, dead: DeadLetterBox, options: ItemOptions, source: str
    ) -> None:
        self.export, self.store, self.dead, self.source = export, store, dead, source
        self.settings, self.progress = options.settings.ingest, options.progress
        self.limit = self.settings.bad_rows_limit if options.limit is None else options.limit
        self.builder = Builder(options.settings, slash=getattr(export, "slash", False))
        self.ledger = Ledger()
        self.batch: dict[str, Item] = {}
        self.letters: list[DeadLetter] = []
        self.rows = 0
        self.reasons: Counter[str] = Counter()
        self.written = Written()

    def run(self, rows: Iterable[RawRow], told: Mapping[str, str], notes: list[str]) -> ImportReport:
        started = time.perf_counter()
        self.progress.start(f"items from {self.source}")
        try:
            for line, made, raw in self._made(rows, told):
                self.rows += 1
                if isinstance(made, Item):
                    self.ledger.saw(made, line)
                    self.batch[made.id] = made
                    if len(self.batch) >= self.settings.batch:
                        self._flush()
                elif made is not None:
                    self._refuse(line, made, raw)
                if self.rows % 1_000 == 0:
                    self.progress.advance(1_000)
        except BadFeed:  # the file breaks off: what was read so far stays
            self._flush()
            raise
        finally:
            self.progress.advance(self.rows % 1_000)
            self.progress.finish()
        self._flush()
        self._stop_if_too_many(at_end=True)
        return self._report(notes, time.perf_counter() - started)

    def _made(
        self, rows: Iterable[RawRow], told: Mapping[str, str]
    ) -> Iterator[tuple[int, Item | Refusal | None, dict[str, object]]]:
        """(line, item or refusal or None for a mere part, raw row)."""
        plain: Iterable[RawRow] = rows
        if not isinstance(rows, Feed):
            rows = iter(rows)
            first = next(rows, None)
            plain = chain([] if first is None else [first], rows)
            if isinstance(first, _Made):
                for row in plain:
                    yield row.line, self._checked(row), row.values
                return
        direct = {field: column for field, column in told.items() if JOIN not in column}
        fixed = self.export.name in EXPORTS and direct
        for draft in self.export.drafts(plain):
            if draft.part:
                self.ledger.parts += 1
                yield draft.line, None, draft.raw
            elif draft.error:
                yield draft.line, Refusal("unreadable", draft.error), draft.raw
            else:
                if fixed:
                    draft.values |= {field: draft.raw.get(column) for field, column in direct.items()}
                yield draft.line, self.builder.item(draft), draft.raw

    def _checked(self, row: RawRow) -> Item | Refusal:
        """An Item among Items; a dict among Items goes by our own field names."""
        if isinstance(row, _Made) and row.item is not None:
            return self.builder.checked(row.item)
        values = {name: value for name, value in row.values.items() if name in NAMES}
        given = row.values.get("attributes")
        return self.builder.item(Draft(row.line, row.values, values, given if isinstance(given, dict) else {}))

    def _refuse(self, line: int, why: Refusal, raw: dict[str, object]) -> None:
        self.reasons[why.reason] += 1
        letter = DeadLetter(
            kind="item",
            reason=why.reason,
            message=why.message,
            source=self.source,
            line=line,
            raw=_as_text(raw),
            time=datetime.now(UTC),
        )
        self.letters.append(letter)
        if len(self.letters) >= self.settings.batch:
            self._flush()
        if self.rows >= PATIENCE:
            self._stop_if_too_many(at_end=False)

    def _stop_if_too_many(self, *, at_end: bool) -> None:
        bad = self.reasons.total()
        if not self.rows or bad / self.rows <= self.limit:
            return
        self._flush()
        top = ", ".join(f"{reason} {count:,}" for reason, count in self.reasons.most_common(5))
        raise TooManyBadRows(
            f"{bad:,} of {self.rows:,} rows cannot be used ({top})" + ("" if at_end else "; stopped reading there"),
            where=self.source,
            allowed=f"up to {self.limit:.0%} bad rows",
            got=f"{bad / self.rows:.0%}; {self.ledger.items:,} good rows were stored",
            next="look at the bad rows in the dead letter box, mend the export, or import with the limit at 1.0",
        )

    def _flush(self) -> None:
        if self.batch:
            done, before = self.store.upsert(list(self.batch.values())), self.written
            self.batch.clear()
            self.written = Written(
                added=before.added + done.added,
                changed=before.changed + done.changed,
                unchanged=before.unchanged + done.unchanged,
            )
        if self.letters:
            self.dead.put(self.letters)
            self.letters = []

    def _report(self, notes: list[str], seconds: float) -> ImportReport:
        bad_price = self.builder.repairs.get("bad_price", 0)
        return ImportReport(
            source=self.source,
            kind="items",
            format=self.export.name,
            rows=self.rows,
            added=self.written.added,
            changed=self.written.changed,
            unchanged=self.written.unchanged,
            dead=self.reasons.total(),
            reasons=dict(self.reasons) | ({"bad_price": bad_price} if bad_price else {}),
            mapping=dict(self.export.mapping),
            notes=(*notes, *self.ledger.notes(self.builder.repairs)),
            seconds=seconds,
        )


def _peeked(source: Iterable[dict[str, object] | Item]) -> tuple[list[RawRow], Iterable[RawRow]]:
    """The first rows, and all rows (the first ones included)."""
    rows = (_row(number, given) for number, given in enumerate(source, 1))
    first = list(islice(rows, SAMPLED))
    return first, chain(first, rows)


def _row(number: int, given: object) -> RawRow:
    if isinstance(given, Item):
        return _Made(number, {"id": given.id}, item=given)
    if isinstance(given, dict):
        return RawRow(number, given)
    return RawRow(number, {}, f"a dict or an Item was expected, this is a {type(given).__name__}")


def _checked(mapping: Mapping[str, str], columns: list[str], source: str) -> dict[str, str]:
    """The mapping told by the user, if it names fields and columns that exist."""
    for ours, theirs in mapping.items():
        if ours not in NAMES:
            raise BadFeed(
                f"the mapping names the field {ours!r}, which an item does not have",
                where=source,
                allowed=", ".join(NAMES),
                got=f"{ours} = {theirs}",
                next="other columns become attributes by themselves",
            )
        unknown = [column for column in theirs.split(JOIN) if column and column not in columns]
        if unknown and theirs not in columns:
            raise BadFeed(
                f"the mapping names the column {unknown[0]!r}, which the feed does not have",
                where=source,
                allowed=", ".join(columns),
                got=f"{ours} = {theirs}",
                next="use one of the columns found",
            )
    return dict(mapping)


def _no_id(columns: list[str], source: str) -> BadFeed:
    likely = columns[0]
    return BadFeed(
        "no column was recognised as the item's id",
        where=source,
        allowed="a column named id, sku, product_id, 商品编号, ... or a told mapping",
        got="columns: " + ", ".join(columns),
        next=f'say which one it is, e.g. mapping={{"id": "{likely}"}} (on the command line: --map id={likely})',
    )


def _as_text(raw: dict[str, object]) -> str:
    """The row as JSON, cut; whatever JSON does not know is written as text."""
    try:
        text = json.dumps({name: _shortened(value) for name, value in raw.items()}, ensure_ascii=False, default=str)
    except (RecursionError, TypeError, ValueError):
        text = json.dumps({"columns": [str(name)[:200] for name in raw]})
    return text.encode("utf-8", "replace").decode()[:RAW_LIMIT]


def _shortened(value: object) -> object:
    return value[:RAW_LIMIT] if isinstance(value, str) else value
