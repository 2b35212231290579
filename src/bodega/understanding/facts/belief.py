"""How sure is a candidate? Learned by hiding what the shop knows and seeing which candidates find it again.

Idea: what speaks for a candidate (where it is said, how often such a mention was right, clues, rivals) makes a row of
numbers; a logistic regression over the structured items weighs them, per column, pulled towards one of all columns.
Its score becomes a probability by isotonic regression on products that it was not fitted on, each block
mixed with one right and two wrong products, so that five of five is not certainty. A threshold promises how many of the
facts that act are right, so a fact that is likely enough by itself (`LIKELY`) is told the share of right ones among all
facts of its column at least as likely: 1 - its q-value.
Cost: some milliseconds a column. Papers: Zadrozny & Elkan 2002 (isotonic calibration); Storey 2003 (q-values).
Not for: columns without structured items; those take `STANDARD`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import scipy
from numpy.typing import NDArray

from bodega.understanding.facts.mentions import Candidate

Array = NDArray[np.float64]
FEATURES = (
    "bias", "title", "text", "category", "code", "review", "title_right", "text_right", "category_right", "code_right",
    "title_said", "first", "last", "several", "rivals", "before_rivals", "mentions", "clue", "clues", "by_category",
    "rival_clue", "tagged", "share", "lexicon", "voted", "vote", "rival_vote",
)  # fmt: skip
STANDARD: dict[tuple[str, str], float] = {
    ("colour", "title"): 0.90,
    ("colour", "code"): 0.95,
    ("colour", "text"): 0.55,
    ("audience", "title"): 0.94,
    ("audience", "category"): 0.97,
    ("material", "title"): 0.75,
    ("material", "text"): 0.75,
    ("pattern", "title"): 0.5,
    ("season", "title"): 0.75,
    ("count", "title"): 0.97,
    ("ml", "title"): 0.95,
    ("g", "title"): 0.85,
}
"""(kind or unit, place): how often a mention of an everyday word was right in other shops, for columns that a shop has
not a single value of. Counted on Luma, fashion and ESCI products (205 colours and 101 audiences in titles, 288 colours
and 138 materials in texts); units by reading 85 titles; see docs/decisions/0041-facts.md."""
RIDGE, PULL = 1.0, 4.0
"""Penalty of the weights of all columns together, and of a column's own difference from them."""
RIGHT, WRONG = 1.0, 2.0
"""Products that each block of a curve is mixed with: thirty of thirty are .94. (Before votes were counted on products
that take no part, a guess was the best of many words and needed three wrong ones: docs/log.md.)"""
FEWEST = 30.0
"""Products with candidates that a column needs to be calibrated alone."""
LIKELY = 0.85
"""A fact's own chance from which it may act together with surer ones; below, its confidence is its own chance. Chosen
on Luma's folds 0 and 1 (docs/decisions/0041-facts.md)."""
_CLASSES = ("title", "text", "category", "code")


class Tally(msgspec.Struct, array_like=True):
    """How often a value was said in each place (title, text, category, code), and how often it was true: weights."""

    said: list[float]
    right: list[float]
    held: float = 0.0
    """Products that have the value."""


Tallies = dict[tuple[int, str], Tally]


class Known(msgspec.Struct, frozen=True):
    """What one part of the shop tells of values: their tallies, and the totals of each target."""

    tallies: Tallies
    totals: dict[int, Tally]

    def rate(self, target: int, value: str, place: int) -> float:
        """How often such a mention was right, shrunk towards the target's."""
        total = self.totals.get(target)
        prior = (total.right[place] + 1.0) / (total.said[place] + 2.0) if total else 0.5
        own = self.tallies.get((target, value))
        return (own.right[place] + 3.0 * prior) / (own.said[place] + 3.0) if own else prior

    def share(self, target: int, value: str) -> float:
        total, own = self.totals.get(target), self.tallies.get((target, value))
        return own.held / total.held if own and total and total.held else 0.0


