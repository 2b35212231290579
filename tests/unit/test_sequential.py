"""The sequential source: torch and numpy agree, the past decides, bad files are refused, a killed training goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from bodega.errors import MissingExtra, SnapshotCorrupt
from bodega.evaluation.splits import sequence_log
from bodega.protocols import Source, Trainable, Training
from bodega.retrieval import _neural
from bodega.retrieval._neural.checkpoint import Checkpoint
from bodega.retrieval._neural.sequences import Sequences
from bodega.retrieval.sequential import Sequential, SequentialOptions, nets, serving
from bodega.retrieval.sequential.options import Kind
from bodega.retrieval.sequential.shapes import encoder_shapes, started
from bodega.retrieval.sequential.vectors import Material
from bodega.schema import Context, Item, ItemTable, Log, World
from bodega.schema.arrays import Floats

KINDS: tuple[Kind, ...] = ("transformer", "gru", "cnn", "hstu")
SMALL = SequentialOptions(dimensions=16, epochs=2, batch=32, negatives=64, titles=8)
WORDS = ("soap", "lacquer", "brush", "cream")


def catalog(n_items: int, offset: int = 0) -> ItemTable:
    """Items of four kinds, named by number."""
    return ItemTable.of(
        Item(id=f"i{row + offset}", title=f"{WORDS[(row + offset) % 4]} number", tags=(WORDS[(row + offset) % 4],))
        for row in range(n_items)
    )


def world(n_items: int = 40, n_shoppers: int = 120, seed: int = 1) -> World:
    """Shoppers who walk upwards through the items, some by one, some by two."""
    rng = np.random.default_rng(seed)
    walks = []
    for shopper in range(n_shoppers):
        steps = np.arange(rng.integers(2, 12)) * (1 + shopper % 2) + rng.integers(0, n_items)
        walks.append((steps % n_items).astype(np.int32))
    log = sequence_log(walks)
    return World(catalog(n_items), log, until=float(log.time[-1]) + 60)


def asked(*items: int, place: str = "home", anchors: tuple[int, ...] = ()) -> Context:
    n = len(items)
    return Context(
        place=place,
        now=60.0 * n,
        history=np.array(items, np.int32),
        times=np.arange(n) * 7_200.0,
        actions=np.full(n, 3, np.int8),
        items=np.array(anchors, np.int32),
    )


@pytest.fixture(scope="module")
def small() -> Sequential:
    return Sequential(SMALL).fit(world())


def random_weights(options: SequentialOptions) -> dict[str, Floats]:
    rng = np.random.default_rng(1)
    found = started(encoder_shapes(options), rng)
    return {name: (array + 0.1 * rng.standard_normal(array.shape)).astype(np.float32) for name, array in found.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_numpy_says_what_torch_says(kind: Kind) -> None:
    options = SequentialOptions(encoder=kind)
    weights = random_weights(options)
    rows = np.random.default_rng(2).standard_normal((3, 50, 64)).astype(np.float32)
    turned = {name: torch.from_numpy(array) for name, array in weights.items()}
    states = nets.encode(options, turned, torch.from_numpy(rows), lambda x: x).numpy()
    reader = serving.Reader(options, weights)
    for row in range(3):
        for steps in (1, 2, 3, 7, 8, 9, 50):
            assert np.abs(states[row, steps - 1] - reader.state(rows[row, :steps])).max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_no_state_knows_what_comes_after_it(kind: Kind) -> None:
    options = SequentialOptions(encoder=kind, dimensions=16)
    turned = {name: torch.from_numpy(array) for name, array in random_weights(options).items()}
    rows = torch.from_numpy(np.random.default_rng(2).standard_normal((2, 20, 16)).astype(np.float32))
    changed = rows.clone()
    changed[:, 12:] *= -1
    before, after = (nets.encode(options, turned, x, lambda x: x) for x in (rows, changed))
    assert torch.allclose(before[:, :12], after[:, :12], atol=1e-6)
    assert not torch.allclose(before[:, 12:], after[:, 12:], atol=1e-2)


def test_both_sides_read_what_comes_after() -> None:
    for kind in ("transformer", "hstu"):
        options = SequentialOptions(encoder=kind, dimensions=16)
        turned = {name: torch.from_numpy(array) for name, array in random_weights(options).items()}
        rows = torch.from_numpy(np.random.default_rng(2).standard_normal((2, 20, 16)).astype(np.float32))
        changed = rows.clone()
        changed[:, 19] *= -1
        before, after = (nets.encode(options, turned, x, lambda x: x, both_sides=True) for x in (rows, changed))
        assert not torch.allclose(before[:, 0], after[:, 0], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_encoder_learns_to_walk(kind: Kind) -> None:
    options = SequentialOptions(
        encoder=kind,
        dimensions=16,
        epochs=40,
        batch=32,
        negatives=64,
        rate=1e-2,
        dropout=0.0,
        attributes=False,
        titles=0,
    )
    source = Sequential(options).fit(world(n_shoppers=300))
    by_one = source.retrieve(asked(10, 11, 12, 13), 3).items
    by_two = source.retrieve(asked(7, 9, 11, 13), 3).items
    assert by_one[0] == 14
    assert by_two[0] == 15


def test_it_is_a_source_that_trains() -> None:
    assert isinstance(Sequential(), Source)
    assert isinstance(Sequential(), Trainable)


def test_anchors_are_the_newest_steps_and_no_answer(small: Sequential) -> None:
    both = small.score(asked(3, 4, anchors=(5,)), np.arange(40, dtype=np.int32))
    assert np.isnan(both[5])
    assert np.isfinite(np.delete(both, 5)).all()
    without = small.score(asked(3, 4), np.arange(40, dtype=np.int32))
    assert not np.allclose(np.delete(both, 5), np.delete(without, 5))


def test_the_reason_is_a_step_that_people_want_with_the_item() -> None:
    small = Sequential(msgspec.structs.replace(SMALL, attributes=False, titles=0)).fit(world(n_shoppers=300))
    named = small.because(asked(3, 20, 30), np.array([31, 4], np.int32), 2)
    assert named.shape == (2, 2)
    assert named[:, 0].tolist() == [30, 3]
    assert (small.because(asked(), np.array([31], np.int32), 2) == -1).all()


def test_an_unused_action_is_neutral(small: Sequential) -> None:
    """Nobody viewed anything here: an anchor read as a view scores as one put into a basket."""
    everything = np.arange(40, dtype=np.int32)
    looked = small.score(asked(3, anchors=(5,), place="similar"), everything)
    basket = small.score(asked(3, anchors=(5,), place="basket"), everything)
    assert np.array_equal(looked, basket, equal_nan=True)


def test_histories_of_every_length(small: Sequential) -> None:
    everything = np.arange(40, dtype=np.int32)
    assert np.isnan(small.score(asked(), everything)).all()
    assert len(small.retrieve(asked(), 5)) == 0
    assert np.isfinite(small.score(asked(1), everything)).all()
    long = tuple((np.arange(10_000) % 40).tolist())
    assert np.array_equal(small.score(asked(*long), everything), small.score(asked(*long[-50:]), everything))
    owns_all = small.retrieve(asked(*range(40)), 40)
    assert len(owns_all) == 40


def test_cold_items_speak_through_the_catalog_or_not_at_all() -> None:
    held = world()
    new, mute = Item(id="new", title="soap number", tags=("soap",)), Item(id="mute", title="")
    more = ItemTable.of([*(held.items.item(row) for row in range(40)), new, mute])
    cold = World(more, held.log, held.until)
    source = Sequential(SMALL).fit(cold)
    scores = source.score(asked(1, 2), np.arange(42, dtype=np.int32))
    assert np.isfinite(scores[40])
    assert np.isnan(scores[41])
    shy = Sequential(msgspec.structs.replace(SMALL, cold=False)).fit(cold)
    assert np.isnan(shy.score(asked(1, 2), np.arange(42, dtype=np.int32))[40:]).all()
    assert len(source.retrieve(asked(41), 5)) == 0, "a history of items that nothing is known of"


def test_nothing_to_learn_needs_no_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_neural, "find_spec", lambda name: None)
    log = sequence_log([np.array([3], np.int32), np.array([4], np.int32)])
    source = Sequential(SMALL).fit(World(catalog(10), log, 1e6))
    assert "silent" in source.notes[0]
    source.save(tmp_path)
    assert len(Sequential.load(tmp_path, catalog(10)).retrieve(asked(3), 5)) == 0
    with pytest.raises(MissingExtra, match=r"bodega\[neural\]"):
        Sequential(SMALL).fit(world())


@pytest.mark.parametrize("name", ["vectors", "position", "layer1.read", "norm.gain"])
def test_a_number_that_is_none_is_refused(small: Sequential, tmp_path: Path, name: str) -> None:
    small.save(tmp_path)
    held = np.load(tmp_path / f"{name}.npy")
    held.reshape(-1)[-1] = np.nan
    np.save(tmp_path / f"{name}.npy", held)
    with pytest.raises(SnapshotCorrupt, match=name):
        Sequential.load(tmp_path, catalog(40))


def test_weights_of_another_catalog_are_refused(small: Sequential, tmp_path: Path) -> None:
    small.save(tmp_path)
    with pytest.raises(SnapshotCorrupt, match="shape"):
        Sequential.load(tmp_path, catalog(39))


@pytest.mark.parametrize(
    "extra",
    [
        {"masked": 0.3}, {"contrast": 0.1}, {"adversarial": 0.5}, {"popular": 0.5}, {"popular": 0.5, "correction": 1.0},
        {"svd": 0.0}, {"attributes": False}, {"titles": 0}, {"weight_decay": 0.1}, {"patience": 1},
    ],
    ids=str,
)  # fmt: skip
def test_every_option_changes_what_is_learned(small: Sequential, extra: dict[str, float]) -> None:
    options = msgspec.convert({**msgspec.to_builtins(SMALL), **extra}, SequentialOptions)
    other = Sequential(options).fit(world())
    everything = np.arange(40, dtype=np.int32)
    one, two = small.score(asked(1, 2), everything), other.score(asked(1, 2), everything)
    assert np.isfinite(two).all()
    assert not np.array_equal(one, two)


def test_a_log_decides_how_long_it_is_learned_from() -> None:
    options = SequentialOptions(epochs=16, guesses=2_500_000)
    assert [options.epochs_for(n) for n in (0, 100, 131_000, 500_000, 9_000_000)] == [16, 16, 16, 5, 1]


def test_a_large_log_is_read_from_its_newest_end() -> None:
    from bodega.retrieval.sequential.learning import NextItem

    log = sequence_log([(np.arange(200) % 40).astype(np.int32) for _ in range(30)])
    material = Material.of(catalog(40), Sequences.of(log), msgspec.structs.replace(SMALL, guesses=1_600))
    task = NextItem(material)
    assert 1_600 <= task.windows.guesses.sum() <= 1_650
    assert set(task.windows.row[:30].tolist()) == set(range(30))


def test_a_warm_start_follows_items_to_their_new_rows(tmp_path: Path) -> None:
    old = world(n_shoppers=300)
    before = Sequential(msgspec.structs.replace(SMALL, epochs=40, rate=1e-2, dropout=0.0)).fit(old)
    turned = ItemTable.of([Item(id="extra", title="soap"), *(old.items.item(row) for row in range(39, -1, -1))])
    moved = World(turned, renamed(old, 40), old.until)
    options = msgspec.structs.replace(before.options, warm=0.025, rate=1e-4)
    before.options = options
    before.save(tmp_path)
    warm, cold = Sequential(options), Sequential(msgspec.structs.replace(options, epochs=1))
    warm.training = Training(previous=tmp_path, known=old.items)
    warm.fit(moved)
    cold.fit(moved)
    assert "last snapshot" in warm.notes[0]
    history = asked(33, 31, 29, 27)  # i7, i9, i11, i13 in their new rows; i15 is row 25
    assert warm.retrieve(history, 1).items[0] == 25
    assert cold.retrieve(history, 1).items[0] != 25


def renamed(held: World, high: int) -> Log:
    """The log with item r called high - r."""
    return replace(held.log, item=(high - held.log.item).astype(np.int32))


def test_another_kind_of_model_is_no_warm_start(small: Sequential, tmp_path: Path) -> None:
    small.save(tmp_path)
    other = Sequential(msgspec.structs.replace(SMALL, encoder="gru", warm=0.5))
    other.training = Training(previous=tmp_path, known=catalog(40))
    other.fit(world())
    alone = Sequential(msgspec.structs.replace(SMALL, encoder="gru")).fit(world())
    assert other.notes == ()
    (tmp_path / "facts.json").write_text('{"encoder": "mamba"}')
    broken = Sequential(msgspec.structs.replace(SMALL, warm=0.5))
    broken.training = Training(previous=tmp_path, known=catalog(40))
    assert broken.fit(world()).notes == ()
    everything = np.arange(40, dtype=np.int32)
    assert np.array_equal(other.score(asked(1), everything), alone.score(asked(1), everything))


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_sequential as t
from bodega.protocols import Training
source = t.Sequential(t.LONG)
source.training = Training(checkpoint=Path(sys.argv[2]))
source.fit(t.world(n_shoppers=200))
source.save(Path(sys.argv[3]))
"""
LONG = msgspec.structs.replace(SMALL, epochs=30, layers=1)


@pytest.mark.faults
def test_killed_half_way_it_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    """kill -9 while epochs are being written; what comes out after a second start is what comes out undisturbed."""
    checkpoint, done, alone = tmp_path / "checkpoint", tmp_path / "done", tmp_path / "alone"
    done.mkdir()
    alone.mkdir()
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(checkpoint), str(done)]
    child = subprocess.Popen(command)
    deadline = time.monotonic() + 120
    while child.poll() is None and time.monotonic() < deadline:
        if list(checkpoint.glob("*.npz")):
            child.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005)
    assert child.wait(60) == -signal.SIGKILL
    assert not any(done.iterdir())
    kept = Checkpoint(checkpoint, next(checkpoint.glob("*.npz")).stem).latest()
    assert kept is not None
    assert 0 < kept.place.epoch < LONG.epochs
    subprocess.run(command, check=True, timeout=120)
    Sequential(LONG).fit(world(n_shoppers=200)).save(alone)
    for path in alone.iterdir():
        assert (done / path.name).read_bytes() == path.read_bytes(), path.name
