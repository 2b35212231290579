"""How is a query understood, from what was typed to what is searched? All steps, in order.

    typed -> code?            an article number is left alone                              codes
          -> reading          folded, with the way back to what was typed                  reading
          -> spelling         words that this shop does not know                           spelling
          -> conditions       prices, sizes and quantities, refusals                       prices, sizes, refusals
          -> names            brands, colours, categories, attributes                      gazetteer
          -> text             what is left to search                                       wording
          -> shelf            the category that all words together mean, if any            intent

Conditions (a price, a refusal) are hard and few; everything else only lifts what fits. Where findings overlap, a name
of several words wins ("Under Armour"), then conditions, then the longer one.

Cost: 40 to 200 microseconds a query; see docs/decisions/0014-query-understanding.md.
Not for: finding anything (`retrieval`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Self

import msgspec
import numpy as np

from bodega.schema import ItemTable, Meaning, World
from bodega.schema.table import PATH_SEPARATOR
from bodega.settings import Settings
from bodega.understanding import language as languages
from bodega.understanding.query import colours
from bodega.understanding.query.claims import Claim
from bodega.understanding.query.codes import is_code
from bodega.understanding.query.following import Following
from bodega.understanding.query.gazetteer import Gazetteer
from bodega.understanding.query.intent import CategoryIntent
from bodega.understanding.query.measures import Measures
from bodega.understanding.query.prices import Prices, prices_in
from bodega.understanding.query.reading import LONGEST, Reading, Token, clean, read
from bodega.understanding.query.refusals import refusals_in
from bodega.understanding.query.sizes import sizes_in
from bodega.understanding.query.spelling import Speller
from bodega.understanding.query.titles import Titles
from bodega.understanding.query.understood import Understood
from bodega.understanding.query.units import Worth, worths
from bodega.understanding.query.wording import edited, mended, searched

SAMPLED = 2_000
"""Items looked at for the currency of the shop."""
SURE = 0.5
"""A named category of this confidence says in which part of the shop the guesses must lie ("men tops")."""
ENOUGH_TITLES = 200
"""Below so many titles, guesses at a category cannot be calibrated and are not made."""


class _Facts(msgspec.Struct, frozen=True):
    prices: Prices
    worths: dict[str, tuple[float, str]]
    cheap: dict[str, float] = {}
    """{category: price below which a third of its items lie}; "" for the whole shop."""
    format: int = 1


class Understanding:
    """Answers: what do these words ask for, in terms of this shop?
    Needs: a catalog; its columns of brands, categories, colours, sizes, prices say what words may mean.
    Good for: "red dress under 50 not silk", "55 inch tv", "2斤装 苹果 100元以下".
    Not for: needs without words of the shop ("something warm"); that is for dense retrieval.
    Cost: learning 35 microseconds an item; 40 to 200 microseconds a query.
    Relations: the engine searches `Understood.text`, filters by hard meanings, lifts by soft ones.
    """

    def __init__(self) -> None:
        self.speller: Speller | None = None
        """Corrects words that the shop does not know; None corrects nothing. It belongs to the word index: whoever
        opens both hands it over (`spelled_by`)."""
        self._intent = CategoryIntent()
        self._following = Following()
        self._take(_Facts(Prices(), {}), Titles.learn(()), _no_names(), _no_measures())

    def _take(self, facts: _Facts, titles: Titles, names: Gazetteer, measures: Measures) -> None:
        self._facts = facts
        self._titles = titles
        self._names = names
        self._measures = measures

    def fit(self, world: World, settings: Settings) -> Self:
        """Learn the names, sizes and prices of this catalog. Same world, same result."""
        items = world.items
        titles = Titles.learn(items.titles)
        worth = worths()
        facts = _Facts(_prices(items, settings.currency), worth, _cheap(items))
        self._take(facts, titles, Gazetteer.learn(items, titles.df), Measures.learn(items, worth))
        self._intent = CategoryIntent.of(world, settings.learn.seed)
        self._following = Following.of(world.log, settings.understand.people)
        return self

    def spelled_by(self, speller: Speller | None) -> Self:
        """Correct with these words from now on."""
        self.speller = speller
        return self

    def understand(self, query: str, *, language: str = "", verbatim: bool = False) -> Understood:
        """What a query says; never an exception, whatever the text. `verbatim` returns it untouched."""
        if verbatim or not query or query.isspace():
            return Understood(query, query if verbatim else "", language)
        if is_code(query):
            return _code(query, language)
        reading = read(query)
        spoken = language or languages.detect(reading.text)
        tokens = reading.tokens()
        names = self._names.claims(reading, tokens)
        told: list[Meaning] = []
        if self.speller is not None and tokens:
            reading, told = mended(reading, tokens, names, self.speller, self._facts.worths)
            if told:
                tokens = reading.tokens()
                names = self._names.claims(reading, tokens)
        claims = self._claims(reading, tokens, names)
        gone = [claim for claim in claims if claim.removes or self._dropped(claim)]
        edits = [(meaning.start, meaning.end, meaning.values[0]) for meaning in told]
        text = searched(reading, gone, edits, may_be_empty=any(claim.meaning.hard for claim in claims))
        kept = [token for token in tokens if not any(one.low <= token.low < one.high for one in gone)]
        claims = self._priced([*claims, *self._shelf(text, kept, claims)])
        return Understood(
            query,
            text,
            spoken,
            corrected=clean(edited(reading.typed, edits)) if edits else "",
            meanings=(*told, *(claim.placed(reading) for claim in claims)),
            alternatives=self._translations(tokens),
        )

    def related(self, query: str) -> tuple[str, ...]:
        """What many people searched after this query."""
        return self._following.after(query)

    def save(self, folder: Path) -> None:
        """Flat arrays and JSON into the folder: equal worlds give equal bytes."""
        (folder / "understanding.json").write_bytes(msgspec.json.encode(self._facts, order="sorted"))
        self._titles.save(folder)
        self._names.save(folder)
        self._measures.save(folder)
        self._intent.save(folder)
        self._following.save(folder)

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        """Memory-map what `save` wrote."""
        del items
        found = cls()
        facts = msgspec.json.decode((folder / "understanding.json").read_bytes(), type=_Facts)
        found._take(facts, Titles.load(folder), Gazetteer.load(folder), Measures.load(folder))
        found._intent = CategoryIntent.load(folder)
        found._following = Following.load(folder)
        return found

    @property
    def currency(self) -> str:
        """ISO code of the money this shop's prices are in."""
        return self._facts.prices.currency

    def _claims(self, reading: Reading, tokens: list[Token], names: list[Claim]) -> list[Claim]:
        """All findings that stand beside each other, in the order of the words."""
        if not tokens:
            return []
        worth: Worth = self._facts.worths
        conditions = [
            *prices_in(reading, self._facts.prices),
            *refusals_in(reading, tokens, self._names, self._titles),
            *sizes_in(reading, self._measures, worth),
        ]
        if not conditions:
            return names
        words = [claim for claim in names if _several(claim, tokens)]
        sure = [claim for claim in conditions if not any(claim.overlaps(name) and not claim.removes for name in words)]
        sure = [claim for claim in sure if not any(_begun_by(claim, name) for name in words)]
        kept = _apart(sure)
        kept += [name for name in names if not any(name.overlaps(claim) for claim in kept)]
        return sorted(kept, key=lambda claim: (claim.low, -claim.high, -claim.meaning.confidence))

    def _shelf(self, text: str, tokens: list[Token], claims: list[Claim]) -> list[Claim]:
        """The categories that all words together mean, beside (and inside) those that single words name."""
        if not tokens or not text or self._titles.size < ENOUGH_TITLES:
            return []
        named = [claim.meaning for claim in claims if claim.meaning.kind == "category"]
        told = {value for meaning in named for value in meaning.values}
        sure = [{_root(value) for value in meaning.values} for meaning in named if meaning.confidence >= SURE]
        guesses = [guess for guess in self._intent.guesses(text) if guess.category not in told]
        guesses = [guess for guess in guesses if all(_root(guess.category) in roots for roots in sure)]
        return [
            Claim(
                tokens[0].low,
                tokens[-1].high,
                Meaning(
                    kind="category",
                    text="",
                    field="category",
                    values=(guess.category,),
                    confidence=round(guess.probability, 3),
                ),
            )
            for guess in guesses
        ]

    def _priced(self, claims: list[Claim]) -> list[Claim]:
        """ "Cheap" gets a number: what a third of the items of the category cost at most, else of the shop."""
        if not any(_is_cheap(claim) for claim in claims):
            return claims
        shelves = [value for claim in claims if claim.meaning.kind == "category" for value in claim.meaning.values[:1]]
        most = next((self._facts.cheap[shelf] for shelf in [*shelves, ""] if shelf in self._facts.cheap), None)
        return [
            replace(claim, meaning=msgspec.structs.replace(claim.meaning, high=most)) if _is_cheap(claim) else claim
            for claim in claims
        ]

    def _dropped(self, claim: Claim) -> bool:
        """A soft word for a price is not searched, unless titles say it: "cheap", "over 50"."""
        said = claim.meaning
        if _is_cheap(claim):
            return self._titles.df("cheap") * 200 < max(self._titles.size, 1)
        over = said.kind == "price" and not said.hard and said.low is not None and said.high is None
        return over and self._titles.size > 0 and not self._titles.df(f"{said.low:g}")

    def _translations(self, tokens: Iterable[Token]) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Chinese colour words that no title holds, with the English word that titles hold."""
        pairs = ((token.word, colours.english(token.word)) for token in tokens if token.han)
        return tuple(
            (word, (english,))
            for word, english in pairs
            if english and not self._titles.df(word) and self._titles.df(english)
        )


def _code(query: str, language: str) -> Understood:
    text = query.strip()
    start = query.index(text)
    meaning = Meaning(kind="code", text=text, start=start, end=start + len(text), values=(text,))
    return Understood(query, text, language or "en", meanings=(meaning,))


def _root(category: str) -> str:
    return category.partition(PATH_SEPARATOR)[0]


def _is_cheap(claim: Claim) -> bool:
    return claim.meaning.kind == "price" and claim.meaning.values == ("low",)


def _several(claim: Claim, tokens: list[Token]) -> bool:
    """Does a name of a brand or category have several words?"""
    inside = sum(claim.low <= token.low and token.high <= claim.high for token in tokens)
    return inside > 1 and claim.meaning.kind in ("brand", "category")


def _begun_by(claim: Claim, name: Claim) -> bool:
    """Is the condition's first word part of a longer name ("No Fear", "Under Armour")?"""
    return name.low <= claim.low < name.high


