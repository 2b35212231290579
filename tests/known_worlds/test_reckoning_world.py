"""What each source is worth and whether chances come true, of a shop that has learned: the known world decides."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import bodega
from bodega.engine.judging import PlaceReport
from bodega.testing.world import WorldSpec, make_world

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> dict[str, PlaceReport]:
    world = make_world(WorldSpec(n_items=120, n_shoppers=80, days=40))
    folder: Path = tmp_path_factory.mktemp("reckoned") / "shop"
    with bodega.open(folder) as shop:
        shop.catalog.upsert(world.items)
        shop.events.record(world.events)
        report = shop.learn()
        assert report.published
        told = shop.office.models.report()
        assert [one.place for one in told.places] == [one.place for one in report.places]
        line = shop.office.models.lines()[0]
        assert (line.id, line.current, line.items) == (report.snapshot, True, 120)
        assert [one.what for one in shop.office.models.trail()] == ["publish"]
        drawn = shop.office.models.map()
        assert 0 < drawn.shown <= 1
        assert len(drawn.points) == 120
        again = msgspec.json.encode(shop.office.models.map())
        assert again == msgspec.json.encode(drawn), "it is kept"
        return {one.place: one for one in told.places}


def test_a_source_that_carries_a_list_is_missed(reports):
    measured = {place: one.without for place, one in reports.items() if one.without}
    assert measured, "no list of this world is served by a sum of two sources"
    for without in measured.values():
        for mean, low, high in without.values():
            assert low <= mean <= high
    assert any(low > 0 for without in measured.values() for _, low, _ in without.values())


def test_chances_of_a_known_world_come_true(reports):
    judged = [one.reliability for one in reports.values() if one.reliability.bins]
    assert judged
    for one in judged:
        assert one.low <= one.error <= one.high + 1e-9
        assert sum(each.rows for each in one.bins) == one.rows
        base = one.taken / one.rows
        assert one.error < base, "no better than promising everybody nothing"
