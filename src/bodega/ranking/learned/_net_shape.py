"""Which numbers does a ranking network consist of, and how does it compute? The same sums that `_net_torch` trains,
in numpy, with the gradient that explanations need. No torch, nothing learned here.

    columns -> squeezed, standardised, "was missing" flags --+
    candidate x newest items of the history -> attention ----+--> z -> levels of experts and gates -> a tower a task

A *level* has experts (linear + ReLU) of each task and shared ones; a gate (softmax) mixes, for each task, its own and
the shared ones. Two levels with own experts are PLE; one level with shared experts only is MMoE; one shared expert is
the shared bottom. Beside the towers each task has a plain weighted sum of z: what is linear need not be learned by the
experts (Cheng et al. 2016, wide and deep). The attention is not normalised: many matching items say more than one
(Zhou et al. 2018, section 4.3).
Cost: one product of z with everything that reads it, then small ones; see `_net_model`. Memory: 100 kB and the vectors.
Papers: Ma et al. 2018 (MMoE), Tang et al. 2020 (PLE), Zhou et al. 2018 (DIN), Sundararajan et al. 2017 (gradients).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.schema import EVENT_CODES
from bodega.schema.arrays import Doubles, Flags, Floats, Ints

Array = NDArray[np.floating]
N_ACTIONS = len(EVENT_CODES)
CLIP = 8.0
"""Standardised columns end here: one wild number must not decide."""


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything about a network but its numbers."""

    columns: tuple[str, ...]
    tasks: tuple[str, ...]
    levels: int = 2
    own: int = 1
    """Experts of each task, a level."""
    shared: int = 2
    """Experts that all tasks share, a level."""
    width: int = 32
    tower: int = 16
    keys: int = 0
    """Width of the attention to the history; 0: none."""
    recent: int = 20
    """Newest items of the history that are attended."""
    dimensions: int = 0
    """Length of an item vector."""
    flagged: tuple[int, ...] = ()
    """Columns that may be missing: each has a second input that says so."""
    chained: tuple[str, ...] = ()
    """Tasks that happen after the first one, the click: P(buy) = P(click) x P(buy | click) (ESMM, Ma et al. 2018)."""

    @property
    def streams(self) -> int:
        """One a task and the shared one, which is the last."""
        return len(self.tasks) + 1

    @property
    def inputs(self) -> int:
        """Width of z."""
        return len(self.columns) + len(self.flagged) + (3 * self.keys + 1 if self.keys else 0)

    def experts(self, stream: int) -> int:
        return self.shared if stream == len(self.tasks) else self.own

    def gated(self, stream: int) -> list[tuple[int, int]]:
        """(stream, number) of the experts that this stream's gate mixes."""
        from_streams = range(self.streams) if stream == len(self.tasks) else (stream, len(self.tasks))
        return [(own, number) for own in from_streams for number in range(self.experts(own))]

    def outlets(self, level: int) -> range:
        """Streams that leave a level; the shared one ends before the last."""
        return range(self.streams if level + 1 < self.levels else len(self.tasks))

    def sizes(self) -> dict[str, tuple[int, ...]]:
        """{name of a parameter: its shape}."""
        out: dict[str, tuple[int, ...]] = {}
        for level in range(self.levels):
            width = self.width if level else self.inputs
            for stream in range(self.streams):
                if self.experts(stream):
                    out[f"l{level}.w{stream}"] = (width, self.experts(stream) * self.width)
                    out[f"l{level}.b{stream}"] = (self.experts(stream) * self.width,)
            for stream in self.outlets(level):
                if len(self.gated(stream)) > 1:
                    out[f"l{level}.g{stream}"] = (width, len(self.gated(stream)))
                    out[f"l{level}.h{stream}"] = (len(self.gated(stream)),)
        for task in range(len(self.tasks)):
            out |= {f"t{task}.w": (self.width, self.tower), f"t{task}.b": (self.tower,)}
            out |= {f"t{task}.v": (self.tower,), f"t{task}.c": (), f"t{task}.line": (self.inputs,)}
        if self.keys:
            out |= {f"a.{name}": (self.dimensions, self.keys) for name in ("query", "key", "value", "self")}
            out |= {"a.place": (self.recent,), "a.action": (N_ACTIONS,)}
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """How raw columns become inputs: long tails squeezed, mean 0, deviation 1, missing = 0 with a flag."""

    flagged: Flags
    """Columns that were missing somewhere while learning."""
    long: Flags
    scale: Floats
    """Divides before the logarithm of a long-tailed column."""
    mean: Floats
    deviation: Floats

    @classmethod
    def of(cls, values: Floats, straight: Sequence[int] = ()) -> Columns:
        """`values` (n, n_columns), NaN = missing. A column whose logarithm is less skewed is squeezed, but for the
        `straight` ones."""
        known: Flags = np.isfinite(values)
        count = np.maximum(known.sum(axis=0), 1)
        filled = np.where(known, values, 0).astype(np.float64)
        scale = np.maximum(np.abs(filled).sum(axis=0) / count, 1e-6)
        squeezed = np.where(known, np.sign(filled) * np.log1p(np.abs(filled) / scale), 0)
        plain, logged = _moments(filled, known, count), _moments(squeezed, known, count)
        long = np.abs(logged[2]) < 0.8 * np.abs(plain[2])
        long[list(straight)] = False
        return cls(
            flagged=np.asarray(~known.all(axis=0)),
            long=long,
            scale=scale.astype(np.float32),
            mean=np.where(long, logged[0], plain[0]).astype(np.float32),
            deviation=np.where(long, logged[1], plain[1]).astype(np.float32),
        )

    def apply(self, values: Floats) -> Floats:
        """(n, n_columns + flagged ones) float32."""
        n, width = values.shape
        out = np.empty((n, width + int(self.flagged.sum())), np.float32)
        x = out[:, :width]
        x[:] = values
        known = np.isfinite(x)
        whole = bool(known.all())
        if not whole:
            x[~known] = 0
        if self.long.any():
            part = x[:, self.long]
            x[:, self.long] = np.copysign(np.log1p(np.abs(part) / self.scale[self.long]), part)
        x -= self.mean
        x /= self.deviation
        np.clip(x, -CLIP, CLIP, out=x)
        out[:, width:] = 0 if whole else ~known[:, self.flagged]
        if not whole:
            x[~known] = 0
        return out


