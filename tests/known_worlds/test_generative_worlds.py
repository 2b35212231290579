"""Worlds whose right answer is known on paper, asked of the generative source."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from bodega.retrieval.generative import Generative, GenerativeOptions
from bodega.schema import EVENT_CODES, Context, Item, ItemTable, Log, World
from bodega.schema.arrays import Ints

pytest.importorskip("torch")

HOUR = 3_600.0
SMALL = GenerativeOptions(dimensions=16, hidden=32, layers=1, epochs=(1, 200), guesses=25_000, length=20, dropout=0.1)

Row = tuple[int, float, int, str]
"""(shopper, hour, item or -1, query)."""


def world_of(rows: list[Row], titles: list[str]) -> World:
    rows = sorted(rows, key=lambda row: (row[1], row[0]))
    queries = sorted({query for *_, query in rows if query})
    n = len(rows)
    user = np.array([row[0] for row in rows], np.int32)
    item = np.array([row[2] for row in rows], np.int32)
    log = Log(
        time=np.array([row[1] for row in rows]) * HOUR,
        type=np.where(item >= 0, EVENT_CODES["purchase"], EVENT_CODES["search"]).astype(np.int8),
        user=user,
        session=user,
        item=item,
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=np.array([queries.index(row[3]) if row[3] else -1 for row in rows], np.int32),
        position=np.full(n, -1, np.int32),
        n_users=int(user.max()) + 1,
        n_sessions=int(user.max()) + 1,
        queries=tuple(queries),
    )
    return World(catalog(titles), log, 1e9)


def catalog(titles: list[str], first: int = 0) -> ItemTable:
    return ItemTable.of(Item(id=str(first + row), title=title) for row, title in enumerate(titles))


def bought(sequences: list[Ints]) -> list[Row]:
    return [(user, 2.0 * place, int(item), "") for user, own in enumerate(sequences) for place, item in enumerate(own)]


def after(*history: int, searches: tuple[str, ...] = (), query: str = "") -> Context:
    n = len(history)
    return Context(
        now=1e9,
        history=np.array(history, np.int32),
        times=np.arange(n) * 2 * HOUR,
        actions=np.full(n, EVENT_CODES["purchase"], np.int8),
        searches=tuple((1e6 + 2 * HOUR * number, text) for number, text in enumerate(searches)),
        query=query,
    )


def test_alternating_tastes(rng: np.random.Generator) -> None:
    """Everybody takes a sweet thing, then a salty one, in turn: what comes next depends on the newest step alone."""
    sequences = []
    for user in range(160):
        turns = np.empty(10, np.int32)
        turns[user % 2 :: 2] = rng.permutation(20)[:5]
        turns[1 - user % 2 :: 2] = 20 + rng.permutation(20)[:5]
        sequences.append(turns)
    source = Generative(SMALL).fit(world_of(bought(sequences), [""] * 40))
    for history, salty in (((1, 25, 2), True), ((25, 1, 26), False), ((3, 30, 7, 31), False), ((30, 7), True)):
        got = source.retrieve(after(*history), 10).items
        assert len(got) == 10
        assert (got >= 20).mean() == salty, f"after {history} came {got}"


def test_two_tribes(rng: np.random.Generator) -> None:
    """Each tribe is shown its own goods before the other's."""
    tribes = [np.arange(20), np.arange(20, 40)]
    sequences = [rng.permutation(tribes[user % 2])[:8] for user in range(120)]
    source = Generative(SMALL).fit(world_of(bought(sequences), [""] * 40))
    for goods in tribes:
        got = source.retrieve(after(*goods[:3].tolist()), 15).items
        assert len(got) == 15
        assert np.isin(got, goods).all()


@pytest.fixture(scope="module")
def shop() -> tuple[Generative, World]:
    """Half of the shoppers drink tea, the others build; the last tea and the last nail have never been touched."""
    rng = np.random.default_rng(7)
    leaves = ["green", "black", "white", "mint", "fruit", "earl", "herbal", "lemon", "ginger", "jasmine"]
    sizes = ["long", "short", "thin", "thick", "round", "square", "zinc", "brass", "copper", "oak"]
    titles = [f"{word} tea bags" for word in leaves] + [f"{word} steel nails" for word in sizes]
    sequences = [rng.permutation(9)[:6] + 10 * (user % 2) for user in range(120)]
    world = world_of(bought(sequences), titles)
    return Generative(SMALL).fit(world), world


