"""How soon does a click change the next page, and what does the shop answer meanwhile? `bodega serve`, asked from here.

Five parts, one after the other, on a copy of the shop, over loopback, in a process of their own:

    quiet      50 pages a second and nothing else                         page.quiet_p50_ms, page.quiet_p99_ms
    live       the same with 100 events a second, and clicks whose effect is waited for:
               event sent -> acknowledged (durable) -> the next page differs       freshness.p99_ms, page.p99_ms
    loaded     as many pages as fit, alone and while 1,000 events a second arrive    page.per_s_per_core
               and the same events without pages: what is left of a core for pages   page.per_s_on_a_core
    overload   far more callers than fit: what is still answered, how fast the rest is refused   overload.goodput_share
    ingest     events as fast as they go, in batches; beside it one event a commit  ingest.events_per_s

A click counts as seen only when the list says so: `recent` must begin with the item; `home`, `search`, `similar` must
differ from what they were for the same shopper. A page that could not differ (the item cannot be found by these words)
is no case. Pages a core are pages by seconds of the server's CPU (all its processes; never the client's), events
included: where client and neighbours leave it few pages a second, each page pays for more events. `per_s_on_a_core` is
what a core answers that has 1,000 events a second to take in besides: (1 - their CPU) / a page's own CPU. How fast a
core was at that time stands beside it (`machine.loop_ms`, and the best of the run: `_pulse`). The client is Python and
shares the machine: latencies hold its part too. Not for: quality.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

import numpy as np

from bodega.bench._pulse import Pulse
from bodega.bench._traffic import WORD, Connection, Crowd, K, Timed, drive
from bodega.bench.result import BenchResult
from bodega.bench.serve import check_learned, copied, running
from bodega.protocols import Progress
from bodega.wiring import open_shop

Work = Iterator[tuple[str, str, bytes | None]]
TRIES = 40
"""Lists that are asked for after a click before it counts as lost."""


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """`seconds` are shared out among the parts."""

    shop: Path
    seconds: float = 40.0
    workers: int = 1
    pages: float = 50.0
    """Pages a second of the parts `quiet` and `live`."""
    events: float = 100.0
    """Events a second of the part `live`; ten times as many in `loaded`."""
    seed: int = 7


@dataclass(slots=True)
class Seen:
    """Clicks and what became of them."""

    total: dict[str, list[float]] = field(default_factory=dict)
    """{list: ms from sending the event to holding a list that knows it}."""
    acknowledged: list[float] = field(default_factory=list)
    first: int = 0
    lost: int = 0

    def all(self) -> list[float]:
        return [each for values in self.total.values() for each in values]


@dataclass(frozen=True, slots=True)
class Shop:
    """The server under test."""

    pid: int
    port: int
    key: str
    crowd: Crowd
    options: LiveOptions
    pulse: Pulse = field(default_factory=Pulse)

    def wires(self, count: int) -> list[Connection]:
        return [Connection(self.port, self.key) for _ in range(count)]

    def cpu(self) -> float:
        """CPU seconds of the server so far, all its processes; those that ended are not counted."""
        return sum(map(_cpu, _tree(self.pid)))


def run(options: LiveOptions, progress: Progress) -> BenchResult:
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
                "workers": options.workers,
                "pages_per_second": options.pages,
                "events_per_second": options.events,
                "load_before": round(os.getloadavg()[0], 2),
            }
            name = shop.settings.name
        with running(folder, "--workers", str(options.workers)) as (pid, port):
            figures = _measured(Shop(pid, port, key, crowd, options), progress)
        facts["load_after"] = round(os.getloadavg()[0], 2)
    return BenchResult(
        bench="live",
        data=f"{name}: {facts['items']:,} items, {facts['events']:,} events",
        seconds=round(time.perf_counter() - started, 1),
        figures={name: round(value, 4) for name, value in figures.items() if np.isfinite(value)},
        facts=facts,
        notes=(
            "freshness: from sending an event to holding a list that knows it; the server and its client share cores",
        ),
    )


def _measured(shop: Shop, progress: Progress) -> dict[str, float]:
    part = shop.options.seconds / 5
    figures: dict[str, float] = {}
    for name, measure in (
        ("quiet", _quiet),
        ("live", _live),
        ("loaded", _loaded),
        ("overload", _overload),
        ("ingest", _ingest),
    ):
        progress.start(f"measure: {name}")
        with nullcontext() if name == "loaded" else shop.pulse.watched():
            figures |= measure(shop, part)
        progress.finish()
    return figures | {"machine.loop_best_ms": min(shop.pulse.beats)}


def _quiet(shop: Shop, seconds: float) -> dict[str, float]:
    drive(shop.wires(2), lambda number: _pages(shop, 90 + number), min(2.0, seconds))  # caches, as in any running shop
    found = _paced(shop, seconds)
    return {f"page.quiet_{name}": value for name, value in _spread(_latencies(found)).items()}


def _live(shop: Shop, seconds: float) -> dict[str, float]:
    stop, seen = threading.Event(), Seen()
    threads = [
        threading.Thread(target=_stream, args=(shop, shop.options.events, 10, stop, "live")),
        threading.Thread(target=_clicks, args=(shop, seen, stop)),
    ]
    for thread in threads:
        thread.start()
    pages = _paced(shop, seconds)
    stop.set()
    for thread in threads:
        thread.join()
    figures = {f"page.{name}": value for name, value in _spread(_latencies(pages)).items()}
    figures |= {f"freshness.{name}": value for name, value in _spread(seen.all()).items()}
    for place, values in sorted(seen.total.items()):
        figures[f"freshness.{place}.p99_ms"] = _spread(values)["p99_ms"]
    cases = len(seen.all()) + seen.lost
    return figures | {
        "freshness.cases": float(cases),
        "freshness.first_page": seen.first / cases if cases else float("nan"),
        "freshness.lost": float(seen.lost),
        "event_ack.p99_ms": _spread(seen.acknowledged)["p99_ms"],
        "page.failed": float(pages.failed),
    }


def _loaded(shop: Shop, seconds: float) -> dict[str, float]:
    many = 10 * shop.options.events
    _, alone = _pressed(shop, 0.0, 0.35 * seconds)
    _, taking = _taken(shop, many, 0.3 * seconds)
    with shop.pulse.watched() as beats:
        pages, both = _pressed(shop, many, 0.35 * seconds)
    own = both.cpu_a_page - taking * both.events_a_page
    figures = {f"page.loaded_{key}": value for key, value in _spread(_latencies(pages)).items()}
    return figures | {
        "page.alone_per_s_per_core": _over(1.0, alone.cpu_a_page),
        "page.per_s_per_core": _over(1.0, both.cpu_a_page),
        "page.per_s": pages.count() / pages.elapsed,
        "page.cpu_ms_beside": own * 1000,
        "page.per_s_on_a_core": _over(1.0 - many * taking, own),
        "event.cpu_us": taking * 1e6,
        "machine.loop_ms": _spread(beats)["p50_ms"],
    }


@dataclass(frozen=True, slots=True)
class Spent:
    """What a stretch of pages cost the server, and how many events each had beside it."""

    cpu_a_page: float
    events_a_page: float


def _pressed(shop: Shop, events: float, seconds: float) -> tuple[Timed, Spent]:
    """As many pages as fit, beside so many events a second."""
    wires = shop.wires(2 * shop.options.workers)
    with _streaming(shop, events, "loaded") as sent:
        before = shop.cpu()
        found = drive(wires, lambda number: _pages(shop, 10 + number), seconds)
        spent, count = shop.cpu() - before, sent()
    return found, Spent(_over(spent, found.count()), _over(count, found.count()))


def _taken(shop: Shop, events: float, seconds: float) -> tuple[int, float]:
    """(events taken in without a page beside them, seconds of CPU each)."""
    with _streaming(shop, events, "alone") as sent:
        before = shop.cpu()
        time.sleep(seconds)
        spent, count = shop.cpu() - before, sent()
    return count, _over(spent, count)


@contextmanager
def _streaming(shop: Shop, per_second: float, name: str) -> Iterator[Callable[[], int]]:
    """Events at this rate meanwhile; yields how many were taken in so far."""
    stop, sent = threading.Event(), [0]
    stream = threading.Thread(target=_stream, args=(shop, per_second, 50, stop, name, sent))
    stream.start()
    try:
        yield lambda: sent[0]
    finally:
        stop.set()
        stream.join()


def _over(one: float, other: float) -> float:
    return one / other if other else float("nan")


def _overload(shop: Shop, seconds: float) -> dict[str, float]:
    """Twice as many callers as the queue takes, and none of them waits before asking again."""
    peak = drive(shop.wires(4 * shop.options.workers), lambda number: _pages(shop, 30 + number), seconds / 2)
    many = shop.wires(24 * shop.options.workers)
    good, refused, retry = Timed(), [], []
    lock, until = threading.Lock(), time.perf_counter() + seconds / 2

    def greedy(number: int) -> None:
        for kind, address, _ in _pages(shop, 60 + number):
            if time.perf_counter() > until:
                return
            status, body, took = many[number].ask("GET", address)
            with lock:
                if status == 200:
                    good.add(kind, took, body)
                else:
                    refused.append(took * 1000)
                    retry.append(status in (429, 503))
            if status != 200:
                time.sleep(0.02)  # asked again at once, refusals would be all that a Python client measures

    started = time.perf_counter()
    _together([threading.Thread(target=greedy, args=(number,)) for number in range(len(many))])
    elapsed = time.perf_counter() - started
    per_second = good.count() / elapsed
    return {
        "overload.peak_per_s": peak.count() / peak.elapsed,
        "overload.goodput_per_s": per_second,
        "overload.goodput_share": per_second / (peak.count() / peak.elapsed),
        "overload.offered": (good.count() + len(refused)) / max(1, good.count()),
        "overload.refusal_p50_ms": _spread(refused)["p50_ms"],
        "overload.refusal_p99_ms": _spread(refused)["p99_ms"],
        "overload.refused_well": float(np.mean(retry)) if retry else float("nan"),
    }


def _ingest(shop: Shop, seconds: float) -> dict[str, float]:
    batches = drive(shop.wires(4), lambda number: _batches(shop, f"bulk{number}", 500), seconds / 2)
    single = drive(shop.wires(1), lambda number: _batches(shop, f"one{number}", 1), seconds / 2)
    return {
        "ingest.events_per_s": batches.count() * 500 / batches.elapsed,
        "ingest.one_by_one_per_s": single.count() / single.elapsed,
        "ingest.failed": float(batches.failed + single.failed),
    }


def _clicks(shop: Shop, seen: Seen, stop: threading.Event) -> None:
    """New guests and known shoppers click once; the list is asked for until it knows."""
    wire = Connection(shop.port, shop.key)
    crowd, number = shop.crowd, 0
    while not stop.is_set():
        number += 1
        item, title = crowd.items[number % len(crowd.items)], crowd.titles[number % len(crowd.items)]
        who = {"session": f"bench-click-{number}"}
        if number % 4 == 3:
            who = {"user": crowd.users[number % len(crowd.users)]}
        place, address = _asked(("recent", "home", "search", "similar")[number % 4], who, item, title)
        before = _ids(wire.ask("GET", address)[1])
        event = {"id": f"click-{number}-{id(seen)}", "type": "purchase" if place == "search" else "view", "item": item}
        started = time.perf_counter()
        status, _, took = wire.ask("POST", "/v1/events", json.dumps([event | who]).encode())
        if status != 200:
            seen.lost += 1
            continue
        seen.acknowledged.append(took * 1000)
        for attempt in range(TRIES):
            after = _ids(wire.ask("GET", address)[1])
            if (after[:1] == [item]) if place == "recent" else after != before:
                seen.first += attempt == 0
                seen.total.setdefault(place, []).append((time.perf_counter() - started) * 1000)
                break
            if place in ("search", "similar") and attempt == 0:
                break  # the order of a list that words or neighbours decide may stand as it was: no case
        else:
            seen.lost += 1
    wire.close()


def _asked(place: str, who: dict[str, str], item: str, title: str) -> tuple[str, str]:
    """(list, address) that a click on the item should change."""
    if place == "search":
        words = " ".join((WORD.findall(title) or [title])[:2])
        return place, "/v1/search?" + urlencode({"q": words, "k": 100, **who})
    if place == "similar":
        return place, f"/v1/items/{quote(item, safe='')}/similar?" + urlencode({"k": 100, **who})
    return place, "/v1/recommend?" + urlencode({"place": place, "k": K, **who})


def _ids(page: bytes) -> list[str]:
    return [hit["id"] for hit in json.loads(page).get("hits", ())]


def _paced(shop: Shop, seconds: float) -> Timed:
    """So many pages a second, by independent shoppers; who is late does not catch up."""
    count = 4
    each = shop.options.pages / count
    return drive(
        shop.wires(count),
        lambda number: _coming(_pages(shop, number), each, np.random.default_rng((shop.options.seed, number))),
        seconds,
    )


def _coming(work: Work, per_second: float, rng: np.random.Generator) -> Work:
    """As shoppers come: each on his own, sometimes several at once (gaps of a Poisson process)."""
    due = time.perf_counter()
    for each in work:
        due = max(due + rng.exponential(1 / per_second), time.perf_counter())
        time.sleep(max(0.0, due - time.perf_counter()))
        yield each


def _pages(shop: Shop, number: int) -> Work:
    return ((kind, address, None) for kind, address in shop.crowd.asks(shop.options.seed * 1_000 + number))


def _batches(shop: Shop, name: str, size: int) -> Work:
    rng, number = np.random.default_rng(shop.options.seed), 0
    while True:
        number += 1
        yield "events", "/v1/events", shop.crowd.batch(rng, f"{name}-{number}-{id(rng)}", size)


def _stream(
    shop: Shop, per_second: float, size: int, stop: threading.Event, name: str, sent: list[int] | None = None
) -> None:
    """Events at a steady rate, in batches, as a shop's pages and tills send them; `sent` counts what was taken in."""
    if per_second <= 0:
        return
    wire, work = Connection(shop.port, shop.key), _batches(shop, name, size)
    due = time.perf_counter()
    for _, address, body in work:
        due += size / per_second
        if stop.wait(max(0.0, due - time.perf_counter())):
            break
        status, _, _ = wire.ask("POST", address, body)
        if sent is not None and status == 200:
            sent[0] += size
    wire.close()


def _together(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _latencies(timed: Timed) -> list[float]:
    return [each for values in timed.latency.values() for each in values]


def _spread(values: list[float]) -> dict[str, float]:
    if not values:
        return {"p50_ms": float("nan"), "p99_ms": float("nan")}
    return {"p50_ms": float(np.median(values)), "p99_ms": float(np.quantile(values, 0.99))}


def _tree(pid: int) -> list[int]:
    """The process and everything below it."""
    below: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            below += [int(child) for child in (task / "children").read_text().split()]
    except OSError:
        return [pid]
    return [pid, *(deeper for child in below for deeper in _tree(child))]


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
