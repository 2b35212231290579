"""Which items do the shopper's words name? Fielded BM25 over the shop's catalog, forgiving typing errors.

    query -> plan (words, corrections, alternatives)   _plan, understanding/query/spelling
          -> items that match                          _matcher (tantivy)
          -> their exact scores                        _forward (BM25F, numpy)
    prefix -> suggestions                              completion

Items that are new since the index was built stand in a small index *beside* it (`Lexical.beside`): it has no tantivy
part, looks at all of its items, and scores with the big index's statistics, so that both lists merge by score.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.retrieval.lexical._compounds import Compounds
from bodega.retrieval.lexical._entries import PROOFS
from bodega.retrieval.lexical._forward import Forward, Read, Weights, read
from bodega.retrieval.lexical._matcher import Matcher
from bodega.retrieval.lexical._plan import NO_PLAN, Alternatives, Group, Plan, Planner, Wish
from bodega.retrieval.lexical.completion import Completer, Suggestion
from bodega.schema import Candidates, Context, ItemTable, Texts, World
from bodega.understanding import language
from bodega.understanding.query.habits import NO_PAIRS, PEOPLE, Pairs, habits
from bodega.understanding.query.spelling import Company, Speller
from bodega.understanding.query.vocabulary import Words, find, load_texts, save_texts

__all__ = ["Alternatives", "Completer", "Lexical", "Match", "Suggestion", "Weights"]

HEAD = 1_000
"""Matches that are scored exactly; where more match, tantivy's score picks these."""
ENOUGH = 10
"""With fewer items that hold all words, items that hold most of them are matched too."""
REMEMBERED = 50_000
"""Looked-up terms kept in memory (about 5 MB)."""
EXACT = 1_000.0
"""Added to the score of the item whose id or article number is the whole query: it comes first."""


class Match(NamedTuple):
    """All items a query matches, best first."""

    items: NDArray[np.int32]
    score: NDArray[np.float32]
    """Never rises; exact for the best `HEAD`."""
    corrected: str
    """What was searched instead, where words of the query are not the shop's; else empty."""
    total: int
    """How many match; more than len(items) where the limit cut."""
    at_least: int
    """How many words of the query every matched item holds."""
    words: int
    """How many words an item could hold (stop words and unknown words do not count)."""


class _Facts(msgspec.Struct, frozen=True):
    averages: tuple[float, ...]
    weights: dict[str, float | list[float]]
    format: int = 1


