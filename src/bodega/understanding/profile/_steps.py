"""What does one step of learning see, and which way does it pull? Pairs drawn, parts hidden, a contrast, gradients.

Not for: how far to go (`training`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodega.protocols import Progress
from bodega.schema.arrays import Doubles, Flags, Floats, Longs
from bodega.understanding.profile.inputs import DENSE, MODALITIES, Inputs
from bodega.understanding.profile.lesson import Lesson, ProfileOptions
from bodega.understanding.profile.model import Pass, ProfileModel
from bodega.understanding.text._sparse_adam import SparseAdam

BEHAVIOUR = MODALITIES.index("behaviour")


@dataclass(slots=True, eq=False)
class Drawer:
    """Draws the pairs of a step."""

    lesson: Lesson
    options: ProfileOptions
    batch: int
    items: tuple[Inputs, ...]
    """Centred."""
    queries: Inputs | None
    there: tuple[Flags, ...]
    reach: tuple[Doubles, Doubles]
    chance: Floats
    """(n_items,): logarithm of how often each item is a right, times `log_q`."""

    @classmethod
    def of(cls, model: ProfileModel, lesson: Lesson, options: ProfileOptions) -> Drawer:
        n_items = len(lesson.items[0])
        items = tuple(model.centred(each) for each in lesson.items)
        weight = np.bincount(lesson.together.right, lesson.together.weight, n_items) if len(lesson.together) else 0.0
        share = weight / max(float(np.sum(weight)), 1e-12) + 1.0 / n_items
        return cls(
            lesson,
            options,
            min(options.batch, max(16, n_items // 2)),
            items,
            model.centred(lesson.queries) if lesson.queries is not None else None,
            tuple(each.present for each in items),
            (np.cumsum(lesson.together.weight, dtype=np.float64), np.cumsum(lesson.asked.weight, dtype=np.float64)),
            (options.log_q * np.log(share)).astype(np.float32) * np.ones(n_items, np.float32),
        )

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many pairs of a step are of queries, of two items, of one item."""
        lesson, options = self.lesson, self.options
        full = min(1.0, len(lesson.asked) / max(len(lesson.items[0]), 1))
        asked = int(self.batch * options.asked * full)
        selves = int((self.batch - asked) * options.selves) if len(lesson.together) else self.batch - asked
        return asked, self.batch - asked - selves, selves

    def pairs(self, which: int, count: int, rng: np.random.Generator) -> tuple[Longs, Longs, Longs]:
        """(left, right, half) of pairs drawn by weight; `which`: 0 two items, 1 queries."""
        held, reach = (self.lesson.together, self.lesson.asked)[which], self.reach[which]
        row = np.minimum(np.searchsorted(reach, rng.random(count) * reach[-1], side="right"), len(reach) - 1)
        return held.left[row], held.right[row], held.half[row]

    def hide(self, there: Flags, rng: np.random.Generator) -> Flags:
        """What is left to see of rows; something always is, where there was anything."""
        chance = np.full(len(MODALITIES), self.options.hidden)
        chance[BEHAVIOUR] = self.options.hidden_behaviour
        noise = rng.random(there.shape)
        left = there & (noise >= chance)
        none = ~left.any(axis=1)
        kept = np.where(there, noise, -1.0).argmax(axis=1)
        left[none, kept[none]] = there[none, kept[none]]
        return left


def run(
    model: ProfileModel, lesson: Lesson, options: ProfileOptions, rng: np.random.Generator, progress: Progress
) -> Doubles:
    drawer = Drawer.of(model, lesson, options)
    fewest, most = options.steps
    wanted = int(options.epochs * max(len(lesson.items[0]), len(lesson.asked)) / drawer.batch)
    steps = min(max(wanted, fewest), most)
    adams = {name: SparseAdam(held) for name, held in model.numbers.items()}
    losses = np.zeros(steps)
    progress.start("learn the profiles", steps)
    for step in range(steps):
        losses[step], found = gradients(model, drawer, rng)
        share = min(1.0, (step + 1) / (0.05 * steps + 1)) * (1 - 0.95 * step / steps)
        for name, gradient in found.items():
            rate = (options.gate_rate if name.startswith("gate.") else options.rate) * share
            rows = np.flatnonzero(gradient.any(axis=1)) if name not in DENSE else np.arange(len(gradient))
            adams[name].step(rows, gradient[rows], rate)
        progress.advance()
    progress.finish()
    return losses


