"""Item profiles in a whole shop: learned where they are asked for, weighed, explained, and joined by what is new."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import bodega
from bodega.engine.shop import Shop
from bodega.errors import BadRequest, UnknownItem
from bodega.testing.world import GeneratedWorld, WorldSpec, make_world

PLAIN = '[understand]\nencoder = "none"\nteacher = "none"\n'
ALWAYS = PLAIN + '[profile]\nlearn = "always"\nsteps = 30\ndimensions = 32\n'


@pytest.fixture(scope="module")
def town() -> GeneratedWorld:
    return make_world(WorldSpec(n_items=80, n_shoppers=30, days=15))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, town: GeneratedWorld) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("profiled") / "shop"
    folder.mkdir()
    (folder / "bodega.toml").write_text(ALWAYS, "utf-8")
    with bodega.open(folder) as shop:
        shop.catalog.upsert(town.items)
        shop.events.record(town.events)
        shop.learn()
        yield shop


def test_the_manifest_says_what_counts(shop: Shop) -> None:
    facts = shop.snapshots()[-1].facts
    assert "profile" in facts["sources"]
    gates = facts["profile"]["gates"]
    assert {"words", "attributes", "behaviour"} == set(gates)
    assert all(0 < weight < 1 for weight in gates.values())


def test_the_fusion_decides_how_much_profiles_count(shop: Shop) -> None:
    weights = shop.snapshots()[-1].facts["weights"]
    assert "profile" in weights["similar"]
    page = shop.similar(shop.recommend(place="popular", k=1)[0].id, k=10)
    assert len(page) == 10


def test_a_person_sees_what_counts_for_an_item(shop: Shop, town: GeneratedWorld) -> None:
    item = town.items[0]
    found = shop.profile(item.id, k=5)
    assert found.title == item.title
    assert sum(found.gates.values()) == pytest.approx(1, abs=0.02)
    assert len(found.near) == 5
    assert item.id not in {each.item for each in found.near}
    kinds = dict(zip(town.truth.items, town.truth.kinds, strict=True))
    assert kinds[found.near[0].item] == kinds[item.id]


def test_a_new_item_has_its_profile_at_once(shop: Shop, town: GeneratedWorld) -> None:
    item = msgspec.structs.replace(town.items[0], id="just-in", group="", title=town.items[0].title + " again")
    shop.catalog.upsert([item])
    found = shop.profile("just-in", k=3)
    assert found.new
    assert "behaviour" not in found.gates
    kinds = dict(zip(town.truth.items, town.truth.kinds, strict=True))
    assert kinds[found.near[0].item] == kinds[town.items[0].id]


def test_wrong_questions_are_told(shop: Shop) -> None:
    with pytest.raises(UnknownItem):
        shop.profile("no such item")
    with pytest.raises(BadRequest, match="out of range"):
        shop.profile("x", k=0)


def test_a_shop_without_pictures_learns_none_and_says_nothing(tmp_path: Path, town: GeneratedWorld) -> None:
    (tmp_path / "bodega.toml").write_text(PLAIN, "utf-8")
    with bodega.open(tmp_path) as shop:
        shop.catalog.upsert(town.items[:30])
        report = shop.learn()
        assert "profile" not in report.facts["sources"]
        assert not any("profile" in note for note in (*report.notes, *shop.recommend(k=3).degraded))
        with pytest.raises(BadRequest, match="no item profiles"):
            shop.profile(town.items[0].id)
