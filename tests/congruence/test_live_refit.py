"""Counts on top of a snapshot against a fit over everything: the same lists, whatever the order of arrival."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from bodega.engine.live import Overlay, View, newcomers, over
from bodega.engine.live.votes import Votes
from bodega.engine.shelf import Shelf
from bodega.events import build_log
from bodega.protocols import Source
from bodega.retrieval.asked import Asked
from bodega.retrieval.popular import Popular
from bodega.retrieval.transition import Transition, TransitionOptions
from bodega.schema import Context, Event, ItemTable, World
from bodega.settings import Ingest, Settings, Updates
from bodega.testing.fakes import MemoryEvents
from bodega.testing.world import GeneratedWorld

DAYS = 40.0
"""The small world's snapshot is learned after so many of its 45 days."""

SETTINGS = Settings(updates=Updates(hours_before=24 * 60.0))
"""All earlier steps are read again, so that what comes after counts as following them."""

UNCUT = TransitionOptions(top=10_000)
"""Pairs that a snapshot cuts are the one thing that is lost; here nothing is cut."""


def learned(world: World) -> dict[str, Source]:
    return {
        "popular": Popular().fit(world),
        "transition": Transition(UNCUT).fit(world),
        "asked": Asked().fit(world),
    }


def logged(events: list[Event], table: ItemTable) -> World:
    store = MemoryEvents()
    store.append(events)
    log, _ = build_log(store.scan(), table, Ingest())
    return World(table, log, until=float(np.nextafter(log.time[-1], np.inf)))


class Both:
    """A snapshot of the first days with counts on top, and a fit over everything."""

    def __init__(self, world: GeneratedWorld, rng: np.random.Generator | None, chunk: int = 97) -> None:
        cut = world.events[0].time.timestamp() + DAYS * 86_400
        self.table = world.table
        self.old = [event for event in world.events if event.time.timestamp() < cut]
        self.new = [event for event in world.events if event.time.timestamp() >= cut]
        before = logged(self.old, self.table)
        self.whole = logged(world.events, self.table)
        held = learned(before)
        self.overlay = Overlay(held, self.table, float(before.log.time[-1]), SETTINGS)
        store = MemoryEvents()
        store.append(self.old)
        self.overlay.replay(store.scan(since=self.overlay.since))
        assert self.overlay.counted == 0
        order = list(self.new) if rng is None else [self.new[row] for row in rng.permutation(len(self.new))]
        for start in range(0, len(order), chunk):
            self.overlay.observe(order[start : start + chunk])
        self.view = View.of(self.overlay, Shelf.of(self.table), held)
        self.grown = over(held, self.view)
        self.asked = held["asked"]
        self.fitted = learned(self.whole)
        self.queries = list(self.whole.log.queries[:40])

    def contexts(self, world: GeneratedWorld) -> list[Context]:
        found = [world.context(user) for user in world.truth.shoppers[:25]]
        found += [replace(found[0], place="similar", items=np.array([item], np.int32)) for item in range(0, 60, 7)]
        return [*found, replace(found[0], place="basket", items=np.array([3, 9, 30], np.int32))]


@pytest.fixture(scope="module")
def both(small_world: GeneratedWorld) -> Both:
    return Both(small_world, None)


def largest_gap(one: Source, other: Source, contexts: list[Context], *, apart: bool = False) -> float:
    """The largest relative difference of scores; `apart`: but for one constant a context. Inf: other items."""
    worst, items = 0.0, np.arange(120, dtype=np.int32)
    for context in contexts:
        a, b = one.score(context, items).astype(np.float64), other.score(context, items).astype(np.float64)
        if (np.isfinite(a) != np.isfinite(b)).any():
            return np.inf
        known = np.isfinite(a)
        if not known.any():
            continue
        gap = a[known] - b[known]
        if apart:
            gap = gap - np.median(gap)
            worst = max(worst, float(np.abs(gap).max()))
        else:
            worst = max(worst, float((np.abs(gap) / np.maximum(np.abs(b[known]), 1e-6)).max()))
    return worst


def test_transitions_are_those_of_a_fit_over_everything(both: Both, small_world: GeneratedWorld) -> None:
    contexts = both.contexts(small_world)
    assert largest_gap(both.grown["transition"], both.fitted["transition"], contexts) < 2e-3
    stale = both.view.transition
    assert stale is not None
    assert largest_gap(stale, both.fitted["transition"], contexts) > 0.05


def test_some_items_asked_alone_get_the_votes_that_all_together_get(both: Both, small_world: GeneratedWorld) -> None:
    numbers, touched = np.array([77, 3, 12, 90, 41], np.int32), 0
    for context in both.contexts(small_world):
        alone = both.view.among(replace(context), numbers)  # a context that nobody has asked about
        whole = both.view.led(context)
        assert alone.touched == whole.touched
        assert np.array_equal(alone.at(numbers), whole.at(numbers), equal_nan=True)
        touched += alone.touched and bool(np.isfinite(alone.at(numbers)).any())
    assert touched > 10


def test_popularity_is_that_of_a_fit_over_everything(both: Both, small_world: GeneratedWorld) -> None:
    contexts = [
        replace(context, place="popular", items=np.empty(0, np.int32)) for context in both.contexts(small_world)
    ]
    assert largest_gap(both.grown["popular"], both.fitted["popular"], contexts, apart=True) < 4 / 1024
    assert both.overlay.wanted is not None
    assert largest_gap(both.overlay.wanted.popular, both.fitted["popular"], contexts, apart=True) > 0.05


