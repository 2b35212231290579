"""Which columns of this catalog hold sizes, and which values lie in a range? What "55 inch" is looked up in.

Idea: numeric columns that end in a base unit ("screen_size_cm", made from "55 inch" when a catalog is read) are kept
sorted; columns of words are scanned once for values that are amounts ("128 GB"). An amount of a query goes to the
column in which most items lie within its range. Clothing and shoe sizes are the words of columns called size.

Cost: 8 bytes an item and such column; a lookup takes 5 microseconds.
Not for: recognising amounts in a query (`sizes`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.feeds.mapping import plain
from bodega.schema import ItemTable
from bodega.schema.table import RESERVED, mapped
from bodega.understanding import language
from bodega.understanding.query.colours import is_colour_field
from bodega.understanding.query.units import Worth

MOST_VALUES = 5_000
"""A column with more different words holds texts, not sizes."""
_SIZE_NAMES = "size sizes shoesize clothingsize dresssize bottomsize eusize ussize uksize 尺码 尺寸 鞋码 码数 号型 大小"
SIZE_COLUMNS = frozenset(_SIZE_NAMES.split())
_AMOUNT = re.compile(r"\s*([0-9]{1,7}(?:\.[0-9]{1,3})?)\s*-?\s*([^\W\d_][^\d]{0,12}|[\"″])\s*\Z")
_BASES = ("cm", "g", "ml", "count", "gb", "w", "v", "mah", "hz")


class Fit(NamedTuple):
    """Where an amount is looked up: a numeric field, or the values of a field of words."""

    field: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Words:
    """A column of words that are amounts: sorted by amount, with how many items have each."""

    field: str
    base: str
    amount: NDArray[np.float64]
    count: NDArray[np.int64]
    values: tuple[str, ...]


class _Facts(msgspec.Struct, frozen=True):
    numbers: dict[str, str]
    """{numeric column: base unit}."""
    words: list[tuple[str, str, list[float], list[int], list[str]]]
    sizes: dict[str, dict[str, list[str]]]
    """{column of sizes: {size as folded: values as written}}."""


class Measures:
    """The columns of sizes of one catalog."""

    def __init__(self, facts: _Facts, sorted_numbers: dict[str, NDArray[np.float32]]) -> None:
        self._facts = facts
        self._numbers = sorted_numbers
        self._words = [
            _Words(field, base, np.array(amount, np.float64), np.array(count, np.int64), tuple(values))
            for field, base, amount, count, values in facts.words
        ]

    @classmethod
    def learn(cls, items: ItemTable, worths: Worth) -> Self:
        numbers: dict[str, str] = {}
        held: dict[str, NDArray[np.float32]] = {}
        for name in sorted(items.numbers):
            base = name.rpartition("_")[2]
            known = np.sort(items.numbers[name][~np.isnan(items.numbers[name])])
            if name != "price" and base in _BASES and "_" in name and len(known):
                numbers[name], held[name] = base, known
        words, sizes = [], {}
        for name in sorted(items.coded):
            column = items.coded[name]
            if not 0 < len(column.vocabulary) <= MOST_VALUES or name in RESERVED or is_colour_field(name):
                continue
            count = np.bincount(column.codes, minlength=len(column.vocabulary))
            if plain(name) in SIZE_COLUMNS:
                sizes[name] = _sizes(list(column.vocabulary))
            words += _amounts(name, list(column.vocabulary), count, worths, set(numbers))
        return cls(_Facts(numbers, words, sizes), held)

    def fit(self, base: str, low: float | None, high: float | None) -> Fit:
        """The field where most items lie in [low, high] (base units), or an empty one where no item does."""
        least, most = -np.inf if low is None else low, np.inf if high is None else high
        best, best_count = Fit(), 0
        for name, unit in self._facts.numbers.items():
            if unit == base:
                count = int(
                    np.diff(
                        np.searchsorted(
                            self._numbers[name], [np.float32(least), np.nextafter(np.float32(most), np.float32(np.inf))]
                        )
                    )[0]
                )
                if count > best_count:
                    best, best_count = Fit(name), count
        for column in self._words:
            if column.base == base:
                first, last = np.searchsorted(column.amount, [least, np.nextafter(most, np.inf)])
                count = int(column.count[first:last].sum())
                if count > best_count:
                    best, best_count = Fit(column.field, column.values[first:last]), count
        return best

    def size(self, said: str) -> Fit:
        """The values of a column of sizes that are this size ("42", "xl"), or an empty fit."""
        for field, values in self._facts.sizes.items():
            if said in values:
                return Fit(field, tuple(values[said]))
        return Fit()

    @property
    def sized(self) -> bool:
        """Does the catalog have a column of clothing or shoe sizes?"""
        return bool(self._facts.sizes)

    def save(self, folder: Path) -> None:
        (folder / "measures.json").write_bytes(msgspec.json.encode(self._facts, order="sorted"))
        for number, name in enumerate(sorted(self._numbers)):
            np.save(folder / f"measures.{number}.npy", self._numbers[name])

    @classmethod
    def load(cls, folder: Path) -> Self:
        facts = msgspec.json.decode((folder / "measures.json").read_bytes(), type=_Facts)
        held = {name: mapped(folder / f"measures.{n}.npy") for n, name in enumerate(sorted(facts.numbers))}
        return cls(facts, held)


def _sizes(vocabulary: Sequence[str]) -> dict[str, list[str]]:
    """{the size as people type it: values}: "EU 42" and "42" are both found by "42"."""
    found: dict[str, list[str]] = {}
    for value in vocabulary:
        words = language.words(value)
        if 0 < len(words) <= 3:
            for key in {"".join(words), words[-1] if words[0] in ("eu", "us", "uk", "size") else "".join(words)}:
                found.setdefault(key, []).append(value)
    return found


def _amounts(
    name: str, vocabulary: Sequence[str], count: NDArray[np.int64], worths: Worth, numeric: set[str]
) -> list[tuple[str, str, list[float], list[int], list[str]]]:
    """The values of a column that are amounts, by base unit; what has a numeric twin already is left out."""
    rows: dict[str, list[tuple[float, int, str]]] = {}
    for code, value in enumerate(vocabulary):
        match = _AMOUNT.match(value.casefold())
        worth = worths.get(match[2].strip().rstrip(".")) if match else None
        if match and worth and worth[1] in _BASES:
            rows.setdefault(worth[1], []).append((float(match[1]) * worth[0], int(count[code]), value))
    out = []
    for base, held in sorted(rows.items()):
        if not any(other.endswith(f"_{base}") and other.startswith(plain(name)[:4]) for other in numeric):
            held.sort()
            out.append((name, base, [row[0] for row in held], [row[1] for row in held], [row[2] for row in held]))
    return out
