"""Who wants what, all in all? A log as one sparse matrix, shoppers x items, for the models that know no order.

Cost: one sort of the log. Not for: anything where the order or the number of the events counts.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from bodega.retrieval._index import strength
from bodega.schema import Log


def tastes_of(log: Log, n_items: int, newest: int) -> sparse.csr_matrix:
    """Shoppers x items: the strongest interest (1 = the strongest kind in this log), the newest items of each."""
    pair = log.user.astype(np.int64) * n_items + log.item
    order = np.argsort(pair, kind="stable")
    starts = np.flatnonzero(np.append(np.ones(min(len(order), 1), np.bool_), np.diff(pair[order]) > 0))
    if not len(starts):
        return sparse.csr_matrix((log.n_users, n_items), dtype=np.float32)
    power = np.maximum.reduceat(strength(log.type)[order], starts)
    newest_row = np.append(starts[1:], len(order)) - 1
    user, item = log.user[order[starts]], log.item[order[starts]]
    by_age = np.lexsort((-order[newest_row], user))
    place = np.arange(len(user)) - np.searchsorted(user, user)  # user is ascending, before and after `by_age`
    kept = by_age[place < newest]
    tastes = sparse.csr_matrix((power[kept] / power.max(), (user[kept], item[kept])), shape=(log.n_users, n_items))
    tastes.sort_indices()
    return tastes
