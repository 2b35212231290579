"""What looks like this photo, and what of it is meant? The pool of a search by photo, with words or without.

    photo alone      what looks more like it than the shop's pictures do by chance, at least the `FEWEST` nearest
    photo + words    the same, and whatever holds the words while it looks a little like it; conditions ("under 30",
                     "not silk") hold as always, wishes ("red") lift: the photo says what, the words say how otherwise

What a shopper filters does not change what is found, so counts hold, as in `finding`.
Cost: one search of all pictures; the words' own. Not for: the order (the place `photo` has weights of its own).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bodega.engine.finding import Finder
from bodega.engine.health import rows_of
from bodega.engine.pool import Pool, Pooling
from bodega.retrieval.pictures import Pictures
from bodega.schema import Context
from bodega.schema.arrays import NO_INTS, Flags, Floats, Ints
from bodega.understanding.query import Understood

NEAREST = 500
"""Items that look most like the photo which are looked at: what a page of results can count."""
FEWEST = 10
"""So many are shown however little they look like it: a photo of something that is not for sale has neighbours too."""
SURE = 0.5
"""Confidence in a named category from which the words may bring what does not look like the photo."""
MATCHES = 2_000
"""Matches of the words whose likeness is looked at."""


@dataclass(frozen=True, slots=True)
class Pictured:
    """Finds by photo over one shelf."""

    finder: Finder
    pooling: Pooling

    def found(self, said: Understood | None, context: Context, keep: Flags | None) -> tuple[Context, Pool]:
        """(what the sources are asked, the pool, likeliest first) among the shelf rows where `keep` holds."""
        if said is None or not said.text.strip():
            asked = replace(context, query="", meanings=() if said is None else said.meanings)
            matches, corrected = NO_INTS, ""
        else:
            words = self.finder.find(said, context, keep)
            asked, matches, corrected = words.context, words.rows[:MATCHES], words.corrected
        rows, score = self._near(asked, keep)
        enough = self._floor(asked, loose=False)
        close = score >= enough
        close[:FEWEST] = True
        given_up = () if not len(score) or score[0] >= enough else ("photo: little here looks like it",)
        if len(matches):
            rows, score = self._joined(asked, (rows[close], score[close]), matches)
        else:
            rows, score = rows[close], score[close]
        if said is not None:
            rows, score = self.finder.without(said, rows, score)
        return asked, Pool(rows, score, Pictures.name, corrected, given_up)

    def _near(self, context: Context, keep: Flags | None) -> tuple[Ints, Floats]:
        """(shelf rows, cosines) of what looks most like the photo, of the snapshot and of what is newer."""

        def asked() -> tuple[Ints, Floats]:
            shelf, source = self.pooling.shelf, self.pooling.sources[Pictures.name]
            assert isinstance(source, Pictures)
            n_base = len(shelf.base)
            may = shelf.is_current if keep is None else shelf.is_current & keep
            found = source.within(context, may[:n_base], NEAREST)
            rows, score = rows_of(found.items, n_base), found.score
            newer = self.pooling.newer.get(Pictures.name)
            if isinstance(newer, Pictures):
                more = newer.within(context, may[n_base:], NEAREST)
                rows = np.concatenate([rows, more.items + np.int32(n_base)]).astype(np.int32)
                score = np.concatenate([score, more.score])
                order = np.lexsort((rows, -score))[:NEAREST]
                rows, score = rows[order], score[order]
            return rows, score

        return self.pooling.health.ask(Pictures.name, asked, lambda: (NO_INTS, np.empty(0, np.float32)))

    def _floor(self, context: Context, *, loose: bool) -> float:
        source = self.pooling.sources.get(Pictures.name)
        if not isinstance(source, Pictures):
            return float("inf")
        return self.pooling.health.ask(Pictures.name, lambda: source.floor(context, loose=loose), lambda: float("inf"))

    def _joined(self, context: Context, near: tuple[Ints, Floats], matches: Ints) -> tuple[Ints, Floats]:
        """What is near, and the matches of the words that look a little like the photo; likeliest first."""
        rows, score = near
        others = matches[~np.isin(matches, rows)]
        likeness = self.pooling.scores(Pictures.name, context, others)
        floor = -1.0 if _names_a_kind(context) else self._floor(context, loose=True)
        if not len(rows):  # no picture can be asked: the words alone
            return matches, np.full(len(matches), np.nan, np.float32)
        with np.errstate(invalid="ignore"):
            some = likeness >= floor
        rows = np.concatenate([rows, others[some]]).astype(np.int32)
        score = np.concatenate([score, likeness[some]])
        order = np.lexsort((rows, -score))
        return rows[order], score[order]


def _names_a_kind(context: Context) -> bool:
    """Do the words name a kind of thing themselves ("a box in this colour")? Then it need not look like the photo."""
    return any(meaning.kind == "category" and meaning.confidence >= SURE for meaning in context.meanings)
