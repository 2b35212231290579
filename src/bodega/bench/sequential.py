"""Which encoder, and which of its options, earn their place? Each trained on the same log, judged on the same cases.

Validation only (leave-last-out, the last but one item): by default on every third shopper and half the epochs, with
`full` on all of them with the options as shipped, and then also what the fusion gains from the source and, once, the
test (`.strict`: learned without the validation items, as papers do). Every variant is the default with one thing
changed, `gain.<variant>` its paired difference in NDCG@10. `popular` and `transition` stand beside. CPU seconds are
those of the whole process; `ms` is one request with a history of 50, all items scored.
Cost: Beauty about 6 CPU minutes, `full` about 30. Not for: choosing on test data.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from bodega.bench._contest import Fused, Tally, fuse
from bodega.bench._sequences import Sequences, read_sequences
from bodega.bench.result import BenchResult
from bodega.errors import BadRequest
from bodega.evaluation import Case, Outcome, Scorer, evaluate, leave_last_out
from bodega.protocols import NoProgress, Progress, Source, Training
from bodega.retrieval.collaborative import Collaborative
from bodega.retrieval.content import Content
from bodega.retrieval.popular import Popular
from bodega.retrieval.sequential import Sequential, SequentialOptions
from bodega.retrieval.transition import Transition
from bodega.schema import Context, World
from bodega.schema.arrays import Ints

METRICS: Final = ("ndcg@5", "ndcg@10", "recall@5", "recall@10", "mrr")
SHARE: Final = 3
"""Without `full`: one shopper in so many is learned from and judged."""

TRIAL_EPOCHS: Final = 8
"""Epochs without `full`."""

ASKED: Final = 200
"""Requests that are timed."""

VARIANTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "gru": {"encoder": "gru"},
    "cnn": {"encoder": "cnn"},
    "hstu": {"encoder": "hstu"},
    "noise_start": {"svd": 0.0},
    "no_attributes": {"attributes": False},
    "no_titles": {"titles": 0},
    "negatives_2048": {"negatives": 2_048},
    "logq": {"correction": 1.0},
    "popular_negatives": {"popular": 0.5},
    "popular_negatives_logq": {"popular": 0.5, "correction": 1.0},
    "masked": {"masked": 0.3},
    "contrast": {"contrast": 0.1},
    "adversarial": {"adversarial": 0.5},
    "early_stopping": {"patience": 2},
}
"""{variant: what differs from the default}; `warm` (a second training from the first one's snapshot) comes on top."""

WARM: Final = "warm"
HALF: Final = 0.5
"""Share of the epochs that a warm start gets here."""


@dataclass(frozen=True, slots=True)
class SequentialBenchOptions:
    """`only`: these variants (names of `VARIANTS`, or `warm`) instead of all; the default is always trained."""

    data: Path
    full: bool = False
    only: tuple[str, ...] | None = None
    seed: int = 7


def run(options: SequentialBenchOptions, progress: Progress | None = None) -> BenchResult:
    """Run it. Raises BadFeed for a folder that cannot be used, BadRequest, MissingExtra without torch."""
    started, progress = time.perf_counter(), progress or NoProgress()
    names = _chosen(options)
    data = read_sequences(options.data, seed=options.seed)
    trial = _Trial.of(data, options)
    default = trial.default
    sources: dict[str, Source] = {"popular": Popular().fit(trial.world), "transition": Transition().fit(trial.world)}
    tally = Tally(options.seed)
    sequential = sources["sequential"] = trial.trained(tally, "sequential", default, progress)
    for name in names:
        if name == WARM:
            sources[name] = trial.warm(tally, progress)
        else:
            sources[name] = trial.trained(tally, name, _changed(default, VARIANTS[name]), progress)
    outcomes = _judged(sources, trial.cases, len(data.items), progress)
    for name, outcome in outcomes.items():
        tally.add(name, outcome.masked, METRICS)
    for name in ("transition", *names):
        tally.compare(f"gain.{name}", outcomes[name].masked, outcomes["sequential"].masked, "ndcg@10")
    fused: tuple[Fused, ...] = ()
    if options.full:
        _strict(tally, sources, data, progress)
        fused = _fused(tally, trial, sequential, progress)
    return BenchResult(
        bench="sequential",
        data=str(options.data),
        seconds=round(time.perf_counter() - started, 1),
        figures=tally.figures,
        intervals=tally.intervals,
        facts={
            "hash": data.digest,
            "seed": options.seed,
            "full": options.full,
            "users": len(trial.sequences),
            "items": len(data.items),
            "cases": len(trial.cases),
            "options": msgspec.to_builtins(default),
        },
        notes=(*_notes(options, trial), *(choice.note() for choice in fused)),
    )


def _chosen(options: SequentialBenchOptions) -> tuple[str, ...]:
    allowed = (*VARIANTS, WARM)
    names = allowed if options.only is None else options.only
    for name in names:
        if name not in allowed:
            raise BadRequest("no such variant", where="--only", allowed=", ".join(allowed), got=name)
    return tuple(names)


def _changed(default: SequentialOptions, changes: Mapping[str, Any]) -> SequentialOptions:
    return msgspec.convert({**msgspec.to_builtins(default), **changes}, SequentialOptions)


@dataclass(frozen=True, eq=False)
class _Trial:
    """The log that everything learns from, and the cases that everything is judged on."""

    data: Sequences
    sequences: list[Ints]
    world: World
    cases: list[Case]
    default: SequentialOptions

    @classmethod
    def of(cls, data: Sequences, options: SequentialBenchOptions) -> _Trial:
        sequences = data.sequences if options.full else data.sequences[::SHARE]
        default = SequentialOptions(seed=options.seed)
        if not options.full:
            default = msgspec.structs.replace(default, epochs=TRIAL_EPOCHS)
        log, cases = data.held_out(1, options.seed, among=sequences)
        return cls(data, sequences, data.world(log), cases, default)

    def trained(self, tally: Tally, name: str, options: SequentialOptions, progress: Progress) -> Sequential:
        """A source with these options; what it cost goes into the figures."""
        return self._fitted(tally, name, options, Training(progress=_Named(progress, name)))

    def warm(self, tally: Tally, progress: Progress) -> Sequential:
        """What comes of a shop that learned when each shopper's newest item was not there yet, and learns again."""
        older, _ = leave_last_out([own for own in self.sequences if len(own) > 3], back=2)
        options = msgspec.structs.replace(self.default, warm=HALF)
        before = Sequential(options)
        before.training = Training(progress=_Named(progress, "before warm"))
        before.fit(self.data.world(older))
        with tempfile.TemporaryDirectory(prefix="bodega-warm-") as folder:
            before.save(Path(folder))
            training = Training(progress=_Named(progress, WARM), previous=Path(folder), known=self.data.items)
            return self._fitted(tally, WARM, options, training)

    def _fitted(self, tally: Tally, name: str, options: SequentialOptions, training: Training) -> Sequential:
        source = Sequential(options)
        source.training = training
        started = time.process_time()
        source.fit(self.world)
        tally.figures[f"{name}.cpu_s"] = round(time.process_time() - started, 1)
        tally.figures[f"{name}.ms"] = _milliseconds(source, len(self.data.items))
        return source


class _Named:
    """Progress that says which variant is trained."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress, self._name = progress, name

    def start(self, task: str, total: float | None = None) -> None:
        self._progress.start(f"{self._name}: {task}", total)

    def advance(self, amount: float = 1.0) -> None:
        self._progress.advance(amount)

    def finish(self) -> None:
        self._progress.finish()


def _milliseconds(source: Sequential, n_items: int) -> float:
    """CPU time of one request: a history of 50, every item scored, the best 200 listed. The median of many."""
    rng, took = np.random.default_rng(1), []
    for _ in range(ASKED):
        history = rng.integers(0, n_items, 50).astype(np.int32)
        context = Context(history=history, times=np.arange(50, dtype=np.float64) * 1e4, actions=np.full(50, 3, np.int8))
        started = time.thread_time()
        source.retrieve(context, 200)
        took.append(time.thread_time() - started)
    return round(1e3 * float(np.median(took)), 3)


def _judged(sources: Mapping[str, Source], cases: list[Case], n_items: int, progress: Progress) -> dict[str, Outcome]:
    everything = np.arange(n_items, dtype=np.int32)

    def scorer(source: Source) -> Scorer:
        return lambda context: source.score(context, everything)

    return evaluate({name: scorer(source) for name, source in sources.items()}, cases, n_items, progress=progress)


def _strict(tally: Tally, sources: Mapping[str, Source], data: Sequences, progress: Progress) -> None:
    """The test, for the baselines and the default only: what was learned without the validation items."""
    kept = [own for own in data.sequences if len(own) > 1]
    _, cases = leave_last_out(kept, mask_seen=not data.repeats)
    held = {name: sources[name] for name in ("popular", "transition", "sequential")}
    for name, outcome in _judged(held, cases, len(data.items), progress).items():
        tally.add(name, outcome.masked, METRICS, ".strict")


def _fused(tally: Tally, trial: _Trial, sequential: Sequential, progress: Progress) -> tuple[Fused, ...]:
    """Validation NDCG@10 of the fusion without and with the source: `without.fused` and `with.fused`."""
    others: list[Source] = [Popular(), Transition(), Collaborative(), Content()]
    for source in others:
        source.fit(trial.world)
    order = np.random.default_rng(tally.seed).permutation(len(trial.cases))
    cases = [trial.cases[row] for row in order]
    found = (fuse("home", others, cases, progress), fuse("home", [*others, sequential], cases, progress))
    for name, choice in zip(("without", "with"), found, strict=True):
        tally.figures[f"{name}.fused"] = choice.weighted.figures.get("fusion.crossfit", 0.0)
    return found


def _notes(options: SequentialBenchOptions, trial: _Trial) -> tuple[str, ...]:
    how = "all shoppers" if options.full else f"every {SHARE}rd shopper, {TRIAL_EPOCHS} epochs"
    return (
        f"validation, leave-last-out, full ranking over {len(trial.data.items):,} items, {how}; "
        "each variant is the default with one thing changed, gain.<variant> is paired with the default",
        "warm: learned from the log without each shopper's newest item, then again from there with "
        f"{HALF:.0%} of the epochs",
    )
