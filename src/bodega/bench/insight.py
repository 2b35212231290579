"""`bodega bench metrics`: are live and daily counts what a batch counts, and what does counting cost?

A made-up shop of some thousand pages and events of half an afternoon (half of the events name their page, clocks are
off, items and places lie) is replayed in shuffled order, a third of the rows twice, into the live counts; the first
part of the time is counted by day instead, and both together are compared with one batch over the stored rows.
`difference` is the largest relative difference of any count, over all seeds; `forgetful.difference` the same for counts
that never look again at what came before its page. Not for: what the numbers mean (docs/metrics.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bodega.adapters.sql import SqlStore
from bodega.bench.result import BenchResult
from bodega.engine.answering_log import AnsweringLog
from bodega.insight.attribution import Rule
from bodega.insight.batch import count_day
from bodega.insight.counting import BY_POSITION, DAY, FIELDS, MINUTE, added
from bodega.insight.live import Live
from bodega.protocols import Progress
from bodega.schema import Event, EventType, Hit, Page, Request
from bodega.schema.answers import Answered
from bodega.settings import Answers

START = 20_000 * DAY + 14 * 60 * MINUTE
RULE = Rule(30 * MINUTE, "EUR")
PLACES, SOURCES = ("home", "search", "similar"), ("popular", "lexical", "rule", "")
KINDS = (EventType.IMPRESSION, EventType.VIEW, EventType.CLICK, EventType.CART, EventType.PURCHASE)
Corners = dict[tuple[str, int, str], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class InsightOptions:
    """How much is replayed."""

    pages: int = 4_000
    events: int = 10_000
    repeats: int = 3
    seed: int = 7


def run(options: InsightOptions, progress: Progress) -> BenchResult:
    """Replay, compare, and time."""
    began = time.perf_counter()
    worst = {"counts": 0.0, "forgetful": 0.0}
    costs: dict[str, list[float]] = {"log": [], "store": [], "live": [], "batch": []}
    rows = options.pages + options.events
    progress.start("replays", float(options.repeats))
    for number in range(options.repeats):
        rng = np.random.default_rng(options.seed + number)
        pages, events = _afternoon(rng, options)
        with TemporaryDirectory() as folder, SqlStore.open(f"sqlite:///{Path(folder)}/shop.db") as store:
            _timed(costs["store"], options.pages, lambda: _put(store, pages))  # noqa: B023 - called at once
            store.events.append(events)
            day = START // DAY * DAY
            whole: Corners = {}
            _timed(costs["batch"], rows, lambda: whole.update(_counted(store, day, day + DAY)))  # noqa: B023
            cut = START + int(rng.integers(20, 100)) * MINUTE
            table = _counted(store, day, cut)
        for name, live in (("counts", Live(RULE)), ("forgetful", Forgetful(RULE))):
            into = costs["live"] if name == "counts" else []
            _timed(into, rows * 4 / 3, lambda: _replay(live, [*pages, *events], rng))  # noqa: B023
            worst[name] = max(worst[name], _difference(_both(table, live, cut), whole))
        costs["log"].append(_noted())
        progress.advance()
    progress.finish()
    return BenchResult(
        bench="metrics",
        data="generated",
        seconds=round(time.perf_counter() - began, 3),
        figures={
            "difference": worst["counts"],
            "forgetful.difference": worst["forgetful"],
            "log.us_per_page": round(min(costs["log"]), 2),
            "store.us_per_page": round(min(costs["store"]), 2),
            "live.us_per_row": round(min(costs["live"]), 2),
            "batch.us_per_row": round(min(costs["batch"]), 2),
        },
        facts={"pages": options.pages, "events": options.events, "repeats": options.repeats, "seed": options.seed},
        notes=(
            "difference: of the 16 counts of every place, position and source, live and daily against one batch",
            "costs: CPU of the process in microseconds, the least of the repeats; a page holds 20 items in the log",
        ),
    )


class Forgetful(Live):
    """The baseline: an event counts as it looks when it arrives, and is never looked at again."""

    def _take_page(self, told: Answered) -> bool:
        held, self._by_request = self._by_request, {}
        try:
            return super()._take_page(told)
        finally:
            self._by_request = held


def _afternoon(rng: np.random.Generator, options: InsightOptions) -> tuple[list[Answered], list[Event]]:
    """Pages of two hours, and what came of them."""
    shown = []
    people = max(options.pages // 25, 5)
    for number in range(options.pages):
        who, size = int(rng.integers(0, people)), int(rng.choice([0, 5, 8]))
        shown.append(
            Answered(
                request_id=f"r{number}",
                time=(START + int(rng.integers(0, 120 * MINUTE))) / 1e6,
                place=PLACES[int(rng.integers(0, 3))],
                user=f"u{who}" if who % 3 else "",
                session=f"s{who}" if not who % 3 or who % 2 else "",
                items=tuple(f"i{item}" for item in rng.choice(60, size, replace=False)),
                sources=tuple(str(name) for name in rng.choice(SOURCES, size)),
                offset=int(rng.choice([0, 0, 8])),
                degraded=("slow",) if rng.random() < 0.1 else (),
            )
        )
    return shown, [_happened(number, shown, rng) for number in range(options.events)]


def _happened(number: int, shown: list[Answered], rng: np.random.Generator) -> Event:
    page = shown[int(rng.integers(0, len(shown)))]
    at = round(page.time * 1e6) + int(rng.integers(-2 * MINUTE, 50 * MINUTE))
    on_page = page.items and rng.random() < 0.9
    return Event(
        type=KINDS[int(rng.integers(0, 5))],
        time=datetime.fromtimestamp(at / 1e6, UTC),
        id=f"e{number}",
        user=page.user,
        session=page.session,
        item=page.items[int(rng.integers(0, len(page.items)))] if on_page else f"i{int(rng.integers(0, 60))}",
        place=str(rng.choice(["", "", page.place, "elsewhere"])),
        position=None if rng.random() < 0.5 else int(rng.integers(0, 300)),
        request_id=page.request_id if rng.random() < 0.5 else "",
        price=round(float(rng.uniform(1, 90)), 2),
        currency=str(rng.choice(["", "EUR", "USD"])),
    )


def _put(store: SqlStore, pages: list[Answered]) -> None:
    for start in range(0, len(pages), 100):
        store.answers.put(pages[start : start + 100])


def _counted(store: SqlStore, since: int, until: int) -> Corners:
    cells = count_day(store.logbook, RULE, since, until)
    return {(cell.place, cell.position, cell.source): cell.counts for cell in cells if cell.level == BY_POSITION}


def _replay(live: Live, rows: list[Any], rng: np.random.Generator) -> None:
    """Every row in shuffled order, a third of them twice."""
    rows = rows + [row for row in rows if rng.random() < 1 / 3]
    for place in rng.permutation(len(rows)).tolist():
        row = rows[place]
        if isinstance(row, Answered):
            live.answered([row])
        else:
            live.observe([row])


def _both(table: Corners, live: Live, cut: int) -> Corners:
    told = dict(table)
    for corner, counts in live.counts(cut, START + DAY).items():
        told[corner] = added([told.get(corner, (0,) * len(FIELDS)), counts])
    return told


def _difference(told: Corners, whole: Corners) -> float:
    """The largest difference of any count, as a part of the larger of the two: 0 to 1."""
    nothing = (0,) * len(FIELDS)
    pairs = [(told.get(corner, nothing), whole.get(corner, nothing)) for corner in told.keys() | whole.keys()]
    parts = [
        abs(one - other) / max(abs(one), abs(other), 1)
        for mine, his in pairs
        for one, other in zip(mine, his, strict=True)
    ]
    return round(max(parts, default=0.0), 6)


def _noted(pages: int = 2_000) -> float:
    """What the thread that answers spends on the log, microseconds a page of 20 items; nothing is written."""
    log = AnsweringLog(_Nowhere(), Answers())
    hits = tuple(Hit(id=f"i{number}", position=number, score=1.0, document=b"{}") for number in range(20))  # type: ignore[arg-type]
    request, page = Request(user="u"), Page(request_id="r", place="home", hits=hits, total=20)
    log.note(request, page)
    began = time.thread_time()
    for _ in range(pages):
        log.note(request, page)
    spent = time.thread_time() - began
    log.close()
    return spent / pages * 1e6


class _Nowhere:
    """Implements `protocols.AnswerStore`: keeps nothing."""

    def put(self, answers: object) -> None:
        del answers

    def scan(self, since: float = 0.0, until: float | None = None) -> Any:
        del since, until
        return iter(())

    def find(self, request_id: str) -> None:
        del request_id

    def prune(self, before: float) -> int:
        del before
        return 0

    def forget(self, users: object = (), sessions: object = ()) -> int:
        del users, sessions
        return 0


def _timed(into: list[float], rows: float, work: Callable[[], object]) -> None:
    began = time.process_time()
    work()
    into.append((time.process_time() - began) / rows * 1e6)