def features(found: Mapping[tuple[int, str], Candidate], known: Known, numeric: Sequence[bool]) -> Array:
    """One row a candidate: (n, len(FEATURES))."""
    first: dict[int, int] = {}
    rivals: dict[int, int] = {}
    clue: dict[int, list[float]] = {}
    vote: dict[int, list[float]] = {}
    for candidate in found.values():
        starts = [one.start for one in candidate.mentions if one.place == "title"]
        if starts:
            first[candidate.target] = min(min(starts), first.get(candidate.target, 10**6))
        if candidate.mentions:
            rivals[candidate.target] = rivals.get(candidate.target, 0) + 1
        clue.setdefault(candidate.target, []).append(max(candidate.clue, candidate.by_category))
        vote.setdefault(candidate.target, []).append(candidate.vote)
    rows = [
        _row(candidate, known, numeric[candidate.target], first, rivals, (clue, vote)) for candidate in found.values()
    ]
    return np.array(rows, np.float64).reshape(len(rows), len(FEATURES))


def _row(
    candidate: Candidate,
    known: Known,
    numeric: bool,
    first: Mapping[int, int],
    rivals: Mapping[int, int],
    others: tuple[Mapping[int, list[float]], Mapping[int, list[float]]],
) -> list[float]:
    target, mentions = candidate.target, candidate.mentions
    value = "" if numeric else candidate.value
    titles = [one for one in mentions if one.place == "title"]
    said = [any(one.place == place for one in mentions) for place in (*_CLASSES, "review")]
    rates = [_odds(known.rate(target, value, at)) if said[at] else 0.0 for at in range(len(_CLASSES))]
    own = known.tallies.get((target, value))
    rival = _rival(others[0][target], max(candidate.clue, candidate.by_category))
    rival_vote = _rival(others[1][target], candidate.vote)
    return [
        1.0,
        *map(float, said),
        *rates,
        math.log1p(own.said[0]) if own and titles else 0.0,
        float(any(one.first for one in titles)),
        float(any(one.last for one in titles)),
        float(any(one.words > 1 for one in mentions)),
        math.log1p(max(0, rivals.get(target, 0) - bool(mentions))),
        float(bool(titles) and min(one.start for one in titles) == first.get(target)),
        math.log1p(len(mentions)),
        _odds(candidate.clue) if candidate.clue else 0.0,
        math.log1p(candidate.clues),
        _odds(candidate.by_category) if candidate.by_category else 0.0,
        _odds(rival) if rival else 0.0,
        2.0 + _odds(candidate.tagged) if candidate.tagged else 0.0,
        math.sqrt(known.share(target, value)),
        float(not candidate.shop),
        float(candidate.vote > 0),
        _odds(candidate.vote) if candidate.vote else 0.0,
        _odds(rival_vote) if rival_vote else 0.0,
    ]


def _rival(strengths: Sequence[float], mine: float) -> float:
    """The strongest of the others, where it is above `mine` or there are several."""
    others = sorted(strengths, reverse=True)
    return others[1] if len(others) > 1 and others[0] == mine else others[0] if others[0] > mine else 0.0


def _odds(share: float) -> float:
    share = min(0.995, max(0.005, share))
    return math.log(share / (1 - share))


class Curve(msgspec.Struct, frozen=True):
    """From a score to a probability: knots, both increasing. Without knots nothing is believed."""

    scores: list[float] = []
    chances: list[float] = []
    products: float = 0.0
    """Products with candidates that it was made of."""

    def __call__(self, score: Array) -> Array:
        if not self.scores:
            return np.zeros(len(score))
        found: Array = np.interp(score, self.scores, self.chances)
        return found


class Belief(msgspec.Struct, frozen=True):
    """Weights of one target, and the curves of candidates that a text names and of those that are only guessed."""

    weights: list[float]
    named: Curve
    guessed: Curve
    together: Curve = Curve()
    """From a fact's own chance to the share of right ones among all that are at least as likely."""

    def confidence(self, rows: Array) -> Array:
        """(n,) how sure each is: its own chance, from `LIKELY` on that of all at least as likely."""
        score = rows[:, : len(self.weights)] @ np.array(self.weights)  # what was kept before votes has fewer
        return self.told(np.where(_is_named(rows), self.named(score), self.guessed(score)))

    def told(self, own: Array) -> Array:
        """(n,) confidences of facts with these chances."""
        if not self.together.scores:
            return own
        return np.where(own >= LIKELY, np.maximum(own, self.together(own)), own)


