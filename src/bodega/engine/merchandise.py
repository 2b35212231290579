"""What do the rules do to this page? Plans bound to the rows of a shelf, and the shop's door to its rules.

`Merchandise` belongs to one shelf. It says what rules may know of a request (`facts`), and turns a plan into a `Bound`:
the rows that are pinned, hidden, lifted. The engine calls, in this order,

    book.plan(facts)     before the words are understood: replaced query, redirect, banners, synonyms
    bound.entered        on what was found: hidden rows leave it, pinned ones join it, each once
    bound.allowed        on the mask of what may be shown
    bound.headed         on the pool, before its head is cut: what is boosted into the head must be in it
    bound.ranked         on the fused head: boosts and buries join the score
    bound.placed         on the ordered list, one row a group: pins take their positions
    bound.explained      on the hits of the page

so that everything is counted once: a pinned item is one of the matches, or joins them before anything is counted.
The shop's own door to its rules is `rulebooks.Rules`; what a rule would move is told by `preview`.

Cost: nothing without rules; a plan of ids 20 us; a filter over a shelf is evaluated once and its rows remembered.
Not for: which rules apply (`ranking.rules`).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from bodega.engine import browse
from bodega.engine.shelf import GONE, Shelf
from bodega.errors import BadRequest
from bodega.ranking import placing
from bodega.ranking.rules import Aim, Facts, Plan, RuleBook
from bodega.schema import (
    Boost,
    Bury,
    Candidates,
    Context,
    Hide,
    ItemTable,
    Narrow,
    Reason,
    Request,
    Segment,
    Sort,
)
from bodega.schema.arrays import Flags, Floats, Ints

REMEMBERED_ROWS = 5_000_000
"""Rows of evaluated actions that one shelf remembers (20 MB)."""

TEXTS = {
    "en": {"pin": "Placed here by the shop", "lift": "Preferred by the shop", "lower": "Held back by the shop"},
    "zh": {"pin": "店铺置顶", "lift": "店铺优先推荐", "lower": "店铺已降低排序"},
}
"""{language: {what a rule did: in words}}."""


def facts_of(request: Request, context: Context, table: ItemTable, book: RuleBook) -> Facts:
    """What the rules may know of a request; `context` holds its history as rows of `table`."""
    return Facts(
        place=request.place,
        query=request.query.strip()[:512],
        categories=tuple(value for each in request.filters if each.field == "category" for value in each.values),
        segments=segments_of(request, context, table, book.likes) if request.personal else frozenset(),
        language=context.language,
        now=context.now,
        verbatim=request.verbatim,
    )


def segments_of(request: Request, context: Context, table: ItemTable, likes: Sequence[Segment]) -> frozenset[str]:
    """Keys of the segments this shopper is in; of likes only those that are asked for."""
    keys = {"returning" if len(context.history) else "new", *(f"named:{name}" for name in request.segments)}
    for segment in likes:
        column = table.coded.get(segment.field)
        code = None if column is None else column.code_of.get(segment.value)
        if column is not None and code is not None and len(context.history):
            _, codes = column.flat(context.history)
            if int(np.count_nonzero(codes == code)) >= segment.at_least:
                keys.add(segment.key)
    return frozenset(keys)


class Merchandise:
    """Plans bound to one shelf. Remembers which rows an action means; safe from several threads."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._rows: dict[int, tuple[object, Ints, str]] = {}
        """By identity of the action, which is kept so that its identity is not given away again."""
        self._held = 0
        self._lock = threading.Lock()

    def bound(self, plan: Plan) -> Bound:
        """The plan over this shelf: pins of items that are not for sale are gone, and hidden ones are not pinned."""
        if not plan.moves:
            return Bound(plan, self._shelf)
        shelf = self._shelf
        notes: list[str] = []
        hidden = self._flags([self._meant(aim, notes) for aim in plan.hides])
        passing = self._passing(plan.filters, notes)
        pins = [(shelf.row(pin.item), pin.position, pin.rule) for pin in plan.pins]
        pins = [pin for pin in pins if pin[0] != GONE and (hidden is None or not hidden[pin[0]])]
        moved = [(aim, self._meant(aim, notes)) for aim in plan.lifts]
        weight = np.zeros(len(shelf), np.float32) if moved else None
        for aim, rows in moved:
            assert weight is not None
            weight[rows] += np.float32(aim.weight)
        told = tuple((aim.rule, rows) for aim, rows in moved)
        return Bound(plan, shelf, tuple(pins), hidden, passing, weight, told, tuple(dict.fromkeys(notes)))

    def meant(self, aim: Aim) -> Ints:
        """The rows of the shelf that an action of a plan means."""
        return self._meant(aim, [])

    def _passing(self, filters: Sequence[Aim], notes: list[str]) -> Flags | None:
        """Which rows all rules' filters leave: (len(shelf),), or None. A filter that cannot be asked leaves all."""
        flags: Flags | None = None
        for aim in filters:
            before = len(notes)
            own = self._flags([self._meant(aim, notes)])
            if own is not None and len(notes) == before:
                flags = own if flags is None else flags & own
        return flags

    def _flags(self, parts: Sequence[Ints]) -> Flags | None:
        if not parts:
            return None
        flags = np.zeros(len(self._shelf), np.bool_)
        for rows in parts:
            flags[rows] = True
        return flags

    def _meant(self, aim: Aim, notes: list[str]) -> Ints:
        """The rows an action means: the items it names, and what passes its filters."""
        action = aim.action
        known = self._rows.get(id(action))
        if known is None:
            known = (action, *self._looked_up(action))
            with self._lock:
                if self._held + len(known[1]) > REMEMBERED_ROWS:
                    self._rows, self._held = {}, 0
                self._rows[id(action)] = known
                self._held += len(known[1]) + 100  # an action that means nothing takes room, too
        _, rows, problem = known
        if problem:
            notes.append(f"rule {aim.rule}: {problem}")
        return rows

    def _looked_up(self, action: Boost | Bury | Hide | Narrow) -> tuple[Ints, str]:
        """(rows, what cannot be asked of this shelf or "")."""
        items = () if isinstance(action, Narrow) else action.items
        named = [self._shelf.row(item) for item in items]
        rows = np.asarray(sorted({row for row in named if row != GONE}), np.int32)
        if not action.filters:
            return rows, ""
        shelf = self._shelf
        try:
            browse.check((shelf.base, shelf.delta), [each.field for each in action.filters])
            keep = np.concatenate([browse.keep(table, action.filters) for table in (shelf.base, shelf.delta)])
        except BadRequest as error:
            return rows, f"{error.what} ({error.got})"
        passing = np.flatnonzero(keep & shelf.is_current).astype(np.int32)
        return np.union1d(rows, passing).astype(np.int32), ""


