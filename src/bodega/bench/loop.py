"""Does a shop that learns by itself get better, and is a bad candidate stopped? Weeks of simulated shoppers.

Five ways to run the same generated shop, each with its own shoppers, whose true tastes are known:

    frozen     what was learned at the start is served for good, nothing is counted beside it
    counting   the same, and new events are counted beside it, as a shop does between two learns
    ungated    learns every day, and serves whatever it learned
    loop       `shop.loop` runs every day, unattended: judge, learn, gate, contest, promote or reject
    oracle     the best list there is for each page, by the truth

In two worlds: `young`, which the loop is for (a shop opens with a week of log, is visited often, goods arrive, tastes
turn, fashions come), and `quiet` (nothing changes, few come). Two accidents in both: on one day the labels that
`ungated` and `loop` learn from are shuffled (a broken import), on another forty fake accounts push the four least
liked items, in every shop. Utility is the expected clicks of the pages that shoppers got, without noise; the same
shoppers ask the same at the same moments in all five, so gains are paired page by page. No part of a page depends on
the clock: a seed gives the same figures on a busy machine. Cost: a CPU minute or two a seed. Not for: claims about
real shops.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from scipy.stats import t as student

from bodega.bench._loop_tastes import DAY, Change, Tastes
from bodega.bench._loop_world import Bazaar, DraftedContest, Shuffled, settled
from bodega.bench.result import BenchResult
from bodega.engine.loop.door import MEASURED, Loop, LoopDoors
from bodega.engine.loop.state import FOLDER
from bodega.engine.shop import Shop
from bodega.protocols import NoProgress, Progress
from bodega.schema.arrays import Doubles
from bodega.testing.world import WorldSpec, make_world

SETTINGS = """
[answers]
log = false
[answer]
slow_ms = 0
[understand]
encoder = "none"
teacher = "none"
people = 3
[learn]
appeal = true
evaluated_users = 150
taught_cases = 0
validation_days = 5
test_days = 3
[judgments]
queries = 10
[loop]
approve = "auto"
hold_days = 2
every_days = 0.5
margin = 0.1
contest_pages = 200
contest_days = 7
cases = 200
latency = 1000
"""
"""Of every shop. `latency`: that gate measures CPU seconds, which are not the same twice."""
ARMS = ("frozen", "counting", "ungated", "loop")
LETTERS = {"frozen": ".", "counting": "c", "ungated": "u", "loop": "L"}
LAST = 7
"""Days at the end that the figures are of."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A world to keep a shop in."""

    pages: int
    """Pages a day."""
    items: int
    shoppers: int
    past: float
    """Days of the log that the shop starts from."""
    change: Change


WORLDS = {
    "young": Scene(pages=200, items=100, shoppers=100, past=7.0, change=Change(turn=0.8, season=0.8, late=0.3)),
    "quiet": Scene(pages=60, items=100, shoppers=80, past=10.0, change=Change()),
}


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """Which world, how long, how often."""

    world: str = "young"
    """One of `WORLDS`."""
    seeds: int = 8
    seed: int = 7
    weeks: int = 2
    pages: int = 0
    """Pages a day; 0: as many as the world says."""
    workers: int = 1
    """Processes that live through the seeds."""

    @property
    def scene(self) -> Scene:
        """The world, with as many pages as are asked for."""
        found = WORLDS[self.world]
        return replace(found, pages=self.pages or found.pages)


@dataclass(frozen=True, slots=True, eq=False)
class Lived:
    """One seed: utility of each day {arm: (days,)}, what became of the accidents."""

    utility: dict[str, Doubles]
    pushed: dict[str, Doubles]
    best: dict[str, Doubles]
    """{arm: expected clicks of the best lists for its pages} of each day; the same in all arms."""
    promoted: int
    rejected: int
    shuffled_stopped: bool
    attack_stopped: bool
    outcomes: tuple[str, ...]


def run(options: LoopOptions, opened: Callable[[Path], Shop], progress: Progress | None = None) -> BenchResult:
    """All seeds. `opened` opens a folder as a shop."""
    began, said = time.perf_counter(), progress or NoProgress()
    days = 7 * options.weeks
    said.start("live", options.seeds)
    lived = []
    for each in _all(options, opened):
        lived.append(each)
        said.advance()
    said.finish()
    figures, intervals = _figures(lived)
    series = {name: np.mean([each.utility[name] for each in lived], axis=0).round(4).tolist() for name in ARMS}
    best = np.mean([each.best["frozen"] for each in lived], axis=0).round(4).tolist()
    ends = {name: _spread(np.array([each.utility[name] for each in lived])) for name in ARMS}
    return BenchResult(
        bench="loop",
        data=f"generated world ({options.world}), simulated shoppers",
        seconds=round(time.perf_counter() - began, 1),
        figures=figures,
        intervals=intervals,
        facts={
            "seed": options.seed,
            "seeds": options.seeds,
            "days": days,
            "pages": options.scene.pages,
            "world": options.world,
            "series": series | {"oracle": best},
            "spread": ends,
            "shuffled_on": shuffled_on(days),
            "attack_on": attack_on(days),
            "outcomes": [list(each.outcomes) for each in lived],
        },
        notes=(
            f"utility: expected clicks a page, last {LAST} days; gains are relative to `frozen`, on the same pages",
            "*.gain_whole: the same over all days, the first and those of the accidents among them",
            "gate.*: part of seeds in which the candidate of that accident was not promoted",
            "pushed.*: part of the places that the attack's items got in the week after it",
        ),
    )


