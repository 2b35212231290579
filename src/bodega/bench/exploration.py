"""Off-policy estimates beside the truth, regret by policy, and what a budget of trying out costs and buys.

    open_bandit  two policies of a real shop, each judged from the other's log (Saito et al. 2021): relative error of
                 every estimator, the naive mean beside it
    coverage     logs of the generated shop, whose truth is known: how often a 95 % interval holds it, and the bias
    regret       expected clicks of the best list for everybody less those of what was shown, summed over the rounds:
                 whole lists by each policy; shoppers who look by place, and shoppers who read from the top
    budget       the shop's own ranking with a dial of `[explore]`: clicks, NDCG@10, places and clicks of new items,
                 what was learned of them (pairs of new items in the right order), each less the ranking alone
    farm         1 % fake people who click one bad new item wherever they see it: how much oftener it is shown
                 (`nameless` is the broken twin, in which every visit counts as another person)

Intervals: over generated shops (t), over impressions (bootstrap). Cost: 6 CPU minutes. Not for: choosing a shop's dial;
`bodega offpolicy` reads the shop's own log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from bodega.bench import _exploring_world as shops
from bodega.bench import _open_bandit as bandit
from bodega.bench.result import BenchResult, data_hash
from bodega.evaluation.off_policy import ESTIMATORS, Ways, evaluate_policy
from bodega.evaluation.off_policy_lists import LoggedLists, evaluate_lists
from bodega.protocols import NoProgress, Progress
from bodega.schema import Explore

LISTS = ("naive", "slotwise", "slotwise_dr", "cascade", "cascade_dr", "additive", "page")
DIALS = tuple(
    msgspec.convert({"policy": name}, Explore)
    for name in ("epsilon", "thompson", "linear", "linucb", "cascade", "cascade_ucb")
)
LOG_PAGES, LOG_SLOTS, LOG_ARMS = 4_000, 4, 3


@dataclass(frozen=True, slots=True)
class ExplorationOptions:
    """What is measured."""

    data: Path | None = None
    """Folder of the Open Bandit files; None leaves that part out."""
    rounds: int = 2_000
    runs: int = 6
    coverage: int = 200
    seed: int = 7


@dataclass(slots=True)
class _Figures:
    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]]

    def add(self, name: str, value: float, low: float, high: float) -> None:
        self.figures[name] = float(value)  # numpy's own floats are not JSON
        self.intervals[name] = (float(low), float(high))

    def over_runs(self, name: str, values: Sequence[float]) -> None:
        """The mean over generated shops, with a t interval."""
        from scipy.stats import t

        found = np.asarray(values, np.float64)
        half = t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.nan
        self.add(name, float(found.mean()), float(found.mean() - half), float(found.mean() + half))


def run(options: ExplorationOptions = ExplorationOptions(), progress: Progress | None = None) -> BenchResult:
    """All parts. Raises BadRequest where the folder of the data does not hold it."""
    progress, started, held = progress or NoProgress(), time.perf_counter(), _Figures({}, {})
    facts: dict[str, object] = {"seed": options.seed, "rounds": options.rounds, "runs": options.runs}
    notes = []
    if options.data is not None:
        facts |= _open_bandit(options, held)
        facts["data_hash"] = data_hash(*(options.data / f"{name}_men.csv.gz" for name in bandit.POLICIES))
    else:
        notes.append("Open Bandit left out: no --data")
    parts: list[tuple[str, Callable[[ExplorationOptions, _Figures, Progress], None]]] = [
        ("coverage", _coverage), ("regret", _regret), ("budget", _budget), ("farm", _farm),
    ]  # fmt: skip
    for name, part in parts:
        progress.start(name)
        part(options, held, progress)
        progress.finish()
    notes.append("regret below 0: the policy tells shoppers apart, the best list for everybody does not")
    return BenchResult(
        bench="exploration",
        data="Open Bandit (men) and generated shops" if options.data else "generated shops",
        seconds=round(time.perf_counter() - started, 1),
        figures=held.figures,
        intervals=held.intervals,
        facts=facts,
        notes=tuple(notes),
    )


def _open_bandit(options: ExplorationOptions, held: _Figures) -> dict[str, object]:
    """Each policy judged from the other's log."""
    assert options.data is not None
    logs = bandit.read(options.data)
    facts: dict[str, object] = {}
    for log, other in (("bts", "random"), ("random", "bts")):
        rng = np.random.default_rng([options.seed, len(log)])
        target = np.full((bandit.PLACES, bandit.ITEMS), 1 / bandit.ITEMS)
        if other == "bts":
            target = bandit.shown_by(logs["bts"])
        truth = bandit.truth_of(logs[other], rng)
        value = evaluate_policy(bandit.asked(logs[log], target), rng)
        name = f"{other}_from_{log}"
        held.add(f"truth.{name}", truth["value"], truth["low"], truth["high"])
        for estimator in ESTIMATORS:
            each = value[estimator]
            held.add(f"{estimator}.{name}", each.value, each.low, each.high)
            held.figures[f"{estimator}.{name}_error"] = abs(each.value - truth["value"]) / truth["value"]
        facts[f"effective_{name}"] = round(value.overlap.effective, 1)
    return facts


