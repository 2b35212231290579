"""The counts over one shelf: which row has which number, who touched what is new, where the new votes lead.

Bound anew when the catalog changes; a request reads it, nothing is written.
Cost: one look-up an item of the shelf's delta when it is bound; one pass over the votes of its seeds for a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from bodega.engine.live.overlay import Overlay
from bodega.engine.live.votes import Votes
from bodega.engine.online import Shoppers
from bodega.engine.shelf import GONE, Shelf
from bodega.protocols import Source
from bodega.retrieval._index import Neighbours, at, numbered, step_weights
from bodega.retrieval.transition import TOGETHER_PLACES, Transition
from bodega.schema import Context, Request
from bodega.schema.arrays import NO_INTS, Doubles, Floats, Ints, Newer
from bodega.schema.said import Said


@dataclass(frozen=True, slots=True, eq=False)
class Led:
    """Where the seeds of one context lead: the snapshot's lists and the votes since."""

    votes: Votes | None = None
    """None: nobody has voted since."""
    touched: bool = False
    """Is anything counted from these seeds? Else the snapshot's own source answers, and the rest here is empty."""
    items: Ints = field(default_factory=lambda: NO_INTS)
    """Numbers of all items that are led to, ascending."""
    score: Floats = field(default_factory=lambda: np.empty(0, np.float32))

    def at(self, numbers: Ints) -> Floats:
        """The scores of these items; NaN where nothing leads to one."""
        return at(self.items, self.score, numbers)


def _spread(
    lists: Neighbours, votes: Votes | None, led_by: tuple[Ints, Floats], among: Ints | None = None
) -> tuple[Ints, Doubles]:
    """(items ascending, scores): the formula of `votes`, summed over the seeds (`led_by`: they and their weights), of
    all items or of those `among` which somebody asks."""
    seeds, weights = led_by
    inside = seeds < len(lists)
    own, share = seeds[inside], weights[inside].astype(np.float64)
    if votes is not None:
        share = share * votes.row.growth(own)
    old, held, lengths = lists.lists(own)
    old_score = held * np.repeat(share, lengths)
    new, new_score = (NO_INTS, np.empty(0)) if votes is None else votes.spread(seeds, weights)
    keys = np.concatenate([old, new])
    if not len(keys):
        return NO_INTS, np.empty(0)
    size = int(keys.max()) + 1
    if among is not None:  # a tenth of what 40 seeds lead to: the rest is neither sorted nor summed
        asked = np.zeros(size, np.bool_)
        asked[among[among < size]] = True
        of_old, of_new = asked[old], asked[new]
        old, old_score, new, new_score = old[of_old], old_score[of_old], new[of_new], new_score[of_new]
        keys = np.concatenate([old, new])
    items, place = numbered(keys, size)
    total: Doubles = np.asarray(np.bincount(place[: len(old)], old_score, len(items)), np.float64)
    if votes is None:
        return items, total
    total *= votes.column.growth(items)
    if len(new):
        since = np.bincount(place[len(old) :], weights=new_score, minlength=len(items))
        total += since * votes.column.divided(items)
    keep = total > 0
    return items[keep], total[keep]


