"""What comes after this? Order-aware item-to-item: what shoppers took a few steps later.

Two items of one shopper that lie `gap` steps apart vote 0.85^(gap-1) for "the first leads to the second" and 0.3 of
that for the way back; votes are divided by row^0.4 x column^0.1, so that bestsellers do not lead everywhere; a request
spreads the shopper's newest items (0.65 for each step back) over their 200 best followers. A basket is one step: inside
it there is no order. A second matrix of the same make, `together`, counts only what was bought within one visit.
Cost: 198k events of 12k items .3 s, 1.2M lines of 66k items 9 CPU s (process peak 760 MB).
Not for: items nobody has touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from scipy import sparse

from bodega.retrieval._index import (
    Neighbours,
    Steps,
    checked,
    interest,
    item_blocks,
    load_facts,
    only,
    save_arrays,
    save_facts,
)
from bodega.retrieval._item_to_item import Asked, ItemToItem, nobody, seeds_of
from bodega.schema import Context, ItemTable, World
from bodega.schema.arrays import NO_INTS, Floats, Ints
from bodega.schema.table import mapped

BOUGHT = ("cart", "purchase")
"""What "together" means: put into one basket. Logs without either count all interest within one visit."""

TOGETHER_PLACES = frozenset({"together", "basket"})


class TransitionOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The few numbers, chosen on the validation items of Beauty, Sports and the supermarket (docs/log.md)."""

    window: int = 20
    """How far apart two items may lie, in items; with baskets this is window / mean basket size steps."""
    gap_decay: float = 0.85
    reverse: float = 0.3
    within: float = 0.5
    """Vote of two items of the same step, both ways."""
    row: float = 0.4
    column: float = 0.1
    history_decay: float = 0.65
    """Weight of a seed for each step that it lies before the newest one."""
    together_row: float = 0.5
    together_column: float = 0.3
    closeness: float = 4.0
    """On `similar`, an item of the anchor's own deepest category counts this much more."""
    top: int = 200


class Transition(ItemToItem):
    """Order-aware item-to-item.

    Answers: home (from the history), similar, together, basket (from the anchors), and any list that has seeds.
    Needs: events; more than one a shopper. Good for: the next step of a session, tail items. Not for: new items.
    Cost: see the top of the file; about 12 bytes a kept pair. Relations: `collaborative` knows no order and shares
    its mistakes least where the history is long. Paper: Sarwar et al. 2001 (item-to-item); the window, decay and
    damping are ours, chosen on validation.
    """

    name = "transition"

    def __init__(self, options: TransitionOptions | None = None) -> None:
        super().__init__()
        self.options = options or TransitionOptions()
        self.follows, self.together = nobody(), nobody()
        self.votes: dict[str, Sums] = {}
        """What `follows` and `together` were divided by: what happens later can be counted on (`engine.live`). Empty
        in a snapshot that was learned before this was kept."""
        self.leaf: Ints = NO_INTS
        """Deepest category of each item, -1 without one."""

    def fit(self, world: World) -> Self:
        self._forget()
        options, n_items = self.options, len(world.items)
        log = interest(world.log)
        self.leaf = world.items.leaf_category
        self.follows, follows = related(Steps.of(log, n_items), options)
        bought = only(log, BOUGHT)
        visits = Steps.of(bought if len(bought) else log, n_items, by_session=True)
        damped = msgspec.structs.replace(options, row=options.together_row, column=options.together_column)
        self.together, together = related(visits, damped, ordered=False)
        together = replace(together, bought=len(bought) > 0)
        self.votes = {"follows": follows, "together": together}
        return self

    def _asked(self, context: Context) -> Asked:
        seeds, weights = seeds_of(context, self.options.history_decay)
        in_a_visit = context.place in TOGETHER_PLACES and len(context.items)
        if in_a_visit and np.any(self.together.lengths(seeds)):
            return self.together, seeds, weights
        return self.follows, seeds, weights

    def closeness(self, context: Context, leaf: Ints) -> Floats:
        """By how much items of these categories (-1 none) are lifted on this list: (len(leaf),)."""
        out = np.ones(len(leaf), np.float32)
        if context.place == "similar" and len(context.items):
            leaves = self.leaf[context.items]
            out[np.isin(leaf, leaves[leaves >= 0])] = np.float32(self.options.closeness)
        return out

    def _adjusted(self, context: Context, scores: Floats, items: Ints | slice) -> Floats:
        if context.place == "similar" and len(context.items):
            scores *= self.closeness(context, self.leaf[items])
        return scores

    def save(self, folder: Path) -> None:
        self.follows.save(folder, "follows")
        self.together.save(folder, "together")
        np.save(folder / "leaf.npy", self.leaf)
        for name, sums in self.votes.items():
            save_arrays(folder, {f"{name}.row": sums.row, f"{name}.column": sums.column})
            save_arrays(folder, {f"{name}.reach": np.array([sums.reach, sums.bought], np.int32)})
        save_facts(folder, self.options)

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        del items
        source = cls(load_facts(folder, TransitionOptions))
        source.follows = Neighbours.load(folder, "follows")
        source.together = Neighbours.load(folder, "together")
        source.leaf = mapped(folder / "leaf.npy")
        for name in ("follows", "together"):
            if (folder / f"{name}.reach.npy").is_file():
                row, column, reach = (checked(folder / f"{name}.{part}.npy") for part in ("row", "column", "reach"))
                source.votes[name] = Sums(row, column, int(reach[0]), bool(reach[1]))
        return source


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """All votes from each item, and to each item, before anything was divided or cut: (n_items,) float32."""

    row: Floats
    column: Floats
    reach: int
    """Steps apart that still vote for each other."""
    bought: bool = False
    """Of `together`: did only what was bought vote? (Else the log held no purchase, and all interest did.)"""


