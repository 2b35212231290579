"""The dense source on a handful of products whose nearness is known, and what it does when its encoder is not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from bodega.errors import EndpointFailed, MissingExtra, NotLearned
from bodega.protocols import Encoder, EncoderInfo
from bodega.retrieval import dense as module
from bodega.retrieval.dense import Chance, Dense
from bodega.schema import Context, Item, ItemTable, World
from bodega.testing.fakes import FakeEncoder
from bodega.testing.world import WorldSpec, make_world
from bodega.understanding.text.passages import passage
from bodega.understanding.text.training import TrainingOptions, train

PRODUCTS = (
    Item(id="a", title="garden hose", brand="Aqua"),
    Item(id="b", title="garden hose reel"),
    Item(id="c", title="toner black"),
    Item(id="d", title="!!!"),
    Item(id="e", title="garden hose", brand="Aqua"),
)
ALL = np.arange(len(PRODUCTS), dtype=np.int32)


def world_of(items: Sequence[Item]) -> World:
    empty = make_world(WorldSpec(n_items=16, n_shoppers=1, days=1))
    return World(ItemTable.of(items), empty.log.where(np.zeros(len(empty.log), bool)), empty.end)


def asked(query: str) -> Context:
    return Context(place="search", query=query)


@pytest.fixture
def source() -> Dense:
    return Dense(lambda world: FakeEncoder()).fit(world_of(PRODUCTS))


def saved(source: Dense, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    source.save(folder)
    return folder


def test_the_nearest_come_first_and_equal_ones_in_the_order_of_the_catalog(source: Dense) -> None:
    got = source.retrieve(asked("garden hose"), 10)
    assert got.items.tolist()[:3] == [1, 0, 4]
    assert 3 not in got.items, "an item without words has no direction"
    assert got.score[1] == got.score[2]
    encoder = FakeEncoder()
    right = encoder.encode([passage(item) for item in PRODUCTS]) @ encoder.encode(["garden hose"])[0]
    assert np.allclose(got.score, right[got.items], atol=1e-4)
    assert got.sources == ("dense",)


def test_score_is_the_cosine_and_nan_where_nothing_is_said(source: Dense) -> None:
    scores = source.score(asked("toner black"), ALL)
    assert scores[2] == pytest.approx(1.0, abs=1e-4)
    assert np.isnan(scores[3])
    assert np.isnan(source.score(asked("?!"), ALL)).all()
    assert len(source.retrieve(asked("?!"), 5)) == 0
    assert len(source.retrieve(Context(), 5)) == 0


def test_a_filter_is_part_of_the_search(source: Dense) -> None:
    keep = np.array([False, False, True, True, True])
    got = source.within(asked("garden hose"), keep, 10)
    assert sorted(got.items.tolist()) == [2, 4]
    assert got.items[0] == 4


def test_two_encoders_stand_side_by_side() -> None:
    one, two = (Dense(lambda world, n=n: FakeEncoder(n), name=f"dense{n}").fit(world_of(PRODUCTS)) for n in (16, 64))
    assert one.retrieve(asked("toner"), 1).sources == ("dense16",)
    assert two.info is not None
    assert two.info.dimensions == two.vectors.dimensions == 64
    assert two.vectors.vectors(ALL).shape == (5, 64)
    assert len(two) == 5


def test_a_query_is_encoded_once(source: Dense) -> None:
    encoder = source._encoder
    assert isinstance(encoder, FakeEncoder)
    beside = source.beside(ItemTable.of([Item(id="f", title="garden gnome")]))
    encoder.asked.clear()
    for _ in range(2):
        source.retrieve(asked("garden hose"), 3)
        source.score(asked(" garden hose "), ALL)
        source.match("garden hose")
        beside.retrieve(asked("garden hose"), 3)
    assert encoder.asked == ["garden hose"]
    source.retrieve(asked("x" * 5_000), 3)
    assert max(map(len, encoder.asked)) == module.LONGEST_QUERY


def test_items_beside_are_found_at_once_on_the_same_scale(source: Dense) -> None:
    late = Item(id="f", title="toner black")
    beside = source.beside(ItemTable.of([Item(id="g", title="garden gnome"), late]))
    got = beside.retrieve(asked("toner black"), 1)
    assert got.items.tolist() == [1]
    assert got.score[0] == pytest.approx(float(source.score(asked("toner black"), ALL)[2]), abs=1e-6)
    assert beside.floor("toner black") == source.floor("toner black")
    assert len(source.beside(ItemTable.of([])).retrieve(asked("toner"), 3)) == 0


@pytest.fixture(scope="module")
def large() -> tuple[Dense, Sequence[Item]]:
    items = make_world(WorldSpec(n_items=600, n_shoppers=1, days=1)).items
    return Dense(lambda world: FakeEncoder(128)).fit(world_of(items)), items


def test_the_floor_lets_what_is_meant_pass_and_stops_strangers(large: tuple[Dense, Sequence[Item]]) -> None:
    source, items = large
    kept, stray = [], []
    for row in range(0, 600, 7):
        query = " ".join(items[row].title.split()[1::2])
        context, floor = asked(query), source.floor(query)
        scores = source.score(context, np.arange(600, dtype=np.int32))
        kept.append(scores[row] >= floor)
        stray.append(np.mean(scores >= floor))
        near = source.match(query)
        assert (near.cosines >= floor).all()
        assert len(near.items) == np.count_nonzero(scores >= floor)
        assert np.array_equal(near.items, source.retrieve(context, len(near.items)).items)
    assert np.mean(kept) >= 0.8
    assert np.mean(stray) <= 0.05
    assert len(source.match("no such words anywhere", limit=600).items) <= 0.02 * 600
    assert len(source.match("milk", limit=3, floor=-1.0).items) == 3


def test_the_floor_is_half_way_to_the_best_neighbour_but_above_strangers(
    large: tuple[Dense, Sequence[Item]], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, items = large
    query = items[5].title
    around = source._background @ source.question(query)
    best = source.retrieve(asked(query), 1).score[0]
    assert source.floor(query) == pytest.approx((around.mean() + best) / 2, abs=1e-4)
    for share in (0.7, module.NEARLY):
        level = share * (best - around.mean()) / around.std() if share < module.NEARLY else 1_000.0
        monkeypatch.setattr(source, "chance", Chance((0.0, level, 2_000.0)))
        source.floor("another")  # the floor of the last query is remembered
        assert source.floor(query) == pytest.approx(around.mean() + share * (best - around.mean()), abs=1e-3)


def test_chance_is_saved(large: tuple[Dense, Sequence[Item]], tmp_path: Path) -> None:
    source, _ = large
    twin = Dense.load(saved(source, tmp_path), world_of(PRODUCTS).items, lambda info: FakeEncoder(128))
    assert twin.chance == source.chance
    assert twin.chance.own[0] < twin.chance.own[2]
    assert twin.chance.strangers[0] < twin.chance.strangers[2]
    assert twin.floor("fresh milk") == source.floor("fresh milk")


def test_an_encoder_that_was_learned_comes_with_the_source(tmp_path: Path) -> None:
    world = make_world(WorldSpec(n_items=80, n_shoppers=5, days=5)).world()
    source = Dense(lambda known: train(known, TrainingOptions(seconds=1, dimensions=16))[0]).fit(world)
    twin = Dense.load(saved(source, tmp_path), world.items)
    assert twin.working
    assert twin.info == source.info
    title = world.items.titles[3]
    one, two = source.retrieve(asked(title), 10), twin.retrieve(asked(title), 10)
    assert len(one) == 10
    assert np.array_equal(one.items, two.items)
    assert np.array_equal(one.score, two.score)


def missing(info: EncoderInfo) -> Encoder:
    raise MissingExtra.named("encoders", needed_for=f"the encoder '{info.name}'")


@pytest.mark.parametrize(
    ("reopen", "told"),
    [
        (missing, "pip install 'bodega\\[encoders\\]'"),
        (None, "nobody told how to open the encoder fake"),
        (lambda info: FakeEncoder(name="other"), "other.*bodega learn"),
        (lambda info: FakeEncoder(8), "8 directions.*bodega learn"),
    ],
    ids=["not installed", "no way to open it", "other weights", "other size"],
)
def test_without_its_encoder_it_is_silent_and_says_why(
    source: Dense, tmp_path: Path, reopen: Callable[[EncoderInfo], Encoder] | None, told: str
) -> None:
    twin = Dense.load(saved(source, tmp_path), world_of(PRODUCTS).items, reopen)
    assert not twin.working
    with pytest.raises(AssertionError, match=told):
        raise AssertionError("\n".join(twin.notes))
    assert twin.info is not None
    assert twin.info.name == "fake"
    assert len(twin.retrieve(asked("garden hose"), 3)) == 0
    assert np.isnan(twin.score(asked("garden hose"), ALL)).all()
    assert len(twin.match("garden hose").items) == 0
    assert twin.floor("garden hose") == float("inf")
    beside = twin.beside(ItemTable.of(PRODUCTS[:2]))
    assert beside.notes == twin.notes
    assert len(beside.retrieve(asked("garden hose"), 3)) == 0
    assert twin.vectors.vectors(ALL).shape == (5, 32), "the vectors of items are there all the same"


class Flaky(FakeEncoder):
    """An endpoint that can be switched off."""

    down = False

    def encode(self, texts: Sequence[str], *, query: bool = False) -> np.ndarray:
        if self.down:
            raise EndpointFailed("the encoder's endpoint did not answer", next="see whether the server runs")
        return super().encode(texts, query=query)


def test_a_failing_endpoint_costs_one_attempt_and_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Flaky()
    source = Dense(lambda world: encoder).fit(world_of(PRODUCTS))
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    encoder.down = True
    assert len(source.retrieve(asked("garden hose"), 3)) == 0
    assert "did not answer" in source.trouble
    beside = source.beside(ItemTable.of(PRODUCTS[:1]))
    assert not beside.working
    assert "did not answer" in beside.notes[0]
    encoder.down = False
    assert len(source.retrieve(asked("garden hose"), 3)) == 0, "it is left alone for a while"
    now[0] += module.PAUSE
    assert not source.trouble
    assert len(source.retrieve(asked("garden hose"), 3)) == 3


def test_an_opened_source_cannot_be_fitted_and_says_what_to_do(source: Dense, tmp_path: Path) -> None:
    twin = Dense.load(saved(source, tmp_path), world_of(PRODUCTS).items, lambda info: FakeEncoder())
    with pytest.raises(NotLearned, match="Dense\\(make\\)"):
        twin.fit(world_of(PRODUCTS))


def test_chinese_titles_are_halved_in_the_middle() -> None:
    assert module._half("红富士苹果礼盒") == "红富士苹"
    assert module._half("garden hose with reel") == "garden with"
    assert module._half("") == ""
