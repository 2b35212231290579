"""Where does each thing stand, so that a relation is a turn and a stretch? ComplEx with a cubic norm, in numpy.

Nodes and relations are vectors of complex numbers; how likely `head -relation-> tail` is, is Re(sum h * r * conj(t)).
Each triple is learned from both ends (a reciprocal relation stands for the way back): the softmax of the true tail
against all nodes, or in a large graph against the tails of the batch and some drawn ones, corrected by how often each
is drawn. The cube of the moduli keeps vectors short. Steps are Adagrad's; their number follows from the size of the
graph, never from the clock.
Cost: printed by `bodega bench items --only links`; bounded by `steps`. Not for: what only counts can tell (a pair seen
a hundred times needs no vector), and never the only voice: `linking` weighs it against plainer ones.
Paper: Trouillon et al. 2016 (ComplEx); Lacroix, Usunier & Obozinski 2018 (N3, reciprocal relations, eq. 2-4);
Bengio & Senecal 2008 (correction of a drawn softmax).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.protocols import NoProgress, Progress
from bodega.schema.arrays import Doubles, Floats, Ints, Longs


class EmbeddingOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Chosen on validation links (docs/decisions/0042-knowledge-graph.md)."""

    rank: int = 48
    """Complex numbers a node; twice as many float32."""
    rate: float = 0.1
    cubic: float = 0.05
    """Weight of the cube of the moduli."""
    epochs: int = 15
    steps: int = 2_500
    """At most so many steps, whatever the epochs: about 15 ms each in a large graph."""
    batch: int = 512
    whole: int = 3_000
    """Up to so many nodes the softmax is over all of them."""
    drawn: int = 1_024
    """Beyond: how many nodes are drawn against the tails of a batch."""
    seed: int = 7


@dataclass(frozen=True, eq=False)
class Triples:
    """Facts as columns: (n,) each; `weight` says how much one counts in the loss, 1 on average."""

    heads: Ints
    relations: Ints
    tails: Ints
    weight: Floats

    def __len__(self) -> int:
        return len(self.heads)

    def both_ways(self, n_relations: int) -> Triples:
        """With the reciprocal of each: (tail, relation + n_relations, head)."""
        return Triples(
            np.concatenate([self.heads, self.tails]),
            np.concatenate([self.relations, self.relations + np.int32(n_relations)]),
            np.concatenate([self.tails, self.heads]),
            np.concatenate([self.weight, self.weight]),
        )


@dataclass(frozen=True, eq=False)
class Embedding:
    """`nodes` (n_nodes, 2 rank) and `relations` (2 n_relations, 2 rank): real parts, then imaginary ones; float32."""

    nodes: Floats
    relations: Floats

    def towards(self, heads: Ints, relation: int) -> Floats:
        """What a tail is multiplied with: (len(heads), 2 rank); `towards(h, r) @ nodes.T` are the scores."""
        return _turned(self.nodes[heads], self.relations[relation])

    def score(self, heads: Ints, relation: int, tails: Ints) -> Floats:
        """How likely each head leads to each tail: (len(heads), len(tails)), unbounded, higher is likelier."""
        found: Floats = self.towards(heads, relation) @ self.nodes[tails].T
        return found


