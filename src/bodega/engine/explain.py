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
from bodega.schema.arrays import Floats, Ints

SMALLEST_SHARE = 0.03
"""A source that gave less than this part of the score is not worth a sentence."""

TITLES_NAMED = 2

TEXTS: dict[str, dict[str, tuple[str, str]]] = {
    "en": {
        "lexical": ("Matches “{query}”", "Matches “{query}”"),
        "dense": ("Means something like “{query}”", "Means something like “{query}”"),
        "sentences": ("Means something like “{query}”", "Means something like “{query}”"),
        "intent": ("Has what you named", "Has what you named"),
        "asked": ("Chosen by others who searched like this", "Chosen by others who searched like this"),
        "transition": ("Often chosen after {titles}", "Fits what you looked at"),
        "transition:similar": ("Chosen next after {titles}", "Fits this item"),
        "transition:together": ("Often bought with {titles}", "Often bought along"),
        "transition:basket": ("Often bought with {titles}", "Often bought along"),
        "collaborative": ("Shoppers who chose {titles} chose this too", "Chosen by shoppers with a similar taste"),
        "content": ("Like {titles}", "Like what you looked at"),
        "repeat": ("You have bought this before", "You have bought this before"),
        "popular": ("Popular right now", "Popular right now"),
        "recent": ("You looked at this recently", "You looked at this recently"),
        "catalog": ("New in the shop", "New in the shop"),
        "other": ("Suggested by {source}", "Suggested by {source}"),
    },
    "zh": {
        "lexical": ("与“{query}”匹配", "与“{query}”匹配"),
        "dense": ("与“{query}”意思相近", "与“{query}”意思相近"),
        "sentences": ("与“{query}”意思相近", "与“{query}”意思相近"),
        "intent": ("符合您指定的条件", "符合您指定的条件"),
        "asked": ("搜索类似内容的顾客选了它", "搜索类似内容的顾客选了它"),
        "transition": ("选了{titles}之后常选它", "与您浏览过的商品相配"),
        "transition:similar": ("选了{titles}之后常选它", "与此商品相配"),
        "transition:together": ("常与{titles}一起购买", "常一起购买"),
        "transition:basket": ("常与{titles}一起购买", "常一起购买"),
        "collaborative": ("选了{titles}的顾客也选了它", "口味相近的顾客选了它"),
        "content": ("与{titles}相似", "与您浏览过的商品相似"),
        "repeat": ("您以前买过", "您以前买过"),
        "popular": ("近期热门", "近期热门"),
        "recent": ("您最近看过", "您最近看过"),
        "catalog": ("本店新品", "本店新品"),
        "other": ("由{source}推荐", "由{source}推荐"),
    },
}
"""{language: {source, or source:place: (with the items that led here, without)}}."""


class Explainer:
    """Puts reasons into words for one snapshot and shelf."""

    def __init__(self, sources: Mapping[str, Source], shelf: Shelf) -> None:
        self._sources = sources
        self._shelf = shelf

    def why(self, context: Context, rows: Ints, names: tuple[str, ...], shares: Floats) -> list[tuple[Reason, ...]]:
        """The reasons of every hit of a page, the largest share first; never empty.

        `rows` (n,) shelf rows; `shares` (n, n_sources), all zero for what no source gave.
        """
        used = [name for column, name in enumerate(names) if np.any(shares[:, column] >= SMALLEST_SHARE)]
        seeds = {name: self._because(context, rows, name) for name in used}
        return [self._reasons(context, int(row), place, shares[place], seeds, names) for place, row in enumerate(rows)]

    def _reasons(
        self,
        context: Context,
        row: int,
        place: int,
        shares: Floats,
        seeds: Mapping[str, Ints | None],
        names: tuple[str, ...],
    ) -> tuple[Reason, ...]:
        order = [int(column) for column in np.argsort(-shares, kind="stable") if shares[column] >= SMALLEST_SHARE]
        if not order:
            known = self._shelf.known_as[row] != GONE
            return (_reason(context, "popular" if known else "catalog", 1.0, [], self._shelf),)
        total = float(shares[order].sum())
        reasons = []
        for column in order:
            led = seeds[names[column]]
            own = (
                [] if led is None else [seed for seed in dict.fromkeys(led[place].tolist()) if seed not in (GONE, row)]
            )
            reasons.append(_reason(context, names[column], float(shares[column]) / total, own, self._shelf))
        return tuple(reasons)

    def _because(self, context: Context, rows: Ints, source: str) -> Ints | None:
        """Shelf rows that led this source to each item: (n, TITLES_NAMED), GONE where there is none."""
        model: object = self._sources.get(source)
        if not isinstance(model, Explains):
            return None
        known_as = self._shelf.known_as[rows]
        led = model.because(context, np.maximum(known_as, 0), TITLES_NAMED)
        led = np.where((led >= 0) & (known_as >= 0)[:, None], self._shelf.current(np.maximum(led, 0)), GONE)
        return led.astype(np.int32)


def _reason(context: Context, source: str, share: float, seeds: list[int], shelf: Shelf) -> Reason:
    texts = TEXTS.get(context.language[:2], TEXTS["en"])
    with_items, without = texts.get(f"{source}:{context.place}") or texts.get(source, texts["other"])
    titles = " + ".join(dict.fromkeys(_short(shelf.title(seed)) for seed in seeds))
    text = (with_items if titles else without).format(titles=titles, query=_short(context.query), source=source)
    return Reason(source=source, share=round(share, 4), text=text, because=tuple(shelf.id(seed) for seed in seeds))


def _short(text: str, limit: int = 48) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
