"""The catalog as columns: how the engine holds 100 items or 10 million.

Texts are one blob of UTF-8 plus offsets, so a table is a handful of flat arrays: memory-mapped from a snapshot,
shared between worker processes, equal bytes for equal catalogs. Everything a filter or a facet asks about is coded:
a `Coded` column holds, for each item, zero or more codes into a sorted vocabulary.
Cost: about 150 bytes an item beside its own JSON. Not for: reading single items by id (the catalog store does).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.schema.nouns import Item

PATH_SEPARATOR = " > "

LARGEST = float(np.finfo(np.float32).max)

RESERVED = frozenset({"brand", "category", "seller", "kind", "tags", "price", "available"})
"""Field names with a meaning of their own: an attribute of the same name does not replace them."""


@dataclass(frozen=True, eq=False)
class Texts(Sequence[str]):
    """n texts as one blob of UTF-8 and n + 1 offsets."""

    blob: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Iterable[str | bytes]) -> Texts:
        parts = [text.encode() if isinstance(text, str) else text for text in texts]
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        return cls(np.frombuffer(b"".join(parts), np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def raw(self, row: int) -> bytes:
        return bytes(self._view[self._starts[row] : self._starts[row + 1]])

    def some(self, rows: Iterable[int]) -> list[bytes]:
        """`raw` of several rows."""
        view, starts = self._view, self._starts
        return [bytes(view[starts[row] : starts[row + 1]]) for row in rows]

    def __getitem__(self, row: int) -> str:  # type: ignore[override]
        size = len(self.offsets) - 1
        if not -size <= row < size:
            raise IndexError(row)
        return self.raw(row if row >= 0 else row + size).decode()

    @cached_property
    def _view(self) -> memoryview:
        """The blob as Python slices it: nearly twice as fast as slicing the array."""
        return self.blob.data

    @cached_property
    def _starts(self) -> memoryview:
        return self.offsets.data

    def __iter__(self) -> Iterator[str]:
        whole, ends = self.blob.tobytes(), self.offsets.tolist()
        return (whole[start:end].decode() for start, end in pairwise(ends))


@dataclass(frozen=True, eq=False)
class Coded:
    """Zero or more codes an item: item i has `codes[starts[i]:starts[i+1]]`, each a row of `vocabulary` (sorted)."""

    starts: NDArray[np.int32]
    codes: NDArray[np.int32]
    vocabulary: Texts

    @classmethod
    def of(cls, values: Sequence[Sequence[str]]) -> Coded:
        words = sorted({word for row in values for word in row})
        code = {word: number for number, word in enumerate(words)}
        starts = np.zeros(len(values) + 1, np.int32)
        np.cumsum([len(row) for row in values], out=starts[1:])
        codes = np.fromiter((code[word] for row in values for word in row), np.int32, int(starts[-1]))
        return cls(starts, codes, Texts.of(words))

    @cached_property
    def code_of(self) -> dict[str, int]:
        return {word: code for code, word in enumerate(self.vocabulary)}

    def having(self, wanted: NDArray[np.bool_], items: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which of the items carry a wanted code (`wanted`: bool, (n_codes,)): bool, (len(items),)."""
        if self.most(items):
            flags = np.zeros(len(self.starts) - 1, np.bool_)
            flags[self.owner[wanted[self.codes]]] = True
            return flags[items]
        flags = np.zeros(len(items), np.bool_)
        owner, codes = self.flat(items)
        flags[owner[wanted[codes]]] = True
        return flags

    def flat(self, items: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """(place in `items`, code) of every code of these items."""
        first = self.starts[items].astype(np.int64)
        lengths = self.starts[items + 1] - first
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        owner = np.repeat(np.arange(len(items)), lengths)
        return owner, self.codes[np.arange(total) + np.repeat(first - (ends - lengths), lengths)]

    def most(self, items: NDArray[np.int32]) -> bool:
        """Are these so many that one pass over the whole column is cheaper? (From a tenth: 4 ms against .5.)"""
        return 10 * len(items) > len(self.starts) - 1

    @cached_property
    def parents(self) -> NDArray[np.int64]:
        """For a column of paths (an item's codes go from the root down): the code above each code, -1 for a root."""
        nested = self.owner[1:] == self.owner[:-1]
        above = np.full(len(self.vocabulary), -1, np.int64)
        above[self.codes[1:][nested]] = self.codes[:-1][nested]
        return above

    def first(self) -> NDArray[np.int32]:
        """The first code of each item, -1 where it has none: (n_items,)."""
        out = np.full(len(self.starts) - 1, -1, np.int32)
        some = self.starts[1:] > self.starts[:-1]
        out[some] = self.codes[self.starts[:-1][some]]
        return out

    @cached_property
    def owner(self) -> NDArray[np.int32]:
        """The item of each entry of `codes`."""
        return np.repeat(np.arange(len(self.starts) - 1, dtype=np.int32), np.diff(self.starts))


class _Grouped(msgspec.Struct):
    """The part of an item that names its variant group."""

    group: str = ""


class Rows(Mapping[str, int]):
    """{id: row} of a table in two flat arrays: the ids' hashes in order, and whose they are.

    A look-up writes to nothing but what it makes, so processes that were forked go on sharing all of it; one in a
    dictionary marks the very id that it finds, and 5,000 look-ups later each process has a copy of every id.
    Cost: 12 bytes an id instead of 150; a look-up takes 1.5 us instead of .1 to .6.
    """

    def __init__(self, ids: Texts) -> None:
        hashes = np.fromiter(map(hash, ids), np.int64, len(ids))
        order = np.argsort(hashes, kind="stable").astype(np.int32)
        self._ids = ids
        self._hashes = hashes[order].data
        self._rows = order.data

    def __getitem__(self, name: str) -> int:
        row: int | None = self.get(name)
        if row is None:
            raise KeyError(name)
        return row

    def get(self, name: object, default: Any = None) -> Any:
        """The row of an id; of one that is there twice the last, as in a dictionary."""
        if not isinstance(name, str):
            return default
        wanted = hash(name)
        at = bisect_right(self._hashes, wanted) - 1
        while at >= 0 and self._hashes[at] == wanted:
            if self._ids[self._rows[at]] == name:
                return self._rows[at]
            at -= 1
        return default

    def __contains__(self, name: object) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


_GROUPED = re.compile(rb'"group":"')


@dataclass(frozen=True, eq=False)
class ItemTable:
    """The catalog as columns; row = item index. `coded` holds brand, category, seller, kind, tags and text attributes
    (each under its own name), `numbers` holds price and numeric attributes (NaN where unknown)."""

    ids: Texts
    titles: Texts
    documents: Texts
    """Each item as JSON (what a page shows)."""
    group: NDArray[np.int32]
    """Variant group; an item without variants is its own group."""
    available: NDArray[np.bool_]
    created: NDArray[np.float64]
    """Seconds since 1970 UTC; NaN unknown."""
    coded: Mapping[str, Coded]
    numbers: Mapping[str, NDArray[np.float32]]
    opened: bool = False
    """Was it mapped from a snapshot? Then processes may share it."""

    @classmethod
    def of(cls, items: Iterable[Item]) -> ItemTable:
        """Columns from items, in the order given (the caller's order is the item index)."""
        rows = list(items)
        encode = msgspec.json.Encoder(order="sorted").encode
        groups = {name: row for row, name in reversed(list(enumerate(item.group or f"\0{item.id}" for item in rows)))}
        return cls(
            ids=Texts.of(item.id for item in rows),
            titles=Texts.of(item.title for item in rows),
            documents=Texts.of(encode(item) for item in rows),
            group=np.fromiter((groups[item.group or f"\0{item.id}"] for item in rows), np.int32, len(rows)),
            available=np.fromiter((item.available for item in rows), np.bool_, len(rows)),
            created=np.fromiter(
                (item.created.timestamp() if item.created else np.nan for item in rows), np.float64, len(rows)
            ),
            coded=_coded_columns(rows),
            numbers=_number_columns(rows),
        )

    def __len__(self) -> int:
        return len(self.ids.offsets) - 1

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Item id -> row."""
        if self.opened:
            return Rows(self.ids)
        return {name: row for row, name in enumerate(self.ids)}

    def rows(self, ids: Iterable[str]) -> NDArray[np.int32]:
        """The rows of the known ids among `ids`, in their order."""
        known = [row for name in ids if (row := self.index.get(name)) is not None]
        return np.asarray(known, np.int32)

    def item(self, row: int) -> Item:
        return msgspec.json.decode(self.documents.raw(row), type=Item)

    @cached_property
    def named_groups(self) -> dict[str, int]:
        """Name of a variant group -> its number in `group`. Reads all documents once: 60 ms at 100,000."""
        places = [found.start() for found in _GROUPED.finditer(self.documents.blob.data)]
        rows = np.unique(np.searchsorted(self.documents.offsets, places, side="right") - 1).tolist()
        named = {row: msgspec.json.decode(self.documents.raw(row), type=_Grouped).group for row in rows}
        return {name: int(self.group[row]) for row, name in named.items() if name}

    @cached_property
    def leaf_category(self) -> NDArray[np.int32]:
        """Code of the deepest category (a row of `coded["category"].vocabulary`), -1 without one: (n_items,)."""
        column = self.coded["category"]
        out = np.full(len(self), -1, np.int32)
        some = column.starts[1:] > column.starts[:-1]
        out[some] = column.codes[column.starts[1:][some] - 1]
        return out

    def save(self, folder: Path) -> None:
        """Write flat `.npy` files and one sorted JSON of names; equal tables give equal bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        names = {"coded": sorted(self.coded), "numbers": sorted(self.numbers)}
        (folder / "columns.json").write_bytes(msgspec.json.encode(names, order="sorted"))
        for name in ("ids", "titles", "documents"):
            _save_texts(folder, name, getattr(self, name))
        for name in ("group", "available", "created"):
            np.save(folder / f"{name}.npy", getattr(self, name))
        for number, name in enumerate(names["coded"]):
            column = self.coded[name]
            np.save(folder / f"coded{number}.starts.npy", column.starts)
            np.save(folder / f"coded{number}.codes.npy", column.codes)
            _save_texts(folder, f"coded{number}.words", column.vocabulary)
        for number, name in enumerate(names["numbers"]):
            np.save(folder / f"number{number}.npy", self.numbers[name])

    @classmethod
    def load(cls, folder: Path) -> ItemTable:
        """Memory-map what `save` wrote."""
        names = msgspec.json.decode((folder / "columns.json").read_bytes(), type=dict[str, list[str]])
        return cls(
            ids=_load_texts(folder, "ids"),
            titles=_load_texts(folder, "titles"),
            documents=_load_texts(folder, "documents"),
            group=mapped(folder / "group.npy"),
            available=mapped(folder / "available.npy"),
            created=mapped(folder / "created.npy"),
            coded={
                name: Coded(
                    mapped(folder / f"coded{number}.starts.npy"),
                    mapped(folder / f"coded{number}.codes.npy"),
                    _load_texts(folder, f"coded{number}.words"),
                )
                for number, name in enumerate(names["coded"])
            },
            numbers={name: mapped(folder / f"number{n}.npy") for n, name in enumerate(names["numbers"])},
            opened=True,
        )


def mapped(path: Path) -> NDArray[Any]:
    """A `.npy` file as a read-only memory map (an empty array cannot be mapped and is read)."""
    small = path.stat().st_size <= 4096
    array = np.load(path, mmap_mode=None if small else "r", allow_pickle=False)
    return np.asarray(array)


def _save_texts(folder: Path, name: str, texts: Texts) -> None:
    np.save(folder / f"{name}.blob.npy", texts.blob)
    np.save(folder / f"{name}.offsets.npy", texts.offsets)


def _load_texts(folder: Path, name: str) -> Texts:
    return Texts(mapped(folder / f"{name}.blob.npy"), mapped(folder / f"{name}.offsets.npy"))


def category_paths(category: tuple[str, ...]) -> list[str]:
    """A path as the names of all its levels: ("Shoes", "Trail") -> ["Shoes", "Shoes > Trail"]."""
    return [PATH_SEPARATOR.join(category[: depth + 1]) for depth in range(len(category))]


def _coded_columns(rows: list[Item]) -> dict[str, Coded]:
    fixed: dict[str, Sequence[Sequence[str]]] = {
        "brand": [(item.brand,) if item.brand else () for item in rows],
        "category": [tuple(category_paths(item.category)) for item in rows],
        "seller": [(item.seller,) if item.seller else () for item in rows],
        "kind": [(item.kind,) for item in rows],
        "tags": [tuple(sorted(set(item.tags))) for item in rows],
    }
    columns = {name: Coded.of(values) for name, values in fixed.items()}
    sparse: dict[str, dict[int, set[str]]] = {}
    for row, item in enumerate(rows):
        for name, value in (*item.attributes.items(), *item.options.items()):
            if name not in RESERVED and not _is_number(value):
                texts = value if isinstance(value, list) else [str(value)]
                sparse.setdefault(name, {}).setdefault(row, set()).update(texts)
    for name, held in sparse.items():
        columns[name] = Coded.of([sorted(held.get(row, ())) for row in range(len(rows))])
    return columns


def _number_columns(rows: list[Item]) -> dict[str, NDArray[np.float32]]:
    columns = {"price": np.full(len(rows), np.nan, np.float32)}
    for row, item in enumerate(rows):
        if item.price is not None:
            columns["price"][row] = _float32(item.price)
        for name, value in item.attributes.items():
            if name not in RESERVED and _is_number(value):
                if name not in columns:
                    columns[name] = np.full(len(rows), np.nan, np.float32)
                columns[name][row] = _float32(value)
    return columns


def _float32(value: object) -> float:
    """NaN for what a float32 cannot hold: no shop filters by 1e39."""
    number = float(value)  # type: ignore[arg-type]
    return number if abs(number) <= LARGEST else np.nan


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
