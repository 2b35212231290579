"""Searches whose story is known: what is asked most, what rises, what fails, who may be told of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from bodega.engine.insights import Insight, Sources
from bodega.insight.attribution import Rule
from bodega.insight.counting import DAY, MINUTE
from bodega.insight.queries import Ask, Tallied, asks, failing, holm, rising, tallied, top
from bodega.schema import Event, EventType
from bodega.schema.answers import Answered
from bodega.settings import Settings, Understand
from bodega.testing.answers import MemoryAnswers
from bodega.testing.logbook import MemoryLogbook

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
RULE = Rule(30 * MINUTE, "EUR")
WEEK = 7


class Told:
    """Writes the log of a story."""

    def __init__(self) -> None:
        self.answers = MemoryAnswers()
        self.events: list[Event] = []

    def search(
        self, who: str, query: str, days: float, *, total: int = 5, click: bool = False, **values: object
    ) -> None:
        """One results page, so many days before noon."""
        at, number = NOON - timedelta(days=days), self.answers.count()
        name = f"r{number}"
        more = {"items": ("a", "b")[: min(total, 2)], "total": total, "user": who, **values}
        self.answers.put([Answered(request_id=name, time=at.timestamp(), place="search", query=query, **more)])  # type: ignore[arg-type]
        if click:
            moment = at + timedelta(seconds=20)
            self.events.append(
                Event(type=EventType.CLICK, time=moment, id=f"e{number}", user=who, item="a", request_id=name)
            )

    @property
    def book(self) -> MemoryLogbook:
        return MemoryLogbook(self.answers, lambda: self.events)

    def found(self, since: float, until: float = 0.0) -> Sequence[Ask]:
        noon = round(NOON.timestamp() * 1e6)
        return asks(self.book, RULE, noon - round(since * DAY), noon - round(until * DAY) + 1)


def test_what_was_only_typed_is_one_search_and_what_came_next_is_told():
    told = Told()
    for number, text in enumerate(("te", "ten", "Tent  poles")):
        told.search("u1", text, 1 - number * 2 / 86_400)
    told.search("u1", "tent pegs", 1 - 64 / 86_400, click=True)
    told.search("u1", "rope", 1 - 3_600 / 86_400)
    told.search("u2", "tent pegs", 2, offset=20)
    told.search("u2", "tent pegs", 2, user="", session="s2")
    found = told.found(WEEK)
    assert [(ask.query, ask.refined, ask.next, ask.clicked) for ask in found if ask.who == "u1"] == [
        ("tent poles", True, "tent pegs", False),
        ("tent pegs", False, "", True),
        ("rope", False, "", False),
    ]
    assert tallied(found)["tent pegs"].people == {"u1", " s2"}  # the second page of a list is no second search
    (poles,) = [line for line in top(tallied(found), 1, 9) if line.query == "tent poles"]
    assert poles.next == (("tent pegs", 1),)


def test_imported_searches_count_once_beside_logged_pages():
    told = Told()
    told.search("u1", "lamp", 1)
    for number, (who, days) in enumerate((("u1", 1), ("u7", 3))):  # the first speaks of the page
        told.events.append(
            Event(
                type=EventType.SEARCH,
                time=NOON - timedelta(days=days, seconds=-5),
                id=f"s{number}",
                user=who,
                query="Lamp",
            )
        )
    view = NOON - timedelta(days=3) + timedelta(minutes=2)
    told.events.append(Event(type=EventType.VIEW, time=view, id="v", user="u7", item="a", query="lamp"))
    found = told.found(WEEK)
    assert [(ask.who, ask.clicked) for ask in found] == [("u7", True), ("u1", False)]


def world(rng: np.random.Generator) -> Told:
    """Five weeks: `usual` all the time, `fad` only in the last week, `typo` finds nothing, `dull` is never clicked."""
    told = Told()
    queries = ["usual", "dull", "typo", *(f"other {number}" for number in range(20))]
    chances = np.array([0.3, 0.08, 0.06, *[0.56 / 20] * 20])
    for number in range(2_500):
        days = float(rng.uniform(0.01, 35))
        query = str(rng.choice(queries, p=chances))
        if days < WEEK and rng.random() < 0.12:
            query = "fad"
        click = query not in ("typo", "dull") and rng.random() < 0.5
        told.search(f"u{number % 180}", query, days, total=0 if query == "typo" else 5, click=click)
    return told


@pytest.fixture(scope="module")
def told() -> Told:
    return world(np.random.default_rng(5))


def test_a_fad_rises_and_nothing_else(told):
    now, before = tallied(told.found(WEEK)), tallied(told.found(35, WEEK))
    (fad,) = rising(now, before, 5, 20)
    assert fad.query == "fad"
    assert (fad.before, fad.ratio) == (0, None)
    assert fad.p is not None
    assert fad.p < 1e-6


def test_weeks_without_a_story_have_no_risers():
    """Of 40 such worlds at most a few may have any: Holm keeps the chance of even one below 5 % in each."""
    wrong = 0
    for seed in range(40):
        rng = np.random.default_rng(1_000 + seed)
        told: tuple[dict[str, Tallied], dict[str, Tallied]] = ({}, {})
        for number in range(2_000):
            query = f"q{int(rng.integers(0, 30))}"
            held = told[int(rng.random() < 0.8)].setdefault(query, Tallied())
            held.asked += 1
            held.people.add(f"u{number % 99}")
        wrong += bool(rising(told[0], told[1], 2, 50))
    assert wrong <= 5  # P(Binomial(40, .05) > 5) = .01


def test_what_finds_nothing_and_what_nobody_takes_fails(told):
    found = {line.query: line for line in failing(tallied(told.found(WEEK)), 5, 20)}
    assert {"typo", "dull"} <= set(found)
    assert "zero" in found["typo"].why
    assert "clicks" in found["dull"].why
    assert "usual" not in found
    assert found["typo"].lost > 1


def test_a_query_of_few_people_is_not_told(told):
    told.search("u1", "my own name", 0.5)
    for _ in range(30):
        told.search("u1", "my own name", 0.5)
    settings = Settings(understand=Understand(people=10))
    insight = Insight(Sources(told.book, settings, clock=NOON.timestamp))
    for kind in ("top", "rising", "failing"):
        report = insight.queries(kind, WEEK)
        assert "my own name" not in {line.query for line in report.queries}
        assert all(line.people >= 10 for line in report.queries)
        assert report.hidden >= 1


def test_holm_is_what_statsmodels_says(rng):
    multipletests = pytest.importorskip("statsmodels.stats.multitest").multipletests
    chances = rng.uniform(0, 0.2, 50)
    assert np.allclose(holm(chances), multipletests(chances, method="holm")[1])
