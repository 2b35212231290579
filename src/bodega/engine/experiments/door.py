"""`shop.experiments`: what people (and guardrails) do with experiments, durably, with an audit trail.

    put, start, stop, finish, delete    a draft is written, runs, is stopped or finished; what runs is never changed
    get, list, history, dials           what there is, who did what and why, what an arm may turn

An experiment is checked when it is written and once more when it starts: every dial and snapshot of its arms can be
served, its buckets are free, and no other layer turns the same on the same lists. Which arm answers a page is
`experiments.serving`'s; what came of it is `insight.trying`'s. Cost: a durable transaction a change; the very next page
of this process knows it, those of others within a second. Not for: deciding; `experiments.guard` stops what does harm.
"""

from __future__ import annotations

from collections.abc import Sequence

from bodega.engine.dials import Dial, checked_arms, dials, touched
from bodega.engine.experiments.guard import Guard
from bodega.engine.experiments.planning import Asked, Planned, checked_metrics, known_metric, planned_for
from bodega.engine.experiments.reading import Tried, log_of, tried
from bodega.engine.experiments.serving import LOGGER, Around, Serving, Taken
from bodega.engine.hearing import Kind
from bodega.engine.learn import Parts
from bodega.engine.snapshot import Snapshots
from bodega.errors import Conflict
from bodega.evaluation.experiments.conducting import no_experiment
from bodega.schema.experiments import Experiment, ExperimentChange, KeptExperiment

__all__ = ["Experiments", "Taken"]


class Experiments(Serving):
    """The experiments of one shop. Safe from several threads."""

    def __init__(self, around: Around, snapshots: Snapshots, parts: Parts | None) -> None:
        super().__init__(around, snapshots, parts)
        self.guard = Guard(self, around.folder, around.settings)
        """Stops what does harm; whoever keeps the shop running gives it its turns."""

    def get(self, experiment: str) -> KeptExperiment:
        """Raises BadRequest (404) when there is none."""
        found = self._store.get(experiment)
        if found is None:
            raise no_experiment(experiment)
        return found

    def dials(self) -> list[Dial]:
        """Everything that an arm may turn, as the shop has it."""
        return dials(self._around.settings, self._sources())

    def _sources(self) -> list[str]:
        return list(self._around.engine.whole.sources) if self._around.learned else []

    def put(self, experiment: Experiment, *, who: str, expected: int | None = None) -> KeptExperiment:
        """Write a draft. Raises BadRequest for arms that cannot be served, Stale, Conflict (no draft any more)."""
        self._checked(experiment)
        return self._store.put(experiment, who=who, expected=expected)

    def start(self, experiment: str, *, who: str, why: str = "") -> KeptExperiment:
        """From now on shoppers see their arms. Raises BadRequest (buckets or dials are taken), Conflict."""
        kept = self.get(experiment)
        self._checked(kept.experiment)
        for other in self._store.list():
            if other.state == "running" and other.experiment.layer != kept.experiment.layer:
                self._apart(kept.experiment, other.experiment)
        return self._moved(self._store.move(experiment, "running", who=who, why=why))

    def stop(self, experiment: str, *, who: str, why: str = "") -> KeptExperiment:
        """From now on the control serves everybody. Raises BadRequest (404), Conflict."""
        return self._moved(self._store.move(experiment, "stopped", who=who, why=why))

    def finish(self, experiment: str, *, who: str, why: str = "", promoted: str = "") -> KeptExperiment:
        """It is over. A promoted arm's dials go into the settings, its snapshot becomes the current one.

        Raises BadRequest (404, no such arm), Conflict.
        """
        return self._moved(self._store.move(experiment, "finished", who=who, why=why, promoted=promoted))

    def read(self, experiment: str, *, brief: bool = False) -> Tried:
        """What it says now. `brief`: without its course and its segments. Raises BadRequest (404)."""
        kept = self.get(experiment)
        log = log_of(self._around.stores, self._around.privacy)
        return tried(kept, log, self._around.settings.experiments.before_days, brief=brief)

    def plan(self, metric: str = "purchases", *, asked: Asked | None = None) -> Planned:
        """How many shoppers and days it takes to find lifts of a metric. Raises BadRequest for an unknown metric."""
        known_metric(metric, "metric")
        return planned_for(log_of(self._around.stores, self._around.privacy), metric, asked or Asked())

    def delete(self, experiment: str, *, who: str) -> None:
        """Remove a draft. Raises BadRequest (404), Conflict."""
        if not self._store.delete(experiment, who=who):
            raise no_experiment(experiment)
        self.refresh()

    def vitals(self) -> dict[str, float]:
        """{what: how many} for metrics, from memory: those that this process serves, and what its guard did."""
        tally = self.guard.tally
        return {
            "serving": float(len(self.running)),
            "looks": float(tally.looks),
            "stopped_by_guard": float(tally.stopped),
            "failures_of_guard": float(tally.failures),
        }

    def changes(self) -> int:
        """The number of the newest change: equal while nothing changed."""
        return self._store.cursor()

    def history(self, *, experiment: str = "", limit: int = 50, before: int = 0) -> Sequence[ExperimentChange]:
        """The audit trail, newest first."""
        return self._store.history(experiment=experiment, limit=limit, before=before)

    def _moved(self, kept: KeptExperiment) -> KeptExperiment:
        self.refresh()
        self._around.told(Kind.RESTOCK)
        facts = {"experiment": kept.id, "state": kept.state, "why": kept.why}
        LOGGER.info("experiment", extra={"facts": facts})
        return kept

    def _checked(self, experiment: Experiment) -> None:
        checked_metrics(experiment)
        snapshots = [*(info.id for info in self._snapshots.infos()), *self._snapshots.beside()]
        checked_arms(experiment, self._around.settings, self._sources(), snapshots)

    def _apart(self, mine: Experiment, other: Experiment) -> None:
        """Raises Conflict where two layers turn the same dial: a shopper would see neither arm as it was written."""
        both = {dial for arm in mine.arms for dial in touched(arm)} & {
            dial for arm in other.arms for dial in touched(arm)
        }
        near = not mine.places or not other.places or set(mine.places) & set(other.places)
        if both and near:
            raise Conflict(
                f"experiment {other.id} runs in another layer and turns the same",
                code="experiment.layer",
                where=f"experiments.{mine.id}",
                allowed="dials that no other layer turns",
                got=", ".join(sorted(both)),
                next=f"put both into one layer with buckets of their own, or wait until {other.id} is over",
            )

    def list(self) -> list[KeptExperiment]:
        """All experiments by id, whatever their state."""
        return self._store.list()