def _apart(claims: list[Claim]) -> list[Claim]:
    """Claims that do not overlap (or are senses of the same words): conditions first, then the longer, the earlier."""
    kept: list[Claim] = []
    for claim in sorted(claims, key=lambda claim: (not claim.meaning.hard, -(claim.high - claim.low))):
        if not any(claim.overlaps(other) and not claim.beside(other) for other in kept):
            kept.append(claim)
    return kept


def _prices(items: ItemTable, currency: str) -> Prices:
    """Currency, share and range of the prices of a catalog."""
    price = items.numbers.get("price", np.empty(0, np.float32))
    known = price[~np.isnan(price)]
    if not len(known):
        return Prices(currency)
    low = float(np.percentile(known, 1))
    step = max(1, len(items) // SAMPLED)
    named = Counter(code for row in range(0, len(items), step) if (code := items.item(row).currency))
    most = min(named, key=lambda code: (-named[code], code)) if named else currency
    return Prices(most, len(known) / len(price), float(f"{low:.6g}"), float(f"{float(known.max()):.6g}"))


def _cheap(items: ItemTable) -> dict[str, float]:
    """The price below which a third of the items lie, for each category and the whole shop."""
    price = items.numbers.get("price", np.empty(0, np.float32))
    known = ~np.isnan(price)
    if not known.any():
        return {}
    column = items.coded["category"]
    entries = known[column.owner]
    codes, paid = column.codes[entries], price[column.owner[entries]]
    order = np.lexsort((paid, codes))
    codes, paid = codes[order], paid[order]
    ends = np.searchsorted(codes, np.arange(len(column.vocabulary) + 1))
    third = {
        name: float(paid[low + (high - low) // 3])
        for name, low, high in zip(column.vocabulary, ends[:-1].tolist(), ends[1:].tolist(), strict=True)
        if high - low >= 3
    }
    return {
        name: float(f"{value:.6g}") for name, value in ({"": float(np.quantile(price[known], 1 / 3))} | third).items()
    }


def _no_names() -> Gazetteer:
    return Gazetteer.learn(ItemTable.of(()), lambda _: 0)


def _no_measures() -> Measures:
    return Measures.learn(ItemTable.of(()), {})


__all__ = ["LONGEST", "Understanding"]
