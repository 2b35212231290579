"""What kinds of things does this shop show, and how many of each on a page? Settings, bound to the rows of a shelf.

A shop of one kind has no quotas and pays nothing. Where the sources propose too few of a kind that a place owes, the
most popular of that kind which may be shown join the list (not in a search: what does not match is no answer), and the
page says so. A hit that stands where it does because of a quota says so, too.
Cost: one number a shelf row, made when the engine is; 1 us a place of a page. Not for: the bounds (`ranking.quotas`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bodega.engine.places import FALLBACK, Place
from bodega.engine.pool import Pool, Pooling
from bodega.engine.shelf import Shelf
from bodega.ranking.quotas import Arranged, Quota, arranged
from bodega.schema import Context, Reason, Request, Sort
from bodega.schema.arrays import Flags, Ints
from bodega.settings import Kind

QUOTA = "quota"
TEXTS = {"en": "A place on this page for: {kind}", "zh": "本页为此类保留的位置：{kind}"}


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """The quotas of a shop over one shelf."""

    names: tuple[str, ...]
    """Kinds that some place bounds; a label is a place in it."""
    label: Ints
    """(len(shelf),) label of each row, -1 for other kinds."""
    quotas: Mapping[str, Mapping[int, Quota]]
    """{place: {label: bounds}}."""
    told: Mapping[str, Kind]

    @classmethod
    def of(cls, chosen: Mapping[str, Kind], shelf: Shelf) -> Kinds | None:
        """None where no place bounds a kind."""
        names = tuple(name for name, kind in chosen.items() if kind.least or kind.most)
        if not names:
            return None
        places = dict.fromkeys(place for name in names for place in (*chosen[name].least, *chosen[name].most))
        quotas = {
            place: {
                label: Quota(chosen[name].least.get(place, 0), chosen[name].most.get(place))
                for label, name in enumerate(names)
                if place in chosen[name].least or place in chosen[name].most
            }
            for place in places
        }
        parts = []
        for table in (shelf.base, shelf.delta):
            codes = table.coded["kind"].first()
            known = table.coded["kind"].code_of
            label = np.full(len(table), -1, np.int32)
            for number, name in enumerate(names):
                if name in known:
                    label[codes == known[name]] = number
            parts.append(label)
        return cls(names, np.concatenate(parts), quotas, chosen)

    def owed(self, place: Place, pooling: Pooling, context: Context, pool: Pool, keep: Flags, request: Request) -> Pool:
        """The pool with what its pages owe of each kind, the most popular that may be shown where it holds too few."""
        quotas = self.quotas.get(place.name, {})
        if not place.fill or context.query or not any(quota.least for quota in quotas.values()):
            return pool
        pages = -(-(request.offset + request.k) // request.k)
        held = self.label[pool.rows]
        for label, quota in quotas.items():
            missing = quota.least * pages - int(np.count_nonzero(held == label))
            if missing <= 0:
                continue
            spare = keep & (self.label == label)
            spare[pool.rows] = False
            rows = np.flatnonzero(spare).astype(np.int32)
            score = pooling.scores(FALLBACK, context, rows)
            more = rows[np.argsort(-np.nan_to_num(score, nan=-np.inf), kind="stable")][:missing]
            if len(more):
                note = f"quota: {len(more)} popular of the kind {self.names[label]} where the sources gave too few"
                pool = replace(
                    pool,
                    rows=np.concatenate([pool.rows, more]),
                    score=np.concatenate([pool.score, np.full(len(more), np.nan, np.float32)]),
                    notes=(*pool.notes, note),
                )
        return pool

    def arranged(self, place: str, rows: Ints, request: Request) -> tuple[Ints, Ints]:
        """(the rows inside the quotas of the place, those that stand further up for it)."""
        quotas = self.quotas.get(place)
        if not quotas or request.sort is not Sort.RELEVANCE or request.sort_by or not len(rows):
            return rows, rows[:0]
        found: Arranged = arranged(self.label[rows], quotas, request.k, request.offset + request.k)
        return rows[found.order], rows[found.lifted]

    def explained(
        self, rows: Ints, why: Sequence[tuple[Reason, ...]], lifted: Ints, language: str
    ) -> Sequence[tuple[Reason, ...]]:
        """The reasons of hits, with the quota among those of what it lifted."""
        if not len(lifted):
            return why
        up = np.isin(rows, lifted).tolist()
        return [
            (*each, self._reason(int(row), language)) if moved else each
            for row, each, moved in zip(rows, why, up, strict=True)
        ]

    def _reason(self, row: int, language: str) -> Reason:
        name = self.names[self.label[row]]
        kind = self.told[name]
        title = (kind.title_zh if language[:2] == "zh" else kind.title) or name
        return Reason(source=QUOTA, share=0.0, text=TEXTS.get(language[:2], TEXTS["en"]).format(kind=title))
