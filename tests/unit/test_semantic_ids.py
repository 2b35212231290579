"""Names of items: quantiser, content, digits, trie, and the beam against every path written out."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bodega.retrieval._neural.sequences import Sequences
from bodega.retrieval.generative._beam import search
from bodega.retrieval.generative._content import Content
from bodega.retrieval.generative._ids import SemanticIds, kmeans, size_of
from bodega.retrieval.generative._network import log_softmax
from bodega.retrieval.generative._quantiser import Quantiser, nearest
from bodega.retrieval.generative._trie import NEW, Trie
from bodega.retrieval.generative.options import GenerativeOptions
from bodega.schema import Item, ItemTable
from bodega.schema.arrays import Floats, Ints

NOBODY = np.empty(0, np.int32)


@dataclass
class Table:
    """A decoder that is a table: `chances[path]` are the logits after that path."""

    seed: int
    sizes: tuple[int, ...]

    def logits(self, level: int, paths: Ints) -> Floats:
        rows = [np.random.default_rng([self.seed, level, *path]).standard_normal(self.sizes[level]) for path in paths]
        return np.array(rows, np.float32).reshape(len(paths), self.sizes[level])


def trie_of(codes: list[tuple[int, ...]], digits: list[int], newcomers: float = 0.1) -> Trie:
    return Trie.of(np.array(codes, np.int32), np.array(digits, np.int32), np.ones(len(codes), np.bool_), newcomers)


def by_hand(codes: Ints, digits: Ints, decoder: Table, newcomers: float) -> Floats:
    """The log-probability of every item, one by one."""
    out = []
    for path, digit in zip(codes.tolist(), digits.tolist(), strict=True):
        total = 0.0
        for level in range(len(path)):
            total += float(log_softmax(decoder.logits(level, np.array([path[:level]], np.int32)))[0, path[level]])
        leaf = np.all(codes == path, axis=1)
        old = np.unique(digits[leaf & (digits >= 0)])
        n_new = np.count_nonzero(leaf & (digits == NEW))
        if digit == NEW:
            total += np.log((newcomers if len(old) else 1.0) / n_new)
        else:
            chance = log_softmax(decoder.logits(len(path), np.array([path], np.int32))[:, : len(old)])[0]
            total += float(chance[digit]) - np.log(np.count_nonzero(leaf & (digits == digit)))
            total += np.log(1 - newcomers) if n_new else 0.0
        out.append(total)
    return np.array(out, np.float32)


def drawn(rng: np.random.Generator, n: int = 60) -> tuple[Ints, Ints]:
    """Codes with many shared leaves, and digits as `SemanticIds` gives them (at most three a leaf)."""
    codes = rng.integers(0, 3, (n, 3)).astype(np.int32)
    digits = np.full(n, NEW, np.int32)
    for path in {tuple(path) for path in codes.tolist()}:
        rows = np.flatnonzero(np.all(codes == path, axis=1))
        old = rows[rng.random(len(rows)) < 0.7]
        digits[old] = np.minimum(np.arange(len(old)), 2)
    return codes, digits


@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_gives_every_item_its_exact_probability(seed: int) -> None:
    codes, digits = drawn(np.random.default_rng(seed))
    trie = Trie.of(codes, digits, np.ones(len(codes), np.bool_), 0.1)
    decoder = Table(seed, (3, 3, 3, 3))
    found = search(trie, decoder, 100, 100, NOBODY)
    assert found.items.tolist() == list(range(len(codes)))
    np.testing.assert_allclose(found.score, by_hand(codes, digits, decoder, 0.1), atol=1e-5)
    some = np.array([5, 59, 5, 0], np.int32)
    np.testing.assert_array_equal(found.of(some), found.score[some])


def test_a_narrow_beam_keeps_the_best_paths() -> None:
    codes = list(itertools.product(range(4), repeat=3))
    decoder = Table(1, (4, 4, 4, 1))
    found = search(trie_of(codes, [0] * 64), decoder, 2, 3, NOBODY)
    whole = search(trie_of(codes, [0] * 64), decoder, 64, 64, NOBODY)
    first = np.argsort(-log_softmax(decoder.logits(0, np.empty((1, 0), np.int32)))[0])[:2]
    assert len(found.items) == 3
    assert set(np.array(codes)[found.items, 0].tolist()) <= set(first.tolist())
    np.testing.assert_array_equal(found.score, whole.of(found.items))


def test_what_must_not_come_is_filtered_inside_the_beam() -> None:
    """A beam of one whose best path leads only to forbidden items takes the next one: filtering after gives nothing."""
    codes = list(itertools.product(range(3), repeat=3))
    decoder = Table(2, (3, 3, 3, 1))
    trie = trie_of(codes, [0] * 27)
    best = search(trie, decoder, 1, 1, NOBODY).items
    family = np.flatnonzero(np.array(codes)[:, 0] == codes[best[0]][0]).astype(np.int32)
    found = search(trie, decoder, 1, 1, family)
    assert len(found.items) == 1
    assert not np.isin(found.items, family).any()
    assert len(search(trie, decoder, 5, 5, np.arange(27, dtype=np.int32)).items) == 0
    assert len(search(trie, decoder, 100, 100, np.append(family, family)).items) == 18


def test_a_forbidden_item_leaves_its_leaf_to_the_others() -> None:
    trie = trie_of([(0, 0, 0)] * 3 + [(0, 1, 0)], [0, 1, NEW, 0])
    found = search(trie, Table(3, (2, 2, 2, 2)), 9, 9, np.array([1], np.int32))
    assert found.items.tolist() == [0, 2, 3]


def test_new_items_beside_a_snapshot_share_its_leaves() -> None:
    """A newcomer's part does not depend on which of the two tables it stands in."""
    codes, digits = drawn(np.random.default_rng(9))
    decoder = Table(9, (3, 3, 3, 3))
    extra = np.array([codes[0], [2, 2, 2], [0, 1, 2]], np.int32)
    base = Trie.of(codes, digits, np.ones(len(codes), np.bool_), 0.1)
    beside = Trie.of(extra, np.full(3, NEW, np.int32), np.ones(3, np.bool_), 0.1, base)
    both = by_hand(np.vstack([codes, extra]), np.append(digits, [NEW] * 3), decoder, 0.1)
    np.testing.assert_allclose(search(beside, decoder, 99, 99, NOBODY).score, both[-3:], atol=1e-5)


