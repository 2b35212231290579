"""Which links are missing? A few plain signs and the embedding, weighed by what known links show.

For a head and a relation every item is a candidate tail, described by signs: the embedding's score; how many tails of
like heads it is (`neighbours`: who resembles the head leads there); how often it is a tail at all; whether its category
follows the head's; likeness of words (and of meaning and looks where vectors are handed in); what nodes both share;
price. A conditional logit per relation (the softmax of the true tail among all candidates) weighs them on links that
the signs were made without. Where a relation has fewer than `fewest` links to learn from, the signs count alike.
Cost: n_candidates x n_signs numbers a head, .3 ms at 5,000 candidates. Not for: what counts know better (pairs seen
often); it never outranks a known link.
Paper: Liben-Nowell & Kleinberg 2007 (signs of missing links); McFadden 1974 (conditional logit).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

from bodega.protocols import Progress
from bodega.schema import ItemTable
from bodega.schema.arrays import Doubles, Flags, Floats, Ints
from bodega.understanding import language
from bodega.understanding.graph.embedding import Embedding, EmbeddingOptions, Triples, embed
from bodega.understanding.graph.graph import KnowledgeGraph
from bodega.understanding.graph.kinds import BELONGS, CODE, RELATIONS

SIGNS = ("embedding", "neighbours", "often", "category", "words", "shared", "price", "dearer")
"""The signs every catalog has; vectors that are handed in add theirs (`meaning`, `looks`)."""


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
            _scaled(self.embedding.score(heads, CODE[relation], pool)),
            np.log1p(10 * by_like),
            np.broadcast_to(often, (len(heads), len(pool))),
            self._category(relation, heads, pool),
            np.asarray((self.words[heads] @ self.words[pool].T).todense(), np.float32),
            _scaled(np.asarray((self.traits[heads] @ self.traits[pool].T).todense(), np.float32)),
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


@dataclass(frozen=True, slots=True)
class Weighing:
    """How much each sign of one relation counts, and what it learned from."""

    names: tuple[str, ...]
    weights: tuple[float, ...]
    links: int


@dataclass(frozen=True, eq=False)
class Linker:
    """Predicts links: signs and their weights per relation."""

    signs: Signs
    weighing: Mapping[str, Weighing]
    options: LinkOptions

    def pool(self, relation: str) -> Ints:
        """The candidates of a relation, ascending."""
        often = np.asarray(self.signs.links[relation].getnnz(axis=0))
        if len(often) <= self.options.pool:
            return np.arange(len(often), dtype=np.int32)
        best = np.argsort(-often, kind="stable")[: self.options.pool]
        return np.sort(best[often[best] > 0]).astype(np.int32)

    def scores(self, relation: str, heads: Ints, pool: Ints) -> Floats:
        """log of the chance that each candidate is the tail: (len(heads), len(pool))."""
        signs = self.signs.of_heads(relation, heads, pool)
        total = signs @ np.array(self.weighing[relation].weights, np.float32)
        total -= total.max(axis=1, keepdims=True)
        found: Floats = total - np.log(np.exp(total).sum(axis=1, keepdims=True))
        return found


def weigh(
    signs: Signs, relation: str, links: tuple[Ints, Ints], options: LinkOptions, names: Sequence[str] = ()
) -> Weighing:
    """The weights under which these links, which the signs do not know, are likeliest. `names`: only these signs."""
    heads, tails = links
    if len(heads) > options.heads:
        rows = np.random.default_rng(options.embedding.seed).permutation(len(heads))[: options.heads]
        heads, tails = heads[rows], tails[rows]
    chosen = [column for column, name in enumerate(signs.names) if not names or name in names]
    start = np.zeros(len(signs.names))
    start[[column for column in chosen if signs.names[column] not in ("price", "dearer")]] = 1.0
    if len(heads) < options.fewest:
        return Weighing(signs.names, tuple(start.tolist()), len(heads))
    case = _Cases.of(signs, relation, heads, tails, chosen)
    found = optimize.minimize(
        case.loss, np.zeros(len(chosen)), args=(options.ridge,), jac=True, method="L-BFGS-B", options={"maxiter": 200}
    )
    weights = np.zeros(len(signs.names))
    weights[chosen] = found.x / case.scale
    return Weighing(signs.names, tuple(float(f"{each:.6g}") for each in weights), len(heads))


def chosen(signs: Signs, relation: str, links: tuple[Ints, Ints], options: LinkOptions) -> Weighing:
    """The learned weights, or the best single sign where that ranks links better which neither has seen.

    Judged by the mean reciprocal rank of each half of the links under weights from the other half.
    """
    heads, tails = links
    whole = weigh(signs, relation, links, options)
    if len(heads) < 2 * options.fewest:
        return whole
    half = np.random.default_rng(options.embedding.seed).permutation(len(heads)) < len(heads) // 2
    alone = {name: Weighing(signs.names, _single(signs.names, name), len(heads)) for name in signs.names}
    gained = dict.fromkeys(("", *alone), 0.0)
    for fitted, judged in ((half, ~half), (~half, half)):
        learned = weigh(signs, relation, (heads[fitted], tails[fitted]), options)
        rows = np.flatnonzero(judged)[: options.heads // 2]
        for name, each in {"": learned, **alone}.items():
            gained[name] += reciprocal_ranks(signs, relation, (heads[rows], tails[rows]), each).sum()
    best = max(gained, key=lambda name: (gained[name], name == ""))
    return alone[best] if best else whole


def _single(names: Sequence[str], name: str) -> tuple[float, ...]:
    return tuple((-1.0 if each == "price" else 1.0) if each == name else 0.0 for each in names)


def reciprocal_ranks(signs: Signs, relation: str, links: tuple[Ints, Ints], weighing: Weighing) -> Doubles:
    """1 / rank of each link's tail among all items but the head's known tails and itself; ties count half."""
    out, n = [], len(signs.items)
    pool, known = np.arange(n, dtype=np.int32), signs.links[relation]
    for low in range(0, len(links[0]), 32):
        heads, tails = links[0][low : low + 32], links[1][low : low + 32]
        score = signs.of_heads(relation, heads, pool) @ np.array(weighing.weights, np.float32)
        score[np.asarray(known[heads].todense()) > 0] = -np.inf
        score[np.arange(len(heads)), heads] = -np.inf
        mine = score[np.arange(len(heads)), tails][:, None]
        out.append(1 / (0.5 + (score > mine).sum(axis=1) + 0.5 * (score == mine).sum(axis=1)))
    return np.concatenate(out) if out else np.empty(0)


def learn_links(
    items: ItemTable, graph: KnowledgeGraph, relations: Sequence[str], options: LinkOptions, progress: Progress
) -> Linker | None:
    """A predictor of these relations: weights from held-out links, signs from all of them. None without links."""
    rng = np.random.default_rng(options.embedding.seed)
    known, hidden = graph, dict[str, tuple[Ints, Ints]]()
    for relation in relations:
        heads, tails, _ = graph.edges(relation)
        if len(heads) >= 2 * options.fewest / options.held_out:
            some = rng.permutation(len(heads))[: min(int(options.held_out * len(heads)), 4 * options.heads)]
            hidden[relation] = heads[some], tails[some]
            known = without(known, relation, hidden[relation])
    if not hidden:
        return None
    progress.start("learn: which links are missing")
    shorter = msgspec.structs.replace(options.embedding, steps=options.embedding.steps // 2)
    early = msgspec.structs.replace(options, embedding=shorter)
    signs = Signs.of(items, known, early, relations=tuple(hidden))
    weighing = {relation: chosen(signs, relation, _some(links, options), options) for relation, links in hidden.items()}
    signs = Signs.of(items, graph, options, relations=tuple(hidden))
    progress.finish()
    return Linker(signs, weighing, options)


def _some(links: tuple[Ints, Ints], options: LinkOptions) -> tuple[Ints, Ints]:
    return links[0][: options.heads], links[1][: options.heads]


@dataclass(frozen=True, eq=False)
class _Cases:
    """Links with the signs of every candidate, scaled; known tails of the head take no part."""

    x: Floats
    out: Flags
    place: NDArray[np.integer]
    scale: Doubles

    @classmethod
    def of(cls, signs: Signs, relation: str, heads: Ints, tails: Ints, chosen: Sequence[int]) -> _Cases:
        n, most = len(signs.items), max(50, int(2e7 // (max(len(heads), 1) * max(len(chosen), 1))))
        pool = np.arange(n, dtype=np.int32)
        if n > most:  # a sample of the candidates, with every true tail among it
            drawn = np.random.default_rng(0).permutation(n)[:most]
            pool = np.union1d(drawn, tails).astype(np.int32)
        x = signs.of_heads(relation, heads, pool)[:, :, list(chosen)]
        known = np.asarray(signs.links[relation][heads][:, pool].todense()) > 0
        known |= pool[None, :] == heads[:, None]
        place = np.searchsorted(pool, tails)
        known[np.arange(len(heads)), place] = False
        scale = np.maximum(x.std(axis=(0, 1)), 1e-6).astype(np.float64)
        return cls((x / scale).astype(np.float32), known, place, scale)

    def loss(self, weights: Doubles, ridge: float) -> tuple[float, Doubles]:
        """(mean negative log likelihood with the ridge, its gradient)."""
        total = self.x @ weights.astype(np.float32)
        total[self.out] = -np.inf
        total -= total.max(axis=1, keepdims=True)
        chance = np.exp(total)
        chance /= chance.sum(axis=1, keepdims=True)
        lines = np.arange(len(total))
        value = -np.log(np.maximum(chance[lines, self.place], 1e-12)).sum() + ridge * float(weights @ weights)
        chance[lines, self.place] -= 1
        slope = np.einsum("hp,hps->s", chance, self.x).astype(np.float64) + 2 * ridge * weights
        return float(value) / len(total), slope / len(total)


def triples_of(graph: KnowledgeGraph) -> Triples:
    """The edges of a graph as facts; a strong edge counts up to twice as much as a weak one."""
    relations = np.repeat(np.arange(len(RELATIONS), dtype=np.int32), np.diff(graph.starts))
    return Triples(graph.heads, relations, graph.tails, (0.5 + graph.weights).astype(np.float32))


def without(graph: KnowledgeGraph, relation: str, hidden: tuple[Ints, Ints]) -> KnowledgeGraph:
    """The graph without some edges of one relation (and, of a symmetric one, their other half)."""
    n = len(graph)
    keys = hidden[0].astype(np.int64) * n + hidden[1]
    if relation == "substitute":
        keys = np.concatenate([keys, hidden[1].astype(np.int64) * n + hidden[0]])
    of = np.repeat(np.arange(len(RELATIONS)), np.diff(graph.starts))
    gone = (of == CODE[relation]) & np.isin(graph.heads.astype(np.int64) * n + graph.tails, keys)
    counts = np.bincount(of[~gone], minlength=len(RELATIONS))
    return replace(
        graph,
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        heads=graph.heads[~gone],
        tails=graph.tails[~gone],
        weights=graph.weights[~gone],
    )


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


def _scaled(block: Floats) -> Floats:
    """Each row with mean 0 and deviation 1."""
    centred = block - block.mean(axis=1, keepdims=True)
    found: Floats = centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-6)
    return found
