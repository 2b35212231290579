"""A shop that tries things out, from the page to the estimate: what may change, what never does, what is kept."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import bodega
from bodega.cli import app
from bodega.engine.hindsight import Asked, hindsight
from bodega.engine.trials import Trials
from bodega.errors import NoEvidence, StoreError
from bodega.evaluation.off_policy import Ways
from bodega.ranking.explore import drawn
from bodega.schema import Event, EventType, Explore, Pin, Request, Rule, Sort, When
from bodega.schema.trials import Decision, Outcome, Slot
from bodega.settings import Exploring
from bodega.testing.world import GeneratedWorld

DIAL = '\n[explore.home]\npolicy = "thompson"\nshare = 0.5\nloss = 1.0\nwithin = 1.0\n'


@pytest.fixture
def trying(small_shop, tmp_path: Path) -> Iterator[bodega.Shop]:
    """A copy of the small shop with a dial on its home page."""
    folder = tmp_path / "trying"
    shutil.copytree(small_shop.folder, folder)
    with (folder / "bodega.toml").open("a") as file:
        file.write(DIAL)
    with bodega.open(folder) as shop:
        yield shop


def shoppers(count: int) -> list[str]:
    return [f"u{number:04}" for number in range(count)]


def click(page: bodega.Page, item: str, user: str) -> Event:
    position = page.ids.index(item)
    return Event(
        type=EventType.CLICK, time=datetime.now(UTC), id=f"{page.request_id}-{item}", user=user, item=item,
        place="home", position=position, request_id=page.request_id,
    )  # fmt: skip


def tried(page: bodega.Page) -> list[str]:
    return [hit.id for hit in page if any(reason.source == "explore" for reason in hit.why)]


def wait_for(what: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.02)
    return what()


def test_a_page_says_what_is_tried_and_the_log_says_how_likely_that_was(trying):
    pages = [trying.recommend("home", user=user, k=10) for user in shoppers(40)]
    assert trying.trials is not None
    assert trying.trials.flush(60)
    kept = {each.request_id: each for each in trying.stores.decisions.scan()}
    assert {page.request_id for page in pages} == set(kept)
    for page in pages:
        decision = kept[page.request_id]
        assert page.policy == decision.policy == "thompson"
        for slot in decision.slots:
            assert page[slot.position].id == slot.item
            assert sum(slot.chances) == pytest.approx(1)
            assert min(slot.chances) > 0
        assert set(tried(page)) == {slot.item for slot in decision.slots if slot.shown}
        wide = max(len(slot.items) for slot in decision.slots)
        chance = np.array([[*slot.chances, *[0.0] * (wide - len(slot.items))] for slot in decision.slots])
        assert drawn(page.request_id, chance).tolist() == [slot.shown for slot in decision.slots]  # drawn again
    texts = {reason.text for page in pages for hit in page for reason in hit.why if reason.source == "explore"}
    assert texts == {"New: being tried out"}
    chinese = [trying.answer(Request(place="home", user=user, language="zh")) for user in shoppers(10)]
    assert {r.text for page in chinese for hit in page for r in hit.why if r.source == "explore"} == {"新品试推荐"}


def test_pages_without_personalisation_are_the_same_for_everybody(trying):
    asked = [Request(place="home", user=user, personal=False, k=10) for user in shoppers(20)]
    pages = [trying.answer(each) for each in asked]
    assert len({tuple(page.ids) for page in pages}) == 1
    assert not any(page.policy or tried(page) for page in pages)


def test_nothing_is_tried_for_nobody_further_down_or_in_an_order_that_was_chosen(trying):
    for request in (
        Request(place="home"), Request(place="home", user="u0001", offset=10),
        Request(place="home", user="u0001", sort=Sort.PRICE_UP), Request(place="home", user="u0001", sort_by="-price"),
        Request(place="popular", user="u0001"), Request(place="search", user="u0001", query="tea"),
    ):  # fmt: skip
        assert all(not trying.answer(request).policy for _ in range(5))


def test_pins_stay_what_is_sold_out_stays_out_and_nothing_is_lost(trying):
    pinned = trying.answer(Request(place="home", user="u0001", k=100)).ids[40]
    rule = Rule(id="p", name="p", when=When(places=("home",)), then=(Pin(item=pinned, position=3),))
    trying.rules.put(rule, who="test")
    plain = trying.engine.answer(Request(place="home", user="u0001", k=20), trying.rules.book)
    others = set()
    for _ in range(25):
        page = trying.recommend("home", user="u0001", k=20)
        others.update(set(page.ids) - set(plain.ids))
        assert page.ids[2] == pinned
        assert len(set(page.ids)) == 20
        assert page.ids[0] == plain.ids[0]  # `first = 2`: the top is not tried
        assert [page.ids[at] for at in range(20) if page.ids[at] not in tried(page)] == [
            plain.ids[at] for at in range(20) if page.ids[at] not in tried(page)
        ]
        assert all(hit.item.available for hit in page)
        assert page.total == plain.total
    assert others


def test_the_preview_of_a_rule_is_not_left_to_chance(trying):
    pages = [trying.engine.answer(Request(place="home", user="u0001"), trying.rules.book) for _ in range(5)]
    assert len({tuple(page.ids) for page in pages}) == 1


def test_clicks_are_believed_at_once_kept_over_a_restart_and_counted_once(trying):
    assert trying.trials is not None
    events = []
    for user in shoppers(30):
        page = trying.recommend("home", user=user, k=10)
        events.append(click(page, page.ids[4], user))
    trying.events.record(events)
    trying.events.record(events)
    assert trying.trials.flush(60)
    now = time.time()
    beliefs = trying.trials.beliefs("home")
    _seen, wanted = beliefs.total(now)
    assert wanted == pytest.approx(30, rel=1e-3)
    items = sorted({item for event in events for item in [event.item]})
    before = beliefs.sums(items, now)
    trying.close()
    with bodega.open(trying.folder) as again:
        again.recommend("home", user="somebody who clicked nothing")  # what one person saw counts once a week
        assert again.trials is not None
        assert wait_for(lambda: again.trials.beliefs("home").total(now)[1] > 29)
        assert again.trials.flush(60)
        after = again.trials.beliefs("home").sums(items, now)
        assert np.abs(after - before)[:, 1].max() < 1e-3  # what was wanted; one more page was seen


def test_processes_hear_each_other(trying):
    """Two keepers over one store, as two worker processes have."""
    dials = trying.settings.explore
    one, other = Trials(trying.stores.decisions, dials), Trials(trying.stores.decisions, dials)
    try:
        for keeper in (one, other):
            keeper.observe([])
            keeper._start()
        assert one.worker != other.worker
        slots = (Slot(1, 0, ("a", "b"), (0.5, 0.5), ((1.0,), (1.0,))),)
        one.note(
            Decision(
                request_id="x-home-1", time=time.time(), place="home", policy="thompson", slots=slots, worker=one.worker
            )
        )
        assert one.flush(60)
        other._wanted.append(Outcome(request_id="x-home-1", item="a", time=time.time(), worker=other.worker))
        assert other.flush(60)
        assert wait_for(lambda: all(keeper.beliefs("home").total(time.time())[1] > 0.9 for keeper in (one, other)))
        assert other.tally.heard >= 1
    finally:
        one.close()
        other.close()


class FullDisk:
    """A store that takes nothing until it is mended."""

    def __init__(self, store: object) -> None:
        self.store, self.full = store, True

    def put(self, decisions: list[Decision], outcomes: list[Outcome]) -> None:
        if self.full:
            raise StoreError("the disk is full")
        self.store.put(decisions, outcomes)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)


def test_a_full_disk_stops_no_page_and_what_waits_is_kept_when_it_is_mended(trying):
    store = FullDisk(trying.stores.decisions)
    trying.trials = Trials(store, trying.settings.explore)  # type: ignore[arg-type]
    pages = [trying.recommend("home", user=user) for user in shoppers(10)]
    assert all(page.policy for page in pages)
    assert wait_for(lambda: trying.trials.tally.failures > 0)
    assert store.count()[0] == 0
    store.full = False
    assert trying.trials.flush(60)
    assert store.count()[0] == 10


class Picky(FullDisk):
    """A store that refuses everything of one shopper."""

    def put(self, decisions: list[Decision], outcomes: list[Outcome]) -> None:
        if any(page.user == "u0003" for page in decisions):
            raise StoreError("such a row cannot be kept")
        self.store.put(decisions, outcomes)  # type: ignore[attr-defined]


def test_one_row_that_cannot_be_kept_does_not_take_the_others_down(trying):
    trying.trials = Trials(Picky(trying.stores.decisions), trying.settings.explore)  # type: ignore[arg-type]
    for user in shoppers(8):
        trying.recommend("home", user=user)
    assert trying.trials.flush(60)
    assert {each.user for each in trying.stores.decisions.scan()} == set(shoppers(8)) - {"u0003"}
    assert trying.trials.tally.lost == 1


def test_who_is_forgotten_leaves_the_log_and_the_beliefs(trying):
    assert trying.trials is not None
    page = trying.recommend("home", user="u0001", k=10)
    trying.recommend("home", user="u0002", k=10)
    trying.events.record([click(page, page.ids[4], "u0001")])
    assert trying.trials.flush(60)
    assert trying.trials.beliefs("home").total(time.time())[1] > 0.9
    assert trying.trials.forget(users=["u0001"]) == 1
    assert {each.user for each in trying.stores.decisions.scan()} == {"u0002"}
    assert trying.trials.beliefs("home").total(time.time())[1] < 1e-9


def test_a_shop_without_dials_has_no_thread_and_no_decision(small_shop):
    page = small_shop.recommend("home", user="u0001")
    assert small_shop.trials is None
    assert page.policy == ""
    assert not page.request_id.startswith("x-")
    assert not [thread.name for thread in threading.enumerate() if thread.name == "bodega-trials"]
    assert Exploring().off
    assert Exploring().of("nowhere").off


def test_the_log_says_what_the_ranking_alone_would_have_earned(trying, small_world: GeneratedWorld):
    """The whole way round: pages, clicks by the truth, the estimate, and the truth itself."""
    assert trying.trials is not None
    rng, truth = np.random.default_rng(3), small_world.truth
    pages = 0
    for number in range(400):
        user = truth.shoppers[number % len(truth.shoppers)]
        page = trying.recommend("home", user=user, k=10)
        chance = [truth.click_chance(user, hit.id, min(hit.position, 7)) for hit in page]
        liked = [hit.id for hit, one in zip(page, chance, strict=True) if rng.random() < one]
        trying.events.record([click(page, item, user) for item in liked])
        pages += 1
    assert trying.trials.flush(60)
    store = trying.stores.decisions
    found = hindsight(store, Asked("home", Explore(), ways=Ways(resamples=300)), rng)
    earned = [
        sum(truth.click_chance(page.user, slot.items[0], min(slot.position, 7)) for slot in page.slots)
        for page in store.scan()
    ]
    logged = [
        sum(truth.click_chance(page.user, slot.item, min(slot.position, 7)) for slot in page.slots)
        for page in store.scan()
    ]
    assert found.pages == pages
    slotwise = found.value["slotwise"]
    assert slotwise.low * 0.97 <= np.mean(earned) <= slotwise.high * 1.03
    assert abs(slotwise.value / np.mean(earned) - 1) < abs(found.value.naive.value / np.mean(earned) - 1)
    assert np.mean(logged) < np.mean(earned)
    same = hindsight(store, Asked("home", Explore(policy="epsilon", share=0.5)), rng).value["slotwise_dr"].value
    assert same < slotwise.value

    trying.close()
    runner = CliRunner()
    told = runner.invoke(app, ["offpolicy", "--shop", str(trying.folder), "--policy", "off", "--json"])
    assert told.exit_code == 0, told.output
    answer = json.loads(told.output)
    assert answer["pages"] == pages
    assert answer["value"]["estimates"]["slotwise"]["value"] == pytest.approx(slotwise.value)
    shown = runner.invoke(app, ["offpolicy", "--shop", str(trying.folder), "--policy", "thompson", "--share", "0.3"])
    assert "slotwise_dr" in shown.output
    assert "naive" in shown.output


def test_a_place_where_nothing_was_tried_is_refused(trying):
    with pytest.raises(NoEvidence, match="nothing was tried"):
        hindsight(trying.stores.decisions, Asked("basket", Explore()), np.random.default_rng(1))
    for user in shoppers(3):
        trying.recommend("home", user=user)
    assert trying.trials is not None
    assert trying.trials.flush(60)
    with pytest.raises(NoEvidence, match="too little"):
        hindsight(trying.stores.decisions, Asked("home", Explore()), np.random.default_rng(1))
