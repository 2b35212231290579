"""What is like this, to read? Items whose titles and attributes share rare words; needs no events at all.

Every item is a bag of its title's tokens and of its attribute values (brand, category levels, ...), weighted by how
rare they are; items are near when the cosine of their bags is high. The nearest of each are kept and spread from the
newest things a shopper wanted. It is weak alone and the strongest partner: where nobody had two items together,
item-to-item models are blind (49 % of Beauty's test targets), and words are not.
Cost: the pairs of items that share a token, bounded by leaving out the most frequent tokens; learned once a catalog.
Not for: meaning behind other words (a text encoder does that), or what people do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from scipy import sparse

from bodega.retrieval._index import Neighbours, item_blocks, load_facts, save_facts
from bodega.retrieval._item_to_item import Asked, ItemToItem, nobody, seeds_of
from bodega.schema import Coded, Context, ItemTable, World
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

    def fit(self, world: World) -> Self:
        self._forget()
        bags = _bags(world.items, self.options)
        self.near = Neighbours.cut(_cosine(_affordable(bags, self.options.pairs)), self.options.top)
        return self

    def save(self, folder: Path) -> None:
        self.near.save(folder, "near")
        save_facts(folder, self.options)

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        del items
        source = cls(load_facts(folder, ContentOptions))
        source.near = Neighbours.load(folder, "near")
        return source

    def _asked(self, context: Context) -> Asked:
        return self.near, *seeds_of(context, self.options.history_decay)


def _bags(items: ItemTable, options: ContentOptions) -> sparse.csr_matrix:
    """Items x (words, attribute values): idf weights, rows of length 1."""
    parts = [_rare(_words(items))]
    named = [items.coded[name] for name in sorted(items.coded) if name not in LEFT_OUT]
    parts += [_rare(_values(column)) * np.float32(options.attributes) for column in named]
    return _unit(sparse.hstack(parts, format="csr", dtype=np.float32))


def _words(items: ItemTable) -> sparse.csr_matrix:
    """Items x title words, 1 where the title has the word; words in order of the alphabet."""
    held = [sorted(set(tokens(title))) for title in items.titles]
    return _values(Coded.of(held))


def _values(column: Coded) -> sparse.csr_matrix:
    ones = np.ones(len(column.codes), np.float32)
    shape = (len(column.starts) - 1, len(column.vocabulary))
    return sparse.csr_matrix((ones, column.codes, column.starts), shape=shape)


def _rare(flags: sparse.csr_matrix) -> sparse.csr_matrix:
    """Each entry weighted by log(1 + items / items that have it)."""
    frequency = np.bincount(flags.indices, minlength=flags.shape[1])
    weight = np.log1p(flags.shape[0] / np.maximum(frequency, 1)).astype(np.float32)
    return sparse.csr_matrix((weight[flags.indices], flags.indices, flags.indptr), shape=flags.shape)


def _unit(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    length = np.sqrt(np.bincount(owner, weights=rows.data.astype(np.float64) ** 2, minlength=rows.shape[0]))
    rows.data /= np.maximum(length, 1e-12)[owner].astype(np.float32)
    return rows


def _affordable(bags: sparse.csr_matrix, pairs: float) -> sparse.csr_matrix:
    """The columns that lead anywhere: in two items or more, and the rarest ones up to the bound on pairs."""
    frequency = np.bincount(bags.indices, minlength=bags.shape[1]).astype(np.float64)
    order = np.argsort(frequency, kind="stable")
    keep = np.zeros(bags.shape[1], np.bool_)
    keep[order[np.cumsum(frequency[order] ** 2) <= pairs]] = True
    return bags[:, keep & (frequency > 1)].tocsr()


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
