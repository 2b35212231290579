"""Which items do these words name, right now? The snapshot's word index, and a small one beside it for newer items.

Both are asked, hits of items that changed or went since the snapshot are dropped from the old one, and the two lists
are merged by score: the small index scores with the big one's statistics, so the numbers compare.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bodega.engine.shelf import Shelf
from bodega.protocols import Source
from bodega.retrieval.lexical import Lexical
from bodega.schema import Completion
from bodega.schema.arrays import Floats, Ints


class Words:
    """The word index over one shelf. `name` is the source its scores belong to."""

    name = Lexical.name

    def __init__(self, sources: Mapping[str, Source], shelf: Shelf) -> None:
        main = sources[self.name]
        assert isinstance(main, Lexical)
        self._main = main
        self._shelf = shelf
        self._beside = main.beside(shelf.delta) if len(shelf.delta) else None

    def match(self, query: str) -> tuple[Ints, Floats, str]:
        """(shelf rows best first, scores, what was searched instead or "")."""
        found = self._main.match(query, beside=self._beside)
        if not self._shelf.changed:
            return found.items, found.score, found.corrected
        keep = self._shelf.is_current[found.items]
        rows, score = found.items[keep], found.score[keep]
        if self._beside is not None:
            newer = self._beside.match(query, at_least=found.at_least if found.at_least < found.words else None)
            rows = np.concatenate([rows, newer.items + len(self._shelf.base)]).astype(np.int32)
            score = np.concatenate([score, newer.score])
            order = np.argsort(-score, kind="stable")
            rows, score = rows[order], score[order]
        return rows, score, found.corrected

    def suggest(self, prefix: str, k: int) -> list[Completion]:
        """Completions of what was typed so far; titles of items that are gone are left out."""
        base, shelf = self._shelf.base, self._shelf
        return [
            Completion(text=found.text, kind=found.kind, item=base.ids[found.item] if found.item >= 0 else "")
            for found in self._main.suggest(prefix, k)
            if found.item < 0 or shelf.shown_from[found.item] >= 0
        ]
