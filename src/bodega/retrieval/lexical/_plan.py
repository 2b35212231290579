"""What exactly is searched for? A query as groups of alternative terms, one group a word, spelling corrected.

Idea: every word of the query becomes a group; an item matches the group when it holds any alternative.
- A known word is its stem. Two neighbours that the shop also writes as one ("wi fi", "wh 1000 xm4") add that compound.
- An unknown last word is taken for the beginning of one (search as you type), any other unknown word is corrected or
  cut in two by the `Speller`, or dropped: a word the shop does not have cannot help to find anything.
- Other ways to say a word (synonyms, the parts of a compound) match too and are worth `ALTERNATIVE` of what their own
  words are worth, at most that of the typed one; one of several words matches where all of them stand. A word listed
  with no other way to say it is taken as typed.
- A whole query that is an id or an article number goes first (`exact`).
Nothing of the query is ever parsed: quotes, brackets and OR are just characters and words.

Cost: about 30 microseconds a known word; at most `MOST_WORDS` words and `MOST_CHARACTERS` characters are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from bodega.retrieval.lexical._forward import code_term
from bodega.understanding import language
from bodega.understanding.query.spelling import Correction, Fix, Speller

MOST_CHARACTERS = 500
MOST_WORDS = 16
PREFIX_WORDS = 20
"""A beginning stands for at most this many words (the most frequent)."""
SHORTEST_PREFIX = 2
RARE = 3
"""A known last word in fewer items than this is also taken for a beginning."""
ALTERNATIVE = 0.8
"""What another way to say a word is worth beside the typed one. On generated queries with a made-up synonym .8 costs
those whose typed word is right nothing (1.0 costs .007 MRR) and gives the others .21 MRR."""
MOST_ALTERNATIVES = 8

Alternatives = Sequence[tuple[str, tuple[str, ...]]]
"""(words of the query, other ways to say them): see `schema.Context.alternatives`."""
Way = tuple[tuple[str, ...], float]
"""(terms that must all stand in the item, what they are worth)."""
Span = tuple[int, int, str]
"""(first word, how many, term)."""


class Group(NamedTuple):
    """One word of the query: alternative terms, each with its weight (its share of idf)."""

    terms: dict[str, float]
    idf: float
    """What matching this word is worth; the word's part in the coverage."""
    needed: bool
    """False for stop words: an item need not hold them."""
    phrases: dict[tuple[str, ...], float] = {}  # noqa: RUF012 - a named tuple's default, never written to
    """Alternatives of several terms: all of them must stand in the item."""

    @property
    def alternatives(self) -> list[tuple[str, ...]]:
        return [*((term,) for term in sorted(self.terms)), *sorted(self.phrases)]

    def all_terms(self) -> list[str]:
        return [*self.terms, *(term for phrase in self.phrases for term in phrase)]


class Wish(NamedTuple):
    """What is asked of a planner."""

    query: str
    alternatives: Alternatives = ()
    verbatim: bool = False


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


NO_PLAN = Plan((), "", "")


def _never(word: str) -> bool:
    del word
    return False


def _no_parts(word: str) -> str:
    del word
    return ""


