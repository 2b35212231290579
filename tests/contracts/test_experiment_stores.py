"""Both stores of experiments keep every promise, and a broken one is caught."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bodega.adapters.sql import SqlStore
from bodega.protocols import ExperimentStore
from bodega.schema.experiments import Experiment, KeptExperiment, State
from bodega.testing.checks import EXPERIMENT_CHECKS, ContractBroken, check_experiment_store
from bodega.testing.experiments import MemoryExperiments


@pytest.mark.parametrize("check", EXPERIMENT_CHECKS, ids=lambda check: check.__name__)
def test_sql_experiments(check: Callable[[ExperimentStore], None], tmp_path: Path) -> None:
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        check(store.experiments)


@pytest.mark.parametrize("check", EXPERIMENT_CHECKS, ids=lambda check: check.__name__)
def test_memory_experiments(check: Callable[[ExperimentStore], None]) -> None:
    check(MemoryExperiments())


class ChangesWhatRuns(MemoryExperiments):
    def put(self, experiment: Experiment, *, who: str, expected: int | None = None) -> KeptExperiment:
        held = self._held.get(experiment.id)
        if held is not None and held.state == "running":
            del self._held[experiment.id]
        return super().put(experiment, who=who, expected=expected)


class StartsAnything(MemoryExperiments):
    def move(self, experiment: str, state: State, *, who: str, why: str = "", promoted: str = "") -> KeptExperiment:
        others, held = dict(self._held), self._held.get(experiment)
        self._held = {} if held is None else {experiment: held}
        try:
            return super().move(experiment, state, who=who, why=why, promoted=promoted)
        finally:
            self._held = {**others, **self._held}


class ForgetsWhy(MemoryExperiments):
    def move(self, experiment: str, state: State, *, who: str, why: str = "", promoted: str = "") -> KeptExperiment:
        return super().move(experiment, state, who=who, promoted=promoted)


@pytest.mark.parametrize("twin", [ChangesWhatRuns, StartsAnything, ForgetsWhy])
def test_broken_experiment_store_is_caught(twin: type[MemoryExperiments]) -> None:
    with pytest.raises(ContractBroken):
        check_experiment_store(twin)
