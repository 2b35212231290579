"""What does a mixed list cost? Every method and dial against the plain order, on two kinds of shops.

The fusion is chosen on validation as it is served (words: `bench recommend`, `bench basket`), then each list's head is
put in the order of every dial, and judged on the same cases: what it costs (NDCG@10 and recall@10, differences to the
plain order with paired intervals) and what it buys, over the first ten places:

    distance    1 - likeness, the mean over all pairs (the very likeness that MMR and DPP avoid: read `kinds` beside it)
    kinds       different deepest categories on a list (tags, where there are no categories)
    coverage    part of the catalog that is on any list; novelty: how unknown what is shown is, in bits

Fatigue is not here: no public log says what was shown to whom (known worlds test it). Nothing is chosen on the test
window: the dials are all printed; what a shop's default is was decided with `window="validation"`.
Cost: Beauty 5,000 shoppers and the supermarket 3 minutes on one core, most of it 15 dials x .3 ms x cases.
Not for: which dial is right for a shop (that needs an experiment with people: likeness has no right answer).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from bodega.bench._contest import LISTED, Contest, Tally, fuse
from bodega.bench._sequences import read_sequences
from bodega.bench._supermarket import read_market
from bodega.bench.result import BenchResult
from bodega.errors import BadRequest
from bodega.evaluation import (
    Case,
    CaseOptions,
    Outcome,
    Window,
    by_time,
    check_no_leak,
    evaluate,
    metric,
    paired,
    place_cases,
)
from bodega.protocols import NoProgress, Progress, Source
from bodega.ranking.diversify import Diversify, Diversity, Likeness, Shown, distance
from bodega.retrieval.content import Content
from bodega.retrieval.popular import Popular
from bodega.retrieval.repeat import Repeat
from bodega.retrieval.transition import Transition
from bodega.schema import Candidates, Context, ItemTable, Log, World
from bodega.schema.arrays import Floats, Ints, Longs

DAY: Final = 86_400.0
JUDGED: Final = ("ndcg@10", "recall@10")
OFF: Final = "off"
FREE: Final = 0.02
"""A part of NDCG@10 that is next to nothing."""

DIALS: Final[dict[str, Diversity]] = {
    OFF: Diversity(),
    **{
        f"{method}-{round(100 * strength)}": Diversity(method=method, strength=strength)
        for method in ("mmr", "dpp")
        for strength in (0.05, 0.1, 0.2, 0.3, 0.5)
    },
    "category-3": Diversity(per_category=3),
    "category-1": Diversity(per_category=1),
    "brand-3": Diversity(per_brand=3),
    "novelty-10": Diversity(novelty=0.1),
    "novelty-30": Diversity(novelty=0.3),
}
"""{name of the figures: dial}; strengths and novelty in hundredths."""


@dataclass(frozen=True, slots=True)
class DiversityOptions:
    """`data`: a folder of sequences (`bench recommend`); `market`: one of the supermarket, or None for the installed
    package. `users`: a seeded draw of that many cases a shop; None: all."""

    data: Path
    market: Path | None = None
    seed: int = 7
    users: int | None = 5_000
    window: Literal["test", "validation"] = "test"
    supermarket: bool = True
    """False: only `data`."""


@dataclass(frozen=True, eq=False)
class _Shop:
    """One set of lists to be judged: what was learned, what is asked."""

    items: ItemTable
    sources: list[Source]
    place: str
    fit_on: tuple[list[Source], list[Case]]
    """Sources and cases of validation, on which the fusion is chosen."""
    cases: list[Case]
    counts: Longs
    """Events of each item that were known."""
    n_users: int
    fresh: bool
    """Is what the shopper has left out?"""
    facts: Mapping[str, Any]


def run(options: DiversityOptions, progress: Progress | None = None) -> BenchResult:
    """Run it. Raises BadFeed or MissingExtra without the data, LeakFound where the evaluation could see its answers."""
    started, progress = time.perf_counter(), progress or NoProgress()
    if options.users is not None and options.users < 1:
        raise BadRequest("too few shoppers to test", where="--users", allowed="1 or more", got=options.users)
    tally, facts, notes = Tally(options.seed), {}, []
    made: dict[str, Callable[[], _Shop]] = {"": lambda: _sequences(options, progress)}
    if options.supermarket:
        made[".supermarket"] = lambda: _supermarket(options, progress)
    for suffix, make in made.items():
        shop = make()
        name = suffix.strip(".") or options.data.name
        facts[name], note = _judged(shop, suffix, tally, progress)
        notes.append(f"{name}: {len(shop.cases):,} lists of the {options.window} window; {note}")
    return BenchResult(
        bench="diversity",
        data=str(options.data),
        seconds=round(time.perf_counter() - started, 1),
        figures=tally.figures,
        intervals=tally.intervals,
        facts={"seed": options.seed, "window": options.window, **facts},
        notes=(*notes, *_notes(tally, made)),
    )


def _sequences(options: DiversityOptions, progress: Progress) -> _Shop:
    """Public behaviour sequences: the next item."""
    data = read_sequences(options.data, seed=options.seed)
    fresh = not data.repeats

    def learned(log: Log) -> list[Source]:
        return _fitted(data.world(log), [Popular(), Transition(), Content(), *([] if fresh else [Repeat()])], progress)

    log, known = data.held_out(1, options.seed, options.users)
    sources = learned(log)
    fit_on, cases = (sources, known), known
    if options.window == "test":
        log, cases = data.held_out(0, options.seed, options.users)
        sources = learned(log)
    counts = np.bincount(log.item, minlength=len(data.items))
    facts = {"hash": data.digest, "items": len(data.items), "events": data.n_events}
    return _Shop(data.items, sources, "home", fit_on, cases, counts, log.n_users, fresh, facts)


def _supermarket(options: DiversityOptions, progress: Progress) -> _Shop:
    """A supermarket, cut by time: the home list of a household before its next basket."""
    progress.start("read the supermarket")
    market = read_market(options.market, options.seed)
    progress.finish()
    split = by_time(market.log, validation=14 * DAY, test=14 * DAY)

    def cut(window: Window) -> tuple[list[Source], list[Case]]:
        known = market.log.before(window.start)
        cases = place_cases(market.log, "home", window, CaseOptions(limit=options.users or 0, seed=options.seed))
        check_no_leak(known, cases, start=window.start)
        world = World(market.items, known, window.start)
        return _fitted(world, [Popular(), Repeat(), Transition()], progress), cases

    fit_on = cut(split.valid)
    asked = split.valid if options.window == "validation" else split.test
    sources, cases = fit_on if options.window == "validation" else cut(asked)
    sold = market.log.before(asked.start).item
    counts = np.bincount(sold[sold >= 0], minlength=len(market.items))
    facts = {"hash": market.digest, "items": len(market.items), "events": len(market.log)}
    return _Shop(market.items, sources, "home", fit_on, cases, counts, market.log.n_users, False, facts)


def _fitted(world: World, fresh: list[Source], progress: Progress) -> list[Source]:
    fitted = []
    for source in fresh:
        progress.start(f"learn {source.name}")
        fitted.append(source.fit(world))
        progress.finish()
    return fitted


def _judged(shop: _Shop, suffix: str, tally: Tally, progress: Progress) -> tuple[dict[str, Any], str]:
    """Judge every dial on one shop; (facts, how the lists were ranked)."""
    chosen = fuse(shop.place, *shop.fit_on, progress)
    contest, fusion = Contest(shop.sources, len(shop.items)), chosen.fusion()
    lists = _Lists(contest.fresh(fusion) if shop.fresh else contest.served(fusion), shop)
    outcomes = evaluate(
        {name: lists.scorer(name) for name in DIALS}, shop.cases, len(shop.items), depth=LISTED, progress=progress
    )
    likeness, kinds = lists.shown.likeness, _kinds(shop.items)
    for name, outcome in outcomes.items():
        progress.start(f"look at the lists of {name}")
        tally.add(name, outcome.masked, JUDGED, suffix)
        tally.figures.update({f"{name}.{what}{suffix}": value for what, value in _looks(outcome, shop).items()})
        tally.figures[f"{name}.distance@{LISTED}{suffix}"] = _mean(outcome.lists, lambda own: _apart(likeness, own))
        tally.figures[f"{name}.kinds@{LISTED}{suffix}"] = _mean(outcome.lists, lambda own: kinds(own))
        progress.finish()
    for name, outcome in outcomes.items():
        if name != OFF:
            for by in JUDGED:
                _compare(tally, name, (outcome, outcomes[OFF]), by, suffix)
    milliseconds = {name: round(1e3 * spent / max(len(shop.cases), 1), 3) for name, spent in lists.spent.items()}
    facts = {**shop.facts, "weights": chosen.weighted.weights, "chosen": chosen.weighted.chosen, "ms": milliseconds}
    return facts, chosen.note()


class _Lists:
    """The fusion's candidates of a case, once, in the order of every dial."""

    def __init__(self, served: Callable[[Context], Candidates], shop: _Shop) -> None:
        self.shown = Shown((shop.items,), popularity=lambda: shop.counts.astype(np.float32))
        self.spent = dict.fromkeys(DIALS, 0.0)
        """CPU seconds a dial."""
        self._served, self._place = served, shop.place
        self._asked: tuple[Context, Candidates] | None = None

    def scorer(self, name: str) -> Callable[[Context], Candidates]:
        stage = Diversify(self.shown, {self._place: DIALS[name]})

        def scored(context: Context) -> Candidates:
            if self._asked is None or self._asked[0] is not context:
                self._asked = context, self._served(context)
                self.shown.likeness.among(self._asked[1].items[:50])  # warm, as the shelf of a shop is
            started = time.process_time()
            ranked = stage.rank(context, self._asked[1])
            self.spent[name] += time.process_time() - started
            place: Floats = -np.arange(len(ranked), dtype=np.float32)  # the place itself: an order has no ties
            return Candidates(ranked.items, ranked.scores, place, ranked.sources)

        return scored


