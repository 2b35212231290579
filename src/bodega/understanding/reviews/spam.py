"""Which reviews may be no honest ones? Flags with a reason each, for a merchant to judge; never a silent verdict.

    duplicate     the same words (or nearly: of all runs of five letters that two texts have, six in ten are common to
                  both) were written of this item before
    many_items    the same words stand under three items or more
    burst         one writer wrote more than 20 reviews in a day; or a day on which an item got ten times its usual
                  number (10 at least), nearly all of the same stars: those of it without a known purchase
    links         an address, an account to write to, a telephone number
    caps          a text of capitals
    mismatch      five stars above a text that surely complains, or one star above one that surely praises

Words that thousands write ("very good") are no copy: a text counts from 24 letters (Chinese: 14) on. Of a set of copies
the oldest stays. Cost: 60 us a review, 500 bytes of memory. Not for: hiding what is merely bad.
Paper: Broder 1997 (the least hashes of a text stand for all of it); Jindal and Liu 2008 (duplicates tell of spam).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodega.schema.reviews import KeptReview
from bodega.understanding.language import fold

FLAGS: Final = ("burst", "caps", "duplicate", "links", "many_items", "mismatch")
DAY = 86_400.0
_LETTERS = re.compile(r"[^\W\d_]")
_WIDE = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_LINK = re.compile(
    r"https?://|\bwww\.|\b[\w-]+\.(?:com|net|org|cn|ru|xyz|top|shop|info|biz)\b|[\w.+-]+@[\w-]+\.\w{2,}"
    r"|(?:微信|加v|加微|薇信|vx|qq群?|whatsapp|telegram)\s*[:：号是]?\s*[+\w-]{5,}|(?<!\d)1[3-9]\d{9}(?!\d)",
    re.IGNORECASE,
)
_RUN, _KEPT, _BANDS = 5, 32, 4


@dataclass(frozen=True, slots=True)
class SpamOptions:
    """Where the lines are."""

    latin: int = 24
    wide: int = 14
    """Letters from which a text can be a copy."""
    shared: float = 0.6
    """Runs of letters that near copies share, of all that either has."""
    items: int = 3
    writer_day: int = 20
    burst: int = 10
    usual: float = 10.0
    same_stars: float = 0.8
    mismatch: float = 0.9
    """How sure the text must be of the other side, -1 to 1."""


@dataclass(slots=True)
class _Row:
    """What is remembered of a review."""

    id: str
    item: str
    user: str
    arrived: float
    dated: bool
    stars: float | None
    verified: bool
    sketch: NDArray[np.uint64]
    """The least hashes of its runs of letters, ascending; empty for a text that is too short to be a copy."""


@dataclass(slots=True)
class Watch:
    """Sees every review once, then says what is wrong with which. About 1 kB a review that is long enough to copy."""

    options: SpamOptions = field(default_factory=SpamOptions)
    _rows: list[_Row] = field(default_factory=list)
    _flags: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def see(self, kept: KeptReview) -> None:
        """One review, in any order."""
        review, words = kept.review, kept.review.words
        self._flags[review.id].update(plain_flags(words))
        folded = "".join(_LETTERS.findall(fold(words[:2_000])))
        long_enough = len(folded) >= (self.options.wide if _WIDE.search(folded) else self.options.latin)
        self._rows.append(
            _Row(
                review.id,
                review.item,
                review.user,
                kept.arrived,
                review.time is not None,
                review.stars,
                review.verified,
                _sketch(folded) if long_enough else _NOTHING,
            )
        )

    def found(self) -> dict[str, tuple[str, ...]]:
        """{review id: reasons, sorted} of those with any."""
        self._rows.sort(key=lambda row: (row.arrived, row.id))
        self._copies()
        self._writers()
        self._bursts()
        return {name: tuple(sorted(reasons)) for name, reasons in sorted(self._flags.items()) if reasons}

    def _copies(self) -> None:
        """Copies and near copies: of every set the oldest stays, unless it stands under many items."""
        groups = _grouped(self._rows, self.options)
        for rows in groups:
            many = len({row.item for row in rows}) >= self.options.items
            seen: set[tuple[str, str]] = set()
            items: set[str] = set()
            for at, row in enumerate(rows):
                again = row.item in items or (bool(row.user) and (row.item, row.user) in seen)
                if many and at:
                    self._flags[row.id].add("many_items")
                if again:
                    self._flags[row.id].add("duplicate")
                items.add(row.item)
                seen.add((row.item, row.user))

    def _writers(self) -> None:
        """Who writes more in a day than anybody buys."""
        days: Counter[tuple[str, int]] = Counter(
            (row.user, int(row.arrived // DAY)) for row in self._rows if row.user and row.dated
        )
        for row in self._rows:
            if row.dated and days[row.user, int(row.arrived // DAY)] > self.options.writer_day and row.user:
                self._flags[row.id].add("burst")

    def _bursts(self) -> None:
        """Days on which an item got far more reviews than usual, nearly all of the same stars."""
        by_item: defaultdict[str, list[_Row]] = defaultdict(list)
        for row in self._rows:
            if row.dated and row.stars is not None:
                by_item[row.item].append(row)
        for rows in by_item.values():
            if len(rows) >= self.options.burst:
                self._burst(rows)

    def _burst(self, rows: Sequence[_Row]) -> None:
        days: defaultdict[int, list[_Row]] = defaultdict(list)
        for row in rows:
            days[int(row.arrived // DAY)].append(row)
        span = max(days) - min(days) + 1
        for day in days.values():
            rest = (len(rows) - len(day)) / max(span - 1, 1)
            if span < 7 or len(day) < max(self.options.burst, self.options.usual * rest):
                continue
            stars, count = Counter(row.stars for row in day).most_common(1)[0]
            if count >= self.options.same_stars * len(day):
                for row in day:
                    if row.stars == stars and not row.verified:
                        self._flags[row.id].add("burst")


def plain_flags(words: str) -> set[str]:
    """What a review's own words tell, without any other review."""
    found: set[str] = set()
    if _LINK.search(words[:5_000]):
        found.add("links")
    letters = [sign for sign in words[:2_000] if sign.isalpha()]  # naming a THINKPAD in Chinese is no shouting
    if len(letters) >= 20 and sum(sign.isupper() for sign in letters) >= 0.7 * len(letters):
        found.add("caps")
    return found


