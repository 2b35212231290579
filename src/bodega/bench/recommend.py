"""How well is the next item guessed? Leave-last-out on public behaviour sequences, every item ranked for every shopper.

The last item of each shopper is the test, the one before it the validation. Weights of the fusion (and the choice
whether it is served at all) come from validation alone; then all sources learn again with the validation items, and the
test is ranked once. Papers do not learn again: the suffix `.strict` gives the same test with models that never saw a
validation item, to be compared with published figures. Item ids are shuffled with the seed, equal scores get their
average rank, items that the shopper has are masked (but for the suffix `.unmasked`), and nothing is sampled.
`fusion` and `ranked` rank what is served: the union of 200 candidates a source; what no source proposes ties at the
bottom. `ranked` is the learned ranker where validation says that it surely beats the sum, else the sum.
Cost: Beauty (22,363 shoppers, 12,101 items): see `training.cpu_s`, and as much again to judge.
Not for: claims about a live shop: leave-last-out lets models see what others did later (`bench basket` does not).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy import sparse

from bodega.bench._choice import MOST, Choice, choose
from bodega.bench._contest import Contest, Tally, slice_figures
from bodega.bench._models import Fitted
from bodega.bench._sequences import Sequences, read_sequences
from bodega.bench.result import BenchResult
from bodega.errors import BadRequest
from bodega.evaluation import (
    Case,
    Outcome,
    Ranked,
    average_ranks,
    check_ids,
    check_ties,
    evaluate,
)
from bodega.protocols import NoProgress, Progress
from bodega.schema import Log
from bodega.schema.arrays import Flags

TIES: Final = ("file", "shuffled")
METRICS: Final = ("ndcg@5", "ndcg@10", "recall@5", "recall@10", "hit@5", "hit@10", "precision@10", "mrr", "auc")
UNMASKED: Final = ("ndcg@5", "ndcg@10", "recall@5", "recall@10", "hit@10", "mrr", "auc")
STRICT: Final = ("ndcg@5", "ndcg@10", "recall@5", "recall@10")
SLICED: Final = ("ndcg@10", "recall@10", "mrr")
RARE: Final = 5
"""A target with fewer training events than this is in the slice of rare targets."""

PUBLISHED: Final[dict[tuple[int, int], str]] = {
    (22_363, 12_101): "SASRec R@10 .0605 N@10 .0318, S3-Rec .0647 / .0327 (Zhou et al. 2020), TIGER .0648 / .0384 "
    "(Rajput et al. 2023)",
    (35_598, 18_357): "TIGER N@10 .0225 (Rajput et al. 2023)",
}
"""{(users, items): what papers report on this file with this protocol, file order of ties}."""


@dataclass(frozen=True, slots=True)
class RecommendOptions:
    """`ties="shuffled"` undoes what a sort by ASIN may have ordered; `users` tests a seeded draw of that many."""

    data: Path
    ties: str = "file"
    seed: int = 7
    users: int | None = None
    models: str = "fast"
    """`fast` needs no torch, `all` compares everything."""


def run(options: RecommendOptions, progress: Progress | None = None) -> BenchResult:
    """Run it. Raises BadFeed for a folder that cannot be used, LeakFound where the evaluation could see its answers."""
    started, progress = time.perf_counter(), progress or NoProgress()
    _check(options)
    data = read_sequences(options.data, ties=options.ties, seed=options.seed)
    check_ids(data.first_seen())
    check_ties(average_ranks)
    log, cases = data.held_out(0, options.seed, options.users)
    tally = Tally(options.seed)
    with tempfile.TemporaryDirectory(prefix="bodega-bench-") as folder:
        chosen, strict, spent = _choose(data, options, cases, Path(folder), progress)
        fitted = _fit(data, log, options, progress, Path(folder))
    outcomes = _judge(fitted, chosen, cases, data, progress)
    tally.figures |= {f"{source}.fit_cpu_s": seconds for source, seconds in fitted.spent.items()}
    tally.figures["training.cpu_s"] = spent + sum(fitted.spent.values())
    for source, ranked in strict.items():
        tally.add(source, ranked, STRICT, ".strict")
    return _result(options, data, (log, cases, chosen), outcomes, tally, time.perf_counter() - started)


def _check(options: RecommendOptions) -> None:
    if options.ties not in TIES:
        raise BadRequest("no such way to treat ties", where="--ties", allowed=" or ".join(TIES), got=options.ties)
    if options.users is not None and options.users < 1:
        raise BadRequest("too few users to test", where="--users", allowed="1 or more", got=options.users)


def _fit(data: Sequences, log: Log, options: RecommendOptions, progress: Progress, old: Path | None = None) -> Fitted:
    """`old`: what was kept of the sources that learned from less, to start from."""
    return Fitted.on(data.world(log), options.models, progress, old, repeats=data.repeats)


def _choose(
    data: Sequences, options: RecommendOptions, test: list[Case], kept: Path, progress: Progress
) -> tuple[Choice, dict[str, Ranked], float]:
    """Everything that is chosen is chosen here, on validation; then how models this old do on the test cases; and the
    CPU seconds that learning took. What later models may start from is kept in the folder."""
    log, cases = data.held_out(1, options.seed, MOST)  # as many as a ranker learns from, however few are tested
    began = time.process_time()
    old = _fit(data, log, options, progress)
    chosen = choose("home", old, cases, progress)
    spent = time.process_time() - began
    old.keep(kept)
    outcomes = _judge(old, chosen, test, data, progress)
    return chosen, {source: outcome.masked for source, outcome in outcomes.items()}, spent


def _judge(
    fitted: Fitted, chosen: Choice, cases: list[Case], data: Sequences, progress: Progress
) -> dict[str, Outcome]:
    contest = Contest(fitted.sources, len(data.items))
    stages = chosen.stages(fitted)
    scorers = contest.scorers()
    if data.repeats:
        served = {name: contest.served(stage) for name, stage in stages.items()}
        return evaluate({**scorers, **served}, cases, len(data.items), progress=progress)
    anew = {name: contest.fresh(stage) for name, stage in stages.items()}
    again = {f"{name} unmasked": contest.served(stage) for name, stage in stages.items()}
    outcomes = evaluate({**scorers, **anew, **again}, cases, len(data.items), progress=progress)
    for name in stages:
        unmasked = outcomes.pop(f"{name} unmasked").unmasked
        outcomes[name] = Outcome(outcomes[name].masked, unmasked, outcomes[name].lists)
    return outcomes


def _result(
    options: RecommendOptions,
    data: Sequences,
    trained: tuple[Log, list[Case], Choice],
    outcomes: Mapping[str, Outcome],
    tally: Tally,
    seconds: float,
) -> BenchResult:
    log, cases, chosen = trained
    counts = np.bincount(log.item, minlength=len(data.items))
    for source, outcome in outcomes.items():
        tally.add(source, outcome.masked, METRICS)
        tally.add(source, outcome.unmasked, UNMASKED, ".unmasked")
        tally.add_lists(source, outcome.lists, counts, log.n_users)
    for name in ("ndcg@10", "recall@10"):
        tally.compare("fusion_vs_best", outcomes["fusion"].masked, outcomes[chosen.fused.best].masked, name)
        tally.compare("ranked_vs_best", outcomes["ranked"].masked, outcomes[chosen.fused.best].masked, name)
        tally.compare("ranked_vs_fusion", outcomes["ranked"].masked, outcomes["fusion"].masked, name)
    ranked = outcomes["fusion"].masked
    rare, strangers = counts[ranked.item] < RARE, _strangers(log, cases, len(data.items))
    slices = {
        f"target has < {RARE} events": rare,
        f"target has >= {RARE} events": ~rare,
        "target never with the history": strangers,
        "target seen with the history": ~strangers,
    }
    return BenchResult(
        bench="recommend",
        data=str(options.data),
        seconds=round(seconds, 1),
        figures=tally.figures,
        intervals=tally.intervals,
        slices={name: slice_figures(outcomes, SLICED, keep) for name, keep in slices.items()},
        facts=_facts(options, data, chosen, len(cases)),
        notes=_notes(options, data, chosen),
    )


def _strangers(log: Log, cases: list[Case], n_items: int) -> Flags:
    """Which targets no training shopper had together with anything of the case's history: bool, (n_pairs,)."""
    held = sparse.csr_matrix((np.ones(len(log), np.int8), (log.user, log.item)), (log.n_users, n_items))
    holders = held.T.tocsr()
    flags = []
    for case in cases:
        known = np.zeros(n_items, np.bool_)
        known[case.context.history] = True
        for item in case.relevant:
            users = holders.indices[holders.indptr[item] : holders.indptr[item + 1]]
            flags.append(not known[held[users].indices].any())
    return np.array(flags, np.bool_)


