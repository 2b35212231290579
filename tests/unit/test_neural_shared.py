"""What the neural sources share: rows of a log, a start from co-occurrence, checked weights, one training loop."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bodega.errors import BodegaError, MissingExtra, SnapshotCorrupt
from bodega.evaluation.splits import sequence_log
from bodega.protocols import Training
from bodega.retrieval import _neural
from bodega.retrieval._neural.loop import Noise, Plan, bucketed, train
from bodega.retrieval._neural.sequences import Sequences, collapsed
from bodega.retrieval._neural.side import attribute_bags, attribute_names, title_vectors
from bodega.retrieval._neural.svd import behaviour_vectors
from bodega.retrieval._neural.weights import load_weights, save_weights
from bodega.schema import EVENT_CODES, Item, ItemTable, Log


def log_of(rows: list[tuple[int, float, int, str]]) -> Log:
    """(user, time, item, action), in order of time."""
    user, when, item, action = zip(*rows, strict=True)
    n = len(rows)
    return Log(
        time=np.array(when, np.float64),
        type=np.array([EVENT_CODES[name] for name in action], np.int8),
        user=np.array(user, np.int32),
        session=np.array(user, np.int32),
        item=np.array(item, np.int32),
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=np.full(n, -1, np.int32),
        position=np.full(n, -1, np.int32),
        n_users=max(user) + 1,
        n_sessions=max(user) + 1,
    )


def test_rows_are_shoppers_in_order_of_time() -> None:
    rows = [(1, 0.0, 5, "view"), (0, 10.0, 3, "view"), (1, 20.0, 6, "purchase"), (1, 30.0, -1, "view")]
    found = Sequences.of(log_of(rows))
    assert found.user.tolist() == [0, 1]
    assert [found.row(shopper).tolist() for shopper in range(2)] == [[3], [5, 6]]
    assert found.actions.tolist() == [EVENT_CODES["view"], EVENT_CODES["view"], EVENT_CODES["purchase"]]


def test_seen_and_bought_within_the_hour_is_one_step() -> None:
    rows = [(0, 0.0, 4, "view"), (0, 60.0, 4, "cart"), (0, 120.0, 4, "purchase"), (0, 90_000.0, 4, "purchase")]
    found = Sequences.of(log_of(rows))
    assert found.items.tolist() == [4, 4]
    assert found.actions.tolist() == [EVENT_CODES["purchase"]] * 2
    assert found.times.tolist() == [120.0, 90_000.0]
    assert collapsed(np.array([4, 4, 4], np.int32), np.array([0.0, 60.0, 9e4])).tolist() == [False, True, True]


def test_next_shopper_with_the_same_item_keeps_his_own() -> None:
    found = Sequences.of(log_of([(0, 5.0, 4, "view"), (1, 5.0, 4, "view")]))
    assert [found.row(shopper).tolist() for shopper in range(2)] == [[4], [4]]


def test_a_basket_has_no_order_but_always_the_same_one() -> None:
    rows = [(user, 0.0, item, "purchase") for user in range(40) for item in range(12)]
    one, again = Sequences.of(log_of(rows)), Sequences.of(log_of(rows))
    assert np.array_equal(one.items, again.items)
    firsts = one.items[one.starts[:-1]]
    assert len(set(firsts.tolist())) > 6, "the lowest item always came first"


def test_windows_hold_every_guess_once_newest_first() -> None:
    rng = np.random.default_rng(3)
    log = sequence_log([rng.integers(0, 999, size).astype(np.int32) for size in (1, 2, 7, 50, 51, 52, 180)])
    found = Sequences.of(log)
    windows = found.windows(50)
    assert windows.guesses.sum() == (found.lengths - 1).sum()
    assert windows.guesses.max() == 50
    places = np.concatenate([np.arange(low + 1, high) for low, high in zip(windows.low, windows.high, strict=True)])
    assert len(np.unique(places)) == len(places)
    first_of_row = [windows.row.tolist().index(row) for row in np.unique(windows.row)]
    assert np.array_equal(windows.high[first_of_row], found.starts[np.unique(windows.row) + 1])
    assert max(first_of_row) < len(np.unique(windows.row)), "an older piece comes before somebody's newest"
    block = windows.padded(found.items, -1)
    for piece in range(len(windows)):
        own = found.items[windows.low[piece] : windows.high[piece]]
        assert block[piece, : len(own)].tolist() == own.tolist()
        assert (block[piece, len(own) :] == -1).all()


def test_items_wanted_together_start_near_and_strangers_at_zero() -> None:
    rng = np.random.default_rng(1)
    rows = [rng.choice(20, 6, replace=False) + 20 * (user % 2) for user in range(120)]
    found = Sequences.of(sequence_log([row.astype(np.int32) for row in rows]))
    vectors = behaviour_vectors(found, 45, 8)
    assert np.array_equal(vectors, behaviour_vectors(found, 45, 8))
    assert not vectors[40:].any()
    assert vectors[:40].std() == pytest.approx(1.0, abs=1e-4)
    unit = vectors[:40] / np.linalg.norm(vectors[:40], axis=1, keepdims=True)
    near = unit @ unit.T
    assert near[:20, :20].mean() > near[:20, 20:].mean() + 0.05


def test_a_start_for_two_items_is_padded() -> None:
    found = Sequences.of(sequence_log([np.array([0, 1], np.int32)]))
    vectors = behaviour_vectors(found, 3, 64)
    assert vectors.shape == (3, 64)
    assert vectors[:2].any()
    assert np.isfinite(vectors).all()


def test_side_information_of_a_catalog() -> None:
    items = ItemTable.of(
        [
            Item(id="a", title="red nail lacquer", brand="opi", tags=("x", "y")),
            Item(id="b", title="blue nail lacquer", brand="opi", tags=("x",)),
            Item(id="c", title="soap", brand="other"),
            Item(id="d", title=""),
        ]
    )
    names, bags, words = attribute_names(items), attribute_bags(items), title_vectors(items, 4)
    assert names == ("brand=opi", "tags=x")
    assert bags.toarray().tolist() == [[0.5, 0.5], [0.5, 0.5], [0, 0], [0, 0]]
    assert words.shape == (4, 4)
    assert np.allclose(words[0], words[1], atol=1e-5), "what only one title has says nothing"
    assert not words[3].any()


def test_weights_come_back_and_nothing_wrong_does(tmp_path: Path) -> None:
    held = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b.c": np.ones(2, np.float32)}
    save_weights(tmp_path, held)
    found = load_weights(tmp_path, {"a": (2, 3), "b.c": (2,)})
    assert all(np.array_equal(found[name], held[name]) for name in held)
    with pytest.raises(SnapshotCorrupt, match="shape"):
        load_weights(tmp_path, {"a": (3, 2)})
    with pytest.raises(SnapshotCorrupt):
        load_weights(tmp_path, {"missing": (1,)})
    (tmp_path / "b.c.npy").write_bytes(b"no array")
    with pytest.raises(SnapshotCorrupt):
        load_weights(tmp_path, {"b.c": (2,)})
    np.save(tmp_path / "a.npy", held["a"].astype(np.float64))
    with pytest.raises(SnapshotCorrupt, match="float64"):
        load_weights(tmp_path, {"a": (2, 3)})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_on_both_sides(tmp_path: Path, bad: float) -> None:
    with pytest.raises(BodegaError, match="not finite"):
        save_weights(tmp_path, {"a": np.array([1, bad], np.float32)})
    np.save(tmp_path / "a.npy", np.array([1, bad], np.float32))
    with pytest.raises(SnapshotCorrupt, match=r"a\.npy"):
        load_weights(tmp_path, {"a": (2,)})


class Line:
    """Learn that y is the sum of x; `slow` makes some batches late."""

    def __init__(self, slow: bool = False, dies_at: int = -1) -> None:
        self.slow, self.left = slow, dies_at

    def order(self, epoch: int) -> Sequence[NDArray[np.int64]]:
        return bucketed(np.arange(100) % 7, 8, np.random.default_rng([epoch]))

    def prepare(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        if self.slow and rows[0] % 3 == 0:
            time.sleep(0.002)
        return rng.standard_normal((len(rows), 5)).astype(np.float32)

    def loss(self, weights: Mapping[str, Tensor], batch: NDArray[np.float32], noise: Noise) -> Tensor:
        self.left -= 1
        if self.left == 0:
            raise InterruptedError
        x = noise(torch.from_numpy(batch))
        return ((x @ weights["a"])[:, 0] - torch.from_numpy(batch.sum(1))).pow(2).mean()

    def judge(self, weights: Mapping[str, Tensor]) -> float:
        return -float((weights["a"] - 1).pow(2).sum())


START = {"a": np.zeros((5, 1), np.float32)}


def test_the_loop_learns() -> None:
    found = train(START, Line(), Plan(8, 0.1, dropout=0.0), Training()).weights["a"]
    assert np.allclose(found, 1, atol=0.05)


def test_the_second_thread_changes_nothing() -> None:
    plan = Plan(2, 0.1, dropout=0.2)
    quick, late = (train(START, Line(slow), plan, Training()).weights["a"] for slow in (False, True))
    assert quick.tobytes() == late.tobytes()


@pytest.mark.parametrize("dies_at", [3, 13, 14, 40])
def test_what_was_interrupted_goes_on_bit_by_bit(tmp_path: Path, dies_at: int) -> None:
    plan = Plan(5, 0.1, dropout=0.2, patience=4, keep_every=4)
    whole = train(START, Line(), plan, Training())
    with pytest.raises(InterruptedError):
        train(START, Line(dies_at=dies_at), plan, Training(checkpoint=tmp_path))
    counting = Line()
    rest = train(START, counting, plan, Training(checkpoint=tmp_path))
    assert rest.weights["a"].tobytes() == whole.weights["a"].tobytes()
    assert rest.judged == whole.judged
    if dies_at > 8:
        assert -1 - counting.left < 5 * 13, "it began anew"


def test_a_checkpoint_of_other_options_is_not_used(tmp_path: Path) -> None:
    train(START, Line(), Plan(2, 0.1, key="one"), Training(checkpoint=tmp_path))
    fresh = train(START, Line(), Plan(2, 0.2, key="two"), Training())
    found = train(START, Line(), Plan(2, 0.2, key="two"), Training(checkpoint=tmp_path))
    assert found.weights["a"].tobytes() == fresh.weights["a"].tobytes()


def test_early_stopping_goes_back_to_the_best() -> None:
    class Worse(Line):
        def judge(self, weights: Mapping[str, Tensor]) -> float:
            return -float(weights["a"].abs().sum())  # the less was learned the better

    stopped = train(START, Worse(), Plan(50, 0.05, patience=2), Training())
    assert stopped.epochs == 3
    one = train(START, Worse(), Plan(50, 0.05, patience=1), Training())
    assert one.epochs == 2
    assert stopped.weights["a"].tobytes() == one.weights["a"].tobytes()


def test_torch_is_left_as_it_was() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train(START, Line(), Plan(1, 0.1), Training())
        assert torch.get_num_threads() == 2
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(before)


def test_dropout_masks_have_their_rate_and_depend_on_the_step() -> None:
    noise = Noise(0.3, 7)
    noise.begin((7, 0, 1))
    one = noise.mask(100_000)
    noise.begin((7, 0, 1))
    assert torch.equal(one, noise.mask(100_000))
    noise.begin((7, 0, 2))
    assert not torch.equal(one, noise.mask(100_000))
    assert float((one == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(one.mean()) == pytest.approx(1.0, abs=0.02)
    assert len(noise.mask(9_000_000)) == 9_000_000


def test_batches_hold_each_row_once_and_rows_of_like_length() -> None:
    lengths = np.random.default_rng(0).geometric(0.15, 2_000)
    batches = bucketed(lengths, 32, np.random.default_rng(1))
    assert np.array_equal(np.sort(np.concatenate(batches)), np.arange(2_000))
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.3 * lengths.sum()
    small = bucketed(lengths, 32, np.random.default_rng(1), most=100)
    assert np.array_equal(np.sort(np.concatenate(small)), np.arange(2_000))
    assert all(len(batch) == 1 or len(batch) * lengths[batch].max() <= 100 for batch in small)


def test_without_torch_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_neural, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'bodega\[neural\]'"):
        _neural.require_torch("learning the sequential source")
