"""Both stores of experiments keep every promise, and a broken one is caught."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bodega.adapters.sql import SqlStore
from bodega.protocols import ExperimentStore
from bodega.schema import Event, EventType
from bodega.schema.answers import Answered
from bodega.schema.experiments import Experiment, KeptExperiment, State
from bodega.testing.checks import EXPERIMENT_CHECKS, ContractBroken, check_experiment_store
from bodega.testing.experiments import MemoryExperiments
from bodega.testing.fakes import MemoryStores


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


def exposed(store: SqlStore | MemoryStores) -> tuple[object, object]:
    """What both say of the same log."""
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    lines = [
        Answered(request_id="1", time=10.0, place="home", session="s", arms={"t": "a"}),
        Answered(request_id="2", time=20.0, place="home", user="u", session="s", arms={"t": "b", "x": "a"}),
        Answered(request_id="3", time=30.0, place="home", user="u", arms={"t": "b"}),
        Answered(request_id="4", time=40.0, place="home", user="other", arms={"t": "b"}),
    ]
    store.answers.put(lines)
    kinds = (EventType.PURCHASE, EventType.CLICK, EventType.RETURN)
    store.events.append(
        [
            Event(
                type=kind, time=moment + timedelta(seconds=n), id=f"e{n}", user="u", item="p", price=2.5, quantity=2.0
            )
            for n, kind in enumerate(kinds)
        ]
    )
    found = sorted(store.experiments.exposures(["u"], ["s"], 5.0), key=lambda each: (each.experiment, each.unit))
    return found, list(store.experiments.doings(moment.timestamp() + 0.5))


def test_both_stores_read_the_same_from_the_log(tmp_path: Path) -> None:
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        found = exposed(store)
    assert found == exposed(MemoryStores())
    assert [(each.experiment, each.unit, each.arm, each.time) for each in found[0]] == [
        ("t", "s:s", "a", 10.0),
        ("t", "u:u", "b", 20.0),
        ("x", "u:u", "a", 20.0),
    ]
    assert [(doing.type, doing.amount) for doing in found[1]] == [("click", 0.0), ("return", 5.0)]


def test_postgres_reads_the_same_from_the_log(fresh_postgres_url: str) -> None:
    with SqlStore.open(fresh_postgres_url) as store:
        assert exposed(store) == exposed(MemoryStores())