def gradients(model: ProfileModel, drawer: Drawer, rng: np.random.Generator) -> tuple[float, dict[str, Floats]]:
    """Loss of a step and the gradients of all numbers, from all the sides of its pairs."""
    left, right, rights = _sides(model, drawer, rng)
    lefts = np.concatenate([each.vectors for each in left])
    others = np.concatenate([each.vectors for each in right])
    loss, to_left, to_right = contrast(lefts, others, rights, drawer)
    total: dict[str, Floats] = {}
    for passes, gradient in ((left, to_left), (right, to_right)):
        low = 0
        for each in passes:
            high = low + len(each.vectors)
            for name, found in each.back(gradient[low:high]).items():
                total[name] = total[name] + found if name in total else found
            low = high
    return loss, total


def _sides(model: ProfileModel, drawer: Drawer, rng: np.random.Generator) -> tuple[list[Pass], list[Pass], Longs]:
    """(lefts, rights, the item of each right); pairs of one half of the log go together, strangers come last."""
    asked, two, selves = drawer.counts
    n_items, halves = len(drawer.items[0]), len(drawer.items)
    one = rng.integers(0, n_items, selves)
    left, right, half = one, one, rng.integers(0, halves, selves)
    if two:
        drawn = drawer.pairs(0, two, rng)
        left, right, half = (np.concatenate(both) for both in zip(drawn, (left, right, half), strict=True))
    lefts, rights, names = [], [], []
    if asked and drawer.queries is not None:
        row, item, _ = drawer.pairs(1, asked, rng)
        query = drawer.queries.take(row)
        lefts.append(Pass.of(model, query, query.present))
        rights.append(_seen(model, drawer, halves - 1, item, rng))
        names.append(item)
    for number in range(halves):
        own = half == number
        if own.any():
            lefts.append(_seen(model, drawer, number, left[own], rng))
            rights.append(_seen(model, drawer, number, right[own], rng))
            names.append(right[own])
    drawn_evenly = rng.integers(0, n_items, min(drawer.options.strangers, n_items))
    rights.append(_seen(model, drawer, int(rng.integers(0, halves)), drawn_evenly, rng))
    names.append(drawn_evenly)
    return lefts, rights, np.concatenate(names)


def _seen(model: ProfileModel, drawer: Drawer, half: int, rows: Longs, rng: np.random.Generator) -> Pass:
    return Pass.of(model, drawer.items[half].take(rows), drawer.hide(drawer.there[half][rows], rng))


def contrast(left: Floats, right: Floats, rights: Longs, drawer: Drawer) -> tuple[float, Floats, Floats]:
    """(loss, gradient of `left` (b, d), of `right` (b + strangers, d)): row i of `left` belongs to row i of `right`."""
    count, temperature = len(left), np.float32(drawer.options.temperature)
    twin = drawer.lesson.twin
    names = rights if twin is None else twin[rights]
    logits = (left @ right.T) / temperature - drawer.chance[rights]
    same = names[:count, None] == names[None, :]
    same[np.arange(count), np.arange(count)] = False
    logits[same] = np.float32(-1e9)
    told = np.asarray(left.any(axis=1) & right[:count].any(axis=1))
    many = np.float32(max(1, int(told.sum())))
    pull = np.zeros_like(logits)
    loss = 0.0
    for square, axis in ((logits, 1), (logits[:, :count], 0)):
        chance = np.exp(square - square.max(axis=axis, keepdims=True))
        chance /= chance.sum(axis=axis, keepdims=True)
        loss -= float(np.log(np.maximum(np.diagonal(chance)[told], 1e-30)).sum() / many) / 2
        pull[:, : chance.shape[1]] += chance * (told[:, None] if axis else told) / 2
    pull[np.arange(count), np.arange(count)] -= told
    pull /= many * temperature
    return loss, pull @ right, pull.T @ left
