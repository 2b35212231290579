"""A folder of public behaviour data as the benchmarks need it: `sequences.txt`, `item2attributes.json`, `items.tsv`.

`sequences.txt` has one user a line: the user, then the items in time order. The other two files are optional and only
widen the catalog and give titles, tags and ASINs. Item indices are a seeded shuffle of the ids: files number items in
order of first appearance, and any tie broken by index would then find test items.

`ties="shuffled"`: these files carry no dates; their times are days, and what was bought on one day is ordered by ASIN.
Which neighbours share a day is not known, but it can only be neighbours whose ASIN goes up. So every maximal run of
neighbours with ascending ASIN (the item id where there is no `items.tsv`) is shuffled, seeded, before the split. That
destroys all order that the sort by ASIN could have made, and some true order between days (two items of different
days ascend by chance half the time). It also makes another item the last one, hence another test: compare models under
one treatment of ties, never a model's figures across the two.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from bodega.bench.result import data_hash
from bodega.errors import BadFeed, BadRequest
from bodega.evaluation import Case, check_no_leak, leave_last_out
from bodega.schema import Item, ItemTable, Log, World
from bodega.schema.arrays import Ints, Longs

FILES = ("sequences.txt", "item2attributes.json", "items.tsv")


@dataclass(frozen=True, eq=False)
class Sequences:
    """The data, resolved: `sequences[u]` are item indices (rows of `items`) in time order."""

    items: ItemTable
    sequences: list[Ints]
    digest: str
    moved: int
    """Events that `ties="shuffled"` may have moved (they stand in a run of two or more)."""

    tie_key: str
    """What `ties="shuffled"` takes for the order inside a day: "ASIN", or "item id" where no ASIN is known."""

    @cached_property
    def repeats(self) -> bool:
        """Does anybody have an item twice?"""
        return any(len(np.unique(own)) < len(own) for own in self.sequences)

    @property
    def n_events(self) -> int:
        return sum(len(sequence) for sequence in self.sequences)

    def held_out(
        self, back: int, seed: int, limit: int | None = None, among: Sequence[Ints] | None = None
    ) -> tuple[Log, list[Case]]:
        """(what may be learnt, the cases in seeded order, at most `limit`), proved free of leaks: the last item of each
        shopper (`back` 0: the test) or the one before it (1: the validation) is asked for. `among`: only these
        shoppers.

        What a shopper already has is masked, unless in this data people take things again.
        """
        kept = [own for own in (self.sequences if among is None else among) if len(own) > back + 1]
        log, cases = leave_last_out(kept, back=back, mask_seen=not self.repeats)
        if not cases:
            raise BadRequest(
                "no shopper has enough items", where="sequences.txt", allowed="at least 3 items for some shopper"
            )
        check_no_leak(log, cases)
        order = np.random.default_rng([seed, back]).permutation(len(cases))[:limit]
        return log, [cases[row] for row in order]

    def world(self, log: Log) -> World:
        """The catalog and this log, a minute after its last event."""
        return World(self.items, log, until=float(log.time[-1]) + 60.0)

    def first_seen(self) -> Longs:
        """Number of the event in which each item appears first, in the order of the file: (n_items,)."""
        flat = np.concatenate(self.sequences)
        first = np.full(len(self.items), len(flat), np.int64)
        seen, at = np.unique(flat, return_index=True)
        first[seen] = at
        return first


def read_sequences(folder: Path, *, ties: str = "file", seed: int = 7) -> Sequences:
    """Read and check a folder. Raises BadFeed with the file and line that cannot be used."""
    path = folder / FILES[0]
    if not path.is_file():
        raise BadFeed(
            "this folder holds no behaviour sequences",
            where=str(folder),
            allowed="a folder with sequences.txt (user, then items in time order; one user a line)",
            next="give such a folder with --data",
        )
    lines = _lines(path)
    tags, described = _attributes(folder / FILES[1]), _described(folder / FILES[2])
    ids = sorted({item for line in lines for item in line} | set(tags) | set(described))
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(ids))
    table = ItemTable.of(
        Item(id=ids[row], title=described.get(ids[row], ("", ""))[1], tags=tuple(tags.get(ids[row], ())))
        for row in order
    )
    sequences = [table.rows(line) for line in lines]
    moved = 0
    if ties == "shuffled":
        key = np.array([described.get(ids[row], ("", ""))[0] or ids[row].zfill(12) for row in order])
        place = np.empty(len(ids), np.int64)
        place[np.argsort(key, kind="stable")] = np.arange(len(ids))
        shuffled = [shuffle_runs(sequence, place, rng) for sequence in sequences]
        sequences, moved = [run for run, _ in shuffled], sum(count for _, count in shuffled)
    present = [folder / name for name in FILES if (folder / name).is_file()]
    tie_key = "ASIN" if any(asin for asin, _ in described.values()) else "item id"
    return Sequences(table, sequences, data_hash(*present), moved, tie_key)


def shuffle_runs(sequence: Ints, place: Longs, rng: np.random.Generator) -> tuple[Ints, int]:
    """Shuffle every maximal run whose `place` ascends; returns the sequence and how many events stood in such a run."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(place[sequence]) < 0) + 1]).astype(np.int64)
    run = np.repeat(np.arange(len(starts)), np.diff([*starts, len(sequence)]))
    sizes = np.bincount(run)
    return sequence[np.lexsort((rng.random(len(sequence)), run))], int(sizes[sizes > 1].sum())


def _lines(path: Path) -> list[Sequence[str]]:
    lines: list[Sequence[str]] = []
    with path.open(encoding="utf-8-sig") as file:
        for number, text in enumerate(file, 1):
            fields = text.split()
            if len(fields) == 1:
                raise BadFeed(
                    "a user without items", where=f"{path}:{number}", allowed="user item item ...", got=text.strip()
                )
            if fields:
                lines.append(fields[1:])
    if not lines:
        raise BadFeed("the file is empty", where=str(path), allowed="user item item ..., one user a line")
    return lines


def _attributes(path: Path) -> dict[str, list[str]]:
    if not path.is_file():
        return {}
    try:
        held = msgspec.json.decode(path.read_bytes(), type=dict[str, list[str | int]])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BadFeed(
            "the attributes cannot be read", where=str(path), allowed='{"item": [attribute, ...]}', got=str(error)
        ) from error
    return {item: [str(attribute) for attribute in attributes] for item, attributes in held.items()}


def _described(path: Path) -> dict[str, tuple[str, str]]:
    """{item id: (asin, title)} from items.tsv; a column that is not there is empty."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {row["item_id"]: (row.get("asin") or "", row.get("title") or "") for row in rows if row.get("item_id")}
