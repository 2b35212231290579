"""Is it any better than what one could install instead? `implicit`, RecTools and LensKit on the same questions.

Two questions: the next item (leave-last-out on public sequences) and the next basket of a supermarket (cut by global
time). Everybody learns from the same rows and ranks the whole catalog for the same cases; places, metrics and intervals
are computed here, by one code, from the scores that a model writes down (`bodega.evaluation`: average rank on ties,
what the shopper has left out unless people take things again). Each model is a process of its own with one thread: CPU
and wall seconds of learning, peak memory, and the time of its own `recommend` for one shopper and ten items.
Peers run with their documented defaults and with the best of a few settings on validation (`-tuned`, only where another
than the default won). Bodega's models run with their defaults: they were chosen on validation before, and not here.
A peer that is not installed, runs out of memory or out of time is named in the notes, and the bench goes on.
Cost: an hour on one core; `peers=` and `users=` make it less. Not for: speed under load (`bench serve`).
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from bodega.bench import _peer_process as process
from bodega.bench._contest import Tally
from bodega.bench._peer_entrants import ENTRANTS, Entrant, Settings, chosen_from
from bodega.bench._peer_tasks import BASKET, ITEM, Task, TaskSpec, build, write_rows
from bodega.bench.result import BenchResult
from bodega.errors import BadFeed, BadRequest, MissingExtra
from bodega.evaluation import Outcome, evaluate, metric
from bodega.protocols import NoProgress, Progress

METRICS: Final = {ITEM: ("ndcg@10", "recall@10", "mrr"), BASKET: ("ndcg@10", "recall@10", "recall@20")}
SUFFIX: Final = {ITEM: "", BASKET: ".basket"}
APART: Final = ("recall@10",)
BY: Final = "ndcg@10"
OWN_BEST: Final = ("bodega-served-all", "bodega-served-fast")


@dataclass(frozen=True, slots=True)
class PeersOptions:
    """`data`: a folder with sequences.txt; `market`: the supermarket's folder, None for the installed package."""

    data: Path
    market: Path | None = None
    seed: int = 7
    users: int | None = None
    """Test a seeded draw of so many; None: all."""
    peers: tuple[str, ...] = ()
    """Names, or beginnings of names, of who takes part; empty: everybody."""
    tasks: tuple[str, ...] = (ITEM, BASKET)
    tune_users: int = 1_500
    """Validation cases that a setting is judged by; 0: nobody is tuned."""
    limit_seconds: float = 1_800.0
    """Wall time that one process may take."""
    memory_gb: float = 12.0
    """Address space that one process may take."""
    requests: int = 200
    environments: Path = process.ENVIRONMENTS


@dataclass(slots=True)
class _Bench:
    """One run so far."""

    options: PeersOptions
    entrants: tuple[Entrant, ...]
    progress: Progress
    folder: Path
    tally: Tally
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, eq=False)
class _Desk:
    """A task with its rows on disk."""

    task: Task
    rows: Path


def run(options: PeersOptions, progress: Progress | None = None) -> BenchResult:
    """Run it. Raises BadFeed for a folder that cannot be used, BadRequest for peers or tasks that do not exist."""
    started = time.perf_counter()
    entrants = chosen_from(ENTRANTS, options.peers)
    _check(options)
    with tempfile.TemporaryDirectory(prefix="bodega-peers-") as folder:
        bench = _Bench(options, entrants, progress or NoProgress(), Path(folder), Tally(options.seed))
        for kind in options.tasks:
            _run_task(bench, kind)
    return BenchResult(
        bench="peers",
        data=str(options.data),
        seconds=round(time.perf_counter() - started, 1),
        figures=bench.tally.figures,
        intervals=bench.tally.intervals,
        facts={"seed": options.seed, "threads": 1, **bench.facts},
        notes=tuple(bench.notes),
    )


def _check(options: PeersOptions) -> None:
    for kind in options.tasks:
        if kind not in SUFFIX:
            raise BadRequest("no such task", where="--tasks", allowed=", ".join(SUFFIX), got=kind)
    if options.users is not None and options.users < 1:
        raise BadRequest("too few users to test", where="--users", allowed="1 or more", got=options.users)


def _run_task(bench: _Bench, kind: str) -> None:
    """Everybody on one task."""
    options = bench.options
    folder = str(options.data) if kind == ITEM else str(options.market or "")
    test = TaskSpec(kind, folder, options.seed, validation=False, limit=options.users or 0)
    bench.progress.start(f"read the data ({kind})")
    try:
        task = build(test)
    except (BadFeed, MissingExtra) as error:
        if kind == ITEM:
            raise
        bench.notes.append(f"{kind}: left out, {error.what} ({error.next or error.where})")
        return
    finally:
        bench.progress.finish()
    bench.notes.append(_described(task))
    bench.facts[f"{kind}.hash"] = task.digest
    desk = _Desk(task, write_rows(task, bench.folder / kind / "test"))
    tuned = msgspec.structs.replace(test, validation=True, limit=options.tune_users)
    trial = _Desk(build(tuned), bench.folder / kind / "validation") if options.tune_users else None
    if trial is not None:
        write_rows(trial.task, trial.rows)
    outcomes: dict[str, Outcome] = {}
    for entrant in (own for own in bench.entrants if kind in own.settings):
        for name, settings in _who(bench, entrant, trial, kind):
            outcome = _judged(bench, name, entrant, settings, desk)
            if outcome is not None:
                outcomes[name] = outcome
                _add(bench.tally, name, outcome, desk.task)
    _compare(bench, outcomes, kind)


