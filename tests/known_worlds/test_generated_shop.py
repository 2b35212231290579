"""A whole shop learns the generated world: do its lists come near the truth that nobody told it?"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

import bodega
from bodega.schema import EVENT_CODES, Page
from bodega.testing.world import GeneratedWorld

SHOPPERS = 60


def worth(world: GeneratedWorld, user: str, page: Page) -> float:
    """Mean true affinity of a page's items, as a share of the catalog that this shopper likes less (0 to 1)."""
    row = world.truth.affinity[world.truth.shoppers.index(user)]
    places = np.argsort(np.argsort(row)) / (len(row) - 1)
    return float(np.mean([places[world.truth.items.index(name)] for name in page.ids]))


@pytest.fixture(scope="module")
def asked(small_shop: bodega.Shop, small_world: GeneratedWorld) -> dict[str, list[float]]:
    """Worth of home, popular and stranger's lists for the shoppers, asked at the end of the world."""
    now = datetime.fromtimestamp(small_world.end, UTC)
    found: dict[str, list[float]] = {"home": [], "popular": [], "stranger": []}
    shoppers = small_world.truth.shoppers[:SHOPPERS]
    for number, user in enumerate(shoppers):
        home = small_shop.answer(bodega.Request(place="home", user=user, k=10, time=now))
        popular = small_shop.answer(bodega.Request(place="popular", k=10, time=now))
        found["home"].append(worth(small_world, user, home))
        found["popular"].append(worth(small_world, user, popular))
        found["stranger"].append(worth(small_world, shoppers[number - 1], home))
    return found


def test_home_lists_are_near_the_true_taste(asked: dict[str, list[float]]) -> None:
    """Chance is 0.5 and the ideal 0.96; what everybody is shown lies between."""
    home, popular = np.mean(asked["home"]), np.mean(asked["popular"])
    assert home > 0.75, (home, popular)
    assert home > popular + 0.1, (home, popular)


def test_a_list_fits_its_shopper_and_not_the_neighbour(asked: dict[str, list[float]]) -> None:
    assert np.mean(asked["home"]) > np.mean(asked["stranger"]) + 0.1


def test_what_goes_together_is_found(small_shop: bodega.Shop, small_world: GeneratedWorld) -> None:
    """Of the known pairs, the second kind leads the list around the first, in most cases."""
    kind = dict(zip(small_world.truth.items, small_world.truth.kinds, strict=True))
    hits = []
    for first, second in small_world.truth.complements:
        for item in small_world.truth.of_kind(first):
            page = small_shop.together(item, k=5)
            hits.append(any(kind[name] == second for name in page.ids))
    assert len(hits) > 10
    assert np.mean(hits) > 0.6, np.mean(hits)


def test_words_find_their_kind(small_shop: bodega.Shop, small_world: GeneratedWorld) -> None:
    kind = dict(zip(small_world.truth.items, small_world.truth.kinds, strict=True))
    for query in sorted({one for one in small_world.truth.kinds if " " not in one}):
        english = {item.id for item in small_world.items if item.language == "en" and kind[item.id] == query}
        top = small_shop.search(query, k=3).ids
        if len(english) >= 3:
            assert any(kind[name] == query for name in top), (query, [small_shop.catalog.get(i).title for i in top])


def test_a_word_with_a_typing_error_finds_the_same_kind(small_shop: bodega.Shop, small_world: GeneratedWorld) -> None:
    kind = dict(zip(small_world.truth.items, small_world.truth.kinds, strict=True))
    page = small_shop.search("noodels", k=3)
    assert "noodle" in page.corrected
    assert {kind[name] for name in page.ids} == {"noodles"}


def test_chinese_words_find_chinese_labels(small_shop: bodega.Shop, small_world: GeneratedWorld) -> None:
    chinese = next(item for item in small_world.items if item.language == "zh")
    noun = chinese.description.split("，")[0]
    assert chinese.id in small_shop.search(noun, k=20).ids


def test_what_runs_out_comes_back(small_shop: bodega.Shop, small_world: GeneratedWorld) -> None:
    """`repeat` lists for a household hold its favourites with a rhythm, and nothing it never bought."""
    now = datetime.fromtimestamp(small_world.end, UTC)
    log = small_world.log
    ratios = []
    for row, user in enumerate(small_world.truth.shoppers):
        bought = log.item[(log.user == row) & (log.type == EVENT_CODES["purchase"])]
        counts = np.bincount(bought, minlength=len(small_world.items))
        page = small_shop.answer(bodega.Request(place="repeat", user=user, k=3, time=now))
        if counts.max() >= 5 and not page.degraded:
            places = [small_world.truth.items.index(name) for name in page.ids]
            assert all(counts[places] > 0), (user, page.ids)
            ratios.append(counts[places].mean() / counts[counts > 0].mean())
    assert len(ratios) > 20
    assert np.mean(ratios) > 1.5, np.mean(ratios)
