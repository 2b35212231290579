"""Which links are missing? Signs, weighed by what known links show.

A conditional logit per relation (the softmax of the true tail among all candidates) weighs the signs on links that they
were made without; where the signs of the graph alone, or the best single one, rank unseen links better, those are
served. Where a relation has fewer than `fewest` links to learn from, the signs count alike.
Cost: seconds for thousands of links; the embedding is learned twice. Not for: what counts know better (pairs seen
often); a guess never outranks a known link.
Paper: McFadden 1974 (conditional logit).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import scipy
from numpy.typing import NDArray

from bodega.protocols import Progress
from bodega.schema import ItemTable
from bodega.schema.arrays import Doubles, Flags, Floats, Ints, Longs
from bodega.understanding.graph.graph import KnowledgeGraph
from bodega.understanding.graph.kinds import CODE, RELATIONS
from bodega.understanding.graph.signs import OF_GRAPH, LinkOptions, Signs

__all__ = ["LinkOptions", "Linker", "Signs", "Weighing", "learn_links", "weigh", "without"]


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
    """The weights under which these links, which the signs do not know, are likeliest: of all signs, of those of the
    graph alone, or the best single sign, whichever ranks links best that it has not seen. `names`: only these signs.

    Judged by the mean reciprocal rank of each half of the links under weights from the other half.
    """
    heads, tails = links
    if len(heads) > options.heads:
        rows = np.random.default_rng(options.embedding.seed).permutation(len(heads))[: options.heads]
        heads, tails = heads[rows], tails[rows]
    chosen = [column for column, name in enumerate(signs.names) if not names or name in names]
    if len(heads) < options.fewest:
        alike = [column for column in chosen if signs.names[column] not in ("price", "dearer")]
        return _weighing(signs.names, alike, np.ones(len(alike)), len(heads))
    cases = _Cases.of(signs, relation, heads, tails, chosen)
    everything, kept = np.arange(len(heads)), np.ones(len(chosen), np.bool_)
    if len(heads) >= 2 * options.fewest:
        half = np.random.default_rng(options.embedding.seed).permutation(len(heads)) < len(heads) // 2
        halves = [(everything[half], everything[~half]), (everything[~half], everything[half])]
        graph = np.array([signs.names[column] in OF_GRAPH for column in chosen])
        gained = [
            sum(cases.ranked(judged, cases.fitted(rows, options.ridge, some)) for rows, judged in halves)
            for some in (kept, graph)
        ]
        learned, kept = max(gained), (graph if gained[1] > gained[0] else kept)
        alone = [(cases.ranked(everything, sign), place) for place, sign in enumerate(_single(signs.names, chosen))]
        best, place = max(alone, key=lambda pair: (pair[0], -pair[1]))
        if best > learned:
            return _weighing(signs.names, chosen, _single(signs.names, chosen)[place], len(heads))
    return _weighing(signs.names, chosen, cases.fitted(everything, options.ridge, kept) / cases.scale, len(heads))


def _weighing(names: tuple[str, ...], chosen: Sequence[int], weights: Doubles, links: int) -> Weighing:
    out = dict.fromkeys(range(len(names)), 0.0) | dict(zip(chosen, weights.tolist(), strict=True))
    return Weighing(names, tuple(float(f"{each:.6g}") for each in out.values()), links)


def _single(names: Sequence[str], chosen: Sequence[int]) -> list[Doubles]:
    """Each sign by itself; a large gap in price speaks against a link."""
    signed = np.array([-1.0 if names[column] == "price" else 1.0 for column in chosen])
    return list(np.diag(signed))


def learn_links(
    items: ItemTable, graph: KnowledgeGraph, relations: Sequence[str], options: LinkOptions, progress: Progress
) -> Linker | None:
    """A predictor of these relations: weights from held-out links, signs from all of them. None without links."""
    rng = np.random.default_rng(options.embedding.seed)
    known, hidden = graph, dict[str, tuple[Ints, Ints]]()
    for relation in relations:
        heads, tails, _ = graph.edges(relation)
        if len(heads) >= options.fewest / options.held_out:
            some = rng.permutation(len(heads))[: min(int(options.held_out * len(heads)), 4 * options.heads)]
            hidden[relation] = heads[some], tails[some]
            known = without(known, relation, hidden[relation])
    if not hidden:
        return None
    progress.start("learn: which links are missing")
    shorter = msgspec.structs.replace(options.embedding, steps=options.embedding.steps // 2)
    early = msgspec.structs.replace(options, embedding=shorter)
    signs = Signs.of(items, known, early, relations=tuple(hidden))
    weighing = {relation: weigh(signs, relation, links, options) for relation, links in hidden.items()}
    signs = Signs.of(items, graph, options, relations=tuple(hidden))
    progress.finish()
    return Linker(signs, weighing, options)


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
        blocks = [signs.of_heads(relation, heads[low : low + 64], pool) for low in range(0, len(heads), 64)]
        x = np.concatenate(blocks)[:, :, list(chosen)]
        known = np.asarray(signs.links[relation][heads][:, pool].todense()) > 0
        known |= pool[None, :] == heads[:, None]
        place = np.searchsorted(pool, tails)
        known[np.arange(len(heads)), place] = False
        scale = np.maximum(x.std(axis=(0, 1)), 1e-6).astype(np.float64)
        return cls((x / scale).astype(np.float32), known, place, scale)

    def fitted(self, rows: Longs, ridge: float, kept: Flags) -> Doubles:
        """The likeliest weights of the scaled signs under some of the cases; 0 for a sign that is not kept."""
        weights, some = np.zeros(len(kept)), self._of(rows, kept)
        if kept.any():
            start, how = np.zeros(int(kept.sum())), {"maxiter": 100}
            found = scipy.optimize.minimize(
                self._loss, start, args=(some, ridge), jac=True, method="L-BFGS-B", options=how
            )
            weights[kept] = found.x
        return weights

    def ranked(self, rows: Longs, weights: Doubles) -> float:
        """Sum of 1 / rank of the true tails of some of the cases; ties count half."""
        total = self.x[rows] @ weights.astype(np.float32)
        total[self.out[rows]] = -np.inf
        own = total[np.arange(len(rows)), self.place[rows]][:, None]
        return float((1 / (0.5 + (total > own).sum(axis=1) + 0.5 * (total == own).sum(axis=1))).sum())

    def _of(self, rows: Longs, kept: Flags) -> _Cases:
        return _Cases(self.x[rows][:, :, kept], self.out[rows], self.place[rows], self.scale)

    @staticmethod
    def _loss(weights: Doubles, cases: _Cases, ridge: float) -> tuple[float, Doubles]:
        """(mean negative log likelihood with the ridge, its gradient)."""
        total = cases.x @ weights.astype(np.float32)
        total[cases.out] = -np.inf
        total -= total.max(axis=1, keepdims=True)
        chance = np.exp(total)
        chance /= chance.sum(axis=1, keepdims=True)
        lines = np.arange(len(total))
        value = -np.log(np.maximum(chance[lines, cases.place], 1e-12)).sum() + ridge * float(weights @ weights)
        chance[lines, cases.place] -= 1
        slope = np.einsum("hp,hps->s", chance, cases.x).astype(np.float64) + 2 * ridge * weights
        return float(value) / len(total), slope / len(total)


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
