"""Click, cart, purchase: how well is each foreseen, how true are the chances, and is the place taken out of clicks?

A generated shop whose truth is known, cut by time: sources learn before the first window, examples are made of the
lists shown in it (each described as of its own moment), the test window comes after; sources learn again in between.

    auc_click, auc_cart, auc_purchase   over all impressions of the test window, at the places where they stood
    ece_click, ...                      what was promised against what came (10 bins), `.raw` before calibration
    ndcg@10                             of purchases: each shopper's next visit, all items ranked, learned from visits
    attraction@8, examination_error     places: lists of an old rule; how well the true attraction is ranked (NDCG), and
                                        the mean error of the estimated examination

Intervals: bootstrap over lists and visits, differences paired. Everything was chosen on worlds of other seeds.
Cost: about 3 minutes on one core; needs the extra `neural`. Not for: claims about real shops.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np

from bodega.bench._biased_clicks import BiasedClicks, Minds
from bodega.bench._task_models import Foresees, contestants
from bodega.bench.result import BenchResult
from bodega.errors import BadRequest
from bodega.evaluation import Case, CaseOptions, Window, average_ranks, check_no_leak, paired, place_cases
from bodega.evaluation.metrics import calibration_error
from bodega.evaluation.significance import bootstrap
from bodega.protocols import NoProgress, Progress, Source
from bodega.ranking.fuse import fit_weights, gather
from bodega.ranking.learned._net_describe import AsOf
from bodega.ranking.learned.network import Given, NetworkOptions, fit_network
from bodega.ranking.learned.position import Examination, examination_of
from bodega.ranking.learned.tasks import Examples, Replay, check_examples, examples_of, examples_of_cases
from bodega.retrieval._neural.side import title_vectors
from bodega.retrieval.collaborative import Collaborative
from bodega.retrieval.content import Content
from bodega.retrieval.popular import Popular
from bodega.retrieval.repeat import Repeat
from bodega.retrieval.transition import Transition
from bodega.schema import World
from bodega.schema.arrays import Doubles, Floats
from bodega.testing.world import GeneratedWorld, WorldSpec, make_world

DAY: Final = 86_400.0
TASKS: Final = ("click", "cart", "purchase")
DRAWS: Final = 400
VECTOR: Final = 32
EACH: Final = 30
"""Candidates of each source for a visit: more would be most of a generated shop."""
WEEKS: Final = 3
"""Parts of the window that is learned from; a shopper's first visit in each is a case."""


@dataclass(frozen=True, slots=True)
class TasksOptions:
    """Half of `days` is learned from by the sources, a third by the ranker, the rest is the test."""

    shoppers: int = 600
    items: int = 400
    days: float = 60.0
    lists: int = 4_000
    """Lists of the old rule (places)."""
    seed: int = 7
    network: NetworkOptions = field(default_factory=NetworkOptions)


@dataclass(frozen=True, slots=True, eq=False)
class _Stand:
    """The world cut in three, and what was made of it."""

    world: GeneratedWorld
    learn: Window
    test: Window
    seed: int

    @classmethod
    def of(cls, options: TasksOptions) -> _Stand:
        if options.shoppers < 20 or options.days < 12:
            raise BadRequest(
                "too small a world to learn from",
                where="TasksOptions",
                allowed="20 shoppers and 12 days or more",
                got=f"{options.shoppers} shoppers, {options.days:g} days",
            )
        spec = WorldSpec(n_items=options.items, n_shoppers=options.shoppers, days=options.days, seed=options.seed)
        world = make_world(spec)
        start = spec.opening.timestamp()
        cuts = [start + options.days * DAY * share for share in (1 / 2, 5 / 6)]
        return cls(world, Window(cuts[0], cuts[1]), Window(cuts[1], world.end), options.seed)

    def sources(self, until: float) -> tuple[list[Source], World]:
        known = self.world.world(until)
        fresh: list[Source] = [Popular(), Transition(), Collaborative(), Content(), Repeat()]
        return [source.fit(known) for source in fresh], known

    def cases(self, window: Window, weeks: int) -> list[Case]:
        """Next visits: one a shopper in each part of the window."""
        edges = np.linspace(window.start, window.end, weeks + 1).tolist()
        options = CaseOptions(limit=0, seed=self.seed)
        log, cases = self.world.log, []
        for low, high in pairwise(edges):
            cases += place_cases(log, "home", Window(low, high), options)
        check_no_leak(log.before(window.start), cases, start=window.start)
        return sorted(cases, key=lambda case: case.context.now)


@dataclass(slots=True)
class _Tally:
    figures: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, name: str, value: float, draws: Doubles | None = None) -> None:
        self.figures[name] = float(value)
        if draws is not None:
            low, high = np.quantile(draws, [0.025, 0.975])
            self.intervals[name] = (float(low), float(high))


