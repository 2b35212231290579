"""R3: faults anywhere. Every point that `failpoints.NAMES` lists is made to fail, in every way that fits it.

After each fault the same questions: is what was acknowledged there, once? Is what is served whole? Does it work again
by itself once the fault is gone? The table `CELLS` says how each point is reached; a point that is missing there, or
that no code reaches, is a failing test.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import signal
import subprocess
import sys
import time
import timeit
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bodega import failpoints
from bodega.adapters.sql import SqlStore
from bodega.errors import BodegaError, StoreError
from bodega.protocols import EncoderInfo
from bodega.schema import Event, EventType
from bodega.understanding.text.cached import encode_all

ROOT = Path(__file__).parents[2]
START = datetime(2026, 1, 1, tzinfo=UTC)
FAULTS = ("kill", "exit", "enospc", "eio", "raise", "delay(0.05)")
WITH_FILE = (*FAULTS, "short", "garbage")
WITH_ANSWER = (*FAULTS, "garbage")

WRITES = (
    "store.begin",
    "store.commit",
    "store.committed",
    "events.group",
    "events.acknowledge",
    "events.observe",
    "intake.submit",
    "intake.answer",
    "letters.put",
    "catalog.changed",
    "catalog.restock",
)
READS = {
    "store.read": FAULTS,
    "history.read": FAULTS,
    "keys.find": FAULTS,
    "rules.read": FAULTS,
    "answer.retrieve": WITH_ANSWER,
    "answer.score": WITH_ANSWER,
    "answer.rank": WITH_ANSWER,
    "answer.understand": FAULTS,
    "answer.explain": FAULTS,
    "answer.page": FAULTS,
    "suggest.complete": FAULTS,
}
LEARNS = {
    "learn.read": FAULTS,
    "learn.fit": FAULTS,
    "learn.weigh": FAULTS,
    "snapshot.write": WITH_FILE,
    "snapshot.manifest": WITH_FILE,
    "snapshot.publish": FAULTS,
    "snapshot.published": FAULTS,
    "snapshot.point": WITH_FILE,
    "snapshot.prune": FAULTS,
}
OPENS = {"snapshot.open": WITH_FILE, "snapshot.file": WITH_FILE, "shop.reload": FAULTS}
OTHERS = {
    "store.migrate": ("summarise", FAULTS),
    "analytics.refresh": ("summarise", FAULTS),
    "feeds.open": ("import_file", FAULTS),
}
KEPT = {"erasure.buried": "forget", "erasure.rows": "forget", "backup.copied": "back_up", "restore.copied": "restore"}
STREAMS = ("stream.polled", "stream.stored")
IN_PROCESS = ("state.ask", "ring.tell", "vectors.append", "encoder.query", "encoder.batch", "llm.ask")
ELSEWHERE: dict[str, str] = {"pictures.append": "tests/unit/test_picture_book.py"}
"""Points of parts whose own fault tests reach them: {point: file}."""


def placed() -> dict[str, int]:
    """{point: lines of code that reach it}."""
    found: dict[str, int] = {}
    for path in sorted((ROOT / "src" / "bodega").rglob("*.py")):
        if path.name == "failpoints.py":
            continue
        for call in re.findall(r"failpoints\.reach\(([^)]*)\)", path.read_text("utf-8")):
            for name in re.findall(r'"([a-z_.]+)"', call):
                found[name] = found.get(name, 0) + 1
    return found


def test_every_listed_point_is_in_the_code_and_in_the_tests() -> None:
    assert len(failpoints.NAMES) >= 25
    assert set(placed()) == set(failpoints.NAMES)
    tested = {*WRITES, *READS, *LEARNS, *OPENS, *OTHERS, *KEPT, *STREAMS, *IN_PROCESS, *ELSEWHERE}
    assert tested == set(failpoints.NAMES)
    for name, file in ELSEWHERE.items():
        assert name in (ROOT / file).read_text("utf-8"), f"{file} does not reach {name}"


def test_off_it_costs_one_look() -> None:
    """<= 50 ns, the least of many runs (on a machine where an empty statement takes 5), and nothing behind the look."""
    looks = timeit.Timer("if failpoints.ON:\n    failpoints.reach('store.commit')", globals={"failpoints": failpoints})
    plain = timeit.Timer("if thing.name:\n    pass", globals={"thing": type("Thing", (), {"name": False})})
    seconds, least = (min(timer.repeat(20, 20_000)) / 20_000 for timer in (looks, plain))
    assert failpoints.ON is False
    assert seconds <= max(50e-9, 3 * least), f"{seconds * 1e9:.0f} ns, an attribute of a class {least * 1e9:.0f}"


def test_without_the_variable_nothing_fires() -> None:
    code = (
        "from bodega import failpoints\nassert failpoints.ON is False\n"
        "try:\n    failpoints.arm('store.commit=kill')\nexcept failpoints.BadFailpoints as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "without BODEGA_FAILPOINTS" in done.stdout


@pytest.mark.parametrize("words", ["nowhere=kill", "store.commit=burn", "store.commit", "store.commit=kill@x"])
def test_unknown_words_are_refused(words: str) -> None:
    with pytest.raises(failpoints.BadFailpoints):
        failpoints.parsed(words)


@pytest.fixture
def armed(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(failpoints, "ON", True)
    monkeypatch.setattr(failpoints, "_board", failpoints._Board("watch"))
    return failpoints.arm


def test_when_a_point_fires(armed: Any) -> None:
    def fired() -> bool:
        try:
            failpoints.reach("store.read")
        except failpoints.Injected:
            return True
        return False

    armed("store.read=raise@2")
    assert [fired() for _ in range(4)] == [False, True, False, False]
    armed("store.read=raise@3+")
    assert [fired() for _ in range(4)] == [False, False, True, True]
    armed("store.read=raise, store.begin=eio")
    assert fired()
    with pytest.raises(OSError, match=r"store[.]begin"):
        failpoints.reach("store.begin")
    with pytest.raises(KeyError):
        failpoints.reach("no.such.point")


def test_a_file_arms_a_running_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = tmp_path / "points"
    monkeypatch.setattr(failpoints, "ON", True)
    monkeypatch.setattr(failpoints, "_board", failpoints._Board(f"file:{said}"))
    failpoints.reach("store.read")
    said.write_text("store.read=raise")
    with pytest.raises(failpoints.Injected):
        failpoints.reach("store.read")
    said.unlink()
    failpoints.reach("store.read")


def test_files_are_cut_and_turned_over(armed: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(100))
    armed("snapshot.write=garbage")
    failpoints.reach("snapshot.write", file)
    assert file.read_bytes() != bytes(100)
    armed("snapshot.write=short")
    with pytest.raises(OSError, match="No space left"):
        failpoints.reach("snapshot.write", file)
    assert file.stat().st_size == 50


# -- writes over HTTP ------------------------------------------------------------------------------------------------


class Client:
    """Sends batches until they are acknowledged, as a shop's own code would; remembers what was promised."""

    def __init__(self, base: Any) -> None:
        self.key = base.key
        self.items = [item.id for item in base.items]
        self.number = 0
        self.promised: dict[str, str] = {}
        """{event id: item} of what was acknowledged."""
        self.catalog: dict[str, str] = {}
        """{item id: title} of what was acknowledged."""
        self.statuses: list[int] = []

    def batch(self) -> list[dict[str, Any]]:
        self.number += 1
        return [
            {
                "id": f"e{self.number}-{row}",
                "type": "view",
                "time": (START + timedelta(seconds=self.number, microseconds=row)).isoformat(),
                "session": f"s{self.number}",
                "item": self.items[(self.number + row) % len(self.items)],
            }
            for row in range(5)
        ]

    def events(self, server: Any, batch: list[dict[str, Any]], *, bad: bool = False) -> bool:
        """Was the batch acknowledged?"""
        rows = [*batch, {"type": "no such type", "session": "x"}] if bad else batch
        status, _ = server.call("POST", "/v1/events", {"events": rows}, key=self.key)
        self.statuses.append(status)
        if status == 200:
            self.promised |= {row["id"]: row["item"] for row in batch}
        return bool(status == 200)

    def item(self, server: Any, number: int) -> bool:
        item = {"id": f"new-{number}", "title": f"Fresh thing {number}"}
        status, _ = server.call("POST", "/v1/items", {"items": [item]}, key=self.key)
        self.statuses.append(status)
        if status == 200:
            self.catalog[item["id"]] = item["title"]
        return bool(status == 200)


