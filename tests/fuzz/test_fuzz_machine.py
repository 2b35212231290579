"""Any order of what can be done to a shop, beside a model of dictionaries: hypothesis looks for the order that hurts.

Items come, change and go; events come out of order, twice, and with another content under the same id; the shop learns,
rolls back, is told rules, is closed and opened. Whatever happened: no call fails, what was acknowledged is counted
exactly, nothing that was deleted or hidden is shown, and a page is not empty while there is something to show.
The machine itself is tested: twins of the shop that forget a deletion, or count an event twice, are caught.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import bodega
from bodega.engine.intake import Events
from bodega.engine.shelf import Shelf
from bodega.engine.shop import Shop
from bodega.protocols import Written
from bodega.schema import Event, EventType, Item, Page, Request, Rule
from bodega.testing.world import WorldSpec, make_world

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ("red", "blue", "trail", "shoe", "coat", "lamp", "wool", "mini")
PLACES = ("home", "popular", "trending", "category", "repeat", "recent", "similar", "together", "basket")
IDS = st.integers(0, 24).map(lambda n: f"i{n}")
PEOPLE = st.sampled_from(["ann", "bob", ""])
LISTING = ("popular", "category")
"""Places that show whatever is for sale to somebody who is not known."""


@st.composite
def items(draw: st.DrawFn) -> Item:
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4))
    return Item(
        id=draw(IDS),
        title=" ".join(words),
        brand=draw(st.sampled_from(["", "Acme", "Bolt"])),
        category=draw(st.sampled_from([(), ("Shoes",), ("Home", "Lamps")])),
        price=draw(st.sampled_from([None, 0.0, 9.5, 120.0])),
        stock=draw(st.sampled_from([None, 0, 3])),
    )


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from([each for each in EventType if each is not EventType.RATING]))
    return Event(
        id=f"e{draw(st.integers(0, 40))}",
        type=kind,
        time=BEGIN + timedelta(minutes=draw(st.integers(0, 90 * 24 * 60))),
        user=draw(PEOPLE),
        session=draw(st.sampled_from(["s1", "s2"])),
        item="" if kind is EventType.SEARCH else draw(IDS),
        query=draw(st.sampled_from(WORDS)) if kind is EventType.SEARCH else "",
    )  # fmt: skip


@cache
def learned() -> Path:
    """A folder with a shop that has learned a little; copied for every run."""
    folder = Path(tempfile.mkdtemp(prefix="bodega-machine-"))
    world = make_world(WorldSpec(n_items=25, n_shoppers=12, days=20))
    names = {item.id: f"i{number}" for number, item in enumerate(world.items)}
    with bodega.open(folder / "shop") as shop:
        shop.catalog.upsert([msgspec.structs.replace(item, id=names[item.id]) for item in world.items])
        shop.events.record([
            msgspec.structs.replace(event, id=f"old{n}", item=names.get(event.item, ""))
            for n, event in enumerate(world.events)
        ])  # fmt: skip
        assert shop.learn().published
    return folder / "shop"


class Machine(RuleBasedStateMachine):
    """The shop and its model."""

    opens: Callable[[Path], Shop] = staticmethod(bodega.open)
    learns = 1
    """How often it may learn in one run: a second of work each."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="bodega-machine-"))
        shutil.copytree(learned(), self.root / "shop")
        self.shop = self.opens(self.root / "shop")
        self.shop.reload()
        self.catalog = {item.id: item for item in self.shop.stores.catalog.scan()}
        self.old = self.shop.events.count()
        self.events: dict[str, Event] = {}
        self.hidden: set[str] = set()
        self.learned = 0

    def teardown(self) -> None:
        if hasattr(self, "shop"):
            self.shop.close()
            shutil.rmtree(self.root, ignore_errors=True)

    # -- what comes in ----------------------------------------------------------------------------------------------

    @rule(new=st.lists(items(), min_size=1, max_size=6, unique_by=lambda item: item.id))
    def upsert(self, new: list[Item]) -> None:
        expected = Written(
            added=sum(item.id not in self.catalog for item in new),
            changed=sum(item.id in self.catalog and self.catalog[item.id] != item for item in new),
            unchanged=sum(self.catalog.get(item.id) == item for item in new),
        )
        assert self.shop.catalog.upsert(new) == expected
        self.catalog |= {item.id: item for item in new}

    @rule(ids=st.lists(IDS, min_size=1, max_size=4, unique=True))
    def delete(self, ids: list[str]) -> None:
        assert self.shop.catalog.delete(ids) == sum(each in self.catalog for each in ids)
        for each in ids:
            self.catalog.pop(each, None)

    @rule(batch=st.lists(events(), min_size=1, max_size=12))
    def record(self, batch: list[Event]) -> None:
        """Of several contents of one new id in a batch the earliest is kept, whatever their order."""
        known = dict(self.events)
        moments = {(event.id, event.time): event for event in batch}
        batch = [event for event in batch if moments[event.id, event.time] == event]
        for event in sorted(batch, key=lambda each: each.time):
            known.setdefault(event.id, event)
        added = len(known) - len(self.events)
        unchanged = sum(known[event.id] == event for event in batch) - added
        written = self.shop.events.record(batch)
        assert (written.added, written.changed, written.unchanged) == (added, 0, unchanged)
        assert set(written.conflicts) == {event.id for event in batch if known[event.id] != event}
        self.events = known

    # -- what is done to it -----------------------------------------------------------------------------------------

    @rule()
    def reopen(self) -> None:
        self.shop.close()
        self.shop = self.opens(self.root / "shop")
        self.shop.reload()

    @precondition(lambda self: self.learned < self.learns)
    @rule()
    def learn(self) -> None:
        self.learned += 1
        self.shop.learn()

    @rule()
    def roll_back(self) -> None:
        if len(self.shop.snapshots()) > 1:
            self.shop.rollback()

    @rule(item=IDS)
    def hide(self, item: str) -> None:
        self.shop.rules.put(hiding(item), who="machine")
        self.hidden.add(item)

    @precondition(lambda self: self.hidden)
    @rule()
    def unhide(self) -> None:
        item = sorted(self.hidden)[0]
        self.shop.rules.delete(hiding(item).id, who="machine")
        self.hidden.discard(item)

    # -- what is asked of it ----------------------------------------------------------------------------------------

    @rule(words=st.lists(st.sampled_from((*WORDS, "xyzzy")), max_size=3), user=PEOPLE, k=st.integers(1, 30))
    def search(self, words: list[str], user: str, k: int) -> None:
        self.check(self.shop.search(" ".join(words), user=user, k=k), k)

    @rule(place=st.sampled_from(PLACES), user=PEOPLE, anchors=st.lists(IDS, max_size=3), k=st.integers(1, 30))
    def recommend(self, place: str, user: str, anchors: list[str], k: int) -> None:
        self.check(self.shop.answer(Request(place=place, user=user, items=tuple(anchors), k=k)), k)

    @rule(prefix=st.text(alphabet="abcdelrstu ", max_size=4))
    def suggest(self, prefix: str) -> None:
        self.shop.suggest(prefix)

    @invariant()
    def counts_are_exact(self) -> None:
        if hasattr(self, "shop"):
            assert self.shop.events.count() == self.old + len(self.events)
            assert self.shop.catalog.count() == len(self.catalog)

    @invariant()
    def what_may_be_shown_is_shown(self) -> None:
        if hasattr(self, "shop"):
            may = {name for name, item in self.catalog.items() if item.stock != 0} - self.hidden
            for place in LISTING:
                page = self.shop.answer(Request(place=place, k=30))
                self.check(page, 30)
                assert bool(page.hits) or not may, f"{place} is empty, but {sorted(may)} may be shown"

    def check(self, page: Page, k: int) -> None:
        """What holds of every page."""
        assert len(page) <= k
        assert len(set(page.ids)) == len(page.ids)
        shown = set(page.ids)
        assert not shown - set(self.catalog), "deleted, or never there"
        assert not shown & self.hidden, "hidden by a rule"
        for hit in page:
            assert msgspec.json.decode(hit.document, type=Item) == self.catalog[hit.id], "an old state of the item"


