"""What would another policy have earned on the pages that were shown? Estimates from logged chances.

One row is one decision: what was earned (`reward`), with which chance the log showed what it showed (`propensity`), and
with which chance the other policy would have (`target`). weight = target / propensity.

    naive      mean reward of the log: what the *logging* policy earned, printed beside because it is so often taken
               for the answer
    ips        mean of weight x reward: unbiased, wide (Horvitz & Thompson 1952)
    snips      the same over the mean weight: less wide, slightly biased (Swaminathan & Joachims 2015)
    dm         mean of a reward model over what the other policy would show: narrow, as wrong as the model
    dr         dm + mean of weight x (reward - model): unbiased where either is right (Dudik et al. 2011)
    switch_dr  dr, but rows whose weight is above `switch` rely on the model alone (Wang et al. 2017)

Refused, not estimated: a propensity outside (0, 1], an effective sample size below 100, and weights whose mean is too
far from 1 (they average 1 by construction, so the propensities are wrong, or the other policy shows what the log never
could). Clipping is off unless asked for, and then its largest possible bias is told. Intervals: bootstrap over clusters
(people, pages), and an empirical Bernstein bound that holds for any sample (Maurer & Pontil 2009).
Cost: .5 s for 10,000 rows. Not for: logs without propensities; no estimate can mend that.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bodega.errors import NoEvidence
from bodega.evaluation.significance import bootstrap
from bodega.schema.arrays import Doubles, Longs

ENOUGH = 100.0
"""Smallest effective sample size that is estimated from."""
SURE = 4.0
"""Standard errors by which the mean weight may differ from 1."""
ESTIMATORS = ("naive", "ips", "snips", "dm", "dr", "switch_dr")


@dataclass(frozen=True, eq=False)
class Logged:
    """n decisions. All arrays have shape (n,)."""

    reward: Doubles
    """What was earned, 0 to 1."""
    propensity: Doubles
    """In (0, 1]: the chance of what was shown, when it was shown."""
    target: Doubles
    """0 to 1: the chance that the other policy would have shown the same."""
    cluster: Longs
    """Code of the person (or page): rows of one cluster are not independent."""
    modelled: Doubles | None = None
    """A reward model's value of what was shown, from a fit that did not see this row (`reward_model.crossed`)."""
    expected: Doubles | None = None
    """The same model's mean over what the other policy would show."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How it is estimated."""

    clip: float = 0.0
    """Largest weight; 0: no clipping."""
    switch: float = 10.0
    """Weight above which `switch_dr` relies on the model."""
    enough: float = ENOUGH
    resamples: int = 1_000
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimator's value with its intervals."""

    value: float
    low: float
    high: float
    """Bootstrap over clusters."""
    bernstein: tuple[float, float] = (float("nan"), float("nan"))
    """Holds whatever the distribution (for means of bounded terms; none for `snips`)."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Can the log answer the question?"""

    rows: int
    effective: float
    """Effective sample size: (sum of weights)^2 / sum of squares."""
    mean_weight: float
    weight_error: float
    """Standard error of the mean weight, over clusters."""
    largest_weight: float
    clipped: float = 0.0
    """Share of rows whose weight was cut."""
    clipping_bias: float = 0.0
    """At most this much is missing from `ips` because of it."""


@dataclass(frozen=True, slots=True)
class Value:
    """What another policy would have earned, by each estimator."""

    overlap: Overlap
    estimates: dict[str, Estimate] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Estimate:
        return self.estimates[name]


def overlap(logged: Logged, ways: Ways = Ways()) -> Overlap:
    """How well the log covers the other policy. Raises NoEvidence for propensities that cannot be."""
    check(logged)
    weight = logged.target / logged.propensity
    cut = _cut(weight, ways)
    return Overlap(
        rows=len(weight),
        effective=effective(cut),
        mean_weight=float(weight.mean()),
        weight_error=_cluster_error(weight, logged.cluster),
        largest_weight=float(weight.max()),
        clipped=float(np.mean(cut < weight)),
        clipping_bias=float(np.mean(weight - cut)),
    )


def effective(weight: Doubles) -> float:
    """How many equally weighted rows say as much (Kish)."""
    square = float((weight**2).sum())
    return float(weight.sum()) ** 2 / square if square > 0 else 0.0


def evaluate_policy(logged: Logged, rng: np.random.Generator, ways: Ways = Ways()) -> Value:
    """The other policy's value by every estimator that the log allows. Raises NoEvidence where it allows none."""
    found = overlap(logged, ways)
    refuse(found, ways)
    terms = _terms(logged, ways)
    return Value(found, summarised(terms, logged.cluster, rng, ways))


