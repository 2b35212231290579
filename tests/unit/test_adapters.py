"""Adapters: they start as nothing, keep zeros and lengths, have the right gradient, and are files like any other."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.protocols import EncoderInfo
from bodega.understanding.text import adapters
from bodega.understanding.text.adapters import PARTS, Adapted, Adapter, AdapterOptions, fit
from bodega.understanding.text.static import unit


class Plain:
    """Letters as vectors: enough of an encoder for an adapter to stand on."""

    info = EncoderInfo("plain", 26, "ab" * 8, ("en",), "letters")

    def encode(self, texts, *, query=False):
        rows = np.zeros((len(texts), 26), np.float32)
        for row, text in enumerate(texts):
            for letter in text:
                if letter.isascii() and letter.isalpha():
                    rows[row, ord(letter.lower()) - 97] += 1
        return unit(rows)


def some_adapter(seed=0, dimensions=26):
    rng = np.random.default_rng(seed)
    sizes = {"down": (dimensions, 4), "up": (4, dimensions)}
    return Adapter(*(rng.standard_normal(sizes[name.split("_")[1]]).astype(np.float32) for name in PARTS))


def pairs_of(query, item):
    query, item = np.asarray(query, np.int64), np.asarray(item, np.int64)
    return adapters.Pairs(query, item, np.ones(len(query), np.float32))


def test_a_new_adapter_changes_nothing():
    vectors = Plain().encode(["sofa", "lamp", ""])
    start = Adapter.start(26, 8, np.random.default_rng(0))
    np.testing.assert_allclose(start.apply(vectors, query=True), vectors, atol=1e-6)
    np.testing.assert_allclose(start.apply(vectors, query=False), vectors, atol=1e-6)


def test_adapted_is_an_encoder():
    adapted = Adapted(Plain(), some_adapter())
    for query in (True, False):
        rows = adapted.encode(["sofa", "", "lamp"], query=query)
        assert rows.dtype == np.float32
        assert np.linalg.norm(rows, axis=1).tolist() == pytest.approx([1, 0, 1], abs=1e-5)
        np.testing.assert_allclose(adapted.encode(["lamp"], query=query)[0], rows[2], atol=1e-6)
    assert adapted.info.name == "plain+adapter"
    assert adapted.info.dimensions == 26
    assert adapted.info.digest not in {Plain.info.digest, Adapted(Plain(), some_adapter(1)).info.digest}


def test_saved_and_mapped_it_is_the_same(tmp_path):
    adapter = some_adapter()
    adapter.save(tmp_path)
    again = Adapter.load(tmp_path)
    assert again.digest == adapter.digest
    for name in PARTS:
        np.testing.assert_array_equal(getattr(again, name), getattr(adapter, name))


def test_the_gradient_is_that_of_the_loss():
    rng = np.random.default_rng(2)
    left, right = (unit(rng.standard_normal((n, 5)).astype(np.float32)) for n in (3, 4))
    adapter = some_adapter(3, 5)
    same = np.zeros((3, 4), bool)
    same[0, 1] = True
    temperature = 0.5

    def loss():
        logits = adapter.apply(left, query=True) @ adapter.apply(right, query=False).T / temperature
        logits = np.where(same, -np.inf, logits).astype(np.float64)
        return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(3), np.arange(3)]))

    got = adapters._gradients(adapter, left, right, same, temperature)
    for name, gradient in zip(PARTS, got, strict=True):
        values = getattr(adapter, name)
        for place in [(0, 0), (1, 2), (3, 3), (values.shape[0] - 1, 1)]:
            kept = values[place]
            values[place] = kept + 1e-2
            high = loss()
            values[place] = kept - 1e-2
            slope = (high - loss()) / 2e-2
            values[place] = kept
            assert gradient[place] == pytest.approx(slope, abs=2e-3)


def turned(n=240, dimensions=16, seed=4):
    """Items, and queries that are their items turned: a linear map finds them all."""
    rng = np.random.default_rng(seed)
    items = unit(rng.standard_normal((n, dimensions)).astype(np.float32))
    turn = np.linalg.qr(rng.standard_normal((dimensions, dimensions)))[0].astype(np.float32)
    return unit(items @ turn), items, pairs_of(range(n), range(n))


QUICK = AdapterOptions(rank=16, batch=32, strangers=32, steps=200, rate=0.02)


def test_it_learns_a_turn_and_reports_the_gain():
    adapter, facts = fit(*turned(), QUICK)
    assert adapter is not None
    assert facts.kept
    assert 0.3 < facts.low <= facts.gain <= facts.high
    assert facts.gain == pytest.approx(facts.after - facts.before)
    assert facts.queries == facts.items == 240


def test_the_same_vectors_give_the_same_adapter():
    one, two = (fit(*turned(), QUICK)[0] for _ in range(2))
    assert one is not None
    assert two is not None
    assert one.digest == two.digest


def test_what_cannot_be_learned_is_not_kept():
    queries, items, pairs = turned()
    shuffled = pairs_of(pairs.query, np.random.default_rng(9).permutation(pairs.item))
    adapter, facts = fit(queries, items, shuffled, QUICK)
    assert adapter is None
    assert not facts.kept
    assert facts.why
    assert facts.low <= 0


def test_judged_queries_are_neither_learned_nor_stopped_on():
    queries, _, pairs = turned()
    learned, stop, judge = adapters.apart(len(queries), pairs, 0.3, np.random.default_rng(1))
    parts = [set(part.query.tolist()) for part in (learned, stop, judge)]
    assert sum(map(len, parts)) == len(queries)
    assert not parts[0] & (parts[1] | parts[2])
    assert not parts[1] & parts[2]
    assert min(map(len, parts)) > 20


def test_reciprocal_rank_takes_the_best_chosen_item():
    items = np.eye(4, dtype=np.float32)
    queries = unit(np.array([[4, 3, 2, 1], [1, 2, 3, 4]], np.float32))
    ranks = adapters._reciprocal_ranks(queries, items, pairs_of([0, 0, 1], [2, 3, 0]))
    assert ranks.tolist() == pytest.approx([1 / 3, 1 / 4])
