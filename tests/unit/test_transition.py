"""Transition: direction, distance, baskets without order, damping, and the few neighbours that are kept."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.evaluation.splits import sequence_log
from bodega.retrieval._index import Neighbours, Steps, flat_rows, item_blocks, step_weights, top_k
from bodega.retrieval.transition import Transition, TransitionOptions, relate
from bodega.schema import EVENT_CODES, Context, Item, ItemTable, Log, World


def log_of(rows):
    """rows: (user, session, time, item) or (user, session, time, item, type)."""
    rows = [(*row, "purchase")[:5] for row in rows]
    rows.sort(key=lambda row: row[2])
    n = len(rows)
    user, session, time, item, kind = zip(*rows, strict=True) if rows else ((),) * 5
    return Log(
        time=np.array(time, np.float64),
        type=np.array([EVENT_CODES[name] for name in kind], np.int8),
        user=np.array(user, np.int32),
        session=np.array(session, np.int32),
        item=np.array(item, np.int32),
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=np.full(n, -1, np.int32),
        position=np.full(n, -1, np.int32),
        n_users=max(user, default=-1) + 1,
        n_sessions=max(session, default=-1) + 1,
    )


def items_of(n, categories=None):
    return ItemTable.of(Item(id=str(row), category=(categories[row],) if categories else ()) for row in range(n))


def line(user, *items):
    """One item a step, each in its own session."""
    return [(user, user * 100 + step, float(step), item) for step, item in enumerate(items)]


def dense(neighbours):
    out = np.zeros((len(neighbours), len(neighbours)))
    for row in range(len(neighbours)):
        part = slice(neighbours.starts[row], neighbours.starts[row + 1])
        out[row, neighbours.items[part]] = neighbours.weights[part]
    return out


UNDAMPED = TransitionOptions(row=0.0, column=0.0)


def test_votes_decay_with_the_gap_and_the_way_back_counts_less():
    got = dense(relate(Steps.of(log_of(line(0, 0, 1, 2)), 3), UNDAMPED))
    assert got == pytest.approx(np.array([[0, 1, 0.85], [0.3, 0, 1], [0.255, 0.3, 0]]), abs=1e-6)


def test_shoppers_do_not_lead_to_each_other():
    got = dense(relate(Steps.of(log_of(line(0, 0, 1) + line(1, 2, 3)), 4), UNDAMPED))
    assert got[:2, 2:].sum() == got[2:, :2].sum() == 0


def test_a_basket_has_no_order_inside():
    baskets = [(0, 0, 1.0, 0), (0, 0, 1.0, 1), (0, 1, 9.0, 2)]
    got = dense(relate(Steps.of(log_of(baskets), 3), UNDAMPED))
    assert got[0, 1] == got[1, 0] == 0.5
    assert got[0, 2] == got[1, 2] == 1
    assert got[2, 0] == pytest.approx(0.3)


def test_the_window_counts_items_not_steps():
    baskets = [(0, step, float(step), 3 * step + item) for step in range(5) for item in range(3)]
    options = TransitionOptions(row=0.0, column=0.0, window=6)
    got = dense(relate(Steps.of(log_of(baskets), 15), options))
    assert got[0, 6] > 0
    assert got[0, 9] == 0


def test_damping_divides_by_powers_of_the_sums():
    log = log_of(line(0, 0, 1, 2) + line(1, 0, 2) + line(2, 3, 1))
    plain = dense(relate(Steps.of(log, 4), UNDAMPED))
    damped = dense(relate(Steps.of(log, 4), TransitionOptions(row=0.5, column=0.2)))
    expected = plain / plain.sum(1, keepdims=True) ** 0.5 / plain.sum(0, keepdims=True) ** 0.2
    assert damped == pytest.approx(expected, rel=1e-5)


def test_only_the_best_neighbours_are_kept_ties_by_lower_item():
    log = log_of([row for user in range(4) for row in line(user, 0, user + 1)] + line(4, 0, 4))
    kept = relate(Steps.of(log, 5), TransitionOptions(row=0.0, column=0.0, top=2))
    assert kept.items[kept.starts[0] : kept.starts[1]].tolist() == [1, 4]


def test_the_same_item_viewed_carted_and_bought_is_one_step():
    log = log_of([(0, 0, 1.0, 0, "view"), (0, 0, 2.0, 0, "cart"), (0, 0, 3.0, 0, "purchase"), (0, 0, 4.0, 1, "view")])
    steps = Steps.of(log, 2)
    assert len(steps) == 2
    assert dense(relate(steps, UNDAMPED))[0, 1] == 1


def test_blocks_of_rows_do_not_change_the_matrix(monkeypatch, rng):
    log = log_of([row for user in range(60) for row in line(user, *rng.integers(0, 40, 12))])
    whole = relate(Steps.of(log, 40), TransitionOptions())
    monkeypatch.setattr("bodega.retrieval.transition.item_blocks", lambda work: item_blocks(work, 50.0))
    parts = relate(Steps.of(log, 40), TransitionOptions())
    assert np.array_equal(whole.items, parts.items)
    assert np.allclose(whole.weights, parts.weights, rtol=1e-6)


def test_newer_seeds_weigh_more_and_a_basket_is_one_step():
    context = Context(history=np.array([5, 6, 7, 8], np.int32), times=np.array([1.0, 2.0, 2.0, 3.0]))
    seeds, weights = step_weights(context, 0.5)
    assert seeds.tolist() == [5, 6, 7, 8]
    assert weights.tolist() == [0.25, 0.5, 0.5, 1.0]
    seeds, weights = step_weights(context, 0.5, least=0.5)
    assert seeds.tolist() == [6, 7, 8]


def test_anchors_are_never_their_own_neighbours():
    source = Transition().fit(World(items_of(3), log_of(line(0, 0, 1, 0, 2)), 9.0))
    for place in ("similar", "together", "basket"):
        got = source.retrieve(Context(place=place, items=np.array([0, 1], np.int32)), 9).items.tolist()
        assert got == [2]


def test_together_is_what_one_visit_bought_and_falls_back_to_what_follows():
    log = log_of([(0, 0, 1.0, 0), (0, 0, 1.0, 1), (0, 1, 2.0, 2), (0, 2, 3.0, 3), (1, 3, 1.0, 0), (1, 4, 2.0, 2)])
    source = Transition().fit(World(items_of(4), log, 9.0))
    anchor = np.array([0], np.int32)
    assert source.retrieve(Context(place="together", items=anchor), 9).items.tolist() == [1]
    assert source.retrieve(Context(place="similar", items=anchor), 1).items.tolist() == [2]
    assert len(source.retrieve(Context(place="together", items=np.array([3], np.int32)), 9)) > 0


def test_similar_prefers_the_anchors_category():
    log = log_of(line(0, 0, 1) + line(1, 0, 1) + line(2, 0, 2))
    source = Transition().fit(World(items_of(3, ["tea", "pets", "tea"]), log, 9.0))
    anchor = np.array([0], np.int32)
    assert source.retrieve(Context(place="similar", items=anchor), 9).items.tolist() == [2, 1]
    assert source.retrieve(Context(items=anchor), 9).items.tolist() == [1, 2]


def test_top_k_breaks_ties_by_the_lower_index(rng):
    scores = rng.integers(0, 5, 300).astype(np.float32)
    scores[rng.integers(0, 300, 50)] = np.nan
    order = sorted(np.flatnonzero(~np.isnan(scores)), key=lambda row: (-scores[row], row))
    for k in (0, 1, 10, 100, 500):
        assert top_k(scores, k).tolist() == order[:k]


def test_flat_rows_walks_the_lists():
    flat, lengths = flat_rows(np.array([0, 2, 2, 5]), np.array([2, 0, 1], np.int32))
    assert flat.tolist() == [2, 3, 4, 0, 1]
    assert lengths.tolist() == [3, 2, 0]


def test_neighbours_survive_the_disk(tmp_path):
    some = Neighbours(np.array([0, 1, 1]), np.array([1], np.int32), np.array([0.5], np.float32))
    some.save(tmp_path, "x")
    again = Neighbours.load(tmp_path, "x")
    assert dense(again).tolist() == dense(some).tolist() == [[0, 0.5], [0, 0]]


def test_learning_anew_forgets_the_answer_to_the_latest_context() -> None:
    table = ItemTable.of(Item(id=str(row)) for row in range(3))

    def world(second: int) -> World:
        return World(table, sequence_log([np.array([0, second], np.int32)] * 3), until=1e6)

    context = Context(items=np.array([0], np.int32))
    source = Transition().fit(world(1))
    assert source.retrieve(context, 5).items.tolist() == [1]
    assert source.fit(world(2)).retrieve(context, 5).items.tolist() == [2]
