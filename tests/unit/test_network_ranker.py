"""The network ranker: numpy serves what torch learned, the same bytes each time, and what is damaged is refused."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bodega.errors import BadRequest, BodegaError, MissingExtra, SnapshotCorrupt
from bodega.features import Asked, State
from bodega.ranking.learned._net_calibration import Curve, calibrate
from bodega.ranking.learned._net_shape import chances, sigmoid
from bodega.ranking.learned.model import Table
from bodega.ranking.learned.network import Given, Network, NetworkOptions, fit_network
from bodega.ranking.learned.tasks import RECENT, TASKS, Examples, rows_of
from bodega.schema import Candidates, Context, Item, ItemTable

N_ITEMS, WIDTH, LISTS, COLUMNS = 60, 10, 260, 6
QUICK = NetworkOptions(epochs=3, steps=0, rate=3e-3, batch=512, width=8, tower=8, keys=4)


def made(seed: int = 3, *, missing: float = 0.05) -> tuple[Examples, np.ndarray]:
    """Clicks follow two columns, purchases a third; who had an item of a family wants that family."""
    rng = np.random.default_rng(seed)
    family = np.arange(N_ITEMS) % 4
    vectors = np.eye(4, dtype=np.float32)[family] + 0.1 * rng.standard_normal((N_ITEMS, 4)).astype(np.float32)
    n = LISTS * WIDTH
    item = rng.integers(0, N_ITEMS, n).astype(np.int32)
    own = rng.integers(0, 4, LISTS)
    recent = np.full((LISTS, RECENT), -1, np.int32)
    for row in range(LISTS):
        recent[row, :3] = rng.choice(np.flatnonzero(family == own[row]), 3)
    values = rng.standard_normal((n, COLUMNS)).astype(np.float32)
    fits = family[item] == np.repeat(own, WIDTH)
    click = rng.random(n) < sigmoid(values[:, 0] - values[:, 1] + 2.0 * fits - 1.5)
    buy = click & (rng.random(n) < sigmoid(2 * values[:, 2]))
    labels = np.full((n, len(TASKS)), np.nan, np.float32)
    labels[:, 0], labels[:, 1], labels[:, 2] = click, buy, buy
    values[rng.random(values.shape) < missing] = np.nan
    examples = Examples(
        columns=tuple(f"c{number}" for number in range(COLUMNS)),
        tasks=TASKS,
        values=values,
        labels=labels,
        item=item,
        position=np.full(n, -1, np.int32),
        starts=np.arange(0, n + 1, WIDTH),
        recent=recent,
        actions=np.full((LISTS, RECENT), 2, np.int8),
        user=np.arange(LISTS, dtype=np.int32),
        query=np.full(LISTS, -1, np.int32),
        moment=np.zeros(LISTS),
    )
    return examples, vectors


@pytest.fixture(scope="module")
def fitted() -> tuple[Network, Examples]:
    pytest.importorskip("torch")
    examples, vectors = made()
    return fit_network(examples, QUICK, Given(vectors=vectors)), examples


def table_of(values: np.ndarray, items: np.ndarray, context: Context) -> Table:
    catalog = ItemTable.of([Item(id=str(number), title="x") for number in range(N_ITEMS + 5)])
    blank = np.full(len(items), np.nan, np.float32)
    return Table(values.T, Asked(context, Candidates.of("a", items, blank), State.empty(catalog)))


def asked(n: int = 40, history: int = 30) -> Table:
    rng = np.random.default_rng(5)
    past = rng.integers(0, N_ITEMS, history).astype(np.int32)
    context = Context(history=past, times=np.arange(history, dtype=np.float64), actions=np.full(history, 2, np.int8))
    values = rng.standard_normal((n, COLUMNS)).astype(np.float32)
    return table_of(values, rng.integers(0, N_ITEMS, n).astype(np.int32), context)


@pytest.mark.parametrize(("experts", "attention"), [("ple", True), ("ple", False), ("mmoe", True), ("shared", False)])
def test_numpy_serves_what_torch_learned(experts: str, attention: bool) -> None:
    torch = pytest.importorskip("torch")
    from bodega.ranking.learned import _net_torch as net

    examples, vectors = made()
    options = msgspec.structs.replace(QUICK, experts=experts, attention=attention, epochs=1)
    network = fit_network(examples, options, Given(vectors=vectors))
    told, shape = examples.told(1), network.forward.shape
    assert bool(shape.keys) == attention
    ones = np.ones(len(told), np.float32)
    lists = net.Lists(told, told, network.forward.columns, network.vectors if attention else None, (ones, ones))
    chosen = np.array([7, 2, 19])
    at, _ = rows_of(told.starts, chosen)
    weights = {name: torch.from_numpy(np.asarray(held)) for name, held in network.forward.held.items()}
    batch = lists.step(0, at, chosen, ones[at])
    logits = net.towers(shape, weights, net.inputs(shape, weights, batch, lists.vectors), lambda x: x).numpy()
    served = network.likely(told, calibrated=False)[at]
    assert np.abs(chances(shape, logits) - served).max() < 1e-5


def test_the_same_examples_give_the_same_bytes(tmp_path: Path, fitted: tuple[Network, Examples]) -> None:
    torch = pytest.importorskip("torch")
    network, examples = fitted
    threads = torch.get_num_threads()
    _, vectors = made()
    torch.set_num_threads(2)
    try:
        again = fit_network(examples, QUICK, Given(vectors=vectors))
        assert torch.get_num_threads() == 2, "the number of threads is put back"
    finally:
        torch.set_num_threads(threads)
    for name, held in (("one", network), ("two", again)):
        (tmp_path / name).mkdir()
        held.save(tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["columns.npy", "knots.npy", "network.json", "network.npy", "vectors.npy"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    opened = Network.load(tmp_path / "one", COLUMNS)
    assert np.array_equal(opened.score(asked()), network.score(asked()))


@pytest.mark.parametrize("name", ["network", "columns", "knots", "vectors"])
@pytest.mark.parametrize("damage", ["nan", "shape", "gone"])
def test_what_is_damaged_is_refused(tmp_path: Path, fitted: tuple[Network, Examples], name: str, damage: str) -> None:
    network, _ = fitted
    network.save(tmp_path)
    path = tmp_path / f"{name}.npy"
    held = np.load(path, allow_pickle=False)
    if damage == "gone":
        path.unlink()
    else:
        held[tuple(0 for _ in held.shape)] = np.nan
        np.save(path, held if damage == "nan" else held[:-1])
    with pytest.raises(SnapshotCorrupt, match="cannot be used"):
        Network.load(tmp_path, COLUMNS)


def test_other_columns_and_nonsense_are_refused(tmp_path: Path, fitted: tuple[Network, Examples]) -> None:
    network, _ = fitted
    network.save(tmp_path)
    with pytest.raises(SnapshotCorrupt, match="cannot be used"):
        Network.load(tmp_path, COLUMNS + 1)
    (tmp_path / "network.json").write_text("{}")
    with pytest.raises(SnapshotCorrupt, match="cannot be used"):
        Network.load(tmp_path, COLUMNS)


def test_a_training_that_ended_in_nan_is_not_saved(tmp_path: Path, fitted: tuple[Network, Examples]) -> None:
    network, _ = fitted
    broken = replace(network, vectors=np.full_like(network.vectors, np.nan))
    with pytest.raises(BodegaError, match="not finite"):
        broken.save(tmp_path)


def test_later_tasks_are_never_likelier_than_the_click(fitted: tuple[Network, Examples]) -> None:
    network, examples = fitted
    raw = network.likely(examples, calibrated=False)
    assert network.tasks == ("click", "cart", "purchase")
    assert (raw[:, 1:] <= raw[:, :1]).all()
    assert ((raw > 0) & (raw < 1)).all()


def test_it_learned_what_was_put_in() -> None:
    pytest.importorskip("torch")
    examples, vectors = made()
    network = fit_network(examples, msgspec.structs.replace(QUICK, epochs=25, patience=25), Given(vectors=vectors))
    told = made(seed=4, missing=0.0)[0]
    chance = network.likely(told)
    for task, least in ((0, 0.75), (2, 0.75)):
        right = told.labels[:, task] > 0
        above = (chance[right, task][:, None] > chance[~right, task]).mean()
        assert above > least


def test_contributions_sum_up_and_name_the_column(fitted: tuple[Network, Examples]) -> None:
    network, _ = fitted
    table = asked()
    score, given = network.score(table), network.contributions(table)
    assert given.shape == (40, COLUMNS)
    np.testing.assert_allclose(given.sum(axis=1) + network.base, score, rtol=1e-4, atol=1e-4)
    columns, history = network.parts(table)
    np.testing.assert_allclose(columns.sum(axis=1) + history + network.base, score, rtol=1e-4, atol=1e-4)
    assert not network.exact
    changed = table.values.copy()
    changed[2] = 0
    gap = score - network.score(Table(changed, table.asked))
    assert np.corrcoef(gap, columns[:, 2])[0, 1] > 0.9, "taking a column away moves the score as its part says"


def test_the_gradient_is_the_slope(fitted: tuple[Network, Examples]) -> None:
    network, _ = fitted
    rng = np.random.default_rng(1)
    z = rng.standard_normal((4, network.forward.shape.inputs))
    trace: list[list[np.ndarray]] = []
    wanted = rng.standard_normal((4, 3))
    network.forward.logits(z, trace)
    slope = network.forward.slope(trace, wanted)
    for column in range(z.shape[1]):
        up, down = z.copy(), z.copy()
        up[:, column] += 1e-5
        down[:, column] -= 1e-5
        rise = ((network.forward.logits(up) - network.forward.logits(down)) * wanted).sum(axis=1) / 2e-5
        np.testing.assert_allclose(slope[:, column], rise, atol=1e-4)


def test_attention_looks_at_what_is_alike() -> None:
    pytest.importorskip("torch")
    examples, vectors = made()
    network = fit_network(examples, msgspec.structs.replace(QUICK, epochs=25, patience=25), Given(vectors=vectors))
    history = np.array([0, 1, 2, 3], np.int32)  # one of each family
    context = Context(history=history, times=np.arange(4.0), actions=np.full(4, 2, np.int8))
    newest, weights = network.attention(np.array([8], np.int32), context)
    assert newest.tolist() == [3, 2, 1, 0]
    assert weights.shape == (1, 4)
    assert ((weights >= 0) & (weights <= 1)).all()
    plain = fit_network(examples, msgspec.structs.replace(QUICK, attention=False, epochs=25, patience=25))
    fresh = made(seed=4)[0]
    right = fresh.labels[:, 0] > 0

    def separates(model: Network) -> float:
        chance = model.likely(fresh)[:, 0]
        return float((chance[right][:, None] > chance[~right]).mean())

    assert separates(network) > separates(plain) + 0.03, "who had the family wants it: only attention can know"


@pytest.mark.parametrize("history", [0, 1, 10_000])
def test_any_history_is_served(fitted: tuple[Network, Examples], history: int) -> None:
    score = fitted[0].score(asked(history=history))
    assert np.isfinite(score).all()


def test_items_that_came_later_or_left_are_served(fitted: tuple[Network, Examples]) -> None:
    network, _ = fitted
    items = np.array([1, N_ITEMS + 3, 2], np.int32)
    past = np.array([N_ITEMS + 4, 5], np.int32)
    context = Context(history=past, times=np.arange(2.0), actions=np.full(2, 2, np.int8))
    values = np.zeros((3, COLUMNS), np.float32)
    score = network.score(table_of(values, items, context))
    assert np.isfinite(score).all()
    known = network.score(table_of(values, items, Context(history=past[1:], actions=np.full(1, 2, np.int8))))
    assert np.isfinite(known).all()
    assert len(network.score(table_of(values[:0], items[:0], context))) == 0


def test_wild_and_equal_numbers_are_served(fitted: tuple[Network, Examples]) -> None:
    network, _ = fitted
    wild = np.array([[np.nan] * COLUMNS, [1e30] * COLUMNS, [-1e30] * COLUMNS], np.float32)
    assert np.isfinite(network.probabilities(wild, np.array([1, 2, 3], np.int32))).all()
    equal = network.probabilities(np.zeros((4, COLUMNS), np.float32), np.full(4, 7, np.int32))
    assert np.unique(equal[:, 0]).size == 1


def test_the_score_of_an_item_does_not_depend_on_the_others(fitted: tuple[Network, Examples]) -> None:
    network, _ = fitted
    table = asked()
    alone = table_of(table.values.T[5:6], table.asked.items[5:6], table.asked.context)
    np.testing.assert_allclose(network.score(table)[5], network.score(alone)[0], rtol=1e-5)


def test_explicit_values_weigh_the_tasks(fitted: tuple[Network, Examples]) -> None:
    network, _ = fitted
    table = asked()
    chance = network.probabilities(table.values.T, table.asked.items, table.asked.context)
    both = replace(network, values={"click": 1.0, "purchase": 20.0})
    np.testing.assert_allclose(np.exp(both.score(table)), chance[:, 0] + 20 * chance[:, 2], rtol=1e-4)


def test_it_begins_where_it_is_told() -> None:
    pytest.importorskip("torch")
    examples, _ = made(missing=0.0)
    options = msgspec.structs.replace(QUICK, epochs=1, rate=1e-6, calibration="none")
    network = fit_network(examples.only(("click",)), options, Given(line={"c3": 2.0}))
    table = asked()
    raw = network.probabilities(table.values.T, table.asked.items)[:, 0]
    assert np.corrcoef(np.log(raw / (1 - raw)), table.values[3])[0, 1] > 0.9


def test_without_a_task_or_torch_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    examples, _ = made()
    mute = replace(examples, labels=np.zeros_like(examples.labels))
    with pytest.raises(BadRequest, match="no task"):
        fit_network(mute)
    monkeypatch.setattr("bodega.ranking.learned.network.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="neural"):
        fit_network(examples)


def test_serving_does_not_load_torch(tmp_path: Path, fitted: tuple[Network, Examples]) -> None:
    import subprocess

    fitted[0].save(tmp_path)
    program = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from bodega.ranking.learned._net_model import Network\n"
        f"network = Network.load(Path({str(tmp_path)!r}), {COLUMNS})\n"
        f"network.probabilities(np.zeros((3, {COLUMNS}), np.float32), np.arange(3))\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path)


def test_five_hundred_candidates_are_ranked_quickly(fitted: tuple[Network, Examples]) -> None:
    network, _ = fitted
    table = asked(n=500)
    network.score(table)
    best = np.inf
    for _ in range(60):
        begun = time.thread_time()
        network.score(table)
        best = min(best, time.thread_time() - begun)
    assert best < 0.01, "about 1 ms; ten times that is another algorithm"


def test_calibration_makes_chances_true(rng: np.random.Generator) -> None:
    odds = rng.normal(-1, 1.5, 6_000).astype(np.float32)
    looked = np.where(rng.random(6_000) < 0.5, 1.0, 0.3).astype(np.float32)
    label = (rng.random(6_000) < sigmoid(2 * odds - 1) * looked).astype(np.float32)
    for how in ("platt", "isotonic", "auto"):
        curve, used = calibrate(odds, label, looked, how)
        assert used in ("platt", "isotonic")
        there = sigmoid(curve.apply(odds))
        assert np.abs(there - sigmoid(2 * odds - 1)).mean() < 0.03, how
        assert (np.diff(curve.apply(np.sort(odds))) >= 0).all()


def test_too_few_labels_are_not_calibrated() -> None:
    curve, used = calibrate(np.zeros(50, np.float32), np.ones(50, np.float32), np.ones(50, np.float32))
    assert used == "none"
    assert curve.apply(np.array([0.5, -3.0])).tolist() == [0.5, -3.0]
    assert Curve.identity().slope(np.array([0.0])).tolist() == [1.0]
