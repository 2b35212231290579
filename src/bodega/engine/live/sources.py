"""The snapshot's sources with what has happened since on top: what requests are answered from between two learns.

`over` wraps the sources that can be counted on (`popular`, `transition`, `asked`): they answer for the snapshot's
items. `newcomers` puts a source of the same name beside each for the items that came later, so that a new item is
proposed by what people do with it; `recent` and `repeat` know such items, too. Of both, `retrieve` gives the best by
`score` among what the snapshot's source retrieves and what was touched since.
Cost: a request pays for what was touched: logarithms of some hundred counts, one pass over the new votes of its seeds.
Not for: sources that are trained (`collaborative`, `dense`, ...): they stand still until the next learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np

from bodega.engine.live.view import View
from bodega.errors import NotLearned
from bodega.protocols import Source
from bodega.retrieval._index import distinct, top_k
from bodega.retrieval.asked import Asked
from bodega.retrieval.popular import Popular
from bodega.retrieval.repeat import Repeat
from bodega.retrieval.transition import Transition
from bodega.schema import EVENT_CODES, Candidates, Context, ItemTable, World
from bodega.schema.arrays import NO_INTS, Floats, Ints

DAY = 86_400.0
_PURCHASE = EVENT_CODES["purchase"]


def over(held: Mapping[str, Source], view: View) -> dict[str, Source]:
    """The snapshot's sources, those wrapped that can be counted on."""
    found, overlay = dict(held), view.overlay
    popular, asked = held.get("popular"), held.get("asked")
    if isinstance(popular, Popular) and overlay.wanted is not None:
        found["popular"] = GrownPopular(popular, view)
    if view.transition is not None and overlay.follows is not None:
        found["transition"] = GrownTransition(view.transition, view)
    if isinstance(asked, Asked):
        found["asked"] = GrownAsked(asked, view)
    return found


def newcomers(held: Mapping[str, Source], view: View) -> dict[str, Source]:
    """Sources over the shelf's delta, of what people do with items that came after the snapshot."""
    if not view.has_newer:
        return {}
    popular, asked, repeat = held.get("popular"), held.get("asked"), held.get("repeat")
    found: dict[str, Source] = {}
    if isinstance(popular, Popular) and view.overlay.wanted is not None:
        found["popular"] = NewerPopular(popular, view)
    if view.transition is not None and view.overlay.follows is not None:
        found["transition"] = NewerTransition(view.transition, view)
    if isinstance(asked, Asked):
        found["asked"] = NewerAsked(asked, view)
    if isinstance(repeat, Repeat):
        found["repeat"] = NewerRepeat(repeat, view)
    if "recent" in held:
        found["recent"] = NewerRecent(view)
    return found


class _Counted:
    """The learning side of `Source`: counts are made of events as they come, never fitted, kept or opened."""

    name: str

    def fit(self, world: World) -> Self:
        """Nothing to learn: the next snapshot's own source does."""
        del world
        return self

    def save(self, folder: Path) -> None:
        """Nothing to keep: a restart counts the stored events again."""
        del folder

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        """Raises NotLearned: there is never anything to open."""
        del items
        raise NotLearned("counts since a snapshot are not kept", where=str(folder), next="bodega learn")

    def retrieve(self, context: Context, k: int) -> Candidates:
        """The best by `score` of what may be found."""
        items = self.found(context, k)
        score = self.score(context, items)
        best = top_k(score, k)
        return Candidates.of(self.name, items[best], score[best])

    def found(self, context: Context, k: int) -> Ints:
        """Items that may be among the k best, ascending."""
        raise NotImplementedError

    def score(self, context: Context, items: Ints) -> Floats:
        """See `protocols.Source`."""
        raise NotImplementedError


# -- popular ----------------------------------------------------------------------------------------------------------


