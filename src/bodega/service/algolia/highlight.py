"""Which words of a hit did the query find? The same words, stems and beginnings that the search goes by.

A text is cut into words where they stand, each word is folded and stemmed as the index does it
(`understanding.language`), and a word counts as found when its stem is one of the query's, of the query as corrected,
or of a synonym; the last word of the query also finds what begins with it, of which only the beginning is marked
("sho" in "shoes"). Chinese words are found wherever they stand.

Safety: where the tags are markup (`<em>`), the text between them is escaped, so that the value can be put into a page
as it is. Clients that mark with plain words and escape themselves (InstantSearch does) get the text untouched.
Cost: about 1 us a word of text. Not for: what was found by meaning alone; nothing is marked there.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bodega.understanding import language

LOOKED_AT = 5_000
"""Characters of a text that are looked at; the rest is shown unmarked."""
SHORTEST_PREFIX = 2
"""Letters of a last word that also finds beginnings, as in `retrieval.lexical`."""
_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff"
_WORD = re.compile(rf"[{_HAN}]+|[^\W_{_HAN}]+(?:['\u2019.,-][^\W_{_HAN}]+)*")
_PIECE = re.compile(r"\d+|[^\W\d_]+")
_HAN_START = re.compile(f"[{_HAN}]")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Marks:
    """How found words are marked."""

    before: str = "<em>"
    after: str = "</em>"

    @property
    def escaping(self) -> bool:
        """Are the marks markup, so that the text must be escaped?"""
        return "<" in self.before or "<" in self.after

    def text(self, text: str) -> str:
        return html.escape(text) if self.escaping else text

    def over(self, text: str, spans: Iterable[Span]) -> str:
        """The text with the spans (in order, not overlapping) marked."""
        parts, at = [], 0
        for start, end in spans:
            parts += [self.text(text[at:start]), self.before, self.text(text[start:end]), self.after]
            at = end
        return "".join([*parts, self.text(text[at:])])


@dataclass(frozen=True)
class Wanted:
    """The words that a query finds: {stem: the query's word}."""

    stems: dict[str, str] = field(default_factory=dict)
    needed: frozenset[str] = frozenset()
    """The query's words that must be found for a full match: all but stop words, where there are others."""
    prefix: str = ""
    _words: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict, repr=False, compare=False)
    _made: dict[tuple[str, Marks], dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)
    """What was looked at already: the hits of one answer say the same again and again (2 ms a page become .8)."""

    @classmethod
    def of(cls, query: str, *others: str) -> Wanted:
        """`others` are what was searched beside the query: its correction, synonyms."""
        typed = language.words(query[:500])
        stems: dict[str, str] = {}
        for text in (query, *others):
            for whole, parts in language.chunks(text[:500]):
                for word in (*parts, whole):
                    if word:
                        stems.setdefault(language.stem(word), word)
        solid = frozenset(word for word in typed if word not in language.STOP_WORDS)
        last = typed[-1] if typed and not query[-1:].isspace() else ""
        prefix = last if len(last) >= SHORTEST_PREFIX and not _HAN_START.match(last) else ""
        return cls(stems, solid or frozenset(typed), prefix)

    def spans(self, text: str) -> tuple[list[Span], set[str]]:
        """(what is found in the text, as character positions; the query's words that found it)."""
        spans: list[Span] = []
        words: set[str] = set()
        if self.stems:
            for match in _WORD.finditer(text, 0, LOOKED_AT):
                raw = match[0]
                inside = self._words.get(raw)
                if inside is None:
                    inside = self._words[raw] = self._in_word(raw)
                for start, end, word in inside:
                    first, last = match.start() + start, match.start() + end
                    if spans and spans[-1][1] == first:  # "55inch" is one mark, not two
                        first = spans.pop()[0]
                    spans.append((first, last))
                    words.add(word)
        return spans, words

    def _in_word(self, raw: str) -> list[tuple[int, int, str]]:
        """(start, end, the query's word) inside one unbroken run of the text."""
        if _HAN_START.match(raw):
            return _in_chinese(raw, self.stems)
        whole = language.fold(raw).replace("-", "")
        found = self.stems.get(language.stem(whole))
        if found is not None:
            return [(0, len(raw), found)]
        out = []
        for piece in _PIECE.finditer(raw):
            word = language.fold(piece[0])
            found = self.stems.get(language.stem(word))
            if found is not None:
                out.append((piece.start(), piece.end(), found))
            elif self.prefix and word.startswith(self.prefix):
                # a folded letter may be longer than the one written ("ß"): never mark more than there is
                out.append((piece.start(), min(piece.end(), piece.start() + len(self.prefix)), self.prefix))
        if not out and self.prefix and whole.startswith(self.prefix):
            out.append((0, min(len(raw), len(self.prefix)), self.prefix))
        return out


