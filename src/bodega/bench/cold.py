"""Who finds what nobody knows yet? Items with at most 5 events, shoppers of one click, a shop without a single event.

Every model ranks all items; the answers are cold. `.cold` is the same among cold items only, `.untouched` only answers
without any event, `.all` any answer. `.first_click`: shoppers of whom nothing was learned, known by one item (any
answer). `.first_day`: the same clicks as product pages of a shop in which nothing has happened. `dense` is the shop's
own encoder, taught by the catalog's text alone; `sentences` a pretrained one, where one is installed; both answer from
the history, without a query. Weights of the fusions come from validation cases with any answer, as a shop's do:
`fusion_words` popular, transition and content, `fusion` dense beside them, `fusion_sentences` both encoders.
Baselines in the same run: chance, popularity, transition. Cost: see docs/decisions/0027-cold-start.md.
Not for: how good a list is for everybody (`bench recommend`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bodega.bench._cold_sets import RARE, Asked, ColdSet, first_day, read_cold
from bodega.bench._contest import Fused, Tally, fuse
from bodega.bench.result import BenchResult
from bodega.engine.places import DEFAULT_WEIGHTS
from bodega.errors import BadRequest
from bodega.evaluation import Case, Outcome, Ranked, evaluate
from bodega.protocols import Encoder, NoProgress, Progress, Source
from bodega.ranking.fuse import Fusion, gather
from bodega.retrieval.content import Content
from bodega.retrieval.dense import Dense
from bodega.retrieval.popular import Popular
from bodega.retrieval.transition import Transition
from bodega.schema import Candidates, Context, Log, World
from bodega.schema.arrays import Floats
from bodega.understanding.text.cached import KeptEncoder
from bodega.understanding.text.pretrained import best_installed, open_encoder
from bodega.understanding.text.training import TrainingOptions, train

METRICS: Final = ("ndcg@10", "recall@10", "recall@50", "mrr")
FEWER: Final = ("ndcg@10", "recall@10")
TEXTLESS: Final = ("popular", "transition")


@dataclass(frozen=True, slots=True)
class ColdOptions:
    """`cases` of each kind at most, a seeded draw. `encoder`: a pretrained one ("auto": an installed one, "none")."""

    data: Path
    cases: int = 2_000
    seed: int = 7
    encoder: str = "auto"


def run(options: ColdOptions, progress: Progress | None = None) -> BenchResult:
    """Run it. Raises BadFeed for a folder that cannot be used, BadRequest, MissingExtra for an encoder that is named
    and not installed, LeakFound."""
    started, progress = time.perf_counter(), progress or NoProgress()
    if options.cases < 1:
        raise BadRequest("too few cases to test", where="--cases", allowed="1 or more", got=options.cases)
    data = read_cold(options.data, limit=options.cases, seed=options.seed)
    texts = _texts(data, options, progress)
    chosen = _choose(data, texts, progress)
    tally = Tally(options.seed)
    outcomes = _judge(data, data.test, texts, chosen, progress)
    untouched = data.test.counts[next(iter(outcomes.values())).masked.item] == 0
    for name, outcome in outcomes.items():
        tally.add(name, outcome.unmasked, METRICS)
        tally.add(name, outcome.masked, FEWER, ".cold")
        if untouched.any():
            tally.add(name, outcome.unmasked.only(untouched), FEWER, ".untouched")
    _compare(tally, {name: outcome.unmasked for name, outcome in outcomes.items()}, "")
    for suffix, asked in ((".all", data.everyone), (".first_click", data.strangers)):
        outcomes = _judge(data, asked, texts, chosen, progress)
        for name, outcome in outcomes.items():
            tally.add(name, outcome.unmasked, FEWER, suffix)
        _compare(tally, {name: outcome.unmasked for name, outcome in outcomes.items()}, suffix)
    for name, outcome in _first_day(data, texts, options.seed, progress).items():
        tally.add(name, outcome.unmasked, FEWER, ".first_day")
    return BenchResult(
        bench="cold",
        data=str(options.data),
        seconds=round(time.perf_counter() - started, 1),
        figures=tally.figures,
        intervals=tally.intervals,
        facts=_facts(options, data, texts, chosen, int(untouched.sum())),
        notes=(*data.notes, *(f"{name}: {each.note()}" for name, each in chosen.items())),
    )


def _texts(data: ColdSet, options: ColdOptions, progress: Progress) -> list[Source]:
    """The sources that read: they know nothing of any event, so they are fitted once for everything."""
    silent = World(data.items, _nothing(data.test.log), until=0.0)
    name = best_installed() if options.encoder == "auto" else options.encoder
    made: list[tuple[str, Callable[[], Source]]] = [
        ("content", Content),
        ("dense", lambda: Dense(lambda world: train(world, TrainingOptions(seed=options.seed))[0])),
    ]
    if name not in ("", "none"):
        kept: Encoder = KeptEncoder(open_encoder(name))
        made.append(("sentences", lambda: Dense(lambda _: kept, name="sentences")))
    fitted = []
    for own, make in made:
        progress.start(f"read the catalog: {own}")
        fitted.append(make().fit(silent))
        progress.finish()
    return fitted


def _behaviour(data: ColdSet, log: Log) -> list[Source]:
    world = World(data.items, log, until=float(log.time[-1]) + 60.0 if len(log) else 0.0)
    return [Popular().fit(world), Transition().fit(world)]


def _teams(texts: Sequence[Source]) -> dict[str, tuple[str, ...]]:
    """{name of a fusion: its sources}: what a shop had without vectors, what it has, and with a pretrained encoder."""
    named = [source.name for source in texts]
    teams = {"fusion_words": (*TEXTLESS, "content"), "fusion": (*TEXTLESS, "content", "dense")}
    return teams | ({"fusion_sentences": (*TEXTLESS, *named)} if "sentences" in named else {})


def _choose(data: ColdSet, texts: Sequence[Source], progress: Progress) -> dict[str, Fused]:
    """The weights of every fusion, from validation cases."""
    sources = {source.name: source for source in (*_behaviour(data, data.valid.log), *texts)}
    cases = data.valid.cases
    if data.hides:
        kept = [case for case in cases if not np.isin(case.relevant, case.context.history).any()]
        cases = [Case(case.context, case.relevant, np.unique(case.context.history)) for case in kept]
    return {
        name: fuse("home", [sources[each] for each in team], cases, progress) for name, team in _teams(texts).items()
    }


def _judge(
    data: ColdSet, asked: Asked, texts: Sequence[Source], chosen: Mapping[str, Fused], progress: Progress
) -> dict[str, Outcome]:
    sources = {source.name: source for source in (*_behaviour(data, asked.log), *texts)}
    rows = np.arange(len(data.items), dtype=np.int32)
    rng = np.random.default_rng(11)

    def alone(source: Source) -> Callable[[Context], Floats]:
        return lambda context: _without_own(source.score(context, rows), context, data.hides)

    def fused(team: Sequence[str], fusion: Fusion) -> Callable[[Context], Candidates]:
        return lambda context: _ranked([sources[each] for each in team], fusion, context, data.hides)

    scorers: dict[str, Callable[[Context], Floats | Candidates]] = {
        "random": lambda _: rng.random(len(rows), np.float32),
        **{name: alone(source) for name, source in sources.items()},
        **{name: fused(team, chosen[name].fusion()) for name, team in _teams(texts).items()},
    }
    return evaluate(scorers, asked.cases, len(rows), depth=10, progress=progress)


def _first_day(data: ColdSet, texts: Sequence[Source], seed: int, progress: Progress) -> dict[str, Outcome]:
    """Product pages of a shop without events: what is left are the sources that read, and the order of the catalog."""
    cases = first_day(data.strangers.cases)
    sources = [Popular().fit(World(data.items, _nothing(data.test.log), until=0.0)), *texts]
    rows = np.arange(len(data.items), dtype=np.int32)
    rng = np.random.default_rng(seed)
    scorers: dict[str, Callable[[Context], Floats | Candidates]] = {
        "random": lambda _: rng.random(len(rows), np.float32),
        **{source.name: lambda context, own=source: own.score(context, rows) for source in sources},  # type: ignore[misc]
        "fusion": lambda context: _ranked(sources, UNFITTED, context, hides=False),
    }
    return evaluate(scorers, cases, len(rows), progress=progress)


UNFITTED: Final = Fusion({"similar": DEFAULT_WEIGHTS["similar"]})
"""Nothing can be fitted on the first day: what a shop serves then."""


def _ranked(sources: Sequence[Source], fusion: Fusion, context: Context, hides: bool) -> Candidates:
    found = gather(sources, context)
    if hides:
        found = found.take(~np.isin(found.items, context.history))
    return fusion.rank(context, found)


def _without_own(scores: Floats, context: Context, hides: bool) -> Floats:
    if hides:
        scores = scores.copy()
        scores[context.history] = np.nan
    return scores


def _compare(tally: Tally, ranked: Mapping[str, Ranked], suffix: str) -> None:
    """What the claims rest on, paired over the same cases."""
    for one, other in (
        ("content", "popular"),
        ("dense", "popular"),
        ("dense", "content"),
        ("sentences", "dense"),
        ("fusion", "fusion_words"),
        ("fusion_sentences", "fusion"),
    ):
        if one in ranked and other in ranked:
            tally.compare(f"{one}_vs_{other}", ranked[one], ranked[other], "ndcg@10", suffix)


def _nothing(log: Log) -> Log:
    return log.where(np.zeros(len(log), np.bool_))


def _facts(
    options: ColdOptions, data: ColdSet, texts: Sequence[Source], chosen: Mapping[str, Fused], untouched: int
) -> dict[str, Any]:
    encoders = {source.name: source.info.name for source in texts if isinstance(source, Dense) and source.info}
    return {
        "hash": data.digest,
        "seed": options.seed,
        "items": len(data.items),
        "cold_items": int(data.test.cold.sum()),
        "rare": RARE,
        "cases": len(data.test.cases),
        "cases_in_all": data.test.among,
        "untouched_cases": untouched,
        "first_click_cases": len(data.strangers.cases),
        "encoders": encoders,
        "weights": {name: each.weighted.weights for name, each in chosen.items()},
        "ablation": {name: each.ablation for name, each in chosen.items()},
    }