def mismatched(stars: float | None, polarity: float, words: str, options: SpamOptions) -> bool:
    """Do the stars say the opposite of the text?"""
    if stars is None or len(_LETTERS.findall(words[:500])) < options.wide:
        return False
    return (stars >= 4.5 and polarity <= -options.mismatch) or (stars <= 1.5 and polarity >= options.mismatch)


_NOTHING: NDArray[np.uint64] = np.empty(0, np.uint64)


def _sketch(folded: str) -> NDArray[np.uint64]:
    """The least of the hashes of every five letters in a row, ascending."""
    codes = np.frombuffer(folded.encode("utf-32-le"), np.uint32).astype(np.uint64)
    mixed = np.zeros(max(len(codes) - _RUN + 1, 0), np.uint64)
    for at in range(_RUN):
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + codes[at : at + len(mixed)]
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= mixed >> np.uint64(29)
    return np.unique(mixed)[:_KEPT]


def _grouped(rows: Sequence[_Row], options: SpamOptions) -> list[list[_Row]]:
    """Sets of copies, each oldest first. Texts are compared that share one of their four least hashes: of two that have
    seven runs in ten in common, 99 in 100 do."""
    root = list(range(len(rows)))

    def top(at: int) -> int:
        while root[at] != at:
            root[at] = root[root[at]]
            at = root[at]
        return at

    exact: dict[bytes, int] = {}
    near: defaultdict[int, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        if not len(row.sketch):
            continue
        first = exact.setdefault(row.sketch.tobytes(), at)
        if first != at:
            root[top(at)] = top(first)
            continue
        for least in row.sketch[:_BANDS].tolist():
            held = near[least]
            for other in held[-50:]:  # what everybody shares tells nothing
                if top(other) != top(at) and _shared(rows[other].sketch, row.sketch) >= options.shared:
                    root[max(top(at), top(other))] = min(top(at), top(other))
            held.append(at)
    groups: defaultdict[int, list[_Row]] = defaultdict(list)
    for at, row in enumerate(rows):
        groups[top(at)].append(row)
    return [group for group in groups.values() if len(group) > 1]


def _shared(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """How much two texts share, estimated: of the least hashes of both together, the part that both have."""
    union = np.union1d(one, other)[:_KEPT]
    return float(np.isin(union, np.intersect1d(one, other)).mean()) if len(union) else 0.0
