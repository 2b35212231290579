"""The shop's own encoder: contract, files, hostile texts, pieces, bags, and what is read from a log."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from bodega.protocols import EncoderInfo
from bodega.schema import EVENT_CODES, Item, ItemTable, Log, World
from bodega.testing.world import WorldSpec, make_world
from bodega.understanding.text import _pieces
from bodega.understanding.text._bag import Bags, Learner, Vocabulary
from bodega.understanding.text._signals import clicks_of
from bodega.understanding.text._sparse_adam import SparseAdam
from bodega.understanding.text.passages import passage
from bodega.understanding.text.static import StaticEncoder, Table, unit
from bodega.understanding.text.training import TrainingOptions, train

QUICK = TrainingOptions(dimensions=32, seconds=1.8)
HOSTILE = [
    "",
    " ",
    "a" * 10_000,
    "\x00\x01\x1b[31m",
    "🛒🛒",
    "\ud800",
    "שלום עולם",
    "' OR 1=1 --",
    "耳机" * 4_000,
    "\u202e" * 50,
]


def log_of(rows, queries=()):
    """rows: (type, user, session, item, query)."""
    n = len(rows)
    column = [np.array([row[place] for row in rows], np.int32) for place in range(1, 5)]
    return Log(
        time=np.arange(n, dtype=np.float64),
        type=np.array([EVENT_CODES[row[0]] for row in rows], np.int8),
        user=column[0],
        session=column[1],
        item=column[2],
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=column[3],
        position=np.full(n, -1, np.int32),
        n_users=int(column[0].max(initial=-1)) + 1,
        n_sessions=n,
        queries=tuple(queries),
    )


@pytest.fixture(scope="module")
def world():
    return make_world(WorldSpec(n_items=120, n_shoppers=60, days=30)).world()


@pytest.fixture(scope="module")
def encoder(world):
    return train(world, QUICK)[0]


def digest_of(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_rows_have_length_one_whatever_else_is_in_the_batch(encoder, world):
    texts = [*world.items.titles][:50]
    together = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text], query=True) for text in texts])
    assert together.dtype == np.float32
    assert together.shape == (50, encoder.info.dimensions)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_many_texts_are_encoded_block_by_block(encoder, world):
    texts = [*world.items.titles] * 20
    assert len(texts) > 2_048
    np.testing.assert_allclose(encoder.encode(texts)[2_400:2_520], encoder.encode(texts[2_400:2_520]), atol=1e-5)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_never_raise(encoder, text):
    row = encoder.encode([text, "milk"])
    assert np.isfinite(row).all()
    assert np.linalg.norm(row[0]) == pytest.approx(1.0, abs=1e-5) or not row[0].any()
    np.testing.assert_allclose(row[1], encoder.encode(["milk"])[0], atol=1e-5)


def test_nothing_to_say_is_zeros(encoder):
    assert encoder.encode([]).shape == (0, 32)
    assert not encoder.encode(["", "!!!"]).any()


def test_kinds_lie_together_in_both_languages(encoder, world):
    generated = make_world(WorldSpec(n_items=120, n_shoppers=60, days=30))
    vectors = encoder.encode([passage(item) for item in generated.items])
    near = np.argsort(-(vectors @ vectors.T), axis=1)[:, 1]
    kinds = generated.truth.kinds
    assert np.mean([kinds[row] == kinds[other] for row, other in enumerate(near)]) > 0.7
    held = set(kinds)
    right = 0
    for kind in held:
        best = int(np.argmax(encoder.encode([kind]) @ vectors.T))
        right += kinds[best] == kind
    assert right >= 0.85 * len(held)


def test_same_world_same_bytes(world, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        train(world, QUICK)[0].save(tmp_path / name)
    assert digest_of(tmp_path / "one") == digest_of(tmp_path / "two")
    other = train(world, TrainingOptions(dimensions=32, seconds=1.8, seed=8))[0]
    (tmp_path / "three").mkdir()
    other.save(tmp_path / "three")
    assert digest_of(tmp_path / "three") != digest_of(tmp_path / "one")


def test_saved_and_mapped_it_is_the_same(encoder, world, tmp_path):
    encoder.save(tmp_path)
    again = StaticEncoder.load(tmp_path)
    assert again.info == encoder.info
    assert len(again.info.digest) == 16
    texts = [*world.items.titles, "an unknwon word"]
    np.testing.assert_array_equal(again.encode(texts), encoder.encode(texts))
    assert {path.suffix for path in tmp_path.iterdir()} == {".npy", ".json"}


def test_it_says_where_it_comes_from(encoder, world):
    assert encoder.info.name == "static"
    assert encoder.info.origin.startswith("learned from 120 titles and ")
    assert encoder.info.origin.endswith(" query clicks")
    assert encoder.info.languages[0] == "en"


def test_a_shop_without_words_still_gets_an_encoder():
    for items in ([], [Item(id="1")], [Item(id="1", title="!!!")]):
        encoder, facts = train(World(ItemTable.of(items), log_of([]), 0.0), QUICK)
        assert facts.steps == 0
        assert not encoder.encode(["milk"]).any()


def test_one_item_is_learned_without_contrast():
    encoder, facts = train(World(ItemTable.of([Item(id="1", title="Trail shoe")]), log_of([]), 0.0), QUICK)
    assert facts.steps > 0
    assert np.isfinite(encoder.encode(["trail"])).all()


class Teacher:
    """Knows that a violin is a fiddle, and nothing of kettles."""

    info = EncoderInfo("teacher", 3, "0" * 16)

    def encode(self, texts, *, query=False):
        music = np.array([any(word in text.lower() for word in ("violin", "fiddle")) for text in texts])
        tea = np.array(["kettle" in text.lower() for text in texts])
        return unit(np.column_stack([music, tea, ~(music | tea)]).astype(np.float32))


def test_a_teacher_is_imitated():
    makers = ("Arden", "Bexley", "Corin", "Dalby", "Elm", "Fay")
    items = [
        Item(id=f"{maker}{kind}", title=f"{maker} {kind}")
        for maker in makers
        for kind in ("violin", "fiddle", "kettle")
    ]
    world = World(ItemTable.of(items), log_of([]), 0.0)
    told, facts = train(world, QUICK, Teacher())
    alone, _ = train(world, QUICK)

    def gap(encoder):
        one, two, other = encoder.encode(["violin", "fiddle", "kettle"])
        return float(one @ two - one @ other)

    assert facts.teacher == "teacher"
    assert facts.taught == 18 + 9, "every title, and every word by itself"
    assert facts.imitation > 0.8
    assert gap(told) > gap(alone) + 0.5
    assert told.info.origin.startswith("distilled from teacher, learned from 18 titles")


def test_unknown_words_are_the_sum_of_their_runs():
    runs = _pieces.runs("sofa")
    keys = [_pieces.term_key("lamp"), *(_pieces.run_key(run) for run in runs)]
    vectors = np.zeros((len(keys), 2), np.float32)
    vectors[0], vectors[1:] = (1, 0), (0, 1)
    encoder = StaticEncoder(Table.of(_pieces.keys_of(keys, len(keys)), vectors))
    np.testing.assert_allclose(encoder.encode(["lamp", "sofa", "xyzzy"]), [[1, 0], [0, 1], [0, 0]], atol=1e-6)


def test_rounding_to_eight_bits_keeps_directions():
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((50, 64)).astype(np.float32) * rng.uniform(0.01, 10, (50, 1)).astype(np.float32)
    keys = rng.permutation(50).astype(np.uint64)
    table = Table.of(keys, vectors)
    kept = table.rows(_pieces.find(table.keys, keys))
    assert (np.einsum("ij,ij->i", unit(kept), unit(vectors)) > 0.9995).all()


def test_letter_runs_tell_words_apart_from_runs_of_the_same_letters():
    assert _pieces.term_key("sofa") != _pieces.run_key("sofa")
    assert set(_pieces.runs("mirror")) & set(_pieces.runs("miror"))
    assert _pieces.find(np.empty(0, np.uint64), np.array([5], np.uint64)).tolist() == [-1]


def test_bags_split_and_join():
    bags = Bags(np.array([0, 3, 3, 5]), np.array([4, 5, 6, 7, 8]))
    chosen, rest = bags.split(np.array([2, 1, 9]), np.random.default_rng(0))
    assert np.diff(chosen.starts).tolist() == [2, 0, 2]
    assert np.diff(rest.starts).tolist() == [1, 0, 0]
    assert sorted([*chosen.words, *rest.words]) == [4, 5, 6, 7, 8]
    both = bags.take(np.array([2, 0])).beside(bags.take(np.array([1])))
    assert both.words.tolist() == [7, 8, 4, 5, 6]
    assert both.starts.tolist() == [0, 2, 5, 5]


def test_the_gradient_is_that_of_the_loss():
    """Numerical check through words, runs, weights and the length of 1: a step along it lowers a linear loss."""
    rng = np.random.default_rng(1)
    words = ["sofa", "lamp", "rug", "灯"]
    weight = np.array([0.5, 0.7, 1, 0.3], np.float32)
    vocabulary = Vocabulary.of(words, weight, np.array([True, True, False, True]), 1_000)
    assert vocabulary.own.tolist() == [0, 1, -1, 2]
    learner = Learner(vocabulary, 6, rng)
    bags = Bags(np.array([0, 2, 4]), np.array([0, 2, 1, 3]))
    wish = rng.standard_normal((2, 6)).astype(np.float32)

    def loss():
        return float((learner.batch(bags, 0.0, rng).vectors * wish).sum())

    got = {}
    for name in ("own", "runs"):
        table = getattr(learner, name).table
        got[name] = np.zeros_like(table)
        for place in np.ndindex(table.shape):
            kept = table[place]
            table[place] = kept + 1e-2
            high = loss()
            table[place] = kept - 1e-2
            got[name][place] = (high - loss()) / 2e-2
            table[place] = kept
    batch = learner.batch(bags, 0.0, rng)
    moved = {}
    for name in ("own", "runs"):
        adam = getattr(learner, name)
        moved[name] = np.zeros_like(adam.table)
        adam.step = lambda rows, gradient, rate, into=moved[name]: into.__setitem__(rows, gradient)
    batch.learn(wish, 1.0)
    for name in ("own", "runs"):
        np.testing.assert_allclose(moved[name], got[name], atol=5e-3)


def test_sparse_adam_touches_only_its_rows_and_goes_down():
    table = np.ones((4, 3), np.float32)
    adam = SparseAdam(table)
    for _ in range(200):
        adam.step(np.array([1, 3]), table[[1, 3]].copy(), 0.02)
    assert (table[[0, 2]] == 1).all()
    assert np.abs(table[[1, 3]]).max() < 0.2


def test_clicks_count_people_and_the_strongest_act():
    rows = [
        ("search", 0, 0, -1, 0),
        ("click", 0, 0, 5, 0),
        ("click", 0, 0, 5, 0),
        ("purchase", 0, 0, 5, -1),  # bought in the visit in which it was found: belongs to the query
        ("click", 1, 1, 5, 0),
        ("click", 1, 1, 6, 1),
        ("purchase", 2, 2, 6, -1),  # no query: says nothing of words
        ("impression", 1, 1, 7, 1),
    ]
    clicks = clicks_of(log_of(rows, ["sofa", "lamp"]))
    got = {
        (clicks.texts[query], int(item)): float(weight)
        for query, item, weight in zip(clicks.query.tolist(), clicks.item, clicks.weight, strict=True)
    }
    assert got == {("sofa", 5): 4.0, ("lamp", 6): 1.0}


def test_no_log_no_clicks():
    clicks = clicks_of(log_of([]))
    assert clicks.texts == []
    assert len(clicks.weight) == 0


def test_a_word_typed_by_one_person_gets_no_vector_of_its_own():
    items = ItemTable.of(Item(id=str(n), title=f"couch {n}{n}") for n in range(8))

    def words(people):
        log = log_of([("click", who, who, 0, 0) for who in range(people)], ["zzyzx"])
        return train(World(items, log, 0.0), QUICK)[1].words

    assert words(2) == words(1) + 1


def test_passages_put_the_title_first_and_leave_long_values_out():
    item = Item(
        id="1",
        title="Trail shoe",
        brand="Acme",
        category=("Shoes", "Hiking"),
        attributes={"colour": "red", "weight": 300.0, "story": "x" * 500, "sizes": ["40", "41"]},
    )
    assert passage(item) == "Trail shoe. Acme. Hiking. red. 40. 41"
    assert passage(replace_item(item, title="Acme", brand="Acme")).count("Acme") == 1
    assert passage(Item(id="1")) == ""


def replace_item(item, **changed):
    return type(item)(**{name: getattr(item, name) for name in item.__struct_fields__} | changed)


def test_training_is_silent_about_the_clock(world):
    """The number of steps follows from `seconds` as an option, never from how long it took."""
    facts = train(world, replace_option(QUICK, seconds=0.6))[1]
    assert facts.steps == 10


def replace_option(options, **changed):
    return type(options)(**{name: getattr(options, name) for name in options.__struct_fields__} | changed)


def test_a_chinese_shop_says_so():
    items = [Item(id=str(n), title=f"蓝牙耳机 {n}号") for n in range(10)]
    encoder, _ = train(World(ItemTable.of(items), log_of([]), 0.0), QUICK)
    assert encoder.info.languages == ("zh", "en")
    one, two = encoder.encode(["耳机", "蓝牙耳机"])
    assert one @ two > 0.5
