"""What is counted, and how does the number of series stay bounded? Prometheus families with a budget each.

A label takes its values from a closed list (routes, places, stages, statuses, outcomes): never an item, a key, a user
or a query. Because a list that somebody believed to be closed is how dashboards die, every family also has a limit of
its own: what comes after it is counted under `other`. `BUDGET` adds up to less than 2,000 series, whatever is asked.
Numbers that are asked for rather than counted (age of the snapshot, lag of a stream) are set by `readings`.
Several workers count into files of one folder (PROMETHEUS_MULTIPROC_DIR, set by who starts them); any of them then
answers for all. Cost: about 10 us a page. Not for: figures of a single shopper, which belong into a log.
"""

from __future__ import annotations

import os
import re
from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Summary,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from bodega.engine.ladder import rung_of
from bodega.protocols import Written
from bodega.schema import DeadLetter, Event, Page
from bodega.service.coverage import Shown

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable naming the folder in which workers count together; it must be set before a worker starts."""
OTHER = "other"
TEXT_LIMIT = 64
SECONDS = (0.001, 0.002, 0.003, 0.005, 0.008, 0.012, 0.025, 0.05, 0.1, 0.25, 1.0)
COARSE = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
PLAIN = re.compile(r"[^A-Za-z0-9_.:/{}\- ]")

Metric = TypeVar("Metric", Counter, Gauge, Histogram, Summary)


@dataclass(frozen=True, slots=True)
class Family:
    """One family of series: what it is called and how many label values it may take."""

    name: str
    says: str
    labels: tuple[str, ...]
    limit: int
    """Different label values (combinations, where there are several labels); the rest is counted as `other`."""
    buckets: tuple[float, ...] = ()
    mode: str = ""
    """Gauges only: how the values of several workers become one."""

    @property
    def series(self) -> int:
        """The most series that it can have: a histogram has its buckets, +Inf, sum and count."""
        each = len(self.buckets) + 3 if self.buckets else 2 if self.name in SUMMARIES else 1
        return (self.limit + 1 if self.labels else 1) * each


SUMMARIES = ("bodega_place_stage_seconds",)

REQUESTS = Family("bodega_http_requests", "Requests answered", ("route", "status"), 340)
HTTP_SECONDS = Family("bodega_http_seconds", "Server time of a request", ("route",), 60, COARSE)
REFUSED = Family("bodega_refused", "Requests told to come back later, by error", ("reason",), 12)
ANSWER_SECONDS = Family("bodega_answer_seconds", "Engine time of a list", ("place",), 12, SECONDS)
STAGE_SECONDS = Family("bodega_stage_seconds", "Time of one stage of a list", ("stage",), 11, SECONDS)
PLACE_STAGE = Family("bodega_place_stage_seconds", "Time of a stage at a place", ("place", "stage"), 110)
DEGRADED = Family("bodega_answers_degraded", "Lists that used a fallback", ("place",), 12)
EMPTY = Family("bodega_answers_empty", "Lists without a single item (zero results)", ("place",), 12)
RUNGS = Family("bodega_answers_rung", "Lists by the rung of the ladder that answered", ("rung",), 9)
EXPLORED = Family("bodega_answers_explored", "Lists with slots that try something out", ("place", "policy"), 24)
CUT_OFF = Family("bodega_cut_off", "Parts cut off because a list was late", ("part",), 24)
EVENTS = Family("bodega_events", "Events received", ("outcome",), 5)
BY_TYPE = Family("bodega_events_by_type", "Events accepted or delivered again", ("type",), 10)
LETTERS = Family("bodega_dead_letters", "Rows put into the dead letter box", ("reason",), 26)
STORE_SECONDS = Family("bodega_store_seconds", "Time until the store answered", ("operation",), 4, SECONDS)

WAITING = Family("bodega_waiting", "Requests waiting for the engine", (), 1, mode="livesum")
UNDERWAY = Family("bodega_events_underway", "Events on their way to the disk", (), 1, mode="livesum")
COVERED = Family("bodega_coverage", "Share of the catalog shown since the snapshot", (), 1, mode="livemax")
READY = Family("bodega_ready", "1 ready, 0.5 degraded, 0 not ready", (), 1, mode="livemostrecent")
DEPENDENCY = Family("bodega_dependency_up", "1 ok, 0.5 degraded, 0 down", ("dependency",), 16, mode="livemostrecent")
COUNTS = Family("bodega_held", "How many the shop holds", ("what",), 12, mode="livemostrecent")
SIZES = Family("bodega_state_size", "Entries held in memory, all workers together", ("what",), 12, mode="livesum")
AGE = Family("bodega_snapshot_age_seconds", "Age of the snapshot that is served", (), 1, mode="livemax")
STALE = Family("bodega_changes", "Changes since the snapshot", ("state",), 3, mode="livemax")
LAG = Family("bodega_stream_lag", "Records of a stream not consumed yet", ("stream",), 24, mode="livemax")
DRIFT = Family("bodega_drift", "How far a signal is from what was learned", ("signal",), 16, mode="livemax")
ALARMS = Family("bodega_drift_alarms", "Signals that drift beyond their threshold", (), 1, mode="livemax")
ERASURES = Family("bodega_erasures_pending", "Erasures not finished yet", (), 1, mode="livemostrecent")
STEPS = Family("bodega_ranking_steps", "Steps of the ranking and their guard, by worker", ("what",), 24, mode="livemax")
TRIED = Family("bodega_experiments", "Experiments that run, and what their guard did", ("what",), 8, mode="livesum")
LOGGED = Family(
    "bodega_answers_logged", "Pages in the log of answers, by what became of them", ("what",), 4, mode="livesum"
)
BUILD = Family("bodega_build_info", "Version that runs", ("version",), 2, mode="livemax")

COUNTED = (REQUESTS, REFUSED, DEGRADED, EMPTY, RUNGS, EXPLORED, CUT_OFF, EVENTS, BY_TYPE, LETTERS)
TIMED = (HTTP_SECONDS, ANSWER_SECONDS, STAGE_SECONDS, STORE_SECONDS)
SET = (
    WAITING,
    UNDERWAY,
    COVERED,
    READY,
    DEPENDENCY,
    COUNTS,
    SIZES,
    AGE,
    STALE,
    LAG,
    DRIFT,
    ALARMS,
    ERASURES,
    STEPS,
    TRIED,
    LOGGED,
    BUILD,
)
BUDGET = (*COUNTED, *TIMED, PLACE_STAGE, *SET)
"""Every family there is; the documents, the dashboard and the alerts name only these."""


class Bounded(Generic[Metric]):
    """The children of one family by their labels; at most `limit` of them, the rest shares the one called `other`."""

    __slots__ = ("_children", "_limit", "_metric")

    def __init__(self, metric: Metric, limit: int) -> None:
        self._metric: Metric = metric
        self._limit = limit
        self._children: dict[tuple[str, ...], Metric] = {}

    def of(self, *values: str) -> Metric:
        """The child of these labels. A child that is known costs one look-up (.1 us)."""
        child = self._children.get(values)
        return child if child is not None else self._new(values)

    def _new(self, values: tuple[str, ...]) -> Metric:
        clean = tuple(PLAIN.sub("?", value[:TEXT_LIMIT]) or OTHER for value in values)
        if clean not in self._children and len(self._children) >= self._limit:
            clean = (OTHER,) * len(values)
        child = self._children.get(clean)
        if child is None:
            child = self._children[clean] = self._metric.labels(*clean)
        return child


class Telemetry:
    """The counters of one application, in a registry of their own; or those of all workers, in a shared folder."""

    def __init__(self, folder: str | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of series
        self.folder = os.environ.get(FOLDER, "") if folder is None else folder
        self.registry = CollectorRegistry()
        self._told = CollectorRegistry()
        if self.folder:
            MultiProcessCollector(self._told, path=self.folder)  # type: ignore[no-untyped-call]
        self._counters = {each.name: self._counter(each) for each in COUNTED}
        self._timers = {each.name: self._timer(each) for each in TIMED}
        self._gauges = {each.name: self._gauge(each) for each in SET if each.labels}
        self._plain: dict[str, Gauge] = {}
        """Made when they are set: a gauge that nobody has set must not read 0 among those of other workers."""
        summary = Summary(PLACE_STAGE.name, PLACE_STAGE.says, PLACE_STAGE.labels, registry=self.registry)
        self._place_stage = Bounded(summary, PLACE_STAGE.limit)
        self._requests, self._http = self._counters[REQUESTS.name], self._timers[HTTP_SECONDS.name]
        self.shown = Shown()
        """Which items were shown since the snapshot was taken into service."""

    def _counter(self, family: Family) -> Bounded[Counter]:
        return Bounded(Counter(family.name, family.says, family.labels, registry=self.registry), family.limit)

    def _timer(self, family: Family) -> Bounded[Histogram]:
        made = Histogram(family.name, family.says, family.labels, registry=self.registry, buckets=family.buckets)
        return Bounded(made, family.limit)

    def _gauge(self, family: Family) -> Bounded[Gauge]:
        return Bounded(self._unlabelled(family), family.limit)

    def _unlabelled(self, family: Family) -> Gauge:
        mode: Any = family.mode
        return Gauge(family.name, family.says, family.labels, registry=self.registry, multiprocess_mode=mode)

    # -- counted as it happens --------------------------------------------------------------------------------------

    def finished(self, route: str, status: int, seconds: float) -> None:
        """One request was answered; `route` is the pattern of its address."""
        self._requests.of(route, str(status)).inc()
        self._http.of(route).observe(seconds)

    def refused(self, reason: str) -> None:
        """One request was not answered, for its own or the shop's good: `rate`, `overload`, `deadline`, ..."""
        self._counters[REFUSED.name].of(reason).inc()

    def answered(self, place: str, seconds: float, *, degraded: bool) -> None:
        """One list was computed. `place` is one the engine knows: it has answered."""
        self._timers[ANSWER_SECONDS.name].of(place).observe(seconds)
        if degraded:
            self._counters[DEGRADED.name].of(place).inc()

    def listed(self, page: Page, seconds: float, stages: Mapping[str, float] | None = None) -> None:
        """One page was computed, in so many seconds, of which each stage took its part."""
        self.answered(page.place, seconds, degraded=bool(page.degraded))
        rung = rung_of(page.degraded) if page.degraded else None
        if rung is not None:
            self.rung(rung)
        if page.hits:
            self.shown.add(page)
        else:
            self._counters[EMPTY.name].of(page.place).inc()
        if page.policy:
            self._counters[EXPLORED.name].of(page.place, page.policy).inc()
        if stages:
            self.staged(page.place, stages)

    def staged(self, place: str, stages: Mapping[str, float]) -> None:
        """What the stages of one list took, in seconds."""
        timers = self._timers[STAGE_SECONDS.name]
        for stage, seconds in stages.items():
            timers.of(stage).observe(seconds)
            self._place_stage.of(place, stage).observe(seconds)

    def rung(self, name: str) -> None:
        """Which rung of the fallback ladder answered."""
        self._counters[RUNGS.name].of(name).inc()

    def cut_off(self, parts: Sequence[str]) -> None:
        """These sources or stages were left out because the list would have been late."""
        for part in parts:
            self._counters[CUT_OFF.name].of(part).inc()

    def received(self, outcome: str, count: int) -> None:
        """`accepted`, `duplicate`, `conflict` or `dead` events."""
        if count:
            self._counters[EVENTS.name].of(outcome).inc(count)

    def took(self, written: Written, good: Sequence[Event], bad: Sequence[DeadLetter]) -> None:
        """What became of a batch of events, wherever it came from (HTTP, a stream)."""
        self.received("accepted", written.added + written.changed)
        self.received("duplicate", written.unchanged)
        self.received("conflict", len(written.conflicts))
        self.received("dead", len(bad))
        for name, count in Tally(str(event.type) for event in good).items():
            self._counters[BY_TYPE.name].of(name).inc(count)
        self.buried(bad)

    def buried(self, letters: Sequence[DeadLetter]) -> None:
        """These rows were put into the dead letter box."""
        for reason, count in Tally(letter.reason for letter in letters).items():
            self._counters[LETTERS.name].of(reason).inc(count)

    def stored(self, operation: str, seconds: float) -> None:
        """How long the store took: `append` (until durable), `read`, `ping`."""
        self._timers[STORE_SECONDS.name].of(operation).observe(seconds)

    # -- set when asked for -----------------------------------------------------------------------------------------

    def put(self, family: Family, value: float, *labels: str) -> None:
        """Set a gauge."""
        if family.labels:
            self._gauges[family.name].of(*labels).set(value)
            return
        if family.name not in self._plain:
            self._plain[family.name] = self._unlabelled(family)
        self._plain[family.name].set(value)

    def text(self) -> bytes:
        """All series in Prometheus' text format; of all workers, where there are several."""
        return generate_latest(self._told if self.folder else self.registry)


def worker_gone(pid: int, folder: str = "") -> None:
    """A worker has ended: its counters stay in the sums, its gauges go. For whoever starts workers."""
    path = folder or os.environ.get(FOLDER, "")
    if path:
        mark_process_dead(pid, path)  # type: ignore[no-untyped-call]
