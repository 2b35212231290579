"""From places to figures. Every accuracy metric is computed from average ranks (see `ranks`), one value a case.

All are in [0, 1], higher is better, and hold for one or several relevant items a case. With ties the figure is that of
the *average rank*, not the expectation over random orders: 1 / log2(1 + rank) is convex, so this is never kinder
inside the cut-off; at the cut-off a tie counts wholly (average place <= k) or not at all, and sums are capped at
what k places can hold. Formulas: Jarvelin & Kekalainen 2002 (NDCG), Hanley & McNeil 1982 (AUC), Vargas & Castells 2011
(novelty), Naeini et al. 2015 (ECE).
Not here: metrics on sampled negatives, which reorder models (Krichene & Rendle 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodega.errors import BadRequest
from bodega.evaluation.ranks import Ranked
from bodega.schema.arrays import Doubles, Flags, Ints, Longs


def recall(ranked: Ranked, k: int) -> Doubles:
    """Part of the relevant items among the first k places."""
    return np.asarray(_hits(ranked, k) / ranked.n_relevant, np.float64)


def precision(ranked: Ranked, k: int) -> Doubles:
    """Part of the first k places that is relevant."""
    return np.minimum(_hits(ranked, k) / k, 1.0)


def hit(ranked: Ranked, k: int) -> Doubles:
    """1 where at least one relevant item is among the first k places."""
    return (_hits(ranked, k) > 0).astype(np.float64)


def ndcg(ranked: Ranked, k: int) -> Doubles:
    """Discounted gain 1 / log2(1 + rank) within the first k places, divided by the best that was possible."""
    gain = ranked.sum(np.where(ranked.rank <= k, 1 / np.log2(1 + ranked.rank), 0.0))
    ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))
    capped: Doubles = np.minimum(gain / ideal[np.minimum(ranked.n_relevant, k) - 1], 1.0)
    return capped


def mrr(ranked: Ranked) -> Doubles:
    """1 / place of the best placed relevant item, over the whole ranking."""
    best = np.full(ranked.n_cases, np.inf)
    np.minimum.at(best, ranked.case, ranked.rank)
    return 1 / best


def auc(ranked: Ranked) -> Doubles:
    """Chance that a relevant item stands before one that is not (ties count half): Mann-Whitney from ranks.

    NaN where everything that was ranked is relevant.
    """
    relevant, others = ranked.n_relevant.astype(np.float64), ranked.n_ranked - ranked.n_relevant
    reached = relevant * ranked.n_ranked - ranked.sum(ranked.rank) + relevant - relevant * (relevant + 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(others > 0, reached / (relevant * others), np.nan)


def _hits(ranked: Ranked, k: int) -> Doubles:
    return ranked.sum((ranked.rank <= k).astype(np.float64))


_AT_K: Final[dict[str, Callable[[Ranked, int], Doubles]]] = {
    "ndcg": ndcg,
    "recall": recall,
    "hit": hit,
    "precision": precision,
}
_WHOLE: Final[dict[str, Callable[[Ranked], Doubles]]] = {"mrr": mrr, "auc": auc}

METRICS: Final[tuple[str, ...]] = (*(f"{name}@k" for name in _AT_K), *_WHOLE)
"""Names that `metric` understands; k is any whole number from 1."""


def metric(ranked: Ranked, name: str) -> Doubles:
    """One metric by its printed name (`ndcg@10`, `mrr`): one value a case. Raises BadRequest for an unknown name."""
    base, _, depth = name.partition("@")
    if base in _AT_K and depth.isdigit() and int(depth) > 0:
        return _AT_K[base](ranked, int(depth))
    if base in _WHOLE and not depth:
        return _WHOLE[base](ranked)
    raise BadRequest(
        "no such metric", where="metric(name)", allowed=", ".join(METRICS), got=name, next="use such a name"
    )


def per_case(ranked: Ranked, names: Sequence[str]) -> dict[str, Doubles]:
    """{metric name: one value a case}."""
    return {name: metric(ranked, name) for name in names}


def coverage(lists: Ints, n_items: int) -> float:
    """Part of the catalog that is on at least one list. `lists` (n_cases, k) of item indices, -1 = empty place."""
    return len(np.unique(lists[lists >= 0])) / n_items if n_items else 0.0


def novelty(lists: Ints, counts: Longs, n_users: int) -> float:
    """Mean self-information of what is recommended, in bits: -log2(part of users who had the item).

    An item that nobody had counts half an event, so that the mean stays finite.
    """
    shown = lists[lists >= 0]
    if len(shown) == 0 or n_users == 0:
        return float("nan")
    return float(-np.log2(np.minimum(np.maximum(counts[shown], 0.5) / n_users, 1.0)).mean())


def popularity_percentile(lists: Ints, counts: Longs) -> float:
    """Mean popularity percentile (0 = least, 1 = most popular, ties averaged) of what is recommended: the bias."""
    shown = lists[lists >= 0]
    if len(shown) == 0:
        return float("nan")
    ordered = np.sort(counts)
    below, upto = np.searchsorted(ordered, counts[shown], "left"), np.searchsorted(ordered, counts[shown], "right")
    return float(((below + upto) / 2).mean() / len(counts))


def gini(lists: Ints, n_items: int) -> float:
    """Inequality of exposure over the whole catalog: 0 = every item is shown equally often, 1 = one item only."""
    shown = lists[lists >= 0]
    if len(shown) == 0 or n_items == 0:
        return float("nan")
    ordered = np.sort(np.bincount(shown, minlength=n_items)).astype(np.float64)
    places = np.arange(1, n_items + 1)
    return float(((2 * places - n_items - 1) * ordered).sum() / (n_items * ordered.sum()))


def brier(probability: NDArray[np.floating], happened: Flags) -> float:
    """Mean squared error of probabilities; 0 is perfect, .25 is a coin."""
    return float(np.mean((probability - happened) ** 2))


def calibration_error(probability: NDArray[np.floating], happened: Flags, bins: int = 10) -> float:
    """Expected calibration error: mean gap between what was promised and what happened, over bins of equal width."""
    row = np.minimum((np.asarray(probability, np.float64) * bins).astype(np.int64), bins - 1)
    promised = np.bincount(row, weights=probability, minlength=bins)
    came = np.bincount(row, weights=happened.astype(np.float64), minlength=bins)
    return float(np.abs(promised - came).sum() / len(probability))
