"""`shop.office.models`: what was learned, how good it is beside its baselines, and which of it is served.

A snapshot says of itself how it was judged (`evaluation.json`, written by `learn`); nothing here judges again. Going to
another snapshot is a promotion or a rollback: it is verified first, written to the audit trail before it happens, and
refused when another snapshot is served than the one that was looked at. Why a `learn` published nothing is kept in the
same trail. Cost: reading a few kB a snapshot; a switch opens and verifies the snapshot (1 GB/s).
Not for: learning (`learn`), gates of the closed loop (`loop`), or experiments on snapshots.
"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec

from bodega.engine.judging import PlaceReport
from bodega.engine.learn import LearnReport
from bodega.engine.office.mapping import EmbeddingMap, drawable, kept_map, map_of
from bodega.engine.office.shop import OfficeShop, engine_of
from bodega.engine.office.trail import Trail, TrailLine
from bodega.errors import BadRequest, Stale, StoreError

BASELINE = "popular"
SERVED = ("ranked", "fusion")
"""Rows of a place's table that stand for what is served: the learned ranker where there is one, else the sum."""
METRIC = "ndcg@10"
SNAPSHOTS = "snapshots"
SWITCHES = ("promote", "rollback", "publish", "refuse")
_NAME = re.compile(r"[0-9a-f]{16}|canned")


class PlaceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One place of a snapshot in a line: what is served beside its baselines, NDCG@10 on the test window."""

    place: str
    cases: int
    served: str
    """`ranked`, `fusion`, or the source that is served alone."""
    value: float
    low: float
    high: float
    baseline: float | None = None
    """Of what is popular, for everybody the same."""
    best: str = ""
    """The best single source."""
    best_value: float | None = None


class SnapshotLine(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot."""

    id: str
    time: float
    current: bool
    bytes: int
    items: int
    events: int
    users: int
    since: float | None = None
    until: float | None = None
    """Span of the events it was learned from."""
    places: tuple[PlaceLine, ...] = ()


class Gate(msgspec.Struct, frozen=True):
    """One thing that was decided when it was learned: what is served, and why."""

    place: str
    name: str
    """`fusion`, `ranker`, `language model`."""
    passed: bool
    why: str


class ModelReport(msgspec.Struct, frozen=True, kw_only=True):
    """All that a snapshot says of itself."""

    line: SnapshotLine | None
    places: tuple[PlaceReport, ...] = ()
    curves: dict[str, dict[str, tuple[float, ...]]] = {}
    """{source: {"loss": one number an epoch}} of sources that are learned by epochs."""
    gates: tuple[Gate, ...] = ()
    sources: tuple[str, ...] = ()
    encoders: dict[str, dict[str, Any]] = {}
    maps: tuple[str, ...] = ()
    """Sources whose item vectors can be drawn as a map."""
    code: str = ""
    """Version of Bodega that wrote it."""


