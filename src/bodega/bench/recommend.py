"""How well is the next item guessed? Leave-last-out on public behaviour sequences, every item ranked for every shopper.

The last item of each shopper is the test, the one before it the validation. Weights of the fusion (and the choice
whether it is served at all) come from validation alone; then all sources learn again with the validation items, and the
test is ranked once. Papers do not learn again: the suffix `.strict` gives the same test with models that never saw a
validation item, to be compared with published figures. Item ids are shuffled with the seed, equal scores get their
average rank, items that the shopper has are masked (but for the suffix `.unmasked`), and nothing is sampled.
`fusion` ranks what is served: the union of 200 candidates a source; what no source proposes ties at the bottom.
Cost: Beauty (22,363 shoppers, 12,101 items) about 3 minutes on one core, most of it EASE.
Not for: claims about a live shop: leave-last-out lets models see what others did later (`bench basket` does not).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy import sparse

from bodega.bench._contest import Contest, Fused, Tally, fuse, slice_figures
from bodega.bench._sequences import Sequences, read_sequences
from bodega.bench.result import BenchResult
from bodega.errors import BadRequest
from bodega.evaluation import (
    Case,
    Outcome,
    Ranked,
    average_ranks,
    check_ids,
    check_no_leak,
    check_ties,
    evaluate,
    leave_last_out,
)
from bodega.protocols import NoProgress, Progress, Source
from bodega.retrieval.collaborative import Collaborative
from bodega.retrieval.content import Content
from bodega.retrieval.popular import Popular
from bodega.retrieval.repeat import Repeat
from bodega.retrieval.transition import Transition
from bodega.schema import Log, World
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


def run(options: RecommendOptions, progress: Progress | None = None) -> BenchResult:
    """Run it. Raises BadFeed for a folder that cannot be used, LeakFound where the evaluation could see its answers."""
    started, progress = time.perf_counter(), progress or NoProgress()
    _check(options)
    data = read_sequences(options.data, ties=options.ties, seed=options.seed)
    check_ids(data.first_seen())
    check_ties(average_ranks)
    log, cases = _split(data, 0, options)
    chosen, strict = _choose(data, options, cases, progress)
    outcomes = _judge(_fit(data, log, progress), chosen, cases, data, progress)
    tally = Tally(options.seed)
    for source, ranked in strict.items():
        tally.add(source, ranked, STRICT, ".strict")
    return _result(options, data, (log, cases, chosen), outcomes, tally, time.perf_counter() - started)


def _check(options: RecommendOptions) -> None:
    if options.ties not in TIES:
        raise BadRequest("no such way to treat ties", where="--ties", allowed=" or ".join(TIES), got=options.ties)
    if options.users is not None and options.users < 1:
        raise BadRequest("too few users to test", where="--users", allowed="1 or more", got=options.users)


def _split(data: Sequences, back: int, options: RecommendOptions) -> tuple[Log, list[Case]]:
    """(what may be learnt, the cases in seeded order, at most `users`), proved free of leaks.

    What a shopper already has is masked, unless in this data people take things again.
    """
    kept = [own for own in data.sequences if len(own) > back + 1]
    log, cases = leave_last_out(kept, back=back, mask_seen=not data.repeats)
    if not cases:
        raise BadRequest(
            "no shopper has enough items", where=str(options.data), allowed="at least 3 items for some shopper"
        )
    check_no_leak(log, cases)
    order = np.random.default_rng([options.seed, back]).permutation(len(cases))[: options.users]
    return log, [cases[row] for row in order]


def _fit(data: Sequences, log: Log, progress: Progress) -> list[Source]:
    world = World(data.items, log, until=float(log.time[-1]) + 60.0)
    fresh: list[Source] = [
        Popular(),
        Transition(),
        Collaborative(),
        Content(),
        *([Repeat()] if data.repeats else []),
    ]
    fitted = []
    for source in fresh:
        progress.start(f"learn {source.name}")
        fitted.append(source.fit(world))
        progress.finish()
    return fitted


def _choose(
    data: Sequences, options: RecommendOptions, test: list[Case], progress: Progress
) -> tuple[Fused, dict[str, Ranked]]:
    """Everything that is chosen is chosen here, on validation; then how models this old do on the test cases."""
    log, cases = _split(data, 1, options)
    sources = _fit(data, log, progress)
    chosen = fuse("home", sources, cases, progress)
    outcomes = _judge(sources, chosen, test, data, progress)
    return chosen, {source: outcome.masked for source, outcome in outcomes.items()}


def _judge(
    sources: list[Source], chosen: Fused, cases: list[Case], data: Sequences, progress: Progress
) -> dict[str, Outcome]:
    contest = Contest(sources, chosen.fusion(), len(data.items))
    scorers = contest.scorers()
    if data.repeats:
        return evaluate({**scorers, "fusion": contest.served}, cases, len(data.items), progress=progress)
    scorers = {**scorers, "fusion": contest.fresh, "unmasked": contest.served}
    outcomes = evaluate(scorers, cases, len(data.items), progress=progress)
    unmasked = outcomes.pop("unmasked").unmasked
    outcomes["fusion"] = Outcome(outcomes["fusion"].masked, unmasked, outcomes["fusion"].lists)
    return outcomes


def _result(
    options: RecommendOptions,
    data: Sequences,
    trained: tuple[Log, list[Case], Fused],
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
        tally.compare("fusion_vs_best", outcomes["fusion"].masked, outcomes[chosen.best].masked, name)
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


def _facts(options: RecommendOptions, data: Sequences, chosen: Fused, n_cases: int) -> dict[str, Any]:
    return {
        "hash": data.digest,
        "seed": options.seed,
        "ties": options.ties,
        "users": len(data.sequences),
        "items": len(data.items),
        "events": data.n_events,
        "cases": n_cases,
        "best_single": chosen.best,
        "chosen": chosen.weighted.chosen,
        "weights": chosen.weighted.weights,
        "validation": chosen.weighted.figures,
        "ablation": chosen.ablation,
    }


def _notes(options: RecommendOptions, data: Sequences, chosen: Fused) -> tuple[str, ...]:
    masked = "nothing is masked (people take things again here)" if data.repeats else "what a shopper has is masked"
    notes = [
        f"leave-last-out, full ranking over {len(data.items):,} items, ids shuffled, average rank on ties; {masked}",
        chosen.note(),
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