def _facts(options: RecommendOptions, data: Sequences, chosen: Choice, n_cases: int) -> dict[str, Any]:
    fused = chosen.fused
    return {
        "hash": data.digest,
        "seed": options.seed,
        "ties": options.ties,
        "users": len(data.sequences),
        "items": len(data.items),
        "events": data.n_events,
        "cases": n_cases,
        "models": options.models,
        "best_single": fused.best,
        "chosen": fused.weighted.chosen,
        "weights": fused.weighted.weights,
        "validation": fused.weighted.figures,
        "ablation": fused.ablation,
        "ranker": chosen.ranked.figures,
    }


def _notes(options: RecommendOptions, data: Sequences, chosen: Choice) -> tuple[str, ...]:
    masked = "nothing is masked (people take things again here)" if data.repeats else "what a shopper has is masked"
    notes = [
        f"leave-last-out, full ranking over {len(data.items):,} items, ids shuffled, average rank on ties; {masked}",
        *chosen.notes(),
        "ranked: what is served, the fusion or, where it surely is better, the learned ranker over its head",
    ]
    if not data.repeats:
        notes.append("repeat: left out, nobody takes an item twice in this data")
    if options.users is not None:
        notes.append(f"tested on a seeded draw of {options.users:,} shoppers; all others are trained on")
    if options.ties == "shuffled":
        share = data.moved / data.n_events
        notes.append(
            f"ties shuffled: every run of neighbours in ascending {data.tie_key} order was shuffled before the split "
            f"({share:.0%} of events stand in one); that also undoes true order between days and makes "
            "another item the last, so compare models with each other here, not with file order"
        )
    else:
        notes.append(
            "file order: purchases of one day stand in ASIN order, which flatters transition; see --ties shuffled"
        )
        known = PUBLISHED.get((len(data.sequences), len(data.items)))
        if known:
            notes.append(f"published on this file (to be compared with .strict): {known}")
    return tuple(notes)
