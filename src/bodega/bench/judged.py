"""How good is the search on a judged set? Any items, queries and graded judgments, with or without a click log.

Every stage is judged alone and together over the *whole* catalog: `bm25` (tantivy as it comes, titles), `lexical`,
`dense` (the shop's own encoder), `sentences` (a pretrained encoder, where one is installed), `asked` (clicks of past
queries), `rrf` and `fusion`, which is what a shop serves. With a click log a tenth of its queries is held back: weights
are fitted on what they clicked, by sources that never saw those clicks; then all clicks are learned from. Judgments are
never used for anything but the figures.
Figures are `<stage>.<metric>`, with 95 % bootstrap intervals; `gain_of_<source>` is the fusion minus the fusion without
that source.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from bodega.bench._judged import Judged, JudgedFiles, read_judged
from bodega.bench._stack import PLACE, Chosen, Stack, choose
from bodega.bench.result import BenchResult
from bodega.bench.search import PlainBm25
from bodega.evaluation import Case, Outcome, Ranked, Scorer, evaluate, intervals, metric, paired
from bodega.evaluation.graded import graded_ndcg
from bodega.protocols import NoProgress, Progress, Source
from bodega.ranking.per_query import Factors
from bodega.schema import Context, Item, Log, World
from bodega.schema.arrays import Doubles, Flags, Floats
from bodega.settings import Settings, Understand
from bodega.understanding.text.pretrained import best_installed
from bodega.wiring import parts_of

HELD_BACK: Final = 0.1
"""Share of the clicked queries that weights are fitted on."""
MOST_HELD: Final = 1_000
FEWEST_HELD: Final = 30


@dataclass(frozen=True, slots=True)
class JudgedOptions:
    """`encoder` and `beside` are settings of `understand`; `beside="auto"` takes an installed pretrained encoder."""

    files: JudgedFiles
    seed: int = 7
    encoder: str = "static"
    beside: str = "auto"
    teacher: str = "auto"
    clicks: bool = True
    """Use the click log, where there is one."""


def run(options: JudgedOptions, progress: Progress | None = None) -> BenchResult:
    """Run it. Raises BadFeed where a file cannot be read or joined."""
    began, progress = time.perf_counter(), progress or NoProgress()
    progress.start("read the files")
    judged = read_judged(options.files, options.seed)
    progress.finish()
    settings = _settings(options)
    log = judged.log if options.clicks else judged.log.where(np.zeros(len(judged.log), np.bool_))
    stack, chosen, held = _fitted(judged, log, settings, options.seed, progress)
    fusion = chosen.fusion()
    scorers = {"bm25": _bm25(judged), **stack.scorers(fusion)}
    heard = [name for name, weight in fusion.weights[PLACE.name].items() if weight > 0 and name in stack.sources]
    lesser = {name: stack.without(fusion, name) for name in heard if len(heard) > 1}
    outcomes = evaluate(
        {**scorers, **{f"without_{name}": scorer for name, scorer in lesser.items()}},
        judged.cases,
        len(judged.table),
        progress=progress,
    )
    figures, spans = _figures(judged, {name: outcomes[name] for name in scorers}, options.seed)
    more, widths = _gains(judged, outcomes, list(lesser), options.seed)
    return BenchResult(
        bench="search",
        data=f"{options.files.judgments.name}: {len(judged.cases):,} queries over {len(judged.table):,} items",
        seconds=round(time.perf_counter() - began, 1),
        figures=figures | more,
        intervals=spans | widths,
        facts=_facts(options, judged, settings, stack, chosen) | {"validation_queries": held},
        notes=_notes(held),
    )


def _settings(options: JudgedOptions) -> Settings:
    beside = best_installed() if options.beside == "auto" else options.beside
    chosen = Understand(
        encoder=options.encoder, beside="" if beside == "none" else beside, teacher=options.teacher, people=3
    )
    return Settings(understand=chosen)


def _fitted(judged: Judged, log: Log, settings: Settings, seed: int, progress: Progress) -> tuple[Stack, Chosen, int]:
    """Weights from queries that were held back, then everything learned from all clicks."""
    parts = parts_of(settings)
    until = float(log.time[-1]) + 1 if len(log) else 0.0
    ready: dict[str, Source] = {}
    kept, cases = _held_back(log, seed)
    chosen = Chosen(None, Factors())
    if cases:
        trial = Stack.fit(World(judged.table, log.where(kept), until), parts, ready, progress)
        chosen = choose(trial, cases, progress)
        ready = {name: source for name, source in trial.sources.items() if name in ("sentences", "intent")}
    stack = Stack.fit(World(judged.table, log, until), parts, ready, progress)
    return stack, chosen, len(cases)


def _held_back(log: Log, seed: int) -> tuple[Flags, list[Case]]:
    """(which events to learn from, one case a held-back query: what was clicked after it)."""
    asked = np.unique(log.query[(log.query >= 0) & (log.item >= 0)])
    size = min(MOST_HELD, int(len(asked) * HELD_BACK))
    if size < FEWEST_HELD:
        return np.ones(len(log), np.bool_), []
    held = np.sort(np.random.default_rng(seed).choice(asked, size, replace=False))
    mine = np.isin(log.query, held)
    cases = []
    for query in held.tolist():
        items = np.unique(log.item[(log.query == query) & (log.item >= 0)]).astype(np.int32)
        cases.append(Case(Context(place=PLACE.name, query=log.queries[query]), items))
    return ~mine, cases


def _bm25(judged: Judged) -> Scorer:
    plain = PlainBm25.of([Item(id=str(row), title=title) for row, title in enumerate(judged.table.titles)])

    def scores(context: Context) -> Floats:
        return plain.scores(context.query)

    return scores


def _values(judged: Judged, ranked: Ranked) -> dict[str, Doubles]:
    return {
        "ndcg@10": graded_ndcg(ranked, judged.gain, 10),
        "mrr": metric(ranked, "mrr"),
        "recall@100": metric(ranked, "recall@100"),
    }


def _figures(
    judged: Judged, outcomes: dict[str, Outcome], seed: int
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    figures: dict[str, float] = {}
    spans: dict[str, tuple[float, float]] = {}
    for name, outcome in outcomes.items():
        values = {f"{name}.{own}": value for own, value in _values(judged, outcome.masked).items()}
        figures |= {own: float(value.mean()) for own, value in values.items()}
        spans |= intervals(values, np.random.default_rng(seed))
    return figures, spans


def _gains(
    judged: Judged, outcomes: dict[str, Outcome], sources: Sequence[str], seed: int
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """The fusion against its baselines, and against itself without each source: paired differences of NDCG@10."""
    each = {name: _values(judged, outcome.masked)["ndcg@10"] for name, outcome in outcomes.items()}
    pairs = {f"fusion_over_{name}.ndcg@10": name for name in ("bm25", "lexical", "rrf")}
    pairs |= {f"gain_of_{name}.ndcg@10": f"without_{name}" for name in sources}
    figures, spans = {}, {}
    for name, other in pairs.items():
        gap = paired(each["fusion"], each[other], np.random.default_rng(seed))
        figures[name], spans[name] = gap.mean, (gap.low, gap.high)
    return figures, spans


def _facts(options: JudgedOptions, judged: Judged, settings: Settings, stack: Stack, chosen: Chosen) -> dict[str, Any]:
    return {
        **judged.facts,
        "seed": options.seed,
        "data_hash": judged.digest,
        "understand": msgspec.to_builtins(settings.understand),
        "encoders": stack.encoders(),
        "weights": chosen.fusion().weights[PLACE.name],
        "factors": chosen.factors.factors,
        "validation": (chosen.weighted.figures if chosen.weighted else {}) | chosen.factors.figures,
    }


def _notes(held: int) -> tuple[str, ...]:
    weights = (
        f"weights fitted on {held:,} clicked queries that were held back; their clicks were learned from afterwards"
        if held
        else "no click log to fit weights on: the default weights are served"
    )
    return (
        "full ranking of all items, average rank on ties, items shuffled; the gain of an item is its grade, unjudged 0",
        "mrr and recall@100 count every item with a grade above 0",
        weights,
    )