class GrownPopular(_Counted):
    """`popular` of the snapshot's items, counted on."""

    name = "popular"

    def __init__(self, base: Popular, view: View) -> None:
        assert view.overlay.wanted is not None
        self.base, self.view, self.wanted = base, view, view.overlay.wanted

    @property
    def basis(self) -> str:
        """What the order rests on (see `Popular`)."""
        return "events" if self.wanted.touched else self.base.basis

    @property
    def events(self) -> Ints:
        """Events of each item as of the snapshot (see `Popular`)."""
        return self.base.events

    def found(self, context: Context, k: int) -> Ints:
        with self.view.overlay.lock:
            touched = self.wanted.best(trending=context.place == "trending")
        old = self.base.retrieve(context, k).items
        return _union(old, touched[: np.searchsorted(touched, self.view.n_base)])

    def score(self, context: Context, items: Ints) -> Floats:
        if not self.wanted.touched:
            return self.base.score(context, items)
        if context.place == "trending":
            return self.wanted.rising(items, context.now) if len(self.base.recent) else self._level(context, items)
        return self._level(context, items)

    def _level(self, context: Context, items: Ints) -> Floats:
        with self.view.overlay.lock:
            gain = self.wanted.gain(items)
        score = self.base.score(context, items)
        unknown = np.flatnonzero(np.isnan(score) & (gain != 0))
        score = score + gain
        if len(unknown):
            score[unknown] = gain[unknown] + self.base.lifts(context, self.view.leaf[items[unknown]])
        return score


class NewerPopular(_Counted):
    """How much items are wanted that came after the snapshot: rows of the shelf's delta."""

    name = "popular"

    def __init__(self, base: Popular, view: View) -> None:
        assert view.overlay.wanted is not None
        self.base, self.view, self.wanted = base, view, view.overlay.wanted

    def found(self, context: Context, k: int) -> Ints:
        del k
        with self.view.overlay.lock:
            touched = self.wanted.best(trending=context.place == "trending")
        return _delta(self.view, touched[touched >= self.view.n_base])

    def score(self, context: Context, items: Ints) -> Floats:
        numbers = _numbers(self.view, items)
        out = np.full(len(items), np.nan, np.float32)
        at = np.flatnonzero((numbers >= self.view.n_base) & (self.wanted.usual[numbers] > 0))
        if len(at) == 0:
            return out
        if context.place == "trending":
            out[at] = self.wanted.rising(numbers[at], context.now)
            return out
        lift = self.base.lifts(context, self.view.leaf[items[at] + self.view.n_base])
        out[at] = self.wanted.level(numbers[at]) + lift
        return out


# -- transition -------------------------------------------------------------------------------------------------------


class GrownTransition(_Counted):
    """`transition` of the snapshot's items, counted on (the formula: `votes`)."""

    name = "transition"

    def __init__(self, base: Transition, view: View) -> None:
        self.base, self.view = base, view

    def retrieve(self, context: Context, k: int) -> Candidates:
        if not self.view.led(context).touched:
            return self.base.retrieve(context, k)
        return super().retrieve(context, k)

    def found(self, context: Context, k: int) -> Ints:
        del k
        items = self.view.led(context).items
        return items[: np.searchsorted(items, self.view.n_base)]

    def score(self, context: Context, items: Ints) -> Floats:
        led = self.view.among(context, items) if context.query else self.view.led(context)
        if not led.touched:
            score = self.base.score(context, items)
            if led.votes is None:
                return score
            with self.view.overlay.lock:
                return (score * led.votes.column.growth(items)).astype(np.float32)
        score = led.at(items)
        if context.place == "similar":
            score = score * self.base.closeness(context, self.view.leaf[items])
        if len(context.items):
            score[np.isin(items, context.items)] = np.nan
        return score


class NewerTransition(_Counted):
    """What leads to items that came after the snapshot: rows of the shelf's delta."""

    name = "transition"

    def __init__(self, base: Transition, view: View) -> None:
        self.base, self.view = base, view

    def found(self, context: Context, k: int) -> Ints:
        del k
        led = self.view.led(context)
        return _delta(self.view, led.items[np.searchsorted(led.items, self.view.n_base) :])

    def score(self, context: Context, items: Ints) -> Floats:
        led = self.view.led(context)
        numbers = _numbers(self.view, items)
        score = led.at(numbers) * self.base.closeness(context, self.view.leaf[items + self.view.n_base])
        known = numbers >= self.view.n_base
        if context.newer is not None:
            known &= ~np.isin(items + self.view.n_base, context.newer.items)
        return np.where(known, score, np.nan).astype(np.float32)


# -- asked ------------------------------------------------------------------------------------------------------------