def run(options: TasksOptions, progress: Progress | None = None) -> BenchResult:
    """Run it. Raises MissingExtra without torch, LeakFound where an example could see what came of it."""
    started, progress = time.perf_counter(), progress or NoProgress()
    stand, tally = _Stand.of(options), _Tally()
    cpu: dict[str, float] = {}
    shown = _shown(stand, options, tally, cpu, progress)
    visits = _visits(stand, options, tally, progress)
    _places(stand, options, tally, progress)
    return BenchResult(
        bench="tasks",
        data=f"generated shop, seed {options.seed}",
        seconds=round(time.perf_counter() - started, 1),
        figures=tally.figures,
        intervals=tally.intervals,
        facts={"seed": options.seed, "shoppers": options.shoppers, "items": options.items, **shown, "visits": visits},
        notes=(
            "auc and ece over impressions at the places where they stood; ndcg@10 ranks all items for the next visit",
            "every example was described as of its own moment; a draw was built again from a log that ends there",
            "CPU seconds of learning from impressions: "
            + ", ".join(f"{name} {value:.1f}" for name, value in cpu.items()),
            "attraction@8: lists of an old rule that knows nothing; fair = everything was looked at",
        ),
    )


def _shown(
    stand: _Stand, options: TasksOptions, tally: _Tally, cpu: dict[str, float], progress: Progress
) -> dict[str, int]:
    """The table over impressions; how much there was."""
    log = stand.world.log
    parts = []
    for window in (stand.learn, stand.test):
        progress.start("examples of what was shown")
        sources, known = stand.sources(window.start)
        examples = examples_of(log, AsOf(sources, known), window, seed=options.seed)
        check_examples(examples, log, lambda _, s=sources, k=known: AsOf(s, k), Replay(window, lists=5))  # type: ignore[misc]
        parts.append(examples.only(TASKS))
        progress.finish()
    most, test = parts
    looked = examination_of(most.position, most.labels[:, 0] > 0, most.item)
    vectors = title_vectors(stand.world.table, VECTOR)
    observed = {}
    for name, fit in contestants(options.network, vectors, looked).items():
        progress.start(f"learn {name}")
        before = time.process_time()
        model = fit(most)
        cpu[name] = time.process_time() - before
        observed[name] = model.observed(test)
        _promised(name, model, test, tally)
        progress.finish()
    _told_apart(observed, test, options.seed, tally)
    return {"lists": most.n_lists, "impressions": len(most), "impressions.test": len(test)}


def _promised(name: str, model: Foresees, test: Examples, tally: _Tally) -> None:
    for suffix, calibrated in (("", True), (".raw", False)):
        chance = model.observed(test, calibrated=calibrated)
        for task, kind in enumerate(TASKS):
            error = calibration_error(chance[:, task], test.labels[:, task] > 0)
            tally.add(f"{name}.ece_{kind}{suffix}", error)


def _told_apart(observed: Mapping[str, Floats], test: Examples, seed: int, tally: _Tally) -> None:
    """AUC of every contestant and task, and what each gains over the logistic regression: lists are drawn."""
    rng = np.random.default_rng([seed, 71])
    counts = np.stack(
        [np.bincount(rng.integers(0, test.n_lists, test.n_lists), minlength=test.n_lists) for _ in range(DRAWS)]
    )
    weights = np.vstack([np.ones(test.n_lists), counts])[:, test.list_of]
    for task, kind in enumerate(TASKS):
        right = test.labels[:, task] > 0
        drawn = {name: auc(chance[:, task], right, weights) for name, chance in observed.items()}
        for name, values in drawn.items():
            tally.add(f"{name}.auc_{kind}", values[0], values[1:])
        for name in ("single", "shared", "mmoe", "ple", "ple-din"):
            gap = drawn[name] - drawn["logistic"]
            tally.add(f"{name}_vs_logistic.auc_{kind}", gap[0], gap[1:])
        for better, worse in (("ple", "single"), ("ple", "shared"), ("ple", "mmoe"), ("ple-din", "ple")):
            gap = drawn[better] - drawn[worse]
            tally.add(f"{better}_vs_{worse}.auc_{kind}", gap[0], gap[1:])


def auc(score: Floats, right: np.ndarray, weights: Doubles) -> Doubles:
    """Chance that a right row stands above another, ties half: one value a row of `weights` (draws, n)."""
    order = np.argsort(score, kind="stable")
    held, positive = score[order], right[order]
    level = np.cumsum(np.diff(held, prepend=held[:1] - 1) > 0) - 1
    n_levels = int(level[-1]) + 1
    out = np.empty(len(weights))
    for row, weight in enumerate(weights[:, order]):
        good = np.bincount(level, weights=weight * positive, minlength=n_levels)
        bad = np.bincount(level, weights=weight * ~positive, minlength=n_levels)
        out[row] = (good @ (np.cumsum(bad) - bad / 2)) / max(good.sum() * bad.sum(), 1e-12)
    return out


