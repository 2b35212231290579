"""What do these words find? Matches of the words, and neighbours in meaning that do not flood them.

    said     the query, taken apart                                            understanding/query
    words    every item that holds the words (most of them, where few hold all) retrieval/lexical
    meaning  the nearest items by vector, inside the query's own conditions     retrieval/dense
    cut      neighbours must be as near as what the words found usually is

What is found does not depend on the filters that a shopper chose: a facet that promises 12 results gives 12. Conditions
that the query itself states ("under 50", "not silk"), and those of rules, are part of the question and do narrow it.
Cost: the matches' (.3 to 1 ms) plus one query encoded and one vector search (about 1 ms).
Not for: the order (`ranking`), or what a shopper's filters leave (`pool`).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, Self, runtime_checkable

import numpy as np

from bodega import failpoints
from bodega.engine import browse
from bodega.engine.deadline import now
from bodega.engine.health import Health, lose, rows_of
from bodega.engine.remember import Remembered
from bodega.engine.shelf import GONE, Shelf
from bodega.protocols import Source
from bodega.ranking.per_query import ASKED, MEANING
from bodega.retrieval.lexical import ENOUGH, EXACT, Lexical
from bodega.schema import Candidates, Context, Filter, ItemTable, Meaning
from bodega.schema.arrays import NO_INTS, Flags, Floats, Ints
from bodega.understanding import language
from bodega.understanding.query import Understood, relaxations, spares
from bodega.understanding.query.spelling import Speller

REMEMBERED = 8 * 2**20
"""Bytes of what words found that are kept; a quarter of it for what queries say, and for what is near them."""
NEIGHBOURS = 200
"""Neighbours asked of each source that goes by meaning."""
RELATED = 5
"""Searches that are proposed beside a query, at least where so many are known."""
READ = 1_000
"""Titles that are read, of those which hold a refused word, to see whether they refuse it as well (5 ms)."""
CHOSEN = 50
"""Items that others chose after such queries, at most."""
LISTENED = 0.1
"""Share of the interest in such queries from which an item counts as an answer to this one."""
FEW = 0.85
"""Where fewer than ten items hold all words, neighbours may be this much less near than they are."""
LOOKED_AT = 50
"""Matches that hold all words, whose nearness to the query sets the cut for neighbours."""


@runtime_checkable
class Besides(Protocol):
    """A source that can also know items which are newer than the snapshot."""

    def beside(self, table: ItemTable) -> Source: ...


@runtime_checkable
class Foresees(Protocol):
    """A source that also guesses what a shopper searches next."""

    def next_queries(self, context: Context, limit: int) -> list[str]: ...


@runtime_checkable
class Near(Protocol):
    """A source that goes by meaning: the nearest items among those that are allowed."""

    name: str

    def floor(self, query: str) -> float:
        """Nearness below which an item is no nearer than chance."""
        ...

    def within(self, context: Context, keep: Flags | None, k: int) -> Candidates: ...

    def score(self, context: Context, items: Ints) -> Floats: ...


class Understands(Protocol):
    """What takes queries apart."""

    def related(self, query: str) -> tuple[str, ...]:
        """What people search next, or instead."""
        ...

    def spelled_by(self, speller: Speller | None) -> Self:
        """Let this speller correct what the shop does not know."""
        ...

    def understand(self, query: str, *, language: str = "", verbatim: bool = False) -> Understood: ...


class Rewords(Protocol):
    """What words a lost query anew (a language model)."""

    @property
    def trouble(self) -> str:
        """Why it does not at this moment; "" where it does."""
        ...

    def wordings(self, query: str) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """Shelf rows, likeliest first by a coarse order; `score` is the words' (NaN for neighbours in meaning only)."""

    rows: Ints
    score: Floats
    context: Context
    """What sources are asked: the words to search, what else the query says, its traits."""
    corrected: str = ""
    level: str = ""
    """What was given up of the words: "words: 2 of 3", "words: by meaning only"."""


