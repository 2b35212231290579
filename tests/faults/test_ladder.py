"""R6: never empty, never an error. Every source and every stage is broken in turn, in every way, for every place.

The check is one function (`verdict`): the page has hits, names what is missing, and names the rung that it stands on.
Twins of the engine that swallow the name, or let the failure through, must be caught by the same function.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from bodega import failpoints
from bodega.engine import answer as answer_room
from bodega.engine.answer import Engine
from bodega.engine.health import SLOW, Health
from bodega.engine.ladder import LOWEST, Rung, rung_of
from bodega.engine.online import Shoppers
from bodega.engine.places import PLACES
from bodega.errors import BadRequest
from bodega.protocols import Source, Steps
from bodega.schema import Candidates, Event, EventType, Filter, Page, Request

pytestmark = pytest.mark.filterwarnings("default::RuntimeWarning")

ASKED = ("retrieve", "score", "match", "within", "floor", "holds", "because", "next_queries")
"""Everything that the engine asks of a source."""


class Broken(Exception):
    """A bug of a source."""


def failing(*_: object, **__: object) -> Any:
    raise Broken


def slow(method: Callable[..., Any]) -> Callable[..., Any]:
    def late(*args: object, **told: object) -> Any:
        time.sleep(SLOW + 0.05)
        return method(*args, **told)

    return late


def twin(source: Source, how: str) -> Source:
    """The same source, broken."""
    broken: Any = copy.copy(source)
    for name in ASKED:
        method = getattr(source, name, None)
        if method is None:
            continue
        if how == "raise":
            setattr(broken, name, failing)
        elif how == "slow" and name in ("retrieve", "score", "match", "within"):
            setattr(broken, name, slow(method))
    if how in ("nan", "infinite"):
        what = np.nan if how == "nan" else np.inf
        broken.score = lambda _, items: np.full(len(items), what, np.float32)
    if how == "shape":
        broken.score = lambda _, items: np.zeros(len(items) + 1, np.float32)
    if how == "rows":
        broken.retrieve = lambda _, k: Candidates.of(source.name, np.full(3, 10**6, np.int32), np.ones(3, np.float32))
        broken.within = lambda _, keep, k: broken.retrieve(_, k)
    if how == "empty":
        broken.retrieve = lambda _, k: Candidates.none(source.name)
        broken.score = lambda _, items: np.full(len(items), np.nan, np.float32)
    return broken


def engine_of(shop: Any, breaks: dict[str, str]) -> Engine:
    """The shop's engine with these sources broken, healthy otherwise; every source of a place is asked."""
    whole = shop.engine
    fusion = copy.copy(whole.learned.ordering.fusion)
    fusion.enough = {}
    ordering = replace(whole.learned.ordering, fusion=fusion)
    sources = {
        name: twin(source, breaks[name]) if name in breaks else source for name, source in whole.learned.sources.items()
    }
    learned = replace(whole.learned, sources=sources, ordering=ordering, health=Health())
    return Engine(learned, whole.shelf, whole.shoppers, whole.settings)


@pytest.fixture(scope="module")
def known(small_shop, small_world) -> tuple[str, str]:
    """(a shopper with a history, an item of it)."""
    event = next(event for event in reversed(small_world.events) if event.user and event.item)
    return event.user, event.item


def request_of(place: str, known: tuple[str, str], small_world) -> Request:
    user, item = known
    query = small_world.items[0].title if place == "search" else ""
    items = (item,) if PLACES[place].anchored else ()
    return Request(place=place, user=user, session="s", query=query, items=items, k=10)


def verdict(page: Page, missing: str = "") -> list[str]:
    """What is wrong with a page of an engine in which something is broken; [] is a promise kept."""
    wrong = [] if page.hits else ["empty"]
    if missing and not any(note.startswith(f"{missing}: ") for note in page.degraded):
        wrong.append(f"{missing} is missing and not named: {page.degraded}")
    if missing and rung_of(page.degraded) is None:
        wrong.append(f"no rung is named: {page.degraded}")
    return wrong


@pytest.mark.parametrize("place", [*PLACES])
@pytest.mark.parametrize("how", ["raise", "infinite", "shape", "rows", "nan", "empty"])
def test_a_broken_source_is_named_and_the_rest_answers(small_shop, small_world, known, place, how):
    asked = request_of(place, known, small_world)
    whole = small_shop.engine.answer(asked)
    assert rung_of(whole.degraded) is None, "nothing is broken yet"
    for name in PLACES[place].among(small_shop.engine.learned.sources):
        page = engine_of(small_shop, {name: how}).answer(asked)
        if how == "raise":
            assert not verdict(page, name), (name, verdict(page, name))
        elif (whole.hits and how not in ("nan", "empty")) or (how in ("nan", "empty") and PLACES[place].fill):
            assert page.hits, name