@dataclass(frozen=True)
class _Votes:
    """Steps, and how two of them `gap` apart vote: `forward[gap]` for what comes after, `backward[gap]` for before."""

    steps: Steps
    forward: Floats
    backward: Floats

    def near(self, sizes: Floats, *, turned: bool = False) -> Floats:
        """Sum over near steps of vote x size, a step: the row (or, turned, column) sums without the matrix."""
        user, out = self.steps.user, self.forward[0] * (sizes - 1)
        ahead, behind = (self.backward, self.forward) if turned else (self.forward, self.backward)
        for gap in range(1, len(self.forward)):
            same = user[:-gap] == user[gap:]
            out[:-gap] += ahead[gap] * sizes[gap:] * same
            out[gap:] += behind[gap] * sizes[:-gap] * same
        near_sum: Floats = out.astype(np.float32)
        return near_sum

    def rows(self, held: sparse.csr_matrix) -> sparse.csr_matrix:
        """Rows of the item x item votes for `held` (items x steps): spread over near steps, then over their items."""
        user = self.steps.user
        item = np.repeat(np.arange(held.shape[0], dtype=np.int32), np.diff(held.indptr))
        step = held.indices
        parts = [(item, step, np.full(len(step), self.forward[0], np.float32))]
        for gap in range(1, len(self.forward)):
            for shift, vote in ((gap, self.forward[gap]), (-gap, self.backward[gap])):
                if vote:
                    there = step + shift
                    ok = (there >= 0) & (there < len(user))
                    ok[ok] = user[there[ok]] == user[step[ok]]
                    parts.append((item[ok], there[ok], np.full(np.count_nonzero(ok), vote, np.float32)))
        item, step, vote = (np.concatenate(column) for column in zip(*parts, strict=True))
        near = sparse.csr_matrix((vote, (item, step)), shape=held.shape)
        return sparse.csr_matrix(near @ self.steps.held)


def nobody_of(n_items: int) -> Neighbours:
    """Lists of so many items, all empty."""
    return Neighbours(np.zeros(n_items + 1, np.int64), NO_INTS, np.empty(0, np.float32))


def vote_sizes(options: TransitionOptions, reach: int) -> tuple[Floats, Floats]:
    """(votes forward, votes back) by the steps that lie between: (reach + 1,) each; 0 steps: both ways the first."""
    forward = (options.gap_decay ** np.maximum(np.arange(reach + 1) - 1, 0)).astype(np.float32)
    backward = forward * np.float32(options.reverse)
    forward[0] = options.within
    return forward, backward


def relate(steps: Steps, options: TransitionOptions, *, ordered: bool = True) -> Neighbours:
    """The damped, cut item x item matrix of what follows what; not `ordered`: only what shares a step."""
    return related(steps, options, ordered=ordered)[0]


def related(steps: Steps, options: TransitionOptions, *, ordered: bool = True) -> tuple[Neighbours, Sums]:
    """The damped, cut item x item matrix of what follows what, and what it was divided by; not `ordered`: only what
    shares a step."""
    n_items = steps.held.shape[1]
    if not len(steps):
        nothing = np.zeros(n_items, np.float32)
        return nobody_of(n_items), Sums(nothing, nothing, options.window if ordered else 0)
    reach = max(1, round(options.window * len(steps) / steps.held.nnz)) if ordered else 0
    forward, backward = vote_sizes(options, reach)
    votes = _Votes(steps, forward, backward)
    sizes = steps.sizes
    by_item = steps.held.T.tocsr()
    row, column = by_item @ votes.near(sizes), by_item @ votes.near(sizes, turned=True)
    near = Neighbours.cut(
        _damped(votes, by_item, _power(row, options.row), _power(column, options.column)), options.top
    )
    return near, Sums(row.astype(np.float32), column.astype(np.float32), reach)


def _damped(votes: _Votes, by_item: sparse.csr_matrix, row: Floats, column: Floats) -> Iterator[sparse.csr_matrix]:
    """Blocks of rows of votes x row x column, without the diagonal."""
    work = by_item @ votes.near(votes.steps.sizes + 1) + np.diff(by_item.indptr)
    for low, high in item_blocks(work):
        block = votes.rows(by_item[low:high])
        owner = np.repeat(np.arange(low, high), np.diff(block.indptr))
        block.data *= row[owner] * column[block.indices] * (owner != block.indices)
        yield block


def _power(sums: Floats, exponent: float) -> Floats:
    out: Floats = np.where(sums > 0, np.maximum(sums, 1e-12) ** -exponent, 0).astype(np.float32)
    return out
