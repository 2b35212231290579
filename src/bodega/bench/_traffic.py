"""Shoppers for a benchmark: what they would ask of a given shop, sent over keep-alive connections, timed one by one.

Items are drawn as often as the shop's own log names them, queries are one to three words of their titles, and shoppers
are people of that log who ask several times each, so that the server computes personalised lists. Latency is what the
client sees: from the first byte sent to the last byte read, Python's client included (about 0.2 ms). Not for: quality.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import numpy as np

from bodega.engine.shop import Shop
from bodega.errors import NotLearned

USERS = 200
"""Shoppers in the shop at the same time; each asks several times, and the first time is measured apart."""
ITEMS = 5_000
K = 20
TOOK = re.compile(rb'"took_ms":([0-9.eE+-]+)')
WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who may ask, about what."""

    users: tuple[str, ...]
    items: tuple[str, ...]
    titles: tuple[str, ...]

    @classmethod
    def of(cls, shop: Shop, seed: int) -> Crowd:
        """Drawn from the shop's catalog and the first part of its log. Raises NotLearned for an empty shop."""
        rng = np.random.default_rng(seed)
        on_sale = {item.id: item.title for item in shop.stores.catalog.scan() if item.title and item.available}
        rows = next(iter(shop.stores.events.scan(chunk=200_000)), None)
        users = sorted({user for user in rows.user if user}) if rows is not None else []
        touched = [item for item in rows.item if item in on_sale] if rows is not None else []
        if not touched or not users:
            raise NotLearned(
                "this shop has too little in it to be asked anything",
                where=str(shop.folder),
                allowed="items with titles and events with users",
                next="bodega demo, then bodega bench serve --shop demo-shop",
            )
        chosen = [touched[row] for row in rng.integers(len(touched), size=ITEMS)]
        return cls(
            tuple(users[row] for row in rng.permutation(len(users))[:USERS]),
            tuple(chosen),
            tuple(on_sale[item] for item in chosen),
        )

    def asks(self, seed: int) -> Iterator[tuple[str, str]]:
        """Endless (kind, address): 45 % search, 45 % recommend, 10 % similar."""
        rng = np.random.default_rng(seed)
        while True:
            user = self.users[rng.integers(len(self.users))]
            kind = ("search", "recommend", "similar")[int(np.searchsorted((0.45, 0.9), rng.random()))]
            row = int(rng.integers(len(self.items)))
            if kind == "search":
                words = WORD.findall(self.titles[row]) or [self.titles[row]]
                first = int(rng.integers(len(words)))
                query = " ".join(words[first : first + int(rng.integers(1, 4))])
                yield kind, "/v1/search?" + urlencode({"q": query, "user": user, "k": K})
            elif kind == "recommend":
                yield kind, "/v1/recommend?" + urlencode({"place": "home", "user": user, "k": K})
            else:
                yield kind, f"/v1/items/{quote(self.items[row], safe='')}/similar?" + urlencode({"user": user, "k": K})

    def first_visits(self) -> Iterator[tuple[str, str]]:
        """Every shopper's first request: the server has to read the history."""
        for user in self.users:
            yield "first_visit", "/v1/recommend?" + urlencode({"place": "home", "user": user, "k": K})

    def batch(self, rng: np.random.Generator, name: str, size: int) -> bytes:
        """A batch of new events as JSON."""
        rows = rng.integers(len(self.items), size=size)
        people = rng.integers(len(self.users), size=size)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        events = [
            {
                "id": f"{name}-{number}",
                "type": "view",
                "time": now,
                "user": self.users[person],
                "session": f"bench-{person}",
                "item": self.items[row],
            }
            for number, (row, person) in enumerate(zip(rows.tolist(), people.tolist(), strict=True))
        ]
        return json.dumps({"events": events}).encode()


@dataclass(slots=True)
class Timed:
    """Latencies in ms by kind, and the engine's own time where the page says it."""

    latency: dict[str, list[float]] = field(default_factory=dict)
    engine: dict[str, list[float]] = field(default_factory=dict)
    failed: int = 0
    elapsed: float = 0.0

    def count(self) -> int:
        return sum(map(len, self.latency.values()))

    def add(self, kind: str, seconds: float, body: bytes) -> None:
        self.latency.setdefault(kind, []).append(seconds * 1000)
        took = TOOK.search(body, max(0, len(body) - 200))
        if took:
            self.engine.setdefault(kind, []).append(float(took[1]))


class Connection:
    """One keep-alive connection with a key."""

    def __init__(self, port: int, key: str) -> None:
        self._wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, method: str, address: str, body: bytes | None = None) -> tuple[int, bytes, float]:
        """(status, body, seconds)."""
        started = time.perf_counter()
        self._wire.request(method, address, body=body, headers=self._headers)
        answer = self._wire.getresponse()
        data = answer.read()
        return answer.status, data, time.perf_counter() - started

    def close(self) -> None:
        self._wire.close()


def drive(
    connections: Sequence[Connection], work: Callable[[int], Iterator[tuple[str, str, bytes | None]]], seconds: float
) -> Timed:
    """Each connection sends its own work, one request after the other, for so many seconds."""
    timed, lock = Timed(), threading.Lock()
    until = time.perf_counter() + seconds

    def one(number: int) -> None:
        mine, asks = Timed(), work(number)
        for kind, address, body in asks:
            if time.perf_counter() > until:
                break
            status, data, took = connections[number].ask("GET" if body is None else "POST", address, body)
            if status == 200:
                mine.add(kind, took, data)
            else:
                mine.failed += 1
        with lock:
            for ours, theirs in ((timed.latency, mine.latency), (timed.engine, mine.engine)):
                for kind, values in theirs.items():
                    ours.setdefault(kind, []).extend(values)
            timed.failed += mine.failed

    started = time.perf_counter()
    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(connections))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    timed.elapsed = time.perf_counter() - started
    return timed
