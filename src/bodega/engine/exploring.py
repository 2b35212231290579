"""What does this page try out? The stage between the finished order and the page.

It sees the list as it would be shown (mixed, sorted, one row a variant group, pins in place) and may let a few rows of
its first page change places with rows from just below it. Never for a request without personalisation (such pages are
the same for everybody), nor for nobody in particular, nor on a page behind the first, nor where the shopper chose the
order; never a pin, never what is sold out or may not be shown: those are not on the list, or stay where they are.
Cost: nothing where the place's dial is off, else .6 ms. Not for: what is believed (`trials`), or the chances
(`ranking.explore`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bodega import settings
from bodega.engine.shelf import GONE, Shelf
from bodega.engine.trials import Trials
from bodega.ranking.explore import FEATURES, Field, Trial, arranged, drawn
from bodega.schema import Candidates, Context, Reason, Request, Sort
from bodega.schema.arrays import Doubles, Floats, Ints, Longs
from bodega.schema.trials import Decision, Slot, tried_id

TEXTS = {"en": "New: being tried out", "zh": "新品试推荐"}
"""{language: why an item is here that the ranking alone would not have shown}."""
NEW_DAYS = 30.0
RECENT = 20
"""Newest items of a shopper whose categories count as kin."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """A list as it would be shown."""

    rows: Ints
    ranked: Candidates
    """The head with its scores."""
    pins: Ints
    """Rows that rules put where they are."""
    context: Context


@dataclass(frozen=True, slots=True)
class Tried:
    """The list with what chance decided, and the record of it."""

    rows: Ints
    decision: Decision
    instead: frozenset[int]
    """Rows that stand where the ranking would have shown another."""

    def explained(self, rows: Ints, why: Sequence[tuple[Reason, ...]], language: str) -> list[tuple[Reason, ...]]:
        """The reasons of the hits on the page: what is tried out says so first; the sources' shares stay."""
        text = TEXTS.get(language[:2], TEXTS["en"])
        own = Reason(source="explore", share=0.0, text=text)
        return [(own, *each) if row in self.instead else each for row, each in zip(rows.tolist(), why, strict=True)]


@dataclass(frozen=True, eq=False)
class Exploring:
    """Tries things out on the pages of one shelf."""

    shelf: Shelf
    trials: Trials
    dials: settings.Exploring
    fame: Callable[[], Floats]
    """How popular each shelf row is."""
    category: Callable[[], Ints]
    """Code of the deepest category of each shelf row, -1 without one."""

    def tried(self, request: Request, ordered: Ordered) -> Tried | None:
        """The list with what is tried out on this page; None where nothing may be. Showing it is noted apart."""
        dial = self.dials.of(request.place)
        nobody = not (request.user or request.session)
        chosen = request.sort is not Sort.RELEVANCE or bool(request.sort_by)
        if dial.off or not request.personal or nobody or request.offset or chosen:
            return None
        field = self._field(request.k, dial.reach, ordered)
        found = self.trials.trial(request.place, field, ordered.context.now)
        if found is None:
            return None
        name = tried_id(request.place)
        shown = drawn(name, found.chance)
        decision = Decision(
            request_id=name,
            time=ordered.context.now,
            place=request.place,
            policy=dial.policy,
            slots=slots_of(found, shown),
            user=request.user,
            session=request.session,
            worker=self.trials.worker,
        )
        places = found.places[np.arange(len(shown)), shown]
        instead = frozenset(field.rows[places[shown > 0]].tolist())
        rows = np.concatenate([arranged(field.rows, found, shown), ordered.rows[len(field.rows) :]])
        return Tried(rows, decision, instead)

    def _field(self, k: int, reach: int, ordered: Ordered) -> Field:
        """The first page of the list and what lies within reach below it."""
        shelf, ranked = self.shelf, ordered.ranked
        rows = ordered.rows[: k + reach]
        score = np.full(len(shelf), np.nan, np.float32)
        score[ranked.items] = _scaled(ranked.score)
        return Field(
            rows=rows,
            score=score[rows],
            fixed=np.isin(rows, ordered.pins) | ~shelf.available[rows],
            k=k,
            names=lambda some: [shelf.id(row) for row in some.tolist()],
            features=lambda some, own: self._features(ordered.context, some, own),
        )

    def _features(self, context: Context, rows: Ints, score: Floats) -> Doubles:
        """(n, d), see `FEATURES`."""
        out = np.zeros((len(rows), len(FEATURES)))
        out[:, 0] = 1.0
        out[:, 1] = score
        age = (context.now - self.shelf.created[rows]) / 86_400.0
        fresh = np.exp(-np.maximum(np.nan_to_num(age, nan=np.inf), 0.0) / NEW_DAYS)
        out[:, 2] = np.where(self.shelf.known_as[rows] == GONE, 1.0, fresh)
        fame = self.fame()[rows].astype(np.float64)
        known = fame[np.isfinite(fame)]
        if len(known):
            low, high = known.min(), known.max()
            out[:, 3] = np.clip((np.nan_to_num(fame, neginf=low) - low) / max(high - low, 1e-9), 0.0, 1.0)
        if len(context.history):
            codes = self.category()
            own = codes[context.history[-RECENT:]]
            out[:, 4] = (codes[rows][:, None] == own[own >= 0][None, :]).mean(axis=1) if (own >= 0).any() else 0.0
        return out


def slots_of(found: Trial, shown: Longs) -> tuple[Slot, ...]:
    """The slots of a page as they are logged."""
    return tuple(
        Slot(
            position=int(position),
            shown=int(shown[slot]),
            items=items,
            chances=tuple(found.chance[slot, : len(items)].tolist()),
            features=tuple(tuple(each) for each in found.features[slot, : len(items)].tolist()),
        )
        for slot, (position, items) in enumerate(zip(found.positions.tolist(), found.items, strict=True))
    )


def _scaled(score: Floats) -> Floats:
    """Scores as 0 to 1 over the list; NaN where there is none."""
    known = np.isfinite(score)
    if not known.any():
        return np.full(len(score), np.nan, np.float32)
    low, high = float(score[known].min()), float(score[known].max())
    scaled = (score - low) / max(high - low, 1e-9)
    return np.where(known, scaled, np.nan).astype(np.float32)


def policy_of(tried: Tried | None) -> str:
    """What the page says of it: the name of the policy, "" where nothing could have been otherwise."""
    return tried.decision.policy if tried else ""
