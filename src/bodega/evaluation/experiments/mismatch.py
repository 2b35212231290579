"""Are the arms as large as they should be? If not, something drops units of one arm, and every figure is worthless.

`sample_ratio` is Pearson's test for who looks once; `watched_ratio` may be looked at all the time: the inverse of a
Bayes factor (shares drawn from a Dirichlet around the planned ones against the planned shares themselves) is at most
alpha at any moment with chance 1 - alpha. Paper: Lindon & Malek, "Anytime-valid inference for multinomial count data",
NeurIPS 2022. Alarms are read at p < .001: an experiment is not thrown away lightly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy
from scipy.special import gammaln

ALARM = 0.001
CONCENTRATION = 1_000.0
"""How near the planned shares another explanation is thought to lie: 50.0 against 51.6 and the like."""


def sample_ratio(counts: Sequence[int], weights: Sequence[float]) -> float:
    """The p-value of these units an arm, looked at once; 1 without any."""
    total = sum(counts)
    if total == 0:
        return 1.0
    shares = np.asarray(weights, np.float64) / np.sum(weights)
    return float(scipy.stats.chisquare(counts, total * shares).pvalue)


def watched_ratio(counts: Sequence[int], weights: Sequence[float]) -> float:
    """The same, valid however often one looks."""
    seen = np.asarray(counts, np.float64)
    shares = np.asarray(weights, np.float64) / np.sum(weights)
    prior = CONCENTRATION * shares
    factor = (
        gammaln(CONCENTRATION)
        - gammaln(CONCENTRATION + seen.sum())
        + (gammaln(prior + seen) - gammaln(prior)).sum()
        - (seen * np.log(shares)).sum()
    )
    return float(min(1.0, np.exp(-factor)))
