"""How does a shop learn what its items are? By pairs that belong together, seen through whatever parts are left to see.

A step draws pairs of three kinds: one item seen twice (its photo against its text, ...), two items wanted together, and
a query with what people chose for it. On each side some modalities are hidden by chance, so that every part alone, and
every mixture, learns to stand for the whole: what is missing later costs no more than what it knew. Each left is pulled
to its right, away from the other rights of the batch and from items drawn evenly (InfoNCE, both ways); how often an
item is drawn is taken out by `log_q` times its logarithm.

What people did is both an input and a lesson. An item's place among others' wishes would give its pairs away, so the
log is halved by shopper: pairs of one half are taught with the places that the other half gives (`Lesson.items`). How
far to go is asked of shoppers that nothing was learned from: of the models between the start, which is a good one, and
the end, the one that finds their pairs best is kept (`held`). A small shop stays near its start, a large one goes far.
Numbers come from numpy: no extra is needed. Same lesson, same options: same bytes.
Cost: 12,000 items some 40 CPU s. Not for: where vectors of texts and pictures come from.
Papers: van den Oord et al. 2018 (InfoNCE); Yi et al. 2019 (log Q); Neverova et al. 2016 (modality dropout); Wortsman
et al. 2022 (models between start and end).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from bodega.protocols import NoProgress, Progress
from bodega.schema.arrays import Doubles, Flags, Floats, Longs
from bodega.understanding.profile.inputs import DENSE, MODALITIES, SPARSE, Inputs
from bodega.understanding.profile.model import Pass, ProfileModel
from bodega.understanding.text._sparse_adam import SparseAdam

BEHAVIOUR = MODALITIES.index("behaviour")
WAYS = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0)
"""Parts of the way from start to end that are tried."""
JUDGED, AMONG = 1_000, 20_000
"""Held-out pairs that judge, and items that they are looked for among."""


class ProfileOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Chosen on validation cases of Beauty and Office (docs/decisions/0039-item-profile.md)."""

    dimensions: int = 128
    seed: int = 7
    batch: int = 512
    """Pairs a step; in a small shop half of its items."""
    strangers: int = 256
    """Items drawn evenly as further contrast, a step."""
    epochs: float = 30.0
    """How often each item is looked at, at most."""
    steps: tuple[int, int] = (60, 1_200)
    """Fewest and most."""
    rate: float = 0.003
    gate_rate: float = 0.003
    temperature: float = 0.1
    hidden: float = 0.3
    """Chance of each modality to be hidden on one side of a pair."""
    hidden_behaviour: float = 0.6
    """The same of behaviour: what is cold has none."""
    selves: float = 0.5
    """Share of pairs that are one item seen twice, where behaviour tells pairs of two."""
    asked: float = 0.25
    """Share of pairs from queries, where there are as many as items (fewer: in proportion)."""
    plain: float = -2.0
    """Where the gates of words and attributes begin, against 0 of text and image, in a shop where no pairs of items
    teach them: which words tell one item from all others is not what makes two alike."""
    unjudged: float = 0.25
    """Part of the way from the start where there are no held-out pairs to ask."""
    log_q: float = 0.0
    """1: scores say how likely; 0: how much likelier than by chance, which is fair to what nobody knows."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """m pairs of rows: `left` belongs to `right`, `weight` (m,) times as often as another."""

    left: Longs
    right: Longs
    weight: Floats
    half: Longs
    """(m,): which of `Lesson.items` is looked at."""

    @classmethod
    def none(cls) -> Pairs:
        empty = np.empty(0, np.int64)
        return cls(empty, empty, np.empty(0, np.float32), empty)

    def __len__(self) -> int:
        return len(self.left)

    def where(self, keep: Flags) -> Pairs:
        """Those that are kept, (m,)."""
        return Pairs(self.left[keep], self.right[keep], self.weight[keep], self.half[keep])

    def at_most(self, share: float, beside: Pairs) -> Pairs:
        """These, weighed so that they are at most this share of what is drawn of both."""
        own, others = float(self.weight.sum(dtype=float)), float(beside.weight.sum(dtype=float))
        factor = min(1.0, share / (1 - share) * others / own) if own else 1.0
        return Pairs(self.left, self.right, self.weight * np.float32(factor), self.half)

    def beside(self, other: Pairs) -> Pairs:
        """These, then the others."""
        columns = ("left", "right", "weight", "half")
        return Pairs(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in columns))


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """All that is learned from."""

    items: tuple[Inputs, ...]
    """The catalog, once for every half of the log: they differ in `behaviour` alone."""
    together: Pairs = field(default_factory=Pairs.none)
    """Items wanted together."""
    queries: Inputs | None = None
    asked: Pairs = field(default_factory=Pairs.none)
    """`left` are rows of `queries`."""
    twin: Longs | None = None
    """(n_items,): the first item that reads the same: no contrast to it."""
    held: Pairs = field(default_factory=Pairs.none)
    """Pairs of shoppers that nothing else was made of."""
    judged: Inputs | None = None
    """The catalog as `held` may see it."""
    start: Mapping[str, Floats] = field(default_factory=dict)
    """Where projections begin: {modality: (inputs, d)}; random ones elsewhere."""


class ProfileFacts(msgspec.Struct, frozen=True):
    """How it went."""

    steps: int
    loss: float
    """Mean InfoNCE of the last tenth."""
    way: float
    """How far the model went from its start, 0 to 1."""
    found: tuple[float, ...]
    """Mean reciprocal rank of the held-out pairs after each of `WAYS`; empty where there were none."""
    pairs: int
    asked: int
    gates: dict[str, float]
    """Mean gate weight of each modality over the items that have it."""
    seconds: float


def train(
    lesson: Lesson, options: ProfileOptions | None = None, progress: Progress | None = None
) -> tuple[ProfileModel, ProfileFacts]:
    """Learn a model; a shop of nothing gives one that answers zeros."""
    began = time.perf_counter()
    options, progress = options or ProfileOptions(), progress or NoProgress()
    rng = np.random.default_rng(options.seed)
    model = _begun(lesson, options, rng)
    losses, way, found = np.empty(0), 0.0, tuple[float, ...]()
    if model.projections and len(lesson.items[0]) > 1:
        start = {name: held.copy() for name, held in model.numbers.items()}
        losses = _steps(model, lesson, options, rng, progress)
        way, found = _settled(model, start, lesson, options)
    there, gates = lesson.items[-1].present, model.encode(lesson.items[-1]).gates
    mean = {
        name: float(gates[there[:, MODALITIES.index(name)], MODALITIES.index(name)].mean()) for name in model.modalities
    }
    last = losses[-max(1, len(losses) // 10) :]
    return model, ProfileFacts(
        steps=len(losses),
        loss=round(float(last.mean()), 4) if len(last) else 0.0,
        way=way,
        found=tuple(round(each, 4) for each in found),
        pairs=len(lesson.together),
        asked=len(lesson.asked),
        gates={name: round(weight, 4) for name, weight in mean.items()},
        seconds=round(time.perf_counter() - began, 2),
    )


def _settled(
    model: ProfileModel, start: Mapping[str, Floats], lesson: Lesson, options: ProfileOptions
) -> tuple[float, tuple[float, ...]]:
    """Put the model where held-out pairs are found best on its way from `start`; (part of the way, what was found)."""
    end = {name: held.copy() for name, held in model.numbers.items()}
    if not len(lesson.held) or lesson.judged is None:
        _walk(model, start, end, options.unjudged)
        return options.unjudged, ()
    rng = np.random.default_rng([options.seed, 2])
    held = lesson.held
    drawn = rng.choice(len(held), min(JUDGED, len(held)), replace=False, p=held.weight / held.weight.sum(dtype=float))
    others = rng.permutation(len(lesson.judged))[:AMONG]
    found = []
    for way in WAYS:
        _walk(model, start, end, way)
        found.append(_found(model, lesson.judged, (held.left[drawn], held.right[drawn]), others))
    best = WAYS[int(np.argmax(found))]
    _walk(model, start, end, best)
    return best, tuple(found)


def _walk(model: ProfileModel, start: Mapping[str, Floats], end: Mapping[str, Floats], way: float) -> None:
    for name, held in model.numbers.items():
        held[...] = start[name] + np.float32(way) * (end[name] - start[name])


def _found(model: ProfileModel, judged: Inputs, pairs: tuple[Longs, Longs], others: Longs) -> float:
    """Mean reciprocal rank of the rights among `others`, half of it for rights whose behaviour nobody knows."""
    left, right = pairs
    asked, total = model.encode(judged.take(left)).vectors, 0.0
    dull = judged.only(*(name for name in MODALITIES if name != "behaviour"))
    for known in (judged, dull):
        shelf = model.encode(known.take(others)).vectors
        own = np.vecdot(asked, model.encode(known.take(right)).vectors)
        above = (asked @ shelf.T > own[:, None]) & (others != right[:, None]) & (others != left[:, None])
        total += float((1.0 / (1 + np.count_nonzero(above, axis=1))).mean()) / 2
    return total


def _begun(lesson: Lesson, options: ProfileOptions, rng: np.random.Generator) -> ProfileModel:
    """Projections that keep what is near near: leading directions, each modality turned its own way."""
    whole = lesson.items[-1]
    projections, means = {}, {}
    for name in MODALITIES:
        held = whole.dense.get(name)
        rows = whole.bags.get(name)
        if held is not None and held.any():
            there = held[held.any(axis=1)]
            means[name] = there.mean(axis=0).astype(np.float32)
            start = _leading(there - means[name], options.dimensions)
        elif rows is not None and rows.nnz:
            given = lesson.start.get(name)
            start = given if given is not None else _noise(rows.shape[1], options.dimensions, rng)
        else:
            continue
        projections[name] = (start @ _turn(start.shape[1], options.dimensions, rng)).astype(np.float32)
    model = ProfileModel(projections, means)
    for name in SPARSE if not len(lesson.together) else ():
        model.gate["bias"][MODALITIES.index(name)] = options.plain
    return model


def _leading(rows: Floats, dimensions: int) -> Floats:
    """(inputs, k): the directions in which the rows differ most."""
    wide = rows.astype(np.float64)
    values, directions = np.linalg.eigh(wide.T @ wide)
    order = np.argsort(-values, kind="stable")[:dimensions]
    return directions[:, order].astype(np.float32)


def _noise(inputs: int, dimensions: int, rng: np.random.Generator) -> Floats:
    return rng.standard_normal((inputs, dimensions), np.float32) / np.float32(np.sqrt(dimensions))


def _turn(inner: int, outer: int, rng: np.random.Generator) -> Floats:
    """(inner, outer) with orthogonal rows of length 1."""
    square, _ = np.linalg.qr(rng.standard_normal((outer, outer)))
    return square[:inner].astype(np.float32)


@dataclass(slots=True, eq=False)
class _Drawer:
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
    def of(cls, model: ProfileModel, lesson: Lesson, options: ProfileOptions) -> _Drawer:
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


def _steps(
    model: ProfileModel, lesson: Lesson, options: ProfileOptions, rng: np.random.Generator, progress: Progress
) -> Doubles:
    drawer = _Drawer.of(model, lesson, options)
    fewest, most = options.steps
    wanted = int(options.epochs * max(len(lesson.items[0]), len(lesson.asked)) / drawer.batch)
    steps = min(max(wanted, fewest), most)
    adams = {name: SparseAdam(held) for name, held in model.numbers.items()}
    losses = np.zeros(steps)
    progress.start("learn the profiles", steps)
    for step in range(steps):
        losses[step], gradients = _gradients(model, drawer, rng)
        share = min(1.0, (step + 1) / (0.05 * steps + 1)) * (1 - 0.95 * step / steps)
        for name, gradient in gradients.items():
            rate = (options.gate_rate if name.startswith("gate.") else options.rate) * share
            rows = np.flatnonzero(gradient.any(axis=1)) if name not in DENSE else np.arange(len(gradient))
            adams[name].step(rows, gradient[rows], rate)
        progress.advance()
    progress.finish()
    return losses


def _gradients(model: ProfileModel, drawer: _Drawer, rng: np.random.Generator) -> tuple[float, dict[str, Floats]]:
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


def _sides(model: ProfileModel, drawer: _Drawer, rng: np.random.Generator) -> tuple[list[Pass], list[Pass], Longs]:
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


def _seen(model: ProfileModel, drawer: _Drawer, half: int, rows: Longs, rng: np.random.Generator) -> Pass:
    return Pass.of(model, drawer.items[half].take(rows), drawer.hide(drawer.there[half][rows], rng))


def contrast(left: Floats, right: Floats, rights: Longs, drawer: _Drawer) -> tuple[float, Floats, Floats]:
    """(loss, gradient of `left` (b, d), of `right` (b + strangers, d)): row i of `left` belongs to row i of `right`."""
    count, temperature = len(left), np.float32(drawer.options.temperature)
    twin = drawer.lesson.twin
    names = rights if twin is None else twin[rights]
    logits = (left @ right.T) / temperature - drawer.chance[rights]
    same = names[:count, None] == names[None, :]
    same[np.arange(count), np.arange(count)] = False
    logits[same] = np.float32(-1e9)
    told = np.asarray(left.any(axis=1) & right[:count].any(axis=1))
    many = np.float32(max(1, np.count_nonzero(told)))
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