@dataclass(frozen=True, slots=True)
class Bound:
    """One plan over one shelf: what happens to rows, masks, scores and hits. A plan without items changes nothing."""

    plan: Plan
    shelf: Shelf
    pins: tuple[tuple[int, int, str], ...] = ()
    """(shelf row, position from 1, rule), the strongest first."""
    hidden: Flags | None = None
    passing: Flags | None = None
    """Rows that the rules' own filters leave."""
    weight: Floats | None = None
    """Log factors of boosts and buries, summed: (len(shelf),)."""
    moved: tuple[tuple[str, Ints], ...] = ()
    """(rule, rows that it boosts or buries)."""
    notes: tuple[str, ...] = ()
    """What could not be done, for `degraded`."""

    def allowed(self, keep: Flags) -> Flags:
        """What may be shown, (len(shelf),), of what could be: hidden rows are out, as is what the rules' filters leave
        out; pinned rows pass these filters, never the shopper's own."""
        if self.hidden is None and self.passing is None:
            return keep
        return keep & self._left()

    def entered(self, rows: Ints, score: Floats) -> tuple[Ints, Floats]:
        """The rows that were found, without those that rules hide or leave out, with the pinned ones that were missing
        at the end (their score is unknown). Every row stays unique."""
        if self.hidden is not None or self.passing is not None:
            keep = self._left()[rows]
            rows, score = rows[keep], score[keep]
        if not self.pins:
            return rows, score
        there = np.zeros(len(self.shelf), np.bool_)
        there[rows] = True
        missing = [row for row in dict.fromkeys(row for row, _, _ in self.pins) if not there[row]]
        if not missing:
            return rows, score
        more = np.asarray(missing, rows.dtype)
        return np.concatenate([rows, more]), np.concatenate([score, np.full(len(more), np.nan, score.dtype)])

    def lifted(self, rows: Ints, score: Floats) -> Floats:
        """The scores of these rows with boosts and buries; see `ranking.placing.lifted`."""
        if self.weight is None or not len(rows):
            return score
        return placing.lifted(score, self.weight[rows])

    def headed(self, rows: Ints, score: Floats, size: int) -> tuple[Ints, Floats]:
        """The same rows and scores, so ordered that boosted rows which belong there are among the first `size`, which
        alone are ranked closely; they take at most half of it. All others keep their order."""
        if self.weight is None or len(rows) <= size:
            return rows, score
        boosted = self.weight[rows] > 0
        boosted[:size] = False
        if not boosted.any():
            return rows, score
        lifted = np.nan_to_num(self.lifted(rows, score), nan=-np.inf)
        worth = np.partition(lifted, -size)[-size]
        up = np.flatnonzero(boosted & (lifted >= worth))
        up = up[np.argsort(-lifted[up], kind="stable")][: size // 2]
        if not len(up):
            return rows, score
        stays = np.ones(len(rows), np.bool_)
        stays[up] = False
        others = np.flatnonzero(stays)
        order = np.concatenate([others[: size - len(up)], up, others[size - len(up) :]])
        return rows[order], score[order]

    def ranked(self, candidates: Candidates) -> Candidates:
        """Ranked candidates with boosts and buries in their score, in the new order."""
        if self.weight is None or not len(candidates):
            return candidates
        lifted = self.lifted(candidates.items, candidates.score)
        moved = replace(candidates, score=lifted)
        return moved.take(np.argsort(-np.nan_to_num(lifted, nan=-np.inf), kind="stable"))

    def placed(self, rows: Ints, keep: Flags, sort: Sort = Sort.RELEVANCE) -> Ints:
        """The whole ordered list, one row a group, with the pins at their positions: as long as before.

        `keep` is the mask of what may be shown. A pin that is sold out, or that the shopper's filters leave out, does
        not take its position; nor does any where the shopper asked for another order.
        """
        if not self.pins or sort is not Sort.RELEVANCE:
            return rows
        pins = [(row, at) for row, at, _ in self.pins if keep[row] and self.shelf.available[row]]
        return placing.placed(rows, pins, self.shelf.group)

    def explained(
        self, rows: Ints, why: Sequence[tuple[Reason, ...]], language: str, sort: Sort = Sort.RELEVANCE
    ) -> list[tuple[Reason, ...]]:
        """The reasons of the hits on a page, with what the rules did to each. Shares still add up to 1: a pinned item
        stands there for its pin alone; of a lifted one the shop's part is 1 - 1/factor."""
        if (not self.pins and self.weight is None) or sort is not Sort.RELEVANCE:
            return list(why)
        pinned = {row for row, _, _ in self.pins if self.shelf.available[row]}
        texts = TEXTS.get(language[:2], TEXTS["en"])
        out = []
        for row, reasons in zip(rows.tolist(), why, strict=True):
            weight = 0.0 if self.weight is None else float(self.weight[row])
            if row in pinned:
                out.append(_with(reasons, texts["pin"], 1.0))
            elif weight > 0:
                out.append(_with(reasons, texts["lift"], 1.0 - float(np.exp(-weight))))
            elif weight < 0:
                out.append(_with(reasons, texts["lower"], 0.0))
            else:
                out.append(reasons)
        return out

    def rules(self, rows: Ints) -> tuple[str, ...]:
        """Ids of the rules that take part in this page, the strongest first; `rows` are all that was found (what was
        `entered`). A rule that only moves items is left out when none of its items is among them."""
        if not self.plan.only_move:
            return self.plan.rules
        there = np.zeros(len(self.shelf), np.bool_)
        there[rows] = True
        moving = {rule for row, _, rule in self.pins if there[row]}
        moving |= {rule for rule, own in self.moved if there[own].any()}
        return tuple(rule for rule in self.plan.rules if rule in moving or rule not in self.plan.only_move)

    def _left(self) -> Flags:
        """Rows that no rule hides or leaves out."""
        left = np.ones(len(self.shelf), np.bool_) if self.passing is None else self.passing.copy()
        left[[row for row, _, _ in self.pins]] = True
        if self.hidden is not None:
            left &= ~self.hidden
        return left


def _with(reasons: tuple[Reason, ...], text: str, share: float) -> tuple[Reason, ...]:
    others = tuple(msgspec.structs.replace(each, share=round(each.share * (1 - share), 4)) for each in reasons)
    own = Reason(source="rule", share=round(share, 4), text=text)
    return (own, *others) if share >= 0.5 else (*others, own)
