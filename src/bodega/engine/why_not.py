"""Why is this item not on this page? The first step of the way to a page at which it fell out, in words.

    catalog    unknown_item, gone
    rules      hidden_by_rule, filtered_by_rule
    shopper    anchor, dismissed, already_has
    asked      filtered, condition (what the query itself demands), sold_out
    found      not_found (the words), not_proposed (the sources)
    listed     variant (another of its product stands for it), demoted (by diversity or fatigue), sold_out_last,
               sorted (another order was asked for), outranked, other_page
    shown      it is there

Every step is the engine's own (`Engine.worked`): nothing is guessed, and asking changes no page. Along with the step
comes where each source sees the item, and, where it lost by rank, what separates it from the last item that was shown.
Cost: a page, and each source asked for its 1,000 best. Not for: shoppers (it tells what the shop knows of them: admin
keys only), or why an item *is* there (`explain`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np

from bodega.engine.answer import NO_RULES, Engine, Worked
from bodega.engine.explain import Explainer, contributions
from bodega.engine.question import Question
from bodega.engine.shelf import GONE
from bodega.engine.why_not_texts import said
from bodega.ranking.rules import Aim, RuleBook
from bodega.schema import Meaning, Request, Sort
from bodega.schema.arrays import Ints

DEPTH = 1_000
"""How far down a source's list an item is looked for."""
WORN = 0.2
"""Weariness from which it is named as what moved an item down."""


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one source, or one feature of the ranking, sees the item."""

    name: str
    score: float | None = None
    """The source's own score; none where it does not know the item, or where this is no source."""
    rank: int | None = None
    """Place in the source's own list, from 1; none beyond the first 1,000."""
    part: float | None = None
    """What it added to the item's score in the ranking; none where the item was not ranked closely."""
    last: float | None = None
    """What it added to the score of the last item that was shown."""