@dataclass(frozen=True, slots=True)
class Planner:
    """What planning needs to know about the shop: its words, and in how many items a term stands."""

    spellers: tuple[Speller, ...]
    """That of the main index first."""
    df: Callable[[str], int]
    n_items: int
    apart: Callable[[str], str] = _no_parts
    """A compound of the shop as two words, or ""."""

    def plan(self, wish: Wish, known_elsewhere: Callable[[str], bool] = _never) -> Plan:
        """The plan of a query as typed. Words that are `known_elsewhere` are right, even if nothing here has them."""
        typed = wish.query[:MOST_CHARACTERS]
        said, compounds = _said(typed)
        open_ended = typed[-1:].isalnum() and not wish.verbatim
        as_typed = {word for words, ways in wish.alternatives if not ways for word in language.words(words)}
        sure = {place for place, word in enumerate(said) if wish.verbatim or word in as_typed or known_elsewhere(word)}
        sure |= {at for low, size, term in compounds if self.df(term) for at in range(low, low + size)}
        last = len(said) - 1 if open_ended and said and said[-1] not in as_typed else -1
        if last >= 0 and last not in sure and self._prefix(said[last], {}):
            sure.add(last)
        correction = self._corrected(said, frozenset(sure))
        words = list(correction.words)
        if correction.changed:
            compounds = _moved(compounds, correction.fixes, words)
            last = -1 if any(fix.at + fix.size == len(said) for fix in correction.fixes) else len(words) - 1
        ways = self._ways(words, () if wish.verbatim else (*wish.alternatives, *self._parted(words)))
        groups = []
        for place, word in enumerate(words):
            glued = self._glued(place, compounds)
            group = self._known(word, glued)
            if place == last and open_ended and not glued and (group is None or self._rare(word)):
                group = self._prefix(word, group.terms if group else {}) or group
            group = _with_ways(group, [way for low, size, way in ways if low <= place < low + size])
            if group:
                groups.append(group)
        exact = code_term(typed)
        return Plan(tuple(groups), exact if self.df(exact) else "", " ".join(words) if correction.changed else "")

    def idf(self, df: int) -> float:
        """BM25's idf, positive for every term."""
        return math.log(1.0 + (self.n_items - min(df, self.n_items) + 0.5) / (df + 0.5))

    def knows(self, word: str) -> bool:
        """Does the shop write this word (or another form of it)?"""
        return self.df(language.stem(word)) > 0

    def _rare(self, word: str) -> bool:
        return self.df(language.stem(word)) in range(1, RARE)

    def _corrected(self, said: list[str], sure: frozenset[int]) -> Correction:
        """By the words of the main index first; what it cannot mend, by those of the small one."""
        found = Correction(tuple(said), False, 1.0)
        for speller in self.spellers:
            found = speller.correct(said, sure=sure)
            if found.changed:
                break
        return found

    def _glued(self, place: int, compounds: Sequence[Span]) -> dict[str, float]:
        return {
            term: self.idf(df) / size
            for low, size, term in compounds
            if low <= place < low + size and (df := self.df(term))
        }

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
        found = [other for speller in self.spellers for other in speller.words.starting(word, PREFIX_WORDS)]
        terms = {language.stem(other) for other in found[:PREFIX_WORDS]}
        terms = {term for term in terms if self.df(term)}
        if not terms:
            return None
        worth = self.idf(sum(self.df(term) for term in terms))
        return Group({**dict.fromkeys(sorted(terms), worth), **known}, max([worth, *known.values()]), needed=True)

    def _parted(self, words: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
        """Compounds as their parts."""
        return [(word, (parts,)) for word in words if (parts := self.apart(word))]

    def _ways(self, words: list[str], alternatives: Alternatives) -> list[tuple[int, int, Way]]:
        """(first word, how many, way) of the other ways that this shop's items could say."""
        found = []
        for said, ways in alternatives:
            wanted = language.words(said)
            size = len(wanted)
            for low in range(len(words) - size + 1) if size else ():
                if words[low : low + size] != wanted:
                    continue
                for way in ways[:MOST_ALTERNATIVES]:
                    terms = tuple(dict.fromkeys(language.stem(word) for word in language.words(way)[:MOST_WORDS]))
                    if terms and all(self.df(term) for term in terms):
                        worth = ALTERNATIVE * max(self.idf(self.df(term)) for term in terms) / size
                        found.append((low, size, (terms, worth)))
        return found


def _with_ways(group: Group | None, ways: Sequence[Way]) -> Group | None:
    """The group with these other ways to say its word."""
    if not ways:
        return group
    terms = dict(group.terms) if group else {}
    phrases: dict[tuple[str, ...], float] = {}
    for way, own in ways:
        worth = min(own, ALTERNATIVE * group.idf) if group else own
        if len(way) > 1:
            phrases[way] = max(worth, phrases.get(way, 0.0))
        else:
            terms[way[0]] = max(worth, terms.get(way[0], 0.0))
    most = max([*terms.values(), *phrases.values()])
    return Group(terms, max(most, group.idf if group else 0.0), group.needed if group else True, phrases)


def _said(typed: str) -> tuple[list[str], list[Span]]:
    """The words of a query, and the compounds over them."""
    said: list[str] = []
    compounds: list[Span] = []
    for whole, parts in language.chunks(typed):
        kept = list(parts)[: MOST_WORDS - len(said)]
        if whole and len(kept) == len(parts):
            compounds.append((len(said), len(parts), language.stem(whole)))
        said.extend(kept)
    return said, compounds + _neighbours(said)


def _neighbours(said: Sequence[str]) -> list[Span]:
    """Two neighbours written as one."""
    return [
        (place, 2, language.stem(left + right))
        for place, (left, right) in enumerate(pairwise(said))
        if left[-1:].isalnum() and left.isascii() and right.isascii()
    ]


def _moved(compounds: Sequence[Span], fixes: Sequence[Fix], words: Sequence[str]) -> list[Span]:
    """The compounds that no correction touched, at their new places, and all neighbours again."""
    kept = set(_neighbours(words))
    for low, size, term in compounds:
        if all(fix.at + fix.size <= low or fix.at >= low + size for fix in fixes):
            shift = sum(len(fix.words) - fix.size for fix in fixes if fix.at < low)
            kept.add((low + shift, size, term))
    return sorted(kept)
