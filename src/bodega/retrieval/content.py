"""What is like this, to read? Items whose titles and attributes share rare words; needs no events at all.

Every item is a bag of its title's tokens and of its attribute values (brand, category levels, ...), weighted by how
rare they are; items are near when the cosine of their bags is high. The nearest of each are kept and spread from the
newest things a shopper wanted. It is weak alone and the strongest partner: where nobody had two items together,
item-to-item models are blind (49 % of Beauty's test targets), and words are not. Items that arrive between two learns
are scored by the same bags (`beside`): a new item joins the page of what it is like at once.
Cost: the pairs of items that share a token, bounded by leaving out the most frequent tokens; learned once a catalog.
Not for: meaning behind other words (a text encoder does that), or what people do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bodega.retrieval._index import Neighbours, item_blocks, load_facts, save_arrays, save_facts
from bodega.retrieval._item_to_item import Asked, ItemToItem, nobody, seeds_of
from bodega.schema import Coded, Context, ItemTable, World
from bodega.schema.arrays import Doubles, Floats
from bodega.schema.table import Texts, mapped
from bodega.understanding.language import tokens

LEFT_OUT = ("kind", "size")
"""Columns that say how an item is sold, not what it is."""


class ContentOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Chosen on Beauty's validation items (docs/log.md)."""

    attributes: float = 0.5
    """Weight of attribute values against title words."""
    history_decay: float = 0.7
    """Weight of a seed for each step that it lies before the newest one."""
    pairs: float = 1e8
    """At most this many pairs of items that share a token: the most frequent tokens are left out beyond it."""
    top: int = 100


class Content(ItemToItem):
    """Nearest items by words and attributes.

    Answers: home (from the history), similar (from the anchors), any list that has seeds.
    Needs: titles. Good for: new and rare items, substitutes. Not for: complements, taste beyond words.
    Cost: see the top of the file; a request reads 100 entries a seed. Relations: `lexical` finds items by a query with
    the same tokens; `transition` and `collaborative` know what people do. Paper: Salton & Buckley 1988 (tf-idf cosine).
    """

    name = "content"

    def __init__(self, options: ContentOptions | None = None) -> None:
        self.options = options or ContentOptions()
        super().__init__()
        self.near = nobody()
        self.bags = _Bags.none()
        self._newer: sparse.csr_matrix | None = None
        """Bags of newer items (`beside`): then `near` and `bags` are the snapshot's, and answers are among these."""

    def fit(self, world: World) -> Self:
        self._forget()
        self.bags = _Bags.of(world.items, self.options)
        self.near = Neighbours.cut(_cosine(_shared(self.bags.rows)), self.options.top)
        return self

    def beside(self, table: ItemTable) -> Content:
        """The same over newer items, by the words and rarities of the snapshot. Item numbers are those of `table`."""
        small = Content(self.options)
        small.near, small.bags, small._newer = self.near, self.bags, self.bags.reading(table)
        small.alone = False  # newer items are in no list
        return small

    def save(self, folder: Path) -> None:
        self.near.save(folder, "near")
        self.bags.save(folder)
        save_facts(folder, self.options)

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        source = cls(load_facts(folder, ContentOptions))
        source.near = Neighbours.load(folder, "near")
        source.bags = _Bags.load(folder, items)
        return source

    def because(self, context: Context, items: NDArray[np.int32], limit: int) -> NDArray[np.int32]:
        if self._newer is not None:
            return np.full((len(items), limit), -1, np.int32)
        return super().because(context, items, limit)

    def _scores(self, context: Context) -> Floats:
        if self._newer is None:
            return super()._scores(context)
        scores = np.zeros(self._newer.shape[0], np.float32)
        for seed, weight in zip(*seeds_of(context, self.options.history_decay), strict=True):
            cosine = np.asarray((self._newer @ self.bags.rows[int(seed)].T).todense(), np.float32).ravel()
            known = self.near.weights[self.near.starts[seed] : self.near.starts[seed + 1]]
            least = (
                known.min() if len(known) >= self.options.top else 0.0
            )  # who would not have made its list is no match
            scores += np.where(cosine >= least, cosine * weight, 0)
        scores[scores == 0] = np.nan
        return scores

    def _asked(self, context: Context) -> Asked:
        return self.near, *seeds_of(context, self.options.history_decay)


