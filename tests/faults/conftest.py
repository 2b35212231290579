"""What the fault tests share: the checker behind the crash tests, and shops in processes that may be hurt.

The checker asks: is the acknowledged there, once, and no batch there in part?
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bodega.adapters.sql import SqlStore
from bodega.schema import Event, Item
from bodega.testing.world import WorldSpec, make_world

Verdict = Callable[[SqlStore, Iterable[str], int], "Damage"]


@dataclass(frozen=True)
class Damage:
    """What the checker found wrong; all zero means the promise was kept."""

    lost: int
    """Acknowledged batches that are not there whole."""
    doubled: int
    torn: int
    """Batches, acknowledged or not, that are there in part."""

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.torn)


@pytest.fixture(scope="session")
def verdict() -> Verdict:
    """verdict(store, acknowledged batches, rows a batch); an event's item is `<batch>:<row>`."""

    def judge(store: SqlStore, acknowledged: Iterable[str], size: int) -> Damage:
        items = Counter(item for chunk in store.events.scan() for item in chunk.item)
        batches = Counter(item.rpartition(":")[0] for item in items)
        return Damage(
            lost=sum(batches[batch] != size for batch in set(acknowledged)),
            doubled=sum(count > 1 for count in items.values()),
            torn=sum(count != size for count in batches.values()),
        )

    return judge


# -- shops in processes of their own --------------------------------------------------------------------------------


@dataclass
class Served:
    """A server of a shop in a process of its own."""

    nursery: Nursery
    pid: int
    folder: Path
    url: str = ""
    ended: int | None = None
    """The signal that killed it, or minus its exit status; None while it runs."""

    def call(
        self, method: str, path: str, body: object = None, *, key: str = "", wait: float = 30.0
    ) -> tuple[int, dict[str, Any]]:
        """(status, JSON). Raises OSError or HTTPException where the server goes away meanwhile."""
        host = self.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=wait)
        try:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            raw = answer.read()
            return answer.status, json.loads(raw) if raw[:1] in (b"{", b"[") else {}
        finally:
            connection.close()

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.end()

    def stop(self) -> None:
        """Ask it to stop; kill it where it does not."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        self.end()

    def end(self) -> int:
        if self.ended is None:
            self.ended = self.nursery.told({"do": "wait", "pid": self.pid})
        return self.ended


class Nursery:
    """The warm parent of `shop_child.py`."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        script = Path(__file__).with_name("shop_child.py")
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **(environment or {})},
        )
        self._lock = threading.Lock()
        self.servers: list[Served] = []

    def told(self, order: dict[str, Any]) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self._lock:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            return int(self.process.stdout.readline())

    def serve(self, folder: Path, *, points: str = "", started: bool = True, reload: str = "yes") -> Served:
        """Start a server; `started=False` does not wait until it answers."""
        address = folder / ".address"
        address.unlink(missing_ok=True)
        order = {"do": "serve", "folder": str(folder), "url": str(address), "points": points, "reload": reload}
        server = Served(self, self.told({**order, "log": str(folder / ".log")}), folder)
        self.servers.append(server)
        if started and not self.awaited(server):
            raise AssertionError(f"the server did not start: {(folder / '.log').read_text()[-2000:]}")
        return server

    def awaited(self, server: Served, seconds: float = 60.0) -> bool:
        """Wait for its address; False where it ended before."""
        address, deadline = server.folder / ".address", time.monotonic() + seconds
        while time.monotonic() < deadline:
            if address.exists():
                server.url = address.read_text()
                return True
            if _gone(server.pid):
                return False
            time.sleep(0.002)
        return False

    def run(self, scenario: str, folder: Path, *, points: str = "") -> tuple[int, dict[str, Any]]:
        """(how it ended, what it wrote; {} where it was killed before)."""
        result = folder / ".result.json"
        result.unlink(missing_ok=True)
        order = {"do": "run", "scenario": scenario, "folder": str(folder), "result": str(result), "points": points}
        ended = self.told({**order, "log": str(folder / ".log")})
        return ended, json.loads(result.read_text()) if result.exists() else {}

    def close(self) -> None:
        for server in self.servers:
            if server.ended is None:
                server.kill()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()