def _is_named(rows: Array) -> NDArray[np.bool_]:
    """Which candidates does a text name? (The others are guessed from words that go with them.)"""
    return np.asarray(rows[:, 1:6].max(axis=1, initial=0.0) > 0)


class Examples(msgspec.Struct):
    """Candidates of structured items: rows of features, whether each is right, its weight, its fold (0 or 1)."""

    rows: Array
    right: Array
    weight: Array
    fold: NDArray[np.int64]
    target: NDArray[np.int64]


def learned(examples: Examples, targets: int) -> list[Belief | None]:
    """A belief for each target that has enough examples; None for the others."""
    if not len(examples.rows):
        return [None] * targets
    everything = np.ones(len(examples.rows), np.bool_)
    common = [_logistic(examples, everything & (examples.fold != fold), None) for fold in (0, 1)]
    final = _logistic(examples, everything, None)
    out: list[Belief | None] = []
    for target in range(targets):
        own = examples.target == target
        products = float(examples.weight[own].sum())
        if products < FEWEST:
            out.append(None)
            continue
        score = np.zeros(len(own))
        for fold in (0, 1):
            here = own & (examples.fold == fold)
            score[here] = examples.rows[here] @ _logistic(examples, own & (examples.fold != fold), common[fold])
        named = _is_named(examples.rows)
        curves = [
            curve(score[rows], examples.right[rows], examples.weight[rows]) for rows in (own & named, own & ~named)
        ]
        chance = np.where(named, curves[0](score), curves[1](score))[own]
        both = at_least(chance, examples.right[own], examples.weight[own])
        out.append(Belief(_logistic(examples, own, final).tolist(), curves[0], curves[1], both))
    return out


def at_least(chance: Array, right: Array, weight: Array) -> Curve:
    """The share of right facts among all that are at least as likely, mixed with RIGHT and WRONG products; never lower
    for a likelier fact."""
    levels = np.unique(chance[chance >= LIKELY])
    if not len(levels):
        return Curve()
    mass = np.array([weight[chance >= level].sum() for level in levels.tolist()])
    good = np.array([(weight * right)[chance >= level].sum() for level in levels.tolist()])
    share = np.maximum.accumulate((good + RIGHT) / (mass + RIGHT + WRONG))
    return Curve(
        [round(one, 6) for one in levels.tolist()],
        [round(one, 6) for one in share.tolist()],
        float(round(mass[0], 3)),
    )


def curve(score: Array, right: Array, weight: Array) -> Curve:
    """Isotonic blocks, each mixed with RIGHT and WRONG products, made increasing again."""
    if weight.sum() < FEWEST / 2:
        return Curve()
    order = np.argsort(score, kind="stable")
    score, right, weight = score[order], right[order], np.maximum(weight[order], 1e-6)
    level = scipy.optimize.isotonic_regression(right, weights=weight).x
    edges = np.concatenate([[0], np.flatnonzero(np.diff(level) > 1e-12) + 1, [len(level)]])
    scores, chances, sizes = [], [], []
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        mass = float(weight[low:high].sum())
        chances.append((float((right[low:high] * weight[low:high]).sum()) + RIGHT) / (mass + RIGHT + WRONG))
        sizes.append(mass)
        scores.append(float((score[low:high] * weight[low:high]).sum()) / mass)
    smooth = scipy.optimize.isotonic_regression(np.array(chances), weights=np.array(sizes)).x
    knots = [round(one, 6) for one in scores]
    return Curve(knots, [round(one, 6) for one in smooth.tolist()], float(round(weight.sum(), 3)))


def _logistic(examples: Examples, rows: NDArray[np.bool_], towards: Array | None) -> Array:
    """Weights by Newton's method, with a ridge around `towards`."""
    x, y, w = examples.rows[rows], examples.right[rows], examples.weight[rows]
    centre = np.zeros(len(FEATURES)) if towards is None else towards
    ridge = RIDGE if towards is None else PULL
    beta = centre.copy()
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        gradient = x.T @ (w * (y - p)) - ridge * (beta - centre)
        hessian = (x * (w * p * (1 - p))[:, None]).T @ x + ridge * np.eye(len(beta))
        step = np.linalg.solve(hessian, gradient)
        size = float(np.abs(step).max())
        beta = beta + step * min(1.0, 3.0 / size if size > 0 else 1.0)
        if size < 1e-6:
            break
    return beta