@pytest.mark.parametrize("place", [*PLACES])
def test_everything_broken_still_gives_a_list(small_shop, small_world, known, place):
    asked = request_of(place, known, small_world)
    page = engine_of(small_shop, dict.fromkeys(small_shop.engine.learned.sources, "raise")).answer(asked)
    assert not verdict(page, next(iter(PLACES[place].among(small_shop.engine.learned.sources))))
    assert len(page) == 10
    assert rung_of(page.degraded) in (*LOWEST, Rung.WORDS, Rung.ITEM_ITEM, Rung.PERSONAL, Rung.SESSION)
    assert len(set(page.ids)) == 10


def test_a_slow_source_is_left_alone_and_comes_back(small_shop, small_world, known):
    asked = request_of("home", known, small_world)
    engine = engine_of(small_shop, {"transition": "slow"})
    now = [0.0]
    engine.learned.health._clock = lambda: now[0] + time.monotonic()
    for _ in range(20):
        if engine.health.resting():
            break
        engine.answer(asked)
    started = time.perf_counter()
    page = engine.answer(asked)
    assert time.perf_counter() - started < 2 * SLOW
    assert not verdict(page, "transition")
    assert any("it took" in note for note in page.degraded)
    engine.learned.sources["transition"].__dict__.update(
        retrieve=small_shop.engine.learned.sources["transition"].retrieve
    )
    engine.learned.sources["transition"].__dict__.update(score=small_shop.engine.learned.sources["transition"].score)
    now[0] += 5.0
    assert rung_of(engine.answer(asked).degraded) is None, "mended, and five seconds later it is asked again"


@pytest.fixture
def armed(monkeypatch) -> Callable[[str], None]:
    monkeypatch.setattr(failpoints, "ON", True)
    monkeypatch.setattr(failpoints, "_board", failpoints._Board("watch"))
    return failpoints.arm


STAGES = {
    "answer.retrieve": "",
    "answer.score": "",
    "answer.rank": "ranker",
    "answer.explain": "reasons",
    "answer.page": "engine",
    "answer.understand": "understanding",
}


@pytest.mark.parametrize("place", [*PLACES])
@pytest.mark.parametrize("point", [*STAGES])
@pytest.mark.parametrize("action", ["raise", "eio", "enospc", "garbage", "delay(0.01)"])
def test_a_broken_stage_is_named_and_a_list_comes(small_shop, small_world, known, armed, place, point, action):
    engine = engine_of(small_shop, {})
    asked = request_of(place, known, small_world)
    armed(f"{point}={action}")
    page = engine.answer(asked)
    assert page.hits
    nonsense = action == "garbage" and point in ("answer.retrieve", "answer.score", "answer.rank")
    reached = failpoints.passed().get(point, 0) > 0
    if reached and (action in ("raise", "eio", "enospc") or nonsense):
        assert not verdict(page, STAGES[point] or page.degraded[0].partition(":")[0]), (point, page.degraded)


def test_a_history_that_cannot_be_read_leaves_the_visit(small_shop, small_world, known):
    user, item = known
    shoppers = Shoppers(failing, limit=100)
    state = shoppers._known
    engine = small_shop.engine
    engine = Engine(replace(engine.learned, health=Health()), engine.shelf, shoppers, engine.settings)
    page = engine.answer(Request(user=user, session="visit", k=10))
    assert not verdict(page, "history")
    assert rung_of(page.degraded) in (Rung.POPULAR, Rung.SEGMENT)
    shoppers._recent = lambda user, session, limit: Steps()
    shoppers.history("", "visit", engine.shelf.base)
    shoppers._recent = failing
    shoppers.observe([Event(type=EventType.VIEW, time=small_world.events[-1].time, session="visit", item=item)])
    page = engine.answer(Request(user=user, session="visit", k=10))
    assert not verdict(page, "history")
    assert rung_of(page.degraded) is Rung.SESSION
    assert state is shoppers._known


