"""How do several opinions become one order? A weighted sum of z-scores; the weights are fitted per place on validation.

No single source wins everywhere, and more is not automatically better: equal weights over correlated sources lose to
the best of them. So each source's scores are put on one scale (mean 0, deviation 1 over its own best 200 of this
request), the weights are non-negative and a redundant source's weight reaches 0 (`ranking.fit`). What a source cannot
score stands level with the last it can. A place without fitted weights uses reciprocal ranks, RRF(20).
Cost: 600 candidates x 5 sources in about .1 ms. Not for: features of item or shopper (a learned ranker, later).
Papers: Bruch, Gai & Ingber 2023 (normalised sums beat ranks); Cormack, Clarke & Buettcher 2009 (RRF).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np

from bodega.errors import SnapshotCorrupt
from bodega.ranking.fit import Weighted, ablate, fit_weights
from bodega.ranking.per_query import DEFAULT, adjusted
from bodega.ranking.scale import CANDIDATES, rrf_scores, z_scores
from bodega.schema import Candidates, Context
from bodega.schema.arrays import Flags, Floats, Ints, Longs

__all__ = ["CANDIDATES", "Fusion", "Weighted", "ablate", "fit_weights", "gather", "z_scores"]

TIE_BREAK = 1e-4
"""Weight of a source whose fitted weight is 0: it only decides between candidates that the others leave equal."""


class Fitted(Protocol):
    """What `gather` needs of a source."""

    name: str

    def retrieve(self, context: Context, k: int) -> Candidates: ...

    def score(self, context: Context, items: Ints) -> Floats: ...


def gather(sources: Sequence[Fitted], context: Context, k: int = CANDIDATES) -> Candidates:
    """The union of what the sources retrieve, by item index, one score column a source.

    Every column is filled by `score` where the source's own list does not hold the item; `score` of the result is NaN
    until a stage has ranked it.
    """
    lists = [source.retrieve(context, k) for source in sources]
    items = np.unique(np.concatenate([np.empty(0, np.int32), *(found.items for found in lists)])).astype(np.int32)
    scores = np.full((len(items), len(sources)), np.nan, np.float32)
    for column, (source, found) in enumerate(zip(sources, lists, strict=True)):
        missing = np.ones(len(items), np.bool_)
        own = np.searchsorted(items, found.items)
        missing[own] = False
        scores[own, column] = found.score
        if missing.any():
            scores[missing, column] = source.score(context, items[missing])
    return Candidates(items, scores, np.full(len(items), np.nan, np.float32), tuple(source.name for source in sources))


def scored(sources: Sequence[Fitted], context: Context, items: Ints) -> Candidates:
    """The given items with every source's opinion: for places where only some of the sources may propose."""
    columns = [source.score(context, items) for source in sources]
    scores = np.column_stack(columns).astype(np.float32, copy=False)
    return Candidates(items, scores, np.full(len(items), np.nan, np.float32), tuple(source.name for source in sources))