def embed(
    triples: Triples,
    shape: tuple[int, int],
    options: EmbeddingOptions | None = None,
    progress: Progress | None = None,
) -> Embedding:
    """Learn vectors of (n_nodes, n_relations). Without triples: rows of zeros. Same input, same BLAS: same bytes."""
    options, progress = options or EmbeddingOptions(), progress or NoProgress()
    (n_nodes, n_relations), rng = shape, np.random.default_rng(options.seed)
    learner = Learner.new(n_nodes, 2 * n_relations, options, rng)
    if not len(triples):
        return Embedding(np.zeros_like(learner.nodes), np.zeros_like(learner.relations))
    both = triples.both_ways(n_relations)
    drawing = _Drawing.over(both, n_nodes, options) if n_nodes > options.whole else None
    per_epoch = -(-len(both) // options.batch)
    steps = max(1, min(options.steps, options.epochs * per_epoch))
    progress.start("learn: where things stand", steps)
    order = np.empty(0, np.int64)
    for step in range(steps):
        if len(order) < min(options.batch, len(both)):
            order = rng.permutation(len(both))
        rows, order = order[: options.batch], order[options.batch :]
        against = None if drawing is None else drawing.draw(both.tails[rows], rng)
        learner.step(Triples(both.heads[rows], both.relations[rows], both.tails[rows], both.weight[rows]), against)
        if step % 50 == 49:
            progress.advance(50)
    progress.finish()
    return Embedding(learner.nodes, learner.relations)


@dataclass(frozen=True, eq=False)
class Against:
    """The nodes of one step's softmax: sorted, with how likely each was to be among them (log)."""

    nodes: Ints
    drawn: Floats


@dataclass(frozen=True, eq=False)
class _Drawing:
    """How the nodes that a batch is told against are drawn."""

    often: Doubles
    """(n_nodes,): share of the triples that end in each node."""
    options: EmbeddingOptions

    @classmethod
    def over(cls, triples: Triples, n_nodes: int, options: EmbeddingOptions) -> _Drawing:
        return cls(np.bincount(triples.tails, minlength=n_nodes) / len(triples), options)

    def draw(self, tails: Ints, rng: np.random.Generator) -> Against:
        nodes = np.union1d(tails, rng.integers(0, len(self.often), self.options.drawn)).astype(np.int32)
        missed = (1 - self.often[nodes]) ** len(tails) * (1 - 1 / len(self.often)) ** self.options.drawn
        return Against(nodes, np.log(np.maximum(1 - missed, 1e-9)).astype(np.float32))


@dataclass(eq=False)
class Learner:
    """The vectors while they are learned, and Adagrad's sums of squares."""

    nodes: Floats
    relations: Floats
    options: EmbeddingOptions
    squares: tuple[Floats, Floats]

    @classmethod
    def new(cls, n_nodes: int, n_relations: int, options: EmbeddingOptions, rng: np.random.Generator) -> Learner:
        wide = 2 * options.rank
        nodes, relations = (
            (rng.standard_normal((rows, wide), np.float32) * np.float32(scale))
            for rows, scale in ((n_nodes, 1e-2), (n_relations, 0.5))
        )
        return cls(nodes, relations, options, (np.zeros_like(nodes), np.zeros_like(relations)))

    def step(self, batch: Triples, against: Against | None) -> None:
        """One step of Adagrad down the loss of the batch."""
        _, parts = self.gradients(batch, against)
        for table, squares, (rows, gradient) in zip((self.nodes, self.relations), self.squares, parts, strict=True):
            squares[rows] += gradient * gradient
            table[rows] -= np.float32(self.options.rate) * gradient / (np.sqrt(squares[rows]) + np.float32(1e-8))

    def gradients(
        self, batch: Triples, against: Against | None
    ) -> tuple[float, tuple[tuple[NDArray[np.integer], Floats], tuple[NDArray[np.integer], Floats]]]:
        """(loss, ((rows of nodes, their gradients), (rows of relations, theirs)))."""
        head, relation, tail = self.nodes[batch.heads], self.relations[batch.relations], self.nodes[batch.tails]
        query = _turned(head, relation)
        pool = self.nodes if against is None else self.nodes[against.nodes]
        place = batch.tails if against is None else np.searchsorted(against.nodes, batch.tails)
        scores: Floats = query @ pool.T
        if against is not None:
            scores -= against.drawn
        share: Floats = np.asarray(batch.weight / len(batch), np.float32)
        lines = np.arange(len(batch))
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        loss = -float(share @ np.log(np.maximum(scores[lines, place], 1e-30)))
        scores *= share[:, None]
        scores[lines, place] -= share
        of_query: Floats = scores @ pool
        of_pool: Floats = scores.T @ query
        cubes, sizes = zip(*(_cubic(rows, self.options.cubic, share) for rows in (head, relation, tail)), strict=True)
        of_head, of_relation = _unturned(of_query, head, relation)
        ends = np.concatenate([batch.heads, batch.tails])
        rows, gradient = _summed(ends, np.concatenate([of_head + cubes[0], cubes[2]]))
        if against is None:
            of_pool[rows] += gradient
            rows, gradient = np.arange(len(self.nodes)), of_pool
        else:
            rows, gradient = _summed(np.concatenate([against.nodes, rows]), np.concatenate([of_pool, gradient]))
        return loss + sum(sizes), ((rows, gradient), _summed(batch.relations, of_relation + cubes[1]))


def _turned(head: Floats, relation: Floats) -> Floats:
    """h * r, as real and imaginary halves."""
    half = head.shape[-1] // 2
    a, b, c, d = head[..., :half], head[..., half:], relation[..., :half], relation[..., half:]
    return np.concatenate([a * c - b * d, a * d + b * c], axis=-1)


def _unturned(gradient: Floats, head: Floats, relation: Floats) -> tuple[Floats, Floats]:
    """The gradients of h and r from that of h * r: each is multiplied by the conjugate of the other."""
    half = head.shape[1] // 2
    flip = np.concatenate([np.ones(half, np.float32), -np.ones(half, np.float32)])
    return _turned(gradient, relation * flip), _turned(gradient, head * flip)


def _cubic(rows: Floats, weight: float, share: Floats) -> tuple[Floats, float]:
    """(gradient, value) of weight * sum of share * |z|^3."""
    half = rows.shape[1] // 2
    modulus = np.sqrt(rows[:, :half] ** 2 + rows[:, half:] ** 2)
    value = float(weight * (share @ (modulus * modulus * modulus).sum(axis=1)))
    return np.float32(3 * weight) * share[:, None] * np.concatenate([modulus, modulus], axis=1) * rows, value


def _summed(rows: NDArray[np.integer], gradient: Floats) -> tuple[Longs, Floats]:
    """One gradient a row: those of the same row added up."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return ordered[starts].astype(np.int64), np.add.reduceat(gradient[order], starts, axis=0)
