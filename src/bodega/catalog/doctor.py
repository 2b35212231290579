"""What keeps items from being found, or from being bought when found? One pass over the catalog, findings with fixes.

Each finding names how many items it touches, shows some and says what to do. The score (0 to 100) takes off what a
typical shop loses: an item that search cannot find counts ten times one with a short title. Items are also looked up
in the shop's own search by their own title: a sample of 200, the same for the same catalog. Cost: about 4 us an item
and 200 searches; held for each item: its price, place and a hash of its title. Not for: mending anything.
"""

from __future__ import annotations

import heapq
import unicodedata
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec
import numpy as np

from bodega.catalog.outliers import odd_prices
from bodega.catalog.variants import Groups
from bodega.schema import Item
from bodega.settings import Kind

SHORT_TITLE, LONG_TITLE = 8, 200
"""Characters; Chinese letters count double. Under 8 is one word, over 200 is cut by every search page."""
PRODUCT = "product"
"""The kind of what is for sale."""
SAMPLED, FIRST = 200, 10
SHOWN = 5
MIXED_LANGUAGES = 0.02
Severity = Literal["error", "warning", "note"]
Search = Callable[[str, int], list[str]]


class Example(msgspec.Struct, frozen=True):
    id: str
    title: str
    detail: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that hurts: `count` of `of` items have it (`of` is less than all where only a sample was asked)."""

    code: str
    severity: Severity
    title: str
    count: int
    of: int
    examples: tuple[Example, ...] = ()
    fix: str = ""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What the doctor found, worst first; `score` 100 is a catalog without findings."""

    n_items: int
    score: int
    findings: tuple[Finding, ...] = ()


class _Code(msgspec.Struct, frozen=True):
    severity: Severity
    weight: float
    """Points taken off when every item has it."""
    title: str
    fix: str


CODES: dict[str, _Code] = {
    "unfindable": _Code(
        "error",
        40,
        "not found by their own title",
        "compare the title with its words in search; learn again after imports",
    ),
    "no_title": _Code("error", 40, "without a title", "map the column that holds the name: mapping title = <column>"),
    "no_price": _Code(
        "error", 15, "without a price", "export the price; NaN, negative and infinite prices are left out"
    ),
    "lacks_field": _Code(
        "warning", 10, "that lack a field of their kind", "fill in the fields that [kinds] names for this kind"
    ),
    "no_category": _Code("warning", 15, "without a category", "map the category, best as a path: Shoes > Trail"),
    "odd_price": _Code(
        "warning", 10, "with a price far from their category's", "look for cents taken for units, or typos"
    ),
    "duplicate_title": _Code(
        "warning",
        10,
        "with the same title as another product",
        "say in the title what differs, or give variants a group",
    ),
    "same_options": _Code("warning", 10, "variants with the same options as a sibling", "give each its own options"),
    "lacks_option": _Code(
        "warning", 10, "variants that lack an option of their siblings", "fill in the missing option"
    ),
    "unavailable": _Code(
        "warning", 10, "not available", "hide or restock them; they stay findable but are ranked down"
    ),
    "mixed_currencies": _Code(
        "warning",
        10,
        "in another currency than most",
        "convert prices, or run one shop a currency: filters compare numbers",
    ),
    "no_image": _Code("note", 8, "without an image", "add an image address; the storefront draws one meanwhile"),
    "short_title": _Code("note", 8, "with a very short title", "add brand, kind and what sets it apart"),
    "long_title": _Code("note", 4, "with a very long title", "move details to the description or to attributes"),
    "no_description": _Code("note", 4, "without a description", "search also reads descriptions: two sentences help"),
    "alone": _Code("note", 4, "the only variant of their group", "leave the group out, or import the other variants"),
    "mixed_languages": _Code(
        "note", 4, "titled in another script than most", "set the item's language, so that its words are cut rightly"
    ),
}


def examine(items: Iterable[Item], search: Search | None = None, kinds: Mapping[str, Kind] | None = None) -> Diagnosis:
    """Look at every item once. `search(query, k)` gives the ids that the shop's own search finds, best first; without
    it the items are not looked up. `kinds` are those of the settings. Same items, same diagnosis."""
    found = _Notebook(kinds or {})
    for item in items:
        found.saw(item)
    found.close(search)
    findings = [finding for code in CODES if (finding := found.finding(code))]
    rank = {"error": 0, "warning": 1, "note": 2}
    lost = {one.code: CODES[one.code].weight * one.count / one.of for one in findings}
    findings.sort(key=lambda one: (rank[one.severity], -lost[one.code], one.code))
    return Diagnosis(
        n_items=found.n, score=round(max(100.0 - sum(lost.values()), 0.0)) if found.n else 0, findings=tuple(findings)
    )


