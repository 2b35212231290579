"""`bodega bench experiments`: may its verdicts be trusted? Tests of nothing, planted effects, two orders in one.

    aa            tests of nothing, looked at 100 times each: how often something is "found"; the naive interval beside
    power         experiments planned for a lift, run with the planned units: how often it is found by who looks once,
                  and by who watches
    cuped         the same in the generated world, where shoppers have a past: part of the variance that is explained
    srm           arms that lose 5 % of their shoppers, and arms that lose none, both looked at 100 times
    guardrail     an arm that does harm: shoppers until it is stopped; how often a harmless one is
    interleaving  a ranking against a slightly noisier one in a shop whose clicks have known chances: pages needed to
                  find the better with power .8, by A/B test and by each way to credit clicks; `speedup`: their ratio

Intervals: Wilson's for rates, bootstrap over pages for the ratio. Cost: two CPU minutes. Not for: a real shop's own
experiments, whose verdicts `bodega experiment read` prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import binomtest, norm

from bodega.bench._exploring_world import ITEMS, PAGE, SHOPPERS, BanditShop, bandit_shop
from bodega.bench.result import BenchResult
from bodega.evaluation.experiments import (
    Moments,
    adjusted,
    compare,
    debiased_credit,
    half_width,
    plan,
    preference,
    team_credit,
    team_draft,
    watched_ratio,
)
from bodega.evaluation.experiments.interleaving import coins, weights
from bodega.evaluation.experiments.mismatch import ALARM
from bodega.protocols import NoProgress, Progress
from bodega.schema.arrays import Doubles
from bodega.testing.world import GeneratedWorld, WorldSpec, make_world

LOOKS = 100
UNITS = 10_000
LOST = 0.05
POWER = 0.8


@dataclass(frozen=True, slots=True)
class ExperimentsOptions:
    """`runs` simulated experiments a rate; `pages` of the comparison of two orders."""

    runs: int = 1_000
    pages: int = 40_000
    seed: int = 7


@dataclass(slots=True)
class _Sheet:
    figures: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def rate(self, name: str, hits: int, runs: int) -> None:
        """A share of runs with Wilson's interval."""
        bounds = binomtest(hits, runs).proportion_ci(method="wilson")
        self.figures[name], self.intervals[name] = hits / runs, (float(bounds.low), float(bounds.high))


def run(options: ExperimentsOptions = ExperimentsOptions(), progress: Progress | None = None) -> BenchResult:
    """All parts."""
    began, progress, sheet = time.perf_counter(), progress or NoProgress(), _Sheet()
    parts: dict[str, Callable[[ExperimentsOptions, _Sheet], None]] = {
        "tests of nothing": _nothing,
        "planned effects": _planned,
        "what was known before": _known_before,
        "arms of the wrong size": _wrong_sizes,
        "harm": _harm,
        "two orders in one list": _two_orders,
    }
    for name, part in parts.items():
        progress.start(name)
        part(options, sheet)
        progress.finish()
    return BenchResult(
        bench="experiments",
        data="simulated experiments, generated world",
        seconds=round(time.perf_counter() - began, 1),
        figures=sheet.figures,
        intervals=sheet.intervals,
        facts={"seed": options.seed, "runs": options.runs, "pages": options.pages, "looks": LOOKS, "units": UNITS},
        notes=(
            "aa.*: purchases a shopper (most buy nothing, a few much); target <= .05 at 100 looks",
            "srm.*: alarms at p < .001 by the test that may be watched",
            "interleaving.*.speedup: pages of an A/B test over pages of interleaving, both for power .8 at alpha .05",
            "interleaving.bias: mean credit over the true difference of clicks a page; `misjudged` where the shop "
            "believes in another curve of attention than its shoppers have",
        ),
    )


def _purchases(rng: np.random.Generator, n: int, lift: float = 1.0) -> Doubles:
    """Of n shoppers: nine of ten buy nothing, the others a log-normal amount; an effect makes more of them buy."""
    return np.asarray((rng.random(n) < 0.1 * lift) * rng.lognormal(0.0, 0.7, n), np.float64)


