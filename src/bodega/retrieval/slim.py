"""What will be taken next, as a sum over what was taken lately? Sparse linear item-to-item weights, learned in time.

At each step of each shopper the past is a vector: an item taken `n` steps ago counts `history_decay`^(n-1), just as a
request weighs the history. The weights are the ridge regression of the next step on it: an item that is merely seen in
good company gets nothing, since its company explains the rest (plain co-occurrence counts both). Later steps of the log
count more, by `half_life_days`: where a trend breaks, the weights follow. It is solved column by column, each over the
`candidates` that preceded the item most, so the cost grows with the items and not with their cube, as EASE's does.
Cost: Beauty 3 CPU s, the supermarket (66k items, 1.2M lines) 60 CPU s. Not for: items nobody has touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bodega.retrieval._index import Neighbours, Steps, flat_rows, interest, item_blocks
from bodega.retrieval._item_to_item import Asked, OneList, nobody, seeds_of
from bodega.schema import Context, World
from bodega.schema.arrays import Floats, Ints

DAY = 86_400.0


class SlimOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The few numbers, chosen on validation items (docs/decisions/0023-item-item-family.md)."""

    history_decay: float = 0.75
    """Weight of an item for each step that it lies before the newest one: in learning as in a request."""
    window: int = 20
    """How far back the past reaches, in items; with baskets this is window / mean basket size steps."""
    reverse: float = 0.2
    """Weight of the same steps read backwards; 0 leaves them out."""
    ridge: float = 100.0
    half_life_days: float = 120.0
    """Age at which a step counts half."""
    candidates: int = 100
    """Items that may explain an item."""
    known: int = 1_000
    """Entries of a row of the past's products with itself that are kept."""
    top: int = 200


class Slim(OneList[SlimOptions]):
    """Sparse linear method, directed and decayed in time.

    Answers: home (from the history), similar, together, basket (from the anchors), and any list that has seeds.
    Needs: events; more than one step a shopper. Good for: the next step, catalogs too large for EASE, breaks of trends.
    Not for: new items. Cost: see the top of the file; 8 bytes a kept pair. Relations: `transition` counts what this one
    regresses; `collaborative` (EASE) regresses without time or order. Paper: Ning & Karypis 2011 (SLIM); Steck 2019,
    Markov random fields (a column over its own few candidates); Choi et al. 2021 (SLIST: the past explains what comes).
    """

    name = "slim"
    kind = SlimOptions

    def fit(self, world: World) -> Self:
        self._forget()
        steps = Steps.of(interest(world.log), len(world.items))
        past, then = _examples(steps, self.options)
        self.near = _regressed(past, then, self.options)
        return self

    def _asked(self, context: Context) -> Asked:
        return self.near, *seeds_of(context, self.options.history_decay)


def _examples(steps: Steps, options: SlimOptions) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """(what was taken lately, what was taken then): examples x items, rows already weighted by their age."""
    n = len(steps)
    reach = max(1, round(options.window * n / max(steps.held.nnz, 1)))
    age = np.exp2((steps.time - steps.time.max(initial=-np.inf)) / (options.half_life_days * DAY))
    age = age / age.mean() if n else age  # on average 1: else the ridge would weigh more in a long log
    pasts, thens = [steps.held[:0]], [steps.held[:0]]
    for way, weight in ((-1, 1.0), (1, options.reverse)):
        near = _near(steps.user, way, reach, options.history_decay)
        some = np.flatnonzero(np.diff(near.indptr) if weight else np.zeros(n))
        root = sparse.diags(np.sqrt(age[some] * weight).astype(np.float32))
        pasts.append(root @ (near[some] @ steps.held))
        thens.append(root @ steps.held[some])
    return sparse.vstack(pasts, format="csr"), sparse.vstack(thens, format="csr")


def _near(user: Ints, way: int, reach: int, decay: float) -> sparse.csr_matrix:
    """Steps x steps: decay^(gap-1) at the same shopper's step `gap` before (way -1) or after (way 1) each."""
    at = np.arange(len(user))
    rows, columns, weights = [at[:0]], [at[:0]], [np.empty(0, np.float32)]
    for gap in range(1, min(reach, len(user) - 1) + 1):
        own = at[gap:] if way < 0 else at[:-gap]
        own = own[user[own] == user[own + way * gap]]
        rows.append(own)
        columns.append(own + way * gap)
        weights.append(np.full(len(own), decay ** (gap - 1), np.float32))
    where = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_matrix((np.concatenate(weights), where), shape=(len(user), len(user)))


def _regressed(past: sparse.csr_matrix, then: sparse.csr_matrix, options: SlimOptions) -> Neighbours:
    """Item x item weights: each item's column is regressed on the candidates that preceded it most."""
    n_items = past.shape[1]
    square = np.asarray(past.multiply(past).sum(axis=0)).ravel().astype(np.float32)
    scale: Floats = (1 / np.sqrt(square + options.ridge)).astype(np.float32)
    grams = Neighbours.cut(_products(past, past, np.ones(n_items, np.float32)), options.known)
    before = Neighbours.cut(_products(then, past, scale), options.candidates)
    place = np.full(n_items, -1, np.int64)
    found = [
        _column(item, before, grams, place, (square + np.float32(options.ridge), scale)) for item in range(n_items)
    ]
    weights = np.concatenate([np.empty(0, np.float32), *found])
    columns = sparse.csc_matrix((weights, before.items, before.starts), shape=(n_items, n_items))
    return Neighbours.cut([sparse.csr_matrix(columns)], options.top) if n_items else nobody()


def _products(left: sparse.csr_matrix, right: sparse.csr_matrix, scale: Floats) -> Iterator[sparse.csr_matrix]:
    """Blocks of rows of left' x right x scale, without the diagonal."""
    by_item = left.T.tocsr()
    held = np.diff(right.indptr).astype(np.float64)
    work = np.bincount(left.indices, weights=np.repeat(held, np.diff(left.indptr)), minlength=left.shape[1]) + 1
    for low, high in item_blocks(work):
        block = sparse.csr_matrix(by_item[low:high] @ right)
        owner = np.repeat(np.arange(low, high), np.diff(block.indptr))
        block.data *= scale[block.indices] * (owner != block.indices)
        yield block


def _column(
    item: int, before: Neighbours, grams: Neighbours, place: NDArray[np.int64], levels: tuple[Floats, Floats]
) -> Floats:
    """The weights of the candidates of one item, in their order; `place` is scratch, -1 everywhere."""
    (diagonal, scale), part = levels, slice(before.starts[item], before.starts[item + 1])
    own = before.items[part]
    if not len(own):
        return np.empty(0, np.float32)
    place[own] = np.arange(len(own))
    flat, lengths = flat_rows(grams.starts, own)
    column = place[grams.items[flat]]
    kept = column >= 0
    normal = np.zeros((len(own), len(own)), np.float32)
    normal[np.repeat(np.arange(len(own)), lengths)[kept], column[kept]] = grams.weights[flat[kept]]
    normal = np.maximum(normal, normal.T)  # a product may be kept in one of its two rows only
    normal[np.diag_indices(len(own))] = diagonal[own]
    place[own] = -1
    solution: Floats = np.linalg.solve(normal, before.weights[part] / scale[own])
    return solution
