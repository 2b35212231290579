"""The generative source: numpy says what torch says, bad input, what is refused, what survives a kill."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bodega.errors import BodegaError, MissingExtra, SnapshotCorrupt
from bodega.protocols import Trainable, Training
from bodega.retrieval.generative import Generative, GenerativeOptions
from bodega.retrieval.generative._network import Depth, shapes, step_vectors, timeline
from bodega.retrieval.generative._steps import Language, Steps, read
from bodega.retrieval.generative._t5 import EncoderDecoder
from bodega.schema import EVENT_CODES, Context, Item, ItemTable, Log, World
from bodega.testing.checks import small_world

torch = pytest.importorskip("torch")

TINY = GenerativeOptions(dimensions=16, hidden=32, layers=2, epochs=(1, 1), length=20)


@pytest.fixture(scope="module")
def world() -> World:
    """The generated shop: views, clicks, purchases and searches."""
    return small_world().world()


@pytest.fixture(scope="module")
def fitted(world: World) -> Generative:
    return Generative(msgspec.structs.replace(TINY, people=2)).fit(world)


@pytest.fixture
def context() -> Context:
    return small_world().context("u0001")


class Killed(Exception):
    """The process is gone."""


class Dying:
    """A progress that kills the training at a step."""

    def __init__(self, at: int) -> None:
        self.left = at

    def start(self, task: str, total: float | None = None) -> None: ...

    def advance(self, amount: float = 1.0) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed

    def finish(self) -> None: ...


def lesson_of(source: Generative, world: World) -> Any:
    from bodega.retrieval._neural.sequences import Sequences
    from bodega.retrieval.generative._ids import SemanticIds, kmeans
    from bodega.retrieval.generative._lesson import Lesson
    from bodega.retrieval.generative._trie import Trie

    options = source.options
    language = Language.of(world.log, options.people)
    ids = SemanticIds.learn(world.items, Sequences.of(world.log, seed=options.seed), options, kmeans)
    trie = Trie.of(ids.codes, ids.digit, ids.has_id, options.newcomers)
    return Lesson(options, ids, Steps.of(world, language, seed=options.seed), language, trie.old[trie.leaf_of])


@pytest.mark.parametrize("decoder", ["depth", "t5"])
def test_numpy_says_what_torch_says(decoder: str, world: World) -> None:
    """One history of items and searches, every level: both forms of the network within 1e-4."""
    from bodega.retrieval._neural.loop import Noise
    from bodega.retrieval.generative import _learning as taught

    options = msgspec.structs.replace(TINY, decoder=decoder, people=2)
    source = Generative(options).fit(world)
    lesson = lesson_of(source, world)
    task = taught.GenerativeTask(lesson)
    rng = np.random.default_rng(5)
    weights = {name: rng.standard_normal(shape).astype(np.float32) * 0.3
               for name, shape in shapes(options, lesson.size).items()}  # fmt: skip
    source._weights = weights
    source._settle(source._vectors_of(lesson.codes, lesson.vectors))
    rows = lesson.steps.rows
    search = int(np.flatnonzero(rows.items[:-12] >= len(world.items))[3])
    at = slice(search, search + 12)  # whose steps they are does not matter here
    steps, actions = rows.items[at], rows.actions[at]
    held = {name: torch.from_numpy(array) for name, array in weights.items()}
    n = len(steps)
    batch = taught.Batch(
        torch.from_numpy(steps[None].astype(np.int64)), torch.from_numpy(actions[None].astype(np.int64)),
        torch.tensor([n]), torch.tensor([[0, n - 1]]), torch.tensor([3]), torch.empty(0, dtype=torch.int64),
    )  # fmt: skip
    quiet = Noise(0.0, 1)
    theirs = taught.timeline(held, task, batch, quiet)
    bags = tuple((place, tuple(word for word in lesson.steps.bags[step - len(world.items)].tolist() if word >= 0))
                 for place, step in enumerate(steps) if step >= len(world.items))  # fmt: skip
    from bodega.retrieval.generative._steps import Read

    request = Read(np.where(steps < len(world.items), steps, -1).astype(np.int32), actions, bags)
    ours = timeline(weights, options, step_vectors(weights, source._vectors, request), causal=decoder == "depth")
    np.testing.assert_allclose(ours, theirs[0].numpy(), atol=1e-4)
    item = torch.tensor([3])
    path = lesson.codes[3:4]
    for level in range(options.levels + 1):
        if decoder == "depth":
            got = Depth(weights, ours[-1]).logits(level, path[:, :level])
            want = taught.depth(held, task, level, theirs[:, n - 1], item)
        else:
            got = EncoderDecoder(weights, options, ours).logits(level, path[:, :level])
            want = taught.crossed(held, task, level, (theirs, torch.tensor([n])), item, quiet)
        np.testing.assert_allclose(got, want.numpy(), atol=1e-4)


@pytest.mark.parametrize("changes", [{"decoder": "t5"}, {"ids": "rqvae"}, {"rescoring": 0.0}, {"side": False}])
def test_every_form_learns_saves_and_answers(
    changes: dict[str, Any], world: World, context: Context, tmp_path: Path
) -> None:
    source = Generative(msgspec.convert(msgspec.structs.asdict(TINY) | changes, GenerativeOptions)).fit(world)
    source.save(tmp_path)
    again = Generative.load(tmp_path, world.items)
    one, two = source.retrieve(context, 20), again.retrieve(context, 20)
    assert len(one) == 20
    assert np.array_equal(one.items, two.items)
    assert np.array_equal(one.score, two.score)
    (tmp_path / "second").mkdir()
    again.save(tmp_path / "second")
    for path in (tmp_path / "second").iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()


def test_it_is_a_source_that_trains(fitted: Generative) -> None:
    assert isinstance(fitted, Trainable)
    assert fitted.name == "generative"


def test_what_the_shopper_has_comes_again_only_where_people_buy_again(world: World, context: Context) -> None:
    had = np.unique(context.history)
    once, again = (Generative(msgspec.structs.replace(TINY, repeats=repeats)).fit(world) for repeats in (False, True))
    assert not np.isin(once.retrieve(context, 99).items, had).any()
    assert np.isin(again.retrieve(context, 99).items, had).any()
    assert Generative(TINY).fit(world).repeats, "in this shop people buy things again"
    disliked = replace(context, disliked=again.retrieve(context, 5).items)
    assert not np.isin(again.retrieve(disliked, 99).items, disliked.disliked).any()


@pytest.mark.parametrize("length", [1, 3, 10_000])
def test_histories_of_every_length(fitted: Generative, length: int) -> None:
    rng = np.random.default_rng(length)
    history = rng.integers(0, 120, length).astype(np.int32)
    purchase = np.full(length, EVENT_CODES["purchase"], np.int8)
    asked = Context(history=history, times=np.arange(length) * 1e4, actions=purchase, now=1e9)
    got = fitted.retrieve(asked, 10)
    assert len(got) == 10
    assert np.isfinite(got.score).all()
    untimed = Context(history=history, now=1e9)
    assert np.array_equal(fitted.retrieve(untimed, 10).items, got.items), "a caller without times is served the same"


def test_a_user_who_bought_everything_in_a_shop_where_nobody_buys_again(world: World) -> None:
    source = Generative(msgspec.structs.replace(TINY, repeats=False)).fit(world)
    everything = np.arange(120, dtype=np.int32)
    assert len(source.retrieve(Context(history=everything, now=1e9), 10)) == 0
    left = source.retrieve(Context(history=everything[1:], now=1e9), 10).items
    assert left.tolist() in ([0], [])


def test_nobody_and_silence(fitted: Generative, world: World) -> None:
    assert len(fitted.retrieve(Context(), 10)) == 0
    few = World(world.items, world.log.where(np.arange(len(world.log)) < 10), world.until)
    source = Generative(TINY).fit(few)
    assert len(source.retrieve(Context(history=np.array([1], np.int32)), 10)) == 0
    assert source.next_queries(Context(query="milk")) == []


def test_a_weight_that_is_no_number_is_refused(fitted: Generative, world: World, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    for name in ("out0", "vectors", "books"):
        array = np.load(tmp_path / f"{name}.npy")
        broken = array.copy()
        broken.flat[0] = np.nan
        np.save(tmp_path / f"{name}.npy", broken)
        with pytest.raises(SnapshotCorrupt, match=name):
            Generative.load(tmp_path, world.items)
        np.save(tmp_path / f"{name}.npy", array[:-1])
        with pytest.raises(SnapshotCorrupt, match=name):
            Generative.load(tmp_path, world.items)
        np.save(tmp_path / f"{name}.npy", array)
    source = Generative.load(tmp_path, world.items)
    (tmp_path / "second").mkdir()
    source._weights = {**source._weights, "out0": np.full_like(source._weights["out0"], np.inf)}
    with pytest.raises(BodegaError, match="not finite"):
        source.save(tmp_path / "second")


def test_codes_of_another_catalog_are_refused(fitted: Generative, world: World, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    for name, wrong in (("codes", np.full((120, 3), 999, np.int16)), ("digit", np.zeros(7, np.int16))):
        array = np.load(tmp_path / f"{name}.npy")
        np.save(tmp_path / f"{name}.npy", wrong)
        with pytest.raises(SnapshotCorrupt, match=name):
            Generative.load(tmp_path, world.items)
        np.save(tmp_path / f"{name}.npy", array)


@pytest.mark.parametrize("dies_at", [2, 5])
def test_a_training_that_was_killed_goes_on(world: World, tmp_path: Path, dies_at: int) -> None:
    options = msgspec.structs.replace(TINY, epochs=(3, 3), layers=1)
    whole = Generative(options).fit(world)
    source = Generative(options)
    source.training = Training(progress=Dying(dies_at), checkpoint=tmp_path)
    with pytest.raises(Killed):
        source.fit(world)
    source = Generative(options)
    source.training = Training(checkpoint=tmp_path)
    source.fit(world)
    for name, array in whole._weights.items():
        assert array.tobytes() == source._weights[name].tobytes(), name


def test_without_torch_the_error_says_what_to_install(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for module in [name for name in sys.modules if name.startswith("bodega.retrieval.generative._")]:
        if module.endswith(("_learning", "_rqvae")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, "bodega.retrieval._neural.loop", raising=False)
    for options in (TINY, msgspec.structs.replace(TINY, ids="rqvae")):
        with pytest.raises(MissingExtra, match=r"bodega\[neural\]"):
            Generative(options).fit(world)


def test_a_request_is_read_as_training_rows_are() -> None:
    """History, searches and anchors in the order of time; a repeat within the hour is one step; the newest stay."""
    spoken = Language(("tent", "pegs"), ("tent",))
    asked = Context(
        history=np.array([4, 4, 7], np.int32),
        times=np.array([0.0, 60.0, 9_000.0]),
        actions=np.array([EVENT_CODES["view"], EVENT_CODES["purchase"], EVENT_CODES["click"]], np.int8),
        searches=((30.0, "unknown words"), (100.0, "Tents pegs")),
        items=np.array([9, 2, 9], np.int32),
        query="tent",
    )
    steps = read(asked, spoken, 50)
    assert steps.items.tolist() == [4, -1, 7, 2, 9, -1]
    assert [at for at, _ in steps.bags] == [1, 5]
    assert steps.bags[1][1] == (0,)
    assert steps.actions[0] == EVENT_CODES["purchase"]
    short = read(asked, spoken, 2)
    assert short.items.tolist() == [9, -1]
    assert short.bags == ((1, (0,)),)


def test_searches_of_few_people_are_not_remembered() -> None:
    texts = ("red shoes", "red SHOES", "my secret 123", "shoes")
    query = np.array([0, 1, 0, 2, 2, 2, 3, 3], np.int32)
    user = np.array([0, 1, 2, 3, 3, 3, 4, 5], np.int32)
    n = len(query)
    log = Log(
        time=np.arange(n) * 1.0, type=np.full(n, EVENT_CODES["search"], np.int8), user=user, session=user,
        item=np.full(n, -1, np.int32), quantity=np.ones(n, np.float32), value=np.full(n, np.nan, np.float32),
        query=query, position=np.full(n, -1, np.int32), n_users=6, n_sessions=6, queries=texts,
    )  # fmt: skip
    spoken = Language.of(log, 3)
    assert spoken.queries == ("red shoes",)
    assert len(spoken.words) == 2
    assert not spoken.bag("my secret 123")
    assert spoken.words[0] == spoken.words[spoken.bag("shoes")[0]]
    silent = World(ItemTable.of([Item(id="a")]), log, 1e9)
    assert len(Steps.of(silent, spoken, seed=1).rows.items) == 3 + 2  # red shoes x 3, shoes x 2


def test_a_search_and_the_clicks_that_repeat_it_are_one_step(world: World) -> None:
    """In the generated shop every impression and click after a search carries its query."""
    spoken = Language.of(world.log, 2)
    rows = Steps.of(world, spoken, seed=1).rows
    searches = rows.items >= len(world.items)
    told = np.count_nonzero(world.log.query >= 0)
    assert 30 < np.count_nonzero(searches) < told / 3
    one = rows.items[1:] == rows.items[:-1]
    near = rows.times[1:] - rows.times[:-1] < 60
    assert not (one & near & searches[1:] & searches[:-1]).any()