def kept(folder: Path, client: Client) -> list[str]:
    """What of the promises is broken; [] is as it should be."""
    with SqlStore.open(f"sqlite:///{folder}/shop.db") as store:
        found: dict[str, list[str]] = {}
        for session in {f"s{name[1:].partition('-')[0]}" for name in client.promised}:
            for event in store.events.recent(user="", session=session, limit=1_000):
                found.setdefault(event.id, []).append(event.item)
        wrong = [f"{name} lost or doubled" for name, item in client.promised.items() if found.get(name) != [item]]
        items = store.catalog.get(list(client.catalog))
        wrong += [
            f"{name} lost" for name, title in client.catalog.items() if getattr(items.get(name), "title", "") != title
        ]
    return wrong


def lists_of(server: Any, base: Any) -> list[str]:
    """What is wrong with the lists that a shopper sees; [] is as it should be."""
    title = base.items[0].title.replace(" ", "+")
    wrong = []
    for path, what in (
        (f"/v1/search?q={title}&user=u0001", "hits"),
        ("/v1/recommend?place=home&user=u0002&session=new", "hits"),
        (f"/v1/items/{base.items[3].id}/similar", "hits"),
        (f"/v1/suggest?q={title[:3]}&user=u0003", "suggestions"),
    ):
        status, told = server.call("GET", path, key=base.key)
        if status != 200 or not told.get(what):
            wrong.append(f"{path}: {status} {str(told)[:200]}")
    return wrong


