"""A store of experiments that lives in memory: the whole promise of `protocols.ExperimentStore` except durability."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from bodega.evaluation.experiments import conducting
from bodega.schema import Event, EventType
from bodega.schema.answers import Answered
from bodega.schema.experiments import Doing, Experiment, ExperimentChange, Exposure, KeptExperiment, State


class MemoryExperiments:
    """Implements `protocols.ExperimentStore`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, KeptExperiment] = {}
        self._trail: list[ExperimentChange] = []
        self.answers: Callable[[float], Iterable[Answered]] = lambda _: ()
        self.events: Callable[[], Iterable[Event]] = tuple

    def list(self) -> list[KeptExperiment]:
        """All of them, by id."""
        with self._lock:
            return [self._held[name] for name in sorted(self._held)]

    def get(self, experiment: str) -> KeptExperiment | None:
        with self._lock:
            return self._held.get(experiment)

    def put(self, experiment: Experiment, *, who: str, expected: int | None = None) -> KeptExperiment:
        """Add or replace a draft. Raises Stale, Conflict, LimitError."""
        with self._lock:
            held = self._held.get(experiment.id)
            conducting.expect(experiment.id, held, expected)
            if held is not None and held.experiment == experiment:
                return held
            if held is None:
                conducting.room(len(self._held))
            kept = conducting.drafted(held, experiment, self._step())
            return self._note(who, "create" if held is None else "change", "", held, kept)

    def move(self, experiment: str, state: State, *, who: str, why: str = "", promoted: str = "") -> KeptExperiment:
        """Start, stop or finish. Raises BadRequest, Conflict."""
        with self._lock:
            held, step = self._held.get(experiment), msgspec.structs.replace(self._step(), why=why, promoted=promoted)
            kept = conducting.moved(experiment, held, state, list(self._held.values()), step)
            return self._note(who, conducting.VERBS[state], why, held, kept)

    def delete(self, experiment: str, *, who: str) -> bool:
        """Remove a draft; False where there is none. Raises Conflict."""
        with self._lock:
            held = self._held.get(experiment)
            if held is None:
                return False
            conducting.drafted(held, held.experiment, self._step())
            self._trail.append(self._line(who, "delete", "", held, None))
            del self._held[experiment]
            return True

    def history(self, *, experiment: str = "", limit: int = 50, before: int = 0) -> Sequence[ExperimentChange]:
        """The newest changes first."""
        with self._lock:
            lines = [line for line in reversed(self._trail) if not before or line.id < before]
        return [line for line in lines if line.experiment == (experiment or line.experiment)][: max(limit, 0)]

    def cursor(self) -> int:
        with self._lock:
            return len(self._trail)

    def exposures(self, users: Sequence[str], sessions: Sequence[str], since: float) -> Sequence[Exposure]:
        """What these people saw first since then, by experiment and unit."""
        found: dict[tuple[str, str], Exposure] = {}
        for line in self.answers(since):
            if (line.user and line.user in users) or (line.session and line.session in sessions):
                conducting.note_exposures(line, found)
        return list(found.values())

    def doings(self, since: float) -> Iterator[Doing]:
        """All events since then in order of time."""
        for event in sorted(self.events(), key=lambda each: (each.time, each.id)):
            paid = event.type in (EventType.PURCHASE, EventType.RETURN)
            amount = (event.price or 0.0) * event.quantity if paid else 0.0
            if (time := event.time.timestamp()) >= since:
                yield Doing(
                    time, event.type, event.user, event.session, event.item, event.request_id, amount, event.channel
                )

    def _step(self) -> conducting.Step:
        return conducting.Step(len(self._trail) + 1, datetime.now(UTC).timestamp())

    def _note(
        self, who: str, what: str, why: str, before: KeptExperiment | None, after: KeptExperiment
    ) -> KeptExperiment:
        self._trail.append(self._line(who, what, why, before, after))
        self._held[after.id] = after
        return after

    def _line(
        self, who: str, what: str, why: str, before: KeptExperiment | None, after: KeptExperiment | None
    ) -> ExperimentChange:
        step, name = self._step(), next(each.id for each in (after, before) if each is not None)
        return ExperimentChange(
            id=step.number, time=step.time, who=who, what=what, experiment=name, why=why, before=before, after=after
        )
