"""What can a shop say of itself without asking anybody? What it leans on, and how much it holds in memory.

`dependencies` is what `/readyz` names, `vitals` what `/metrics` shows beside what is counted. Both are read from
memory: a probe must not wait for what it probes. Not for: the store, which is asked (`Shop.ping`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from bodega.engine.answer import Engine
from bodega.engine.drifting import DriftReport
from bodega.engine.learn import Encoded
from bodega.engine.online import Shoppers
from bodega.events.consuming import Consuming
from bodega.schema.said import Said

OK = "ok"


def dependencies(shoppers: Shoppers, stream: Consuming | None, engine: Engine | None) -> dict[str, str]:
    """{name: "ok", or what is wrong} of everything but the store and the snapshot; parts that are off are not named."""
    found: dict[str, str] = {}
    if shoppers.shared:
        found["state"] = shoppers.trouble or OK
    if stream is not None:
        found["stream"] = stream.done.trouble or OK
    if engine is not None:
        resting = engine.health.resting()
        found["engine"] = f"degraded: {', '.join(resting)} left out" if resting else OK
    return found


def vitals(shoppers: Shoppers, stream: Consuming | None, engine: Engine | None) -> dict[str, Mapping[str, float]]:
    """{"size": entries in memory, "lag": records of a stream that wait, "steps": see `Correcting.vitals`}, by label."""
    lag = {f"{name}:{part}": float(waiting) for (name, part), waiting in stream.lag().items()} if stream else {}
    sizes = {"shoppers": float(len(shoppers))}
    if engine is not None:
        sizes["shelf_changes"] = float(len(engine.shelf.changed))
        sizes["parts_left_out"] = float(len(engine.health.resting()))
    told: dict[str, Mapping[str, float]] = {"size": sizes, "lag": lag}
    if engine is not None and engine.learned.correcting is not None:
        told["steps"] = engine.learned.correcting.vitals()
    return told


def standing(engine: Engine | None, waiting: int, report: DriftReport | None) -> dict[str, Any]:
    """Facts for `/readyz`: snapshot, encoders {source: EncoderInfo}, warnings, what waits for the next `learn`."""
    sources = engine.learned.sources if engine else {}
    infos = {name: source.info for name, source in sources.items() if isinstance(source, Encoded)}
    said = _told(engine, waiting, report) if engine else []
    return {
        "snapshot": engine.learned.snapshot if engine else "",
        "warnings": [each.text for each in said] if engine else [],
        "said": [msgspec.to_builtins(each) for each in said],
        "changes_since_snapshot": len(engine.shelf.changed) if engine else 0,
        "changes_waiting": waiting,
        "encoders": {name: asdict(info) for name, info in infos.items() if info is not None},
        "ready": engine is not None,
    }


def _told(engine: Engine, waiting: int, report: DriftReport | None) -> list[Said]:
    """What an operator should know: of the snapshot, bounds of the counts since then, and what has drifted."""
    said = [_noted(each, waiting) for each in engine.learned.warnings]
    return [*said, *(engine.live.said if engine.live else ()), *(report.said if report else ())]


def _noted(warning: str, waiting: int) -> Said:
    """A warning of the snapshot: all are `name: what`."""
    name, colon, text = warning.partition(": ")
    if name == "catalog" and waiting:
        return Said("waits", warning, {"count": waiting})
    return Said("note", warning, {"name": name if colon else "", "text": text or warning})


def warned(warnings: tuple[str, ...], before: int, now: int, limit: int) -> tuple[str, ...]:
    """The snapshot's warnings with the one about items that wait brought up to date."""
    kept = tuple(each for each in warnings if each != _waits(before, limit))
    return (*kept, _waits(now, limit)) if now else kept


def _waits(count: int, limit: int) -> str:
    return (
        f"catalog: {count:,} changed items wait for the next learn (between two, {limit:,} changes act at once); "
        "next: bodega learn"
    )
