"""How well does an item match these words? BM25F over a compact forward index: for each item, its terms and how much
each weighs in it.

Idea: the fields of an item are added up *before* saturation (a word in title and description is one word, seen better),
then saturated once with k1 = .3: short titles say a thing once, so a second mention means little. The saturated weight
("impact") of every (item, term) is stored; a query only gathers its terms' impacts and multiplies by idf.
Scores are exact and the same whoever found the item.

Cost: 8 bytes an (item, term) pair; 1,000 items of 25 terms are scored in about .3 ms.
Paper: Robertson, Zaragoza, Taylor 2004, "Simple BM25 extension to multiple weighted fields".
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodega.schema import Item, Texts
from bodega.schema.table import mapped
from bodega.understanding import language

FIELDS = ("title", "brand", "category", "attributes", "description")
BLOCK = 100_000
"""Items whose impacts are computed at once: 200 MB."""
SAID = (5, 5, 5, 5, 1)
"""People search with the words of titles: one in a description counts a fifth."""
CODE_NAMES = frozenset(
    {"sku", "upc", "ean", "gtin", "gtin8", "gtin12", "gtin13", "gtin14", "mpn", "isbn", "asin", "barcode"}
)
CODE_MARK = "="
"""First character of the terms that stand for a whole id or article number."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The dials of BM25F, chosen on generated queries (see docs/decisions/0005-lexical.md); one number a field."""

    k1: float = 0.3
    field: tuple[float, ...] = (1.0, 0.5, 0.4, 0.3, 0.15)
    b: tuple[float, ...] = (0.6, 0.0, 0.3, 0.5, 0.6)
    coverage: float = 2.0
    """The score is multiplied by (share of the query's idf that the item holds) to this power."""


@dataclass(frozen=True, slots=True)
class Read:
    """The texts of items as term numbers, field by field; what an index is built from."""

    terms: Texts
    """Sorted vocabulary."""
    codes: tuple[NDArray[np.int32], ...]
    """For each field, the terms of all items one after the other."""
    lengths: tuple[NDArray[np.int32], ...]
    """For each field, how many of them each item has: (n_items,)."""
    marks: tuple[NDArray[np.int32], NDArray[np.int32]]
    """(item, term) pairs of ids and article numbers."""
    surfaces: dict[str, int]
    """{word as written (folded): how often} over all fields; see `SAID`."""


