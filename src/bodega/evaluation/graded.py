"""How good is a ranking where answers are more or less right? NDCG over grades, the whole catalog ranked.

The gain of an item is its grade (as trec_eval's `ndcg_cut` counts it). The ideal list holds every judged item of the
query, wherever it was ranked; an item that nobody judged gains nothing. Places are average ranks on ties, as everywhere
(`ranks`). Paper: Jarvelin & Kekalainen 2002.
Not for: judged lists re-ranked among themselves, where random order looks good.
"""

from __future__ import annotations

import numpy as np

from bodega.evaluation.ranks import Ranked
from bodega.schema.arrays import Doubles


def graded_ndcg(ranked: Ranked, gain: Doubles, k: int) -> Doubles:
    """NDCG@k, one value a case. `gain` (n_pairs,) belongs to the pairs of `ranked`, all > 0.

    >>> import numpy as np
    >>> ranked = Ranked(np.array([2.0, 1.0]), np.array([5, 6]), np.array([0, 0]), np.array([9]))
    >>> round(float(graded_ndcg(ranked, np.array([3.0, 1.0]), 10)[0]), 4)  # (3/log2(3) + 1) / (3 + 1/log2(3))
    0.7967
    """
    reached = ranked.sum(np.where(ranked.rank <= k, gain / np.log2(1 + ranked.rank), 0.0))
    order = np.lexsort((-gain, ranked.case))
    case = ranked.case[order]
    first = np.searchsorted(case, np.arange(ranked.n_cases))
    place = np.arange(len(case)) - first[case] + 1
    best = np.where(place <= k, gain[order] / np.log2(1 + place), 0.0)
    ideal = np.bincount(case, weights=best, minlength=ranked.n_cases)
    capped: Doubles = np.minimum(reached / ideal, 1.0)
    return capped