def _nothing(options: ExperimentsOptions, sheet: _Sheet) -> None:
    wrong = {"aa": 0, "aa.naive": 0}
    for number in range(options.runs):
        rng = np.random.default_rng([options.seed, 1, number])
        values, arm = _purchases(rng, UNITS), rng.integers(0, 2, UNITS)
        gaps, errors = _watched(values, arm)
        at = np.linspace(UNITS // LOOKS, UNITS, LOOKS).astype(int)
        halves = np.array([half_width(int(n), int(n) * e * e, UNITS) for n, e in zip(at, errors, strict=True)])
        big = at >= 500
        wrong["aa"] += bool((np.abs(gaps) > halves)[big].any())
        wrong["aa.naive"] += bool((np.abs(gaps) > norm.ppf(0.975) * errors)[big].any())
    for name, hits in wrong.items():
        sheet.rate(f"{name}.false_positive_rate", hits, options.runs)


def _watched(values: Doubles, arm: np.ndarray) -> tuple[Doubles, Doubles]:
    """(difference, its standard error) at every look."""
    gaps, errors = np.zeros(LOOKS), np.zeros(LOOKS)
    for look, n in enumerate(np.linspace(UNITS // LOOKS, UNITS, LOOKS).astype(int)):
        one, other = (Moments.of(values[:n][arm[:n] == side]) for side in (1, 0))
        gaps[look] = one.mean - other.mean
        errors[look] = np.sqrt(one.variance / one.n + other.variance / other.n)
    return gaps, errors


def _planned(options: ExperimentsOptions, sheet: _Sheet) -> None:
    lift, runs = 0.1, max(options.runs // 4, 50)
    base = _purchases(np.random.default_rng([options.seed, 2]), 400_000)
    made = plan(float(base.mean()), float(base.var()), lift, power=POWER)
    hits = {"once": 0, "watched": 0}
    for number in range(runs):
        rng = np.random.default_rng([options.seed, 3, number])
        one, other = _purchases(rng, made.watched, 1 + lift), _purchases(rng, made.watched)
        few, many = ([Moments.of(each[:n]) for each in (one, other)] for n in (made.once, made.watched))
        error = np.sqrt(sum(each.variance / each.n for each in few))
        hits["once"] += few[0].mean - few[1].mean > norm.ppf(0.975) * error
        hits["watched"] += compare(many[0], many[1], 2 * made.watched).low > 0
    sheet.figures |= {"power.units.once": float(made.once), "power.units.watched": float(made.watched)}
    for name, count in hits.items():
        sheet.rate(f"power.{name}.found", int(count), runs)


def _known_before(options: ExperimentsOptions, sheet: _Sheet) -> None:
    world = make_world(WorldSpec(n_items=200, n_shoppers=600, days=60, seed=options.seed))
    before, after = _bought(world, 0, 40), _bought(world, 40, 60)
    sheet.figures["cuped.explained"] = adjusted(after, before).explained


def _bought(world: GeneratedWorld, first: float, last: float) -> Doubles:
    """Purchases of each shopper in these days."""
    log, start = world.log, world.spec.opening.timestamp()
    inside = (log.time >= start + 86_400 * first) & (log.time < start + 86_400 * last) & (log.type == _purchase())
    known = log.user[inside & (log.user < world.spec.n_shoppers)]
    return np.bincount(known, minlength=world.spec.n_shoppers).astype(np.float64)


def _purchase() -> int:
    from bodega.schema import EVENT_CODES

    return EVENT_CODES["purchase"]


def _wrong_sizes(options: ExperimentsOptions, sheet: _Sheet) -> None:
    alarms = {"false_alarm_rate": 0, "detection_rate": 0}
    for number in range(options.runs):
        rng = np.random.default_rng([options.seed, 4, number])
        arm = rng.integers(0, 2, 10 * UNITS)
        stays = rng.random(10 * UNITS) >= LOST * arm
        for name, seen in (("false_alarm_rate", arm), ("detection_rate", arm[stays])):
            at = np.linspace(len(seen) // LOOKS, len(seen), LOOKS).astype(int)
            ones = np.cumsum(seen)[at - 1]
            alarms[name] += any(
                watched_ratio([n - k, k], [1, 1]) < ALARM for n, k in zip(at.tolist(), ones.tolist(), strict=True)
            )
    for name, hits in alarms.items():
        sheet.rate(f"srm.{name}", hits, options.runs)


def _harm(options: ExperimentsOptions, sheet: _Sheet) -> None:
    """An arm that costs a tenth of what a guardrail watches, and one that costs nothing; 2 % are allowed."""
    runs, stopped, wrong = max(options.runs // 10, 20), list[int](), 0
    for number in range(runs):
        rng = np.random.default_rng([options.seed, 5, number])
        arm, values = rng.integers(0, 2, 4 * UNITS), rng.normal(1.0, 1.0, 4 * UNITS)
        stopped.append(_stopped(values - 0.1 * arm, arm))
        wrong += _stopped(values, arm) < 4 * UNITS
    sheet.figures["guardrail.units_until_stopped"] = float(np.median(stopped))
    sheet.rate("guardrail.stopped", sum(n < 4 * UNITS for n in stopped), runs)
    sheet.rate("guardrail.false_stop_rate", wrong, runs)


def _stopped(values: Doubles, arm: np.ndarray) -> int:
    """Shoppers until the interval lies beyond 2 % of the control's mean; all of them where it never does."""
    for n in np.linspace(len(values) // LOOKS, len(values), LOOKS).astype(int):
        one, other = (Moments.of(values[:n][arm[:n] == side]) for side in (1, 0))
        if compare(one, other, UNITS).high < -0.02 * abs(other.mean):
            return int(n)
    return len(values)


def _two_orders(options: ExperimentsOptions, sheet: _Sheet) -> None:
    shop, rng = bandit_shop(options.seed), np.random.default_rng([options.seed, 6])
    orders = _orders(shop, rng)
    believed = {"as_it_is": shop.examination, "misjudged": 1 / np.log2(np.arange(2, PAGE + 2))}
    counts = {
        name: [weights(a.tolist(), b.tolist(), curve) for a, b in zip(*orders, strict=True)]
        for name, curve in believed.items()
    }
    truth = np.mean(
        [_expected(shop, user, orders[0][user]) - _expected(shop, user, orders[1][user]) for user in range(SHOPPERS)]
    )
    teams, credit, wrong, plain = (np.zeros(options.pages) for _ in range(4))
    side = rng.integers(0, 2, options.pages)
    for page in range(options.pages):
        user = int(rng.integers(SHOPPERS))
        plain[page] = shop.clicks(user, orders[side[page]][user], "place", rng).sum()
        draft = team_draft(
            orders[0][user].tolist(), orders[1][user].tolist(), PAGE, coins(f"{options.seed}-{page}", PAGE // 2)
        )
        clicked = draft.items[shop.clicks(user, draft.items, "place", rng)].tolist()
        teams[page] = team_credit(draft, clicked)
        credit[page] = debiased_credit(counts["as_it_is"][user], clicked)
        wrong[page] = debiased_credit(counts["misjudged"][user], clicked)
    sheet.figures["interleaving.true_difference"] = float(truth)
    sheet.figures["interleaving.bias"] = float(credit.mean() / truth)
    sheet.figures["interleaving.bias.misjudged"] = float(wrong.mean() / truth)
    sheet.figures["interleaving.found"] = float(preference(credit, options.pages).low > 0)
    _speedups(sheet, {"": credit, ".misjudged": wrong, ".team_draft": teams}, (plain, side, float(truth)), rng)


def _orders(shop: BanditShop, rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Pages of each shopper by a ranking that knows much of the shopper, and by the same with a little noise."""
    known = shop.kin + 0.3 * shop.kin.std() * rng.standard_normal(shop.kin.shape)
    noisy = known + 0.3 * known.std() * rng.standard_normal((SHOPPERS, ITEMS))
    first, second = (np.argsort(-each, axis=1, kind="stable")[:, :PAGE] for each in (known, noisy))
    return list(first), list(second)


def _expected(shop: BanditShop, user: int, page: np.ndarray) -> float:
    return shop.expected(user, page, "place")


def _speedups(
    sheet: _Sheet, credits_: dict[str, Doubles], ab: tuple[Doubles, np.ndarray, float], rng: np.random.Generator
) -> None:
    """Pages for power .8: 4 variance / difference^2 of an A/B test, variance / mean^2 of interleaving, times z^2."""
    plain, side, truth = ab
    z = float(norm.ppf(0.975) + norm.ppf(POWER)) ** 2
    variance = (plain[side == 0].var() + plain[side == 1].var()) / 2
    sheet.figures["ab.pages"] = float(z * 4 * variance / truth**2)
    for name, values in credits_.items():
        drawn = rng.integers(0, len(values), (200, len(values)))
        means, spreads = values[drawn].mean(axis=1), values[drawn].var(axis=1)
        ratios = 4 * variance / truth**2 / (spreads / means**2)
        found = 4 * variance / truth**2 / (values.var() / values.mean() ** 2)
        sheet.figures[f"interleaving{name}.pages"] = float(z * values.var() / values.mean() ** 2)
        sheet.figures[f"interleaving{name}.speedup"] = float(found)
        low, high = np.quantile(ratios, [0.025, 0.975])
        sheet.intervals[f"interleaving{name}.speedup"] = (float(low), float(high))
