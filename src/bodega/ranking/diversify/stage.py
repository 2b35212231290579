"""The head of a list, mixed: a stage between the fusion and the page. The dial of the place says how much.

    relevance   the score of the head, 0 to 1
                + novelty x how little known, - fatigue x how worn                        fatigue.py
    order       by relevance, by MMR or by DPP, inside the caps                           select.py, likeness.py

Only the first `head` items that a page could show take part: of variants of one product the first (the page collapses
them), nothing that is sold out where such things come last, nothing that is held (pins, sponsored places). All others
keep their order behind them, the held ones keep their places, and nothing is lost: the list is as long as before.
With every part of the dial at 0 the very same object comes back.
Cost: 50 items .6 ms with everything on; see `bodega bench diversity`. Not for: what may be shown, or who is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bodega.ranking.diversify.fatigue import Rebuys, Tired, Weariness
from bodega.ranking.diversify.likeness import Likeness
from bodega.ranking.diversify.select import Cap, capped, dpp, kept_in_place, mmr
from bodega.schema import Candidates, Context, Diversity, ItemTable
from bodega.schema.arrays import NO_INTS, Doubles, Flags, Floats, Ints, Longs

UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Shown:
    """What the stage knows of the rows it orders: those of the tables, one after the other. Read when needed."""

    tables: tuple[ItemTable, ...]
    known_as: Ints | None = None
    """The row that a context knows each row by, -1 where it does not; None: the row itself."""
    group: Ints | None = None
    """Variant group of each row; None: there are no variants."""
    available: Flags | None = None
    """What can be bought now; None: everything."""
    popularity: Callable[[], Floats] | None = None
    """How popular each row is, on any scale; None: then novelty does nothing."""
    rebuys: Rebuys | None = None

    @cached_property
    def likeness(self) -> Likeness:
        return Likeness(self.tables)

    @cached_property
    def category(self) -> Ints:
        """Code of the deepest category of each row, -1 without one."""
        return self._codes([table.leaf_category for table in self.tables], "category")

    @cached_property
    def brand(self) -> Ints:
        """Code of the brand of each row, -1 without one."""
        return self._codes([table.coded["brand"].first() for table in self.tables], "brand")

    @cached_property
    def fame(self) -> Floats | None:
        return None if self.popularity is None else self.popularity()

    def known(self, rows: Ints) -> Ints:
        return rows if self.known_as is None else self.known_as[rows]

    def _codes(self, parts: Sequence[Ints], name: str) -> Ints:
        """The codes of all tables as those of the first; what only a later table has gets a number behind them."""
        first = self.tables[0].coded[name]
        out = [parts[0]]
        more: dict[str, int] = {}
        for table, codes in zip(self.tables[1:], parts[1:], strict=True):
            words = table.coded[name].vocabulary
            number = np.full(len(words) + 1, UNKNOWN, np.int32)  # the last entry is the one of code -1
            for code, word in enumerate(words):
                known = first.code_of.get(word)
                number[code] = len(first.vocabulary) + more.setdefault(word, len(more)) if known is None else known
            out.append(number[codes])
        return np.concatenate(out).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Mixed:
    """What the stage thinks of the head of one list."""

    rows: Ints
    """(n,) the rows that take part, in the order in which they came."""
    relevance: Doubles
    """(n,) 0 to 1, with novelty and fatigue."""
    worn: Weariness | None
    order: Longs
    """(n,) their new order, as places in `rows`."""


@dataclass(frozen=True, eq=False)
class Diversify:
    """Puts the head of a list in the order that the dial of its place asks for.

    Answers: any place. Needs: ranked candidates. Good for: lists of near-copies, lists that never change.
    Not for: raising accuracy (its price is printed by `bodega bench diversity`). Cost: see the top of the file.
    Relations: `ranking.fuse` or a learned ranker before it; rules' pins after it (`held` names them when they are not).
    Paper: Carbonell & Goldstein 1998 (MMR); Chen, Zhang & Zhou 2018 (DPP).
    """

    shown: Shown
    dials: Mapping[str, Diversity] = field(default_factory=dict)
    """{place: its dial}; a place without one is left alone."""

    def rank(self, context: Context, candidates: Candidates, held: Ints = NO_INTS) -> Candidates:
        """The same candidates with their head in a new order. `candidates` come ranked, best first; their `score` goes
        down the new list as it went down the old one. `held` rows stay exactly where they are.
        """
        dial = self.dials.get(context.place)
        if dial is None or dial.off or len(candidates) < 2:
            return candidates
        fixed = np.isin(candidates.items, held) if len(held) else np.zeros(len(candidates), np.bool_)
        mixed, taking = self._mixed(context, candidates, fixed, dial)
        rest = np.ones(len(candidates), np.bool_)
        rest[taking] = False
        order = kept_in_place(np.concatenate([taking[mixed.order], np.flatnonzero(rest & ~fixed)]), fixed)
        if np.array_equal(order, np.arange(len(order))):
            return candidates
        return replace(candidates.take(order), score=candidates.score)

    def looked(self, context: Context, candidates: Candidates) -> Mixed | None:
        """What the stage thinks of these candidates, for `engine.why_not`; None where it leaves the place alone."""
        dial = self.dials.get(context.place)
        if dial is None or dial.off or len(candidates) < 2:
            return None
        return self._mixed(context, candidates, np.zeros(len(candidates), np.bool_), dial)[0]

    def _mixed(self, context: Context, candidates: Candidates, fixed: Flags, dial: Diversity) -> tuple[Mixed, Longs]:
        """(what is thought of the head, its places among the candidates)."""
        taking = self._taking(candidates.items, fixed, dial.head)
        rows = candidates.items[taking]
        relevance, worn = self._relevance(context, rows, candidates.score[taking], dial)
        caps = self._caps(rows, dial)
        if dial.strength:
            choose = dpp if dial.method == "dpp" else mmr
            order = choose(relevance, self.shown.likeness.among(rows), dial.strength, caps)
        elif caps:
            order = capped(relevance, caps)
        else:
            order = np.argsort(-relevance, kind="stable")
        return Mixed(rows, relevance, worn, order), taking

    def _taking(self, rows: Ints, fixed: Flags, head: int) -> Longs:
        """Places of the rows that take part."""
        part = ~fixed
        if self.shown.available is not None:
            part = part & self.shown.available[rows]
        taking = np.flatnonzero(part)
        if self.shown.group is not None:
            _, first = np.unique(self.shown.group[rows[taking]], return_index=True)
            taking = taking[np.sort(first)]
        return taking[:head]

    def _relevance(
        self, context: Context, rows: Ints, score: Floats, dial: Diversity
    ) -> tuple[Doubles, Weariness | None]:
        relevance = _scaled(score)
        fame = self.shown.fame if dial.novelty else None
        if fame is not None:
            relevance = (1 - dial.novelty) * relevance + dial.novelty * _rare(fame[rows])
        worn = None
        if dial.fatigue:
            tired = Tired(self.shown.likeness, self.shown.rebuys)
            worn = tired.of(context, rows, self.shown.known(rows), dial.half_life_days)
            relevance = relevance - dial.fatigue * worn.most
        return relevance, worn

    def _caps(self, rows: Ints, dial: Diversity) -> list[Cap]:
        caps = []
        for most, name in ((dial.per_category, "category"), (dial.per_brand, "brand")):
            if most:
                labels: Ints = self.shown.category if name == "category" else self.shown.brand
                _, short = np.unique(np.append(labels[rows], UNKNOWN), return_inverse=True)  # so that 0 stands for none
                caps.append(Cap((short[:-1] - 1).astype(np.int32), most, dial.within))
        return caps


def _scaled(score: Floats) -> Doubles:
    """Scores as 0 to 1; all 0 where they are all equal. What has none counts as the least."""
    known = np.isfinite(score)
    values = np.asarray(score, np.float64)
    low = float(values[known].min()) if known.any() else 0.0
    values = np.where(known, values, low) - low
    top = float(values.max(initial=0.0))
    return values / top if top > 0 else values


def _rare(fame: Floats) -> Doubles:
    """How little known each of n items is among them: 1 the least, 0 the most; equals share their mean."""
    values = np.nan_to_num(fame, nan=-np.inf)
    ordered = np.sort(values)
    above = len(values) - np.searchsorted(ordered, values, "right")
    upto = len(values) - np.searchsorted(ordered, values, "left")
    out: Doubles = (above + upto - 1) / 2 / max(len(values) - 1, 1)
    return out