def test_a_trie_of_nothing() -> None:
    empty = Trie.of(np.zeros((4, 3), np.int32), np.full(4, NEW, np.int32), np.zeros(4, np.bool_), 0.1)
    assert len(search(empty, Table(0, (1, 1, 1, 1)), 4, 4, NOBODY).items) == 0
    assert empty.leaf_of.tolist() == [-1] * 4


def test_leaves_are_found_by_their_codes(rng: np.random.Generator) -> None:
    codes, digits = drawn(rng, 40)
    trie = Trie.of(codes, digits, np.ones(40, np.bool_), 0.1)
    assert np.array_equal(trie.leaf_at(codes), trie.leaf_of)
    assert np.array_equal(trie.leaf_at(trie.paths()), np.arange(len(trie.paths())))
    assert trie.leaf_at(np.array([[9, 0, 0], [0, 0, 9]], np.int32)).tolist() == [-1, -1]


def test_three_codes_say_more_than_one(rng: np.random.Generator) -> None:
    rows = rng.standard_normal((600, 8)).astype(np.float32)
    quantiser = Quantiser.learn(rows, 3, 16, seed=1)
    left = [rows]
    for level in range(3):
        book = quantiser.books[level]
        left.append(left[-1] - book[nearest(left[-1], book)])
    errors = [float((part**2).sum()) for part in left]
    assert errors[1] < 0.7 * errors[0]
    assert errors[2] < 0.8 * errors[1]
    assert errors[3] < 0.8 * errors[2]
    np.testing.assert_allclose(quantiser.decode(quantiser.encode(rows)), rows - left[3], atol=1e-5)
    again = Quantiser.learn(rows, 3, 16, seed=1)
    assert again.books.tobytes() == quantiser.books.tobytes()


def test_fewer_vectors_than_codes() -> None:
    rows = np.eye(3, dtype=np.float32)
    quantiser = Quantiser.learn(rows, 3, 8, seed=1)
    assert len({tuple(codes) for codes in quantiser.encode(rows).tolist()}) == 3
    np.testing.assert_allclose(quantiser.decode(quantiser.encode(rows)), rows, atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 9, 100, 2_048, 10**6])
