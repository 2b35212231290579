"""Which shelf does a query mean? A calibrated guess at the category, with "none" as an answer.

    words of the query -> naive Bayes over the shop's categories -> temperature -> P(category), P(none)

Every title is an example of its category, and so is every query that led to a click; word counts give P(word |
category) with Dirichlet smoothing towards the whole shop, so that rare categories are not drowned. Naive Bayes orders
well and is far too sure of itself: one temperature and the odds of "none" are fitted on examples that the counts never
saw (every tenth title, as the few words a shopper would type; and mixtures of words from two different shelves, which
mean none).
A guess lifts what fits, it never filters: a wrong category then costs a place, not the product.
Cost: 10 microseconds a (word, category) pair of the query; 12 bytes a pair. Not for: which brand or colour
(`gazetteer`), or queries in words that no title holds (P(none) is near 1).
Papers: McCallum & Nigam 1998 (multinomial naive Bayes); Guo et al. 2017 (temperature scaling).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.special import log_expit, log_softmax

from bodega.schema import EVENT_CODES, INTEREST, Texts, World
from bodega.schema.arrays import Doubles, Floats, Ints, Longs
from bodega.schema.table import mapped
from bodega.understanding import language

SMOOTHING = 5.0
"""Words of the whole shop that every category is mixed with (Dirichlet); 1 to 20 are within .01 of each other."""
HELD_OUT = 10
"""Every so many examples calibrate, and are not counted."""
TYPED = 4
"""Words of a made-up query, at most."""
CLICK_WORTH = 5.0
"""A query that led to a category counts like so many titles."""
LEAST = 0.2
"""Probability below which a guess is not given."""
MOST_CALIBRATED = 4_000
NONE = 0.15
"""Part of all queries that is taken to mean no category (brands, codes, gifts)."""


@dataclass(frozen=True, slots=True)
class Guess:
    """One category (a path, joined) and the calibrated probability that the query means it."""

    category: str
    probability: float


class _Facts(msgspec.Struct, frozen=True):
    temperature: float = 1.0
    none: float = 0.0
    known: float = 0.0
    format: int = 1


class CategoryIntent:
    """Answers: which category does this query mean, if any? Needs: titles with categories; clicks of queries help.
    Good for: product words ("trail shoes", "冰箱"). Not for: brands alone, codes.
    Cost: see above. Relations: becomes a soft `Meaning` of kind "category"; the source `intent` lifts by it.
    """

    def __init__(self) -> None:
        self._facts = _Facts()
        self.categories: Texts = Texts.of(())
        self._terms: Texts = Texts.of(())
        self._row: dict[str, int] = {}
        self._starts: Longs = np.zeros(1, np.int64)
        """Term t occurs in the categories `_codes[_starts[t]:_starts[t + 1]]`, `_counts` times in each."""
        self._codes: Ints = np.empty(0, np.int32)
        self._counts: Floats = np.empty(0, np.float32)
        self._share: Floats = np.empty(0, np.float32)
        """P(term) in the whole shop: (n_terms,)."""
        self._size: Floats = np.empty(0, np.float32)
        """Words of each category: (n_categories,)."""
        self._prior: Doubles = np.empty(0)

    @classmethod
    def of(cls, world: World, seed: int = 7) -> Self:
        """Learn from the catalog's leaves, and from what queries led to."""
        leaf = np.asarray(world.items.leaf_category)
        names = world.items.coded["category"].vocabulary
        rows = np.flatnonzero(leaf >= 0)
        titles = [(world.items.titles[row], names[int(leaf[row])], 1.0) for row in rows.tolist()]
        return cls().fit([*titles, *_clicked(world, leaf)], seed)

    def fit(self, examples: Sequence[tuple[str, str, float]], seed: int = 7) -> Self:
        """Learn from (text, category, weight); same examples, same order, same result."""
        kept = [(language.tokens(text[:500]), category, weight) for text, category, weight in examples if category]
        kept = [example for example in kept if example[0]]
        counted = [example for at, example in enumerate(kept) if at % HELD_OUT or len(kept) < 5 * HELD_OUT]
        held = [example for at, example in enumerate(kept) if not at % HELD_OUT]
        self._count(counted)
        self._settle()
        if len(self.categories) > 1 and held:
            self._facts = self._calibrated(held, np.random.default_rng(seed))
        return self

    def guesses(self, text: str, most: int = 3) -> list[Guess]:
        """The likeliest categories with probability at least `LEAST`, best first; empty where it means none of them."""
        terms = self._known(language.tokens(text[:500]))
        if not len(terms):
            return []
        probability, _ = self._probabilities(terms)
        likely = np.flatnonzero(probability >= LEAST)
        best = likely[np.argsort(-probability[likely], kind="stable")][:most].tolist()
        return [Guess(self.categories[row], float(probability[row])) for row in best]

    def ranked(self, text: str) -> tuple[Doubles, float]:
        """(calibrated probability of each of `categories`, probability of none): for judging. Uniform of unknowns."""
        terms = self._known(language.tokens(text[:500]))
        if not len(terms):
            return np.full(len(self.categories), 0.0), 1.0
        return self._probabilities(terms)

    def save(self, folder: Path) -> None:
        (folder / "intent.json").write_bytes(msgspec.json.encode(self._facts, order="sorted"))
        for name, texts in (("intent.categories", self.categories), ("intent.terms", self._terms)):
            np.save(folder / f"{name}.blob.npy", texts.blob)
            np.save(folder / f"{name}.offsets.npy", texts.offsets)
        for name in ("starts", "codes", "counts", "share", "size", "prior"):
            np.save(folder / f"intent.{name}.npy", getattr(self, f"_{name}"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Memory-map what `save` wrote."""
        found = cls()
        found._facts = msgspec.json.decode((folder / "intent.json").read_bytes(), type=_Facts)
        found.categories = _texts(folder, "intent.categories")
        found._terms = _texts(folder, "intent.terms")
        for name in ("starts", "codes", "counts", "share", "size", "prior"):
            setattr(found, f"_{name}", mapped(folder / f"intent.{name}.npy"))
        found._settle()
        return found

    def _settle(self) -> None:
        self._row = {term: row for row, term in enumerate(self._terms)}

    def _count(self, examples: Iterable[tuple[Sequence[str], str, float]]) -> None:
        counts: dict[str, Counter[str]] = {}
        weights: Counter[str] = Counter()
        for terms, category, weight in examples:
            own = counts.setdefault(category, Counter())
            for term in terms:
                own[term] += weight  # type: ignore[assignment]  # counters hold weights here
            weights[category] += weight  # type: ignore[assignment]
        names = sorted(counts)
        terms = sorted({term for own in counts.values() for term in own})
        row = {term: number for number, term in enumerate(terms)}
        triples = sorted(
            (row[term], code, float(n)) for code, name in enumerate(names) for term, n in counts[name].items()
        )
        self.categories, self._terms = Texts.of(names), Texts.of(terms)
        at = np.array([triple[0] for triple in triples], np.int64)
        self._codes = np.array([triple[1] for triple in triples], np.int32)
        self._counts = np.array([triple[2] for triple in triples], np.float32)
        self._starts = np.searchsorted(at, np.arange(len(terms) + 1)).astype(np.int64)
        total = np.bincount(at, weights=self._counts, minlength=len(terms))
        self._share = (total / max(total.sum(), 1.0)).astype(np.float32)
        self._size = np.bincount(self._codes, weights=self._counts, minlength=len(names)).astype(np.float32)
        held = np.array([weights[name] for name in names], np.float64)
        self._prior = np.log(held / held.sum()) if len(names) else np.empty(0)

    def _known(self, terms: Sequence[str]) -> Ints:
        rows = [row for term in dict.fromkeys(terms) if (row := self._row.get(term)) is not None]
        return np.array(rows, np.int32)

    def _logits(self, terms: Ints) -> tuple[Doubles, float]:
        """(log score of every category, how much more the best says than the shop as a whole, per word)."""
        scores = self._prior.copy()
        lift = np.zeros(len(scores))
        for term in terms.tolist():
            here = slice(int(self._starts[term]), int(self._starts[term + 1]))
            share = float(self._share[term])
            each = np.full(len(scores), SMOOTHING * share)
            each[self._codes[here]] += self._counts[here]
            gain = np.log(each / (self._size + SMOOTHING)) - np.log(share)
            scores += gain
            lift += gain
        return scores, float(lift.max(initial=0.0)) / max(1, len(terms))

    def _probabilities(self, terms: Ints) -> tuple[Doubles, float]:
        scores, lift = self._logits(terms)
        share = np.exp(log_softmax(scores / self._facts.temperature))
        some = float(np.exp(log_expit(self._facts.none + self._facts.known * lift)))
        return share * some, 1.0 - some

    def _calibrated(self, held: Sequence[tuple[Sequence[str], str, float]], rng: np.random.Generator) -> _Facts:
        """Temperature, and the odds of "none", by maximum likelihood on examples that were not counted."""
        code = {name: number for number, name in enumerate(self.categories)}
        picked = [held[at] for at in np.linspace(0, len(held) - 1, min(len(held), MOST_CALIBRATED)).astype(int)]
        right: list[tuple[Doubles, float, int]] = []
        lifts: list[tuple[float, bool]] = []
        for terms, category, _ in picked:
            typed = self._known(_typed(terms, rng))
            if len(typed) and category in code:
                scores, lift = self._logits(typed)
                right.append((scores, lift, code[category]))
                lifts.append((lift, True))
            other = picked[int(rng.integers(len(picked)))]
            mixed = self._known([*_typed(terms, rng)[:1], *_typed(other[0], rng)[:1]])
            if other[1] != category and len(mixed) > 1:
                lifts.append((self._logits(mixed)[1], False))
        if not right:
            return _Facts()
        temperature = _temperature([(scores, row) for scores, _, row in right])
        none, known = _odds(lifts)
        return _Facts(round(temperature, 6), round(none, 6), round(known, 6))


def _typed(terms: Sequence[str], rng: np.random.Generator) -> list[str]:
    """A few of the words, as somebody would type them."""
    some = list(dict.fromkeys(terms))
    size = int(rng.integers(1, min(TYPED, len(some)) + 1))
    return [some[at] for at in np.sort(rng.choice(len(some), size, replace=False))]


def _temperature(cases: Sequence[tuple[Doubles, int]]) -> float:
    scores = np.stack([scores for scores, _ in cases])  # (cases, categories): one pass instead of one a case
    right = np.array([row for _, row in cases])[:, None]

    def loss(log_t: NDArray[np.float64]) -> float:
        chance = log_softmax(scores / float(np.exp(log_t[0])), axis=1)
        return -float(np.take_along_axis(chance, right, axis=1).mean())

    found = scipy.optimize.minimize(loss, np.array([0.5]), method="Nelder-Mead", options={"xatol": 1e-3, "maxiter": 40})
    return float(np.exp(found.x[0]))


def _odds(lifts: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    """Logistic regression of "means a category" on the lift, by maximum likelihood: (intercept, slope)."""
    x = np.array([lift for lift, _ in lifts])
    means = np.array([known for _, known in lifts])
    sign = np.where(means, 1.0, -1.0)
    worth = np.where(means, (1 - NONE) / max(1, int(means.sum())), NONE / max(1, int((~means).sum())))

    def loss(w: NDArray[np.float64]) -> float:
        return -float((worth * log_expit(sign * (w[0] + w[1] * x))).sum()) + 1e-4 * float(w[1] ** 2)

    found = scipy.optimize.minimize(loss, np.array([0.0, 1.0]), method="L-BFGS-B")
    return float(found.x[0]), max(0.0, float(found.x[1]))


def _clicked(world: World, leaf: Ints) -> list[tuple[str, str, float]]:
    """(query, category it led to, weight), heaviest category of each query first."""
    log = world.log
    names = world.items.coded["category"].vocabulary
    codes = [EVENT_CODES[name] for name in INTEREST]
    keep = (log.query >= 0) & (log.item >= 0) & np.isin(log.type, codes)
    pairs: Counter[tuple[int, int]] = Counter(zip(log.query[keep].tolist(), leaf[log.item[keep]].tolist(), strict=True))
    return [
        (log.queries[query], names[category], CLICK_WORTH * float(np.log1p(count)))
        for (query, category), count in sorted(pairs.items())
        if category >= 0
    ]


def _texts(folder: Path, name: str) -> Texts:
    return Texts(mapped(folder / f"{name}.blob.npy"), mapped(folder / f"{name}.offsets.npy"))