def test_what_rises_is_nearly_what_a_fit_finds(both: Both, small_world: GeneratedWorld) -> None:
    """The week goes by linearly here, event by event there: near, not equal."""
    now = both.whole.until
    context, items = Context(place="trending", now=now), np.arange(120, dtype=np.int32)
    assert both.overlay.wanted is not None
    live, stale = both.grown["popular"], both.overlay.wanted.popular
    one, old, other = (source.score(context, items) for source in (live, stale, both.fitted["popular"]))
    known = np.isfinite(one) & np.isfinite(other) & np.isfinite(old)
    assert known.sum() > 80
    near, before = (np.corrcoef(each[known], other[known])[0, 1] for each in (one, old))
    assert near > 0.6
    assert before < near - 0.2


def test_what_queries_led_to_is_nearly_what_a_fit_finds(both: Both) -> None:
    """How rare a word has become is left out: near, not equal."""
    live, stale = [], []
    for query in both.queries:
        context = Context(place="search", query=query)
        right = both.fitted["asked"].retrieve(context, 5)
        for source, out in ((both.grown["asked"], live), (both.asked, stale)):
            gap = np.abs(np.nan_to_num(source.score(context, right.items)) / right.scores[:, 0] - 1)
            out += gap.tolist()
    assert np.mean(live) < 0.02
    assert np.mean(stale) > 2 * np.mean(live)


def test_the_order_of_arrival_changes_nothing(both: Both, small_world: GeneratedWorld) -> None:
    other = Both(small_world, np.random.default_rng(3), chunk=41)
    assert counts(other.overlay) == counts(both.overlay)


def test_telling_twice_changes_nothing(small_world: GeneratedWorld, both: Both) -> None:
    other = Both(small_world, None)
    other.overlay.observe(other.new[-300:])
    assert counts(other.overlay) == counts(both.overlay)


def test_a_restart_counts_the_same_again(both: Both) -> None:
    store = MemoryEvents()
    store.append([*both.old, *both.new])
    held: Mapping[str, Source] = learned(logged(both.old, both.table))
    again = Overlay(held, both.table, both.overlay.until, SETTINGS)
    again.replay(store.scan(since=again.since, chunk=1_000))
    assert counts(again) == counts(both.overlay)


def counts(overlay: Overlay) -> dict[str, object]:
    """Everything counted, as plain values."""
    assert overlay.wanted is not None
    found: dict[str, object] = {"usual": overlay.wanted.usual.tobytes(), "lately": overlay.wanted.lately.tobytes()}
    for name, votes in (("follows", overlay.follows), ("together", overlay.together)):
        assert votes is not None
        found[name] = votes.plain()
    found["words"] = {key: {item: n for item, n in led.items() if n} for key, led in overlay.words.led.items()}
    return found


def test_a_count_that_forgets_the_way_back_is_caught(
    both: Both, small_world: GeneratedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken twin: votes only go forward."""
    honest = Votes.add

    def forward_only(self: Votes, source: int, target: int, vote: int) -> None:
        if abs(vote) not in self.backward[1:]:
            honest(self, source, target, vote)

    monkeypatch.setattr(Votes, "add", forward_only)
    broken = Both(small_world, None)
    contexts = broken.contexts(small_world)
    assert largest_gap(broken.grown["transition"], broken.fitted["transition"], contexts) > 2e-3


def test_a_count_in_order_of_arrival_is_caught(
    both: Both, small_world: GeneratedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken twin: late events are put at the end of the tail, whatever their time."""
    monkeypatch.setattr("bodega.engine.live.shoppers.insort", lambda seen, event: seen.append(event))
    broken = Both(small_world, np.random.default_rng(3), chunk=41)
    assert counts(broken.overlay) != counts(both.overlay)


def test_forgetting_a_shopper_takes_back_what_was_added(small_world: GeneratedWorld, both: Both) -> None:
    user = both.new[-1].user or "u0001"
    one, other = Both(small_world, None), both
    others = [event for event in other.new if event.user != user]
    assert len(others) < len(other.new)
    one.overlay.forget(user)
    held = learned(logged(both.old, both.table))
    never = Overlay(held, both.table, both.overlay.until, SETTINGS)
    store = MemoryEvents()
    store.append([event for event in both.old if event.user != user])
    never.replay(store.scan(since=never.since))
    never.observe(others)
    assert counts(one.overlay) == counts(never)


def test_new_items_are_led_to_by_what_people_do(small_world: GeneratedWorld) -> None:
    table = small_world.table
    whole = logged(small_world.events, table)
    held = learned(whole)
    overlay = Overlay(held, table, float(whole.log.time[-1]), SETTINGS)
    new = small_world.items[3]
    shelf = Shelf.of(table).with_changes([("brand-new", type(new)(id="brand-new", title="Brand new"))])
    start = small_world.end + 60
    for shopper in range(5):
        overlay.observe(
            [
                Event(type="view", time=datetime.fromtimestamp(start + shopper * 100, UTC), user=f"n{shopper}",
                      session=f"v{shopper}", item=small_world.items[3].id),
                Event(type="cart", time=datetime.fromtimestamp(start + shopper * 100 + 20, UTC), user=f"n{shopper}",
                      session=f"v{shopper}", item="brand-new"),
            ]
        )  # fmt: skip
    view = View.of(overlay, shelf, held)
    context = Context(place="similar", items=np.array([3], np.int32), now=start + 900)
    found = newcomers(held, view)["transition"].retrieve(context, 10)
    assert found.items.tolist() == [0]
    assert np.isfinite(found.scores).all()
    wanted = newcomers(held, view)["popular"].retrieve(Context(place="popular", now=start + 900), 10)
    assert wanted.items.tolist() == [0]