def _described(task: Task) -> str:
    log, masked = task.world.log, "nothing masked" if task.repeats else "what a shopper has is masked"
    asked = {ITEM: "next item, leave-last-out", BASKET: "next basket, cut by global time"}[task.spec.kind]
    return (
        f"{task.spec.kind}: {asked}; {len(log):,} events of {log.n_users:,} shoppers to learn from, "
        f"{len(task.cases):,} cases, full ranking over {len(task.world.items):,} items, average rank on ties, {masked}"
    )


def _who(bench: _Bench, entrant: Entrant, trial: _Desk | None, kind: str) -> Iterator[tuple[str, Settings]]:
    """(name, settings) of the rows that an entrant gets: its defaults, and what won on validation if another."""
    if process.python_of(entrant.library, bench.options.environments) is None:
        if entrant.library not in bench.missing:
            bench.missing.add(entrant.library)
            bench.notes.append(f"{entrant.library}: left out, not installed; next: {process.INSTALL}")
        return
    default, *others = entrant.settings[kind]
    tried = [default, *others]
    if bench.options.limit_seconds >= entrant.default_seconds:
        yield entrant.name, default
    else:
        tried = others
        bench.notes.append(
            f"{entrant.name} ({kind}): its defaults are left out, they need more than "
            f"{bench.options.limit_seconds:,.0f} s on one thread; next: "
            f"PeersOptions(limit_seconds={entrant.default_seconds:.0f})"
        )
    if trial is not None and others:
        best = _best(bench, entrant, tried, trial)
        if best is not None and best != default:
            yield f"{entrant.name}-tuned", best
    elif default not in tried:
        bench.notes.append(f"{entrant.name} ({kind}): not tuned; {_shown(tried[0])}")
        yield f"{entrant.name}-small", tried[0]


def _best(bench: _Bench, entrant: Entrant, tried: Sequence[Settings], trial: _Desk) -> Settings | None:
    """What does best on validation, the first among equals; None where nothing gave an answer."""
    kind, found = trial.task.spec.kind, []
    for settings in tried:
        outcome = _judged(bench, f"{entrant.name} {_shown(settings)} (validation)", entrant, settings, trial)
        if outcome is not None:
            found.append((float(metric(outcome.masked, BY).mean()), settings))
    if not found:
        return None
    shown = ", ".join(f"{_shown(settings)} {value:.4f}" for value, settings in found)
    best = max(found, key=lambda pair: pair[0])[1]
    bench.notes.append(f"{entrant.name} ({kind}): validation {BY}: {shown}")
    bench.facts[f"{kind}.{entrant.name}.tuned"] = best
    return best


def _shown(settings: Settings) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.items()) or "defaults"


def _judged(bench: _Bench, name: str, entrant: Entrant, settings: Settings, desk: _Desk) -> Outcome | None:
    """Run it in its process, judge what it said; costs go to the tally, a failure to the notes."""
    options, task = bench.options, desk.task
    out = Path(tempfile.mkdtemp(dir=bench.folder)) / "out"
    own = {"task": msgspec.to_builtins(task.spec)} if entrant.library == process.OWN else {}
    job = process.Job(
        model=entrant.model, options={**settings, **own}, seed=options.seed, n_users=task.world.log.n_users,
        n_items=len(task.world.items), hide=not task.repeats, depth=process.DEPTH, requests=options.requests,
        memory_gb=options.memory_gb, data=str(desk.rows), out=str(out),
    )  # fmt: skip
    bench.progress.start(name)
    try:
        report = process.ask(entrant.library, job, options.limit_seconds, options.environments)
        scorer = process.answers(out, job.n_items)
        outcome = evaluate({name: scorer}, task.cases, job.n_items)[name]
    except process.Failed as failed:
        bench.notes.append(f"{name} ({task.spec.kind}): failed, {failed}")
        return None
    finally:
        bench.progress.finish()
        shutil.rmtree(out.parent, ignore_errors=True)
    if not task.spec.validation:
        _add_costs(bench, name, report, SUFFIX[task.spec.kind])
        bench.notes += [f"{name} ({task.spec.kind}): {note}" for note in report.notes]
    return outcome


def _add_costs(bench: _Bench, name: str, report: process.Report, suffix: str) -> None:
    p50, p99, busy = process.latency(report)
    costs = {
        "train_cpu_s": report.train_cpu_s,
        "train_wall_s": report.train_wall_s,
        "memory_mb": report.memory_mb,
        "request_p50_ms": p50,
        "request_p99_ms": p99,
        "request_cpu_ms": busy,
    }
    bench.tally.figures.update({f"{name}.{cost}{suffix}": value for cost, value in costs.items()})
    bench.facts[f"version.{report.library}"] = report.version


def _add(tally: Tally, name: str, outcome: Outcome, task: Task) -> None:
    kind = task.spec.kind
    tally.add(name, outcome.masked, METRICS[kind], SUFFIX[kind])
    if kind == BASKET:
        before = np.concatenate([np.isin(case.relevant, case.context.history) for case in task.cases])
        tally.add(name, outcome.masked.only(before), APART, ".basket-repeat")
        tally.add(name, outcome.masked.only(~before), APART, ".basket-explore")


def _compare(bench: _Bench, outcomes: dict[str, Outcome], kind: str) -> None:
    """Bodega's best against the best of the others, paired. "Best" of the others is by the test: the hardest rival."""
    own = next((name for name in OWN_BEST if name in outcomes), None)
    others = {name: outcome for name, outcome in outcomes.items() if not name.startswith(process.OWN)}
    if own is None or not others:
        return
    rival = max(others, key=lambda name: float(metric(others[name].masked, BY).mean()))
    bench.tally.compare(f"{own}_vs_{rival}", outcomes[own].masked, others[rival].masked, BY, SUFFIX[kind])


def names() -> Sequence[str]:
    """Everybody who can take part."""
    return [entrant.name for entrant in ENTRANTS]