def hiding(item: str) -> Rule:
    """A rule that keeps an item out of every list."""
    return msgspec.convert(
        {"id": f"hide-{item}", "when": {"places": ["*"]}, "then": [{"do": "hide", "items": [item]}]}, Rule
    )


def check_runs(machine: type[Machine], examples: int, steps: int) -> None:
    how = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        phases=[Phase.generate],  # a step takes 20 ms: shrinking takes minutes
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=how)


def test_no_order_of_calls_breaks_the_shop() -> None:
    check_runs(Machine, 8, 20)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_no_order_of_calls_breaks_the_shop_in_many_runs() -> None:
    check_runs(Machine, 300, 50)


@pytest.mark.slow
def test_the_machine_catches_a_shop_that_forgets_deletions(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Shelf.with_changes

    def forgetful(self: Shelf, changes: Any, *more: Any) -> Shelf:
        return real(self, [change for change in changes if change[1] is not None], *more)

    monkeypatch.setattr(Shelf, "with_changes", forgetful)
    with pytest.raises(AssertionError):
        check_runs(Machine, 20, 10)


@pytest.mark.slow
def test_the_machine_catches_a_shop_that_counts_a_second_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Events.record

    def eager(self: Events, batch: Sequence[Event]) -> Written:
        renamed = [msgspec.structs.replace(event, id=f"{event.id}-{n}") for n, event in enumerate(batch)]
        return real(self, renamed)

    monkeypatch.setattr(Events, "record", eager)
    with pytest.raises(AssertionError):
        check_runs(Machine, 20, 10)