def _moments(values: Doubles, known: Flags, count: NDArray[np.int64]) -> tuple[Doubles, Doubles, Doubles]:
    """(mean, deviation, skewness) of each column over its known rows; a constant column has deviation 1."""
    mean = values.sum(axis=0) / count
    gap = np.where(known, values - mean, 0)
    deviation = np.sqrt((gap**2).sum(axis=0) / count)
    flat = deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-6)
    deviation = np.where(flat, 1.0, deviation)
    return mean, deviation, np.where(flat, 0.0, (gap**3).sum(axis=0) / count / deviation**3)


@dataclass(frozen=True, slots=True, eq=False)
class Recent:
    """The newest items of one shopper as the attention sees them, newest first."""

    vectors: Floats
    """(n_recent, dimensions)."""
    actions: Ints
    """(n_recent,) event codes."""
    known: Flags
    """(n_recent,) False where the item has no vector."""


class Forward:
    """The network as sums: parameters by name (float32, see `Shape.sizes`)."""

    def __init__(self, shape: Shape, held: Mapping[str, Array], columns: Columns) -> None:
        self.shape, self.held, self.columns = shape, dict(held), columns
        names = [f"l0.{part}{stream}" for part in "wg" for stream in range(shape.streams)]
        self._first = [name for name in names if name in self.held]
        """All that reads z itself: one product instead of many."""
        sides = [np.atleast_1d(self.held[name.replace("w", "b").replace("g", "h")]) for name in self._first]
        self._weight = np.concatenate([self.held[name] for name in self._first], axis=1)
        self._bias = np.concatenate(sides)
        ends = np.cumsum([self.held[name].shape[1] for name in self._first]).tolist()
        self._part = dict(zip(self._first, (slice(*pair) for pair in pairwise([0, *ends])), strict=True))

    def inputs(self, values: Floats, vectors: Floats | None, recent: Recent | None) -> Floats:
        """z, (n, inputs). `values` (n, n_columns); `vectors` (n, dimensions) of the candidates."""
        x = self.columns.apply(values)
        if not self.shape.keys:
            return x
        assert vectors is not None
        out = np.zeros((len(x), self.shape.inputs), np.float32)
        out[:, : x.shape[1]] = x
        keys, at = self.shape.keys, x.shape[1]
        own = vectors @ self.held["a.self"]
        out[:, at + keys : at + 2 * keys] = own
        if recent is not None and len(recent.actions):
            weights = self.attention(vectors, recent)
            pooled = weights @ (recent.vectors @ self.held["a.value"]) / np.float32(np.sqrt(self.shape.recent))
            out[:, at : at + keys] = pooled
            out[:, at + 2 * keys : at + 3 * keys] = pooled * own
            out[:, at + 3 * keys] = weights.sum(axis=1) / np.float32(self.shape.recent)
        return out

    def attention(self, vectors: Floats, recent: Recent) -> Floats:
        """How much each candidate looks at each of the newest items: (n, n_recent), each in 0..1, not summing to 1."""
        held = self.held
        query, key = vectors @ held["a.query"], recent.vectors @ held["a.key"]
        bias = held["a.place"][: len(key)] + held["a.action"][recent.actions]
        weights: Floats = sigmoid(query @ key.T / np.float32(np.sqrt(self.shape.keys)) + bias) * recent.known
        return weights

    def logits(self, z: Array, trace: list[list[Array]] | None = None) -> Array:
        """(n, n_tasks): the log-odds that the towers give; `trace` collects what `slope` needs."""
        shape, held = self.shape, self.held
        streams: list[Array] = [z] * shape.streams
        whole = z @ self._weight + self._bias
        for level in range(shape.levels):
            ready = None if level else whole
            active = [self._experts(level, own, streams[own], ready) for own in range(shape.streams)]
            gates = [self._gate(level, stream, streams[stream], ready) for stream in shape.outlets(level)]
            if trace is not None:
                trace.append([*active, *gates])
            streams = [
                mixed([active[own][:, number] for own, number in shape.gated(stream)], gates[stream])
                for stream in shape.outlets(level)
            ]
        out = np.empty((len(z), len(shape.tasks)), z.dtype)
        hidden = []
        for task in range(len(shape.tasks)):
            h = np.maximum(streams[task] @ held[f"t{task}.w"] + held[f"t{task}.b"], 0)
            out[:, task] = h @ held[f"t{task}.v"] + z @ held[f"t{task}.line"] + held[f"t{task}.c"]
            hidden.append(h)
        if trace is not None:
            trace.append(hidden)
        return out

    def _experts(self, level: int, stream: int, x: Array, ready: Array | None) -> Array:
        """(n, experts of the stream, width)."""
        count, width, name = self.shape.experts(stream), self.shape.width, f"l{level}.w{stream}"
        if not count:
            return np.empty((len(x), 0, width), x.dtype)
        flat = x @ self.held[name] + self.held[f"l{level}.b{stream}"] if ready is None else ready[:, self._part[name]]
        return np.maximum(flat, 0).reshape(len(x), count, width)

    def _gate(self, level: int, stream: int, x: Array, ready: Array | None) -> Array:
        """(n, experts that it mixes), rows sum to 1."""
        name = f"l{level}.g{stream}"
        if name not in self.held:
            return np.ones((len(x), 1), x.dtype)
        return softmax(
            x @ self.held[name] + self.held[f"l{level}.h{stream}"] if ready is None else ready[:, self._part[name]]
        )

    def slope(self, trace: list[list[Array]], wanted: Array) -> Array:
        """Gradient of sum(wanted x logits) by z, (n, inputs): `wanted` (n, n_tasks)."""
        shape, held = self.shape, self.held
        back: list[Array] = []
        for task, hidden in enumerate(trace[-1]):
            inner = wanted[:, task, None] * held[f"t{task}.v"] * (hidden > 0)
            back.append(inner @ held[f"t{task}.w"].T)
        for level in reversed(range(shape.levels)):
            back = self._back(level, trace[level], back)
        total: Array = np.sum(back, axis=0)
        for task in range(len(shape.tasks)):
            total = total + wanted[:, task, None] * held[f"t{task}.line"]
        return total

    def _back(self, level: int, held: list[Array], above: list[Array]) -> list[Array]:
        """Gradients by the inputs of a level's streams, from those by its outputs."""
        shape, own = self.shape, self.held
        active, gates = held[: shape.streams], held[shape.streams :]
        n, width = len(above[0]), own[f"l{level}.w{len(shape.tasks)}"].shape[0]
        out = [np.zeros((n, width), above[0].dtype) for _ in range(shape.streams)]
        to_experts = [np.zeros(one.shape, above[0].dtype) for one in active]
        for stream in shape.outlets(level):
            gate, to_gate = gates[stream], np.empty_like(gates[stream])
            for place, (source, number) in enumerate(shape.gated(stream)):
                to_gate[:, place] = (above[stream] * active[source][:, number]).sum(axis=1)
                to_experts[source][:, number] += gate[:, place, None] * above[stream]
            if gate.shape[1] > 1:
                to_gate = gate * (to_gate - (gate * to_gate).sum(axis=1, keepdims=True))
                out[stream] += to_gate @ own[f"l{level}.g{stream}"].T
        for stream in range(shape.streams):
            if shape.experts(stream):
                flat = (to_experts[stream] * (active[stream] > 0)).reshape(n, -1)
                out[stream] += flat @ own[f"l{level}.w{stream}"].T
        return out


def mixed(experts: list[Array], gate: Array) -> Array:
    """Sum of the experts (n, width), each times its column of the gate."""
    total = experts[0] * gate[:, :1]
    for place in range(1, len(experts)):
        total = total + experts[place] * gate[:, place : place + 1]
    return total


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    out: Array = powers / powers.sum(axis=1, keepdims=True)
    return out


def sigmoid(x: Array) -> Array:
    out: Array = 1 / (1 + np.exp(-np.clip(x, -60, 60)))
    return out


def chances(shape: Shape, logits: Array) -> Array:
    """(n, n_tasks) probabilities; those of chained tasks are the product with the first, the click."""
    out = sigmoid(logits)
    chained = [row for row, task in enumerate(shape.tasks) if task in shape.chained]
    out[:, chained] *= out[:, :1]
    return out
