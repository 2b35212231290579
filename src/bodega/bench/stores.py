"""SQLite or PostgreSQL? The same events into both, the same questions to both, in one run on one machine.

Events go in by the hundred one batch after the other, by the hundred from eight callers at once (group commit), and by
the five thousand as an import does; both databases flush every commit to the disk. Then everything is scanned as
`learn` does, single shoppers are looked up as a page does, every table is digested, the store moves from SQLite to
PostgreSQL, and a shop is backed up and restored. `cpu_us` is CPU time an event of client and server together, which a
busy machine does not change; events/s are by the clock, which it does.
With `vectors`, the nearest 200 of so many vectors are asked of pgvector (HNSW, in the server) and of our own index.
Needs the extra `dev`, whose PostgreSQL is started for the run. Not for: a server in another room: add its round trips.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bodega import wiring
from bodega.adapters.sql import SqlStore
from bodega.adapters.sql.copying import digests
from bodega.adapters.sql.moving import move
from bodega.bench._vector_sets import clustered
from bodega.bench.result import BenchResult
from bodega.protocols import NoProgress, Progress
from bodega.retrieval._vectors import VectorIndex
from bodega.schema import Event, EventType
from bodega.schema.arrays import Floats
from bodega.testing._process import children
from bodega.testing.servers import Postgres, postgres

K = 200
_TICK = 0.01
"""Seconds of one tick of /proc (CLK_TCK is 100 on every Linux in use)."""


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """`events` go into each store; `vectors` x 128 are searched (0: no vectors)."""

    events: int = 200_000
    vectors: int = 100_000
    questions: int = 100
    seed: int = 7


@dataclass
class Meter:
    """Clock and CPU of this process and of a server's, read before and after."""

    server: Postgres | None
    wall: float = 0.0
    cpu: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time() + self._server()
        yield
        self.wall, self.cpu = time.perf_counter() - wall, time.process_time() + self._server() - cpu

    def _server(self) -> float:
        pids = [] if self.server is None else [self.server.pid, *children(self.server.pid)]
        return sum(_cpu_of(pid) for pid in pids)


def run(options: StoreOptions, progress: Progress) -> BenchResult:
    """Measure. Raises MissingExtra without the servers of the extra `dev`."""
    began = time.perf_counter()
    figures: dict[str, float] = {}
    with postgres(durable=True) as server, tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        urls = {"sqlite": f"sqlite:///{place}/shop.db", "postgresql": server.database()}
        for name, url in urls.items():
            progress.start(f"{name}: {options.events:,} events")
            meter = Meter(server if name == "postgresql" else None)
            figures |= {f"{name}.{key}": value for key, value in _store(url, meter, options).items()}
            progress.finish()
        figures |= _moved(place, urls["sqlite"], server)
        if options.vectors:
            progress.start(f"{options.vectors:,} vectors")
            figures |= _vectors(server, options)
            progress.finish()
    return BenchResult(
        bench="stores",
        data=f"{options.events:,} generated events, {options.vectors:,} clustered vectors",
        seconds=round(time.perf_counter() - began, 1),
        figures=figures,
        facts={
            "seed": options.seed,
            "events": options.events,
            "vectors": options.vectors,
            "questions": options.questions,
        },
        notes=(
            "per_s: by the clock; cpu_us: microseconds of CPU an event (a row), client and server together",
            "both flush every commit (SQLite synchronous=FULL, PostgreSQL fsync=on, synchronous_commit=on)",
            "pgvector: HNSW with its own defaults (m=16, ef_construction=64) and hnsw.ef_search=400, halfvec; "
            "index: our own; ms is CPU of client and server for one top-200 question, median",
        ),
    )


def _store(url: str, meter: Meter, options: StoreOptions) -> dict[str, float]:
    """Writing, scanning, looking up."""
    part = options.events // 4
    figures: dict[str, float] = {}
    with SqlStore.open(url) as store:
        store.events.append(_events(1, -1, options.seed))
        ways: dict[str, tuple[Callable[[list[Event]], None], int]] = {
            "append_100": (lambda events: _one_by_one(store, events, 100), part),
            "submit_100": (lambda events: _together(store, events, 100), part),
            "append_5000": (lambda events: _one_by_one(store, events, 5_000), 2 * part),
        }
        start = 0
        for name, (write, count) in ways.items():
            events = _events(count, start, options.seed)
            start += count
            with meter.running():
                write(events)
            figures |= _rates(name, count, meter)
        with meter.running():
            rows = sum(len(chunk.user) for chunk in store.events.scan())
        figures |= _rates("scan", rows, meter)
        spent = []
        with meter.running():
            for number in range(300):
                before = time.perf_counter()
                store.events.steps(user=f"u{number * 37 % 20_000}", session="", limit=1_000)
                spent.append((time.perf_counter() - before) * 1_000)
        figures |= {"look_up.p50_ms": float(np.median(spent)), "look_up.cpu_us": meter.cpu / len(spent) * 1e6}
        with meter.running():
            tables = digests(store.database, NoProgress())
        figures |= _rates("digest", sum(table.rows for table in tables), meter)
    return figures


