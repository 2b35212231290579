"""Mixed lists: the plain order at dial 0, likes apart, caps kept, nothing lost, whatever comes in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodega.ranking.diversify import Cap, Diversify, Diversity, Likeness, Shown, capped, distance, dpp, mmr
from bodega.schema import Candidates, Context, Item, ItemTable
from bodega.schema.arrays import Floats

ITEMS = [
    *(Item(id=f"shirt{n}", title="Blue cotton shirt", brand="Acme", category=("Clothes", "Shirts")) for n in range(4)),
    *(Item(id=f"sock{n}", title=f"Wool socks {n}", brand="Knit", category=("Clothes", "Socks")) for n in range(4)),
    *(Item(id=f"kettle{n}", title=f"Steel kettle {n}", brand="Boil", category=("Kitchen",)) for n in range(3)),
    Item(id="bare", title=""),
]
TABLE = ItemTable.of(ITEMS)


def ranked(n: int = len(ITEMS), *, flat: bool = False) -> Candidates:
    score = np.zeros(n, np.float32) if flat else np.linspace(2, -1, n, dtype=np.float32)
    return Candidates(np.arange(n, dtype=np.int32), score.reshape(-1, 1), score, ("popular",))


def stage(dial: Diversity, **known: object) -> Diversify:
    return Diversify(Shown((TABLE,), **known), {"home": dial})  # type: ignore[arg-type]


def ids(candidates: Candidates) -> list[str]:
    return [TABLE.ids[row] for row in candidates.items]


def brute_dpp(relevance: np.ndarray, alike: np.ndarray, strength: float) -> list[int]:
    """Greedy by determinants, as the definition says."""
    quality = np.exp((1 - strength) * relevance / (2 * strength))
    kernel = quality[:, None] * (0.8 * alike + 0.2 * np.eye(len(alike))) * quality[None, :]
    order: list[int] = []
    while len(order) < len(relevance):
        rest = [item for item in range(len(relevance)) if item not in order]
        gains = [np.linalg.slogdet(kernel[np.ix_([*order, item], [*order, item])])[1] for item in rest]
        order.append(rest[int(np.argmax(gains))])
    return order


def test_a_dial_at_zero_gives_the_very_same_object() -> None:
    candidates = ranked()
    assert stage(Diversity()).rank(Context(), candidates) is candidates
    assert stage(Diversity(strength=0.5)).rank(Context(place="similar"), candidates) is candidates


def test_copies_are_set_apart_by_both_methods() -> None:
    for method in ("mmr", "dpp"):
        mixed = stage(Diversity(strength=0.5, method=method)).rank(Context(), ranked())  # type: ignore[arg-type]
        first = ids(mixed)[:4]
        assert first[0] == "shirt0"
        assert sum(name.startswith("shirt") for name in first) == 1, first


def test_more_strength_never_makes_the_first_ten_more_alike() -> None:
    likeness = Likeness((TABLE,))
    found = [
        distance(likeness.among(stage(Diversity(strength=strength)).rank(Context(), ranked()).items[:4]))
        for strength in (0.0, 0.3, 0.6, 0.9)
    ]
    assert found == sorted(found)
    assert found[-1] > found[0] + 0.3


def test_the_dpp_is_the_greedy_one_of_the_definition(rng: np.random.Generator) -> None:
    for _ in range(20):
        vectors = rng.random((7, 9))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        alike = (vectors @ vectors.T).astype(np.float64)
        relevance = np.sort(rng.random(7))[::-1].copy()
        assert dpp(relevance, alike, 0.4).tolist() == brute_dpp(relevance, alike, 0.4)  # type: ignore[arg-type]


def test_a_copy_costs_as_much_with_both_methods() -> None:
    """A copy costs the strength, .2: a stranger whose relevance (times .8) is .16 less goes before it, .24 less not."""
    alike = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], np.float32)
    for choose in (mmr, dpp):
        behind = [choose(np.array([1.0, 1.0, 1.0 - gap]), alike, 0.2).tolist() for gap in (0.2, 0.3)]
        assert behind == [[0, 2, 1], [0, 1, 2]], choose.__name__


def test_mmr_is_the_one_of_the_definition(rng: np.random.Generator) -> None:
    for _ in range(20):
        alike = rng.random((6, 6))
        alike = ((alike + alike.T) / 2).astype(np.float32)
        relevance = np.sort(rng.random(6))[::-1].copy()
        order: list[int] = []
        while len(order) < 6:
            rest = [item for item in range(6) if item not in order]
            worth = [0.7 * relevance[i] - 0.3 * max((float(alike[i, j]) for j in order), default=0) for i in rest]
            order.append(rest[int(np.argmax(worth))])
        assert mmr(relevance, alike, 0.3).tolist() == order


def test_a_cap_holds_for_the_places_it_speaks_of_and_no_further() -> None:
    mixed = stage(Diversity(per_category=1, within=3)).rank(Context(), ranked())
    assert ids(mixed)[:3] == ["shirt0", "sock0", "kettle0"]
    assert ids(mixed)[3] == "shirt1"
    assert ids(stage(Diversity(per_brand=2, within=6)).rank(Context(), ranked()))[:6] == [
        "shirt0", "shirt1", "sock0", "sock1", "kettle0", "kettle1",
    ]  # fmt: skip


def test_a_cap_that_nothing_can_keep_gives_way() -> None:
    labels = np.zeros(5, np.int32)
    assert capped(np.linspace(1, 0, 5), [Cap(labels, 1, 5)]).tolist() == [0, 1, 2, 3, 4]


def test_items_without_a_category_are_never_capped() -> None:
    labels = np.full(4, -1, np.int32)
    assert capped(np.linspace(1, 0, 4), [Cap(labels, 1, 4)]).tolist() == [0, 1, 2, 3]


def test_novelty_lifts_what_is_little_known() -> None:
    fame = np.linspace(10, 0, len(ITEMS), dtype=np.float32)
    assert ids(stage(Diversity(novelty=1.0), popularity=lambda: fame).rank(Context(), ranked()))[0] == "bare"
    alone = ranked()
    assert stage(Diversity(novelty=1.0)).rank(Context(), alone) is alone  # nobody knows what is popular


def test_held_rows_stay_where_they_are() -> None:
    held = np.array([2, 7], np.int32)
    mixed = stage(Diversity(strength=0.8)).rank(Context(), ranked(), held)
    assert mixed.items[2] == 2
    assert mixed.items[7] == 7
    assert ids(mixed) != ids(ranked())


def test_only_one_variant_of_a_product_takes_part() -> None:
    group = np.array([0, 0, 0, 0, *range(4, len(ITEMS))], np.int32)
    mixed = stage(Diversity(per_category=1, within=4), group=group).rank(Context(), ranked())
    assert ids(mixed)[:3] == ["shirt0", "sock0", "kettle0"]
    assert ids(mixed)[-3:] == ["shirt1", "shirt2", "shirt3"]


def test_what_is_sold_out_does_not_use_up_a_cap() -> None:
    available = np.ones(len(ITEMS), np.bool_)
    available[0] = False
    mixed = stage(Diversity(per_category=1, within=2), available=available).rank(Context(), ranked())
    assert ids(mixed)[:2] == ["shirt1", "sock0"]


def test_what_is_behind_the_head_stays_behind_it() -> None:
    mixed = stage(Diversity(strength=1.0, head=4)).rank(Context(), ranked())
    assert sorted(mixed.items[:4].tolist()) == [0, 1, 2, 3]
    assert mixed.items[4:].tolist() == list(range(4, len(ITEMS)))


@pytest.mark.parametrize("method", ["mmr", "dpp"])
@pytest.mark.parametrize("n", [0, 1, 2, 12])
def test_short_and_flat_lists(method: str, n: int) -> None:
    dial = Diversity(method=method, strength=0.5, novelty=0.5, per_brand=1, fatigue=0.5)  # type: ignore[arg-type]
    mixed = stage(dial).rank(Context(), ranked(n, flat=True))
    assert sorted(mixed.items.tolist()) == list(range(n))


@given(
    strength=st.floats(0, 1),
    method=st.sampled_from(["mmr", "dpp"]),
    novelty=st.floats(0, 1),
    cap=st.integers(0, 3),
    fatigue=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_every_dial_only_moves_items(
    strength: float, method: str, novelty: float, cap: int, fatigue: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    n = len(ITEMS)
    score: Floats = np.sort(rng.choice([rng.normal(), 0.0, np.nan, 1e30, -1e30], n)).astype(np.float32)[::-1]
    candidates = Candidates(rng.permutation(n).astype(np.int32), score.reshape(-1, 1), score, ("popular",))
    dial = Diversity(
        strength=strength, method=method, novelty=novelty, per_category=cap, fatigue=fatigue, head=8  # type: ignore[arg-type]
    )  # fmt: skip
    context = Context(
        now=1e9,
        disliked=rng.integers(0, n, 2).astype(np.int32),
        shown=rng.integers(0, n, 9).astype(np.int32),
        shown_times=np.full(9, 1e9 - 1e5),
    )
    fame = rng.random(n).astype(np.float32)
    one = stage(dial, popularity=lambda: fame).rank(context, candidates)
    again = stage(dial, popularity=lambda: fame).rank(context, candidates)
    assert sorted(one.items.tolist()) == list(range(n))
    assert one.items.tobytes() == again.items.tobytes()
    assert np.array_equal(one.score, candidates.score, equal_nan=True)
    for row, scores in zip(one.items, one.scores, strict=True):
        assert np.array_equal(scores, candidates.scores[candidates.items.tolist().index(row)], equal_nan=True)


def test_likeness_is_a_cosine_of_what_items_say() -> None:
    alike = Likeness((TABLE,)).among(np.arange(len(ITEMS), dtype=np.int32))
    assert np.allclose(np.diag(alike), 1)
    assert np.allclose(alike, alike.T)
    assert alike[0, 1] == pytest.approx(1, abs=1e-5)
    assert alike[4, 5] > alike[4, 0] > alike[4, 9] == 0
    assert alike[0, 11] == 0, "an item that says nothing is like nothing"
    assert np.linalg.eigvalsh(alike.astype(np.float64)).min() > -1e-5


def test_newer_items_are_compared_like_any_other() -> None:
    newer = ItemTable.of([ITEMS[0], Item(id="n", title="Unheard thing", brand="New", category=("Other",))])
    likeness = Likeness((TABLE, newer))
    n = len(ITEMS)
    alike = likeness.against(np.array([0, 4], np.int32), np.array([n, n + 1], np.int32))
    assert alike[0, 0] == pytest.approx(1, abs=1e-5)
    assert alike[0, 1] == alike[1, 1] == 0
    shown = Shown((TABLE, newer))
    assert shown.category[n] == shown.category[0]
    assert shown.brand[n + 1] == len(TABLE.coded["brand"].vocabulary)
    assert shown.category[ITEMS.index(ITEMS[-1])] == -1