class Lexical:
    """Answers: which items do these words name, and how well?
    Needs: titles; brand, category, tags, attributes, description and article numbers where there are any.
    Good for: known items, names, numbers, rare words; the first source of a results page.
    Not for: needs without shared words ("something for a rainy walk"), personal taste.
    Cost: fit about 60 microseconds an item; a query .3 to 1 ms among 50,000 items; 8 bytes an (item, word) pair.
    Relations: `retrieve` gives the k best of `score` over all items, exactly so while at most `HEAD` items match;
    beyond, the best `HEAD` by tantivy's BM25 (and those that hold all words) compete.
    Paper: Robertson, Zaragoza, Taylor 2004 (BM25F).
    """

    name = "lexical"

    def __init__(self, weights: Weights | None = None, *, people: int = PEOPLE) -> None:
        """`people`: a query of the log counts when so many different ones asked it."""
        self.weights = weights or Weights()
        self._people = people
        self._main: Lexical | None = None
        self._matcher: Matcher | None = None
        self.completer: Completer | None = None
        self._folder: Path | None = None
        self._pairs = NO_PAIRS
        self._compounds = Compounds.none()
        self._last: tuple[Wish, Plan] = (Wish(""), NO_PLAN)
        self._take(read(()), None)

    def fit(self, world: World) -> Self:
        """Index the catalog; the log adds its words to the speller, and says what is worth suggesting."""
        held = read(world.items.item(row) for row in range(len(world.items)))
        self._main = None
        self._take(held, None)
        self._listen(held, world)
        self._folder = Path(tempfile.mkdtemp(prefix="bodega-lexical-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._matcher = Matcher.build(self._folder, _documents(held, self._forward), len(self))
        self._compounds = Compounds.of(self._words, self._matcher)
        self._settle()
        self.completer = Completer.fit(world, self._finds, self._people)
        return self

    def beside(self, table: ItemTable) -> Lexical:
        """A small index of other items (new or changed ones) whose scores compare with this one's. Item numbers are
        those of `table`. Cost: about 100 microseconds an item; meant for thousands of items, not millions."""
        small = Lexical(self.weights)
        small._main = self
        small._take(read(table.item(row) for row in range(len(table))), self._averages)
        return small

    def retrieve(self, context: Context, k: int) -> Candidates:
        """The k items that match the query best; none for an empty query."""
        plan = self._plan(Wish(context.query, context.alternatives))
        if k < 1 or not (plan.groups or plan.exact):
            return Candidates.none(self.name)
        rows = self._candidates(plan, max(HEAD, k))
        score = self._scores(plan, rows)
        rows, score = rows[score > 0], score[score > 0]
        order = np.lexsort((rows, -score))[:k]
        return Candidates.of(self.name, rows[order], score[order])

    def score(self, context: Context, items: NDArray[np.int32]) -> NDArray[np.float32]:
        """How well the given items match; NaN where no word does. Shape (len(items),)."""
        plan = self._plan(Wish(context.query, context.alternatives))
        score = self._scores(plan, np.asarray(items, np.int32))
        score[score <= 0] = np.nan
        return score

    def match(
        self,
        query: str,
        *,
        limit: int = 10_000,
        at_least: int | None = None,
        beside: Lexical | None = None,
        alternatives: Alternatives = (),
        verbatim: bool = False,
    ) -> Match:
        """All matches, best first, at most `limit`: what totals and facets count.

        Items hold all words of the query. Where fewer than `ENOUGH` do, three quarters, half, and at last one word
        is enough. `at_least` asks for a number of words itself (the index beside is asked for what the main index
        took); an index beside does not relax by itself. Words that the index `beside` knows are not corrected.
        `alternatives` are other ways to say words of the query; with `verbatim` nothing is corrected or completed.
        """
        plan = self._plan(Wish(query, tuple(alternatives), verbatim), beside)
        needed = len(plan.needed)
        limit = max(0, limit)
        if at_least is not None:
            levels = [max(1, min(at_least, needed))]
        elif self._main is not None:
            levels = [needed]
        else:
            levels = sorted({needed, -(-3 * needed // 4), -(-needed // 2), 1}, reverse=True)
        rows, rough, total, level = np.empty(0, np.int32), np.empty(0, np.float32), 0, needed
        for level in levels:
            rows, rough, total = self._find(plan, level, limit)
            if total >= ENOUGH:
                break
        marked = self._exact(plan)
        missing = marked[~np.isin(marked, rows)] if len(marked) else marked
        rows = np.concatenate([missing, rows])
        head = rows[: HEAD + len(missing)]
        score = self._scores(plan, head)
        order = np.lexsort((head, -score))
        tail = rough[HEAD:]
        if len(tail):  # not scored exactly: below the head, in tantivy's order
            tail = tail / max(float(rough[HEAD - 1]), 1e-9) * float(score.min())
        items = np.concatenate([head[order], rows[len(head) :]])[:limit]
        scores = np.concatenate([score[order], tail]).astype(np.float32)[:limit]
        return Match(items, scores, plan.corrected, total + len(missing), level, needed)

    def suggest(self, prefix: str, k: int = 8) -> list[Suggestion]:
        """Completions of what was typed so far, best first, the same for everybody (`engine.completing` knows what is
        for sale now, and who asks)."""
        return [] if self.completer is None else [found.suggestion for found in self.completer.complete(prefix, k)]

    def _finds(self, query: str) -> NDArray[np.int32]:
        """The best items of a query, none where it is only understood with a correction."""
        found = self.match(query, limit=PROOFS)
        return found.items[:0] if found.corrected else found.items

    def save(self, folder: Path) -> None:
        """Flat arrays, one JSON, and tantivy's files under names that depend on their content only."""
        self._forward.save(folder)
        self._words.save(folder)
        self._pairs.save(folder)
        self._compounds.save(folder)
        save_texts(folder, "terms", self._terms)
        facts = _Facts(tuple(self._averages), msgspec.to_builtins(self.weights))
        (folder / "lexical.json").write_bytes(msgspec.json.encode(facts, order="sorted"))
        if self.completer is not None:
            self.completer.save(folder)
        if self._folder is not None:
            (folder / "index").mkdir()
            for path in sorted(self._folder.iterdir()):
                if not path.name.endswith(".lock"):
                    shutil.copyfile(path, folder / "index" / path.name)

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        """Memory-map what `save` wrote; the folder may be read-only."""
        del items
        facts = msgspec.json.decode((folder / "lexical.json").read_bytes(), type=_Facts)
        found = cls(msgspec.convert(facts.weights, Weights))
        found._averages = list(facts.averages)
        found._forward = Forward.load(folder)
        found._words = Words.load(folder)
        found._pairs = Pairs.load(folder)
        found._compounds = Compounds.load(folder)
        found._terms = load_texts(folder, "terms")
        found.completer = Completer.load(folder)
        found._folder = folder / "index"
        found._matcher = Matcher.open(found._folder)
        found._settle()
        return found

    def __len__(self) -> int:
        """How many items are indexed."""
        return len(self._forward)

    def _take(self, held: Read, averages: list[float] | None) -> None:
        counts = [float(lengths.mean()) if len(lengths) else 0.0 for lengths in held.lengths]
        self._averages = averages or counts
        self._forward = Forward.of(held, self.weights, self._averages)
        self._words = Words.of(held.surfaces)
        self._terms: Texts = held.terms
        self._settle()

    def _listen(self, held: Read, world: World) -> None:
        """Let the speller know the words and pairs of words that many shoppers use."""
        heard = habits(world.log, world.items, self._words, self._people)
        self._pairs = heard.pairs
        if heard.words:
            words = {**held.surfaces}
            for word, people in heard.words.items():
                words[word] = words.get(word, 0) + people
            self._words = Words.of(words)
        self._settle()

    def _settle(self) -> None:
        main = self._main
        self._rows: dict[str, int] = {}
        self.speller = Speller(self._words, self._pairs, self._together, self._holds_form)
        spellers = (self.speller,) if main is None else (main.speller, self.speller)
        first = self if main is None else main
        self._planner = Planner(spellers, self._df, len(first._forward), first._compounds.apart)
        self._last = (Wish(""), NO_PLAN)

    def _df(self, term: str) -> int:
        """In how many items a term stands: by the main index where it knows it."""
        known = self._main._df(term) if self._main is not None else 0
        row = -1 if known else self._row(term)
        return known or (int(self._forward.df[row]) if row >= 0 else 0)

    def _holds_form(self, word: str) -> bool:
        return self._row(language.stem(word)) >= 0

    def _together(self, candidates: Sequence[str], beside: Sequence[str]) -> Company | None:
        """How often each candidate stands in a title with each of the other words."""
        if self._matcher is None:
            return None
        one, other = [language.stem(word) for word in candidates], [language.stem(word) for word in beside]
        both = np.array([[self._matcher.in_one_title(left, right) for right in other] for left in one], np.float64)
        alone = self._matcher.in_titles(one), self._matcher.in_titles(other)
        return Company(both.reshape(len(one), len(other)), *alone, total=len(self))

    def holds(self, word: str, items: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which of the items hold this word (all words of a phrase, in any form, in any field)? bool, (len(items),).

        For conditions like "not silk": a word that nothing holds gives False everywhere.
        """
        rows = np.asarray(items, np.int32)
        terms = [self._row(language.stem(part)) for part in language.words(word)]
        if not terms or min(terms) < 0:
            return np.zeros(len(rows), np.bool_)
        impact = self._forward.gather(rows, np.unique(np.array(terms, np.int32)))
        held: NDArray[np.bool_] = np.all(impact > 0, axis=1)
        return held

    def _row(self, term: str) -> int:
        """The row of a term in the vocabulary, or -1; recent ones are remembered (30 microseconds else)."""
        row = self._rows.get(term)
        if row is None:
            if len(self._rows) >= REMEMBERED:
                self._rows = {}
            row = self._rows[term] = find(self._terms, term)
        return row

    def _plan(self, wish: Wish, beside: Lexical | None = None) -> Plan:
        wish = wish._replace(query=wish.query.lstrip()[:2_000])
        if beside is not None:
            return self._planner.plan(wish, beside._planner.knows)
        last = self._last
        if last[0] != wish:
            last = (wish, self._planner.plan(wish) if wish.query else NO_PLAN)
            self._last = last  # one reference swapped at once: threads see the old pair or the new one
        return last[1]

    def _candidates(self, plan: Plan, limit: int) -> NDArray[np.int32]:
        """Items that hold at least one word, without repeats; where more than `limit`, the likeliest."""
        rows, _, total = self._find(plan, 1, limit + 1, count=False)
        if total > limit:
            complete, _, _ = self._find(plan, len(plan.needed), limit, count=False)
            rows = np.concatenate([rows[:limit], complete])
        stops = [] if self._matcher is None else [group for group in plan.groups if group not in plan.needed]
        if stops and total < limit:
            rows = np.concatenate([rows, self._find(Plan(tuple(stops), "", ""), 1, limit)[0]])
        return np.unique(np.concatenate([rows, self._exact(plan)]))

    def _find(
        self, plan: Plan, at_least: int, limit: int, *, count: bool = True
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], int]:
        """(rows, rough score, total) of items that hold at least so many of the needed words."""
        if self._matcher is not None:
            return self._matcher.find([group.alternatives for group in plan.needed], at_least, limit, count=count)
        everything = np.arange(len(self._forward), dtype=np.int32)
        values = self._values(plan.needed, everything)
        rows = everything[(values > 0).sum(axis=1) >= max(1, at_least)]
        score = self._scores(plan, rows)
        order = np.lexsort((rows, -score))
        return rows[order][:limit], score[order][:limit], len(rows)

    def _exact(self, plan: Plan) -> NDArray[np.int32]:
        """The items whose id or article number the query is."""
        row = self._row(plan.exact) if plan.exact else -1
        if row < 0:
            return np.empty(0, np.int32)
        if self._matcher is not None:
            return np.sort(self._matcher.find([[(plan.exact,)]], 1, HEAD)[0])
        everything = np.arange(len(self._forward), dtype=np.int32)
        return everything[self._forward.gather(everything, np.array([row], np.int32))[:, 0] > 0]

    def _scores(self, plan: Plan, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """BM25F times coverage, plus `EXACT`; 0 where nothing matches."""
        values = self._values(plan.groups, rows)
        score = np.zeros(len(rows), np.float32)
        covered = np.zeros(len(rows), np.float32)
        for place, group in enumerate(plan.groups):
            score += values[:, place]
            covered += np.float32(group.idf) * (values[:, place] > 0)
        worth = sum(group.idf for group in plan.groups)
        if worth > 0:
            score *= (covered / np.float32(worth)) ** np.float32(self.weights.coverage)
        term = self._row(plan.exact) if plan.exact else -1
        if term >= 0:
            score += np.float32(EXACT) * self._forward.gather(rows, np.array([term], np.int32))[:, 0]
        return score

    def _values(self, groups: tuple[Group, ...] | list[Group], rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """What each word is worth in each item, its best alternative: (len(rows), len(groups))."""
        known = {term: row for group in groups for term in group.all_terms() if (row := self._row(term)) >= 0}
        wanted = np.array(sorted(set(known.values())), np.int32)
        slot = {row: number for number, row in enumerate(wanted.tolist())}
        impact = self._forward.gather(rows, wanted)
        values = np.zeros((len(rows), len(groups)), np.float32)
        for place, group in enumerate(groups):
            for term, weight in group.terms.items():
                if term in known:
                    here = impact[:, slot[known[term]]] * np.float32(weight)
                    np.maximum(values[:, place], here, out=values[:, place])
            for phrase, weight in group.phrases.items():
                if all(term in known for term in phrase):
                    held = impact[:, [slot[known[term]] for term in phrase]]
                    here = np.where((held > 0).all(axis=1), held.mean(axis=1), 0) * np.float32(weight)
                    np.maximum(values[:, place], here, out=values[:, place])
        return values


def _documents(held: Read, forward: Forward) -> Iterator[tuple[str, str]]:
    """(title terms, all terms) of each item, joined with blanks, for tantivy."""
    names = list(held.terms)
    end = 0
    for row, length in enumerate(held.lengths[0].tolist()):
        title = held.codes[0][end : end + length].tolist()
        end += length
        terms = forward.terms[forward.starts[row] : forward.starts[row + 1]].tolist()
        yield " ".join(names[code] for code in title), " ".join(names[code] for code in terms)