def summarised(
    terms: dict[str, Doubles], cluster: Longs, rng: np.random.Generator, ways: Ways = Ways()
) -> dict[str, Estimate]:
    """{estimator: its value with intervals} from the terms (n,) whose mean it is; `snips` is over the mean `weight`."""
    names = list(terms)
    summed = _by_cluster(np.column_stack([*terms.values(), np.ones(len(cluster))]), cluster)
    drawn = bootstrap(summed, rng, ways.resamples)
    tail, size = (1 - ways.level) / 2, float(summed[:, -1].mean())
    estimates: dict[str, Estimate] = {}
    for column, name in enumerate(names):
        if name == "weight":
            continue
        over = names.index("weight") if name == "snips" else -1
        value = float(summed[:, column].sum() / summed[:, over].sum())
        low, high = np.quantile(drawn[:, column] / np.maximum(drawn[:, over], 1e-300), [tail, 1 - tail])
        bound = (float("nan"), float("nan")) if name == "snips" else bernstein(summed[:, column] / size, ways.level)
        estimates[name] = Estimate(value, float(low), float(high), bound)
    return estimates


def refuse(found: Overlap, ways: Ways = Ways()) -> None:
    """Raises NoEvidence where the log cannot answer."""
    if found.effective < ways.enough:
        raise NoEvidence(
            "the log says too little of this policy",
            where="off-policy evaluation",
            allowed=f"an effective sample size of {ways.enough:.0f} or more",
            got=f"{found.effective:.1f} of {found.rows:,} rows (largest weight {found.largest_weight:,.0f})",
            next="log more pages, try out a larger share, or judge a policy that is nearer to the one that was logged",
        )
    apart = abs(found.mean_weight - 1.0)
    if apart > SURE * found.weight_error + 1e-9:
        raise NoEvidence(
            "the logged chances do not fit what was shown, or the policy shows what the log never could",
            where="off-policy evaluation",
            allowed=f"a mean weight within {SURE:.0f} standard errors of 1",
            got=f"{found.mean_weight:.4f} +- {found.weight_error:.4f}",
            next="check that the policy that answered logged its own chances, and can show all that this one can",
        )


def bernstein(values: Doubles, level: float = 0.95) -> tuple[float, float]:
    """Empirical Bernstein interval of the mean of n independent bounded values; the range is taken from them."""
    n = len(values)
    if n < 2:
        return (float("-inf"), float("inf"))
    log = np.log(4.0 / (1.0 - level))
    half = np.sqrt(2.0 * values.var(ddof=1) * log / n) + 7.0 * float(np.ptp(values)) * log / (3.0 * (n - 1))
    return (float(values.mean() - half), float(values.mean() + half))


def check(logged: Logged) -> None:
    """Raises NoEvidence for chances or rewards that cannot be."""
    columns = {"reward": logged.reward, "propensity": logged.propensity, "target": logged.target}
    for name, column in columns.items():
        if len(column) == 0 or not np.isfinite(column).all():
            raise _impossible(name, "finite numbers, one or more", "none" if len(column) == 0 else "NaN or infinite")
    if logged.propensity.min() <= 0 or logged.propensity.max() > 1 + 1e-9:
        raise _impossible("propensity", "above 0, at most 1", f"{logged.propensity.min()} to {logged.propensity.max()}")
    if logged.target.min() < 0 or logged.target.max() > 1 + 1e-9:
        raise _impossible("target", "0 to 1", f"{logged.target.min()} to {logged.target.max()}")


def _impossible(name: str, allowed: str, got: str) -> NoEvidence:
    return NoEvidence(
        "a logged chance or reward cannot be",
        where=f"off-policy evaluation, {name}",
        allowed=allowed,
        got=got,
        next="log the chance with which the shown item was chosen, at the moment it was chosen",
    )


def _terms(logged: Logged, ways: Ways) -> dict[str, Doubles]:
    """{estimator: (n,) terms whose mean is its value}; `snips` is divided by the mean of `weight`."""
    weight = _cut(logged.target / logged.propensity, ways)
    terms = {"naive": logged.reward, "ips": weight * logged.reward, "snips": weight * logged.reward, "weight": weight}
    if logged.modelled is not None and logged.expected is not None:
        rest = logged.reward - logged.modelled
        near = np.where(weight <= ways.switch, weight, 0.0)
        terms |= {"dm": logged.expected, "dr": logged.expected + weight * rest}
        terms |= {"switch_dr": logged.expected + near * rest}
    return terms


def _cut(weight: Doubles, ways: Ways) -> Doubles:
    return np.minimum(weight, ways.clip) if ways.clip > 0 else weight


def _codes(cluster: Longs) -> Longs:
    return np.asarray(np.unique(cluster, return_inverse=True)[1].ravel(), np.int64)


def _by_cluster(values: Doubles, cluster: Longs) -> Doubles:
    """(clusters, m) sums."""
    codes = _codes(cluster)
    out = np.zeros((int(codes.max()) + 1, values.shape[1]))
    np.add.at(out, codes, values)
    return out


def _cluster_error(values: Doubles, cluster: Longs) -> float:
    """Standard error of the mean, rows of one cluster taken together."""
    off = _by_cluster((values - values.mean())[:, None], cluster)[:, 0]
    clusters = len(off)
    return float(np.sqrt((off**2).sum() * clusters / max(clusters - 1, 1)) / len(values))