class _Notebook:
    """Counts and examples by code, and what can only be told at the end."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self.n = 0
        self._kinds = kinds
        self.counts: Counter[str] = Counter()
        self.of: dict[str, int] = {}
        self.examples: dict[str, list[Example]] = {code: [] for code in CODES}
        self.groups = Groups()
        self._titles: dict[str, str] = {}
        self._prices = array("d")
        self._places = array("q")
        self._ids: list[str] = []
        self._names: list[str] = []
        self._categories: dict[tuple[tuple[str, ...], str], int] = {}
        self._currencies: dict[str, tuple[int, list[Example]]] = {}
        self._scripts: dict[str, tuple[int, list[Example]]] = {}
        self._sample: list[tuple[int, str, str, str]] = []

    def saw(self, item: Item) -> None:
        self.n += 1
        title = item.title
        self.note("no_title", item, not title)
        length = _length(title)
        self.note("short_title", item, 0 < length < SHORT_TITLE)
        self.note("long_title", item, length > LONG_TITLE)
        self.note("no_category", item, not item.category)
        kind = self._kinds.get(item.kind)
        sold = item.kind == PRODUCT or (kind is not None and kind.sold)  # an article has no price to miss
        self.note("no_price", item, item.price is None and sold)
        self.note("lacks_field", item, kind is not None and any(name not in item.attributes for name in kind.fields))
        self.note("no_image", item, not item.images)
        self.note("no_description", item, not item.description)
        self.note("unavailable", item, not item.available)
        self.groups.saw(item)
        if title:
            owner = self._titles.setdefault(" ".join(title.casefold().split()), item.group or f"\0{item.id}")
            self.note("duplicate_title", item, owner != (item.group or f"\0{item.id}"))
            _tally(self._scripts, _script(title), item)
            draw = zlib.crc32(item.id.encode("utf-8", "replace"))
            entry = (-draw, item.id, title, item.group)
            (heapq.heappushpop if len(self._sample) >= SAMPLED else heapq.heappush)(self._sample, entry)
        if item.price is not None:
            place = (item.category, item.currency)
            self._prices.append(item.price)
            self._places.append(self._categories.setdefault(place, len(self._categories)))
            self._ids.append(item.id)
            self._names.append(title)
            _tally(self._currencies, item.currency, item)

    def note(self, code: str, item: Item, wrong: bool) -> None:
        if wrong:
            self.add(code, Example(item.id, item.title))

    def add(self, code: str, example: Example) -> None:
        self.counts[code] += 1
        if len(self.examples[code]) < SHOWN:
            self.examples[code].append(example)

    def close(self, search: Search | None) -> None:
        for problem, member in self.groups.problems():
            shown = ", ".join(f"{name}: {value}" for name, value in member.options)
            self.add(problem, Example(member.id, member.title, shown))
        prices = np.frombuffer(self._prices, np.float64) if self._prices else np.empty(0)
        places = np.frombuffer(self._places, np.int64) if self._places else np.empty(0, np.int64)
        for row in np.flatnonzero(odd_prices(prices, places)).tolist():
            self.add("odd_price", Example(self._ids[row], self._names[row], f"{prices[row]:,.2f}"))
        self._minorities("mixed_currencies", self._currencies, 0.0)
        self._minorities("mixed_languages", self._scripts, MIXED_LANGUAGES)
        if search is not None:
            self._look_up(search)

    def _minorities(self, code: str, tally: dict[str, tuple[int, list[Example]]], least: float) -> None:
        """All but the most frequent value, when they are more than `least` of the items."""
        ranked = sorted(tally.items(), key=lambda entry: (-entry[1][0], entry[0]))[1:]
        count = sum(number for _, (number, _) in ranked)
        if count > least * self.n:
            self.counts[code] = count
            self.examples[code] = [example for _, (_, held) in ranked for example in held][:SHOWN]

    def _look_up(self, search: Search) -> None:
        """Each sampled title as a query: the item, or a sibling of its group, must be among the first ten."""
        self.of["unfindable"] = len(self._sample)
        siblings = self.groups.siblings()
        for _, name, title, group in sorted(self._sample, reverse=True):
            hits = search(title, FIRST)
            if name in hits or (group and not siblings[group].isdisjoint(hits)):
                continue
            self.add("unfindable", Example(name, title, f"first hit: {hits[0]}" if hits else "no hits"))

    def finding(self, code: str) -> Finding | None:
        count = self.counts[code]
        if not count:
            return None
        known = CODES[code]
        of = self.of.get(code, self.n)
        sampled = f" (of {of:,} looked up)" if of != self.n else ""
        return Finding(
            code=code,
            severity=known.severity,
            title=f"{count:,} items {known.title}{sampled}",
            count=count,
            of=of,
            examples=tuple(self.examples[code]),
            fix=known.fix,
        )


def _tally(tally: dict[str, tuple[int, list[Example]]], key: str, item: Item) -> None:
    count, held = tally.get(key, (0, []))
    if len(held) < SHOWN:
        held = [*held, Example(item.id, item.title, key)]
    tally[key] = (count + 1, held)


def _length(title: str) -> int:
    return len(title) if title.isascii() else sum(1 + (unicodedata.east_asian_width(one) in "WF") for one in title)


def _script(title: str) -> str:
    """ "Han", "Latin" or "other": the script of most of its letters."""
    if title.isascii():
        return "Latin"
    letters = [letter for letter in title if letter.isalpha()]
    han = sum("\u3040" <= letter <= "\u9fff" for letter in letters)
    latin = sum(letter < "\u0250" for letter in letters)
    return "Han" if 2 * han >= len(letters) and han else "Latin" if latin >= 0.5 * len(letters) else "other"
