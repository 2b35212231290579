"""Which arm of a slot, and with which chance exactly? The policies, for all slots of a page at once.

    epsilon      evenly among the arms: the plain way
    thompson     the chance to be the best under a Beta belief of each item (Thompson 1933, Chapelle & Li 2011)
    linear       Thompson sampling from a linear-Gaussian belief that all items share (Agrawal & Goyal 2013)
    linucb       the arm with the highest upper bound of the same belief (Li et al. 2010)
    cascade      as `thompson`, on beliefs from people who read from the top (cascading, Cheung et al. 2019)
    cascade_ucb  the arm with the highest KL upper bound on the same (CascadeKL-UCB, Kveton et al. 2015)

What is logged is the chance of the policy *as it is run*, never an estimate of it. Beta beliefs are compared on the
log-odds scale, where a Gaussian has their first two moments exactly; the chance to be the largest of a few Gaussians is
an integral (error below 1e-3, then normalised). `linear` draws from 256 fixed directions (antithetic normals, seed 0):
the policy *is* that finite mixture, so its chances are exact, and within .03 (standard error) of the ideal sampler.
A part `floor` is spread evenly, so every arm has a chance. Cost: .2 ms for 9 slots of 5. Not for: the budget (`slots`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import ndtr, psi, zeta

from bodega.ranking.explore.beliefs import CROSS, OWN, PRIOR_SEEN, SEEN, SQUARE, WANTED, Common
from bodega.schema.arrays import Doubles, Flags

GRID = 96
DRAWS = 256
ALPHA = 1.0
"""Standard deviations that LinUCB adds."""
_STEPS = 24


@dataclass(frozen=True, eq=False)
class Arms:
    """What is believed of the arms of S slots, at most n each. The first arm is what the ranking would show."""

    present: Flags
    """(S, n): is there such an arm?"""
    features: Doubles
    """(S, n, d)."""
    sums: Doubles
    """(S, n, 4 + d), see `Beliefs.sums`."""
    rate: float
    seen: float
    """How often anything was seen at all."""
    common: Common

    def beta(self) -> tuple[Doubles, Doubles]:
        """(a, b) of the Beta belief of each arm, (S, n) each."""
        seen, wanted = np.maximum(self.sums[..., SEEN], 0.0), np.maximum(self.sums[..., WANTED], 0.0)
        a = wanted + PRIOR_SEEN * self.rate
        b = np.maximum(seen - wanted, 0.0) + PRIOR_SEEN * (1.0 - self.rate)
        return np.asarray(a, np.float64), np.asarray(b, np.float64)

    def log_odds(self) -> tuple[Doubles, Doubles]:
        """(mean, standard deviation) of the log-odds of each Beta belief."""
        a, b = self.beta()
        return np.asarray(psi(a) - psi(b), np.float64), np.asarray(np.sqrt(zeta(2.0, a) + zeta(2.0, b)), np.float64)

    def linear(self) -> tuple[Doubles, Doubles]:
        """(mean, standard deviation of the item's own part) under the shared regression."""
        square = np.maximum(self.sums[..., SQUARE], 0.0)
        own = self.sums[..., CROSS] - self.sums[..., 4:] @ self.common.mean
        mean = self.features @ self.common.mean + own / (square + OWN)
        return np.asarray(mean, np.float64), np.asarray(np.sqrt(self.common.noise / (square + OWN)), np.float64)

    def spread(self) -> Doubles:
        """Standard deviation of each arm under the shared regression, its own part included."""
        shared = np.einsum("snd,de->sne", self.features, self.common.root)
        return np.asarray(np.sqrt((shared**2).sum(axis=-1) + self.linear()[1] ** 2))

    def promise(self) -> Doubles:
        """How good each arm could well be: (S, n), for the choice of challengers."""
        mean, deviation = self.log_odds()
        return np.asarray(mean + deviation)


def chances(policy: str, arms: Arms, floor: float) -> Doubles:
    """The chance of each arm in a slot that the policy decides: (S, n), rows sum to 1, above 0 for every arm present.

    `policy` is one of `schema.Explore.policy` but "off".
    """
    even: Doubles = arms.present / arms.present.sum(axis=1, keepdims=True)
    if policy == "epsilon":
        return even
    if policy == "linear":
        chosen = _best_of_draws(arms)
    elif policy == "linucb":
        chosen = _one_hot(arms.linear()[0] + ALPHA * arms.spread(), arms.present)
    elif policy == "cascade_ucb":
        chosen = _one_hot(kl_bound(*_rates(arms), _confidence(arms.seen)), arms.present)
    else:
        chosen = chance_of_largest(*arms.log_odds(), arms.present)
    return np.asarray((1.0 - floor) * chosen + floor * even)


def chance_of_largest(mean: Doubles, deviation: Doubles, present: Flags) -> Doubles:
    """The chance that each of n independent Gaussians is the largest of its row: (S, n), rows sum to 1."""
    low = np.where(present, mean - 6 * deviation, np.inf).min(axis=1)
    low = np.maximum(low, np.where(present, mean - 6 * deviation, -np.inf).max(axis=1))  # below it, the largest is not
    high = np.where(present, mean + 6 * deviation, -np.inf).max(axis=1)
    edges = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, GRID + 1)
    below = ndtr((edges[:, None, :] - mean[..., None]) / deviation[..., None])
    below = np.where(present[..., None], below, 1.0)
    middle = 0.5 * (below[..., 1:] + below[..., :-1])
    logs = np.log(np.maximum(middle, 1e-300))
    others = np.exp(logs.sum(axis=1, keepdims=True) - logs)
    steps = np.diff(below, axis=-1)
    steps[..., 0] += below[..., 0]  # what lies under the grid
    out = np.where(present, (steps * others).sum(axis=-1), 0.0)
    return np.asarray(out / out.sum(axis=1, keepdims=True))


