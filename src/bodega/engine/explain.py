"""Why is this item on this list? Reasons in words, with the part of the score each source gave.

The shares come from the fusion (they add up to 1); the items that led here come from the source itself, where it can
tell (`protocols.Explains`). Texts are plain sentences in English and Chinese; a shop's own sources may add theirs.
Cost: some microseconds a hit. Not for: attributions inside a learned ranker (a later room).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bodega.engine.shelf import GONE, Shelf
from bodega.protocols import Explains, Source
from bodega.schema import Context, Reason
from bodega.schema.arrays import Floats

SMALLEST_SHARE = 0.03
"""A source that gave less than this part of the score is not worth a sentence."""

TITLES_NAMED = 2

TEXTS: dict[str, dict[str, tuple[str, str]]] = {
    "en": {
        "lexical": ("Matches “{query}”", "Matches “{query}”"),
        "transition": ("Often chosen after {titles}", "Fits what you looked at"),
        "collaborative": ("Shoppers who chose {titles} chose this too", "Chosen by shoppers with a similar taste"),
        "repeat": ("You have bought this before", "You have bought this before"),
        "popular": ("Popular right now", "Popular right now"),
        "recent": ("You looked at this recently", "You looked at this recently"),
        "catalog": ("New in the shop", "New in the shop"),
        "other": ("Suggested by {source}", "Suggested by {source}"),
    },
    "zh": {
        "lexical": ("与“{query}”匹配", "与“{query}”匹配"),
        "transition": ("选了{titles}之后常选它", "与您浏览过的商品相配"),
        "collaborative": ("选了{titles}的顾客也选了它", "口味相近的顾客选了它"),
        "repeat": ("您以前买过", "您以前买过"),
        "popular": ("近期热门", "近期热门"),
        "recent": ("您最近看过", "您最近看过"),
        "catalog": ("本店新品", "本店新品"),
        "other": ("由{source}推荐", "由{source}推荐"),
    },
}
"""{language: {source: (with the items that led here, without)}}."""


class Explainer:
    """Puts reasons into words for one snapshot and shelf."""

    def __init__(self, sources: Mapping[str, Source], shelf: Shelf) -> None:
        self._sources = sources
        self._shelf = shelf

    def why(self, context: Context, row: int, names: tuple[str, ...], shares: Floats | None) -> tuple[Reason, ...]:
        """The reasons of one hit, the largest share first; never empty."""
        if shares is None or not np.any(shares >= SMALLEST_SHARE):
            known = self._shelf.known_as[row] != GONE
            return (self._reason(context, row, "popular" if known else "catalog", 1.0),)
        order = np.argsort(-shares, kind="stable")
        kept = [int(column) for column in order if shares[column] >= SMALLEST_SHARE]
        total = float(sum(shares[column] for column in kept))
        return tuple(self._reason(context, row, names[column], float(shares[column]) / total) for column in kept)

    def _reason(self, context: Context, row: int, source: str, share: float) -> Reason:
        seeds = self._because(context, row, source)
        texts = TEXTS.get(context.language[:2], TEXTS["en"])
        with_items, without = texts.get(source, texts["other"])
        titles = " + ".join(_short(self._shelf.title(seed)) for seed in seeds)
        text = (with_items if titles else without).format(titles=titles, query=_short(context.query), source=source)
        return Reason(
            source=source,
            share=round(share, 4),
            text=text,
            because=tuple(self._shelf.id(seed) for seed in seeds),
        )

    def _because(self, context: Context, row: int, source: str) -> list[int]:
        """Rows of the shelf that led this source to the item, the strongest first."""
        model: object = self._sources.get(source)
        known_as = int(self._shelf.known_as[row])
        if known_as == GONE or not isinstance(model, Explains):
            return []
        seeds = self._shelf.current(model.because(context, known_as, TITLES_NAMED))
        return [int(seed) for seed in seeds if seed not in (GONE, row)]


def _short(text: str, limit: int = 48) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
