"""Which values of which columns are named in the texts of an item, and where?

Idea: each passage is looked through once; at every word the longest way of saying a value of each target wins, so that
"light blue" is not "blue". "Without silk", "cotton-free", 不含酒精 name nothing. Sizes of one letter or digits count in
article numbers, and elsewhere only beside "size" or 码. Whatever is found is a *candidate*; how much it is worth is
for `belief` to say.
Cost: about .5 microseconds a word. Not for: misspelt names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from bodega.schema.facts import FactEvidence, How
from bodega.understanding.facts.amounts import amounts_in
from bodega.understanding.facts.columns import LONGEST, Columns
from bodega.understanding.facts.passages import Passage, folded
from bodega.understanding.query.units import Worth

PLACES = ("title", "text", "category", "code", "review")
_REFUSING = "no not non without faux fake imitation like 不含 不 非 无 仿 不是 没有 除了 类似"
_BEFORE = frozenset(_REFUSING.split())
_SIZE_BEFORE = frozenset(("size", "sz", "eu", "us", "uk", "码数", "尺码", "尺寸"))
_SIZE_AFTER = frozenset(("码", "号"))
_TOGETHER = frozenset(" -&/.+'’")


class Mention(NamedTuple):
    """Characters [start, end) of a field; `first` and `last`: does a title begin or end with it?"""

    place: str
    field: str
    start: int
    end: int
    text: str
    words: int
    first: bool
    last: bool


@dataclass(slots=True)
class Candidate:
    """A value that an item may have, with everything that speaks for it."""

    target: int
    value: str
    number: float | None = None
    shop: bool = True
    """Does the shop itself list the value?"""
    mentions: list[Mention] = field(default_factory=list)
    clue: float = 0.0
    """Share of the items with the best clue that have the value; 0 without one."""
    clues: int = 0
    by_category: float = 0.0
    """The same of the category path."""
    tagged: float = 0.0
    """Probability of the tagger; 0 where it does not say so."""
    vote: float = 0.0
    """What all words of the item say together (`votes`), from 0 to 1; 0 where nothing was learned of the value."""
    words: list[FactEvidence] = field(default_factory=list)
    """Evidence of clues and votes."""

    @property
    def titled(self) -> bool:
        """Does the title name it?"""
        return any(one.place == "title" for one in self.mentions)

    def evidence(self) -> tuple[FactEvidence, ...]:
        """At most three, those of the title first."""
        ranked = sorted(self.mentions, key=lambda one: (PLACES.index(one.place), one.start))[:3]
        held = [FactEvidence(one.field, one.start, one.end, one.text, self._how(one)) for one in ranked]
        return tuple((held + self.words)[:3])

    def _how(self, mention: Mention) -> How:
        if self.number is not None:
            return "pattern"
        if mention.place == "review":
            return "review"
        if mention.place == "category":
            return "category"
        if self.tagged and not self.shop:
            return "tagger"
        return "dictionary" if self.shop else "lexicon"


class Spotter:
    """Finds the candidates of an item."""

    def __init__(self, columns: Columns, worths: Worth) -> None:
        self._columns = columns
        self._worths = worths
        self._longest: dict[str, int] = {}
        for key in columns.senses:
            first = key.partition(" ")[0]
            self._longest[first] = max(self._longest.get(first, 0), min(key.count(" ") + 1, LONGEST))
        self._numeric = {target.base: number for number, target in enumerate(columns.targets) if target.base}
        self._sizes = {number for number, target in enumerate(columns.targets) if target.kind == "size"}

    def spot(self, passages: Iterable[Passage]) -> dict[tuple[int, str], Candidate]:
        """{(target, value): candidate}."""
        found: dict[tuple[int, str], Candidate] = {}
        for passage in passages:
            self._values(passage, found)
            if self._numeric and passage.place == "title":
                self._amounts(passage, found)
        return found

    def _values(self, passage: Passage, found: dict[tuple[int, str], Candidate]) -> None:
        words, longest, senses = passage.words, self._longest, self._columns.senses
        claimed: dict[int, int] = {}
        for at, word in enumerate(words):
            most = longest.get(word.text)
            if most is None:
                continue
            for size in range(min(most, len(words) - at), 0, -1):
                key = word.text if size == 1 else " ".join(one.text for one in words[at : at + size])
                held = senses.get(key)
                if held is None or (size > 1 and not _joined(passage, at, size)):
                    continue
                for sense in held:
                    if claimed.get(sense.target, 0) > at or not self._said(passage, at, size, key, sense.target):
                        continue
                    claimed[sense.target] = at + size
                    candidate = found.get((sense.target, sense.value))
                    if candidate is None:
                        candidate = found[sense.target, sense.value] = Candidate(sense.target, sense.value)
                        candidate.shop = sense.shop
                    if len(candidate.mentions) < 8:
                        candidate.mentions.append(_mention(passage, at, size))

    def _said(self, passage: Passage, at: int, size: int, key: str, target: int) -> bool:
        """Is it said at all: not refused, and no lone letter or number that happens to be a size?"""
        words = passage.words
        before = words[at - 1].text if at else ""
        after = words[at + size].text if at + size < len(words) else ""
        if before in _BEFORE or (at > 1 and words[at - 2].text in _BEFORE and before in ("a", "an", "any", "real")):
            return False
        if after in ("free", "look"):  # cotton-free, leather look
            return False
        if key.isdigit() or (len(key) == 1 and key.isascii()):
            if target not in self._sizes:
                return False
            return passage.place == "code" or before in _SIZE_BEFORE or after in _SIZE_AFTER
        return True

    def _amounts(self, passage: Passage, found: dict[tuple[int, str], Candidate]) -> None:
        for amount in amounts_in(folded(passage.text), self._worths):
            target = self._numeric.get(amount.base)
            if target is None:
                continue
            value = f"{amount.number:g}"
            candidate = found.setdefault((target, value), Candidate(target, value, amount.number))
            text = passage.text[amount.start : amount.end].strip()
            candidate.mentions.append(
                Mention("title", passage.field, amount.start, amount.end, text, 2, amount.start == 0, False)
            )


def _joined(passage: Passage, at: int, size: int) -> bool:
    words = passage.words
    return all(
        _TOGETHER.issuperset(passage.text[words[place].end : words[place + 1].start])
        for place in range(at, at + size - 1)
    )


def _mention(passage: Passage, at: int, size: int) -> Mention:
    start, end = passage.words[at].start, passage.words[at + size - 1].end
    return Mention(
        passage.place,
        passage.field,
        start,
        end,
        passage.text[start:end],
        size,
        at == 0,
        at + size == len(passage.words),
    )
