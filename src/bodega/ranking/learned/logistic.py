"""Fits `Linear`: conditional logistic regression, the softmax over each case's candidates.

Only the differences inside a case count, so what is equal for all its candidates gets weight 0, and how often the right
item is missing altogether does not blur the order. It starts at the fusion's sum, and the prior pulls it back there.
Cost: 7,000 cases x 150 candidates x 50 features 10 CPU s. Needs scipy alone. Paper: McFadden 1974.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy

from bodega.ranking.learned.lessons import Lessons
from bodega.ranking.learned.linear import CLIP, Linear
from bodega.ranking.learned.model import Model
from bodega.ranking.learned.softmax import Softmax
from bodega.schema.arrays import Doubles

MOST = 8_000
"""Cases; more cost time and move nothing."""


@dataclass(frozen=True)
class LogisticLearner:
    """`prior` is the variance of the weights around the start, per case; `width` see `TreesLearner`."""

    width: int = 60
    prior: float = 0.02
    kind: ClassVar[str] = Linear.kind

    def fit(self, lessons: Lessons) -> Mapping[int, Model]:
        """{0: the model}."""
        told = lessons.narrowed(self.width).sample(MOST, self.width)
        mean = lessons.values.mean(axis=0, dtype=np.float64)
        deviation = lessons.values.std(axis=0, dtype=np.float64)
        scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0)
        x = np.clip((told.values - mean) * scale, -CLIP, CLIP)
        task = Softmax.of(told)
        if not len(told):  # every hit lies behind the first places: the sum is all there is
            plain = (np.arange(len(mean)) == lessons.recipe.sum_at).astype(np.float32)
            return {0: Linear(plain, np.zeros_like(plain), np.ones_like(plain), np.zeros(1, np.float32))}
        start = np.zeros(x.shape[1])
        start[told.recipe.sum_at] = task.temperature(told.sum) * deviation[told.recipe.sum_at]
        pull = 1 / (self.prior * max(len(told), 1))

        def cost(weights: Doubles) -> tuple[float, Doubles]:
            # einsum, not a product of matrices: that one adds up in an order that depends on the number of threads.
            loss, slope = task.loss(np.einsum("nk,k->n", x, weights))
            away = weights - start
            gradient = np.einsum("n,nk->k", slope, x) + pull * away
            return loss + 0.5 * pull * float(away @ away), gradient

        found = scipy.optimize.minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": 100})
        free = scale > 0
        weights = np.where(free, found.x, 0).astype(np.float32)
        arrays = (weights, mean.astype(np.float32), scale.astype(np.float32), np.zeros(1, np.float32))
        return {0: Linear(*arrays)}
