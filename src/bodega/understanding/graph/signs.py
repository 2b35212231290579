"""What speaks for a link? The signs that a head and a candidate tail show, as numbers.

The embedding's score; how many tails of like heads the candidate is (`neighbours`); how often it is a tail at all;
whether its category follows the head's; likeness of words, and of meaning and looks where vectors are handed in; what
nodes both share; price. All are read from known links only. Cost: n_candidates x n_signs numbers a head, .3 ms at
5,000 candidates. Not for: how much each counts (`linking`).
Paper: Liben-Nowell & Kleinberg 2007 (signs of missing links).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from scipy import sparse

from bodega.schema import ItemTable
from bodega.schema.arrays import Floats, Ints
from bodega.understanding import language
from bodega.understanding.graph.embedding import Embedding, EmbeddingOptions, Triples, embed
from bodega.understanding.graph.graph import KnowledgeGraph
from bodega.understanding.graph.kinds import BELONGS, CODE, RELATIONS

SIGNS = ("embedding", "neighbours", "often", "category", "words", "shared", "price", "dearer")
"""The signs every catalog has; vectors that are handed in add theirs (`meaning`, `looks`)."""


OF_GRAPH = frozenset({"embedding", "neighbours", "often", "category", "shared", "price", "dearer"})
"""Those that need no likeness of words, meaning or looks."""


class LinkOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Chosen on validation links (docs/decisions/0042-knowledge-graph.md)."""

    pool: int = 5_000
    """Candidates: at most so many items, those that are tails most often first."""
    like: int = 10
    """Heads that resemble a head, whose tails are its `neighbours`."""
    ridge: float = 1.0
    """Shrinks the weights of the logit; in links."""
    fewest: int = 20
    heads: int = 2_000
    held_out: float = 0.2
    """Share of the known links that the weights are learned from; the signs are made without them, then with."""
    likes_items: int = 20_000
    """Beyond so many items no heads are compared with all others: `neighbours` says nothing."""
    """Links that the weights are learned from, at most."""
    embedding: EmbeddingOptions = EmbeddingOptions()


@dataclass(frozen=True, eq=False)
class Signs:
    """Everything that the signs of any head are read from. Made of known links only."""

    items: ItemTable
    embedding: Embedding
    words: sparse.csr_matrix
    """Items x words: rows of length 1."""
    traits: sparse.csr_matrix
    """Items x nodes that are no items: 1 / log(1 + reach), rows as they are."""
    links: Mapping[str, sparse.csr_matrix]
    """{relation: items x items}, weights."""
    likes: sparse.csr_matrix
    """Items x items: the few most alike by words and traits."""
    vectors: Mapping[str, Floats] = field(default_factory=dict)
    """{sign: (n_items, d)}, rows of length 1 or 0."""

    @classmethod
    def of(
        cls,
        items: ItemTable,
        graph: KnowledgeGraph,
        options: LinkOptions,
        *,
        relations: Sequence[str],
        vectors: Mapping[str, Floats] | None = None,
        embedding: Embedding | None = None,
    ) -> Signs:
        """Learn the embedding (unless given) and lay out what the signs are read from."""
        words, traits = bags(items), _traits(graph)
        seen = dict(vectors or {})
        return cls(
            items,
            embedding or embed(triples_of(graph), (len(graph), len(RELATIONS)), options.embedding),
            words,
            traits,
            {name: graph.between(name) for name in relations},
            _likes([words, _unit(traits)], options.like if len(items) <= options.likes_items else 0),
            seen,
        )

    @property
    def names(self) -> tuple[str, ...]:
        return (*SIGNS, *self.vectors)

    def of_heads(self, relation: str, heads: Ints, pool: Ints) -> Floats:
        """(len(heads), len(pool), n_signs) float32; each sign comparable between the candidates of one head."""
        links = self.links[relation]
        often = np.log1p(np.asarray(links.getnnz(axis=0), np.float32))[pool]
        by_like = np.asarray((self.likes[heads] @ links)[:, pool].todense(), np.float32)
        price = np.nan_to_num(np.log(np.maximum(self.items.numbers["price"], 0.01)), nan=0.0)
        gap = price[pool][None, :] - price[heads][:, None]
        gap = np.where((price[pool] == 0)[None, :] | (price[heads] == 0)[:, None], 0.0, gap)
        signs = [
            scaled(self.embedding.score(heads, CODE[relation], pool)),
            np.log1p(10 * by_like),
            np.broadcast_to(often, (len(heads), len(pool))),
            self._category(relation, heads, pool),
            np.asarray((self.words[heads] @ self.words[pool].T).todense(), np.float32),
            scaled(np.asarray((self.traits[heads] @ self.traits[pool].T).todense(), np.float32)),
            np.abs(gap),
            gap,
            *(vectors[heads] @ vectors[pool].T for vectors in self.vectors.values()),
        ]
        return np.stack([np.asarray(sign, np.float32) for sign in signs], axis=2)

    def _category(self, relation: str, heads: Ints, pool: Ints) -> Floats:
        """log of how much likelier a tail's category is after the head's than by itself."""
        leaf = self.items.leaf_category + 1
        pairs = self.links[relation].tocoo()
        n = int(leaf.max(initial=0)) + 1
        flow = np.zeros((n, n), np.float32) if n <= 2_000 else None
        if flow is None:  # thousands of categories: same or not
            return np.asarray(leaf[heads][:, None] == leaf[pool][None, :], np.float32)
        np.add.at(flow, (leaf[pairs.row], leaf[pairs.col]), 1.0)
        base = flow.sum(axis=0) + 1.0
        base /= base.sum()
        share = (flow + 5 * base) / (flow.sum(axis=1, keepdims=True) + 5)
        return np.asarray(np.log(share / base)[leaf[heads]][:, leaf[pool]], np.float32)


