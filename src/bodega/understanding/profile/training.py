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

import msgspec
import numpy as np

from bodega.protocols import NoProgress, Progress
from bodega.schema.arrays import Floats, Longs
from bodega.understanding.profile._steps import run
from bodega.understanding.profile.inputs import MODALITIES, SPARSE, Inputs
from bodega.understanding.profile.lesson import Lesson, ProfileOptions
from bodega.understanding.profile.model import ProfileModel

WAYS = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0)
"""Parts of the way from start to end that are tried."""
JUDGED, AMONG = 1_000, 20_000
"""Held-out pairs that judge, and items that they are looked for among."""


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
    model = begun(lesson, options, rng)
    losses, way, found = np.empty(0), 0.0, tuple[float, ...]()
    if model.projections and len(lesson.items[0]) > 1:
        start = {name: held.copy() for name, held in model.numbers.items()}
        losses = run(model, lesson, options, rng, progress)
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
    best = WAYS[int(np.argmax(np.array(found)))]
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
        total += float(np.mean(1.0 / (1 + above.sum(axis=1)))) / 2
    return total


def begun(lesson: Lesson, options: ProfileOptions, rng: np.random.Generator) -> ProfileModel:
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
