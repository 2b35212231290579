"""Which word was meant? Corrections from the words of this shop and of its shoppers, chosen by what stands beside them.

Idea: a word is only ever corrected when neither the catalog nor the query log knows it (a generic dictionary harms
12.8 % of right queries, the shop's own 0 %). Among the words near it the likeliest is taken: how often it stands in
items *together with the other words of the query* and in queries of the log, times how likely the typing error is (a
swap, a doubled letter and a neighbouring key are likelier than any letter; the first letter is rarely wrong).
Two words written as one are cut, one word written as two is joined where that explains more.

Cost: a known word 20 microseconds, a correction .1 to .6 ms (most of it counting items that hold both words).
Not for: a wrong word that the shop knows ("form" for "from"), Chinese, numbers and article numbers.
Paper: Kernighan, Church, Gale 1990 (noisy channel); Brill, Moore 2000 (weighted edits).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bodega.understanding.language import STOP_WORDS
from bodega.understanding.query.habits import NO_PAIRS, Pairs
from bodega.understanding.query.vocabulary import COMMON, LONGEST, Words

SHORTEST = 3
"""Letters of the shortest word that is corrected; one of three letters only into a longer one."""
ERROR_COST = 3.0
"""An error must be paid by exp(3) = 20 times the frequency; likely errors cost `LIKELY` of it."""
SECOND_COST = 4.0
LIKELY = 0.8
FIRST_LETTER = 0.5
"""People get the first letter wrong less often than others."""
MOST_BESIDE = 4
LOOKED_AT = 8
"""So many candidates are compared by what stands beside them."""
SMOOTHED = 20.0
"""So many imagined titles, in which words stand together by chance, are added to those counted."""
UNSEEN = 0.2
UNSEEN_FORM = 2.0
"""What it costs that the shop writes only the singular, or only the plural, of a word."""
SHORTEST_HALF = 2
LINKS = ("", "s", "n", "es", "en")
"""What stands between the parts of a German compound."""

_HAN = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


class Company(NamedTuple):
    """Which words keep company in titles."""

    both: NDArray[np.float64]
    """Titles that hold candidate and other word: (n_candidates, n_others)."""
    candidates: NDArray[np.float64]
    others: NDArray[np.float64]
    total: int

    def lift(self) -> NDArray[np.float64]:
        """How much likelier the other words make each candidate, as a log: (n_candidates,). Naive Bayes with the
        evidence of n words weighed by 1 / sqrt(n), since they are not independent."""
        known = self.others > 0
        if not known.any() or self.total == 0:
            return np.zeros(len(self.candidates))
        chance = np.maximum(self.candidates, UNSEEN)[:, None] / self.total
        beside = (self.both + SMOOTHED * chance) / (self.others + SMOOTHED)
        found: NDArray[np.float64] = np.log(beside / chance)[:, known].sum(axis=1) / math.sqrt(int(known.sum()))
        return found


Together = Callable[[Sequence[str], Sequence[str]], Company | None]
"""(candidates, other words) -> which of them stand in one title."""


class Fix(NamedTuple):
    """`size` words from `at` on were meant to be `words`."""

    at: int
    size: int
    words: tuple[str, ...]
    confidence: float


@dataclass(frozen=True, slots=True)
class Correction:
    """What was meant. `confidence` is the chance that every replacement is right, 1.0 where nothing changed."""

    words: tuple[str, ...]
    changed: bool
    confidence: float
    fixes: tuple[Fix, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Speller:
    """The words of a shop and of its shoppers, and how to count what stands together."""

    words: Words
    pairs: Pairs = field(default_factory=lambda: NO_PAIRS)
    together: Together | None = None
    knows_form: Callable[[str], bool] | None = None
    """Does the shop know another form of this word (plural, ...)?"""

    def knows(self, word: str) -> bool:
        """Is this a word of the shop, or one that need not be (numbers, Chinese, a single letter)?"""
        if len(word) < SHORTEST or not word.isalpha() or len(word) > LONGEST or _HAN.match(word):
            return True
        if self.words.find(word) >= 0:
            return True
        return self.knows_form is not None and self.knows_form(word)

    def correct(self, words: Sequence[str], *, sure: frozenset[int] = frozenset()) -> Correction:
        """The words as they were meant; those at the places `sure` are right, whatever this shop knows.

        `words` are folded surface forms in the order of the query (`language.words`).
        """
        right = [place in sure or self.knows(word) for place, word in enumerate(words)]
        if all(right):
            return Correction(tuple(words), False, 1.0)
        fixes: list[Fix] = []
        taken: set[int] = set()
        for place, known in enumerate(right):
            if known or place in taken:
                continue
            beside = self._beside(words, place, right)
            fix = self._fix(words, place, beside)
            if fix is not None and not taken & set(range(fix.at, fix.at + fix.size)):
                fixes.append(fix)
                taken |= set(range(fix.at, fix.at + fix.size))
        return _corrected(words, fixes)

    def _beside(self, words: Sequence[str], place: int, right: list[bool]) -> list[str]:
        """The right words around a place that tell most: the rarest ones."""
        others = {word for at, word in enumerate(words) if at != place and right[at] and word not in STOP_WORDS}
        return sorted(others, key=lambda word: (self._count(word), word))[:MOST_BESIDE]

    def nearest(self, word: str, beside: Sequence[str] = ()) -> str:
        """The known word that was most likely meant by an unknown one, or ""."""
        found = self._candidates(word, beside)
        return max(found, key=lambda entry: entry[1])[0] if found else ""

    def halves(self, word: str) -> tuple[str, str] | None:
        """Two known words written as one ("airfryer"): those that stand together most often."""
        cuts = self._cuts(word)
        return max(cuts, key=lambda entry: entry[1])[0] if cuts else None

    def _fix(self, words: Sequence[str], place: int, beside: list[str]) -> Fix | None:
        options: list[tuple[Fix, float]] = []
        word = words[place]
        for other, score in self._candidates(word, beside):
            options.append((Fix(place, 1, (other,), 0.0), score))
        for cut, score in self._cuts(word):
            options.append((Fix(place, 1, cut, 0.0), score))
        for at in (place - 1, place):
            if 0 <= at < len(words) - 1:
                joined = words[at] + words[at + 1]
                count = self._count(joined)
                if count >= COMMON:
                    options.append((Fix(at, 2, (joined,), 0.0), math.log(count) - ERROR_COST * LIKELY))
        if not options:
            return None
        best, score = max(options, key=lambda entry: entry[1])
        weights = math.fsum(math.exp(min(50.0, other)) for _, other in options)
        return best._replace(confidence=math.exp(min(50.0, score)) / (weights + 1.0))

    def _count(self, word: str) -> int:
        row = self.words.find(word)
        return int(self.words.count[row]) if row >= 0 else 0

    def _candidates(self, word: str, beside: Sequence[str]) -> list[tuple[str, float]]:
        """(known word, score) of the near ones; the score is the log of a number of items, less the errors' cost."""
        if not SHORTEST <= len(word) <= LONGEST or not word.isalpha():
            return []
        near = [
            (other, count, error_cost(word, other, errors))
            for other, errors, count in self.words.near(word)
            if count >= COMMON and (len(word) > SHORTEST or len(other) > len(word))
        ]
        near += self._plurals(word, {other for other, _, _ in near})
        near.sort(key=lambda entry: (entry[2] - math.log(entry[1]), entry[0]))
        del near[LOOKED_AT:]
        names = [other for other, _, _ in near]
        lift = np.zeros(len(names)) if len(names) < 2 else self._lift(names, beside)
        return [
            (other, math.log(count) - cost + float(helped))
            for (other, count, cost), helped in zip(near, lift, strict=True)
        ]

    def _lift(self, names: Sequence[str], beside: Sequence[str]) -> NDArray[np.float64]:
        """How much likelier the words beside make each candidate: in titles, and in what people asked."""
        out = np.log1p(self.pairs.count(names, beside))
        company = self.together(names, beside) if self.together is not None and beside else None
        return out if company is None else out + company.lift()

    def _plurals(self, word: str, known: set[str]) -> list[tuple[str, int, float]]:
        """The other number of words near by, where the shop never wrote it: "ketles" was meant to be kettles, though
        the shop has only the kettle."""
        if len(word) <= SHORTEST + 1:
            return []
        plural = word.endswith("s")
        found = []
        for other, errors, count in self.words.near(word[:-1] if plural else word + "s"):
            form = other + "s" if plural else other[:-1]
            if plural == other.endswith("s") or count < COMMON or form in known or self.words.find(form) >= 0:
                continue
            found.append((form, count, error_cost(word, form, errors) + UNSEEN_FORM))
        return found

    def _cuts(self, word: str) -> list[tuple[tuple[str, str], float]]:
        """The ways to cut a word into two known ones, each with a score like that of a correction."""
        if len(word) < 2 * SHORTEST_HALF + 1 or len(word) > LONGEST or not word.isalpha():
            return []
        found = []
        for cut in range(SHORTEST_HALF, len(word) - SHORTEST_HALF + 1):
            right = word[cut:]
            second = self._count(right)
            if second < COMMON:
                continue
            for link in LINKS:
                left = word[: cut - len(link)]
                if len(left) < SHORTEST_HALF or not word[:cut].endswith(link):
                    continue
                first = self._count(left)
                if first < COMMON or (link and min(len(left), len(right)) < 4):
                    continue
                both = self._together(left, right)
                if both <= 0 and min(len(left), len(right)) < 3:
                    continue
                rarer = min(first, second)
                score = math.log(both + rarer / 1_000.0) - ERROR_COST * (LIKELY if not link else 1.0)
                found.append(((left, right), score))
        return found

    def _together(self, left: str, right: str) -> float:
        seen = float(self.pairs.count([left], [right])[0])
        company = self.together([left], [right]) if self.together is not None else None
        return seen if company is None else seen + float(company.both[0, 0])

    def save(self, folder: Path) -> None:
        self.words.save(folder)
        self.pairs.save(folder)


