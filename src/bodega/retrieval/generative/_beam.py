"""Which items does the decoder write? Beam search over the ids that exist.

Level by level the best `beam` paths are kept; a path leads only where the trie has children, and never to items that
must not come (they are blocked inside the beam: filtered afterwards, a shopper with a long history would be left with
an empty list). Below the last code the leaf's digits tell its items apart. The score of an item is the log of its exact
probability under the model: the sum over its path. Items that the beam does not reach have no score: the source has no
opinion of them. Cost: about 2 ms for a beam of 100. Not for: learning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodega.retrieval._index import flat_rows
from bodega.retrieval.generative._network import Decoder, log_softmax
from bodega.retrieval.generative._trie import NEW, Trie
from bodega.schema.arrays import NO_INTS, Floats, Ints, Longs


@dataclass(frozen=True, eq=False)
class Written:
    """Items, ascending, and the log-probability of each (float32)."""

    items: Ints
    score: Floats

    def of(self, items: Ints) -> Floats:
        """The score of these items, NaN where they were not reached."""
        out = np.full(len(items), np.nan, np.float32)
        if len(self.items):
            at = np.minimum(np.searchsorted(self.items, items), len(self.items) - 1)
            hit = self.items[at] == items
            out[hit] = self.score[at[hit]]
        return out


NOTHING = Written(NO_INTS, np.empty(0, np.float32))


def search(trie: Trie, decoder: Decoder, beam: int, leaves: int, forbidden: Ints) -> Written:
    """The items below the best paths; `beam` paths at every level, `leaves` at the last."""
    if not len(trie):
        return NOTHING
    blocked = trie.blocked(forbidden)
    nodes = np.empty(0, np.int64)
    paths = np.empty((1, 0), np.int32)
    score = np.zeros(1, np.float32)
    for level in range(trie.levels):
        chance = log_softmax(decoder.logits(level, paths))
        if level:
            nodes, owner = trie.children(level - 1, nodes)
        else:
            nodes, owner = np.arange(len(trie.code[0])), np.zeros(len(trie.code[0]), np.int64)
        code = trie.code[level][nodes]
        score = score[owner] + chance[owner, code]
        kept = _best(score, beam if level + 1 < trie.levels else leaves, _free(nodes, blocked[level]))
        nodes, score = nodes[kept], score[kept]
        paths = np.concatenate([paths[owner[kept]], code[kept, None]], axis=1)
        if not len(nodes):
            return NOTHING
    return _opened(trie, decoder, (nodes, paths, score), forbidden)


def _opened(trie: Trie, decoder: Decoder, found: tuple[Longs, Ints, Floats], forbidden: Ints) -> Written:
    """The items of the leaves, each with its digit's part of the leaf's probability."""
    leaves, paths, score = found
    flat, lengths = flat_rows(trie.starts[-1], leaves.astype(np.int32))
    owner = np.repeat(np.arange(len(leaves)), lengths)
    total = score[owner] + trie.share[flat]
    several = np.flatnonzero(trie.old[leaves] > 1)
    if len(several):
        logits = decoder.logits(trie.levels, paths[several])
        out_of = np.arange(logits.shape[1]) >= trie.old[leaves[several], None]
        chance = log_softmax(np.where(out_of, np.float32(-1e9), logits))
        row = np.full(len(leaves), -1, np.int64)
        row[several] = np.arange(len(several))
        told = np.flatnonzero((row[owner] >= 0) & (trie.digit[flat] != NEW))
        total[told] += chance[row[owner[told]], trie.digit[flat[told]]]
    items = trie.items[flat]
    if len(forbidden):
        keep = ~np.isin(items, forbidden)
        items, total = items[keep], total[keep]
    order = np.argsort(items, kind="stable")
    return Written(items[order], total[order].astype(np.float32))


def _free(nodes: Longs, blocked: Longs) -> np.ndarray | None:
    return None if not len(blocked) else ~np.isin(nodes, blocked)


def _best(score: Floats, most: int, free: np.ndarray | None) -> Longs:
    """Rows of the largest scores among the free ones, in the order of the rows; ties: the lower row."""
    rows = np.arange(len(score)) if free is None else np.flatnonzero(free)
    if len(rows) > most:
        rows = rows[np.sort(np.argsort(-score[rows], kind="stable")[:most])]
    return rows
