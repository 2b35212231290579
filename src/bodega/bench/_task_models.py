"""Who is compared when several actions are to be foreseen? One door: learn from examples, give a chance a task.

`logistic` is the plain yardstick: one regression a task on the same standardised columns, with an indicator of the
place (the usual way to take places out). `single` are networks that know one task each, the others one for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from scipy.optimize import minimize

from bodega.ranking.learned._net_shape import Columns, sigmoid
from bodega.ranking.learned.network import Given, Network, NetworkOptions, fit_network
from bodega.ranking.learned.position import Examination
from bodega.ranking.learned.tasks import Examples
from bodega.schema.arrays import Doubles, Floats

PLACES: Final = 8
PENALTY: Final = 3.0
"""L2 of the logistic regression, in examples."""


class Foresees:
    """A fitted contestant: chances of its tasks."""

    def likely(self, examples: Examples, *, calibrated: bool = True) -> Floats:
        """(n, n_tasks), were each row looked at (stood it on top)."""
        raise NotImplementedError

    def observed(self, examples: Examples, *, calibrated: bool = True) -> Floats:
        """(n, n_tasks) chances at the place where each row stood: what the log can be compared with."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Logistic(Foresees):
    """One regression a task."""

    columns: Columns
    weights: Doubles
    """(n_inputs + 1 + PLACES, n_tasks): columns, constant, indicators of places."""

    @classmethod
    def fit(cls, examples: Examples) -> Logistic:
        columns = Columns.of(examples.values)
        x = cls._inputs(columns, examples, places=True)
        weights = np.stack([_regress(x, examples.labels[:, task]) for task in range(len(examples.tasks))], axis=1)
        return cls(columns, weights)

    @staticmethod
    def _inputs(columns: Columns, examples: Examples, *, places: bool) -> Doubles:
        z = columns.apply(examples.values).astype(np.float64)
        place = np.minimum(examples.position, PLACES - 1) if places else np.zeros(len(examples), np.int64)
        indicator = (place[:, None] == np.arange(PLACES)).astype(np.float64)
        return np.hstack([z, np.ones((len(z), 1)), indicator])

    def likely(self, examples: Examples, *, calibrated: bool = True) -> Floats:
        del calibrated
        return sigmoid(self._inputs(self.columns, examples, places=False) @ self.weights).astype(np.float32)

    def observed(self, examples: Examples, *, calibrated: bool = True) -> Floats:
        del calibrated
        return sigmoid(self._inputs(self.columns, examples, places=True) @ self.weights).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Networks(Foresees):
    """One network for all tasks, or one a task."""

    networks: tuple[Network, ...]
    looked: Examination

    def likely(self, examples: Examples, *, calibrated: bool = True) -> Floats:
        return np.hstack([network.likely(examples, calibrated=calibrated) for network in self.networks])

    def observed(self, examples: Examples, *, calibrated: bool = True) -> Floats:
        chance: Floats = self.likely(examples, calibrated=calibrated) * self.looked.at(examples.position)[:, None]
        return chance


def contestants(
    options: NetworkOptions, vectors: Floats, looked: Examination, line: Mapping[str, float] | None = None
) -> dict[str, Callable[[Examples], Foresees]]:
    """{name: what fits it}, plainest first."""
    given = Given(examination=looked, line=line or {})

    def network(experts: str, *, attention: bool = False) -> Callable[[Examples], Foresees]:
        own = msgspec.structs.replace(options, experts=experts, attention=attention)
        known = Given(vectors=vectors if attention else None, examination=looked, line=line or {})
        return lambda examples: Networks((fit_network(examples, own, known),), looked)

    def single(examples: Examples) -> Foresees:
        own = msgspec.structs.replace(options, experts="shared", attention=False)
        alone = (fit_network(examples.only((task,)), own, given) for task in examples.tasks)
        return Networks(tuple(alone), looked)

    return {
        "logistic": Logistic.fit,
        "single": single,
        "shared": network("shared"),
        "mmoe": network("mmoe"),
        "ple": network("ple"),
        "ple-din": network("ple", attention=True),
    }


def _regress(x: Doubles, label: Floats) -> Doubles:
    known = np.isfinite(label)
    x, y = x[known], label[known].astype(np.float64)
    penalty = np.full(x.shape[1], PENALTY)
    penalty[-PLACES - 1] = 1e-6

    def cost(weights: Doubles) -> tuple[float, Doubles]:
        odds = x @ weights
        loss = float(np.sum(np.logaddexp(0, odds) - y * odds)) + 0.5 * float(penalty @ weights**2)
        return loss, x.T @ (sigmoid(odds) - y) + penalty * weights

    found: Doubles = minimize(cost, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 100}).x
    return found
