"""How fast is the real server? `bodega serve` in a process of its own, asked over loopback by this one.

Six parts, one after the other, on a copy of the shop (the events that are sent must not enter the real one):
    first     every shopper's first request: their history is read          first_visit.p50_ms
    one       one request at a time: the latency a shopper sees          search.p50_ms, recommend.p99_ms, ...
    loaded    as many connections as asked for: throughput               requests_per_core_second, loaded.search.p50_ms
    livez     the same server answering nothing: HTTP's own cost         livez.p50_ms, livez.requests_per_core_second
    changed   a guest's first click, then the list: is it another one?   event_to_list.p99_ms, event_to_list.first_time
    events    batches of 100, answered when they are on disk             events.per_second
`http_overhead_ms` is the server's time for a list minus the engine's, from the server's own counters; the socket and
the parsing of HTTP are in `livez`. Requests per core are requests by seconds of the server's CPU, not of the clock.
Not for: quality, or several machines.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from bodega.bench._traffic import Connection, Crowd, K, Timed, drive
from bodega.bench.result import BenchResult
from bodega.engine.shop import Shop
from bodega.errors import BadSettings, NotLearned, StoreError
from bodega.service.server import free_port
from bodega.wiring import DATABASE, open_shop

BATCH = 100
GUESTS = 60
START_SECONDS = 120.0
UNLIMITED = {
    "BODEGA_SERVE_REQUESTS_PER_SECOND": "1000000000",
    "BODEGA_SERVE_BURST": "1000000000",
    "BODEGA_SERVE_SHOPPER_PER_SECOND": "0",
}
SUMS = re.compile(
    r'^bodega_(http_seconds|answer_seconds)_(sum|count)\{(?:route|place)="([^"]*)"\} (\S+)$', re.MULTILINE
)
LISTS = ("GET /v1/search", "GET /v1/recommend", "GET /v1/items/{item_id}/similar")

Work = Iterator[tuple[str, str, bytes | None]]


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """`seconds` are shared out among the parts; `concurrency` are the connections of the loaded parts."""

    shop: Path
    seconds: float = 20.0
    concurrency: int = 4
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Served:
    """The running server under test."""

    pid: int
    port: int
    key: str
    crowd: Crowd
    options: ServeOptions

    def connections(self, number: int) -> list[Connection]:
        return [Connection(self.port, self.key) for _ in range(number)]

    def cpu(self) -> float:
        """CPU seconds of the server so far, all its threads; NaN where the system has no /proc."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return float("nan")
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(options: ServeOptions) -> BenchResult:
    """Measure. Raises NotAShop, NotLearned, StoreError (the server did not start)."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bodega-bench-") as scratch:
        folder = copied(options.shop, Path(scratch) / "shop")
        with open_shop(folder, create=False) as shop:
            check_learned(shop)
            key = shop.keys.create("bench", ("search", "events", "admin"))
            crowd = Crowd.of(shop, options.seed)
            facts: dict[str, object] = {
                "items": shop.catalog.count(),
                "events": shop.events.count(),
                "users_asking": len(crowd.users),
            }
            facts |= {"snapshot": next((each.id for each in shop.snapshots() if each.current), "")}
            name = shop.settings.name
        with running(folder) as (pid, port):
            served = Served(pid, port, key, crowd, options)
            facts["load_before"] = round(os.getloadavg()[0], 2)
            figures, intervals = _measured(served)
            facts["load_after"] = round(os.getloadavg()[0], 2)
    return BenchResult(
        bench="serve",
        data=f"{name}: {facts['items']:,} items, {facts['events']:,} events",
        seconds=round(time.perf_counter() - started, 1),
        figures={key: round(value, 4) for key, value in figures.items() if np.isfinite(value)},
        intervals=intervals,
        facts={**facts, "concurrency": options.concurrency, "seed": options.seed, "k": K, "cores": os.cpu_count()},
        notes=(
            "search/recommend/similar are one request at a time; loaded.* share one worker among all connections",
            "the client runs on the same machine; its own cost is about what livez.p50_ms shows",
            "clock times mean little when load_before is above the number of cores; CPU figures still do",
        ),
    )


def _measured(served: Served) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    figures: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    seconds, several = served.options.seconds, served.options.concurrency
    first, _ = _part(served, 1, max(5.0, 0.2 * seconds), _first_visits)
    before = _sums(served)
    one, _ = _part(served, 1, 0.35 * seconds, _lists)
    figures["http_overhead_ms"] = _overhead_ms(before, _sums(served))
    loaded, cpu = _part(served, several, 0.25 * seconds, _lists)
    nothing, nothing_cpu = _part(served, several, 0.08 * seconds, _livez)
    alone, _ = _part(served, 1, 0.02 * seconds, _livez)
    changed = _changed(served)
    stored, stored_cpu = _part(served, several, 0.2 * seconds, _events)
    for prefix, timed in (("", first), ("", one), ("loaded.", loaded), ("", alone)):
        for kind, values in timed.latency.items():
            name = f"{prefix}{kind}"
            figures |= {f"{name}.p50_ms": float(np.median(values)), f"{name}.p99_ms": float(np.quantile(values, 0.99))}
            intervals[f"{name}.p50_ms"] = _interval(values, served.options.seed)
    for kind, values in one.engine.items():
        figures[f"{kind}.engine_p50_ms"] = float(np.median(values))
        figures[f"{kind}.engine_p99_ms"] = float(np.quantile(values, 0.99))
    events = stored.latency.get("events", [])
    figures |= {
        "requests_per_core_second": loaded.count() / cpu,
        "requests_per_second": loaded.count() / loaded.elapsed,
        "cpu_ms_per_list": cpu / loaded.count() * 1000 if loaded.count() else float("nan"),
        "livez.requests_per_core_second": nothing.count() / nothing_cpu,
        "livez.cpu_ms": nothing_cpu / nothing.count() * 1000 if nothing.count() else float("nan"),
        "events.per_second": len(events) * BATCH / stored.elapsed,
        "events.per_core_second": len(events) * BATCH / stored_cpu,
        "events.batch_p50_ms": float(np.median(events)) if events else float("nan"),
        "failed": float(one.failed + loaded.failed + nothing.failed + stored.failed),
        **changed,
    }
    return figures, intervals


def _part(served: Served, connections: int, seconds: float, work: Callable[[Served, int], Work]) -> tuple[Timed, float]:
    """(what was timed, the server's CPU seconds) of one part."""
    wires = served.connections(connections)
    before = served.cpu()
    timed = drive(wires, lambda number: work(served, number), seconds)
    spent = served.cpu() - before
    for wire in wires:
        wire.close()
    return timed, spent or float("nan")


def _lists(served: Served, number: int) -> Work:
    return ((kind, address, None) for kind, address in served.crowd.asks(served.options.seed * 1_000 + number))


def _first_visits(served: Served, number: int) -> Work:
    del number
    return ((kind, address, None) for kind, address in served.crowd.first_visits())


def _livez(served: Served, number: int) -> Work:
    del served, number
    return (("livez", "/livez", None) for _ in count())


def _events(served: Served, number: int) -> Work:
    rng = np.random.default_rng(served.options.seed + number)
    return (("events", "/v1/events", served.crowd.batch(rng, f"bench-{number}-{each}", BATCH)) for each in count())


def _changed(served: Served) -> dict[str, float]:
    """New guests click once: the time from sending the event to holding a list that differs."""
    wire = Connection(served.port, served.key)
    total, acknowledged, first_time = [], [], 0
    for guest in range(GUESTS):
        address = f"/v1/recommend?place=home&k={K}&session=bench-guest-{guest}"
        before = _ids(wire.ask("GET", address)[1])
        item = served.crowd.items[guest % len(served.crowd.items)]
        event = {"id": f"guest-{guest}", "type": "view", "item": item, "session": f"bench-guest-{guest}"}
        started = time.perf_counter()
        wire.ask("POST", "/v1/events", json.dumps([event]).encode())
        acknowledged.append((time.perf_counter() - started) * 1000)
        for attempt in range(20):
            after = _ids(wire.ask("GET", address)[1])
            if after != before:
                first_time += attempt == 0
                total.append((time.perf_counter() - started) * 1000)
                break
    wire.close()
    return {
        "event_ack.p50_ms": float(np.median(acknowledged)),
        "event_to_list.p50_ms": float(np.median(total)) if total else float("nan"),
        "event_to_list.p99_ms": float(np.quantile(total, 0.99)) if total else float("nan"),
        "event_to_list.first_time": first_time / GUESTS,
    }


def _ids(page: bytes) -> list[str]:
    return [hit["id"] for hit in json.loads(page)["hits"]]


def _sums(served: Served) -> dict[tuple[str, str, str], float]:
    """{(series, sum or count, label): value} of the server's own timers."""
    wire = Connection(served.port, served.key)
    text = wire.ask("GET", "/metrics")[1].decode()
    wire.close()
    return {(series, kind, label): float(value) for series, kind, label, value in SUMS.findall(text)}


def _overhead_ms(before: dict[tuple[str, str, str], float], after: dict[tuple[str, str, str], float]) -> float:
    def grown(series: str, kind: str, labels: tuple[str, ...]) -> float:
        return sum(after.get((series, kind, label), 0.0) - before.get((series, kind, label), 0.0) for label in labels)

    places = tuple({label for series, _, label in after if series == "answer_seconds"})
    requests = grown("http_seconds", "count", LISTS)
    spent = grown("http_seconds", "sum", LISTS) - grown("answer_seconds", "sum", places)
    return spent / requests * 1000 if requests else float("nan")


def _interval(values: list[float], seed: int) -> tuple[float, float]:
    """95 % bootstrap interval of the median."""
    rng = np.random.default_rng(seed)
    sample = np.asarray(values)
    medians = [float(np.median(sample[rng.integers(len(sample), size=len(sample))])) for _ in range(200)]
    low, high = np.quantile(medians, (0.025, 0.975))
    return round(float(low), 4), round(float(high), 4)


def check_learned(shop: Shop) -> None:
    if not shop.learned:
        raise NotLearned(
            "this shop has not learned yet", where=str(shop.folder), next=f"bodega learn --shop {shop.folder}"
        )


def copied(shop: Path, scratch: Path) -> Path:
    """A copy of the shop's folder, safe while the shop is in use; files of snapshots are immutable and only linked."""
    with open_shop(shop, create=False) as opened:
        check_learned(opened)
        if opened.settings.store.url:
            raise BadSettings(
                "this benchmark writes events, so it works on a copy, and this shop's store cannot be copied",
                where="store.url",
                allowed="the embedded store",
                next="run it on a shop without store.url",
            )

    def copy(source: str, target: str) -> str:
        if Path(source).parent.parent.name == "snapshots":
            with contextlib.suppress(OSError):
                os.link(source, target)
                return target
        return shutil.copyfile(source, target)

    ignored = shutil.ignore_patterns("feeds", "*.log", f"{DATABASE}*")
    shutil.copytree(shop, scratch, copy_function=copy, ignore=ignored)
    with (
        contextlib.closing(sqlite3.connect(shop / DATABASE)) as source,
        contextlib.closing(sqlite3.connect(scratch / DATABASE)) as target,
    ):
        source.backup(target)
    return scratch


@contextlib.contextmanager
def running(folder: Path, *more: str) -> Iterator[tuple[int, int]]:
    """(pid, port) of `bodega serve` over the folder, answering; stopped at the end."""
    port = free_port()
    log = folder / "bench-serve.log"
    command = [
        sys.executable,
        "-m",
        "bodega",
        "serve",
        "--shop",
        str(folder),
        "--port",
        str(port),
        "--no-storefront",
        *more,
    ]
    with log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=stream, stderr=stream, env={**os.environ, **UNLIMITED}
        )
    try:
        _until_ready(process, port, log)
        yield process.pid, port
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError):
            wire = Connection(port, "")
            status = wire.ask("GET", "/readyz")[0]
            wire.close()
            if status == 200:
                return
        time.sleep(0.1)
    raise StoreError(
        "the server did not start",
        where="bodega serve",
        got=log.read_text("utf-8", "replace")[-1_500:],
        next="run `bodega serve` on the shop to see why",
    )