def until(what: str, check: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def running(shops: Any, base: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One server for all faults that leave it alive; `points(text)` arms it."""
    folder = base.copy(tmp_path_factory.mktemp("running") / "shop")
    said = folder / ".points"
    said.write_text("")
    server = shops.serve(folder, points=f"file:{said}")

    def points(text: str) -> None:
        fresh = said.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(said)

    server.points = points
    assert not lists_of(server, base)
    yield server
    server.stop()


@pytest.mark.faults
@pytest.mark.parametrize("action", [each for each in FAULTS if each not in ("kill", "exit")])
@pytest.mark.parametrize("point", WRITES)
def test_a_write_that_fails_is_not_acknowledged_and_works_again(
    running: Any, base: Any, point: str, action: str
) -> None:
    client = Client(base)
    client.number = random.Random(point + action).randrange(10**5) * 10
    running.points(f"{point}={action}")
    waiting = [client.batch() for _ in range(3)]
    left = [batch for number, batch in enumerate(waiting) if not client.events(running, batch, bad=number == 2)]
    client.item(running, client.number)
    assert not lists_of(running, base)
    if action == "enospc" and point in ("store.begin", "store.commit", "store.committed"):
        assert client.statuses == [507] * 4, "a full disk answers 507"
    if not action.startswith("delay"):
        refused = [status for status in client.statuses if status != 200]
        assert set(refused) <= {500, 503, 507}, refused
        assert refused or point in ("events.observe", "catalog.restock", "catalog.changed", "letters.put")
    running.points("")
    until("batches are taken again", lambda: all(client.events(running, batch) for batch in left), 15)
    assert client.item(running, client.number)
    assert not kept(running.folder, client)
    until("lists are whole again", lambda: not lists_of(running, base), 10)


@pytest.mark.faults
@pytest.mark.parametrize("action", ["kill", "exit"])
@pytest.mark.parametrize("point", WRITES)
def test_a_write_during_which_the_process_dies(shops: Any, base: Any, tmp_path: Path, point: str, action: str) -> None:
    folder = base.copy(tmp_path / "shop")
    client = Client(base)
    said = folder / ".points"
    server = shops.serve(folder, points=f"file:{said}")
    assert not lists_of(server, base)
    said.write_text(f"{point}={action}@{1 if point in ('letters.put', 'catalog.restock') else 2}")
    unheard: list[list[dict[str, Any]]] = []
    try:
        for number in range(8):
            batch = client.batch()
            unheard.append(batch)
            if client.events(server, batch, bad=True):
                unheard.pop()
            client.item(server, number)
    except (OSError, http.client.HTTPException):
        pass
    assert server.end() == (signal.SIGKILL if action == "kill" else -3), "the point was never reached"
    again = shops.serve(folder)
    assert not kept(folder, client)
    assert all(client.events(again, batch) for batch in unheard)
    assert client.item(again, 100)
    assert not kept(folder, client)
    assert not lists_of(again, base)
    again.stop()


# -- reads over HTTP -------------------------------------------------------------------------------------------------


def whole(server: Any, base: Any) -> bool:
    """Do lists come without a rung named?"""
    title = base.items[0].title.replace(" ", "+")
    pages = [
        server.call("GET", path, key=base.key)[1]
        for path in (f"/v1/search?q={title}&user=u0001", "/v1/recommend?place=home&user=u0002")
    ]
    return not any("left out" in note or "rungs above" in note for page in pages for note in page["degraded"])


@pytest.mark.faults
@pytest.mark.parametrize(
    ("point", "action"),
    [(point, action) for point, actions in READS.items() for action in actions if action not in ("kill", "exit")],
)
def test_a_read_that_fails_still_gives_lists(running: Any, base: Any, point: str, action: str) -> None:
    until("the last fault is over", lambda: whole(running, base), 15)
    running.points(f"{point}={action}")
    for _ in range(5):
        assert not lists_of(running, base)
    running.points("")
    started = time.monotonic()
    until("heals within ten seconds", lambda: whole(running, base), 10)
    assert time.monotonic() - started < 10


@pytest.mark.faults
@pytest.mark.parametrize("action", ["kill", "exit"])
@pytest.mark.parametrize("point", READS)
def test_a_read_during_which_the_process_dies(shops: Any, base: Any, tmp_path: Path, point: str, action: str) -> None:
    folder = base.copy(tmp_path / "shop")
    server = shops.serve(folder, points=f"{point}={action}", started=False)
    try:
        if shops.awaited(server):
            lists_of(server, base)
    except (OSError, http.client.HTTPException):
        pass
    assert server.end() == (signal.SIGKILL if action == "kill" else -3), "the point was never reached"
    again = shops.serve(folder)
    assert not lists_of(again, base)
    again.stop()


# -- learning, publishing, opening -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def newer(shops: Any, base: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, list[str]]:
    """(a shop with events that it has not learned, the snapshot that learning them gives, those it has)."""
    folder = base.copy(tmp_path_factory.mktemp("newer") / "shop")
    with SqlStore.open(f"sqlite:///{folder}/shop.db") as store:
        last = base.events[-1].time
        store.events.append([
            Event(type=EventType.VIEW, time=last + timedelta(hours=n), user=f"n{n}", item=base.items[n].id)
            for n in range(20)
        ])  # fmt: skip
    known = [each["id"] for each in json.loads((folder / "snapshots" / "CURRENT").read_text())["history"]]
    reference = base.copy(tmp_path_factory.mktemp("reference") / "shop")
    (reference / "shop.db").write_bytes((folder / "shop.db").read_bytes())
    _, told = shops.run("learn", reference)
    assert told["ok"]
    assert told["snapshot"] not in known
    return folder, told["snapshot"], known


def copied(folder: Path, to: Path) -> Path:
    import shutil

    shutil.copytree(folder, to)
    return to


@pytest.mark.faults
@pytest.mark.parametrize(
    ("point", "action"), [(point, action) for point, actions in LEARNS.items() for action in actions]
)
def test_a_learn_that_fails_leaves_the_shop_whole(
    shops: Any, newer: Any, tmp_path: Path, point: str, action: str
) -> None:
    origin, wanted, known = newer
    folder = copied(origin, tmp_path / "shop")
    ended, told = shops.run("learn", folder, points=f"{point}={action}")
    assert ended == {"kill": signal.SIGKILL, "exit": -3}.get(action, 0)
    if action.startswith("delay"):
        assert told["snapshot"] == wanted
    if action in ("enospc", "eio", "raise", "short"):
        assert not told["ok"], "a fault that nobody noticed"
    _, opened = shops.run("open_only", folder)
    assert opened["ok"], opened
    assert opened["snapshot"] in (*known, wanted)
    if action == "garbage" and point != "snapshot.point":
        assert opened["snapshot"] == known[-1], "damaged bytes are never served"
        assert any("refused" in note for note in opened["degraded"])
    _, again = shops.run("learn", folder)
    assert again["ok"], again
    assert again["snapshot"] == again["served"] == wanted, (
        "the same data give the same snapshot, whatever happened before"
    )
    _, opened = shops.run("open_only", folder)
    assert opened["snapshot"] == wanted
    drafts = [path.name for path in (folder / "snapshots").iterdir() if path.name.startswith(".draft")]
    assert not drafts, "what a kill left behind is cleared away"


@pytest.mark.faults
@pytest.mark.parametrize(
    ("point", "action"), [(point, action) for point, actions in OPENS.items() for action in actions]
)
def test_a_snapshot_that_fails_to_open(shops: Any, newer: Any, tmp_path: Path, point: str, action: str) -> None:
    origin, _, known = newer
    folder = copied(origin, tmp_path / "shop")
    ended, told = shops.run("open_only", folder, points=f"{point}={action}@1")
    assert ended == {"kill": signal.SIGKILL, "exit": -3}.get(action, 0)
    if action in ("short", "garbage") or (action in ("eio", "enospc") and point != "shop.reload"):
        assert told["ok"], told
        assert told["snapshot"] == known[-2], "the one before takes over"
        assert any("refused" in note for note in told["degraded"])
    _, opened = shops.run("open_only", folder)
    assert opened["ok"]
    assert opened["snapshot"] == (known[-2] if action in ("short", "garbage") else known[-1])


@pytest.mark.faults
@pytest.mark.parametrize(
    ("point", "scenario", "action"),
    [(point, scenario, action) for point, (scenario, actions) in OTHERS.items() for action in actions],
)
def test_work_that_fails_can_be_done_again(
    shops: Any, base: Any, tmp_path: Path, point: str, scenario: str, action: str
) -> None:
    folder = tmp_path / "shop"
    if point == "store.migrate":
        folder.mkdir()
        (folder / "bodega.toml").write_text("")
    else:
        base.copy(folder)
    rows = [{"id": f"feed-{n}", "title": f"From a feed {n}"} for n in range(50)]
    (folder / "feed.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    ended, told = shops.run(scenario, folder, points=f"{point}={action}")
    assert ended == {"kill": signal.SIGKILL, "exit": -3}.get(action, 0)
    assert bool(told.get("ok")) == action.startswith("delay")
    _, again = shops.run(scenario, folder)
    assert again["ok"], again
    if scenario == "import_file":
        with SqlStore.open(f"sqlite:///{folder}/shop.db") as store:
            assert len(store.catalog.get([row["id"] for row in rows])) == 50


# -- encoders --------------------------------------------------------------------------------------------------------


class Counting:
    """An encoder that says how often it was asked."""

    info = EncoderInfo("counting", 3, "d")

    def __init__(self) -> None:
        self.asked = 0

    def encode(self, texts: Any, *, query: bool = False) -> Any:
        self.asked += len(texts)
        return np.asarray([[len(text), 1.0, 2.0] for text in texts], np.float32)


@pytest.mark.parametrize("action", ["enospc", "eio", "short", "garbage", "raise", "delay(0.01)"])
def test_vectors_that_were_cut_are_made_again(armed: Any, tmp_path: Path, action: str) -> None:
    texts = [f"text {n}" * (n + 1) for n in range(40)]
    armed(f"vectors.append={action}")
    try:
        encode_all(Counting(), texts, tmp_path)
        assert action in ("garbage", "delay(0.01)")
    except (StoreError, failpoints.Injected):
        assert action not in ("garbage", "delay(0.01)")
    armed("")
    encoder = Counting()
    found = encode_all(encoder, texts, tmp_path)
    assert np.array_equal(found, Counting().encode(texts)), "no damaged vector is ever used"
    assert encoder.asked >= {"garbage": 1, "short": 1}.get(action, 0)


@pytest.mark.parametrize("point", ["encoder.query", "encoder.batch", "llm.ask"])
@pytest.mark.parametrize("action", ["enospc", "eio", "raise", "garbage", "delay(0.01)"])
def test_model_servers_that_fail(armed: Any, model_server: str, point: str, action: str) -> None:
    from bodega.settings import Understand
    from bodega.understanding.query.rewriter import LlmRewriter
    from bodega.understanding.text.endpoint import EndpointEncoder

    encoder = EndpointEncoder("vectors", model_server)

    def asked() -> Any:
        if point == "llm.ask":
            return LlmRewriter(Understand(endpoint=model_server, llm="words")).wordings("sneakers")
        return encoder.encode(["one", "two"], query=point == "encoder.query")

    armed(f"{point}={action}")
    if action.startswith("delay"):
        assert len(asked())
    elif action == "raise" or point != "llm.ask":
        with pytest.raises(failpoints.Injected if action == "raise" else BodegaError):
            asked()
    else:
        assert asked() == ()
    armed("")
    assert len(asked())


# -- erasure, backup, streams, processes ------------------------------------------------------------------------------


@pytest.mark.faults
@pytest.mark.parametrize("action", FAULTS)
@pytest.mark.parametrize("point", KEPT)
def test_erasure_backup_and_restore_that_fail(shops: Any, base: Any, tmp_path: Path, point: str, action: str) -> None:
    """Half of it is never taken for the whole, and it can be done again."""
    folder, scenario = base.copy(tmp_path / "shop"), KEPT[point]
    if scenario == "restore":
        assert shops.run("back_up", folder)[1]["ok"]
    ended, told = shops.run(scenario, folder, points=f"{point}={action}")
    assert ended == {"kill": signal.SIGKILL, "exit": -3}.get(action, 0)
    assert bool(told.get("ok")) == action.startswith("delay")
    if not told.get("ok"):
        whole = tmp_path / {"back_up": "backup", "restore": "restored"}.get(scenario, "")
        assert scenario == "forget" or not whole.exists() or not any(whole.iterdir()), "half of it is there"
    if scenario == "forget" or not told.get("ok"):
        _, again = shops.run(scenario, folder)
        assert again["ok"], again


@pytest.mark.faults
@pytest.mark.parametrize("action", FAULTS)
@pytest.mark.parametrize("point", STREAMS)
def test_a_stream_whose_reader_fails(
    shops: Any, base: Any, tmp_path: Path, valkey_url: str, point: str, action: str
) -> None:
    """Records are stored once, whatever happens between poll, store and commit."""
    import redis

    folder, name = base.copy(tmp_path / "shop"), f"faults-{point}-{action}-{tmp_path.name}"
    settings, said = folder / "bodega.toml", folder / ".points"
    address = valkey_url.rpartition("/")[0]
    settings.write_text(settings.read_text() + f'[streams]\nurl = "{address}/{name}?group=shop"\nbatch = 10\n')
    client = Client(base)
    said.write_text(f"{point}={action}@2")
    with redis.Redis.from_url(valkey_url) as broker:
        for _ in range(8):
            rows = client.batch()
            client.promised |= {row["id"]: row["item"] for row in rows}
            broker.xadd(name, {"value": json.dumps(rows)})
        server = shops.serve(folder, points=f"file:{said}", started=False)
        if action in ("kill", "exit"):
            shops.awaited(server)
            for _ in range(3):
                rows = client.batch()
                client.promised |= {row["id"]: row["item"] for row in rows}
                broker.xadd(name, {"value": json.dumps(rows)})
                time.sleep(0.3)
            assert server.end() == (signal.SIGKILL if action == "kill" else -3)
            server = shops.serve(folder)
        until("every record is stored once", lambda: not kept(folder, client), 60)
        server.stop()
        broker.delete(name)


@pytest.mark.parametrize("action", ["raise", "eio", "enospc", "delay(0.01)"])
def test_a_process_that_cannot_tell_the_others(base: Any, armed: Any, tmp_path: Path, action: str) -> None:
    """The event is durable and acknowledged; this process knows it."""
    import bodega
    from bodega.adapters.ring import Ring

    folder = base.copy(tmp_path / "shop")
    with bodega.open(folder) as shop:
        shop.join(Ring.create(tmp_path / "ring"))
        armed(f"ring.tell={action}")
        event = Event(type=EventType.VIEW, time=START, id="told", session="ring", item=base.items[0].id)
        assert shop.events.record([event]).added == 1
        assert failpoints.passed()["ring.tell"] >= 1
        assert shop.recommend("recent", session="ring").ids == [base.items[0].id]


@pytest.mark.parametrize("action", ["raise", "eio", "enospc", "delay(0.6)"])  # late: three time limits
def test_shared_states_that_fail(base: Any, armed: Any, tmp_path: Path, valkey_url: str, action: str) -> None:
    """The event store is asked instead, and the page says so."""
    import bodega

    folder = base.copy(tmp_path / "shop")
    settings = folder / "bodega.toml"
    settings.write_text(settings.read_text() + f'[state]\nurl = "{valkey_url}"\ntimeout_ms = 150\nheal_seconds = 0.5\n')
    user = next(event.user for event in reversed(base.events) if event.user)
    with bodega.open(folder) as shop:
        assert shop.recommend("recent", user=user).hits
        armed(f"state.ask={action}")
        page = shop.recommend("recent", user=user)
        page = shop.recommend("recent", user=user) if action.startswith("delay") else page
        assert page.hits
        assert any(note.startswith("state: ") for note in page.degraded), page.degraded
        armed("")
        until("states are shared again", lambda: not shop.recommend("recent", user=user).degraded, 15)
