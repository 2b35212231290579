"""How are the dials turned? Optuna's TPE proposes, the folds judge, and a window that the search never saw decides.

Today's settings are the first trial, so nothing is proposed that was not measured against them. Afterwards each changed
dial is turned back where that costs nothing, so that the diff is as small as its gain allows. Then the diff meets the
confirming window once, and its gain there is told with a paired 95 % interval over the same cases.
The study lies in the shop's folder (SQLite): a search that was stopped goes on where it was, and every trial draws from
its own seed, so that stopping changes nothing. A changed log, catalog or setting begins a study of its own.
Cost: see `trying`. Paper: Akiba et al. 2019 (Optuna); Bergstra et al. 2011 (TPE).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bodega.engine.tuning.dials import DIALS, Change, Dial, changes
from bodega.engine.tuning.trying import METRIC, PartsFor, Trying
from bodega.engine.tuning.windows import windows
from bodega.errors import BadRequest, MissingExtra
from bodega.evaluation import paired
from bodega.protocols import NoProgress, Progress
from bodega.schema import World
from bodega.schema.arrays import Doubles
from bodega.settings import Settings

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

STUDY = "tuning.db"
"""File of a shop's folder; may be deleted, the next search then begins anew."""

COSTS_NOTHING = 0.001
"""A dial is turned back where that lowers the search figure by less than this part of it."""


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """The budget and the draw: whichever of `trials` and `minutes` is used up first ends the search."""

    trials: int = 40
    """Trials of the study in all, those of an earlier run of the same study included."""
    minutes: float = 0.0
    """0: as long as the trials take."""
    folds: int = 3
    cases: int = 300
    """Cases a place and window."""
    seed: int = 7
    dials: tuple[Dial, ...] = DIALS


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was found. `gain` is on the confirming window; nothing of it was used to find the diff."""

    trials: int
    diff: tuple[Change, ...]
    gain: tuple[float, float, float]
    """(mean, low, high): NDCG@10 with the diff minus without, the same cases, 95 %."""
    before: float
    after: float
    """NDCG@10 on the confirming window."""
    sure: bool
    """Is the interval above 0?"""
    verdict: str
    places: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """The gain place by place."""
    searched: tuple[float, float] = (0.0, 0.0)
    """The search figure before and after: optimistic, because it was climbed."""
    cases: int = 0
    windows: dict[str, tuple[float, float]] = field(default_factory=dict)
    """{window: (start, end)}, seconds since 1970."""
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def tune(
    whole: World,
    settings: Settings,
    parts_for: PartsFor,
    folder: Path,
    options: TuneOptions = TuneOptions(),
    progress: Progress | None = None,
) -> Tuned:
    """Search, confirm, tell. Changes nothing. Raises MissingExtra (optuna), BadRequest (no time in the log, too few
    cases), LeakFound."""
    started = time.perf_counter()
    needs_optuna()
    _check(options)
    progress = progress or NoProgress()
    cuts = windows(whole.log, settings, options.folds)
    trying = Trying(whole, cuts, settings, parts_for, options.dials, options.cases)
    if not trying.places:
        raise BadRequest(
            "too little happened in each window to tell settings apart",
            where="bodega tune",
            allowed="30 cases in each of the folds and the confirming window, for some list",
            got=f"{len(whole.log):,} events",
            next="tune when more has happened, or with fewer --folds",
        )
    live = _live(trying, options.dials)
    search = _Search(trying, live, options, started)
    best, trials = search.run(folder / STUDY, _name(whole, settings, live, options), progress)
    best, figures = search.smallest(best, progress)
    return _told(trying, best, (trials, figures), options, time.perf_counter() - started)


def needs_optuna() -> None:
    """Raise MissingExtra where optuna is not installed."""
    from importlib import util

    if util.find_spec("optuna") is None:
        raise MissingExtra.named("tune", needed_for="bodega tune")


@dataclass(slots=True)
class _Search:
    trying: Trying
    dials: tuple[Dial, ...]
    options: TuneOptions
    started: float
    known: dict[tuple[float, ...], float] = field(default_factory=dict)

    def run(self, file: Path, name: str, progress: Progress) -> tuple[dict[str, float], int]:
        """(best values, trials of the study)."""
        with _study(file, name) as study:
            self._remember(study)
            progress.start("tune", self.options.trials)
            done = len(_complete(study))
            progress.advance(done)
            while done < self.options.trials and not self._late():
                self._next(study, done)
                progress.advance()
                done += 1
            progress.finish()
            if not self.known:  # the budget ended before today's settings were judged
                self.figure(self.today)
        best = max(self.known, key=lambda values: (self.known[values], values == self._key(self.today)))
        return dict(zip((dial.key for dial in self.dials), best, strict=True)), done

    def smallest(self, best: dict[str, float], progress: Progress) -> tuple[dict[str, float], tuple[float, float]]:
        """The same values with every dial turned back where that costs nothing; the search figure (today's, then)."""
        moved = [dial for dial in self.dials if best[dial.key] != self.today[dial.key]]
        progress.start("tune: is each change needed?", len(moved))
        for dial in moved:
            back = best | {dial.key: self.today[dial.key]}
            if not self._late(grace=1.5) and self.figure(back) >= self.figure(best) * (1 - COSTS_NOTHING):
                best = back
            progress.advance()
        progress.finish()
        return best, (self.figure(self.today), self.figure(best))

    @property
    def today(self) -> dict[str, float]:
        return {dial.key: dial.now(self.trying.settings) for dial in self.dials}

    def figure(self, values: Mapping[str, float]) -> float:
        """The search figure, each setting judged once."""
        key = self._key(values)
        if key not in self.known:
            self.known[key] = self.trying.figure(values)
        return self.known[key]

    def _next(self, study: Study, number: int) -> None:
        """One trial, drawn from its own seed: a search that was stopped draws on as if it had not been."""
        from optuna.samplers import TPESampler

        if number == 0:
            values, trial = self.today, study.ask()
        else:
            study.sampler = TPESampler(seed=self.options.seed * 10_007 + number, n_startup_trials=8, multivariate=False)
            trial = study.ask()
            values = {dial.key: dial.rounded(_suggested(trial, dial)) for dial in self.dials}
        trial.set_user_attr("values", values)
        study.tell(trial, self.figure(values))

    def _remember(self, study: Study) -> None:
        for trial in _complete(study):
            assert trial.value is not None
            self.known[self._key(trial.user_attrs["values"])] = trial.value

    def _key(self, values: Mapping[str, float]) -> tuple[float, ...]:
        return tuple(float(values[dial.key]) for dial in self.dials)

    def _late(self, grace: float = 1.0) -> bool:
        minutes = self.options.minutes
        return minutes > 0 and time.perf_counter() - self.started > grace * 60 * minutes


def _suggested(trial: Trial, dial: Dial) -> float:
    if dial.whole:
        return trial.suggest_int(dial.key, int(dial.low), int(dial.high), log=dial.log)
    return trial.suggest_float(dial.key, dial.low, dial.high, log=dial.log)


@contextmanager
def _study(file: Path, name: str) -> Iterator[Study]:
    """The study of that name in the file, created where there is none; quiet, and closed afterwards."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(f"sqlite:///{file.absolute()}")
    try:
        yield optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    finally:
        storage.remove_session()
        storage.engine.dispose()
        optuna.logging.set_verbosity(verbosity)


def _complete(study: Study) -> list[FrozenTrial]:
    """Trials that were judged; one that was killed on the way is not."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.value is not None]


def _live(trying: Trying, dials: tuple[Dial, ...]) -> tuple[Dial, ...]:
    """The dials that can change anything here: those of sources that feed a place with enough cases."""
    used = {name for place in trying.places for name in place.weights} - set(trying.left_out)
    made = set(trying.parts_for(trying.settings).make)
    return tuple(dial for dial in dials if not dial.source or dial.source in used & made)


def _name(whole: World, settings: Settings, dials: tuple[Dial, ...], options: TuneOptions) -> str:
    """A study belongs to one log, catalog, settings, dials and draw: anything else has another name."""
    log = whole.log
    digest = hashlib.sha256()
    for part in (log.time, log.item, log.user, log.type, log.value, whole.items.ids.blob):
        digest.update(np.ascontiguousarray(part).tobytes())
    facts = (settings.models, settings.learn, settings.answer)
    digest.update(b"".join(msgspec.json.encode(table, order="sorted") for table in facts))
    digest.update(repr((dials, options.folds, options.cases, options.seed)).encode())
    return f"bodega-{digest.hexdigest()[:16]}"


def _told(
    trying: Trying,
    best: dict[str, float],
    searched: tuple[int, tuple[float, float]],
    options: TuneOptions,
    seconds: float,
) -> Tuned:
    trials, figures = searched
    today = {dial.key: dial.now(trying.settings) for dial in options.dials}
    diff = changes(options.dials, trying.settings, best)
    old = trying.confirmed(today)
    new = trying.confirmed(today | best) if diff else old
    gains = {place: _gap(new[place], old[place], options.seed) for place in old}
    before, after = (np.concatenate([side[place] for place in old]) for side in (old, new))
    gain = _gap(after, before, options.seed)
    cuts = trying.cuts
    told = {f"fold {number}": fold for number, fold in enumerate(cuts.folds, 1)} | {"confirm": cuts.confirm}
    notes = [f"places judged: {', '.join(old)}"]
    if trying.left_out:
        notes.append(f"left out of the search (they take minutes to fit, or need words): {', '.join(trying.left_out)}")
    return Tuned(
        trials=trials,
        diff=diff,
        gain=gain,
        before=float(before.mean()),
        after=float(after.mean()),
        sure=bool(diff) and gain[1] > 0,
        verdict=_verdict(bool(diff), gain),
        places=gains,
        searched=figures,
        cases=len(before),
        windows={name: (each.start, each.end) for name, each in (told | {"test, untouched": cuts.test}).items()},
        left_out=trying.left_out,
        notes=tuple(notes),
        seconds=round(seconds, 1),
    )


def _verdict(changed: bool, gain: tuple[float, float, float]) -> str:
    if not changed:
        return "today's settings are as good as any that were tried: nothing to change"
    mean, low, high = gain
    said = f"{METRIC} {mean:+.4f} (95 % interval {low:+.4f} to {high:+.4f}) on a window that the search did not see"
    if low > 0:
        return f"{said}: surely better"
    if high < 0:
        return f"{said}: surely worse, the search was fooled; keep today's settings"
    return f"{said}: the interval holds 0, so it may be luck; keep today's settings"


def _gap(new: Doubles, old: Doubles, seed: int) -> tuple[float, float, float]:
    gap = paired(new, old, np.random.default_rng(seed))
    return gap.mean, gap.low, gap.high


def _check(options: TuneOptions) -> None:
    if options.trials < 1 or options.folds < 1 or options.cases < 1 or options.minutes < 0:
        raise BadRequest(
            "a budget or a number of folds that leaves nothing to do",
            where="bodega tune",
            allowed="--trials, --folds, --cases from 1; --minutes from 0",
            got=f"trials {options.trials}, folds {options.folds}, cases {options.cases}, minutes {options.minutes}",
        )