class _GrownWords(_Counted):
    """What was chosen after queries like this one, before the snapshot and since; by number."""

    name = "asked"

    def __init__(self, base: Asked, view: View) -> None:
        self.base, self.view = base, view
        self._latest: tuple[Context | None, Ints, Floats] = (None, NO_INTS, np.empty(0, np.float32))

    def _held(self, context: Context) -> tuple[Ints, Floats]:
        held = self._latest
        if held[0] is not context:
            with self.view.overlay.lock:
                held = (context, *self.view.overlay.words.found(context.query))
            self._latest = held
        return held[1], held[2]

    def _scores(self, context: Context, numbers: Ints) -> Floats:
        held, score = self._held(context)
        out = np.full(len(numbers), np.nan, np.float32)
        if len(held):
            at = np.minimum(np.searchsorted(held, numbers), len(held) - 1)
            same = held[at] == numbers
            out[same] = score[at[same]]
        return out


class GrownAsked(_GrownWords):
    """`asked` of the snapshot's items, counted on."""

    def found(self, context: Context, k: int) -> Ints:
        if not self.view.overlay.words:
            return np.sort(self.base.retrieve(context, k).items)
        held = self._held(context)[0]
        return held[: np.searchsorted(held, self.view.n_base)]

    def score(self, context: Context, items: Ints) -> Floats:
        if not context.query or not self.view.overlay.words:
            return self.base.score(context, items)
        return self._scores(context, items)


class NewerAsked(_GrownWords):
    """The same of items that came after the snapshot: rows of the shelf's delta."""

    def found(self, context: Context, k: int) -> Ints:
        del k
        held = self._held(context)[0]
        return _delta(self.view, held[np.searchsorted(held, self.view.n_base) :])

    def score(self, context: Context, items: Ints) -> Floats:
        if not context.query or not self.view.overlay.words:
            return np.full(len(items), np.nan, np.float32)
        numbers = _numbers(self.view, items)
        score = self._scores(context, numbers)
        score[numbers < self.view.n_base] = np.nan  # a changed item is scored as what it was
        return score


# -- a shopper's own new items ----------------------------------------------------------------------------------------


class NewerRecent(_Counted):
    """What this shopper looked at last, of the items that came after the snapshot."""

    name = "recent"

    def __init__(self, view: View) -> None:
        self.view = view

    def found(self, context: Context, k: int) -> Ints:
        del k
        return NO_INTS if context.newer is None else np.unique(context.newer.history - self.view.n_base)

    def score(self, context: Context, items: Ints) -> Floats:
        out = np.full(len(items), np.nan, np.float32)
        if context.newer is not None:
            last = dict(zip(context.newer.history.tolist(), context.newer.times.tolist(), strict=True))
            for at, row in enumerate((items + self.view.n_base).tolist()):
                if row in last:
                    out[at] = last[row] - context.now
        return out


class NewerRepeat(_Counted):
    """What this shopper bought before, of the items that came after the snapshot: decayed, with a usual propensity."""

    name = "repeat"

    def __init__(self, base: Repeat, view: View) -> None:
        self.base, self.view = base, view
        self._usual = float(np.median(base.propensity)) if len(base.propensity) else 0.0

    def found(self, context: Context, k: int) -> Ints:
        del k
        if context.newer is None:
            return NO_INTS
        return np.unique(context.newer.history[context.newer.actions == _PURCHASE] - self.view.n_base)

    def score(self, context: Context, items: Ints) -> Floats:
        out = np.full(len(items), np.nan, np.float32)
        if context.newer is None:
            return out
        bought = context.newer.actions == _PURCHASE
        age = np.maximum(context.now - context.newer.times[bought], 0) / DAY
        mine, owner = np.unique(context.newer.history[bought], return_inverse=True)
        if not len(mine):
            return out
        count = np.bincount(owner, weights=np.exp2(-age / self.base.options.half_life_days))
        score = np.log(np.maximum(count, 1e-30)) + self.base.options.propensity * self._usual
        place = np.minimum(np.searchsorted(mine, items + self.view.n_base), len(mine) - 1)
        same = mine[place] == items + self.view.n_base
        out[same] = score[place[same]]
        return out


def _union(one: Ints, other: Ints) -> Ints:
    """Both, ascending, each once."""
    return distinct(np.concatenate([one, other]))


def _numbers(view: View, items: Ints) -> Ints:
    """The numbers of rows of the shelf's delta."""
    return view.number[np.asarray(items) + view.n_base]


def _delta(view: View, numbers: Ints) -> Ints:
    """Rows of the shelf's delta, ascending, of numbers that came after the snapshot and are for sale."""
    rows = view.rows(numbers)
    return np.sort(rows[rows >= 0] - view.n_base).astype(np.int32)
