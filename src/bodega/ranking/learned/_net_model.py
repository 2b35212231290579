"""How is a fitted network asked? Chances, one score, and approximate reasons, from plain arrays; no torch.

See `network` for what it is and how it is learned, `_net_shape` for the sums.
Cost: 500 candidates .9 ms, with attention 1.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.errors import SnapshotCorrupt
from bodega.ranking.learned._net_calibration import Curve
from bodega.ranking.learned._net_shape import Array, Columns, Forward, Recent, Shape, chances, sigmoid
from bodega.ranking.learned.model import Table
from bodega.ranking.learned.tasks import Examples
from bodega.retrieval._neural.weights import load_weights, save_weights
from bodega.schema import Context
from bodega.schema.arrays import Floats, Ints

STEPS = 16
"""Points on the way from nothing known to the item, where the gradient is taken."""

PARTS = ("long", "scale", "mean", "deviation")


class NetworkReport(msgspec.Struct, frozen=True):
    """How the training went. ECE (10 bins) on the shoppers held out, before and after calibration."""

    examples: int
    lists: int
    labels: dict[str, int]
    """{task: labels above 0}."""
    losses: tuple[float, ...]
    """On the lists held out, after each epoch; every task begins near 1."""
    calibration: dict[str, str]
    before: dict[str, float]
    after: dict[str, float]
    examination: tuple[float, ...] = ()
    """Of each place, as it was taken out; empty: nothing was."""


class _Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    shape: Shape
    values: dict[str, float]
    knots: tuple[int, ...]
    items: int
    report: NetworkReport


@dataclass(frozen=True, eq=False)
class Network:
    """A fitted network; serves with numpy alone. See the top of the file."""

    forward: Forward
    curves: tuple[Curve, ...]
    """One a task."""
    vectors: Floats
    """(n_items, dimensions), rows of length 1 or 0; (0, 0) without attention."""
    values: Mapping[str, float]
    """{task: what one of it is worth}: the score is the logarithm of the expected worth."""
    report: NetworkReport = field(default_factory=lambda: NetworkReport(0, 0, {}, (), {}, {}, {}))
    kind: ClassVar[str] = "network"
    exact: ClassVar[bool] = False

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.forward.shape.tasks

    @property
    def columns(self) -> tuple[str, ...]:
        return self.forward.shape.columns

    # -- what is likely -------------------------------------------------------------------------------------------

    def probabilities(self, values: Floats, items: Ints, context: Context | None = None) -> Floats:
        """(n, n_tasks) calibrated chances, were the item looked at: `values` (n, n_columns), NaN = missing."""
        z = self._inputs(values, items, context)
        chance: Floats = sigmoid(self._odds(self.forward.logits(z))).astype(np.float32)
        return chance

    def likely(self, examples: Examples, *, calibrated: bool = True) -> Floats:
        """(n, n_tasks) chances of examples, were each looked at."""
        out = np.empty((len(examples), len(self.tasks)), np.float32)
        for number in range(examples.n_lists):
            rows = slice(int(examples.starts[number]), int(examples.starts[number + 1]))
            recent = self._recent(examples.recent[number], examples.actions[number])
            z = self.forward.inputs(examples.values[rows], self._vectors(examples.item[rows]), recent)
            logits = self.forward.logits(z)
            out[rows] = sigmoid(self._odds(logits)) if calibrated else chances(self.forward.shape, logits)
        return out

    def score(self, table: Table) -> Floats:
        """(n_items,) logarithm of the expected worth."""
        z = self._inputs(table.values.T, table.asked.items, table.asked.context)
        return self._worth(self.forward.logits(z))

    @property
    def base(self) -> float:
        """The score of an average item of which nothing is known, to nobody."""
        nothing = np.zeros((1, self.forward.shape.inputs), np.float32)
        return float(self._worth(self.forward.logits(nothing))[0])

    # -- why ------------------------------------------------------------------------------------------------------

    def contributions(self, table: Table) -> Floats:
        """(n_items, n_columns), approximate: integrated gradients; rows sum up to score - base.

        What the attention to the history gave is not the work of one column: it is spread over all in proportion to
        their own size. `parts` has it apart.
        """
        columns, history = self.parts(table)
        return _closed(columns, columns.sum(axis=1) + history)

    def parts(self, table: Table) -> tuple[Floats, Floats]:
        """(what each column gave (n_items, n_columns), what the attention to the history gave (n_items,)).

        Approximate: integrated gradients along the straight line from the average item (STEPS points).
        """
        z = self._inputs(table.values.T, table.asked.items, table.asked.context)
        total = np.zeros_like(z)
        for step in range(STEPS):
            point = z * np.float32((step + 0.5) / STEPS)
            trace: list[list[Array]] = []
            logits = self.forward.logits(point, trace)
            total += self.forward.slope(trace, self._worth_slope(logits)).astype(np.float32)
        given: Floats = total * z / np.float32(STEPS)
        wanted = self._worth(self.forward.logits(z)) - np.float32(self.base)
        given = _closed(given, wanted)
        n, flagged = len(self.columns), list(self.forward.shape.flagged)
        columns = given[:, :n].copy()
        columns[:, flagged] += given[:, n : n + len(flagged)]
        return columns, given[:, n + len(flagged) :].sum(axis=1)

    def attention(self, items: Ints, context: Context) -> tuple[Ints, Floats]:
        """(the newest items, newest first (m,); how much each of `items` looked at each of them (n, m), 0 to 1).

        Approximate as an explanation: attention says what was looked at, not what decided.
        """
        newest = context.history[: -self.forward.shape.recent - 1 : -1]
        recent = self._recent(newest, context.actions[: -self.forward.shape.recent - 1 : -1])
        if recent is None:
            return newest, np.zeros((len(items), len(newest)), np.float32)
        return newest, self.forward.attention(self._vectors(items), recent)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _inputs(self, values: Floats, items: Ints, context: Context | None) -> Floats:
        if not self.forward.shape.keys:
            return self.forward.inputs(values, None, None)
        newest = slice(None, -self.forward.shape.recent - 1, -1)
        recent = None if context is None else self._recent(context.history[newest], context.actions[newest])
        return self.forward.inputs(values, self._vectors(items), recent)

    def _vectors(self, items: Ints) -> Floats:
        """Zeros for items that came after learning, and for nothing (-1)."""
        known = (items >= 0) & (items < len(self.vectors))
        if known.all():
            return self.vectors[items]
        out = np.zeros((len(items), self.vectors.shape[1]), np.float32)
        out[known] = self.vectors[items[known]]
        return out

    def _recent(self, items: Ints, actions: NDArray[Any]) -> Recent | None:
        known = (items >= 0) & (items < len(self.vectors))
        if not self.forward.shape.keys or not known.any():
            return None
        last = int(np.flatnonzero(known)[-1]) + 1
        return Recent(self._vectors(items[:last]), actions[:last].astype(np.int32), known[:last])

    def _odds(self, logits: Array) -> Array:
        """Calibrated log-odds of every task."""
        raw = np.clip(chances(self.forward.shape, logits), 1e-9, 1 - 1e-7)
        odds = np.log(raw / (1 - raw))
        return np.stack([curve.apply(odds[:, task]) for task, curve in enumerate(self.curves)], axis=1)

    def _worth(self, logits: Array) -> Floats:
        total = sigmoid(self._odds(logits)) @ self._value()
        worth: Floats = np.log(np.maximum(total, 1e-12)).astype(np.float32)
        return worth

    def _value(self) -> Floats:
        return np.array([self.values.get(task, 0.0) for task in self.tasks], np.float32)

    def _worth_slope(self, logits: Array) -> Array:
        """Gradient of the score by the logits, (n, n_tasks)."""
        shape = self.forward.shape
        own, joint = sigmoid(logits), np.clip(chances(shape, logits), 1e-9, 1 - 1e-7)
        raw = np.log(joint / (1 - joint))
        steep = np.stack([curve.slope(raw[:, task]) for task, curve in enumerate(self.curves)], axis=1)
        ready = sigmoid(self._odds(logits))
        value = self._value()
        by_log = ready * (1 - ready) * steep / (1 - joint) * value / np.maximum(ready @ value, 1e-12)[:, None]
        out = by_log * (1 - own)
        for task, name in enumerate(shape.tasks):
            if name in shape.chained:
                out[:, 0] += by_log[:, task] * (1 - own[:, 0])
        slope: Array = out
        return slope

    # -- keeping --------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Flat arrays and JSON; equal networks give equal bytes. Raises BodegaError for numbers that are not finite."""
        forward, shape = self.forward, self.forward.shape
        flat = np.concatenate([np.ravel(forward.held[name]) for name in shape.sizes()])
        columns = np.stack([getattr(forward.columns, name) for name in PARTS])
        knots = np.concatenate([np.stack([curve.x, curve.y]) for curve in self.curves], axis=1)
        save_weights(folder, {"network": flat, "columns": columns, "knots": knots, "vectors": self.vectors})
        facts = _Facts(
            shape=shape,
            values=dict(sorted(self.values.items())),
            knots=tuple(len(curve.x) for curve in self.curves),
            items=len(self.vectors),
            report=self.report,
        )
        (folder / "network.json").write_bytes(msgspec.json.encode(facts, order="sorted"))

    @classmethod
    def load(cls, folder: Path, n_columns: int) -> Self:
        """What `save` wrote. Raises SnapshotCorrupt: NaN, a wrong shape, other columns, a curve that falls."""
        path = folder / "network.json"
        try:
            facts = msgspec.json.decode(path.read_bytes(), type=_Facts)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
            raise _refused(path, "what `save` wrote", error) from error
        shape = facts.shape
        if len(shape.columns) != n_columns:
            raise _refused(path, f"{n_columns} columns", len(shape.columns))
        sizes = shape.sizes()
        total = sum(int(np.prod(size)) for size in sizes.values())
        wanted = {
            "network": (total,),
            "columns": (4, n_columns),
            "knots": (2, sum(facts.knots)),
            "vectors": (facts.items, shape.dimensions),
        }
        held = load_weights(folder, wanted)
        ends = np.cumsum([int(np.prod(size)) for size in sizes.values()])
        parts = np.split(np.array(held["network"]), ends[:-1])
        weights = {name: part.reshape(size) for (name, size), part in zip(sizes.items(), parts, strict=True)}
        long, scale, mean, deviation = np.array(held["columns"])
        flagged = np.isin(np.arange(n_columns), shape.flagged)
        curves = tuple(Curve(*part) for part in np.split(np.array(held["knots"]), np.cumsum(facts.knots)[:-1], axis=1))
        if (deviation <= 0).any() or (scale <= 0).any() or any((np.diff(curve.x) <= 0).any() for curve in curves):
            raise _refused(path, "deviations above 0 and curves that rise", "others")
        forward = Forward(shape, weights, Columns(flagged, long > 0, scale, mean, deviation))
        return cls(forward, curves, held["vectors"], facts.values, facts.report)


def _closed(parts: Floats, wanted: Floats) -> Floats:
    """The parts, with what they lack of `wanted` (n,) spread over them by their size."""
    size = np.abs(parts)
    total = size.sum(axis=1, keepdims=True)
    share = np.where(total > 1e-12, size / np.maximum(total, 1e-12), 1 / parts.shape[1])
    closed: Floats = (parts + (wanted - parts.sum(axis=1))[:, None] * share).astype(np.float32)
    return closed


def _refused(path: Path, allowed: str, got: object) -> SnapshotCorrupt:
    return SnapshotCorrupt(
        "a network ranker cannot be used", where=str(path), allowed=allowed, got=got, next="bodega learn"
    )