def _visits(stand: _Stand, options: TasksOptions, tally: _Tally, progress: Progress) -> int:
    """The table over next visits: all items ranked by the chance of a purchase."""
    log = stand.world.log
    sources, known = stand.sources(stand.learn.start)
    cases = stand.cases(stand.learn, WEEKS)
    progress.start("examples of visits", len(cases))
    found = [gather(sources, case.context, EACH) for case in cases]
    weighted = fit_weights("home", cases, found, per_source=EACH)
    weights = weighted.weights or dict.fromkeys((source.name for source in sources), 1.0)
    describes = AsOf(sources, known, weights, per_source=EACH)
    examples = examples_of_cases(log, describes, cases, lambda case: describes.candidates(case.context)).only(TASKS)
    again, later = stand.sources(stand.test.start)
    told = AsOf(again, later, weights, per_source=EACH)
    judged = stand.cases(stand.test, 1)
    test = examples_of_cases(log, told, judged, lambda case: told.candidates(case.context)).only(TASKS)
    progress.finish()
    total = examples.columns.index("sum.score")
    own = msgspec.structs.replace(options.network, epochs=min(options.network.epochs, 8), negatives=32)
    values = {"sum": _ndcg(judged, test, test.values[:, total], options.items)}
    vectors = title_vectors(stand.world.table, VECTOR)
    line = {"sum.score": 1.0}
    for name, fit in contestants(own, vectors, Examination.flat(), line).items():
        progress.start(f"learn {name}")
        wanted = examples.only(("purchase",)) if name == "single" else examples
        values[name] = _ndcg(judged, test, fit(wanted).likely(test)[:, -1], options.items)
        progress.finish()
    rng = np.random.default_rng([options.seed, 73])
    draws = bootstrap(np.column_stack(list(values.values())), rng, DRAWS)
    for column, (name, each) in enumerate(values.items()):
        tally.add(f"{name}.ndcg@10", float(each.mean()), draws[:, column])
    for better, worse in (("ple", "sum"), ("ple", "logistic"), ("ple", "single"), ("ple", "shared"), ("ple", "mmoe"),
                          ("ple-din", "ple"), ("logistic", "sum")):  # fmt: skip
        gap = paired(values[better], values[worse], np.random.default_rng([options.seed, 79]))
        tally.figures[f"{better}_vs_{worse}.ndcg@10"] = gap.mean
        tally.intervals[f"{better}_vs_{worse}.ndcg@10"] = (gap.low, gap.high)
    return len(judged)


def _ndcg(cases: list[Case], examples: Examples, score: Floats, n_items: int) -> Doubles:
    """NDCG@10 of each case; items that are no candidates stand at the average of the bottom."""
    out = np.empty(len(cases))
    ideal = np.cumsum(1 / np.log2(np.arange(2, 12)))
    for number, case in enumerate(cases):
        rows = slice(int(examples.starts[number]), int(examples.starts[number + 1]))
        dense = np.full(n_items, np.nan, np.float32)
        dense[examples.item[rows]] = score[rows]
        rank = average_ranks(dense, case.relevant)
        gain = np.where(rank <= 10, 1 / np.log2(1 + rank), 0.0).sum()
        out[number] = min(gain / ideal[min(len(case.relevant), 10) - 1], 1.0)
    return out


def _places(stand: _Stand, options: TasksOptions, tally: _Tally, progress: Progress) -> None:
    """Is the true attraction found behind clicks that an old rule shaped?"""
    minds = Minds(stand.world.truth.affinity, np.array(stand.world.truth.examination))
    clicks = BiasedClicks.of(minds, options.lists, options.seed)
    wise = BiasedClicks.of(minds, options.lists, options.seed, wise=0.7)
    for name, chance in (("em", wise.examination().chance), ("clicks-by-place", wise.by_place())):
        tally.add(f"{name}.examination_error", float(np.abs(chance - wise.truth).mean()))
    values = {"rule": clicks.ndcg(clicks.test.values[:, 1])}
    for name, examples, places in (
        ("naive", clicks.biased, "naive"),
        ("tower", clicks.biased, "tower"),
        ("weights", clicks.biased, "weights"),
        ("examination", clicks.biased, "examination"),
        ("fair", clicks.fair, "naive"),
    ):
        progress.start(f"places: {name}")
        own = NetworkOptions(experts="shared", attention=False, width=8, places=places, seed=options.seed)  # type: ignore[arg-type]
        values[name] = clicks.ndcg(fit_network(examples, own, Given()).likely(clicks.test)[:, 0])
        progress.finish()
    draws = bootstrap(np.column_stack(list(values.values())), np.random.default_rng([options.seed, 83]), DRAWS)
    for column, (name, each) in enumerate(values.items()):
        tally.add(f"{name}.attraction@8", float(each.mean()), draws[:, column])
    for better, worse in (("examination", "naive"), ("fair", "examination")):
        gap = paired(values[better], values[worse], np.random.default_rng([options.seed, 89]))
        tally.figures[f"{better}_vs_{worse}.attraction@8"] = gap.mean
        tally.intervals[f"{better}_vs_{worse}.attraction@8"] = (gap.low, gap.high)