def test_an_item_nobody_has_touched_is_recommended(shop: tuple[Generative, World]) -> None:
    source, world = shop
    assert not np.isin(world.log.item, [9, 19]).any()
    tea, nails = source.retrieve(after(0, 1, 2), 7).items, source.retrieve(after(10, 11, 12), 7).items
    assert 9 in tea
    assert 19 not in tea
    assert 19 in nails
    assert 9 not in nails


def test_an_item_newer_than_the_snapshot_is_recommended(shop: tuple[Generative, World]) -> None:
    source, world = shop
    delta = catalog(["steel nails", "rose tea bags", ""], first=100)
    newer = source.beside(delta)
    for history, own, other in (((0, 1, 2), 1, 0), ((10, 11, 12), 0, 1)):
        found = newer.score(after(*history), np.arange(3, dtype=np.int32))
        assert found[own] > (found[other] if np.isfinite(found[other]) else -np.inf)
        assert newer.retrieve(after(*history), 1).items.tolist() == [own]
        assert np.isnan(found[2]), "an item that says nothing got an id"
        base = source.score(after(*history), np.arange(20, dtype=np.int32))
        assert found[own] > np.nanmin(base), "a newcomer is out of all proportion to what the snapshot holds"
    changed = source.beside(catalog([world.items.titles[3]], first=3))
    assert len(changed.retrieve(after(0, 1, 2), 5)) == 0, "what the snapshot knows has its score there"


def test_the_reason_is_what_is_like_it(shop: tuple[Generative, World]) -> None:
    """One tea among nails: it is the reason for the other teas, and the nails are for nails."""
    source, _ = shop
    mixed = after(10, 11, 0)
    assert source.because(mixed, np.array([3, 4, 9, 15, 16, 19], np.int32), 1).ravel().tolist()[:3] == [0, 0, 0]
    assert np.isin(source.because(mixed, np.array([15, 16, 19], np.int32), 1), [10, 11]).all()
    newer = source.beside(catalog(["rose tea bags"], first=100))
    assert newer.because(mixed, np.zeros(1, np.int32), 1).tolist() == [[0]]
    assert (source.because(Context(), np.array([3], np.int32), 2) == -1).all()


def test_newcomers_take_their_share_and_no_more(shop: tuple[Generative, World]) -> None:
    """Paths are log-probabilities: all items but the three that the shopper has stay below 1 together."""
    _, world = shop
    source = Generative(msgspec.structs.replace(SMALL, rescoring=0.0)).fit(world)
    score = source.score(after(0, 1, 2), np.arange(20, dtype=np.int32))
    assert 0.3 < np.nansum(np.exp(score.astype(np.float64))) <= 1 + 1e-5


@pytest.fixture(scope="module")
def searching() -> Generative:
    """tent -> tent pegs -> items 0 to 4; phone -> phone case -> items 5 to 9; a secret of one shopper."""
    rng = np.random.default_rng(3)
    rows: list[Row] = []
    for user in range(100):
        first, second, low = (("tent", "tent pegs", 0), ("phone", "Phone Case", 5))[user % 2]
        start = 100.0 * user
        rows += [(user, start, -1, first), (user, start + 0.1, -1, second)]
        rows += [(user, start + 2 + 2 * number, low + int(item), "") for number, item in enumerate(rng.permutation(5))]
        if user == 0:
            rows.append((user, start + 0.05, -1, "tent for john smith"))
    return Generative(SMALL).fit(world_of(rows, [f"thing {row}" for row in range(10)]))


def test_the_query_that_follows(searching: Generative) -> None:
    assert searching.next_queries(after(searches=("tent",)), 1) == ["tent pegs"]
    assert searching.next_queries(after(searches=("phone",)), 1) == ["Phone Case"]
    assert searching.next_queries(after(query="phone"), 1) == ["Phone Case"]
    every = searching.next_queries(after(searches=("tent",)), 99)
    assert "tent for john smith" not in every
    assert len(every) == 3
    assert searching.next_queries(Context(), 5) == []


def test_what_was_searched_says_what_comes(searching: Generative) -> None:
    """Two shoppers with no history at all differ only in their searches."""
    for searches, low in ((("tent", "tent pegs"), 0), (("phone", "phone case"), 5)):
        got = searching.retrieve(after(searches=searches), 4).items
        assert np.isin(got, np.arange(low, low + 5)).all(), f"after {searches} came {got}"
    asked = searching.retrieve(replace(after(), query="phone case", place="search"), 3).items
    assert (asked >= 5).all()


def test_a_search_told_again_by_its_click_is_one_step(searching: Generative) -> None:
    assert searching.next_queries(after(searches=("nobody asked this", "tent")), 1) == ["tent pegs"]
