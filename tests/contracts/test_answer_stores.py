"""Every log of answers keeps every promise, a broken one is caught, and both databases count alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bodega.adapters.sql import SqlStore
from bodega.insight.attribution import Mark, Rule
from bodega.insight.batch import count_day
from bodega.insight.counting import DAY, EMPTY, MINUTE, Cell
from bodega.insight.daily import Daily, Kept
from bodega.protocols import AnswerStore
from bodega.schema import Event, EventType
from bodega.schema.answers import Answered
from bodega.testing.answers import MemoryAnswers
from bodega.testing.checks import ANSWER_CHECKS, ContractBroken, check_answer_store
from bodega.testing.logbook import MemoryLogbook

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
TODAY = 20_516
assert round(NOON.timestamp() * 1e6) == TODAY * DAY + 12 * 60 * MINUTE
RULE = Rule(30 * MINUTE, "EUR")


@pytest.fixture(params=["sqlite", "postgresql"])
def sql(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    url = (
        f"sqlite:///{tmp_path}/shop.db" if request.param == "sqlite" else request.getfixturevalue("fresh_postgres_url")
    )
    with SqlStore.open(url) as store:
        yield store


@pytest.mark.parametrize("check", ANSWER_CHECKS, ids=lambda check: check.__name__)
def test_sql_answers(check: Callable[[AnswerStore], None], tmp_path: Path) -> None:
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        check(store.answers)


@pytest.mark.parametrize("check", ANSWER_CHECKS, ids=lambda check: check.__name__)
def test_memory_answers(check: Callable[[AnswerStore], None]) -> None:
    check(MemoryAnswers())


class KeepsTheLast(MemoryAnswers):
    def put(self, answers: Sequence[Answered]) -> None:
        self._answers.update({each.request_id: each for each in answers})


class LeavesGuests(MemoryAnswers):
    def forget(self, users: Sequence[str] = (), sessions: Sequence[str] = ()) -> int:
        return super().forget(users)


class TakesOneTooMany(MemoryAnswers):
    def prune(self, before: float) -> int:
        return super().prune(before + 0.5)


@pytest.mark.parametrize("twin", [KeepsTheLast, LeavesGuests, TakesOneTooMany])
def test_a_broken_log_is_caught(twin: type[MemoryAnswers]) -> None:
    with pytest.raises(ContractBroken):
        check_answer_store(twin)


def shown(number: int, minutes: float, **values: object) -> Answered:
    found = {"request_id": f"r{number}", "time": (NOON + timedelta(minutes=minutes)).timestamp(), "place": "home"}
    more = {"user": "u1", "items": ("a", "b", "c"), "sources": ("popular", "repeat", "rule"), "total": 3}
    return Answered(**{**found, **more, **values})  # type: ignore[arg-type]


def did(number: int, kind: EventType, item: str, minutes: float, **values: object) -> Event:
    moment = NOON + timedelta(minutes=minutes)
    return Event(**{"type": kind, "time": moment, "id": f"e{number}", "item": item, "user": "u1", **values})  # type: ignore[arg-type]


PAGES = (
    shown(1, 0),
    shown(2, 5, place="search", query="a", sources=("lexical", "dense", ""), offset=20),
    shown(3, 6, place="search", query="zz", items=(), sources=(), total=0, degraded=("slow",), user="", session="s9"),
)
EVENTS = (
    did(1, EventType.CLICK, "b", 1, request_id="r1", place="elsewhere", position=9),
    did(2, EventType.PURCHASE, "c", 7, price=2.5, quantity=2.0),
    did(3, EventType.PURCHASE, "a", 50, price=9.0, currency="USD"),
    did(4, EventType.VIEW, "q", 8, request_id="r2", position=3),
    did(5, EventType.CART, "a", 9, place="home"),
    did(6, EventType.IMPRESSION, "a", 2, request_id="r1"),
    did(7, EventType.CLICK, "a", 3, place="banner", user="", session="s9", position=4),
    did(8, EventType.CLICK, "a", 4, request_id="unheard of", user="u8"),
    did(9, EventType.SEARCH, "", 5, query="a"),
)
TOLD = {
    # (place, position, source): what differs from nothing
    ("home", -1, ""): {"answers": 1},
    ("home", 0, "popular"): {"shown": 1, "impressions": 1, "carts": 1, "by_touch": 1},
    ("home", 1, "repeat"): {"shown": 1, "clicks": 1, "clicked": 1, "by_request": 1},
    ("home", 2, "rule"): {"shown": 1},
    ("search", -1, ""): {"answers": 2, "zero": 1, "degraded": 1},
    ("search", 3, ""): {"views": 1, "by_request": 1},
    ("search", 20, "lexical"): {"shown": 1},
    ("search", 21, "dense"): {"shown": 1},
    ("search", 22, ""): {"shown": 1, "purchases": 1, "revenue": 50_000, "clicked": 1, "bought": 1, "by_touch": 1},
    ("banner", 4, ""): {"clicks": 1, "told": 1},
    ("", -1, ""): {"clicks": 1, "purchases": 1, "unattributed": 2},
}


def corners(cells: Sequence[Cell]) -> dict[tuple[str, int, str], dict[str, int]]:
    from bodega.insight.counting import BY_POSITION, FIELDS

    found = [cell for cell in cells if cell.level == BY_POSITION]
    return {
        (cell.place, cell.position, cell.source): {
            name: count for name, count in zip(FIELDS, cell.counts, strict=True) if count
        }
        for cell in found
    }


def test_a_morning_counted_on_paper(sql: SqlStore) -> None:
    sql.answers.put(PAGES)
    sql.events.append(EVENTS)
    cells = count_day(sql.logbook, RULE, TODAY * DAY, (TODAY + 1) * DAY)
    assert corners(cells) == TOLD
    store = MemoryAnswers()
    store.put(PAGES)
    assert cells == count_day(MemoryLogbook(store, lambda: EVENTS), RULE, TODAY * DAY, (TODAY + 1) * DAY)
    whole = next(cell for cell in cells if cell.level == 3)
    assert whole.units == 3  # u1, s9 and u8


def test_counts_are_kept_a_day_at_a_time(sql: SqlStore) -> None:
    book = sql.logbook
    one = Cell(TODAY, 2, -1, "home", -1, "", (3, *EMPTY[1:]), 2)
    other = Cell(TODAY + 1, 2, -1, "home", -1, "", (5, *EMPTY[1:]), 4)
    book.keep(Mark(TODAY, TODAY * DAY + 5, 3, 0), [one])
    book.keep(Mark(TODAY + 1, (TODAY + 1) * DAY + 7, 5, 0), [other])
    assert book.cells(TODAY, TODAY + 1, (2,)) == [one, other]
    assert book.cells(TODAY, TODAY + 1, (0,)) == []
    book.keep(Mark(TODAY, TODAY * DAY + 9, 4, 1), [])
    assert book.cells(TODAY, TODAY + 1, (2,)) == [other]
    assert book.marks(TODAY, TODAY) == {TODAY: Mark(TODAY, TODAY * DAY + 9, 4, 1)}


def test_a_day_is_counted_again_when_its_rows_change_and_not_when_they_fade(sql: SqlStore) -> None:
    sql.answers.put(PAGES)
    now = (TODAY + 2) * DAY
    daily = Daily(sql.logbook, RULE, Kept(answers=10 * DAY))
    assert daily.refresh(TODAY - 3, TODAY + 2, now) == 1
    assert daily.refresh(TODAY - 3, TODAY + 2, now) == 0
    sql.events.append(EVENTS)  # they come late
    assert daily.refresh(TODAY - 3, TODAY + 2, now) == 1
    before, _ = daily.cells(TODAY, TODAY, (0, 1, 2, 3), TODAY)
    assert corners(before) == TOLD
    assert sql.answers.forget(["u1"]) == 2  # somebody is forgotten: the day is another one
    assert daily.refresh(TODAY, TODAY, now) == 1
    assert corners(daily.cells(TODAY, TODAY, (1,), TODAY)[0])["search", -1, ""] == {
        "answers": 1,
        "zero": 1,
        "degraded": 1,
    }
    assert sql.answers.prune(NOON.timestamp() + DAY) == 1  # it is only old: the day stays as it was counted
    assert daily.refresh(TODAY, TODAY, (TODAY + 12) * DAY) == 0
    assert corners(daily.cells(TODAY, TODAY, (1,), TODAY)[0])["search", -1, ""]["answers"] == 1
    assert sql.logbook.newest() == round((NOON + timedelta(minutes=50)).timestamp() * 1e6)