class Fusion:
    """The stage that orders candidates by the weighted sum of their sources' z-scores.

    `weights`: {place: {source: weight >= 0}}. A place that is missing uses RRF(20). Where every source with a weight is
    silent (a new shopper), the sources that do speak count equally, so that a list is never in arbitrary order.

    Answers: any place.  Needs: candidates with at least one score column.  Good for: few hundred candidates from
    sources of any scale.  Not for: deciding what is retrieved.  Cost: .1 ms for 600 x 5.  Relations: weights come from
    `fit_weights`; `shares` feeds `engine.explain`.

    `weights` {place: {source: weight}} are the fitted ones; `backup` serves requests in which none of the weighted
    sources has anything to say (a guest, where only "what you bought before" was worth a weight). `factors`
    {place: {trait of the query: factor on the weight of meaning}} see `ranking.per_query`. `enough` {place:
    sources} are those whose sum was found to be as good as that of all.
    """

    def __init__(
        self,
        weights: Mapping[str, Mapping[str, float]],
        k: int = CANDIDATES,
        backup: Mapping[str, Mapping[str, float]] | None = None,
        factors: Mapping[str, Mapping[str, float]] | None = None,
        enough: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.weights = {place: dict(held) for place, held in weights.items()}
        self.backup = {place: dict(held) for place, held in (backup or {}).items()}
        self.factors = {place: dict(held) for place, held in (factors or {}).items()}
        self.enough = {place: tuple(names) for place, names in (enough or {}).items()}
        self.k = k
        self._latest: tuple[Context, Floats, Floats, Floats] | None = None

    def rank(self, context: Context, candidates: Candidates) -> Candidates:
        """The same candidates, best first, `score` set; ties keep the order in which they came."""
        parts, weight = self._parts(context, candidates)
        score: Floats = parts @ weight
        order = np.argsort(-score, kind="stable")
        ranked = Candidates(candidates.items[order], candidates.scores[order], score[order], candidates.sources)
        self._latest = (context, ranked.scores, parts[order], weight)
        return ranked

    def shares(self, context: Context, candidates: Candidates, rows: Longs | None = None) -> Floats:
        """Part of each candidate's score that each source gave: (n, n_sources), rows sum to 1; `rows`: only these.

        A source's part is its weight times how far above the bottom of its list the item stands. An item at the
        bottom of every list is shared equally between the sources that score it.
        """
        parts, weight = self._parts(context, candidates)
        if len(parts) == 0:
            return np.zeros((0, len(candidates.sources)), np.float32)
        bottom, asked = parts.min(axis=0), slice(None) if rows is None else rows
        given = (parts[asked] - bottom) * weight
        total = given.sum(axis=1, keepdims=True)
        scored = np.isfinite(candidates.scores[asked]).astype(np.float32)
        scored[~scored.any(axis=1)] = 1
        level = scored / scored.sum(axis=1, keepdims=True)
        shares: Floats = np.where(total > 0, given / np.where(total > 0, total, 1), level).astype(np.float32)
        return shares

    def parts(self, context: Context, candidates: Candidates) -> tuple[Floats, Floats]:
        """(every source's score on the common scale (n, n_sources), every source's weight (n_sources,))."""
        return self._parts(context, candidates)

    def _parts(self, context: Context, candidates: Candidates) -> tuple[Floats, Floats]:
        """(score of each source on the common scale (n, n_sources), weight of each source (n_sources,)).

        Kept for what was ranked last, by identity: a page asks again, for its reasons.
        """
        latest = self._latest
        if latest is not None and latest[0] is context and latest[1] is candidates.scores:
            return latest[2], latest[3]
        speaks = np.asarray(np.isfinite(candidates.scores).any(axis=0))
        place = context.place
        held = self.weights.get(place)
        if held is None:
            return rrf_scores(candidates.scores), _flags(speaks)
        weight = _flags(speaks)
        for chosen in (held, self.backup.get(place, {})):  # the first whose sources have anything to say
            own = np.array([chosen.get(source, 0.0) for source in candidates.sources], np.float32) * speaks
            if own.any():
                weight = own
                break
        if context.traits:
            weight = adjusted(weight, candidates.sources, self.factors.get(place, DEFAULT), context.traits)
        weight[speaks & (weight == 0)] = TIE_BREAK
        parts = z_scores(candidates.scores, self.k)
        self._latest = (context, candidates.scores, parts, weight)
        return parts, weight

    def reordered(self, candidates: Candidates, rows: Ints) -> Candidates:
        """These rows of the candidates; what was worked out for them is kept: a page asks again, for its reasons."""
        ranked, latest = candidates.take(rows), self._latest
        if latest is not None and latest[1] is candidates.scores:
            self._latest = (latest[0], ranked.scores, latest[2][rows], latest[3])
        return ranked

    def to_json(self) -> bytes:
        """Equal fusions give equal bytes."""
        return msgspec.json.encode(
            {
                "backup": self.backup,
                "enough": self.enough,
                "factors": self.factors,
                "k": self.k,
                "weights": self.weights,
            },
            order="sorted",
        )

    @classmethod
    def from_json(cls, data: bytes) -> Fusion:
        """What `to_json` wrote. Raises SnapshotCorrupt for anything else."""
        try:
            stored = msgspec.json.decode(data, type=_Stored)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise SnapshotCorrupt(
                "the fusion weights cannot be read",
                where="Fusion.from_json",
                allowed="what to_json wrote",
                got=str(error),
            ) from error
        return cls(stored.weights, stored.k, stored.backup, stored.factors, stored.enough)


def _flags(speaks: Flags) -> Floats:
    return np.asarray(speaks, np.float32)


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    k: int
    weights: dict[str, dict[str, float]]
    backup: dict[str, dict[str, float]] = {}
    factors: dict[str, dict[str, float]] = {}
    enough: dict[str, tuple[str, ...]] = {}