class Models:
    """The snapshots of one shop, for a console."""

    def __init__(self, shop: OfficeShop, trail: Trail, home: Path) -> None:
        self._shop = shop
        self._home = home
        self._trail = trail

    def lines(self) -> list[SnapshotLine]:
        """Every snapshot on disk, newest first."""
        return [self._line(info) for info in reversed(self._shop.snapshots())]

    def report(self, snapshot: str = "") -> ModelReport:
        """What this snapshot (default: the served one) says of itself. Raises BadRequest for one there is not."""
        infos = {info.id: info for info in self._shop.snapshots()}
        name = self._named(snapshot, infos)
        if not name:
            return ModelReport(line=None)
        info, places = infos[name], self._places(name)
        facts = info.facts
        return ModelReport(
            line=self._line(info),
            places=places,
            curves=msgspec.convert(facts.get("curves", {}), dict[str, dict[str, tuple[float, ...]]]),
            gates=_gates(places, facts),
            sources=tuple(facts.get("sources", ())),
            encoders=facts.get("encoders", {}),
            maps=self._maps(name),
            code=_code(self._folder(name)),
        )

    def map(self, snapshot: str = "", source: str = "") -> EmbeddingMap:
        """Item vectors of a source in two dimensions, computed once and kept. Raises BadRequest."""
        infos = {info.id: info for info in self._shop.snapshots()}
        name = self._named(snapshot, infos)
        if not name:
            return EmbeddingMap(snapshot="", source="")
        kept = kept_map(self._home, name, source) if source else None
        if kept is not None:
            return kept
        engine = engine_of(self._shop)
        if engine is None or engine.learned.snapshot != name:
            raise BadRequest(
                "a map can be drawn of the snapshot that is served",
                code="models.map_served",
                where="snapshot",
                allowed=engine.learned.snapshot if engine is not None else "none: nothing was learned",
                got=name,
                next="promote it first, or look at the served one",
            )
        return map_of(self._home, engine, source)

    def switch(self, snapshot: str, *, seen: str, who: str) -> TrailLine:
        """Serve this snapshot. `seen`: the one that was served when this was decided.

        Raises BadRequest, Stale, StoreError, SnapshotCorrupt.
        """
        infos = {info.id: info for info in self._shop.snapshots()}
        self._named(snapshot, infos)
        served = self._shop.published()
        if seen != served:
            raise Stale(
                "another snapshot is served by now",
                code="models.stale",
                where="seen",
                allowed=served,
                got=seen,
                next="look at the list again, then decide",
            )
        order = list(infos)
        older = snapshot in order and served in order and order.index(snapshot) < order.index(served)
        line = self._trail.write(who, "rollback" if older else "promote", snapshot, f"from {served}")
        self._shop.rollback(snapshot)
        return line

    def learned(self, report: LearnReport) -> None:
        """Write down what a `learn` published, or why it did not. A folder that cannot be written stops no learning."""
        with contextlib.suppress(StoreError):
            act = "publish" if report.published else "refuse"
            self._trail.write("learn", act, report.snapshot, report.verdict)

    def trail(self, limit: int = 100) -> list[TrailLine]:
        """Who switched, what `learn` published or refused, newest first."""
        return self._trail.read(what=SWITCHES, limit=limit)

    def _named(self, snapshot: str, infos: dict[str, Any]) -> str:
        """The snapshot meant; "" where there is none at all. Raises BadRequest."""
        if not infos:
            return ""
        name = snapshot or next((each.id for each in infos.values() if each.current), "")
        if name not in infos:
            raise BadRequest(
                "there is no such snapshot", code="models.no_snapshot",
                where="snapshot", allowed=", ".join(infos), got=name[:40],
                next="bodega snapshots",
            )  # fmt: skip
        return name

    def _folder(self, name: str) -> Path:
        return self._shop.folder / SNAPSHOTS / name

    def _places(self, name: str) -> tuple[PlaceReport, ...]:
        if not _NAME.fullmatch(name):
            return ()
        try:
            raw = (self._folder(name) / "evaluation.json").read_bytes()
            return msgspec.json.decode(raw, type=tuple[PlaceReport, ...])
        except (OSError, msgspec.MsgspecError):
            return ()

    def _maps(self, name: str) -> tuple[str, ...]:
        engine = engine_of(self._shop)
        if engine is None or engine.learned.snapshot != name:
            return ()
        return tuple(source for source in engine.learned.sources if drawable(engine.learned.sources[source]))

    def _line(self, info: Any) -> SnapshotLine:
        facts = info.facts
        return SnapshotLine(
            id=info.id,
            time=info.time.timestamp(),
            current=info.current,
            bytes=info.bytes,
            items=int(facts.get("items", 0)),
            events=int(facts.get("events", 0)),
            users=int(facts.get("users", 0)),
            since=facts.get("from"),
            until=facts.get("until"),
            places=tuple(_place_line(report) for report in self._places(info.id) if report.cases),
        )


def served_as(report: PlaceReport) -> str:
    """Which row of a place's table is what shoppers get."""
    if "ranked" in report.figures:
        return "ranked"
    return report.chosen if report.chosen in report.figures else "fusion"


def _place_line(report: PlaceReport) -> PlaceLine:
    served = served_as(report)
    alone = {name: row.get(METRIC, 0.0) for name, row in report.figures.items() if name not in SERVED}
    best = max(alone, key=lambda name: (alone[name], name), default="")
    low, high = report.intervals.get(served, {}).get(METRIC, (0.0, 0.0))
    return PlaceLine(
        place=report.place,
        cases=report.cases,
        served=served,
        value=report.figures.get(served, {}).get(METRIC, 0.0),
        low=low,
        high=high,
        baseline=alone.get(BASELINE),
        best=best,
        best_value=alone.get(best),
    )


def _gates(places: tuple[PlaceReport, ...], facts: dict[str, Any]) -> tuple[Gate, ...]:
    found: list[Gate] = []
    for report in places:
        if report.verdict:
            found.append(Gate(report.place, "fusion", report.chosen == "fusion", report.verdict))
        if report.ranked:
            found.append(Gate(report.place, "ranker", "ranked" in report.figures, report.ranked))
    told = facts.get("llm")
    if told:
        found.append(Gate("search", "language model", bool(told.get("kept")), json.dumps(told, sort_keys=True)))
    return tuple(found)


def _code(folder: Path) -> str:
    try:
        found = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError):
        return ""
    return str(found.get("code", ""))