def test_codes_fit_the_catalog(n: int) -> None:
    assert 1 <= size_of(n, 256) <= min(256, max(n, 1))


def shelf() -> ItemTable:
    words = {"shirt": ["red", "blue", "green", "white"], "kettle": ["steel", "copper", "glass", "enamel"]}
    return ItemTable.of(
        Item(id=f"{kind}{number}", title=f"{words[kind][number % 4]} {kind}", brand=f"{kind} co")
        for kind in words
        for number in range(20)
    )


def test_content_of_a_new_item_is_near_its_kind() -> None:
    items = shelf()
    content = Content.learn(items, 64, seed=1)
    known = content.vectors(items)
    new = content.vectors(ItemTable.of([Item(id="a", title="purple kettle"), Item(id="b", title="qwerty")]))
    near = known @ new[0]
    assert near[20:].min() > near[:20].max()
    assert not new[1].any(), "a word that nobody knows became a vector"
    np.testing.assert_allclose(np.linalg.norm(known, axis=1), 1, atol=1e-5)


def wanted(rows: list[list[int]]) -> Sequences:
    flat = np.array([item for row in rows for item in row], np.int32)
    starts = np.cumsum([0, *(len(row) for row in rows)])
    return Sequences(starts, flat, np.zeros(len(flat), np.int8), np.arange(len(flat)) * 1e4, np.arange(len(rows)))


def test_ids_of_a_catalog_and_back(tmp_path: Path, rng: np.random.Generator) -> None:
    items = shelf()
    rows = [(rng.permutation(19)[:6] + 20 * (user % 2)).tolist() for user in range(40)]
    ids = SemanticIds.learn(items, wanted(rows), GenerativeOptions(digits=2), kmeans)
    assert ids.has_id.all()
    assert ids.digit[19] == NEW
    assert ids.digit[39] == NEW
    leaves: dict[tuple[int, ...], list[int]] = {}
    for path, digit in zip(ids.codes.tolist(), ids.digit.tolist(), strict=True):
        leaves.setdefault(tuple(path), []).append(digit)
    for digits in leaves.values():
        old = sorted(digit for digit in digits if digit != NEW)
        assert old == sorted(min(place, 1) for place in range(len(old))), "digits of a leaf are not 0, 1, 1, ..."
    shirts, kettles = (np.bincount(part[:, 0], minlength=8) for part in (ids.codes[:20], ids.codes[20:]))
    assert np.maximum(shirts, kettles).sum() >= 34, "first codes do not tell two tribes apart"
    codes, known, _ = ids.maker.of(ItemTable.of([Item(id="n", title="glass kettle", brand="kettle co")]))
    assert known.all()
    assert kettles[codes[0, 0]] > shirts[codes[0, 0]]
    ids.save(tmp_path)
    again = SemanticIds.load(tmp_path, 40, ids.maker.quantiser.books.shape, ())
    for name in ("codes", "digit", "has_id"):
        assert np.array_equal(getattr(again, name), getattr(ids, name))
    assert np.array_equal(again.maker.of(items)[0], ids.maker.of(items)[0])


def test_an_autoencoder_gives_codes_too(rng: np.random.Generator) -> None:
    pytest.importorskip("torch")
    from bodega.retrieval.generative._rqvae import autoencoded

    centres = rng.standard_normal((8, 128)).astype(np.float32) / 8
    kind = rng.integers(0, 8, 400)
    rows = centres[kind] + 0.01 * rng.standard_normal((400, 128)).astype(np.float32)
    quantiser = autoencoded(rows, GenerativeOptions(ids="rqvae"), 8)
    codes = quantiser.encode(rows)
    assert codes.shape == (400, 3)
    assert len(np.unique(codes[:, 0])) >= 4
    for one in range(8):  # items of one kind share their first code
        count = np.bincount(codes[kind == one, 0])
        assert count.max() >= 0.7 * count.sum()
    assert np.array_equal(autoencoded(rows, GenerativeOptions(ids="rqvae"), 8).encode(rows), codes)