def _moved(place: Path, source: str, server: Postgres) -> dict[str, float]:
    """The store to the server; a shop into a backup and back."""
    figures: dict[str, float] = {}
    meter = Meter(server)
    with meter.running():
        done = move(source, server.database(), NoProgress())
    figures |= _rates("move_to_postgresql", done.rows, meter)
    shop = place / "shop"
    wiring.init_shop(shop)
    for path in place.glob("shop.db*"):
        path.rename(shop / path.name)
    own = Meter(None)
    with own.running():
        wiring.back_up(shop, place / "kept", NoProgress())
    figures["backup.s_per_million"] = own.wall / done.rows * 1e6
    with own.running():
        wiring.restore(place / "kept", place / "again", NoProgress())
    figures["restore.s_per_million"] = own.wall / done.rows * 1e6
    return figures


def _vectors(server: Postgres, options: StoreOptions) -> dict[str, float]:
    """The nearest 200 by pgvector and by our own index: recall against brute force, CPU a question, CPU to build."""
    import psycopg

    rows, asked = clustered(options.vectors, 128, options.questions + 64, options.seed)
    practice, asked = asked[:64], asked[64:]
    truth = [set(np.argpartition(-(rows @ question), K)[:K].tolist()) for question in asked]
    before = time.process_time()
    index = VectorIndex.build(rows, practice)
    figures = {"index.build_cpu_s": time.process_time() - before}
    figures |= _asked("index", lambda question: index.search(question, K, None)[0].tolist(), asked, truth, Meter(None))
    meter = Meter(server)
    with psycopg.connect(server.url_of(server.database().rpartition("/")[2]), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute("CREATE TABLE items (row int PRIMARY KEY, v halfvec(128))")
        with meter.running():
            with connection.cursor() as cursor, cursor.copy("COPY items FROM STDIN") as copy:
                for number, row in enumerate(rows):
                    copy.write_row((number, _text(row)))
            connection.execute("SET maintenance_work_mem = '512MB'")
            connection.execute("SET max_parallel_maintenance_workers = 0")  # workers that end take their CPU time along
            connection.execute("CREATE INDEX ON items USING hnsw (v halfvec_ip_ops)")
        figures["pgvector.build_cpu_s"] = meter.cpu
        connection.execute("SET hnsw.ef_search = 400")

        def ask(question: Floats) -> list[int]:
            query = b"SELECT row FROM items ORDER BY v <#> %s::halfvec LIMIT %s"
            return [row for (row,) in connection.execute(query, [_text(question), K]).fetchall()]

        figures |= _asked("pgvector", ask, asked, truth, meter)
    return figures


def _asked(
    name: str, ask: Callable[[Floats], Sequence[int]], asked: Floats, truth: Sequence[set[int]], meter: Meter
) -> dict[str, float]:
    for question in asked[:10]:
        ask(question)
    shares, clock = [], []
    with meter.running():
        for question, wanted in zip(asked, truth, strict=True):
            before = time.perf_counter()
            shares.append(len(wanted.intersection(ask(question))) / K)
            clock.append((time.perf_counter() - before) * 1_000)
    return {
        f"{name}.recall@{K}": float(np.mean(shares)),
        f"{name}.cpu_ms": meter.cpu / len(asked) * 1_000,
        f"{name}.p50_ms": float(np.median(clock)),
    }


def _rates(name: str, count: int, meter: Meter) -> dict[str, float]:
    return {f"{name}.per_s": count / meter.wall, f"{name}.cpu_us": meter.cpu / count * 1e6}


def _one_by_one(store: SqlStore, events: list[Event], size: int) -> None:
    for start in range(0, len(events), size):
        store.events.append(events[start : start + size])


def _together(store: SqlStore, events: list[Event], size: int) -> None:
    batches = [events[start : start + size] for start in range(0, len(events), size)]
    with ThreadPoolExecutor(8) as callers:
        list(callers.map(store.events.append, batches))


def _events(count: int, start: int, seed: int) -> list[Event]:
    """Visits of 20,000 shoppers in order of time, ids as our own API makes them."""
    rng = np.random.default_rng((seed, start + 1))
    users, items = rng.integers(0, 20_000, count), rng.integers(0, 50_000, count)
    first = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=start)
    return [
        Event(type=EventType.VIEW, time=first + timedelta(seconds=n), user=f"u{user}", session=f"s{user}-{n // 50}",
              item=f"i{item}", place="home", price=1.5, currency="EUR", channel="web")
        for n, (user, item) in enumerate(zip(users.tolist(), items.tolist(), strict=True))
    ]  # fmt: skip


def _text(row: Any) -> str:
    return "[" + ",".join(f"{value:.6g}" for value in row.tolist()) + "]"


def _cpu_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK
    except (OSError, IndexError, ValueError):
        return 0.0
