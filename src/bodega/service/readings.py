"""What is not counted but asked for: how old, how long, how far behind? Taken when somebody reads `/metrics`.

Facts in memory are taken at every reading; what costs a query (how many items there are, how many rows wait in the
dead letter box) at most once a minute, and in a thread, so that no page waits for it. A store that does not answer
within a second leaves the last figures standing: a scrape never fails because of what it is to report.
With several workers every worker notes its own facts every few seconds, and whoever is scraped answers for all.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Protocol, runtime_checkable

from bodega.service import metrics
from bodega.service.desk import Desk
from bodega.service.telemetry import LOGGER

COUNT_EVERY = 60.0
"""Seconds between two countings of tables."""
PATIENCE = 1.0
FAMILIES: Mapping[str, metrics.Family] = {
    "lag": metrics.LAG,
    "drift": metrics.DRIFT,
    "size": metrics.SIZES,
    "held": metrics.COUNTS,
    "steps": metrics.STEPS,
    "experiments": metrics.TRIED,
    "answers": metrics.LOGGED,
}
"""What a shop may tell in `vitals`: {kind: {label: value}}."""


@runtime_checkable
class Vital(Protocol):
    """A shop that tells more about itself."""

    def vitals(self) -> Mapping[str, Mapping[str, float]]:
        """{"lag": {stream: records}, "drift": {signal: distance}, "size": {what: entries}, "held": {what: how many}};
        from memory, it must not ask anybody."""
        ...


@runtime_checkable
class Drifts(Protocol):
    """A shop that is watched for drift (`bodega.engine.drifting`)."""

    def drifted(self) -> Drift | None:
        """The last report, by whichever process; None where there was none."""
        ...


class Drift(Protocol):
    """What a report of drift says."""

    @property
    def levels(self) -> Mapping[str, float]:
        """{signal: how far it is, 1 being where the alarm begins}."""
        ...

    @property
    def alarms(self) -> Sequence[object]: ...


class Readings:
    """Sets the gauges of one application."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._counted = -1e9
        self._items = 0
        self._counting: asyncio.Task[None] | None = None

    async def take(self) -> None:
        """Everything, as fresh as it can be had within a second. Raises nothing."""
        self.note()
        if self._counting is None and time.monotonic() - self._counted > COUNT_EVERY:
            self._counting = asyncio.create_task(asyncio.to_thread(self._count))
        if self._counting is not None:
            done, _ = await asyncio.wait({self._counting}, timeout=PATIENCE)
            if done:
                failed, self._counting = self._counting.exception(), None
                if failed is not None:
                    LOGGER.error("the store could not be counted", exc_info=failed)

    def note(self) -> None:
        """What is known without asking anybody; cheap enough for every two seconds. Raises nothing."""
        try:
            self._note()
        except Exception as error:
            LOGGER.error("the shop's facts could not be read", exc_info=error)

    def _note(self) -> None:
        desk, telemetry = self._desk, self._desk.telemetry
        standing = desk.shop.standing()
        telemetry.put(metrics.BUILD, 1.0, version("bodega"))
        telemetry.put(metrics.WAITING, float(desk.waiting.count))
        telemetry.put(metrics.SIZES, float(len(desk.buckets)), "callers")
        telemetry.put(metrics.STALE, float(standing.get("changes_since_snapshot", 0)), "since_snapshot")
        telemetry.put(metrics.STALE, float(standing.get("changes_waiting", 0)), "waiting")
        telemetry.shown.begin(str(standing.get("snapshot", "")))
        if self._items:
            telemetry.put(metrics.COVERED, telemetry.shown.share(self._items))
        if isinstance(desk.shop, Vital):
            for kind, values in desk.shop.vitals().items():
                for label, value in values.items():
                    telemetry.put(FAMILIES[kind], float(value), label)

    def _count(self) -> None:
        """What costs a query or a look at the disk; in a thread."""
        shop, telemetry = self._desk.shop, self._desk.telemetry
        self._counted = time.monotonic()
        age = next((time.time() - each.time.timestamp() for each in shop.snapshots() if each.current), None)
        if age is not None:
            telemetry.put(metrics.AGE, age)
        health: dict[str, Any] = shop.health()
        self._items = int(health.get("items", 0))
        for what in ("items", "events"):
            telemetry.put(metrics.COUNTS, float(health.get(what, 0)), what)
        telemetry.put(metrics.COUNTS, float(sum(shop.stores.dead.counts().values())), "dead_letters")
        telemetry.put(metrics.COVERED, telemetry.shown.share(self._items))
        report = shop.drifted() if isinstance(shop, Drifts) else None
        if report is not None:
            for signal, level in report.levels.items():
                telemetry.put(metrics.DRIFT, level, signal)
            telemetry.put(metrics.ALARMS, float(len(report.alarms)))
        telemetry.put(metrics.ERASURES, float(shop.erasures.pending()))

    async def stop(self) -> None:
        """Leave nothing running."""
        if self._counting is not None:
            with contextlib.suppress(Exception):
                await self._counting