def _best_of_draws(arms: Arms) -> Doubles:
    """How often each arm is the best of its slot over the fixed draws."""
    _, n, width = arms.features.shape
    mean, own = arms.linear()
    normals = _normals(width + n)
    shared = np.einsum("snd,de,me->snm", arms.features, arms.common.root, normals[:, :width])
    value = mean[..., None] + shared + own[..., None] * normals[:, width:].T[None]
    value[~arms.present] = -np.inf
    best = value.argmax(axis=1)
    return np.asarray((best[:, None, :] == np.arange(n)[None, :, None]).sum(axis=-1) / DRAWS)


@cache
def _normals(width: int) -> Doubles:
    """(DRAWS, width) normals that never change, each with its mirror image: their mean is 0 exactly."""
    half = np.random.default_rng(0).standard_normal((DRAWS // 2, width))
    return np.concatenate([half, -half])


def _one_hot(value: Doubles, present: Flags) -> Doubles:
    """1 for the best arm of each slot, the first on ties."""
    best = np.where(present, value, -np.inf).argmax(axis=1)
    return np.asarray((np.arange(value.shape[1]) == best[:, None]).astype(np.float64))


def _rates(arms: Arms) -> tuple[Doubles, Doubles]:
    a, b = arms.beta()
    return np.asarray(a / (a + b), np.float64), a + b


def _confidence(seen: float) -> float:
    """log t + 3 log log t, the level of KL-UCB (Garivier & Cappe 2011)."""
    log = np.log(max(seen, 3.0))
    return float(log + 3 * np.log(max(log, 1.0)))


def kl_bound(rate: Doubles, times: Doubles, level: float) -> Doubles:
    """The largest q with times * kl(rate, q) <= level, by bisection; same shape."""
    low, high = np.array(rate), np.ones_like(rate)
    p = np.clip(rate, 1e-9, 1 - 1e-9)
    for _ in range(_STEPS):
        q = np.clip(0.5 * (low + high), 1e-9, 1 - 1e-9)
        fits = times * (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))) <= level
        low, high = np.where(fits, q, low), np.where(fits, high, q)
    return low
