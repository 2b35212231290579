"""What is counted is right, and the number of series is bounded: a twin without bounds is caught."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bodega.protocols import Written
from bodega.schema import DeadLetter, Hit, Page
from bodega.service.coverage import Shown
from bodega.service.metrics import BUDGET, RUNGS, SET, Bounded, Telemetry

LIMIT = 2_000
HOSTILE = 'é\n"\\x{' * 3


def series(telemetry: Telemetry) -> int:
    """How many series a scrape gives; the text must be one that Prometheus reads."""
    families = list(text_string_to_metric_families(telemetry.text().decode()))
    return sum(len(family.samples) for family in families)


def value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, labels)


def page(place: str = "home", ids: tuple[str, ...] = ("a",), degraded: tuple[str, ...] = ()) -> Page:
    hits = tuple(Hit(id=name, position=n, score=1.0, document=b"{}", why=()) for n, name in enumerate(ids))
    return Page(request_id="r", place=place, hits=hits, total=len(hits), degraded=degraded)


def event(kind: str) -> Any:
    """As much of an event as is counted; its type may be one that the schema would refuse."""
    return SimpleNamespace(type=kind)


def letter(reason: str) -> DeadLetter:
    return DeadLetter(kind="event", reason=reason, message="", source="t", line=1, raw="", time=datetime.now(UTC))


def assault(telemetry: Telemetry, rounds: int) -> None:
    """Labels that nobody promised: every call brings new ones, some of them hostile."""
    rng = np.random.default_rng(7)
    for number in range(rounds):
        odd = HOSTILE + f"{number}{rng.integers(1 << 30)}"
        telemetry.finished(f"GET /v1/{odd}", int(rng.integers(100, 999)), float(rng.random()))
        telemetry.refused(odd)
        telemetry.listed(page(odd, (), ("x",)), 0.01, {odd: 0.001, f"stage {number}": 0.1})
        telemetry.rung(odd)
        telemetry.cut_off([odd])
        for outcome in ("accepted", odd):
            telemetry.received(outcome, 1)
        telemetry.took(Written(added=1), [event(odd)], [letter(odd)])
        telemetry.stored(odd, 0.01)
        for family in SET:
            telemetry.put(family, 1.0, *(odd for _ in family.labels))


def check_bounded(make: Callable[[], Telemetry], rounds: int = 500) -> None:
    telemetry = make()
    assault(telemetry, rounds)
    assert series(telemetry) <= LIMIT


def test_series_are_bounded_whatever_is_asked() -> None:
    check_bounded(Telemetry)
    assert sum(family.series for family in BUDGET) <= LIMIT - 60, "leave room for what a process says of itself"


@pytest.mark.slow
def test_series_are_bounded_after_a_million_requests() -> None:
    telemetry = Telemetry()
    for number in range(1_000_000):
        telemetry.finished(f"GET /v1/{number}", 100 + number % 500, 0.01)
        telemetry.staged(f"place {number % 5_000}", {f"stage {number % 7_000}": 0.001})
    assert series(telemetry) <= LIMIT


def test_the_guard_catches_labels_without_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken twin: every label value becomes a series of its own."""
    monkeypatch.setattr(Bounded, "of", lambda self, *values: self._metric.labels(*values))
    with pytest.raises(AssertionError):
        check_bounded(Telemetry)


def test_what_comes_after_the_limit_is_counted_under_other() -> None:
    telemetry = Telemetry()
    for number in range(RUNGS.limit + 5):
        telemetry.rung(f"rung{number}")
    assert value(telemetry, "bodega_answers_rung_total", rung="rung0") == 1
    assert value(telemetry, "bodega_answers_rung_total", rung="other") == 5


def test_a_page_is_counted_with_its_stages_its_items_and_its_emptiness() -> None:
    telemetry = Telemetry()
    telemetry.listed(page("search", ("a", "b")), 0.004, {"retrieve": 0.003, "rank": 0.001})
    telemetry.listed(page("search", (), ("popular: cold",)), 0.002)
    assert value(telemetry, "bodega_answer_seconds_count", place="search") == 2
    assert value(telemetry, "bodega_answers_empty_total", place="search") == 1
    assert value(telemetry, "bodega_answers_degraded_total", place="search") == 1
    assert value(telemetry, "bodega_stage_seconds_sum", stage="retrieve") == pytest.approx(0.003)
    assert value(telemetry, "bodega_place_stage_seconds_count", place="search", stage="rank") == 1
    assert telemetry.shown.count() == pytest.approx(2, abs=0.01)


def test_events_and_letters_are_counted_by_type_and_reason() -> None:
    telemetry = Telemetry()
    good = [event("click"), event("click"), event("view")]
    telemetry.took(Written(added=2, unchanged=1, conflicts=("e7",)), good, [letter("future_time")] * 5)
    for outcome, count in (("accepted", 2), ("duplicate", 1), ("conflict", 1), ("dead", 5)):
        assert value(telemetry, "bodega_events_total", outcome=outcome) == count
    assert value(telemetry, "bodega_events_by_type_total", type="click") == 2
    assert value(telemetry, "bodega_dead_letters_total", reason="future_time") == 5


def test_two_applications_do_not_share_counters() -> None:
    one, other = Telemetry(), Telemetry()
    one.received("dead", 3)
    assert b'outcome="dead"' not in other.text()


@pytest.mark.parametrize("items", [100, 20_000, 300_000])
def test_coverage_counts_different_items_within_a_hundredth(items: int) -> None:
    shown = Shown()
    shown.begin("s1")
    for first in range(0, items, 1_000):
        ids = tuple(f"item {n}" for n in range(first, min(items, first + 1_000)))
        shown.add(page("home", ids))
        shown.add(page("home", ids[:50]))
    assert shown.count() == pytest.approx(items, rel=0.01)
    assert shown.share(2 * items) == pytest.approx(0.5, rel=0.01)
    assert shown.share(0) == 0.0
    shown.begin("s1")
    assert shown.count() > 0, "the same snapshot, looked at again, begins nothing anew"
    shown.begin("s2")
    assert shown.count() == 0


def test_a_page_is_counted_within_its_budget() -> None:
    """20 us of CPU a page of twenty hits with eight stages (16 measured; twice that is let pass on a busy machine)."""
    telemetry = Telemetry()
    full = page("home", tuple(f"p{n}" for n in range(20)))
    stages = {f"stage{n}": 0.0001 for n in range(8)}

    def cost() -> float:
        begun = time.thread_time()
        for _ in range(1_000):
            telemetry.listed(full, 0.003, stages)
            telemetry.finished("GET /v1/recommend", 200, 0.004)
        return (time.thread_time() - begun) * 1_000  # us a page

    limit = 40 if sys.gettrace() is None else 120  # coverage looks at every line
    assert min(cost() for _ in range(10)) < limit
