"""Which item-to-item and matrix models earn a place? Each alone, and what each adds to the sum that is served.

`base` is the fusion of popular, transition, collaborative and content (a supermarket: repeat instead of content);
`with_<source>` is the same sum with one source more, `with_all` with all of them, weights of each fitted on validation
cases, everything judged on test cases after learning again. `with_slim_vs_base` is the paired gain: a source whose
interval does not leave 0 is not worth its time. `popular_7_days` counts the last week and no more. A folder with
`sequences.txt` asks for the next item (leave-last-out), a supermarket for the rest of a basket and the next basket, cut
by time. Every item competes for every case.
Cost: every source is learned twice (on Beauty EASE takes 40 CPU s, all others 20). Not for: choosing anything (that was
done on validation); models that need torch (`bench recommend`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from bodega.bench._contest import Tally
from bodega.bench._sequences import read_sequences
from bodega.bench._supermarket import read_market
from bodega.bench.result import BenchResult
from bodega.errors import BadRequest
from bodega.evaluation import (
    Case,
    CaseOptions,
    Scorer,
    Window,
    by_time,
    check_no_leak,
    evaluate,
    place_cases,
)
from bodega.protocols import NoProgress, Progress, Source
from bodega.ranking.fit import fit_weights
from bodega.ranking.fuse import CANDIDATES, Fusion, Weighted, gather
from bodega.retrieval.collaborative import Collaborative
from bodega.retrieval.content import Content
from bodega.retrieval.graph import Graph
from bodega.retrieval.matrix import Matrix
from bodega.retrieval.popular import Popular
from bodega.retrieval.relations import Complements, Substitutes
from bodega.retrieval.repeat import Repeat
from bodega.retrieval.slim import Slim
from bodega.retrieval.transition import Transition
from bodega.schema import Candidates, Context, Log, World
from bodega.schema.arrays import Floats

Pair = TypeVar("Pair")

DAY: Final = 86_400.0
METRICS: Final = ("ndcg@10", "recall@10", "recall@20")
FITTED: Final = 3_000
"""Validation cases that weights are fitted on."""


@dataclass(frozen=True, slots=True)
class FamilyOptions:
    """`ties` as in `bench recommend` (a folder with sequences only); `users` tests a seeded draw of that many."""

    data: Path
    ties: str = "file"
    seed: int = 7
    users: int | None = None
    window_days: float = 14.0
    """Length of the validation and of the test window of a supermarket."""


@dataclass(frozen=True, slots=True)
class _Question:
    """One place: what is learned from, and the cases, on validation and on test."""

    place: str
    base: tuple[Callable[[], Source], ...]
    added: tuple[Callable[[], Source], ...]
    worlds: tuple[World, World]
    cases: tuple[list[Case], list[Case]]
    repeats: bool


def run(options: FamilyOptions, progress: Progress | None = None) -> BenchResult:
    """Run it. Raises BadFeed for a folder that cannot be used, LeakFound where the evaluation could see its answers."""
    started, progress = time.perf_counter(), progress or NoProgress()
    if options.users is not None and options.users < 1:
        raise BadRequest("too few users to test", where="--users", allowed="1 or more", got=options.users)
    sequences = (options.data / "sequences.txt").is_file()
    digest, questions = _next_item(options) if sequences else _baskets(options)
    tally, facts = Tally(options.seed), {"hash": digest, "seed": options.seed, "ties": options.ties}
    learned: dict[int, tuple[dict[str, Source], dict[str, float]]] = {}
    for question in questions:
        suffix = "" if len(questions) == 1 else f".{question.place}"
        facts |= _asked(question, tally, suffix, learned, progress)
    return BenchResult(
        bench="family",
        data=str(options.data),
        seconds=round(time.perf_counter() - started, 1),
        figures=tally.figures,
        intervals=tally.intervals,
        facts=facts,
        notes=_notes(questions, tally),
    )


def _next_item(options: FamilyOptions) -> tuple[str, list[_Question]]:
    data = read_sequences(options.data, ties=options.ties, seed=options.seed)
    worlds, cases = [], []
    for back in (1, 0):
        log, asked = data.held_out(back, options.seed, FITTED if back else options.users)
        worlds.append(data.world(log))
        cases.append(asked)
    base = (Popular, Transition, Collaborative, Content, *((Repeat,) if data.repeats else ()))
    question = _Question("home", base, (Matrix, Graph, Slim), _two(worlds), _two(cases), data.repeats)
    return data.digest, [question]


def _baskets(options: FamilyOptions) -> tuple[str, list[_Question]]:
    market = read_market(options.data, options.seed)
    split = by_time(market.log, validation=options.window_days * DAY, test=options.window_days * DAY)
    windows = (split.valid, split.test)
    worlds = [World(market.items, market.log.before(window.start), window.start) for window in windows]
    base = (Popular, Repeat, Transition, Collaborative)
    added = {"home": (Matrix, Graph, Slim), "basket": (Matrix, Graph, Slim, Substitutes, Complements)}
    questions = []
    for place, more in added.items():
        cases = [_of_window(market.log, place, window, options) for window in windows]
        cases[0] = cases[0][:FITTED]
        questions.append(_Question(place, base, more, _two(worlds), _two(cases), repeats=True))
    return market.digest, questions


def _of_window(log: Log, place: str, window: Window, options: FamilyOptions) -> list[Case]:
    """At most one basket a household, and one item hidden where a basket is to be completed."""
    rows = np.flatnonzero((log.time >= window.start) & (log.time < window.end))
    users, at = np.unique(log.user[rows], return_index=True)
    first = np.full(log.n_users, -1, np.int64)
    first[users] = log.session[rows[at]]
    known = log.where((log.time < window.start) | (log.session == first[log.user]))
    cases = place_cases(known, place, window, CaseOptions(limit=options.users or 0, seed=options.seed, hide=1))
    check_no_leak(log.before(window.start), cases, start=window.start)
    return cases


def _asked(
    question: _Question,
    tally: Tally,
    suffix: str,
    learned: dict[int, tuple[dict[str, Source], dict[str, float]]],
    progress: Progress,
) -> dict[str, Any]:
    """Fit the weights of every sum on validation, judge sources and sums on test; returns the facts of this place."""
    (old, new), (tuning, cases) = question.worlds, question.cases
    sources, _ = _fitted(question, old, learned, progress)
    found = [gather(sources, case.context, CANDIDATES) for case in tuning]
    sums = _sums(question, [source.name for source in sources])
    weighted = {
        name: fit_weights(question.place, tuning, [_part(own, members) for own in found])
        for name, members in sums.items()
    }
    sources, seconds = _fitted(question, new, learned, progress)
    outcomes = evaluate(_scorers(question, sources, sums, weighted), cases, len(new.items), progress=progress)
    for name, outcome in outcomes.items():
        tally.add(name, outcome.masked, METRICS, suffix)
    for name in sums:
        if name != "base":
            tally.compare(f"{name}_vs_base", outcomes[name].masked, outcomes["base"].masked, "ndcg@10", suffix)
    return {
        f"cases{suffix}": len(cases),
        f"weights{suffix}": {name: own.weights for name, own in weighted.items()},
        f"validation{suffix}": {name: own.figures for name, own in weighted.items()},
        f"cpu_seconds_to_learn{suffix}": {name: round(value, 1) for name, value in seconds.items()},
        f"ms_a_request{suffix}": _latency(sources, cases),
    }


def _fitted(
    question: _Question,
    world: World,
    learned: dict[int, tuple[dict[str, Source], dict[str, float]]],
    progress: Progress,
) -> tuple[list[Source], dict[str, float]]:
    """The sources of a place, learned from this world, each once whatever the number of places; CPU seconds of each."""
    ready, seconds = learned.setdefault(id(world), ({}, {}))
    fresh = [make() for make in (*question.base, *question.added)]
    for source in fresh:
        if source.name not in ready:
            progress.start(f"learn {source.name}")
            began = time.process_time()
            ready[source.name] = source.fit(world)
            seconds[source.name] = time.process_time() - began
            progress.finish()
    return [ready[source.name] for source in fresh], seconds


def _sums(question: _Question, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """{name of a sum: its sources}."""
    base, added = tuple(names[: len(question.base)]), names[len(question.base) :]
    each = {f"with_{name}": (*base, name) for name in added}
    return {"base": base, **each, "with_all": tuple(names)}


def _part(found: Candidates, members: Sequence[str]) -> Candidates:
    """What these sources alone would have gathered: their columns, and the rows that one of them proposed."""
    columns = [found.sources.index(name) for name in members]
    scores = np.where(np.isnan(found.scores[:, columns]), np.float32(-np.inf), found.scores[:, columns])
    last = max(len(scores) - CANDIDATES, 0)
    least = np.partition(scores, last, axis=0)[last] if len(scores) else np.zeros(len(columns))
    rows = np.flatnonzero(((scores >= least) & (scores > -np.inf)).any(axis=1))
    return Candidates(
        found.items[rows], found.scores[np.ix_(rows, np.array(columns, np.int64))], found.score[rows], tuple(members)
    )


def _scorers(
    question: _Question,
    sources: Sequence[Source],
    sums: Mapping[str, tuple[str, ...]],
    weighted: Mapping[str, Weighted],
) -> dict[str, Scorer]:
    """Every source over all items, every sum over what its sources propose."""
    everything = np.arange(len(question.worlds[1].items), dtype=np.int32)
    kept: list[tuple[Context, Candidates]] = []

    def proposed(context: Context) -> Candidates:
        if not kept or kept[0][0] is not context:
            hidden = context.items if question.repeats else np.concatenate([context.items, context.history])
            found = gather(sources, context, CANDIDATES)
            kept[:] = [(context, found.take(~np.isin(found.items, hidden)))]
        return kept[0][1]

    def alone(source: Source) -> Scorer:
        return lambda context: source.score(context, everything)

    def fused(name: str) -> Scorer:
        weights = weighted[name].weights
        fusion = Fusion({question.place: weights} if weights else {})
        return lambda context: fusion.rank(context, _part(proposed(context), sums[name]))

    counted = {"popular_7_days": last_days(question.worlds[1])}
    return {**{source.name: alone(source) for source in sources}, **counted, **{name: fused(name) for name in sums}}


def last_days(world: World, days: float = 7.0) -> Scorer:
    """The plainest baseline: how often each item was taken in the last week, the same for everybody."""
    log = world.log
    late = log.item[(log.item >= 0) & (log.time >= world.until - days * DAY)]
    counts = np.bincount(late, minlength=len(world.items)).astype(np.float32)
    counts[counts == 0] = np.nan

    def scorer(context: Context) -> Floats:
        del context
        return counts

    return scorer


def _latency(sources: Sequence[Source], cases: Sequence[Case], few: int = 200) -> dict[str, float]:
    """CPU milliseconds of one `retrieve` of 200, the mean of `few` cases."""
    out = {}
    for source in sources:
        began = time.process_time()
        for case in cases[:few]:
            source.retrieve(case.context, CANDIDATES)
        out[source.name] = round(1000 * (time.process_time() - began) / max(len(cases[:few]), 1), 3)
    return out


def _two(pair: Sequence[Pair]) -> tuple[Pair, Pair]:
    return pair[0], pair[1]


def _notes(questions: Sequence[_Question], tally: Tally) -> tuple[str, ...]:
    notes = ["weights fitted on validation, everything else on test; with_x: base and x; full ranking, nothing sampled"]
    for question in questions:
        suffix = "" if len(questions) == 1 else f".{question.place}"
        earned = [
            name.removesuffix(f"_vs_base.ndcg@10{suffix}")
            for name, (low, _) in tally.intervals.items()
            if name.endswith(f"_vs_base.ndcg@10{suffix}") and low > 0
        ]
        notes.append(f"{question.place}: better than the base for sure: {', '.join(earned) or 'none'}")
    return tuple(notes)
