"""Is the category that a query means guessed right? Real queries with their category, five folds.

WANDS: 480 furniture queries, 190 classes; every class name is an example of its class, and four fifths of the queries.
Best Buy: 2,120 queries typed at an electronics shop with the category most of their results are in (second level).
Each query is guessed by a model that never saw it. Beside it: the most frequent category, and the category of the past
query that shares most words. `calibration` is the expected calibration error of the best guess (0 is perfect).
"""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bodega.evaluation.metrics import calibration_error
from bodega.understanding import language
from bodega.understanding.query.intent import CategoryIntent

SUGGESTIONS = Path("bestbuy_query_suggestions/instant_search_demo_query_suggestions.json.gz")
WANDS = Path("wands_queries/query.tsv")
FOLDS = 5

Example = tuple[str, str, float]
Guesser = Callable[[str], tuple[str, float]]
"""Query -> (category, how sure)."""


def read_suggestions(data: Path) -> list[Example]:
    """Queries with the category, second level, that most of their results are in."""
    with gzip.open(data / SUGGESTIONS, "rt", encoding="utf-8") as file:
        rows = json.load(file)
    out = []
    for row in rows:
        found = row["instant_search"]["facets"]["exact_matches"].get("hierarchicalCategories.lvl1") or []
        if found:
            out.append((str(row["query"]), str(found[0]["value"]), 1.0))
    return out


def read_wands(data: Path) -> list[Example]:
    with (data / WANDS).open(encoding="utf-8", newline="") as file:
        return [
            (row["query"], row["query_class"], 1.0)
            for row in csv.DictReader(file, delimiter="\t")
            if row["query_class"]
        ]


def judge(examples: Sequence[Example], given: Sequence[Example], seed: int) -> dict[str, np.ndarray]:
    """{method: right or wrong for every example}, and `calibration`'s two parts: `sure`, `right`.

    `given` are examples that every fold may learn from (names of the classes).
    """
    order = np.random.default_rng(seed).permutation(len(examples))
    right: dict[str, list[tuple[int, bool]]] = {"intent": [], "nearest_query": [], "most_frequent": []}
    sure: list[tuple[int, float]] = []
    for fold in range(FOLDS):
        test = order[fold::FOLDS]
        train = [*given, *(examples[at] for at in sorted(set(order.tolist()) - set(test.tolist())))]
        guessers = {"intent": _intent(train, seed), "nearest_query": _nearest(train), "most_frequent": _frequent(train)}
        for at in test.tolist():
            query, category, _ = examples[at]
            for name, guesser in guessers.items():
                guessed, confidence = guesser(query)
                right[name].append((at, guessed == category))
                if name == "intent":
                    sure.append((at, confidence))
    out = {name: np.array([good for _, good in sorted(found)], np.float64) for name, found in right.items()}
    return out | {"sure": np.array([confidence for _, confidence in sorted(sure)])}


def calibration(judged: dict[str, np.ndarray]) -> float:
    """Expected calibration error of the best guess."""
    return calibration_error(judged["sure"], judged["intent"] > 0)


def _intent(train: Sequence[Example], seed: int) -> Guesser:
    model = CategoryIntent().fit(train, seed)

    def guess(query: str) -> tuple[str, float]:
        probability, none = model.ranked(query)
        if not len(probability) or none >= 1:
            return "", 0.0
        best = int(np.argmax(probability))
        return model.categories[best], float(probability[best])

    return guess


def _nearest(train: Sequence[Example]) -> Guesser:
    words = [(set(language.tokens(text)), category) for text, category, _ in train]

    def guess(query: str) -> tuple[str, float]:
        own = set(language.tokens(query))
        near = [len(own & other) / max(1, len(own | other)) for other, _ in words]
        best = int(np.argmax(near))
        return (words[best][1], near[best]) if near[best] > 0 else ("", 0.0)

    return guess


def _frequent(train: Sequence[Example]) -> Guesser:
    most = Counter(category for _, category, _ in train).most_common(1)[0][0]
    return lambda _: (most, 1.0)
