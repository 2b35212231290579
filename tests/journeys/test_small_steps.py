"""A shop whose shoppers turn to something that its snapshot does not know: what clicks on its pages do to the order."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import bodega
from bodega.adapters.ring import Ring
from bodega.engine import correcting
from bodega.engine.answer import Engine
from bodega.engine.correcting import Correcting
from bodega.schema import Event, EventType, Request, Sort

STEPS = "\n[updates]\nsteps = true\ncounts = false\n"
"""Nothing else that happens after the snapshot reaches the order."""


@pytest.fixture
def stepping(small_shop, tmp_path: Path) -> Iterator[bodega.Shop]:
    folder = tmp_path / "stepping"
    shutil.copytree(small_shop.folder, folder)
    with (folder / "bodega.toml").open("a") as file:
        file.write(STEPS)
    with bodega.open(folder) as shop:
        yield shop


def corrections(shop: bodega.Shop) -> Correcting:
    held = shop.engine.learned.correcting
    assert held is not None
    return held


def click(page: bodega.Page, item: str, user: str) -> Event:
    return Event(
        type=EventType.CLICK, time=datetime.now(UTC), id=f"{page.request_id}-{item}", user=user, item=item,
        place=page.place, position=page.ids.index(item), request_id=page.request_id,
    )  # fmt: skip


def is_wanted(item: str) -> bool:
    """What is in fashion since yesterday: a third of the shop, whatever it is."""
    return int(item[1:]) % 3 == 0


def read(shop: bodega.Shop, rng: np.random.Generator, pages: int, *, fashion: float, other: float) -> float:
    """Shoppers read from the top and stop at the first item they want; the mean of what is in fashion on a page."""
    clicks, found = [], 0
    for _ in range(pages):
        user = f"u{int(rng.integers(300)):04}"
        page = shop.recommend("home", user=user, k=20)
        found += sum(map(is_wanted, page.ids))
        wanted = next((i for i in page.ids if rng.random() < (fashion if is_wanted(i) else other)), None)
        if wanted is not None:
            clicks.append(click(page, wanted, user))
        if len(clicks) >= 20:
            shop.events.record(clicks)
            clicks = []
    return found / pages


def corrections_of(shop: bodega.Shop) -> tuple[str, ...]:
    return max((names for place, names in corrections(shop)._corrections if place == "home"), key=len)


def without(shop: bodega.Shop, user: str) -> list[str]:
    """The same page of a shop that takes no steps."""
    frozen = Engine(replace(shop.engine.learned, correcting=None), shop.engine.shelf, shop.shoppers, shop.settings)
    return list(frozen.answer(Request(place="home", user=user, k=20)).ids)


def used(shop: bodega.Shop) -> tuple[float, float]:
    told = shop.vitals()["steps"]
    return told["home.used"], told["home.rolled_back"]


def test_clicks_move_the_order_and_a_turn_of_the_wind_is_taken_back(stepping, small_shop, rng):
    new = "u0299"  # asked of all sources; somebody of whom there is a log may be answered by few (`leaning`)
    frozen = small_shop.recommend("home", user=new, k=20).ids
    assert stepping.recommend("home", user=new, k=20).ids == frozen
    before = read(stepping, rng, 40, fashion=0.6, other=0.03)
    read(stepping, rng, 200, fashion=0.6, other=0.03)
    assert used(stepping) == (1.0, 0.0)
    after = read(stepping, rng, 40, fashion=0.6, other=0.03)
    assert after > before + 0.5, (before, after)
    explained = stepping.answer(Request(place="home", user=new, k=10, explain=True))
    parts = [part for hit in explained for part in hit.contributions]
    assert any(part.name == "steps" and part.value for part in parts)
    for hit in explained:
        assert sum(part.share for part in hit.contributions) == pytest.approx(1, abs=0.01)
    # Poison: what was learned is now what nobody wants.
    read(stepping, rng, 300, fashion=0.0, other=0.3)
    assert used(stepping)[1] >= 1
    corrections(stepping)._of("home", corrections_of(stepping)).guard.open = False
    assert stepping.recommend("home", user=new, k=20).ids == without(stepping, new)


def test_a_restart_goes_on_a_snapshot_and_an_erasure_begin_anew(stepping, rng):
    read(stepping, rng, 120, fashion=0.5, other=0.1)
    taken = corrections(stepping).vitals()["taken"]
    assert taken > 100
    stepping.close()
    files = list((stepping.folder / correcting.FOLDER).glob("home.*.json"))
    assert len(files) == 1
    kept = files[0].read_bytes()
    with bodega.open(stepping.folder) as again:
        again.recommend("home", user="u0001", k=10)
        held = corrections(again)
        held.save()
        assert files[0].read_bytes() == kept
        again._forget_states(users=["u0001"])
        assert not files[0].exists()
        assert corrections(again).vitals().get("home.used", 0.0) == 0.0
    files[0].parent.mkdir()
    files[0].write_bytes(kept[: len(kept) // 2])
    with bodega.open(stepping.folder) as damaged:
        assert damaged.recommend("home", user="u0001", k=10).ids
        assert not damaged.recommend("home", user="u0001", k=10).degraded


def test_who_sorts_asks_for_nobody_or_answers_late_teaches_nothing(stepping, monkeypatch):
    monkeypatch.setattr(correcting, "PAGES", 2)
    held = corrections(stepping)
    unlearned = [
        Request(place="home", k=5),
        Request(place="home", user="u0001", k=5, personal=False),
        Request(place="home", user="u0001", k=5, sort=Sort.PRICE_UP),
    ]
    for request in unlearned:
        page = stepping.answer(request)
        stepping.events.record([click(page, page.ids[2], "u0001")])
    pages = [stepping.recommend("home", user="u0001", k=5) for _ in range(3)]
    stepping.events.record([click(pages[0], pages[0].ids[2], "u0001")])  # two newer pages are remembered
    assert held.taken == 0
    stepping.events.record([click(pages[1], pages[1].ids[2], "u0001")])
    assert held.taken == 3  # two passed over, one wanted
    stepping.events.record([click(pages[1], pages[1].ids[1], "u0001")])  # judged as passed over already
    stepping.events.record([click(pages[1], pages[1].ids[2], "u0001")])  # delivered again
    assert held.taken == 3
    stepping.events.record([click(pages[1], pages[1].ids[4], "u0001")])
    assert held.taken == 5


def test_workers_take_the_same_steps_whoever_showed_the_page_or_hears_the_click(stepping, tmp_path, rng):
    ring = tmp_path / "ring"
    stepping.join(Ring.create(ring))
    with bodega.open(stepping.folder) as other:
        other.join(Ring(ring))
        page = stepping.recommend("home", user="u0001", k=5)
        other.recommend("home", user="u0002", k=5)
        other.events.record([click(page, page.ids[3], "u0001")])  # the click goes to the worker that did not show it
        stepping.catch_up()
        other.catch_up()
        mine, theirs = corrections(stepping), corrections(other)
        assert mine.taken == theirs.taken == 4
        mine.save()
        [path] = (stepping.folder / correcting.FOLDER).glob("home.*.json")
        first = path.read_bytes()
        theirs.save()
        assert path.read_bytes() == first


def test_a_shop_without_steps_has_none(small_shop):
    assert small_shop.engine.learned.correcting is None
    assert "steps" not in small_shop.vitals()
    assert not (small_shop.folder / correcting.FOLDER).exists()