@dataclass(frozen=True, slots=True, eq=False)
class Forward:
    """Item i holds `terms[starts[i]:starts[i+1]]` (sorted) with `impact` of the same rows; `df` counts items a term."""

    starts: NDArray[np.int64]
    terms: NDArray[np.int32]
    impact: NDArray[np.float32]
    df: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def of(cls, read: Read, weights: Weights, averages: Sequence[float]) -> Forward:
        """`averages` are the mean lengths of the fields, those of the main index for a small one beside it."""
        n_items = len(read.lengths[0])
        ends = [np.concatenate([[0], np.cumsum(lengths)]) for lengths in read.lengths]
        sizes, terms, impact = [np.zeros(1, np.int64)], [np.empty(0, np.int32)], [np.empty(0, np.float32)]
        for low in range(0, n_items, BLOCK):
            high = min(low + BLOCK, n_items)
            codes = [read.codes[field][ends[field][low] : ends[field][high]] for field in range(len(FIELDS))]
            lengths = [read.lengths[field][low:high] for field in range(len(FIELDS))]
            marked = slice(*np.searchsorted(read.marks[0], [low, high]).tolist())
            marks = read.marks[0][marked] - low, read.marks[1][marked]
            part = Read(read.terms, tuple(codes), tuple(lengths), marks, {})
            size, term, value = _impacts(part, weights, averages)
            sizes.append(size)
            terms.append(term)
            impact.append(value)
        starts, every = np.cumsum(np.concatenate(sizes)), np.concatenate(terms)
        count = np.bincount(every, minlength=len(read.terms)).astype(np.int32)
        return cls(starts, every, np.concatenate(impact), count)

    def gather(self, rows: NDArray[np.integer], wanted: NDArray[np.int32]) -> NDArray[np.float32]:
        """Impact of the `wanted` terms (without repeats) in these items: (len(rows), len(wanted)), 0 where absent."""
        out = np.zeros((len(rows), len(wanted)), np.float32)
        first = self.starts[rows]
        lengths = self.starts[np.asarray(rows) + 1] - first
        ends = np.cumsum(lengths)
        if len(wanted) == 0 or len(rows) == 0 or ends[-1] == 0:
            return out
        flat = np.arange(ends[-1]) + np.repeat(first - (ends - lengths), lengths)
        # zeros come from the system unwritten, so that a vocabulary of a million terms costs nothing here
        slot = np.zeros(len(self.df), np.uint8 if len(wanted) < 255 else np.int32)
        slot[wanted] = np.arange(1, len(wanted) + 1)
        found = slot[self.terms[flat]]
        hit = np.flatnonzero(found)
        owner = np.searchsorted(ends, hit, side="right")
        out[owner, found[hit].astype(np.intp) - 1] = self.impact[flat[hit]]
        return out

    def save(self, folder: Path) -> None:
        for name in ("starts", "terms", "impact", "df"):
            np.save(folder / f"forward.{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> Forward:
        return cls(*(mapped(folder / f"forward.{name}.npy") for name in ("starts", "terms", "impact", "df")))


def _impacts(
    read: Read, weights: Weights, averages: Sequence[float]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """(how many terms each item has, the terms, their impacts) of a block of items."""
    n_items, n_terms = len(read.lengths[0]), max(1, len(read.terms))
    keys, parts = [], []
    for field, codes in enumerate(read.codes):
        owner = np.repeat(np.arange(n_items, dtype=np.int64), read.lengths[field])
        key, count = np.unique(owner * n_terms + codes, return_counts=True)
        relative = read.lengths[field][key // n_terms] / max(averages[field], 1e-9)
        b = weights.b[field]
        keys.append(key)
        parts.append(weights.field[field] * count / (1.0 - b + b * relative))
    key, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    total = np.bincount(inverse, weights=np.concatenate(parts), minlength=len(key))
    marks = np.unique(read.marks[0].astype(np.int64) * n_terms + read.marks[1])
    key = np.concatenate([key, marks])
    impact = np.concatenate([total / (weights.k1 + total), np.ones(len(marks))])
    order = np.argsort(key, kind="stable")
    key, impact = key[order], impact[order].astype(np.float32)
    sizes = np.bincount(key // n_terms, minlength=n_items)
    return sizes, (key % n_terms).astype(np.int32), impact


def read(items: Iterable[Item]) -> Read:
    """Cut the texts of all items into terms."""
    number: dict[str, int] = {}
    codes = [array("i") for _ in FIELDS]  # 4 bytes a word, where a list takes 36
    lengths = [array("i") for _ in FIELDS]
    marked: list[tuple[int, int]] = []
    surfaces: dict[str, int] = {}
    for row, item in enumerate(items):
        for field, text in enumerate(texts(item)):
            before = len(codes[field])
            if text:
                for whole, parts in language.chunks(text):
                    for word in (*parts, whole) if whole else parts:
                        surfaces[word] = surfaces.get(word, 0) + SAID[field]
                        codes[field].append(number.setdefault(language.stem(word), len(number)))
            lengths[field].append(len(codes[field]) - before)
        marked.extend((row, number.setdefault(code, len(number))) for code in sorted(code_terms(item)))
    names = sorted(number)
    place = np.empty(max(1, len(number)), np.int32)
    place[[number[name] for name in names]] = np.arange(len(names))
    pairs = np.array(marked, np.int32).reshape(-1, 2)
    return Read(
        terms=Texts.of(names),
        codes=tuple(place[np.array(field, np.int32)] for field in codes),
        lengths=tuple(np.array(field, np.int32) for field in lengths),
        marks=(pairs[:, 0], place[pairs[:, 1]]),
        surfaces={word: -(-count // SAID[0]) for word, count in surfaces.items()},
    )


def texts(item: Item) -> tuple[str, ...]:
    """The text of each of FIELDS. Numbers and flags are left to filters; a flag that is on counts by its name."""
    said = [*item.tags, *item.options.values()]
    for name, value in item.attributes.items():
        if isinstance(value, str):
            said.append(value)
        elif isinstance(value, list):
            said.extend(value)
        elif value is True:
            said.append(name)
    return item.title, item.brand, " ".join(item.category), " ".join(said), item.description


def code_terms(item: Item) -> set[str]:
    """The id and every article number of an item as terms."""
    numbers = [item.id, *(str(value) for name, value in item.attributes.items() if name.lower() in CODE_NAMES)]
    return {code_term(number) for number in numbers} - {CODE_MARK}


def code_term(text: str) -> str:
    """An id as a term: case, blanks, hyphens and leading zeros make no difference."""
    return CODE_MARK + "".join(text.casefold().replace("-", "").split())[:100].lstrip("0")