def kept(result: BenchResult, folder: Path) -> Path:
    """Keep the figures in a shop's folder, where the console's page *Loop* draws them."""
    own = folder / FOLDER
    own.mkdir(parents=True, exist_ok=True)
    (own / MEASURED).write_bytes(msgspec.json.encode(result))
    return own / MEASURED


def plotted(result: BenchResult, rows: int = 12) -> str:
    """Utility by day as a plot of characters: one letter a way to run the shop, the higher the better."""
    series = {name: values for name, values in result.facts["series"].items() if name != "oracle"}
    low, high = min(map(min, series.values())), max(map(max, series.values()))
    days = len(series["loop"])
    cells = [[" "] * days for _ in range(rows)]
    for name, values in series.items():
        for day, value in enumerate(values):
            row = rows - 1 - round((value - low) / max(high - low, 1e-9) * (rows - 1))
            cells[row][day] = LETTERS[name]
    marks = [" "] * days
    marks[result.facts["shuffled_on"]], marks[result.facts["attack_on"]] = "s", "a"
    lines = [f"{high - (high - low) * n / (rows - 1):6.3f} |{''.join(row)}" for n, row in enumerate(cells)]
    foot = f"{'':6} +{''.join(marks)}   s: labels are shuffled, a: an attack"
    legend = ", ".join(f"{letter} {name}" for name, letter in LETTERS.items())
    return "\n".join([f"expected clicks a page, by day: {legend}", *lines, foot])


def shuffled_on(days: int) -> int:
    """The day whose learning goes wrong."""
    return round(0.25 * days)


def attack_on(days: int) -> int:
    """The day of the fake accounts."""
    return round(0.45 * days)


def _all(options: LoopOptions, opened: Callable[[Path], Shop]) -> Iterator[Lived]:
    """Every seed, in order, in as many processes as are asked for."""
    seeds = [replace(options, seed=options.seed + number) for number in range(options.seeds)]
    if options.workers <= 1 or len(seeds) == 1:
        yield from (_lived(each, opened) for each in seeds)
        return
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(options.workers, len(seeds)), mp_context=fresh) as pool:
        yield from pool.map(_lived, seeds, [opened] * len(seeds))


def _lived(options: LoopOptions, opened: Callable[[Path], Shop]) -> Lived:
    scene, days = options.scene, 7 * options.weeks
    spec = WorldSpec(n_items=scene.items, n_shoppers=scene.shoppers, days=scene.past, seed=options.seed)
    tastes = Tastes(make_world(spec), scene.change, days, options.seed)
    bazaars: dict[str, Bazaar] = {}
    kept = _Kept()
    with TemporaryDirectory(prefix="bodega-loop-") as folder:
        for arm in ARMS:
            toml = SETTINGS + ("[updates]\ncounts = false\n" if arm == "frozen" else "")
            with settled(Path(folder) / arm, opened, tastes, toml) as shop:
                shop.learn()
                bazaars[arm] = Bazaar(tastes, shop, options.seed, scene.pages)
                told = _live(arm, bazaars[arm], days)
                kept = told if arm == "loop" else kept
    return Lived(
        utility={arm: np.array(bazaar.utility) for arm, bazaar in bazaars.items()},
        pushed={arm: np.array(bazaar.pushed) for arm, bazaar in bazaars.items()},
        best={arm: np.array(bazaar.best) for arm, bazaar in bazaars.items()},
        promoted=kept.promoted,
        rejected=kept.rejected,
        shuffled_stopped=kept.shuffled,
        attack_stopped=kept.attack,
        outcomes=tuple(kept.outcomes),
    )


@dataclass(slots=True)
class _Kept:
    """What the loop did."""

    promoted: int = 0
    rejected: int = 0
    shuffled: bool = False
    attack: bool = False
    outcomes: list[str] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.outcomes = []


