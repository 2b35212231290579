"""Worlds with answers on paper, asked of every behaviour model alike: two tribes, alternating tastes, a trend break,
a planted complement. Each model is asked only for what its docstring promises (who knows no order is not asked for it).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest

from bodega.protocols import Source
from bodega.retrieval.collaborative import Collaborative, CollaborativeOptions
from bodega.retrieval.generative import Generative, GenerativeOptions
from bodega.retrieval.graph import Graph
from bodega.retrieval.matrix import Matrix, MatrixOptions
from bodega.retrieval.popular import Popular
from bodega.retrieval.relations import Complements, Substitutes
from bodega.retrieval.sequential import Sequential, SequentialOptions
from bodega.retrieval.slim import Slim, SlimOptions
from bodega.retrieval.transition import Transition, TransitionOptions
from bodega.schema import EVENT_CODES, Context, Item, ItemTable, Log, World
from bodega.schema.arrays import Ints

DAY = 86_400.0
NOW = 1_000 * DAY

Row = tuple[int, float, int, int, str]
"""(shopper, day, visit, item, what they did)."""


def small_sequential() -> Sequential:
    return Sequential(
        SequentialOptions(
            dimensions=16, layers=1, heads=1, epochs=30, rate=4e-3, negatives=32, batch=32, dropout=0.1, titles=0
        )
    )


def small_generative() -> Generative:
    return Generative(
        GenerativeOptions(dimensions=16, hidden=32, layers=1, epochs=(1, 200), guesses=40_000, length=20, dropout=0.1)
    )


torch = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch to learn (pip install 'bodega[neural]')")

ORDERED = [
    pytest.param(lambda: Transition(TransitionOptions(gap_decay=0.5)), id="transition"),
    pytest.param(lambda: Slim(SlimOptions(ridge=5.0)), id="slim"),
    pytest.param(small_sequential, id="sequential", marks=torch),
    pytest.param(small_generative, id="generative", marks=torch),
]
"""Who reads the order of a history."""

TASTES = [
    *ORDERED,
    pytest.param(lambda: Collaborative(options=CollaborativeOptions(ridge=10.0)), id="ease"),
    pytest.param(lambda: Collaborative(ease_items=0), id="knn"),
    pytest.param(lambda: Matrix(MatrixOptions(factors=2)), id="matrix"),
    pytest.param(Graph, id="graph"),
]
"""Who learns what goes with a history at all."""

Make = Callable[[], Source]


def world_of(rows: list[Row], n_items: int, until: float = NOW) -> World:
    rows = sorted(rows, key=lambda row: (row[1], row[0]))
    n = len(rows)
    visits = {visit: number for number, visit in enumerate(dict.fromkeys((row[0], row[2]) for row in rows))}
    log = Log(
        time=np.array([row[1] for row in rows]) * DAY,
        type=np.array([EVENT_CODES[row[4]] for row in rows], np.int8),
        user=np.array([row[0] for row in rows], np.int32),
        session=np.array([visits[row[0], row[2]] for row in rows], np.int32),
        item=np.array([row[3] for row in rows], np.int32),
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=np.full(n, -1, np.int32),
        position=np.full(n, -1, np.int32),
        n_users=max(row[0] for row in rows) + 1,
        n_sessions=len(visits),
    )
    return World(ItemTable.of(Item(id=str(row)) for row in range(n_items)), log, until)


def bought_in_turn(sequences: list[Ints], first_day: float = 0.0) -> list[Row]:
    """One purchase a day, each a visit of its own."""
    return [
        (user, first_day + day, day, int(item), "purchase")
        for user, own in enumerate(sequences)
        for day, item in enumerate(own)
    ]


def after(*history: int, place: str = "home", items: tuple[int, ...] = ()) -> Context:
    n = len(history)
    return Context(
        place=place,
        now=NOW,
        history=np.array(history, np.int32),
        times=NOW - DAY * np.arange(n, 0, -1.0),
        actions=np.full(n, EVENT_CODES["purchase"], np.int8),
        items=np.array(items, np.int32),
    )


@pytest.mark.parametrize("make", TASTES)
def test_two_tribes_that_nobody_crosses(make: Make, rng: np.random.Generator) -> None:
    """Sixteen goods each; whoever took three of one tribe is shown ten of that tribe and nothing else."""
    sequences = [rng.permutation(16)[:8] + 16 * (user % 2) for user in range(120)]
    source = make().fit(world_of(bought_in_turn(sequences), 32))
    for tribe in (0, 1):
        history = [16 * tribe + own for own in (2, 7, 11)]
        got = source.retrieve(after(*history), 13).items
        got = got[~np.isin(got, history)][:10]
        assert len(got) == 10
        assert (got // 16 == tribe).all(), f"tribe {tribe} was shown {got}"


@pytest.mark.parametrize("make", ORDERED)
def test_alternating_tastes(make: Make, rng: np.random.Generator) -> None:
    """A sweet thing, then a salty one, in turn: the newest step says which comes next."""
    sequences = []
    for user in range(160):
        turns = np.empty(10, np.int64)
        turns[user % 2 :: 2] = rng.permutation(16)[:5]
        turns[1 - user % 2 :: 2] = 16 + rng.permutation(16)[:5]
        sequences.append(turns)
    source = make().fit(world_of(bought_in_turn(sequences), 32))
    for history, salty in (((1,), True), ((20,), False)):
        got = source.retrieve(after(*history), 12).items
        got = got[~np.isin(got, history)][:5]
        assert len(got) == 5
        assert ((got >= 16) == salty).all(), f"after {history} came {got}"


@pytest.mark.parametrize(
    "make",
    [pytest.param(Popular, id="popular"), pytest.param(lambda: Slim(SlimOptions(ridge=5.0)), id="slim")],
)
def test_a_trend_break(make: Make) -> None:
    """After 0 it was 1, three times a day for 500 days; for the last 400 days it is 2, once a day: 1 is over.

    Only models that forget are asked: 1,500 times against 400 all in all, but at `slim`'s half-life of 120 days 51
    against 156, at `popular`'s of 21 days nothing against 30. The others count all of the past alike.
    """
    rows: list[Row] = []
    for day in range(100, 1_000):
        for _ in range(3 if day < 600 else 1):
            user = len(rows)
            rows += [(user, day, 0, 0, "purchase"), (user, day + 0.5, 1, 1 if day < 600 else 2, "purchase")]
    one, two = make().fit(world_of(rows, 3)).score(after(0), np.array([1, 2], np.int32))
    assert two > one


def test_what_rises_is_trending() -> None:
    """Ten sales of 0 a day for ever, two of 1 a day in the last five days only: 0 is popular, 1 is trending."""
    rows: list[Row] = []
    for day in range(900, 1_000):
        sold = [0] * 10 + [1] * (2 if day >= 995 else 0)
        rows += [(len(rows) + number, day, 0, item, "purchase") for number, item in enumerate(sold)]
    source = Popular().fit(world_of(rows, 2))
    assert source.retrieve(after(place="popular"), 2).items.tolist() == [0, 1]
    assert source.retrieve(after(place="trending"), 2).items.tolist() == [1, 0]


def planted(rng: np.random.Generator) -> World:
    """Who buys the torch (0) buys batteries (1) with it; batteries are bought by many others with anything (2..19).

    Torches (0, 20, 21) are looked at together and only one of them is bought.
    """
    rows: list[Row] = []
    for user in range(300):
        day = float(rng.integers(1, 990))
        if user < 60:
            looked = rng.permutation([0, 20, 21])
            rows += [(user, day + step / 1_000, 0, int(item), "view") for step, item in enumerate(looked)]
            rows += [(user, day + 0.1, 0, 0, "purchase"), (user, day + 0.1, 0, 1, "purchase")]
        else:
            basket = (
                [1, *rng.permutation(np.arange(2, 20))[:2]] if user < 200 else rng.permutation(np.arange(2, 20))[:3]
            )
            rows += [(user, day, 0, int(item), "purchase") for item in basket]
    return world_of(rows, 22)


def test_a_planted_complement_has_a_direction(rng: np.random.Generator) -> None:
    """Batteries go with the torch; the torch does not go with batteries as the first thing to say."""
    source = Complements().fit(planted(rng))
    ask = lambda item: source.retrieve(after(place="together", items=(item,)), 20).items.tolist()  # noqa: E731
    assert ask(0)[:1] == [1]
    assert not {20, 21} & set(ask(0)), "another torch is no complement of a torch"
    to, back = (
        source.score(after(place="together", items=(item,)), np.array([other], np.int32))[0]
        for item, other in ((0, 1), (1, 0))
    )
    assert np.isnan(back) or back < to


def test_a_planted_substitute(rng: np.random.Generator) -> None:
    """The other torches stand in for the torch; its batteries do not."""
    got = Substitutes().fit(planted(rng)).retrieve(after(place="similar", items=(0,)), 20).items.tolist()
    assert sorted(got[:2]) == [20, 21]
    assert 1 not in got


@pytest.mark.parametrize("make", ORDERED)
def test_a_planted_follower_has_a_direction(make: Make, rng: np.random.Generator) -> None:
    """A day after 0 comes 1, always, amid sixteen others at random: 1 is first after 0, and 0 does not follow 1 as 1
    follows 0 (who counts pairs gives the way back less, who reads sequences puts others first)."""
    sequences = []
    for _ in range(120):
        around = rng.permutation(np.arange(2, 18))[:6]
        sequences.append(np.array([*around[:3], 0, 1, *around[3:]]))
    source = make().fit(world_of(bought_in_turn(sequences), 18))
    assert source.retrieve(after(0), 1).items.tolist() == [1]
    if source.name in ("transition", "slim"):
        there, back = (source.score(after(here), np.array([other], np.int32))[0] for here, other in ((0, 1), (1, 0)))
        assert np.isnan(back) or back < there
    else:
        assert source.retrieve(after(1), 1).items.tolist() != [0]
