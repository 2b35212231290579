"""Do vectors of a pretrained encoder tell pleased reviews from displeased ones better than a list of words?

A penalised logistic regression over the vectors, both sides weighing the same, taught by four folds and asked about the
fifth; equal texts lie in one fold. The gap of macro F1 is drawn over reviews. Cost: 6 to 7 ms a review for the encoder.
Not for: what is served (`understanding.reviews.sentiment`; docs/decisions/0043-reviews.md says why vectors are not).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bodega.protocols import Encoder
from bodega.understanding.reviews.sentiment import descended, macro_f1

Flags = NDArray[np.bool_]
Doubles = NDArray[np.float64]
FOLDS, PENALTY, ROUNDS = 5, 1.0, 200
RESAMPLES = 1_000


def told_by(encoder: Encoder, texts: Sequence[str], pleased: Flags, seed: int) -> Flags:
    """(n,) what a judge that did not see the review says of it."""
    vectors = np.asarray(encoder.encode(texts), np.float64)
    same = np.unique(np.asarray(texts, object).astype(str), return_inverse=True)[1]
    fold = np.random.default_rng(seed).permutation(int(same.max()) + 1)[same] % FOLDS
    found = np.zeros(len(texts), np.bool_)
    for part in range(FOLDS):
        outside = fold == part
        weights = learned(vectors[~outside], pleased[~outside])
        found[outside] = vectors[outside] @ weights[:-1] + weights[-1] > 0
    return found


def learned(vectors: Doubles, pleased: Flags) -> Doubles:
    """(d + 1,) weights and the bias."""
    sign, half = np.where(pleased, 1.0, -1.0), len(pleased) / 2
    weight = np.where(pleased, half / max(pleased.sum(), 1), half / max((~pleased).sum(), 1))

    def cost(at: Doubles) -> tuple[float, Doubles]:
        margin = sign * (vectors @ at[:-1] + at[-1])
        loss = float(np.sum(weight * np.logaddexp(0, -margin))) + 0.5 * PENALTY * float(np.sum(at[:-1] ** 2))
        pull = -weight * sign / (1 + np.exp(np.clip(margin, -500, 500)))
        return loss, np.append(pull @ vectors + PENALTY * at[:-1], pull.sum())

    return descended(cost, np.zeros(vectors.shape[1] + 1), ROUNDS)


def gap(truth: Flags, ours: Flags, theirs: Flags, seed: int) -> tuple[float, float, float]:
    """Mean and 95 % interval of the difference of macro F1, drawing reviews."""
    rows = np.random.default_rng(seed).integers(0, len(truth), (RESAMPLES, len(truth)))
    drawn = [macro_f1(truth[each], ours[each]) - macro_f1(truth[each], theirs[each]) for each in rows]
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return float(np.mean(drawn)), float(low), float(high)
