"""Which of the shop's words are made of two others, so that items may say them apart? "Lederschuhe" and "Schuhe aus
Leder", "passthrough" and "pass through".

Idea: a word is cut wherever both parts are words of the shop (with a linking s, n, es or en between them, as German
has it). Most such cuts mean nothing ("disc" + "overy"); those whose parts stand in one title `LIFT` times as often as
chance would have it do. Items with both parts are then another way to say the word, never a replacement for it.
The other direction, two words typed where the shop writes one, needs no table (`_plan`).

Cost: .2 s for 50,000 words, at learning; 20 microseconds a long word of a query.
Not for: words that the shop does not know (the speller cuts those).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bodega.retrieval.lexical._matcher import Matcher
from bodega.schema import Texts
from bodega.understanding import language
from bodega.understanding.query.spelling import LINKS
from bodega.understanding.query.vocabulary import Words, find, load_texts, save_texts

SHORTEST = 8
SHORTEST_PART = 4
TOGETHER = 2
"""Titles that must hold both parts."""
LIFT = 20.0
"""Chosen by reading the cuts of 46,000 products: from here up nearly all mean the same as the word."""
COMMON = 2


@dataclass(frozen=True, slots=True, eq=False)
class Compounds:
    """Sorted words, and the two parts of each, joined with a blank."""

    words: Texts
    parts: Texts

    @classmethod
    def none(cls) -> Compounds:
        return cls(Texts.of(()), Texts.of(()))

    @classmethod
    def of(cls, words: Words, matcher: Matcher) -> Compounds:
        """The compounds among the words of a shop."""
        count = dict(zip(words.texts, words.count.tolist(), strict=True))
        found: dict[str, tuple[float, str]] = {}
        for word, often in count.items():
            if often < 1 or len(word) < SHORTEST or not word.isalpha():
                continue
            for left, right in _cuts(word):
                if min(count.get(left, 0), count.get(right, 0)) >= COMMON:
                    lift = _lift(matcher, language.stem(left), language.stem(right))
                    if lift >= LIFT:
                        found[word] = max(found.get(word, (0.0, "")), (lift, f"{left} {right}"))
        names = sorted(found)
        return cls(Texts.of(names), Texts.of(found[name][1] for name in names))

    def apart(self, word: str) -> str:
        """The parts of a word as two words, or ""."""
        if len(word) < SHORTEST:
            return ""
        row = find(self.words, word)
        return self.parts[row] if row >= 0 else ""

    def save(self, folder: Path) -> None:
        save_texts(folder, "compounds.words", self.words)
        save_texts(folder, "compounds.parts", self.parts)

    @classmethod
    def load(cls, folder: Path) -> Compounds:
        return cls(load_texts(folder, "compounds.words"), load_texts(folder, "compounds.parts"))


def _cuts(word: str) -> Sequence[tuple[str, str]]:
    return [
        (word[: cut - len(link)], word[cut:])
        for cut in range(SHORTEST_PART, len(word) - SHORTEST_PART + 1)
        for link in LINKS
        if cut - len(link) >= SHORTEST_PART and word[:cut].endswith(link)
    ]


def _lift(matcher: Matcher, left: str, right: str) -> float:
    """How many times as often as by chance two terms stand in one title; 0 where hardly ever."""
    one, other = matcher.in_titles([left, right]).tolist()
    if left == right or min(one, other) < TOGETHER:
        return 0.0
    both = matcher.in_one_title(left, right)
    return both * matcher.searcher.num_docs / (one * other) if both >= TOGETHER else 0.0
