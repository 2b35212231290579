"""A shopper walks through the running shop over HTTP, and every answer is checked.

The server runs in a process of its own, exactly as `bodega serve` starts it; this file is an ordinary client with an
API key. Not for: load (see `bodega bench serve`).
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bodega.demo.build import Built, peak_gb
from bodega.wiring import open_shop

SESSION = "demo-check-visitor"
MINUTES_ALLOWED = 3.0
GB_ALLOWED = 2.5


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    passed: bool
    milliseconds: float
    detail: str = ""


@dataclass(slots=True)
class Journey:
    """What was done and what came of it."""

    steps: list[Step] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return bool(self.steps) and all(step.passed for step in self.steps)


@dataclass(frozen=True, slots=True)
class Client:
    """One API key on one address."""

    base: str
    key: str

    def get(self, path: str, **query: object) -> Any:
        return self._send("GET", f"{path}?{urllib.parse.urlencode(query, doseq=True)}", None)

    def post(self, path: str, body: object) -> Any:
        return self._send("POST", path, json.dumps(body).encode())

    def _send(self, method: str, path: str, body: bytes | None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.base + path, body, headers, method=method)  # noqa: S310 - loopback only
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.loads(answer.read())


def check_shop(folder: Path, built: Built) -> Journey:
    """Start the server, walk, stop."""
    with open_shop(folder, create=False) as shop:
        key = shop.keys.create("demo-check", ("search", "events"))
    port = _free_port()
    server = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "bodega", "serve", "--shop", str(folder), "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    journey = Journey()
    try:
        client = Client(f"http://127.0.0.1:{port}", key)
        started = time.perf_counter()
        _wait_ready(client, server)
        journey.figures["start_seconds"] = time.perf_counter() - started
        _walk(client, journey)
    finally:
        server.terminate()
        server.wait(20)
    _figures(journey, built)
    return journey


def _walk(client: Client, journey: Journey) -> None:
    """Home, search, click, home again, product page, basket."""
    home = _step(journey, "home, unknown guest", lambda: client.get("/v1/recommend", session=SESSION, k=12), _listed)
    found = _step(
        journey, "search 'chocolate milk'", lambda: client.get("/v1/search", q="chocolate milk", k=12), _found
    )
    _step(journey, "search with a typo", lambda: client.get("/v1/search", q="choclate mlik", k=12), _found)
    if not found:
        return
    clicked = found["hits"][0]["id"]
    click = {"type": "click", "item": clicked, "session": SESSION, "place": "search", "query": "chocolate milk"}
    _step(
        journey, "click", lambda: client.post("/v1/events", {"events": [click]}), lambda a: (True, json.dumps(a)[:80])
    )
    again = lambda: client.get("/v1/recommend", session=SESSION, k=12)  # noqa: E731
    _step(journey, "home again: the click changed it", again, lambda page: _changed(home, page))
    _step(journey, "similar", lambda: client.get(f"/v1/items/{clicked}/similar", k=8), _listed)
    _step(journey, "bought together", lambda: client.get(f"/v1/items/{clicked}/together", k=8), _listed)
    basket = lambda: client.post("/v1/recommend", {"place": "basket", "items": [clicked], "session": SESSION})  # noqa: E731
    _step(journey, "complete the basket", basket, _listed)
    _step(journey, "why: every hit has reasons in words", again, _explained)
    _step(journey, "unknown item: still a list", lambda: client.get("/v1/items/no-such-item/similar", k=8), _listed)


Check = Callable[[Any], tuple[bool, str]]


def _step(journey: Journey, name: str, ask: Callable[[], Any], check: Check) -> Any:
    started = time.perf_counter()
    try:
        answer = ask()
        took = (time.perf_counter() - started) * 1000
        passed, detail = check(answer)
    except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
        answer, took = None, (time.perf_counter() - started) * 1000
        passed, detail = False, f"{type(error).__name__}: {error}"
    journey.steps.append(Step(name, passed, took, detail))
    return answer


def _listed(page: Any) -> tuple[bool, str]:
    titles = [hit["document"].get("title", "") for hit in page["hits"][:3]]
    good = len(page["hits"]) >= 4 and "degraded" in page
    return good, f"{len(page['hits'])} items: {', '.join(titles)}"


def _found(page: Any) -> tuple[bool, str]:
    titles = [hit["document"]["title"].lower() for hit in page["hits"]]
    good = [title for title in titles if "milk" in title or "choc" in title]
    return bool(titles) and len(good) >= len(titles) / 2, f"{page['total']} matches: {', '.join(titles[:3])}"


def _changed(before: Any, after: Any) -> tuple[bool, str]:
    old, new = ([hit["id"] for hit in page["hits"]] for page in (before, after))
    fresh = [hit["document"].get("title", "") for hit in after["hits"] if hit["id"] not in old]
    return old != new and bool(fresh), f"{len(fresh)} new: {', '.join(fresh[:3])}"


def _explained(page: Any) -> tuple[bool, str]:
    texts = [hit["why"][0]["text"] for hit in page["hits"] if hit["why"]]
    personal = [text for text in texts if "Popular" not in text]
    return len(texts) == len(page["hits"]) and bool(personal), personal[0] if personal else ""


def _figures(journey: Journey, built: Built) -> None:
    journey.figures["import_and_learn_seconds"] = built.seconds
    journey.figures["peak_gb"] = max(built.peak_gb, peak_gb())
    total = built.seconds + journey.figures.get("start_seconds", 0.0)
    limits = total <= MINUTES_ALLOWED * 60 and journey.figures["peak_gb"] <= GB_ALLOWED
    detail = f"{total:.0f} s of {MINUTES_ALLOWED * 60:.0f}, {journey.figures['peak_gb']:.2f} GB of {GB_ALLOWED}"
    journey.steps.append(Step("import to first answer within its limits", limits, total * 1000, detail))


def _wait_ready(client: Client, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if server.poll() is not None:
            assert server.stderr is not None
            raise RuntimeError(f"the server stopped: {server.stderr.read().decode()[-2000:]}")
        try:
            client.get("/readyz")
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError("the server was not ready within 60 s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
