"""What would a pretrained sentence encoder say? Its vectors of the shop's own texts, as targets to start from.

The teacher reads titles, the shop's words one by one and its queries; its vectors are centred (sentence encoders share
one large direction that says nothing) and turned to the student's number of dimensions by principal components. The
student then learns to give the same direction for the same text. Cost: 3 ms a text with a small teacher, 1 CPU-s a
thousand texts of student's time. Not for: using the teacher at serving time (`pretrained`).
Paper: Reimers & Gurevych 2020 (distilling sentence encoders); Model2Vec (words through the teacher, PCA).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodega.protocols import Encoder
from bodega.schema.arrays import Floats
from bodega.understanding import language
from bodega.understanding.text import _pieces
from bodega.understanding.text._bag import Bags, Learner
from bodega.understanding.text.static import unit

WORDS, QUERIES = 0.25, 0.25
"""Shares of the texts that are single words and queries, at most; the rest are passages."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """`bags` are the texts as words, `targets` (n, d) the directions they should have."""

    bags: Bags
    targets: Floats

    def __len__(self) -> int:
        return len(self.bags)


def texts_to_teach(passages: Sequence[str], queries: Sequence[str], most: int, rng: np.random.Generator) -> list[str]:
    """At most `most` different texts: the most frequent words, then queries, then passages: first those with a word
    that none before had (so that the teacher speaks of every word of the shop), then others, in an order of chance."""
    drawn = _covering(passages, most, rng)
    spelled: dict[str, Counter[str]] = {}
    for text in drawn:
        for word in language.words(text):
            spelled.setdefault(language.stem(word), Counter())[word] += 1
    frequent = sorted(spelled, key=lambda stem: (-spelled[stem].total(), stem))[: int(most * WORDS)]
    words = [min(spelled[stem], key=lambda word: (-spelled[stem][word], word)) for stem in frequent]
    asked = _some(queries, int(most * QUERIES), rng)
    return list(dict.fromkeys([*words, *asked, *drawn]))[:most]


def lesson(bags: Bags, said: Floats, dimensions: int) -> Lesson:
    """The teacher's vectors (n, its dimensions) as targets of `dimensions` numbers, length 1."""
    centred = said - said.mean(axis=0)
    _, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    turned = centred @ vectors[:, ::-1][:, :dimensions].astype(np.float32)
    targets = np.zeros((len(said), dimensions), np.float32)
    targets[:, : turned.shape[1]] = turned
    some = np.flatnonzero(np.diff(bags.starts) > 0)
    return Lesson(bags.take(some), unit(targets[some]))


def ask(teacher: Encoder, texts: Sequence[str]) -> Floats:
    """What the teacher says to each text; (n, its dimensions)."""
    return np.asarray(teacher.encode(texts), np.float32)


def repeat(learner: Learner, lesson: Lesson, rows: NDArray[np.int64], rate: float, rng: np.random.Generator) -> float:
    """One step towards the targets of these rows; returns 1 - mean cosine."""
    batch = learner.batch(lesson.bags.take(rows), 0.1, rng)
    targets = lesson.targets[rows]
    away = 1.0 - float(np.einsum("ij,ij->i", batch.vectors, targets).mean())
    batch.learn(targets / np.float32(-len(rows)), rate)
    return away


def _covering(texts: Sequence[str], most: int, rng: np.random.Generator) -> list[str]:
    """At most `most` texts, in an order of chance, those first that bring a word with them."""
    heard: set[str] = set()
    fresh: list[str] = []
    others: list[str] = []
    for row in rng.permutation(len(texts)).tolist():
        words = _pieces.terms(texts[row])
        (others if heard.issuperset(words) else fresh).append(texts[row])
        heard.update(words)
    return [*fresh, *others][:most]


def _some(texts: Sequence[str], most: int, rng: np.random.Generator) -> list[str]:
    if len(texts) <= most:
        return list(texts)
    return [texts[row] for row in np.sort(rng.choice(len(texts), most, replace=False)).tolist()]