class Finder:
    """Finds over one snapshot and shelf. `understanding` None: every query is just its words."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        shelf: Shelf,
        understanding: Understands | None,
        newer: Mapping[str, Source] | None = None,
        rewords: Rewords | None = None,
        health: Health | None = None,
    ) -> None:
        self._health = health or Health()
        self._read: Remembered[Understood] = Remembered(REMEMBERED // 4, lambda _: 2_000)
        self._words_found: Remembered[tuple[Ints, Floats, _Facts]] = Remembered(REMEMBERED, _weight)
        self._meanings_found: Remembered[tuple[Ints, Floats, float]] = Remembered(REMEMBERED // 4, _weight)
        words = sources[Lexical.name]
        assert isinstance(words, Lexical)
        self._words = words
        self._meaning: list[Near] = []
        for name in MEANING:
            source: object = sources.get(name)
            if isinstance(source, Near):
                self._meaning.append(source)
        self._foreseeing = [source for source in sources.values() if isinstance(source, Foresees)]
        self._newer = newer if newer is not None else beside(sources, shelf)
        self._asked = sources.get(ASKED)
        self._shelf = shelf
        self._rewords = rewords
        self._understanding = understanding.spelled_by(words.speller) if understanding is not None else None

    def read(self, query: str, language: str = "", *, verbatim: bool = False) -> Understood:
        """The query, taken apart."""
        understanding = self._understanding
        if understanding is None:
            return Understood(query, query, language)

        def asked() -> Understood:
            if failpoints.ON:
                failpoints.reach("answer.understand")
            return self._read.of(
                (query, language, verbatim),
                lambda: understanding.understand(query, language=language, verbatim=verbatim),
            )

        return self._health.ask("understanding", asked, lambda: Understood(query, query, language))

    def related(self, query: str, context: Context) -> tuple[str, ...]:
        """What people search after this query, or instead of it; then what this shopper is likely to search next."""
        return self._health.ask("related", lambda: self._related(query, context), lambda: ())

    def _related(self, query: str, context: Context) -> tuple[str, ...]:
        mined = () if self._understanding is None else self._understanding.related(query)
        told = (next_query for source in self._foreseeing for next_query in source.next_queries(context, RELATED))
        return tuple(dict.fromkeys((*mined, *told)))[: max(len(mined), RELATED)]

    @property
    def troubles(self) -> tuple[str, ...]:
        """Why a query that found nothing was not worded anew; empty where it was, or where nobody does."""
        trouble = "" if self._rewords is None else self._rewords.trouble
        return (trouble,) if trouble else ()

    def attempts(self, said: Understood) -> Iterator[tuple[tuple[str, ...], Understood]]:
        """(what is given up, the question without it): as it was asked, then relaxed step by step."""
        yield (), said
        given_up: tuple[str, ...] = ()
        for name, relaxed in relaxations(said):
            given_up = (*given_up, name)
            yield given_up, relaxed
        rewords, none = self._rewords, ()
        others: Sequence[str] = none
        if rewords is not None:
            asked = partial(now().remotely, "llm", lambda: rewords.wordings(said.typed))
            others = self._health.ask("llm", asked, lambda: none)
        for rewrite in (*said.rewrites, *others):
            yield (f"words: {rewrite}",), replace(said, text=rewrite, corrected="", meanings=())

    def meets(self, said: Understood) -> Flags | None:
        """Which shelf rows meet the conditions that the query states on fields; None where it states none."""
        keep: Flags | None = None
        for meaning in said.meanings:
            if meaning.hard and meaning.field:
                flags = self._having(meaning)
                if flags is not None:
                    keep = flags if keep is None else keep & flags
        return keep

    def refused(self, meaning: Meaning, row: int) -> bool:
        """Does this condition of a query keep a shelf row out?"""
        if meaning.field:
            flags = self._having(meaning) if meaning.hard else None
            return flags is not None and not bool(flags[row])
        rows = np.array([row], np.int32)
        held = meaning.excludes and any(bool(self._holds(value, rows)[0]) for value in meaning.values)
        return held and not spares(meaning, self._shelf.title(row))

    def find(self, said: Understood, context: Context, keep: Flags | None = None, *, verbatim: bool = False) -> Found:
        """Everything that the words could mean, among the rows where `keep` holds (all, where it is None)."""
        asked = replace(context, query=said.text, meanings=said.meanings, alternatives=said.alternatives)
        nothing = (NO_INTS, np.empty(0, np.float32), _Facts("", 0, 0, 0))
        rows, score, facts = self._health.ask(
            Lexical.name, lambda: self._matched(asked, verbatim=verbatim), lambda: nothing
        )
        rows, score = _kept(rows, score, keep)
        traits = _traits(said, facts)
        asked = replace(asked, traits=traits)
        if "code" not in traits:
            for source in self._meaning:
                near = self._health.ask(source.name, partial(self._meant, source, asked, keep, rows, facts), _none)
                rows, score = _joined(rows, score, near, len(self._shelf))
            chosen = self._health.ask(ASKED, lambda: self._chosen(asked, keep), _none)
            rows, score = _joined(rows, score, chosen, len(self._shelf))
        rows, score = self.without(said, rows, score)
        return Found(rows, score, asked, said.corrected or facts.corrected, _level(facts, rows))

    def _meant(self, source: Near, context: Context, keep: Flags | None, rows: Ints, facts: _Facts) -> Ints:
        """The neighbours that are near enough, nearest first; `rows` is what the words found."""

        def asked() -> tuple[Ints, Floats, float]:
            return (*self._neighbours(source, context, keep), source.floor(context.query))

        if keep is None:
            near, nearness, floor = self._meanings_found.of((source.name, context.query), asked)
        else:
            near, nearness, floor = asked()
        return near[nearness >= self._cut(source, context, rows, facts, floor)]

    def _matched(self, context: Context, *, verbatim: bool) -> tuple[Ints, Floats, _Facts]:
        """`_matches`, from memory where these words were searched lately."""
        question = (context.query, context.alternatives, verbatim)
        return self._words_found.of(question, lambda: self._matches(context, verbatim=verbatim))

    def _matches(self, context: Context, *, verbatim: bool) -> tuple[Ints, Floats, _Facts]:
        newer = self._newer.get(Lexical.name)
        newer = newer if isinstance(newer, Lexical) else None
        found = self._words.match(context.query, beside=newer, alternatives=context.alternatives, verbatim=verbatim)
        rows, score = found.items, found.score
        if self._shelf.changed:
            keep = self._shelf.is_current[rows]
            rows, score = rows[keep], score[keep]
        facts = _Facts(found.corrected, found.at_least, found.words, found.total)
        if newer is not None:
            more = newer.match(
                context.query,
                at_least=found.at_least if found.at_least < found.words else None,
                alternatives=context.alternatives,
                verbatim=verbatim,
            )
            rows = np.concatenate([rows, more.items + len(self._shelf.base)]).astype(np.int32)
            score = np.concatenate([score, more.score])
            order = np.argsort(-score, kind="stable")
            rows, score = rows[order], score[order]
            facts = facts.joined(_Facts("", more.at_least, more.words, more.total))
        return rows, score, replace(facts, exact=bool(len(score)) and float(score[0]) >= EXACT)

    def _neighbours(self, source: Near, context: Context, keep: Flags | None) -> tuple[Ints, Floats]:
        """The nearest rows of the base and of what is newer, with their cosines."""
        n_base = len(self._shelf.base)
        inside = self._shelf.is_current[:n_base] if self._shelf.changed else None
        if keep is not None:
            inside = keep[:n_base] if inside is None else inside & keep[:n_base]
        near = source.within(context, inside, NEIGHBOURS)
        rows, score = rows_of(near.items, n_base), near.score
        newer = self._newer.get(source.name)
        if newer is not None:
            more = newer.retrieve(context, NEIGHBOURS)
            rows = np.concatenate([rows, more.items + n_base]).astype(np.int32)
            score = np.concatenate([score, more.score])
            if keep is not None:
                rows, score = rows[keep[rows]], score[keep[rows]]
            order = np.argsort(-score, kind="stable")
            rows, score = rows[order], score[order]
        return rows, score

    def _chosen(self, context: Context, keep: Flags | None) -> Ints:
        """What others chose after queries like this one, whatever its title says."""
        if self._asked is None:
            return NO_INTS
        found = self._asked.retrieve(context, CHOSEN)
        rows: Ints = self._shelf.current(found.items[found.score >= LISTENED])
        rows = rows[rows != GONE]
        if keep is not None:
            rows = rows[keep[rows]]
        return rows

    def _cut(self, source: Near, context: Context, rows: Ints, facts: _Facts, floor: float) -> float:
        """How near a neighbour must be: nearer than chance (`floor`), and as near as half of what holds all words; a
        little less where only a few items do."""
        if facts.at_least < facts.words or not facts.total:
            return floor
        own = self._nearness(source, context, rows[: min(LOOKED_AT, facts.total)])
        if not len(own):
            return floor
        usual = float(statistics.median(own.tolist()))  # of some dozens: a tenth of what numpy's costs
        return max(floor, usual if facts.total >= ENOUGH else FEW * usual)

    def _nearness(self, source: Near, context: Context, rows: Ints) -> Floats:
        """How near these rows are, those that have a vector."""
        n_base = len(self._shelf.base)
        parts = [source.score(context, rows[rows < n_base])]
        newer = self._newer.get(source.name)
        if newer is not None:
            parts.append(newer.score(context, (rows[rows >= n_base] - n_base).astype(np.int32)))
        found = np.concatenate(parts)
        return np.asarray(found[np.isfinite(found)], np.float32)

    def _having(self, meaning: Meaning) -> Flags | None:
        tables = (self._shelf.base, self._shelf.delta)
        if meaning.field not in browse.fields(*tables):
            return None
        rule = Filter(field=meaning.field, values=meaning.values, low=meaning.low, high=meaning.high)
        flags = np.concatenate([browse.keep(table, [rule]) for table in tables])
        return ~flags if meaning.excludes else flags

    def without(self, said: Understood, rows: Ints, score: Floats) -> tuple[Ints, Floats]:
        """Leave out what holds an excluded word ("not silk") anywhere in its text, unless its title refuses it too."""
        for meaning in said.meanings:
            if meaning.excludes and not meaning.field:
                for value in meaning.values:
                    try:
                        held = self._holds(value, rows)
                    except Exception as error:
                        lose(Lexical.name, f"left out, it failed ({type(error).__name__})")
                        break
                    at = np.flatnonzero(held)[:READ]
                    held[at] = [not spares(meaning, self._shelf.title(row)) for row in rows[at].tolist()]
                    rows, score = rows[~held], score[~held]
        return rows, score

    def _holds(self, word: str, rows: Ints) -> Flags:
        n_base = len(self._shelf.base)
        old = rows < n_base
        flags = np.zeros(len(rows), np.bool_)
        flags[old] = self._words.holds(word, rows[old])
        newer = self._newer.get(Lexical.name)
        if isinstance(newer, Lexical):
            flags[~old] = newer.holds(word, rows[~old] - n_base)
        return flags


def _weight(found: tuple[Ints, Floats, object]) -> int:
    """What an answer takes in memory. One without rows is not kept: its source may only be silent at the moment."""
    rows, score = found[:2]
    rows.flags.writeable = score.flags.writeable = False
    return rows.nbytes + score.nbytes + 1_000 if len(rows) else REMEMBERED


def _none() -> Ints:
    return NO_INTS


def beside(sources: Mapping[str, Source], shelf: Shelf) -> dict[str, Source]:
    """The sources that can know the delta, fitted beside it; empty while nothing changed."""
    if len(shelf.delta) == 0:
        return {}
    return {name: source.beside(shelf.delta) for name, source in sources.items() if isinstance(source, Besides)}


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the words found: how many of the words that are known here every match holds, and how many matches."""

    corrected: str
    at_least: int
    words: int
    total: int
    exact: bool = False

    def joined(self, newer: _Facts) -> _Facts:
        """Both indexes together: a word that only one of them knows can only be held there."""
        words = max(self.words, newer.words)
        whole = [each for each in (self, newer) if each.total and each.at_least >= words]
        if whole:
            return _Facts(self.corrected, words, words, sum(each.total for each in whole))
        return _Facts(self.corrected, min(self.at_least, words), words, self.total + newer.total)


