"""What exactly is searched for? A query as groups of alternative terms, one group a word, spelling corrected.

Idea: every word of the query becomes a group; an item matches the group when it holds any alternative.
- A known word is its stem. Two neighbours that the shop also writes as one ("wi fi", "wh 1000 xm4") add that compound.
- An unknown last word is taken for the beginning of one (search as you type), any other unknown word is corrected
  (`_words`), cut in two, or dropped: a word the shop does not have cannot help to find anything.
- A whole query that is an id or an article number goes first (`exact`).
Nothing of the query is ever parsed: quotes, brackets and OR are just characters and words.

Cost: about 30 microseconds a known word; at most `MOST_WORDS` words and `MOST_CHARACTERS` characters are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from bodega.retrieval.lexical._forward import code_term
from bodega.retrieval.lexical._words import Words
from bodega.understanding import language

MOST_CHARACTERS = 500
MOST_WORDS = 16
PREFIX_WORDS = 20
"""A beginning stands for at most this many words (the most frequent)."""
SHORTEST_PREFIX = 2
RARE = 3
"""A known last word in fewer items than this is also taken for a beginning."""


class Group(NamedTuple):
    """One word of the query: alternative terms, each with its weight (its share of idf)."""

    terms: dict[str, float]
    idf: float
    """What matching this word is worth; the word's part in the coverage."""
    needed: bool
    """False for stop words: an item need not hold them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`groups` in the order of the query; `exact` is the term of an id or ""; `corrected` the query as searched, or ""
    when nothing was replaced."""

    groups: tuple[Group, ...]
    exact: str
    corrected: str

    @property
    def needed(self) -> list[Group]:
        """The groups an item should match: all but stop words, unless there are only stop words."""
        return [group for group in self.groups if group.needed] or list(self.groups)


def _never(word: str) -> bool:
    del word
    return False


@dataclass(frozen=True, slots=True)
class Planner:
    """What planning needs to know about the shop: its words, and in how many items a term stands."""

    words: tuple[Words, ...]
    """The words as written, of the main index first."""
    df: Callable[[str], int]
    n_items: int

    def plan(self, query: str, known_elsewhere: Callable[[str], bool] = _never) -> Plan:
        """The plan of a query as typed. Words that are `known_elsewhere` are right, even if nothing here has them."""
        typed = query[:MOST_CHARACTERS]
        said, compounds = _said(typed)
        exact = code_term(typed)
        corrected = False
        surfaces: list[str] = []
        groups: list[Group] = []
        for place, word in enumerate(said):
            glued = {
                term: self.idf(df) / size
                for low, size, term in compounds
                if low <= place < low + size and (df := self.df(term))
            }
            last = place == len(said) - 1 and typed[-1:].isalnum()
            found = self._known(word, glued) or (self._prefix(word, glued) if last and not glued else None)
            if last and found and not glued and self.df(language.stem(word)) in range(1, RARE):
                found = self._prefix(word, found.terms) or found
            if found:
                groups.append(found)
                surfaces.append(word)
                continue
            instead = () if known_elsewhere(word) else self._instead(word)
            corrected = corrected or bool(instead)
            surfaces.extend(instead or (word,))
            groups.extend(group for other in instead if (group := self._known(other, {})))
        return Plan(tuple(groups), exact if self.df(exact) else "", " ".join(surfaces) if corrected else "")

    def idf(self, df: int) -> float:
        """BM25's idf, positive for every term."""
        return math.log(1.0 + (self.n_items - min(df, self.n_items) + 0.5) / (df + 0.5))

    def knows(self, word: str) -> bool:
        """Does the shop write this word (or another form of it)?"""
        return self.df(language.stem(word)) > 0

    def _known(self, word: str, glued: dict[str, float]) -> Group | None:
        term = language.stem(word)
        df = self.df(term)
        if not df and not glued:
            return None
        own = self.idf(df) if df else 0.0
        terms = {other: max(weight, own) for other, weight in glued.items()}
        if df:
            terms[term] = own
        return Group(terms, max(terms.values()), word not in language.STOP_WORDS)

    def _prefix(self, word: str, known: dict[str, float]) -> Group | None:
        """The words that begin like this one, worth what all of them together are worth."""
        if len(word) < SHORTEST_PREFIX and word.isascii():
            return None
        found = [other for words in self.words for other in words.starting(word, PREFIX_WORDS)][:PREFIX_WORDS]
        terms = {language.stem(other) for other in found}
        if not terms:
            return None
        worth = self.idf(sum(self.df(term) for term in terms))
        return Group({**dict.fromkeys(sorted(terms), worth), **known}, max([worth, *known.values()]), needed=True)

    def _instead(self, word: str) -> tuple[str, ...]:
        """The shop's word or words for one it does not know; empty where nothing is near."""
        for words in self.words:
            near = words.nearest(word)
            if near:
                return (near,)
        for words in self.words:
            halves = words.halves(word)
            if halves:
                return halves
        return ()


def _said(typed: str) -> tuple[list[str], list[tuple[int, int, str]]]:
    """The words of a query without repeats of a neighbour, and the compounds over them as (first, how many, term)."""
    said: list[str] = []
    compounds: list[tuple[int, int, str]] = []
    for whole, parts in language.chunks(typed):
        kept = list(parts)[: MOST_WORDS - len(said)]
        if whole and len(kept) == len(parts):
            compounds.append((len(said), len(parts), language.stem(whole)))
        said.extend(kept)
    for place in range(len(said) - 1):
        left, right = said[place], said[place + 1]
        if left[-1:].isalnum() and (left.isascii() and right.isascii()):
            compounds.append((place, 2, language.stem(left + right)))
    return said, compounds