@dataclass(frozen=True, eq=False)
class _Bags:
    """The catalog as bags, and what it takes to make one of a new item: the words, the values, and how rare each is."""

    rows: sparse.csr_matrix
    """Items x (words, attribute values): idf weights, rows of length 1; then the most frequent columns emptied."""
    rare: Floats
    """(columns,): weight of each word and value."""
    words: Texts
    columns: tuple[tuple[str, Texts], ...] = ()
    """(attribute, its values), in the order of the columns that follow the words."""

    @classmethod
    def none(cls) -> Self:
        return cls(sparse.csr_matrix((0, 0), dtype=np.float32), np.empty(0, np.float32), Texts.of([]))

    @classmethod
    def of(cls, items: ItemTable, options: ContentOptions) -> Self:
        words = Coded.of(_worded(items))
        named = _attributes(items)
        flags = sparse.hstack([_values(words), *(_values(items.coded[name]) for name, _ in named)], format="csr")
        rare = _rarity(flags)
        rare[len(words.vocabulary) :] *= np.float32(options.attributes)
        rows = _unit(_weighed(flags, rare))
        return cls(_affordable(rows, options.pairs), rare, words.vocabulary, named)

    def reading(self, table: ItemTable) -> sparse.csr_matrix:
        """Bags of other items; a word that the snapshot does not know counts in their length alone."""
        empty = Coded(np.zeros(len(table) + 1, np.int32), np.empty(0, np.int32), Texts.of([]))
        held = [Coded.of(_worded(table)), *(table.coded.get(name, empty) for name, _ in self.columns)]
        parts = [self._known(column, code_of) for column, code_of in zip(held, self._code_of, strict=True)]
        flags = sparse.hstack([part for part, _ in parts], format="csr", dtype=np.float32)
        strange = parts[0][1] * np.log1p(self.rows.shape[0]) ** 2
        rows = _weighed(flags, self.rare)
        owner = np.repeat(np.arange(len(table)), np.diff(rows.indptr))
        length = np.sqrt(np.bincount(owner, weights=rows.data.astype(np.float64) ** 2, minlength=len(table)) + strange)
        rows.data /= np.maximum(length, 1e-12)[owner].astype(np.float32)
        return rows

    def save(self, folder: Path) -> None:
        arrays = {"starts": self.rows.indptr, "items": self.rows.indices, "weights": self.rows.data}
        save_arrays(folder, {f"bags.{name}": array for name, array in arrays.items()})
        save_arrays(folder, {"rare": self.rare, "words.blob": self.words.blob, "words.offsets": self.words.offsets})

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        starts, columns, weights = (mapped(folder / f"bags.{name}.npy") for name in ("starts", "items", "weights"))
        rare = mapped(folder / "rare.npy")
        words = Texts(mapped(folder / "words.blob.npy"), mapped(folder / "words.offsets.npy"))
        rows = sparse.csr_matrix((weights, columns, starts), shape=(len(starts) - 1, len(rare)), copy=False)
        return cls(rows, rare, words, _attributes(items))

    @cached_property
    def _code_of(self) -> list[dict[str, int]]:
        """{word or value: its column within its part}, part by part; built once, when the first new item arrives."""
        return [{text: code for code, text in enumerate(part)} for part in (self.words, *(p for _, p in self.columns))]

    @staticmethod
    def _known(column: Coded, code_of: Mapping[str, int]) -> tuple[sparse.csr_matrix, Doubles]:
        """(items x the snapshot's codes, 1 where the item has it; how many it has that the snapshot does not know)."""
        codes = np.array([code_of.get(value, -1) for value in column.vocabulary], np.int32)[column.codes]
        n_items = len(column.starts) - 1
        owner = np.repeat(np.arange(n_items), np.diff(column.starts))
        known = codes >= 0
        ones = np.ones(np.count_nonzero(known), np.float32)
        flags = sparse.csr_matrix((ones, (owner[known], codes[known])), shape=(n_items, len(code_of)))
        return flags, np.bincount(owner[~known], minlength=n_items).astype(np.float64)


def _attributes(items: ItemTable) -> tuple[tuple[str, Texts], ...]:
    return tuple((name, items.coded[name].vocabulary) for name in sorted(items.coded) if name not in LEFT_OUT)


def _worded(items: ItemTable) -> list[list[str]]:
    """The different words of every title, in order of the alphabet."""
    return [sorted(set(tokens(title))) for title in items.titles]


def _values(column: Coded) -> sparse.csr_matrix:
    ones = np.ones(len(column.codes), np.float32)
    shape = (len(column.starts) - 1, len(column.vocabulary))
    return sparse.csr_matrix((ones, column.codes, column.starts), shape=shape)


def _rarity(flags: sparse.csr_matrix) -> Floats:
    """log(1 + items / items that have it), for each column."""
    frequency = np.bincount(flags.indices, minlength=flags.shape[1])
    rare: Floats = np.log1p(flags.shape[0] / np.maximum(frequency, 1)).astype(np.float32)
    return rare


def _weighed(flags: sparse.csr_matrix, rare: Floats) -> sparse.csr_matrix:
    return sparse.csr_matrix((rare[flags.indices], flags.indices, flags.indptr), shape=flags.shape)


def _unit(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    length = np.sqrt(np.bincount(owner, weights=rows.data.astype(np.float64) ** 2, minlength=rows.shape[0]))
    rows.data /= np.maximum(length, 1e-12)[owner].astype(np.float32)
    return rows


def _affordable(bags: sparse.csr_matrix, pairs: float) -> sparse.csr_matrix:
    """The bags without their most frequent columns: the rarest ones up to the bound on pairs stay."""
    frequency = np.bincount(bags.indices, minlength=bags.shape[1]).astype(np.float64)
    order = np.argsort(frequency, kind="stable")
    keep = np.zeros(bags.shape[1], np.bool_)
    keep[order[np.cumsum(frequency[order] ** 2) <= pairs]] = True
    bags.data[~keep[bags.indices]] = 0
    bags.eliminate_zeros()
    return bags


def _shared(bags: sparse.csr_matrix) -> sparse.csr_matrix:
    """The columns that lead anywhere: in two items or more."""
    frequency = np.bincount(bags.indices, minlength=bags.shape[1])
    return bags[:, frequency > 1].tocsr()


def _cosine(bags: sparse.csr_matrix) -> Iterator[sparse.csr_matrix]:
    """Blocks of rows of the cosine matrix, without the diagonal."""
    frequency = np.bincount(bags.indices, minlength=bags.shape[1]).astype(np.float64)
    flags = sparse.csr_matrix((np.ones(len(bags.data)), bags.indices, bags.indptr), shape=bags.shape)
    columns = bags.T.tocsr()
    for low, high in item_blocks(flags @ frequency + 1):
        block = sparse.csr_matrix(bags[low:high] @ columns)
        owner = np.repeat(np.arange(low, high), np.diff(block.indptr))
        block.data[owner == block.indices] = 0
        yield block