def triples_of(graph: KnowledgeGraph) -> Triples:
    """The edges of a graph as facts; a strong edge counts up to twice as much as a weak one."""
    relations = np.repeat(np.arange(len(RELATIONS), dtype=np.int32), np.diff(graph.starts))
    return Triples(graph.heads, relations, graph.tails, (0.5 + graph.weights).astype(np.float32))


def bags(items: ItemTable) -> sparse.csr_matrix:
    """Items x stems of title and description: tf-idf, rows of length 1."""
    texts = []
    for row in range(len(items)):
        described = msgspec.json.decode(items.documents.raw(row), type=_Described)
        texts.append(f"{described.title} {described.title} {described.description[:2_000]}")
    code: dict[str, int] = {}
    rows, columns = [], []
    for row, text in enumerate(texts):
        for token in language.tokens(text):
            rows.append(row)
            columns.append(code.setdefault(token, len(code)))
    shape = (len(items), max(len(code), 1))
    counts = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    counts.sum_duplicates()
    often = np.bincount(counts.indices, minlength=shape[1])
    rare = np.log1p(shape[0] / np.maximum(often, 1)) * (often > 1) * (often <= max(0.3 * shape[0], 2))
    counts.data = (np.log1p(counts.data) * rare[counts.indices]).astype(np.float32)
    counts.eliminate_zeros()
    return _unit(counts)


class _Described(msgspec.Struct):
    title: str = ""
    description: str = ""


def _traits(graph: KnowledgeGraph) -> sparse.csr_matrix:
    """Items x other nodes, weighed by how few share them."""
    total = sparse.csr_matrix((len(graph), len(graph)), dtype=np.float32)
    for name in BELONGS:
        total = total + graph.matrix(name)
    held = sparse.csr_matrix(total)[: graph.n_items, graph.n_items :].tocsr()
    reach = graph.reach[graph.n_items :]
    held.data = (held.data / np.log1p(1 + reach[held.indices])).astype(np.float32)
    return held


def _likes(bags: Sequence[sparse.csr_matrix], k: int) -> sparse.csr_matrix:
    """The k most alike items of each, by the mean of the cosines; rows sum to 1."""
    n = bags[0].shape[0]
    rows, columns, data = [], [], []
    for low in range(0, n if k else 0, 512):
        block = sum((each[low : low + 512] @ each.T).toarray() for each in bags)
        lines = np.arange(len(block))
        block[lines, low + lines] = 0
        best = np.argsort(-block, axis=1, kind="stable")[:, :k]
        value = np.take_along_axis(block, best, 1)
        value = value / np.maximum(value.sum(axis=1, keepdims=True), 1e-6)
        rows.append(np.repeat(low + lines, best.shape[1]))
        columns.append(best.ravel())
        data.append(value.ravel())
    where = (np.concatenate(rows), np.concatenate(columns)) if rows else ([], [])
    made = sparse.csr_matrix((np.concatenate(data) if data else np.empty(0), where), shape=(n, n), dtype=np.float32)
    made.eliminate_zeros()
    return made


def _unit(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return sparse.csr_matrix(sparse.diags_array((1 / np.maximum(length, 1e-9)).astype(np.float32)) @ rows)


def scaled(block: Floats) -> Floats:
    """Each row with mean 0 and deviation 1."""
    centred = block - block.mean(axis=1, keepdims=True)
    found: Floats = centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-6)
    return found