def _in_chinese(raw: str, stems: dict[str, str]) -> list[tuple[int, int, str]]:
    """Every place where one of the words stands, overlaps joined."""
    folded = language.fold(raw)
    if len(folded) != len(raw):  # full width and the like: positions would not fit
        folded = raw
    places = sorted(
        (at, at + len(word), word)
        for word in stems
        if _HAN_START.match(word)
        for at in range(len(folded))
        if folded.startswith(word, at)
    )
    out: list[tuple[int, int, str]] = []
    for start, end, word in places:
        if out and start < out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]), max(word, out[-1][2], key=len))
        else:
            out.append((start, end, word))
    return out


def highlighted(value: Any, wanted: Wanted, marks: Marks) -> Any:
    """Algolia's `_highlightResult` of a value: a text gives an object, lists and objects one of the same shape.

    Numbers and flags give None: they are not searched as words.
    """
    if isinstance(value, str):
        key = (value, marks)
        known = wanted._made.get(key)
        if known is None:
            known = wanted._made[key] = _highlighted(value, wanted, marks)
        return known
    if isinstance(value, list):
        return [found for one in value if (found := highlighted(one, wanted, marks)) is not None]
    if isinstance(value, dict):
        inner = {name: highlighted(one, wanted, marks) for name, one in value.items()}
        return {name: found for name, found in inner.items() if found is not None}
    return None


def _highlighted(value: str, wanted: Wanted, marks: Marks) -> dict[str, Any]:
    spans, words = wanted.spans(value)
    made: dict[str, Any] = {
        "value": marks.over(value, spans),
        "matchLevel": level(words, wanted),
        "matchedWords": sorted(words),
    }
    return {**made, "fullyHighlighted": _all_of(value, spans)} if spans else made


def snippet(value: Any, wanted: Wanted, marks: Marks, words: int, ellipsis: str) -> Any:
    """`_snippetResult` of a value: so many words around the first found one."""
    if isinstance(value, list):
        return [found for one in value if (found := snippet(one, wanted, marks, words, ellipsis)) is not None]
    if not isinstance(value, str):
        return None
    spans, found = wanted.spans(value)
    places = [match.span() for match in _WORD.finditer(value, 0, LOOKED_AT)]
    first = next((n for n, place in enumerate(places) if spans and place[1] > spans[0][0]), 0)
    start = max(0, min(first - words // 3, len(places) - words))
    chosen = places[start : start + words]
    low = chosen[0][0] if start else 0
    high = chosen[-1][1] if chosen and start + words < len(places) else (len(value) if places else LOOKED_AT)
    inside = [(max(low, a) - low, min(high, b) - low) for a, b in spans if a < high and b > low]
    text = marks.over(value[low:high], inside)
    return {
        "value": f"{ellipsis if low else ''}{text}{ellipsis if high < len(value) else ''}",
        "matchLevel": level(found, wanted),
    }


def level(words: set[str], wanted: Wanted) -> str:
    """Were all words found (`full`), some (`partial`), or none?"""
    if not words:
        return "none"
    found = {language.stem(word) for word in words} | {wanted.stems.get(language.stem(word), word) for word in words}
    complete = all(word in found or language.stem(word) in found for word in wanted.needed)
    return "full" if complete else "partial"


def _all_of(text: str, spans: list[Span]) -> bool:
    """Do the spans leave no word of the text out?"""
    ends = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), len(text)]
    return not any(_WORD.search(text, end, start) for end, start in zip(ends, starts, strict=True))