def _compare(tally: Tally, name: str, pair: tuple[Outcome, Outcome], by: str, suffix: str) -> None:
    gap = paired(metric(pair[0].masked, by), metric(pair[1].masked, by), np.random.default_rng(tally.seed))
    tally.figures[f"{name}_vs_{OFF}.{by}{suffix}"] = gap.mean
    tally.intervals[f"{name}_vs_{OFF}.{by}{suffix}"] = (gap.low, gap.high)


def _looks(outcome: Outcome, shop: _Shop) -> dict[str, float]:
    """Coverage and novelty of all lists together."""
    alone = Tally(0)
    alone.add_lists("x", outcome.lists, shop.counts, shop.n_users)
    return {name.partition(".")[2]: alone.figures[name] for name in (f"x.coverage@{LISTED}", f"x.novelty@{LISTED}")}


def _apart(likeness: Likeness, own: Ints) -> float:
    return distance(likeness.among(own))


def _kinds(items: ItemTable) -> Callable[[Ints], float]:
    """How many different deepest categories (or tags) a list has."""
    leaf, tags = items.leaf_category, items.coded["tags"]
    if np.any(leaf >= 0):
        return lambda own: float(len(np.unique(leaf[own][leaf[own] >= 0])))
    return lambda own: float(len(np.unique(tags.flat(own)[1])))


def _mean(lists: Ints, of: Callable[[Ints], float]) -> float:
    values = [of(own[own >= 0]) for own in lists]
    return float(np.nanmean(values)) if values else float("nan")


def _notes(tally: Tally, suffixes: Mapping[str, object]) -> tuple[str, ...]:
    """The dials that surely cost next to nothing, and those that had nothing to do."""
    notes = []
    for suffix in suffixes:
        plain = tally.figures[f"{OFF}.ndcg@10{suffix}"]
        free, idle = [], []
        for name in DIALS:
            low, high = tally.intervals.get(f"{name}_vs_{OFF}.ndcg@10{suffix}", (-1.0, -1.0))
            if low == high == 0:
                idle.append(name)
            elif low >= -FREE * plain:
                free.append(name)
        told = f"{suffix.strip('.') or 'sequences'}: surely less than {FREE:.0%} of NDCG@10 is given up by: "
        told += ", ".join(free) or "none of the dials"
        notes.append(told + (f"; nothing to do here for: {', '.join(idle)}" if idle else ""))
    return tuple(notes)