def _live(arm: str, bazaar: Bazaar, days: int) -> _Kept:
    shop, kept = bazaar.shop, _Kept()
    clock = [bazaar.world.end]
    loop, contest = _loop(shop, lambda: clock[0])
    bazaar.contest = contest if arm == "loop" else None
    spoiled = 0
    attacked = 0
    for day in range(days):
        if day == attack_on(days):
            bazaar.attack()
        bazaar.live()
        clock[0] = bazaar.world.end + bazaar.day * DAY
        if day == shuffled_on(days) and arm in ("ungated", "loop"):
            plain = shop.workshop.events
            shop.workshop.events = Shuffled(plain, np.random.default_rng(day))  # type: ignore[assignment]
            spoiled = 1
        if arm == "ungated":
            found = shop.workshop.learn(NoProgress(), until=np.inf)
            shop.share(found.snapshot)
        elif arm == "loop":
            before = loop.state
            after = loop.run()
            if after.run != before.run or after.step != before.step or after.outcome != before.outcome:
                kept.outcomes.append(f"day {day}: {after.step}: {after.outcome}")
            ended = after.step == "idle" and (before.step != "idle" or after.run != before.run)
            kept.promoted += ended and after.outcome.startswith("promoted")
            kept.rejected += ended and after.outcome.startswith("rejected")
            if spoiled == 1 and after.run > before.run:
                spoiled = 2
                kept.shuffled = after.step == "idle" and after.outcome.startswith("rejected")
            if day >= attack_on(days) and not attacked and after.run > before.run:
                attacked = 1
                kept.attack = after.step == "idle" and after.outcome.startswith("rejected")
        if arm == "ungated" and spoiled == 1:
            spoiled = 2
        if spoiled == 2:
            shop.workshop.events, spoiled = plain, 3
    return kept


def _loop(shop: Shop, now: Callable[[], float]) -> tuple[Loop, DraftedContest]:
    """The shop's loop in simulated time."""
    contest = DraftedContest(shop, shop.settings)
    doors = LoopDoors(
        folder=shop.folder,
        settings=shop.settings,
        events=shop.stores.events,
        workshop=shop.workshop,
        judgments=shop.judgments,
        promote=shop.promote,
        contest=contest,
        now=now,
    )
    return Loop(doors), contest


def _figures(lived: list[Lived]) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    ends = {name: np.array([each.utility[name][-LAST:].mean() for each in lived]) for name in ARMS}
    ends["oracle"] = np.array([each.best["frozen"][-LAST:].mean() for each in lived])
    whole = {name: np.array([each.utility[name].mean() for each in lived]) for name in ARMS}
    whole["oracle"] = np.array([each.best["frozen"].mean() for each in lived])
    figures, intervals = {}, {}
    for name, values in ends.items():
        figures[f"{name}.utility"], intervals[f"{name}.utility"] = _interval(values)
        if name != "frozen":
            gain, all_days = values / ends["frozen"] - 1, whole[name] / whole["frozen"] - 1
            figures[f"{name}.utility_gain"], intervals[f"{name}.utility_gain"] = _interval(gain)
            figures[f"{name}.gain_whole"], intervals[f"{name}.gain_whole"] = _interval(all_days)
    for name in ("counting", "ungated"):
        over, all_days = ends["loop"] / ends[name] - 1, whole["loop"] / whole[name] - 1
        figures[f"loop.over_{name}"], intervals[f"loop.over_{name}"] = _interval(over)
        figures[f"loop.over_{name}.whole"], intervals[f"loop.over_{name}.whole"] = _interval(all_days)
    worst = {
        name: np.array([(each.utility[name] / each.utility["frozen"]).min() - 1 for each in lived]) for name in ARMS
    }
    for name in ("counting", "ungated", "loop"):
        figures[f"{name}.worst_day"], intervals[f"{name}.worst_day"] = _interval(worst[name])
    after = attack_on(len(lived[0].utility["loop"]))
    for name in ARMS:
        values = np.array([each.pushed[name][after : after + LAST].mean() for each in lived])
        figures[f"pushed.{name}"], intervals[f"pushed.{name}"] = _interval(values)
    figures["loop.promoted"] = float(np.mean([each.promoted for each in lived]))
    figures["loop.rejected"] = float(np.mean([each.rejected for each in lived]))
    figures["gate.shuffled_stopped"] = float(np.mean([each.shuffled_stopped for each in lived]))
    figures["gate.attack_stopped"] = float(np.mean([each.attack_stopped for each in lived]))
    return figures, intervals


def _interval(values: Doubles) -> tuple[float, tuple[float, float]]:
    """(mean over seeds, 95 % interval by Student's t)."""
    mean, n = float(values.mean()), len(values)
    half = float(student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    return mean, (mean - half, mean + half)


def _spread(values: Doubles) -> list[list[float]]:
    """[(low, high)] of each day over the seeds."""
    found = [_interval(values[:, day])[1] for day in range(values.shape[1])]
    return [[round(low, 4), round(high, 4)] for low, high in found]