def test_the_lowest_rungs_keep_filters_rules_and_dismissals(small_shop, small_world, known, armed):
    engine = engine_of(small_shop, {})
    brand = small_world.items[0].brand or small_world.items[1].brand
    armed("answer.page=raise")
    page = engine.answer(Request(place="popular", k=20, filters=(Filter(field="brand", values=(brand,)),)))
    assert page.hits
    assert {hit.item.brand for hit in page} == {brand}
    with pytest.raises(BadRequest):
        engine.answer(Request(place="popular", filters=(Filter(field="no such field", values=("x",)),)))
    with pytest.raises(BadRequest):
        engine.answer(Request(place="nowhere"))
    first = engine.answer(Request(place="popular", k=5, user="dismisser"))
    away = Event(type=EventType.DISMISS, time=small_world.events[-1].time, user="dismisser", item=first[0].id)
    engine.shoppers.observe([away])
    assert first[0].id not in engine.answer(Request(place="popular", k=5, user="dismisser")).ids
    engine.shoppers.forget_all()


def test_the_curated_rung_is_the_shops_choice(small_shop, small_world):
    last = small_world.items[-1].id
    whole = small_shop.engine
    settings = msgspec.structs.replace(
        whole.settings, answer=msgspec.structs.replace(whole.settings.answer, curated=f"{last}, no-such-item")
    )
    sources = {**whole.learned.sources, "popular": twin(whole.learned.sources["popular"], "raise")}
    engine = Engine(replace(whole.learned, sources=sources, health=Health()), whole.shelf, whole.shoppers, settings)
    engine._page = failing  # type: ignore[method-assign]
    page = engine.answer(Request(place="popular", k=3))
    assert not verdict(page, "engine")
    assert rung_of(page.degraded) is Rung.CURATED
    assert page.ids[0] == last


def test_an_honest_nothing_found_stays_empty(small_shop):
    page = small_shop.engine.answer(Request(place="search", query="qqqqzzzzxx", k=10, verbatim=True))
    assert not page.hits
    assert rung_of(page.degraded) is None


# -- broken twins ---------------------------------------------------------------------------------------------------


def test_the_twin_that_swallows_the_name_is_caught(small_shop, small_world, known, monkeypatch):
    monkeypatch.setattr(answer_room.Engine, "_lost", lambda *_: ())
    page = engine_of(small_shop, {"transition": "raise"}).answer(request_of("home", known, small_world))
    assert len(verdict(page, "transition")) == 2


def test_the_twin_without_a_ladder_is_caught(small_shop, small_world, known, monkeypatch):
    page = answer_room.Engine._page
    monkeypatch.setattr(
        answer_room.Engine, "answer", lambda self, request: page(self, request, answer_room.NO_RULES, None)
    )
    monkeypatch.setattr(Health, "ask", lambda self, name, call, otherwise: call())
    with pytest.raises(Broken):
        engine_of(small_shop, {"transition": "raise"}).answer(request_of("home", known, small_world))


def test_the_twin_that_gives_up_is_caught(small_shop, small_world, known, monkeypatch):
    monkeypatch.setattr(answer_room, "is_honest", lambda *_: True)
    broken = dict.fromkeys(small_shop.engine.learned.sources, "raise")
    assert "empty" in verdict(engine_of(small_shop, broken).answer(request_of("search", known, small_world)))


def test_health_rests_and_recovers():
    now = [0.0]
    health = Health(lambda: now[0])
    asked: list[float] = []

    def call() -> str:
        asked.append(now[0])
        raise Broken

    for _ in range(10):
        assert health.ask("part", call, lambda: "otherwise") == "otherwise"
    assert len(asked) == 3, "left alone after three failures in a row"
    now[0] = 1.1
    health.ask("part", call, lambda: "otherwise")
    assert len(asked) == 4
    now[0] = 2.2
    health.ask("part", call, lambda: "otherwise")
    assert len(asked) == 4, "the second rest is twice as long"
    for now[0] in (3.2, 8.0, 13.0, 18.0, 23.0):
        health.ask("part", call, lambda: "otherwise")
    assert len(asked) == 9, "never left alone for more than five seconds"
    now[0] = 28.0
    assert health.ask("part", lambda: "back", lambda: "otherwise") == "back"
    assert health.resting() == ()


def test_a_poison_request_takes_no_source_from_the_others():
    health = Health()
    for _ in range(20):
        assert health.ask("part", failing, lambda: "otherwise") == "otherwise"
        assert health.ask("part", lambda: "fine", lambda: "otherwise") in ("fine", "otherwise")
    assert health.resting() == ()
