"""Which items do these words name, right now? The snapshot's word index, and a small one beside it for newer items.

Both are asked, hits of items that changed or went since the snapshot are dropped from the old one, and the two lists
are merged by score: the small index scores with the big one's statistics, so the numbers compare.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bodega.engine.completing import Completing
from bodega.engine.shelf import Shelf
from bodega.protocols import Source
from bodega.retrieval.lexical import Alternatives, Lexical
from bodega.schema import Completion, Context
from bodega.schema.arrays import Flags, Floats, Ints
from bodega.understanding.query.spelling import Speller


class Words:
    """The word index over one shelf. `name` is the source its scores belong to."""

    name = Lexical.name

    def __init__(self, sources: Mapping[str, Source], shelf: Shelf) -> None:
        main = sources[self.name]
        assert isinstance(main, Lexical)
        self._main = main
        self._shelf = shelf
        self._beside = main.beside(shelf.delta) if len(shelf.delta) else None
        self._completing = Completing(main, shelf)

    @property
    def speller(self) -> Speller:
        """Corrects words by this shop's catalog and query log."""
        return self._main.speller

    def match(self, query: str, *, alternatives: Alternatives = (), verbatim: bool = False) -> tuple[Ints, Floats, str]:
        """(shelf rows best first, scores, what was searched instead or "").

        `alternatives` are other ways to say words of the query; `verbatim` searches what was typed, uncorrected.
        """
        found = self._main.match(query, beside=self._beside, alternatives=alternatives, verbatim=verbatim)
        if not self._shelf.changed:
            return found.items, found.score, found.corrected
        keep = self._shelf.is_current[found.items]
        rows, score, corrected = found.items[keep], found.score[keep], found.corrected
        if self._beside is not None:
            level = found.at_least if found.at_least < found.words else None
            newer = self._beside.match(query, at_least=level, alternatives=alternatives, verbatim=verbatim)
            rows = np.concatenate([rows, newer.items + len(self._shelf.base)]).astype(np.int32)
            score = np.concatenate([score, newer.score])
            order = np.argsort(-score, kind="stable")
            rows, score, corrected = rows[order], score[order], corrected or newer.corrected
        return rows, score, corrected

    def holds(self, word: str, rows: Ints) -> Flags:
        """Which shelf rows hold this word, or all words of this phrase, in any field? bool, (len(rows),)."""
        base = len(self._shelf.base)
        old = rows < base
        held = np.zeros(len(rows), np.bool_)
        held[old] = self._main.holds(word, rows[old])
        if self._beside is not None:
            held[~old] = self._beside.holds(word, rows[~old] - base)
        return held

    def suggest(self, prefix: str, k: int, *, context: Context | None = None) -> list[Completion]:
        """Completions of what was typed so far, of things that are for sale now; with a context in the order that
        suits its history, without one the same for everybody."""
        return self._completing.complete(prefix, k, context=context)