def _gone(pid: int) -> bool:
    """Has this child of the nursery ended (a zombie until it is waited for)?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture(scope="session")
def shops() -> Iterator[Nursery]:
    """Servers and scenarios in processes of their own."""
    nursery = Nursery()
    yield nursery
    nursery.close()


@dataclass(frozen=True)
class Base:
    """A small shop that has learned, to be copied; `key` opens everything."""

    folder: Path
    key: str
    items: list[Item]
    events: list[Event]

    def copy(self, to: Path) -> Path:
        shutil.copytree(self.folder, to)
        return to


SETTINGS = """[learn]
evaluated_users = 20
taught_cases = 0
[understand]
teacher = "none"
[serve]
requests_per_second = 100000.0
burst = 100000
shopper_per_second = 0
"""


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """Learned three times: there are snapshots to fall back to, and the next one lets the oldest go."""
    import bodega

    folder = tmp_path_factory.mktemp("base") / "shop"
    folder.mkdir()
    (folder / "bodega.toml").write_text(SETTINGS)
    world = make_world(WorldSpec(n_items=60, n_shoppers=30, days=30))
    with bodega.open(folder) as shop:
        key = shop.keys.create("faults", ("search", "events", "admin"))
        shop.catalog.upsert(world.items)
        third = len(world.events) // 3
        for part in range(3):
            shop.events.record(world.events[part * third : (part + 1) * third])
            assert shop.learn().published
        assert len(shop.snapshots()) == 3
    return Base(folder, key, list(world.items), list(world.events))


# -- a model server ---------------------------------------------------------------------------------------------------


class _Model(BaseHTTPRequestHandler):
    """As much of the OpenAI protocol as we ask: embeddings (of the letters) and one chat answer."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        told: dict[str, Any]
        if self.path.endswith("/embeddings"):
            texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
            data = [{"object": "embedding", "index": n, "embedding": _letters(text)} for n, text in enumerate(texts)]
            told = {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        else:
            message = {"role": "assistant", "content": '{"queries": ["shoes", "boots"]}'}
            choices = [{"index": 0, "finish_reason": "stop", "message": message}]
            told = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has there
        del format, args


def _letters(text: str) -> list[float]:
    found = [float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]
    return [0.1, *found]


@pytest.fixture(scope="session")
def model_server() -> Iterator[str]:
    """Base URL of a model server on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


# -- the table of promises -------------------------------------------------------------------------------------------

WHOLE_FILES = {
    "test_failpoints.py": ("R3", "faults x points that left the shop whole", ">= 25 points x 6 faults, all"),
    "test_ladder.py": ("R6", "broken sources and stages x places answered, rung named", "all"),
    "test_dead_dependencies.py": ("R7", "dead dependencies that shoppers did not notice", "all 42"),
}
"""{file: (promise, what its tests count, target)}: one line of the table for all of its tests."""


@pytest.fixture
def promise(request: pytest.FixtureRequest) -> Callable[[str, str, str], None]:
    """promise(id, figure, target): a line of the table that `make faults` prints; kept when the test passes."""

    def keep(name: str, figure: str, target: str) -> None:
        request.node.user_properties.append(("promise", (name, figure, target)))

    return keep


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The promises that were tested: id, figure, target, ok."""
    lines: list[tuple[str, str, str, str]] = []
    whole: dict[str, list[bool]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            if getattr(report, "when", "") != "call":
                continue
            ok = outcome == "passed"
            for name, told in report.user_properties:
                if name == "promise":
                    lines.append((*told, "yes" if ok else "NO"))
            whole.setdefault(report.nodeid.partition("::")[0].rpartition("/")[2], []).append(ok)
    for file, (name, what, target) in WHOLE_FILES.items():
        if whole.get(file):
            kept = whole[file]
            lines.append((name, f"{sum(kept):,} of {len(kept):,} {what}", target, "yes" if all(kept) else "NO"))
    if not lines:
        return
    terminalreporter.section("promises (docs/reliability.md)")
    width = max(len(figure) for _, figure, _, _ in lines)
    aim = max(len(target) for _, _, target, _ in lines)
    for name, figure, target, ok in sorted(lines):
        terminalreporter.write_line(f"{name:4} {figure:{width}}  {target:{aim}}  {ok}")
