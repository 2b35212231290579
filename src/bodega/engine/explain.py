"""Why is this item on this list? Reasons in words, with the part of the score each source gave.

The shares come from the fusion (they add up to 1); the items that led here come from the source itself, where it can
tell (`protocols.Explains`); which words of the query stand where comes from the item, read as the index reads it.
Texts are plain sentences in English and Chinese; a shop's own sources may add theirs. What the features of a learned
ranker added is told when a request asks for it (`Request.explain`): attributions through trees cost milliseconds.
Cost: some microseconds a hit, 20 for the words of a query. Not for: items that are not there (`why_not`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import isfinite
from typing import Protocol, runtime_checkable

import msgspec
import numpy as np

from bodega.engine.cold import basis_of
from bodega.engine.places import FALLBACK
from bodega.engine.remember import Remembered
from bodega.engine.shelf import GONE, Shelf
from bodega.protocols import Explains, Source
from bodega.retrieval.lexical import Lexical
from bodega.schema import Candidates, Context, Contribution, Evidence, Item, Reason
from bodega.schema.arrays import Floats, Ints, Longs
from bodega.understanding import language

SMALLEST_SHARE = 0.03
"""A source that gave less than this part of the score is not worth a sentence."""

TITLES_NAMED = 2

READ = 2_000
"""Characters of a description in which words of the query are looked for."""

SHORT = 120
"""Characters of a text whose words are remembered."""

READ_BYTES = 4_000_000
"""Memory for the words of items that were shown lately: two thousand of them."""

CONTRIBUTIONS = 8
"""Features of a ranker that are told, the weightiest."""

ACCOUNTED = 20
"""Hits of a page that are accounted for: attributions through trees take .5 ms a hit."""

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
        "dense:home": ("Like {titles}", "Like what you looked at"),
        "dense:rare": ("Like {titles}", "Like what you looked at"),
        "dense:similar": ("Like {titles}", "Like this item"),
        "sentences:rare": ("Like {titles}", "Like what you looked at"),
        "profile": ("Like {titles}", "Like what you asked for"),
        "profile:home": ("Like {titles}", "Like what you looked at"),
        "profile:rare": ("Like {titles}", "Like what you looked at"),
        "profile:similar": ("Like {titles}", "Like this item"),
        "profile:together": ("Goes with {titles}", "Goes with this item"),
        "pictures": ("Looks like {titles}", "Looks like your photo"),
        "pictures:similar": ("Looks like {titles}", "Looks like this item"),
        "pictures:looks_like": ("Looks like {titles}", "Looks like this item"),
        "sequential": ("What often comes next after {titles}", "What often comes next"),
        "generative": ("What could come next after {titles}", "What could come next"),
        "graph": ("Connected with {titles}", "Connected with what you looked at"),
        "matrix": ("Fits your taste", "Fits your taste"),
        "slim": ("Shoppers who chose {titles} chose this too", "Chosen by shoppers with a similar taste"),
        "substitutes": ("Compared with {titles}", "Others compare these"),
        "complements": ("Goes with {titles}", "Goes with it"),
        "knowledge": ("Goes with {titles}", "Goes with it"),
        "knowledge:home": ("Goes with {titles}", "Goes with what you chose"),
        "knowledge:similar": ("Instead of {titles}", "Could stand in for it"),
        "knowledge:basket": ("Goes with {titles} in your basket", "Goes with your basket"),
        "knowledge:search": ("Made for what you look for", "Made for what you look for"),
        "knowledge:accessory": ("An accessory for {titles}", "An accessory for it"),
        "knowledge:upgrade": ("A step up from {titles}", "A step up"),
        "knowledge:substitute": ("Others compare it with {titles}", "Others compare these"),
        "knowledge:related": ("The shop recommends it with {titles}", "Recommended by the shop"),
        "knowledge:upsell": ("The shop recommends it instead of {titles}", "Recommended by the shop"),
        "knowledge:crosssell": ("The shop recommends it with {titles}", "Recommended by the shop"),
        "repeat": ("You have bought this before", "You have bought this before"),
        "appeal": ("Often chosen where it is shown", "Often chosen where it is shown"),
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
        "dense:home": ("与{titles}相似", "与您浏览过的商品相似"),
        "dense:rare": ("与{titles}相似", "与您浏览过的商品相似"),
        "dense:similar": ("与{titles}相似", "与此商品相似"),
        "sentences:rare": ("与{titles}相似", "与您浏览过的商品相似"),
        "profile": ("与{titles}相似", "与您要找的相似"),
        "profile:home": ("与{titles}相似", "与您浏览过的商品相似"),
        "profile:rare": ("与{titles}相似", "与您浏览过的商品相似"),
        "profile:similar": ("与{titles}相似", "与此商品相似"),
        "profile:together": ("与{titles}搭配", "与此商品搭配"),
        "pictures": ("与{titles}外观相似", "与您的照片相似"),
        "pictures:similar": ("与{titles}外观相似", "与此商品外观相似"),
        "pictures:looks_like": ("与{titles}外观相似", "与此商品外观相似"),
        "sequential": ("选了{titles}之后常会选它", "您接下来可能会选它"),
        "generative": ("选了{titles}之后可能会选它", "您接下来可能会喜欢"),
        "graph": ("与{titles}相关", "与您浏览过的商品相关"),
        "matrix": ("符合您的口味", "符合您的口味"),
        "slim": ("选了{titles}的顾客也选了它", "口味相近的顾客选了它"),
        "substitutes": ("常与{titles}比较", "顾客常比较这些商品"),
        "complements": ("与{titles}搭配", "适合搭配购买"),
        "knowledge": ("与{titles}搭配", "适合搭配购买"),
        "knowledge:home": ("与{titles}搭配", "与您选过的商品搭配"),
        "knowledge:similar": ("可替代{titles}", "可作替代"),
        "knowledge:basket": ("与您购物车中的{titles}搭配", "与您的购物车搭配"),
        "knowledge:search": ("适合您的用途", "适合您的用途"),
        "knowledge:accessory": ("{titles}的配件", "配件"),
        "knowledge:upgrade": ("{titles}的升级款", "升级款"),
        "knowledge:substitute": ("顾客常与{titles}比较", "顾客常比较这些商品"),
        "knowledge:related": ("本店推荐与{titles}一起看", "本店推荐"),
        "knowledge:upsell": ("本店推荐代替{titles}", "本店推荐"),
        "knowledge:crosssell": ("本店推荐与{titles}一起购买", "本店推荐"),
        "repeat": ("您以前买过", "您以前买过"),
        "appeal": ("展示时常被选中", "展示时常被选中"),
        "popular": ("近期热门", "近期热门"),
        "recent": ("您最近看过", "您最近看过"),
        "catalog": ("本店新品", "本店新品"),
        "other": ("由{source}推荐", "由{source}推荐"),
    },
}
"""{language: {source, source:place or source:relation: (with the items that led here, without)}}."""


@runtime_checkable
class Relates(Protocol):
    """A source that can tell how an item is to what led to it."""

    def relation(self, context: Context, seeds: Ints, items: Ints) -> list[str]:
        """A relation for each pair of rows of the snapshot (a seed may be -1): its name, "" where there is none."""
        ...


def _stemmed(text: str) -> tuple[str, ...]:
    """The words of a text as the index knows them."""
    return tuple(language.stem(word) for word in language.words(text))


_stems = lru_cache(4_096)(_stemmed)
"""Titles, brands and categories come again with every page."""


class Explainer:
    """Puts reasons into words for one snapshot and shelf."""

    def __init__(self, sources: Mapping[str, Source], shelf: Shelf) -> None:
        self._explains = {name: model for name, model in sources.items() if isinstance(model, Explains)}
        self._relates = {name: model for name, model in self._explains.items() if isinstance(model, Relates)}
        self._shelf = shelf
        self._eventful = basis_of(sources) == "events"
        self._texts_read: Remembered[dict[str, tuple[int, str]]] = Remembered(READ_BYTES, _weight)

    def why(
        self, context: Context, rows: Ints, names: tuple[str, ...], shares: Floats, scores: Floats | None = None
    ) -> list[tuple[Reason, ...]]:
        """The reasons of every hit of a page, the largest share first; never empty.

        `rows` (n,) shelf rows; `shares` (n, n_sources), all zero for what no source gave; `scores` of the same shape:
        the sources' own, NaN where they have none.
        """
        told = _Told(context)
        given = np.where(shares >= SMALLEST_SHARE, shares, np.float32(0))
        order = np.argsort(-given, axis=1, kind="stable")
        totals = (-np.sort(-given, axis=1).cumsum(axis=1)[:, -1]).tolist()
        counts = np.count_nonzero(given, axis=1).tolist()
        parts, columns = given.tolist(), order.tolist()
        own = np.full(shares.shape, np.nan).tolist() if scores is None else scores.tolist()
        giving = np.flatnonzero(given.any(axis=0)).tolist()
        seeds = {column: self._because(context, rows, names[column]) for column in giving}
        how = {column: self._related(context, rows, names[column], led) for column, led in seeds.items()}
        called = {column: self._told_as(names[column]) for column in giving}
        by_words = names.index(Lexical.name) if Lexical.name in names else -1
        words = self.asked(context) if by_words >= 0 else {}
        named: dict[int, Evidence] = {}
        out: list[tuple[Reason, ...]] = []
        for place, row in enumerate(rows.tolist()):
            reasons = []
            matched = self.found(words, row) if words else ()
            for column in columns[place][: counts[place]]:
                led = seeds[column]
                seen = matched if column == by_words else () if led is None else self._items(led[place], row, named)
                name, share = called[column] + how[column].get(place, ""), parts[place][column] / totals[place]
                reasons.append(told.reason(name, share, own[place][column], seen))
            if matched and by_words not in columns[place][: counts[place]]:
                reasons.append(told.reason(Lexical.name, 0.0, evidence=matched))  # all hits match alike: share 0
            if not any(reason.share for reason in reasons):
                known = self._shelf.known_as[row] != GONE
                reasons.insert(0, told.reason(self._told_as(FALLBACK) if known else "catalog", 1.0))
            out.append(tuple(reasons))
        return out

    def _related(self, context: Context, rows: Ints, source: str, led: list[list[int]] | None) -> dict[int, str]:
        """{place on the page: ":" and how the item is to what led to it}, where the source can tell."""
        model = self._relates.get(source)
        if led is None or model is None:
            return {}
        known_as = self._shelf.known_as
        first = np.array([each[0] for each in led], np.int32).reshape(-1)
        seeds = np.where(first >= 0, known_as[np.maximum(first, 0)], GONE).astype(np.int32)
        said = model.relation(context, seeds, np.maximum(known_as[rows], 0))
        return {place: f":{name}" for place, name in enumerate(said) if f"{source}:{name}" in TEXTS["en"]}

    def _told_as(self, name: str) -> str:
        """Where nothing has happened yet nothing is popular: the order is that of the catalog, newest first."""
        return "catalog" if name == FALLBACK and not self._eventful else name

    @staticmethod
    def asked(context: Context) -> dict[str, str]:
        """{stem: word of the query}, with the other ways to say it that the shop knows."""
        stems: dict[str, str] = {}
        alike = [way for said, ways in context.alternatives for way in (said, *ways)]
        for text in (context.query, *alike):
            for word in language.words(text):
                stems.setdefault(language.stem(word), word)
        return stems

    def found(self, stems: Mapping[str, str], row: int) -> tuple[Evidence, ...]:
        """Which of these words stand in the item, and where: each once, in the first field that has it."""
        title = _stems(self._shelf.title(row))
        if stems.keys() <= set(title):  # most hits: nothing else of the item has to be read
            return tuple(
                [
                    Evidence(kind="word", text=stems[stem], field="title")
                    for stem in dict.fromkeys(title)
                    if stem in stems
                ]
            )
        held = self._texts_read.of(row, lambda: self._read(row))
        hits = [(*held[stem], word) for stem, word in stems.items() if stem in held]
        return tuple(Evidence(kind="word", text=word, field=field) for _, field, word in sorted(hits))

    def _read(self, row: int) -> dict[str, tuple[int, str]]:
        """{stem: (its place among the item's words, the first field that has it)}."""
        held: dict[str, tuple[int, str]] = {}
        for field, text in self._texts(row):
            for stem in _stems(text) if len(text) <= SHORT else _stemmed(text):
                held.setdefault(stem, (len(held), field))
        return held

    def _texts(self, row: int) -> Iterator[tuple[str, str]]:
        """(field, text) of an item, the field that says most first."""
        yield "title", self._shelf.title(row)
        item = msgspec.json.decode(self._shelf.document(row), type=Item)
        yield "brand", item.brand
        yield "category", " ".join(item.category)
        for name, value in (*item.attributes.items(), *item.options.items()):
            yield name, " ".join(value) if isinstance(value, list) else str(value)
        yield "tags", " ".join(item.tags)
        yield "description", item.description[:READ]

    def _items(self, led: list[int], row: int, named: dict[int, Evidence]) -> tuple[Evidence, ...]:
        """The items that led to one, each once; `named` are those that were put into words already."""
        out = []
        for seed in dict.fromkeys(led):
            if seed not in (GONE, row):
                if seed not in named:
                    named[seed] = Evidence(kind="item", text=self._shelf.title(seed), id=self._shelf.id(seed))
                out.append(named[seed])
        return tuple(out)

    def _because(self, context: Context, rows: Ints, source: str) -> list[list[int]] | None:
        """Shelf rows that led this source to each item: (n, TITLES_NAMED), GONE where there is none."""
        model = self._explains.get(source)
        if model is None:
            return None
        known_as = self._shelf.known_as[rows]
        led = model.because(context, np.maximum(known_as, 0), TITLES_NAMED)
        led = np.where((led >= 0) & (known_as >= 0)[:, None], self._shelf.current(np.maximum(led, 0)), GONE)
        found: list[list[int]] = led.tolist()
        return found


class Sums(Protocol):
    """A ranking that adds up its sources."""

    def parts(self, context: Context, candidates: Candidates) -> tuple[Floats, Floats]:
        """(every source's score on the common scale (n, n_sources), every source's weight (n_sources,))."""
        ...


class _Recipe(Protocol):
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def fusion(self) -> Sums: ...


class _Model(Protocol):
    @property
    def exact(self) -> bool: ...


@runtime_checkable
class Accounts(Protocol):
    """A learned ranker that can say what each of its features added."""

    @property
    def recipe(self) -> _Recipe: ...
    @property
    def model(self) -> _Model: ...
    def serves(self, candidates: Candidates) -> bool: ...
    def contributions(self, context: Context, candidates: Candidates, rows: Ints | None = None) -> Floats: ...


def contributions(
    stage: Sums | Accounts, context: Context, candidates: Candidates, places: Ints
) -> tuple[tuple[str, ...], Floats, bool]:
    """(names, what each added to the score (len(places), n_names), are these exact?) for some of the candidates.

    Of a learned ranker its features, of a weighted sum its sources. `candidates` are all of them, in any order: what
    an item is worth depends on the others.
    """
    if isinstance(stage, Accounts):
        if stage.serves(candidates):
            return stage.recipe.columns, stage.contributions(context, candidates, places), stage.model.exact
        stage = stage.recipe.fusion  # what a ranker does with a request that it was not fitted for
    parts, weight = stage.parts(context, candidates)
    return candidates.sources, np.asarray(parts[places] * weight, np.float32), True


def accounted(
    stage: Sums | Accounts, context: Context, candidates: Candidates, places: Longs
) -> list[tuple[Contribution, ...]]:
    """What made the score of each hit: (n,), `places` are rows of the candidates, -1 for what was not among them."""
    inside = np.flatnonzero(places >= 0)[:ACCOUNTED]
    out: list[tuple[Contribution, ...]] = [()] * len(places)
    if len(inside):
        names, values, exact = contributions(stage, context, candidates, places[inside].astype(np.int32))
        for place, own in zip(inside.tolist(), values, strict=True):
            out[place] = told(names, own, exact=exact)
    return out


def told(names: tuple[str, ...], values: Floats, *, exact: bool) -> tuple[Contribution, ...]:
    """One item's contributions (n_names,), the weightiest first; what added nothing is left out."""
    size = np.abs(values)
    total = float(size.sum())
    order = [int(place) for place in np.argsort(-size, kind="stable")[:CONTRIBUTIONS] if size[place] > 0]
    return tuple(
        Contribution(
            name=names[place],
            value=float(f"{values[place]:.5g}"),
            share=round(float(size[place]) / total, 4),
            exact=exact,
        )
        for place in order
    )


class _Told:
    """Reasons of one page in words; what stays the same from hit to hit is made once."""

    def __init__(self, context: Context) -> None:
        self._place = context.place
        self._query = _short(context.query)
        self._texts = TEXTS.get(context.language[:2], TEXTS["en"])
        self._said: dict[tuple[str, str], str] = {}
        self._titles: dict[tuple[str, ...], str] = {}

    def reason(self, source: str, share: float, value: float = np.nan, evidence: tuple[Evidence, ...] = ()) -> Reason:
        """One source's part of one hit."""
        ids: tuple[str, ...] = ()
        titles = ""
        if evidence and evidence[0].kind == "item":
            ids = tuple([each.id for each in evidence])
            known = self._titles.get(ids)
            if known is None:
                known = self._titles[ids] = " + ".join(dict.fromkeys(_short(each.text) for each in evidence))
            titles = known
        return Reason(
            source=source.partition(":")[0],
            share=round(share, 4),
            text=self._said.get((source, titles)) or self._say(source, titles),
            because=ids,
            evidence=evidence,
            value=float(f"{value:.5g}") if isfinite(value) else None,
        )

    def _say(self, source: str, titles: str) -> str:
        texts = self._texts
        with_items, without = texts.get(f"{source}:{self._place}") or texts.get(source, texts["other"])
        text = (with_items if titles else without).format(titles=titles, query=self._query, source=source)
        self._said[source, titles] = text
        return text


def _weight(held: dict[str, tuple[int, str]]) -> int:
    """What the words of one item take in memory."""
    return 400 + 150 * len(held)


def _short(text: str, limit: int = 48) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
