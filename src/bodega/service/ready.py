"""Can this process answer? Each thing it depends on by name, with its state: what `/readyz` and the metrics tell.

There are three answers, because a balancer must not take away every process at once when something they share has
died. `ok`: everything there is answers. `degraded`: pages are answered, but something is missing, and it is named (a
store that is away: pages come from the snapshot and the memory, what comes in is refused with 503; a dead Redis: the
states of shoppers are those of this process). `not ready`: there is nothing to answer from, status 503.
A dependency that hangs is asked once, in a thread of its own, and after a second counted as one that does not answer.
Cost: one small query a second at most, however often it is asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from bodega.service.desk import Desk, as_json
from bodega.service.metrics import DEPENDENCY, READY
from bodega.service.telemetry import LOGGER

BELIEVED = 1.0
"""Seconds for which an answer is repeated: probes come often."""
PATIENCE = 1.0
"""Seconds that a dependency has for its answer."""
OK, DEGRADED, DOWN = "ok", "degraded", "down"
SHARE = {OK: 1.0, DEGRADED: 0.5, DOWN: 0.0}


@runtime_checkable
class Depends(Protocol):
    """A shop that depends on more than its store: brokers, a cache, model servers."""

    def dependencies(self) -> Mapping[str, str]:
        """{name: "ok", or what is wrong}; from memory, it must not ask anybody."""
        ...


class Readiness:
    """The last answer of `/readyz`, renewed when it is older than a second."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._last: tuple[float, int, bytes] = (-1e9, 503, b"")
        self._lock = asyncio.Lock()
        self._asking: asyncio.Task[float] | None = None
        """The question to the store that is under way: one that hangs is not asked a second time."""
        self._known = ""

    async def look(self) -> tuple[int, bytes]:
        """(status, body)."""
        async with self._lock:
            if time.monotonic() - self._last[0] > BELIEVED:
                facts = await self._asked()
                self._last = (time.monotonic(), 200 if facts["ready"] else 503, as_json(facts))
        return self._last[1:]

    async def _asked(self) -> dict[str, Any]:
        shop = self._desk.shop
        standing = shop.standing()
        store = await self._store()
        found: dict[str, str] = {"store": store, "snapshot": OK if standing.get("ready") else "nothing learned yet"}
        found |= dict(shop.dependencies()) if isinstance(shop, Depends) else {}
        ready = found["snapshot"] == OK
        state = "not ready" if not ready else OK if all(each == OK for each in found.values()) else DEGRADED
        self._tell(state, found)
        facts = {
            "ready": ready,
            "state": state,
            "store": store,
            "snapshot": standing.get("snapshot", ""),
            "encoders": {source: info["name"] for source, info in standing.get("encoders", {}).items()},
            "dependencies": found,
        }
        return facts if ready else {**facts, "next": "bodega learn"}

    async def _store(self) -> str:
        """Does the store answer, within the patience? Raises nothing."""
        if self._asking is None:
            self._asking = asyncio.create_task(asyncio.to_thread(self._ping))
        asking = self._asking
        done, _ = await asyncio.wait({asking}, timeout=PATIENCE)
        if not done:
            return f"does not answer within {PATIENCE:g} s"
        self._asking = None
        error = asking.exception()
        if error is not None:
            if not self._known:
                LOGGER.error("the store does not answer", exc_info=error)
            self._known = type(error).__name__
            return "does not answer"
        self._known = ""
        self._desk.telemetry.stored("ping", asking.result())
        return OK

    def _ping(self) -> float:
        begun = time.perf_counter()
        self._desk.shop.ping()
        return time.perf_counter() - begun

    def _tell(self, state: str, found: Mapping[str, str]) -> None:
        telemetry = self._desk.telemetry
        telemetry.put(READY, {OK: 1.0, DEGRADED: 0.5}.get(state, 0.0))
        for name, each in found.items():
            telemetry.put(DEPENDENCY, SHARE.get(each, 0.5 if each.startswith(DEGRADED) else 0.0), name)