def error_cost(typed: str, meant: str, errors: int) -> float:
    """What the errors between two words cost: fewer and likelier ones less."""
    if errors == 0:
        return 0.0
    cost = ERROR_COST if errors == 1 else ERROR_COST + SECOND_COST
    if errors == 1 and _likely(typed, meant):
        cost *= LIKELY
    return cost + (FIRST_LETTER if typed[0] != meant[0] else 0.0)


def _likely(typed: str, meant: str) -> bool:
    """Is this one error a swap, a letter doubled or not doubled, or a neighbouring key?"""
    at = next((at for at, (one, two) in enumerate(zip(typed, meant, strict=False)) if one != two), None)
    if at is None:  # the last letter is missing, or one too many
        longer = max(typed, meant, key=len)
        return len(longer) > 1 and longer[-1] == longer[-2]
    if len(typed) == len(meant):
        if typed[at : at + 2] == meant[at : at + 2][::-1]:
            return True
        return (typed[at], meant[at]) in _NEIGHBOURS
    longer = max(typed, meant, key=len)
    return at > 0 and longer[at] == longer[at - 1]


def _neighbours() -> frozenset[tuple[str, str]]:
    places = {key: (row, column + 0.5 * row) for row, keys in enumerate(_KEYS) for column, key in enumerate(keys)}
    return frozenset(
        (one, two)
        for one, (row, column) in places.items()
        for two, (other, place) in places.items()
        if one != two and abs(row - other) <= 1 and abs(column - place) <= 1.0
    )


_NEIGHBOURS = _neighbours()


def _corrected(words: Sequence[str], fixes: list[Fix]) -> Correction:
    out: list[str] = []
    at = 0
    for fix in sorted(fixes):
        out.extend(words[at : fix.at])
        out.extend(fix.words)
        at = fix.at + fix.size
    out.extend(words[at:])
    return Correction(tuple(out), bool(fixes), math.prod(fix.confidence for fix in fixes), tuple(sorted(fixes)))
