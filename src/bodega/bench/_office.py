"""Amazon Office 2018 as the cold-start benchmark needs it: `items.jsonl.gz`, `valid.csv`, `test.csv`.

The items come in through the catalog import, as any shop's would: descriptions hold raw HTML and lists as Python
prints them, and what is learned here is what the cleaning leaves of them. The two CSV files hold windows of at most ten
items a user (`user_id, history_item_ids, target_item_id`, old to new) with a target each; the windows of one user slide
by one. The training file of the source could not be had, so sources learn from the histories: for validation from each
user's first window in `valid.csv`, for the test from everything in it. `test.csv` is later (for all 588 users of both
its first window ends with their last target). Item rows are a seeded shuffle. Not for: dates (there are none).
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bodega.adapters.sql import SqlStore
from bodega.bench.result import data_hash
from bodega.catalog import ItemOptions, import_items
from bodega.errors import BadFeed
from bodega.evaluation import Case
from bodega.evaluation.splits import sequence_log
from bodega.protocols import ImportReport
from bodega.schema import EVENT_CODES, Context, ItemTable, Log
from bodega.schema.arrays import Ints

ITEMS, VALID, TEST = "items.jsonl.gz", "valid.csv", "test.csv"
MAPPING = {"id": "item_id", "title": "title", "description": "description", "brand": "brand", "category": "categories"}
STEP = 60.0
LATER = 1e9
"""Seconds at which every case begins: after everything that is learned from."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One line of `valid.csv` or `test.csv`: what a user had, old to new, and what came next."""

    user: str
    history: Ints
    target: int


@dataclass(frozen=True, eq=False)
class Office:
    """The data, resolved to rows of `items`."""

    items: ItemTable
    valid: list[Row]
    test: list[Row]
    imported: ImportReport
    digest: str
    dropped: int
    """Lines whose target or whole history the catalog does not hold."""


def is_office(folder: Path) -> bool:
    """Does this folder hold the three files?"""
    return all((folder / name).is_file() for name in (ITEMS, VALID, TEST))


def read_office(folder: Path, *, seed: int = 7) -> Office:
    """Import the items, read both files. Raises BadFeed with the file and line that cannot be used."""
    with tempfile.TemporaryDirectory() as own, SqlStore.open(f"sqlite:///{own}/items.db") as store:
        report = import_items(folder / ITEMS, store.catalog, store.dead, ItemOptions(limit=1.0, mapping=MAPPING))
        held = list(store.catalog.scan())
    order = np.random.default_rng(seed).permutation(len(held))
    table = ItemTable.of(held[row] for row in order)
    valid, lost = _rows(folder / VALID, table)
    test, lost_too = _rows(folder / TEST, table)
    paths = [folder / name for name in (ITEMS, VALID, TEST)]
    return Office(table, valid, test, report, data_hash(*paths), lost + lost_too)


def history_log(rows: list[Row], *, targets: bool) -> Log:
    """What may be learned from the lines of one file: each user's first window, and then, with `targets`, what came
    next. (Windows slide: a line's target is the newest item of the user's next line.) Without targets it holds
    nothing that any line asks for, though later lines know more than it."""
    known: dict[str, list[int]] = {}
    for row in rows:
        own = known.setdefault(row.user, row.history.tolist())
        if targets:
            own.append(row.target)
    return sequence_log([np.asarray(own, np.int32) for own in known.values()], STEP)


def cases(rows: list[Row], *, first_only: bool = False) -> list[Case]:
    """One case a line; `first_only` keeps only the newest item of each history: a shopper of one click.

    People take things again here (2 % of the targets: ink, paper): nothing is masked. Times begin after everything
    that is learned.
    """
    made = []
    for row in rows:
        history = row.history[-1:] if first_only else row.history
        context = Context(
            place="home",
            now=LATER + len(history) * STEP,
            history=history,
            times=LATER + np.arange(len(history), dtype=np.float64) * STEP,
            actions=np.full(len(history), EVENT_CODES["purchase"], np.int8),
        )
        made.append(Case(context, np.array([row.target], np.int32)))
    return made


def _rows(path: Path, table: ItemTable) -> tuple[list[Row], int]:
    """(lines that can be used, how many cannot)."""
    rows, lost = [], 0
    for number, line in enumerate(_lines(path), 2):
        try:
            user, history, target = line["user_id"], line["history_item_ids"].split(), line["target_item_id"].strip()
        except (KeyError, AttributeError) as error:
            raise BadFeed(
                "this line is not a user, a history and a target",
                where=f"{path}:{number}",
                allowed="user_id,history_item_ids,target_item_id",
                got=str(line)[:200],
            ) from error
        known = table.rows(history)
        row = table.index.get(target)
        if row is None or not len(known):
            lost += 1
        else:
            rows.append(Row(user, known, row))
    if not rows:
        raise BadFeed("no line of this file can be used", where=str(path), allowed="items that items.jsonl.gz holds")
    return rows, lost


def _lines(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)