class WhyNot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an item fell out on the way to a page."""

    item: str
    place: str
    stage: str
    """See the top of the file; stable names."""
    text: str
    """In the language of the request."""
    title: str = ""
    shown: bool = False
    position: int | None = None
    """Place in the whole list, from 0 as in `Hit`; none where it is not on it."""
    total: int = 0
    """Length of the whole list."""
    passed: tuple[str, ...] = ()
    """The steps it got through, in order."""
    details: tuple[str, ...] = ()
    """Ids of the rules, the filters, conditions or words that decided; what moved it down."""
    instead: str = ""
    """The item that stands for it (variant), or the last one shown (outranked)."""
    sources: tuple[Standing, ...] = ()
    exact: bool = True
    """False where a network ranks: its parts are estimates."""


def why_not(engine: Engine, request: Request, item_id: str, rules: RuleBook = NO_RULES) -> WhyNot:
    """At which step of answering the request the item fell out. Raises BadRequest as `Engine.answer` does."""
    return _Inquiry(engine, request, item_id, rules).told()


@dataclass(frozen=True, slots=True)
class _Found:
    """A step that stopped the item, and what to say of it."""

    stage: str
    details: tuple[str, ...] = ()
    position: int | None = None
    instead: str = ""


@dataclass(frozen=True)
class _Inquiry:
    """One item on its way through one request."""

    engine: Engine
    request: Request
    item_id: str
    rules: RuleBook

    @cached_property
    def work(self) -> Worked:
        return self.engine.worked(self.request, self.rules)

    @cached_property
    def row(self) -> int:
        return self.engine.shelf.row(self.item_id)

    @property
    def asked(self) -> Question:
        return self.work.asked

    @cached_property
    def at(self) -> int:
        """Place in the whole list, -1 where it is not on it."""
        return _place(self.work.rows, self.row)

    def told(self) -> WhyNot:
        """The first step that stopped it."""
        steps = (
            ("catalog", self._catalog),
            ("rules", self._ruled),
            ("shopper", self._shopper),
            ("filters", self._filtered),
            ("conditions", self._conditions),
            ("stock", self._stock),
            ("found", self._candidate),
            ("variants", self._collapsed),
            ("ranked", self._ranked),
        )
        work, passed = self.work, []
        found: _Found | None = None
        for name, step in steps:
            found = step()
            if found is not None:
                break
            passed.append(name)
        found = found or _Found("shown", position=self.at)
        standings, exact = self._standings(found)
        title = "" if self.row == GONE else self.engine.shelf.title(self.row)
        instead = "" if not found.instead else self.engine.shelf.title(self.engine.shelf.row(found.instead))
        gap = max(standings, key=lambda each: (each.last or 0) - (each.part or 0), default=None)
        lost_by = gap.name if gap is not None and (gap.last or 0) > (gap.part or 0) else ""
        facts = {
            "title": title or self.item_id,
            "details": "; ".join(found.details),
            "instead": instead or found.instead,
            "position": str((found.position or 0) + 1),
            "total": str(len(work.rows)),
            "by": lost_by,
            "depth": str(self.engine.pooling.per_source),
        }
        return WhyNot(
            item=self.item_id,
            place=work.place.name,
            stage=found.stage,
            text=said(found.stage, self.asked.context.language, facts),
            title=title,
            shown=found.stage == "shown",
            position=found.position,
            total=len(work.rows),
            passed=tuple(passed),
            details=found.details,
            instead=found.instead,
            sources=standings,
            exact=exact,
        )

    # -- steps: each gives what stopped the item, or None -----------------------------------------------------------

    def _catalog(self) -> _Found | None:
        shelf = self.engine.shelf
        if self.row != GONE:
            return None
        known = self.item_id in shelf.changed or self.item_id in shelf.base.index
        return _Found("gone" if known else "unknown_item")

    def _ruled(self) -> _Found | None:
        bound = self.work.bound
        if bound.hidden is not None and bound.hidden[self.row]:
            return _Found("hidden_by_rule", self._aims(bound.plan.hides, meant=True))
        pinned = any(row == self.row for row, _, _ in bound.pins)
        if bound.passing is not None and not bound.passing[self.row] and not pinned:
            return _Found("filtered_by_rule", self._aims(bound.plan.filters, meant=False))
        return None

    def _aims(self, aims: tuple[Aim, ...], *, meant: bool) -> tuple[str, ...]:
        """Ids of the rules whose action means the item (or does not)."""
        own = [aim.rule for aim in aims if (self.row in self.engine.merchandise.meant(aim)) == meant]
        return tuple(dict.fromkeys(own))

    def _shopper(self) -> _Found | None:
        context, place = self.asked.context, self.work.place
        if place.anchored and self._among(context.items):
            return _Found("anchor")
        if self._among(context.disliked):
            return _Found("dismissed")
        if place.fresh and not self.engine.learned.repeats and self._among(context.history):
            return _Found("already_has")
        return None

    def _among(self, known: Ints) -> bool:
        """Is it one of these items, which the context knows by the snapshot's rows?"""
        return bool(np.any(self.engine.shelf.current(known) == self.row))

    def _filtered(self) -> _Found | None:
        chosen = self.work.chosen
        out = [name for name, flags in chosen.by_field.items() if not flags[self.row]]
        details = [_filter(self.request, name) for name in out]
        if chosen.where is not None and not chosen.where[self.row]:
            details.append(self.request.where.strip())
        return _Found("filtered", tuple(details)) if details else None

    def _conditions(self) -> _Found | None:
        """What the query demands ("under 50", "not silk"), as far as it was not given up."""
        refused = [m for m in self.asked.context.meanings if self.engine.finder.refused(m, self.row)]
        return _Found("condition", tuple(_meaning(each) for each in refused)) if refused else None

    def _stock(self) -> _Found | None:
        if self.work.place.sold_out or self.engine.shelf.available[self.row]:
            return None
        return _Found("sold_out")

    def _candidate(self) -> _Found | None:
        """Is it in the pool, or would it stand there but for the rest of its product?"""
        if self.at >= 0 or _place(self.work.pool.rows, self.row) >= 0:
            return None
        context = self.asked.context
        if not context.query:
            return _Found("not_proposed")
        explainer = Explainer(self.engine.learned.sources, self.engine.shelf)
        words = explainer.asked(context)
        held = {each.text for each in explainer.found(words, self.row)}
        missing = tuple(word for word in dict.fromkeys(words.values()) if word not in held)
        return _Found("not_found", missing)

    def _collapsed(self) -> _Found | None:
        if self.at >= 0:
            return None
        shelf, rows = self.engine.shelf, self.work.rows
        mates = np.flatnonzero(shelf.group[rows] == shelf.group[self.row])
        if not len(mates):  # nothing of its product is listed: the pool held it, the list does not
            return _Found("not_proposed")
        return _Found("variant", (), int(mates[0]), shelf.id(int(rows[mates[0]])))

    def _ranked(self) -> _Found | None:
        request, work, at = self.request, self.work, self.at
        end = request.offset + request.k
        if request.offset <= at < end:
            return None
        if at < request.offset:
            return _Found("other_page", (), at)
        last = self.engine.shelf.id(int(work.rows[min(end, len(work.rows)) - 1]))
        if request.sort is not Sort.RELEVANCE or request.sort_by:
            return _Found("sorted", (request.sort_by or request.sort.value,), at, last)
        if work.ranked is not work.fused:
            plain = _place(self.engine.listed(request, work, work.fused), self.row)
            if plain < end:
                return _Found("demoted", (f"{plain + 1} -> {at + 1}", *self._moved()), at, last)
        if work.place.sold_out and not self.engine.shelf.available[self.row]:
            return _Found("sold_out_last", (), at, last)
        weight = work.bound.weight
        lowered = weight is not None and weight[self.row] < 0
        held = self._aims(tuple(aim for aim in work.bound.plan.lifts if aim.weight < 0), meant=True) if lowered else ()
        return _Found("outranked", tuple(f"rule {rule}" for rule in held), at, last)

    def _moved(self) -> tuple[str, ...]:
        """What made mixing move it down: what it is worn by, likeness, or a cap."""
        mixed = self.engine.mixing.looked(self.asked.context, self.work.fused)
        at = -1 if mixed is None else _place(mixed.rows, self.row)
        if mixed is None or at < 0:
            return ("likeness",)
        worn = mixed.worn
        causes = () if worn is None else (("shown", worn.shown), ("dismissed", worn.dismissed), ("bought", worn.bought))
        named = tuple(f"fatigue: {name}" for name, values in causes if values[at] >= WORN)
        dial = self.engine.mixing.dials[self.work.place.name]
        if dial.strength:
            named = (*named, "likeness")
        if dial.per_category or dial.per_brand:
            named = (*named, "cap")
        return named or ("novelty",)

    # -- how the sources see it -------------------------------------------------------------------------------------

    def _standings(self, found: _Found) -> tuple[tuple[Standing, ...], bool]:
        """Each source's rank and score of the item, with the ranking's parts where it was ranked closely."""
        if self.row == GONE:
            return (), True
        work, engine = self.work, self.engine
        names = work.pool.asked or work.place.among(engine.learned.sources)
        seen = {name: self._seen(name) for name in names}
        parts: dict[str, tuple[float | None, float | None]] = {}
        exact = True
        own, last = _place(work.fused.items, self.row), self._last(found)
        if own >= 0:
            places = np.array([own] if last < 0 else [own, last], np.int32)
            labels, values, exact = contributions(engine.stage(work.place), self.asked.context, work.fused, places)
            for number, label in enumerate(labels):
                theirs = float(values[1, number]) if last >= 0 else None
                if label in seen or values[0, number] or theirs:
                    parts[label] = (float(values[0, number]), theirs)
        told = []
        for label in dict.fromkeys((*names, *parts)):
            score, rank = seen.get(label, (None, None))
            part, theirs = parts.get(label, (None, None))
            told.append(Standing(name=label, score=score, rank=rank, part=_short(part), last=_short(theirs)))
        return tuple(told), exact

    def _last(self, found: _Found) -> int:
        """Place among the ranked of the last item shown, -1 where that is not what it lost to."""
        if found.stage not in ("outranked", "demoted"):
            return -1
        return _place(self.work.fused.items, self.engine.shelf.row(found.instead))

    def _seen(self, name: str) -> tuple[float | None, int | None]:
        """(score, place from 1) of the item with one source."""
        context, row = self.asked.context, np.array([self.row], np.int32)
        score = float(self.engine.pooling.scores(name, context, row)[0])
        if not np.isfinite(score):
            return None, None
        known = int(self.engine.shelf.known_as[self.row])
        rank = _place(self.engine.learned.sources[name].retrieve(context, DEPTH).items, known)
        return _short(score), rank + 1 if rank >= 0 and known != GONE else None


def _place(rows: Ints, row: int) -> int:
    at = np.flatnonzero(rows == row)
    return int(at[0]) if len(at) else -1


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def _filter(request: Request, name: str) -> str:
    """The filters of one field as they were asked."""
    parts = []
    for each in request.filters:
        if each.field == name:
            ends = (each.low, each.high)
            asked = ["..".join("" if end is None else f"{end:g}" for end in ends)] if ends != (None, None) else []
            parts.append(f"{name} = {' or '.join((*each.values, *asked))}")
    return " and ".join(parts) or name


def _meaning(meaning: Meaning) -> str:
    return meaning.text or " ".join(meaning.values)


__all__ = ["Standing", "WhyNot", "why_not"]
