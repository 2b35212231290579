"""Several processes serve one shop: what one took in the others know, one that dies is replaced, nothing is lost."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import bodega
from bodega.service.server import free_port
from bodega.testing.world import WorldSpec, make_world

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")

PATIENCE = 120.0
UNLIMITED = {
    "BODEGA_SERVE_REQUESTS_PER_SECOND": "1000000000",
    "BODEGA_SERVE_BURST": "1000000000",
    "BODEGA_SERVE_SHOPPER_PER_SECOND": "0",
}


@dataclass
class Team:
    """A running server with three workers."""

    process: subprocess.Popen[bytes]
    port: int
    key: str
    items: list[str]
    folder: Path
    log: Path

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, dict]:
        """Each time on a new connection, so that any worker may answer."""
        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            wire.request(method, path, None if body is None else json.dumps(body), headers)
            answer = wire.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            wire.close()

    def workers(self) -> list[int]:
        return [pid for nursery in children(self.process.pid) for pid in children(nursery)]


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def wait_until(what: Callable[[], bool], team_log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < until, team_log.read_text()[-3_000:]
        time.sleep(0.1)


@pytest.fixture(scope="module")
def team(tmp_path_factory, quick) -> Iterator[Team]:
    if not Path("/proc/self/task").is_dir():
        pytest.skip("needs /proc to see who is whose child")
    folder = quick(tmp_path_factory.mktemp("team") / "shop")
    world = make_world(WorldSpec(n_items=60, n_shoppers=30, days=30))
    with bodega.open(folder) as shop:
        shop.catalog.upsert(world.items)
        shop.events.record(world.events)
        assert shop.learn().published
        key = shop.keys.create("team", ["search", "events", "admin"])
    log, port = folder / "serve.log", free_port()
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "bodega", "serve", "--shop", str(folder), "--port", str(port)]
        process = subprocess.Popen(
            [*command, "--workers", "3"],
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **UNLIMITED},
        )
    made = Team(process, port, key, [item.id for item in world.items if item.available], folder, log)
    try:
        wait_until(lambda: process.poll() is not None or b"with 3 processes" in log.read_bytes(), log)
        assert process.poll() is None, log.read_text()[-3_000:]
        yield made
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=PATIENCE)
        if process.poll() is None:
            process.kill()
            process.wait()


def stale(team: Team, name: str, rounds: int) -> int:
    """How many lists after an acknowledged click did not begin with what was clicked."""
    count = 0
    for number in range(rounds):
        guest, item = f"{name}-{number}", team.items[number % len(team.items)]
        recent = f"/v1/recommend?place=recent&session={guest}&k=5"
        for _ in range(3):  # every worker has read this guest, and holds that nothing is known
            team.ask("GET", recent)
        status, told = team.ask("POST", "/v1/events", [{"id": guest, "type": "view", "item": item, "session": guest}])
        assert status == 200, told
        for _ in range(4):
            status, page = team.ask("GET", recent)
            assert status == 200, page
            count += [hit["id"] for hit in page["hits"]][:1] != [item]
    return count


def test_a_click_taken_in_by_one_worker_is_in_the_next_answer_of_any(team):
    assert len(team.workers()) == 3
    assert stale(team, "click", 25) == 0


def test_an_item_changed_by_one_worker_is_changed_for_all(team):
    item = {"id": "fresh-1", "title": "Zanzibar lantern", "price": 5.0}
    assert team.ask("POST", "/v1/items", [item])[0] == 200
    for _ in range(9):
        status, page = team.ask("GET", "/v1/search?q=zanzibar+lantern&k=3")
        assert status == 200
        assert [hit["id"] for hit in page["hits"]][:1] == ["fresh-1"]


def test_a_worker_that_dies_is_replaced_and_no_request_is_refused(team):
    before = team.workers()
    os.kill(before[0], signal.SIGKILL)
    answered = 0

    def replaced() -> bool:
        nonlocal answered
        with contextlib.suppress(ConnectionResetError, http.client.RemoteDisconnected):  # it was that worker's request
            answered += team.ask("GET", "/v1/recommend?place=popular&k=3")[0] == 200
        return len(team.workers()) == 3 and before[0] not in team.workers()

    wait_until(replaced, team.log)
    assert answered
    assert stale(team, "after-death", 5) == 0


def test_a_hang_up_renews_all_without_a_refused_request_and_loses_nothing(team):
    before, failed, acknowledged = set(team.workers()), [], []
    team.process.send_signal(signal.SIGHUP)

    def renewed() -> bool:
        name = f"renew-{len(acknowledged)}"
        event = {"id": name, "type": "view", "item": team.items[0], "session": name}
        try:
            status, _ = team.ask("POST", "/v1/events", [event])
        except OSError as error:
            failed.append(error)
        else:
            assert status == 200
            acknowledged.append(name)
        now = set(team.workers())
        return len(now) == 3 and not now & before

    wait_until(renewed, team.log)
    assert not failed
    with bodega.open(team.folder) as shop:
        for name in acknowledged[:: max(1, len(acknowledged) // 20)]:
            assert shop.stores.events.recent(user="", session=name, limit=1), f"{name} was acknowledged and is lost"


def test_memory_is_shared(team):
    """Libraries and dictionaries of four processes are not four times the memory: what was loaded before is one."""

    def own(pid: int) -> float:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith("Pss:")))

    nursery = children(team.process.pid)[0]
    whole = own(team.process.pid) + own(nursery) + sum(map(own, team.workers()))
    resident = next(
        float(line.split()[1])
        for line in Path(f"/proc/{team.workers()[0]}/smaps_rollup").read_text().splitlines()
        if line.startswith("Rss:")
    )
    assert whole < 0.85 * 4 * resident, (whole, resident)


def test_a_stop_ends_everybody_gracefully(team):
    everybody = [team.process.pid, *children(team.process.pid), *team.workers()]
    team.process.terminate()
    assert team.process.wait(timeout=PATIENCE) == 0, team.log.read_text()[-3_000:]
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in everybody[1:]), team.log)
    assert not (team.folder / ".news").exists()
    text = team.log.read_text()
    assert team.key not in text
    assert "Traceback" not in text, text[-3_000:]