def _coverage(options: ExplorationOptions, held: _Figures, progress: Progress) -> None:
    """Logs whose truth is known: how often the interval holds it."""
    del progress
    if not options.coverage:
        return
    for reading in ("place", "cascade"):
        found: dict[str, list[tuple[float, float, bool]]] = {}
        for number in range(options.coverage):
            rng = np.random.default_rng([options.seed, number, len(reading)])
            logged, truth = _log(shops.bandit_shop(options.seed), reading, rng)
            value = evaluate_lists(logged, rng, Ways(resamples=300))
            for name, each in {"naive": value.naive, **value.estimates}.items():
                found.setdefault(name, []).append((each.value - truth, truth, each.low <= truth <= each.high))
        for name in LISTS:
            runs = found.get(name, [])
            if len(runs) == options.coverage:
                inside = np.array([run[2] for run in runs], np.float64)
                half = 1.96 * np.sqrt(max(inside.mean() * (1 - inside.mean()), 1 / len(runs)) / len(runs))
                held.add(
                    f"{name}.coverage_{reading}", inside.mean(), inside.mean() - half, min(inside.mean() + half, 1.0)
                )
                held.over_runs(f"{name}.bias_{reading}", [run[0] / run[1] for run in runs])


def _log(shop: shops.BanditShop, reading: str, rng: np.random.Generator) -> tuple[LoggedLists, float]:
    """(a log of pages drawn by one policy, what another earns a page, counted over the shoppers that came)."""
    arms = rng.permutation(shops.ITEMS)[: LOG_SLOTS * LOG_ARMS].reshape(LOG_SLOTS, LOG_ARMS)
    ours, theirs = (rng.dirichlet(np.full(LOG_ARMS, 4.0), LOG_SLOTS) for _ in range(2))
    shopper = rng.integers(0, shops.SHOPPERS, LOG_PAGES)
    slots = np.arange(LOG_SLOTS)
    shown = (rng.random((LOG_PAGES, LOG_SLOTS, 1)) > np.cumsum(ours, axis=1)[None]).sum(axis=2)
    shown = np.minimum(shown, LOG_ARMS - 1)
    liked = rng.random(shown.shape) < shop.liking[shopper[:, None], arms[slots, shown]]
    chance = shop.liking[shopper][:, arms]  # (pages, slots, arms)
    if reading == "cascade":
        reward = liked & (np.cumsum(liked, axis=1) == 1)
        truth = 1.0 - np.prod(1.0 - (chance * theirs).sum(axis=2), axis=1)
    else:
        reward = liked & (rng.random(shown.shape) < shop.examination[slots])
        truth = ((chance * theirs).sum(axis=2) * shop.examination[slots]).sum(axis=1)
    model = chance.mean(axis=0) * (shop.examination[slots, None] if reading == "place" else 0.8)  # near, and wrong
    logged = LoggedLists(
        present=np.ones(shown.shape, np.bool_),
        reward=reward.astype(np.float64),
        propensity=ours[slots, shown],
        target=theirs[slots, shown],
        cluster=np.arange(LOG_PAGES),
        modelled=model[slots, shown],
        expected=np.repeat((model * theirs).sum(axis=1)[None], LOG_PAGES, axis=0),
    )
    return logged, float(truth.mean())


def _regret(options: ExplorationOptions, held: _Figures, progress: Progress) -> None:
    """Whole lists by each policy."""
    del progress
    for reading in ("place", "cascade"):
        for policy in shops.LIST_POLICIES:
            ends = [
                float(shops.regret(_visits(options, number, reading), policy)[-1]) for number in range(options.runs)
            ]
            held.over_runs(f"{policy}.regret_{reading}", ends)


def _budget(options: ExplorationOptions, held: _Figures, progress: Progress) -> None:
    """The shop's own ranking with a dial, less the ranking alone."""
    del progress
    visits = [_visits(options, number, "place") for number in range(options.runs)]
    alone = [shops.shop_with(each, Explore()) for each in visits]
    held.over_runs("ranking.clicks", [each.clicks for each in alone])
    held.over_runs("ranking.ndcg@10", [each.ndcg for each in alone])
    for dial in DIALS:
        policy, tried = dial.policy, [shops.shop_with(each, dial) for each in visits]
        pairs = list(zip(tried, alone, strict=True))
        held.over_runs(f"{policy}.clicks_change", [one.clicks / other.clicks - 1 for one, other in pairs])
        held.over_runs(f"{policy}.ndcg_change", [one.ndcg / other.ndcg - 1 for one, other in pairs])
        held.over_runs(f"{policy}.new_shown", [one.new_shown - other.new_shown for one, other in pairs])
        held.over_runs(f"{policy}.new_clicks", [one.new_clicks - other.new_clicks for one, other in pairs])
        held.over_runs(f"{policy}.new_sorted", [one.learned for one in tried])


def _farm(options: ExplorationOptions, held: _Figures, progress: Progress) -> None:
    """How much oftener 1 % fake people get one item shown."""
    del progress
    visits = [_visits(options, number, "place") for number in range(options.runs)]
    for dial in (Explore(policy="thompson"), Explore(policy="linear")):
        policy = dial.policy
        honest = np.array([shops.shop_with(each, dial).target_shown for each in visits])
        for name, farm in (("farm", shops.Farm(0.01)), ("farm_nameless", shops.Farm(0.01, nameless=True))):
            lifted = np.array([shops.shop_with(each, dial, farm).target_shown for each in visits])
            held.over_runs(f"{policy}.{name}_uplift", list(lifted - honest))


def _visits(options: ExplorationOptions, number: int, reading: str) -> shops.Visits:
    seed = options.seed * 1_000 + number
    return shops.Visits(shops.bandit_shop(seed), reading, options.rounds, seed)
