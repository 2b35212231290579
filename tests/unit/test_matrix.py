"""Item vectors on disk: what cannot be used is refused; the bytes do not depend on the number of threads."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from bodega.errors import SnapshotCorrupt
from bodega.retrieval.matrix import Matrix, MatrixOptions
from bodega.schema import EVENT_CODES, Context, Item, ItemTable
from bodega.testing.world import WorldSpec, make_world

FIT = """
import hashlib
from bodega.retrieval.matrix import Matrix, MatrixOptions
from bodega.testing.world import WorldSpec, make_world
world = make_world(WorldSpec(n_items=200, n_shoppers=120, days=40)).world()
vectors = Matrix(MatrixOptions(rounds=2)).fit(world).items
print(hashlib.sha256(vectors.tobytes()).hexdigest())
"""


def test_equal_bytes_with_one_thread_and_with_four():
    digests = set()
    for threads in ("1", "4"):
        there = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        ran = subprocess.run([sys.executable, "-c", FIT], env=there, capture_output=True, text=True, check=True)
        digests.add(ran.stdout.strip())
    assert len(digests) == 1
    assert len(digests.pop()) == hashlib.sha256().digest_size * 2


@pytest.mark.parametrize("damage", ["nan", "inf", "shape", "dtype"])
def test_damaged_vectors_are_refused(tmp_path, damage):
    made = make_world(WorldSpec(n_items=30, n_shoppers=10, days=10)).world()
    Matrix(MatrixOptions(factors=4, rounds=1)).fit(made).save(tmp_path)
    vectors = np.load(tmp_path / "items.npy")
    if damage in ("nan", "inf"):
        vectors[3, 1] = float(damage)
    elif damage == "shape":
        vectors = vectors[:-1]
    else:
        vectors = vectors.astype(np.float64)
    np.save(tmp_path / "items.npy", vectors)
    with pytest.raises(SnapshotCorrupt, match="item vectors cannot be used"):
        Matrix.load(tmp_path, made.items)


def test_a_request_takes_about_a_millisecond():
    """History of 50, 64 factors, 12,000 items: measured .4 ms of CPU; the floor leaves room for a slow machine."""
    rng = np.random.default_rng(7)
    source = Matrix()
    source._set(rng.standard_normal((12_000, 64), np.float32))
    codes = np.full(50, EVENT_CODES["purchase"], np.int8)
    asked = [
        Context(history=rng.integers(0, 12_000, 50).astype(np.int32), times=np.arange(50.0) // 10, actions=codes)
        for _ in range(100)
    ]
    spent = []
    for context in asked:
        began = time.thread_time()  # of this thread: idle threads of a matrix library spin
        assert len(source.retrieve(context, 200)) == 200
        spent.append(time.thread_time() - began)
    assert min(spent) < 0.004, f"{1000 * min(spent):.2f} ms"


def test_an_item_that_nobody_took_has_no_opinion():
    made = make_world(WorldSpec(n_items=30, n_shoppers=10, days=10)).world()
    wider = ItemTable.of([*(made.items.item(row) for row in range(30)), Item(id="never taken")])
    source = Matrix(MatrixOptions(factors=4, rounds=1)).fit(type(made)(wider, made.log, made.until))
    some = made.log.item[made.log.item >= 0][:1]
    context = Context(history=some, times=np.zeros(1), actions=np.zeros(1, np.int8))
    assert np.isnan(source.score(context, np.array([30], np.int32)))[0]
    cold = Context(history=np.array([30], np.int32), times=np.zeros(1), actions=np.zeros(1, np.int8))
    assert len(source.retrieve(cold, 5)) == 0