def _traits(said: Understood, facts: _Facts) -> tuple[str, ...]:
    """What kind of query this is: the keys of `ranking.per_query.TRAITS` that hold."""
    words = language.words(said.text)
    holds = {
        "code": facts.exact or any(meaning.kind == "code" for meaning in said.meanings),
        "number": any(any(char.isdigit() for char in word) for word in words),
        "short": len(words) == 1,
        "long": len(words) >= 5,
        "partial": facts.at_least < facts.words or facts.total < ENOUGH,
        "corrected": bool(said.corrected or facts.corrected),
    }
    return tuple(name for name, true in holds.items() if true)


def _level(facts: _Facts, rows: Ints) -> str:
    """What was given up of the words, "" for nothing."""
    if not facts.total:
        return "words: by meaning only" if len(rows) else ""
    return "" if facts.at_least >= facts.words else f"words: {facts.at_least} of {facts.words}"


def _kept(rows: Ints, score: Floats, keep: Flags | None) -> tuple[Ints, Floats]:
    return (rows, score) if keep is None else (rows[keep[rows]], score[keep[rows]])


def _joined(rows: Ints, score: Floats, near: Ints, size: int) -> tuple[Ints, Floats]:
    """Both lists as one, each row where the better of its two places puts it."""
    if len(near) == 0:
        return rows, score
    place = np.full(size, -1, np.int32)
    place[rows] = np.arange(len(rows), dtype=np.int32)
    key = 2 * np.arange(len(rows), dtype=np.int64)
    own = place[near]
    rank = 2 * np.arange(len(near), dtype=np.int64) + 1
    both = own >= 0
    key[own[both]] = np.minimum(key[own[both]], rank[both])
    order = np.argsort(np.concatenate([key, rank[~both]]), kind="stable")
    rows = np.concatenate([rows, near[~both]])[order]
    score = np.concatenate([score, np.full(int((~both).sum()), np.nan, np.float32)])[order]
    return rows.astype(np.int32), score
