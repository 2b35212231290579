"""From a page to its figures: pages are logged, events find them, days and minutes counted, people forgotten."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import bodega
from bodega.cli import app
from bodega.engine.answering_log import AnsweringLog
from bodega.errors import BadRequest, StoreError
from bodega.schema import Event, EventType, Page, Request
from bodega.schema.answers import Answered
from bodega.schema.people import Word
from bodega.service.server import free_port
from bodega.settings import Answers
from bodega.testing.answers import MemoryAnswers


@pytest.fixture
def metered(small_shop, tmp_path: Path) -> Iterator[bodega.Shop]:
    """A copy of the small shop, to be asked and written to."""
    folder = tmp_path / "metered"
    shutil.copytree(small_shop.folder, folder)
    with bodega.open(folder) as shop:
        shop.stores.answers.prune(time.time() + 3_600)  # pages that other tests asked of the small shop
        yield shop


def wanted(page: Page, place: int, user: str, kind: EventType = EventType.CLICK, **values: object) -> Event:
    hit = page[place]
    found = {"type": kind, "time": datetime.now(UTC), "id": f"{page.request_id}-{place}-{kind}", "user": user}
    more = {"item": hit.id, "request_id": page.request_id}
    return Event(**{**found, **more, **values})  # type: ignore[arg-type]


def word(purpose: str, *, granted: bool, user: str) -> Word:
    return Word(f"user:{user}", purpose, granted, time.time(), "test")


def test_a_click_has_a_place_a_position_and_a_source_live_and_by_day(metered):
    page = metered.recommend("home", user="u0001", k=8)
    metered.search("shoe", user="u0002")
    metered.events.record([wanted(page, 3, "u0001")])
    bought = wanted(page, 3, "u0001", EventType.PURCHASE, request_id="", price=12.5, quantity=2.0)
    metered.events.record([bought])
    assert metered.answering.flush(30)
    line = metered.stores.answers.find(page.request_id)
    assert line is not None
    assert line.items == tuple(page.ids)
    assert line.sources == tuple(hit.why[0].source for hit in page)
    assert (line.user, line.snapshot, line.place) == ("u0001", page.snapshot, "home")

    today = metered.insight.today(wait=True)
    (home,) = [one.figures for one in today.places if one.key == "home"]
    assert (home.answers, home.clicks, home.purchases, home.clicked, home.bought) == (1, 1, 1, 1, 1)
    assert (home.by_request, home.by_touch, home.revenue) == (1, 1, 25.0)
    assert home.click_rate is not None
    assert home.click_rate.value == 1.0
    by = {name: metered.insight.daily(1, name, place="home", wait=True) for name in ("position", "source")}
    (third,) = [one.figures for one in by["position"].totals if one.key == "3"]
    assert (third.shown, third.clicks, third.purchases) == (1, 1, 1)
    assert sum(one.figures.clicks for one in by["source"].totals) == 1
    assert next(one.key for one in by["source"].totals if one.figures.clicks) == line.sources[3]
    live = metered.insight.live(5)
    assert (live.whole.answers, live.whole.clicks, live.whole.revenue) == (today.whole.answers, 1, 25.0)
    assert live.units["*"] == 2


def test_what_comes_after_the_first_look_is_counted_without_reading_it_again(metered):
    before = metered.insight.live(5).whole
    page = metered.recommend("home", user="u0001", k=8)
    metered.events.record([wanted(page, 0, "u0001")])  # heard before its page is written
    metered.events.record([wanted(page, 0, "u0001")])
    assert metered.answering.flush(30)
    deadline = time.monotonic() + 30
    while (now := metered.insight.live(5).whole).by_request == before.by_request and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (now.clicks - before.clicks, now.by_request - before.by_request) == (1, 1)
    assert now.answers - before.answers == 1


def test_who_is_forgotten_or_did_not_agree_is_in_no_line_and_no_figure(metered):
    metered.privacy.say([word("learning", granted=False, user="u0003")])
    pages = {user: metered.recommend("home", user=user, k=5) for user in ("u0001", "u0002", "u0003")}
    metered.events.record([wanted(page, 0, user) for user, page in pages.items()])
    assert metered.answering.flush(30)
    held = list(metered.stores.answers.scan())
    assert sorted(line.user for line in held) == ["", "u0001", "u0002"]
    (nameless,) = [line for line in held if not line.user]
    assert nameless.request_id.startswith("anon-")
    assert nameless.session == ""
    whole = metered.insight.today(wait=True).whole
    assert (whole.answers, whole.clicks) == (3, 2)
    receipt = metered.erasures.forget("u0001")
    assert receipt.removed["answers"] == 1
    assert {line.user for line in metered.stores.answers.scan()} == {"", "u0002"}
    again = metered.insight.today(wait=True).whole
    assert (again.answers, again.clicks) == (2, 1)
    assert metered.insight.live(5).whole.clicks == 1


def test_old_lines_are_removed_with_the_events(metered):
    metered.recommend("home", user="u0001")
    assert metered.answering.flush(30)
    gone = metered.erasures.retain(1, now=time.time() + 5 * 86_400)
    assert gone.rows["answers"] == 1
    assert list(metered.stores.answers.scan()) == []


def test_reports_that_cannot_be_made_say_why(metered):
    for ask in (
        lambda: metered.insight.daily(0),
        lambda: metered.insight.daily(7, "colour"),
        lambda: metered.insight.today("tomorrow"),
        lambda: metered.insight.today("2999-01-01"),
        lambda: metered.insight.live(1_000),
        lambda: metered.insight.queries("odd"),
        lambda: metered.insight.queries(days=400),
    ):
        with pytest.raises(BadRequest):
            ask()


def test_the_command_tells_days_and_queries(metered, tmp_path):
    metered.search("shoe", user="u0001")
    folder = str(metered.folder)
    metered.close()
    run = CliRunner()
    told = run.invoke(app, ["metrics", "--shop", folder, "--days", "2"])
    assert told.exit_code == 0, told.output
    assert "search" in told.output
    report = json.loads(run.invoke(app, ["metrics", "--shop", folder, "--days", "2", "--json"]).stdout)
    assert report["whole"]["answers"] == 1
    asked = json.loads(run.invoke(app, ["metrics", "--shop", folder, "--queries", "top", "--json"]).stdout)
    assert (asked["asked"], asked["hidden"], asked["queries"]) == (1, 1, [])
    file = tmp_path / "days.csv"
    assert run.invoke(app, ["metrics", "--shop", folder, "--days", "2", "--csv", str(file)]).exit_code == 0
    assert file.read_text().splitlines()[0].startswith("day,place,answers,zero")


# -- over HTTP ----------------------------------------------------------------------------------------------------


class Listener:
    """Reads a stream of events on a thread until it ends."""

    def __init__(self, port: int, key: str) -> None:
        self.wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.wire.request("GET", "/v1/live", headers={"Authorization": f"Bearer {key}", "Accept": "text/event-stream"})
        self.answer = self.wire.getresponse()
        self.ticks: list[dict[str, Any]] = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            while line := self.answer.readline():
                if line.startswith(b"data: "):
                    self.ticks.append(json.loads(line[6:]))
        self.answer.close()
        self.wire.close()

    def heard(self, what: Callable[[dict[str, Any]], bool], seconds: float = 60.0) -> bool:
        deadline = time.monotonic() + seconds
        while not any(map(what, self.ticks)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return any(map(what, self.ticks))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
def test_every_worker_tells_its_listeners_of_all_and_a_stop_ends_the_streams(metered):
    key, folder = metered.keys.create("desk", ["search", "events", "admin"]), metered.folder
    metered.close()
    port, log = free_port(), folder / "serve.log"
    command = [sys.executable, "-m", "bodega", "serve", "--shop", str(folder), "--port", str(port), "--workers", "2"]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while b"with 2 processes" not in log.read_bytes():
            assert process.poll() is None, log.read_text()[-3_000:]
            assert time.monotonic() < deadline, log.read_text()[-3_000:]
            time.sleep(0.05)
        listeners = [Listener(port, key) for _ in range(6)]  # on both workers, but for one chance in 32
        assert all(each.answer.status == 200 for each in listeners)
        assert listeners[0].answer.getheader("Content-Type", "").startswith("text/event-stream")
        asked = json.loads(sent(port, key, "GET", "/v1/recommend?place=home&user=u0001&k=5"))
        hit = asked["hits"][0]["id"]
        click = {"id": "c1", "type": "click", "item": hit, "user": "u0001", "request_id": asked["request_id"]}
        sent(port, key, "POST", "/v1/events", [click])
        for each in listeners:
            assert each.heard(lambda tick: tick["whole"]["by_request"] == 1 and tick["whole"]["answers"] == 1), (
                each.ticks
            )
        assert sent(port, key, "GET", "/v1/live").count(b"event: live") == 1  # it accepts no stream of events
        process.terminate()
        process.wait(timeout=60)
        assert b"graceful shutdown exceeded" not in log.read_bytes(), "listeners kept the server from stopping"
        for each in listeners:
            each.thread.join(timeout=10)
            assert not each.thread.is_alive()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def sent(port: int, key: str, method: str, path: str, body: object = None) -> bytes:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as wire:
        wire.request(method, path, None if body is None else json.dumps(body), headers)
        answer = wire.getresponse()
        told = answer.read()
        assert answer.status == 200, told
        return told


# -- the log alone ----------------------------------------------------------------------------------------------------


def page(number: int) -> Page:
    return Page(request_id=f"r{number:04}", place="home", hits=(), total=0)


def logged(settings: Answers | None = None, store: MemoryAnswers | None = None) -> tuple[AnsweringLog, MemoryAnswers]:
    kept = store or MemoryAnswers()
    return AnsweringLog(kept, settings or Answers()), kept


def test_a_share_of_the_pages_is_the_same_everywhere_and_experiments_are_always_kept():
    (one, first), (other, second) = logged(Answers(share=0.25)), logged(Answers(share=0.25))
    for number in range(400):
        one.note(Request(), page(number))
        other.note(Request(), page(number))
    one.note(Request(), page(9_000), arms={"colours": "warm"})
    off, nothing = logged(Answers(log=False))
    off.note(Request(), page(1))
    off.note(Request(), page(2), teams=(0, 1))
    for log in (one, other, off):
        log.close()
    kept = {line.request_id for line in first.scan()} - {"r9000"}
    assert kept == {line.request_id for line in second.scan()}
    assert 60 < len(kept) < 140
    assert first.find("r9000") is not None
    assert [line.request_id for line in nothing.scan()] == ["r0002"]


class Full(MemoryAnswers):
    """Takes nothing until it is mended, and one line never."""

    full = True

    def put(self, answers: list[Answered]) -> None:
        if self.full or any(line.request_id == "r0003" for line in answers):
            raise StoreError("the disk is full")
        super().put(answers)


def test_a_full_disk_stops_nothing_and_what_waits_is_kept_when_it_is_mended():
    log, store = logged(store=Full())
    for number in range(10):
        log.note(Request(), page(number))
    deadline = time.monotonic() + 30
    while not log.tally.failures and time.monotonic() < deadline:
        time.sleep(0.01)
    assert log.tally.failures
    assert store.count() == 0
    store.full = False  # type: ignore[attr-defined]
    assert log.flush(30)
    log.close()
    assert store.count() == 9
    assert (log.tally.written, log.tally.lost) == (9, 1)


def test_a_queue_that_is_full_loses_pages_and_never_waits(monkeypatch):
    monkeypatch.setattr("bodega.engine.answering_log.WAITING", 5)
    log, store = logged(store=Full())
    for number in range(100, 150):
        log.note(Request(), page(number))
    assert log.waiting() <= 5
    assert log.tally.lost >= 45
    store.full = False  # type: ignore[attr-defined]
    log.close()
    assert store.count() == 50 - log.tally.lost


def test_a_line_waits_for_nobody_who_was_forgotten_meanwhile():
    log, store = logged()
    gone: Callable[[Event], bool] = lambda shown: shown.user == "u1"  # noqa: E731
    log.buried = gone
    for user in ("u1", "u2"):
        log.note(Request(user=user), page(int(user[1:])))
    log.close()
    assert [line.user for line in store.scan()] == ["u2"]
