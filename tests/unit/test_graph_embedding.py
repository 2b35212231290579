"""ComplEx by hand: gradients against finite differences, directions, the drawn softmax, bytes."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.understanding.graph.embedding import Against, EmbeddingOptions, Learner, Triples, embed

SMALL = EmbeddingOptions(rank=3, cubic=0.1, batch=4)


def triples_of(rows, weight=None):
    heads, relations, tails = (np.array(column, np.int32) for column in zip(*rows, strict=True))
    return Triples(heads, relations, tails, np.ones(len(rows), np.float32) if weight is None else weight)


def learner(n_nodes=6, n_relations=4):
    """In double precision, so that differences of a millionth are seen."""
    made = Learner.new(n_nodes, n_relations, SMALL, np.random.default_rng(3))
    made.nodes, made.relations = made.nodes.astype(np.float64) * 50, made.relations.astype(np.float64)
    return made


BATCH = triples_of([(0, 1, 2), (3, 0, 2), (0, 3, 0), (5, 1, 4)], np.array([1.0, 0.5, 2.0, 1.0], np.float32))


@pytest.mark.parametrize(
    "against",
    [None, Against(np.array([0, 2, 3, 4], np.int32), np.log(np.array([0.5, 0.9, 0.2, 0.7], np.float32)))],
    ids=["whole", "drawn"],
)
def test_gradients_are_the_differences(against):
    made = learner()
    _, parts = made.gradients(BATCH, against)
    for table, (rows, gradient) in zip((made.nodes, made.relations), parts, strict=True):
        whole = np.zeros_like(table)
        whole[rows] = gradient
        for place in np.ndindex(*table.shape):
            kept, step = table[place], 1e-5
            table[place] = kept + step
            above, _ = made.gradients(BATCH, against)
            table[place] = kept - step
            below, _ = made.gradients(BATCH, against)
            table[place] = kept
            assert whole[place] == pytest.approx((above - below) / (2 * step), abs=2e-6)


def chain():
    """Forty things in a ring, each leading to the next; twins share what they are."""
    return triples_of(
        [(node, 0, (node + 1) % 40) for node in range(40)] + [(node, 1, 40 + node % 8) for node in range(40)]
    )


OPTIONS = EmbeddingOptions(rank=16, epochs=150, batch=32, cubic=0.005)


@pytest.mark.parametrize("whole", [3_000, 10], ids=["whole", "drawn"])
def test_a_relation_has_a_direction(whole):
    facts = chain()
    options = EmbeddingOptions(rank=16, epochs=150, batch=32, cubic=0.005, whole=whole, drawn=24)
    found = embed(facts, (48, 2), options)
    heads = np.arange(40, dtype=np.int32)
    scores = found.score(heads, 0, heads)
    onward, back = scores[heads, (heads + 1) % 40], scores[heads, (heads - 1) % 40]
    assert (scores.argmax(axis=1) == (heads + 1) % 40).mean() > 0.9
    assert (onward > back).mean() > 0.9, "the way back is another fact"


def test_the_reciprocal_relation_is_the_way_back():
    found = embed(chain(), (48, 2), OPTIONS)
    values = np.arange(40, 48, dtype=np.int32)
    best = found.score(values, 1 + 2, np.arange(40, dtype=np.int32)).argmax(axis=1)
    assert (best % 8 == values - 40).all(), "who has this value? one of those who do"


def test_equal_input_gives_equal_bytes_and_nothing_gives_zeros():
    first, second = (embed(chain(), (48, 2), EmbeddingOptions(rank=4, steps=30)) for _ in range(2))
    assert first.nodes.tobytes() == second.nodes.tobytes()
    assert first.relations.tobytes() == second.relations.tobytes()
    empty = embed(Triples(*(np.empty(0, np.int32) for _ in range(3)), np.empty(0, np.float32)), (5, 2))
    assert not empty.nodes.any()
    assert empty.nodes.shape[0] == 5


def test_steps_are_bounded_whatever_the_epochs():
    class Counting:
        total = 0.0

        def start(self, task, total=None):
            self.total = total

        def advance(self, amount=1.0):
            del amount

        def finish(self):
            return None

    said = Counting()
    embed(chain(), (48, 2), EmbeddingOptions(rank=2, epochs=10_000, steps=7), said)
    assert said.total == 7