class View:
    """The counts, over one shelf."""

    def __init__(self, overlay: Overlay, shelf: Shelf, transition: Transition | None) -> None:
        self.overlay = overlay
        self.shelf = shelf
        self.transition = transition
        self.n_base = len(shelf.base)
        number = shelf.known_as.astype(np.int32)
        with overlay.lock:
            for row in np.flatnonzero(number == GONE).tolist():
                number[row] = overlay.numbers(shelf.id(row))
        self.number: Ints = number
        """(len(shelf),): the number of the item of each row; -1 where there were too many new ones."""
        later = np.flatnonzero((number >= self.n_base) & shelf.is_current)
        self._row_of = dict(zip(number[later].tolist(), later.tolist(), strict=True))
        self.leaf = _leaves(shelf)
        """(len(shelf),) deepest category of each row in the snapshot's codes, -1 unknown."""
        self._latest: tuple[Context | None, Led] = (None, Led())

    @classmethod
    def of(cls, overlay: Overlay, shelf: Shelf, sources: Mapping[str, Source]) -> View:
        """The counts over a shelf, for the sources of the snapshot."""
        transition = sources.get("transition")
        return cls(overlay, shelf, transition if isinstance(transition, Transition) else None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Bounds that were reached."""
        return self.overlay.warnings

    @property
    def said(self) -> tuple[Said, ...]:
        """The same with their codes."""
        return self.overlay.said

    @property
    def has_newer(self) -> bool:
        """Is anything for sale that the snapshot does not know?"""
        return bool(self._row_of)

    def rows(self, numbers: Ints) -> Ints:
        """The shelf row of each number that came after the snapshot; -1 where it is not for sale."""
        get = self._row_of.get
        return np.fromiter((get(number, -1) for number in numbers.tolist()), np.int32, len(numbers))

    def noticed(self, context: Context, request: Request, shoppers: Shoppers) -> Context:
        """The context with what the request and its shopper have to do with items that came after the snapshot."""
        self.overlay.settle()
        if not self._row_of:
            return context
        base = self.shelf.base.index
        anchors = {self.shelf.row(name) for name in request.items if name not in base} - {GONE}
        own = request.personal and bool(request.user or request.session)
        history = shoppers.beside(request.user, request.session, self.shelf.delta) if own else None
        newer = Newer(items=np.array(sorted(anchors), np.int32))
        if history is not None and (len(history.items) or len(history.disliked)):
            rows, away = history.items + self.n_base, history.disliked + self.n_base
            new = self.number[rows] >= self.n_base  # a changed item is known as what it was
            away = away[self.number[away] >= self.n_base]
            newer = replace(
                newer,
                history=rows[new].astype(np.int32),
                times=history.times[new],
                actions=history.actions[new],
                disliked=away.astype(np.int32),
            )
        if not (len(newer.items) or len(newer.history) or len(newer.disliked)):
            return context
        return replace(context, newer=newer)

    def led(self, context: Context) -> Led:
        """Where the votes since the snapshot lead; remembered for the latest context, by identity."""
        held = self._latest
        if held[0] is context:
            return held[1]
        led = Led() if self.transition is None else self._led(self.transition, context)
        self._latest = (context, led)
        return led

    def among(self, context: Context, numbers: Ints) -> Led:
        """`led` of these numbers only, for a page that the votes propose nothing to: a third of the time."""
        held = self._latest
        if held[0] is context or self.transition is None:
            return self.led(context)
        return self._led(self.transition, context, numbers)

    def _led(self, transition: Transition, context: Context, among: Ints | None = None) -> Led:
        overlay = self.overlay
        seeds, weights = self._seeds(context, transition.options.history_decay)
        votes, together = overlay.follows, False
        if context.place in TOGETHER_PLACES and _anchored(context):
            visits, inside = overlay.together, seeds[seeds < self.n_base]
            together = bool(np.any(transition.together.lengths(inside)))
            together = together or (visits is not None and visits.row.touched(seeds))
            votes = visits if together else votes
        newer = context.newer is not None
        if votes is None or not votes:
            votes = None
        with overlay.lock:
            if not newer and (votes is None or not votes.row.touched(seeds)):
                return Led(votes=votes)
            lists = transition.together if together else transition.follows
            items, score = _spread(lists, votes, (seeds, weights), among)
        return Led(votes, touched=True, items=items, score=score.astype(np.float32))

    def _seeds(self, context: Context, decay: float) -> tuple[Ints, Floats]:
        """Numbers of the seeds and their weights, as `_item_to_item.seeds_of` gives them, new items among them."""
        newer = context.newer
        if _anchored(context):
            extra = NO_INTS if newer is None else self.number[newer.items]
            anchors = np.unique(np.concatenate([context.items, extra])).astype(np.int32)
            return anchors[anchors >= 0], np.ones(int((anchors >= 0).sum()), np.float32)
        if newer is None or not len(newer.history):
            return step_weights(context, decay)
        place = np.searchsorted(context.times, newer.times, side="right")
        merged = Context(
            history=np.insert(context.history, place, self.number[newer.history]),
            times=np.insert(context.times, place, newer.times),
        )
        return step_weights(merged, decay)


def _anchored(context: Context) -> bool:
    return len(context.items) > 0 or (context.newer is not None and len(context.newer.items) > 0)


def _leaves(shelf: Shelf) -> Ints:
    base, delta = shelf.base, shelf.delta
    own = base.leaf_category if "category" in base.coded else np.full(len(base), -1, np.int32)
    if not len(delta) or "category" not in base.coded or "category" not in delta.coded:
        return np.concatenate([own, np.full(len(delta), -1, np.int32)]).astype(np.int32)
    code_of = base.coded["category"].code_of
    known = np.array([*(code_of.get(name, -1) for name in delta.coded["category"].vocabulary), -1], np.int32)
    return np.concatenate([own, known[delta.leaf_category]]).astype(np.int32)
