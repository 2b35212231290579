"""What do the item-to-item sources share? Turning a log into steps, neighbour lists, and the k best of an array.

A *step* is what one shopper did at one moment: a click, or a whole basket (same user, session and time: its items have
no order among themselves). `Neighbours` is a sparse item x item matrix cut to the best few columns a row: flat arrays
that a snapshot maps into memory. Cost: `spread` touches only the lists of its seeds (200 entries each).
Not for: anything that knows what a source means; sources do not import each other, only this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bodega.errors import SnapshotCorrupt
from bodega.schema import EVENT_CODES, Context, Log
from bodega.schema.arrays import NO_INTS, Doubles, Flags, Floats, Ints, Longs
from bodega.schema.table import mapped

Facts = TypeVar("Facts", bound=msgspec.Struct)

STRENGTH: dict[str, float] = {"view": 0.2, "click": 0.3, "cart": 0.6, "purchase": 1.0, "rating": 1.0}
"""How much one event says that the shopper wants the item; a purchase is 1. Other types say nothing of the kind."""

SLICED = 512
"""Up to so many lists are copied one by one (each lies in one piece), more are gathered entry by entry."""

LIKED_STARS = 3.0
"""A rating counts as interest from here on (see `schema.INTEREST`)."""

_STRENGTH_OF_CODE = np.array([STRENGTH.get(name, 0.0) for name in EVENT_CODES], np.float32)


def strength(types: NDArray[np.int8]) -> Floats:
    """How much each event says "I want this", 0 to 1; shape of `types` (event codes)."""
    return _STRENGTH_OF_CODE[types]


def interest(log: Log) -> Log:
    """The events of known items that say somebody wanted them, order kept."""
    keep = (log.item >= 0) & (strength(log.type) > 0)
    rating = log.type == EVENT_CODES["rating"]
    return log.where(keep & (~rating | (log.value >= LIKED_STARS)))


def only(log: Log, names: tuple[str, ...]) -> Log:
    """The events of the named types."""
    return log.where(np.isin(log.type, [EVENT_CODES[name] for name in names]))


@dataclass(frozen=True, eq=False)
class Steps:
    """What shoppers did, in order: row r of `held` (csr, ones) has the items of one step, `user[r]` (int32) did it,
    beginning at `time[r]` (seconds since 1970).

    The rows of one user are neighbours and in order of time.
    """

    held: sparse.csr_matrix
    user: Ints
    time: Doubles

    @classmethod
    def of(cls, log: Log, n_items: int, *, by_session: bool = False) -> Steps:
        """Steps of a log of interest. `by_session` makes one step of a whole visit or basket.

        The same item twice in a row within one session (viewed, put into the cart, bought) counts once.
        """
        time = np.zeros(len(log)) if by_session else log.time
        keys = (log.item, time, log.session, log.user) if by_session else (log.item, log.session, time, log.user)
        order = np.lexsort(keys)
        order = order[_changes(log.user[order], log.session[order], log.item[order])]
        user, item = log.user[order], log.item[order]
        starts = np.flatnonzero(_changes(user, log.session[order], time[order]))
        ends = np.append(starts, len(item)).astype(np.int32)
        held = sparse.csr_matrix((np.ones(len(item), np.float32), item, ends), shape=(len(starts), n_items))
        held.sum_duplicates()
        return cls(held, user[starts], np.minimum.reduceat(log.time[order], starts) if len(starts) else log.time[:0])

    def __len__(self) -> int:
        return len(self.user)

    @property
    def sizes(self) -> Floats:
        """Items a step: (n_steps,)."""
        sizes: Floats = np.diff(self.held.indptr).astype(np.float32)
        return sizes


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Item i points to `items[starts[i]:starts[i+1]]` (int32, ascending) with positive `weights` (float32)."""

    starts: Longs
    items: Ints
    weights: Floats

    def __len__(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def cut(cls, blocks: Iterable[sparse.csr_matrix], top: int) -> Neighbours:
        """The `top` largest positive entries of each row (ties: lower item); blocks are consecutive rows."""
        kept = [_best_of_rows(block, top) for block in blocks]
        lengths = np.concatenate([np.zeros(1, np.int64), *(np.diff(block.indptr) for block in kept)])
        items = np.concatenate([np.empty(0, np.int32), *(block.indices.astype(np.int32) for block in kept)])
        weights = np.concatenate([np.empty(0, np.float32), *(block.data.astype(np.float32) for block in kept)])
        return cls(np.cumsum(lengths), items, weights)

    def placed(self, items: Ints, n_items: int) -> Neighbours:
        """The same lists where item r was row r of `items` (ascending) in a catalog of `n_items`."""
        lengths = np.zeros(n_items + 1, np.int64)
        lengths[items + 1] = np.diff(self.starts)
        return Neighbours(np.cumsum(lengths), items[self.items], self.weights)

    def spread(self, seeds: Ints, weights: Floats) -> Floats:
        """Sum over the seeds of weight x row: float32 (n_items,), NaN where no seed points to the item."""
        items, own, lengths = self._of(seeds)
        share = own * np.repeat(weights, lengths)
        total = np.bincount(items, weights=share, minlength=len(self)).astype(np.float32)
        total[total == 0] = np.nan
        return total

    def led_to(self, seeds: Ints, weights: Floats) -> tuple[Ints, Floats]:
        """`spread` where it is not NaN: (items ascending, sums), without numbers for the rest of the catalog."""
        items, own, lengths = self._of(seeds)
        found, place = numbered(items, len(self))
        share = own * np.repeat(weights, lengths)
        total = np.bincount(place, weights=share, minlength=len(found)).astype(np.float32)
        some = total != 0
        return (found, total) if some.all() else (found[some], total[some])

    def lists(self, seeds: Ints) -> tuple[Ints, Floats, Longs]:
        """(items, weights) of the lists of these seeds, one list after the other, and how long each is."""
        return self._of(seeds)

    def _of(self, seeds: Ints) -> tuple[Ints, Floats, Longs]:
        """(items, weights) of the lists of these seeds, one list after the other, and how long each is."""
        if len(seeds) > SLICED:
            flat, lengths = flat_rows(self.starts, seeds)
            return self.items[flat], self.weights[flat], lengths
        first, last = self.starts[seeds], self.starts[seeds + 1]
        spans = [slice(low, high) for low, high in zip(first.tolist(), last.tolist(), strict=True)]
        if not spans:
            return NO_INTS, np.empty(0, np.float32), np.empty(0, np.int64)
        items = np.concatenate([self.items[span] for span in spans])
        weights = np.concatenate([self.weights[span] for span in spans])
        return items, weights, (last - first).astype(np.int64)

    def reached(self, seeds: Ints, weights: Floats, items: Ints) -> Floats:
        """`spread` at these items only: (len(items),), without an array over the catalog."""
        near, own, lengths = self._of(seeds)
        out = np.full(len(items), np.nan, np.float32)
        if len(items) == 0 or len(near) == 0:
            return out
        order = np.argsort(items, kind="stable")
        ascending = items[order]
        place = np.minimum(np.searchsorted(ascending, near), len(items) - 1)
        hit = ascending[place] == near
        share = (own * np.repeat(weights, lengths))[hit]
        total = np.bincount(place[hit], weights=share, minlength=len(items)).astype(np.float32)
        total[total == 0] = np.nan
        out[order] = total[np.searchsorted(ascending, ascending)]  # an item may be asked twice
        return out

    def led_by(self, seeds: Ints, weights: Floats, items: Ints, limit: int) -> Ints:
        """For each item the `limit` seeds that gave `spread` most of its score: (len(items), limit), -1 = no more."""
        flat, lengths = flat_rows(self.starts, seeds)
        owner = np.repeat(np.arange(len(seeds)), lengths)
        ordered = np.argsort(items, kind="stable")
        place = np.minimum(np.searchsorted(items[ordered], self.items[flat]), max(len(items) - 1, 0))
        out = np.full((len(items), limit), -1, np.int32)
        if len(items) == 0 or len(flat) == 0:
            return out
        hit = items[ordered][place] == self.items[flat]
        place, owner, flat = ordered[place[hit]], owner[hit], flat[hit]
        order = np.lexsort((seeds[owner], -self.weights[flat] * weights[owner], place))
        place, owner = place[order], owner[order]
        rank = np.arange(len(place)) - np.searchsorted(place, place, "left")
        best = rank < limit
        out[place[best], rank[best]] = seeds[owner[best]]
        return out

    def lengths(self, rows: Ints) -> Longs:
        """How many neighbours each of these items has."""
        return self.starts[rows + 1] - self.starts[rows]

    def save(self, folder: Path, name: str) -> None:
        save_arrays(folder, {f"{name}.{part}": getattr(self, part) for part in ("starts", "items", "weights")})

    @classmethod
    def load(cls, folder: Path, name: str) -> Neighbours:
        """Raises SnapshotCorrupt where a weight is not finite (one NaN would reach every list it is part of), or
        where the lists are cut short or point to items that are not there."""
        starts, items, weights = (mapped(folder / f"{name}.{part}.npy") for part in ("starts", "items", "weights"))
        whole = len(starts) > 0 and starts[0] == 0 and starts[-1] == len(items) == len(weights)
        lists = whole and bool((np.diff(starts) >= 0).all())
        if not lists or not np.isfinite(weights.sum(dtype=np.float64)) or _strangers(items, len(starts) - 1):
            raise SnapshotCorrupt(
                "the neighbour lists of a model cannot be used",
                where=str(folder / f"{name}.weights.npy"),
                allowed="finite weights of items of the catalog, one list an item",
                got="NaN or infinity" if lists and not _strangers(items, len(starts) - 1) else "lists that do not fit",
                next="bodega learn",
            )
        return cls(starts, items, weights)


def checked(path: Path) -> NDArray[Any]:
    """An array of numbers, memory-mapped. Raises SnapshotCorrupt where one is not finite."""
    array = mapped(path)
    if not np.isfinite(array.sum(dtype=np.float64)):
        raise SnapshotCorrupt(
            "the numbers of a model cannot be used",
            where=str(path),
            allowed="finite numbers",
            got="NaN or infinity",
            next="bodega learn",
        )
    return array


def _strangers(items: Ints, n_items: int) -> bool:
    return len(items) > 0 and not 0 <= int(items.min()) <= int(items.max()) < n_items


def numbered(items: Ints, size: int) -> tuple[Ints, Ints]:
    """(distinct items ascending, the place of each entry among them): `np.unique` with its inverse, without sorting
    the repeats. Items lie in 0 to `size` - 1. 4,000 entries over 92,000 items: 40 us against 90."""
    slot = np.empty(size, np.int32)  # not cleared: only places that were written are read
    places = np.arange(len(items), dtype=np.int32)
    slot[items] = places
    found = np.sort(items[slot[items] == places])
    slot[found] = places[: len(found)]
    return found, slot[items]


def distinct(items: Ints) -> Ints:
    """Each once, ascending: a tenth of the time of `np.unique` for some hundred."""
    held = np.sort(items)
    return held[np.concatenate([[True], held[1:] != held[:-1]])] if len(held) else held


def at(found: Ints, scores: Floats, items: Ints) -> Floats:
    """The scores of these items, NaN where they are not among `found` (ascending): (len(items),)."""
    out = np.full(len(items), np.nan, np.float32)
    if len(found):
        place = np.minimum(np.searchsorted(found, items), len(found) - 1)
        hit = np.flatnonzero(found[place] == items)
        out[hit] = scores[place[hit]]
    return out


def flat_rows(starts: NDArray[Any], rows: Ints) -> tuple[Longs, Longs]:
    """Where the entries of these rows of a csr structure lie, row after row, and how many each row has."""
    first = starts[rows]
    lengths = (starts[rows + 1] - first).astype(np.int64)
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(first - (ends - lengths), lengths), lengths


def step_weights(context: Context, decay: float, *, least: float = 0.05) -> tuple[Ints, Floats]:
    """The history as seeds: weight decay^(steps before the newest), what falls under `least` is left out.

    Events of one moment (a basket) are one step.
    """
    times = context.times
    if not len(times):
        return context.history, np.empty(0, np.float32)
    back = np.zeros(len(times), np.int64)
    back[:-1] = np.cumsum((times[1:] != times[:-1])[::-1])[::-1]
    first = int(np.searchsorted(-back, -np.log(least) / np.log(decay), side="left")) if 0 < decay < 1 else 0
    return context.history[first:], (decay ** back[first:]).astype(np.float32)


def top_k(scores: Floats, k: int) -> Ints:
    """Indices of the k largest scores, best first; NaN never, ties by the lower index."""
    rows = np.flatnonzero(scores == scores)  # NaN is not equal to itself
    if 0 < k < len(rows):
        values = scores[rows]
        least = np.partition(values, len(values) - k)[len(values) - k]
        above = rows[values > least]
        rows = np.concatenate([above, rows[values == least][: k - len(above)]])
    return rows[np.argsort(-scores[rows], kind="stable")][: max(k, 0)].astype(np.int32)


def item_blocks(work: NDArray[Any], limit: float = 8e6) -> Iterator[tuple[int, int]]:
    """Consecutive [low, high) ranges of items whose summed work stays near `limit` (8e6 products: ~200 MB)."""
    total = np.cumsum(work, dtype=np.float64)
    low = 0
    while low < len(work):
        base = total[low - 1] if low else 0.0
        high = max(low + 1, int(np.searchsorted(total, base + limit, side="right")))
        yield low, high
        low = high


def save_arrays(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Each array as `<name>.npy`: equal arrays give equal bytes."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array))


def save_facts(folder: Path, facts: msgspec.Struct) -> None:
    (folder / "facts.json").write_bytes(msgspec.json.encode(facts, order="sorted"))


def load_facts(folder: Path, kind: type[Facts]) -> Facts:
    return msgspec.json.decode((folder / "facts.json").read_bytes(), type=kind)


def _changes(*columns: NDArray[Any]) -> Flags:
    """True where any column differs from the row before; the first row is a change."""
    out = np.ones(len(columns[0]), np.bool_)
    out[1:] = False
    for column in columns:
        out[1:] |= column[1:] != column[:-1]
    return out


def _best_of_rows(block: sparse.csr_matrix, top: int) -> sparse.csr_matrix:
    """The block with only the `top` largest positive entries of each row, in order of the columns.

    What is cut is not sorted first: it is ten times as much as what stays.
    """
    keep = block.data > 0
    for row in np.flatnonzero(np.diff(block.indptr) > top):
        part = slice(block.indptr[row], block.indptr[row + 1])
        values = block.data[part]
        least = np.partition(values, len(values) - top)[len(values) - top]
        best = values > least
        tied = np.flatnonzero(values == least)
        spare = top - int(np.count_nonzero(best))
        best[tied[np.argsort(block.indices[part][tied])[:spare]]] = True
        keep[part] &= best
    lengths = np.add.reduceat(np.append(keep, False), block.indptr[:-1]) if len(block.indptr) > 1 else np.empty(0)
    lengths = np.where(np.diff(block.indptr) > 0, lengths, 0)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(block.indptr.dtype)
    kept = sparse.csr_matrix((block.data[keep], block.indices[keep], starts), shape=block.shape)
    kept.sort_indices()
    return kept
