"""How fast is a search on a large shop, part by part and as a whole page? Generated items, one worker, peers beside.

    encode     a query into a vector, by the shop's own encoder
    lexical    the best 200 by words, with item numbers; `lexical_match` all matches, `facets` four facets over them
    dense      the best 200 by meaning
    page       search as a shopper gets it: understood, found, filtered, ranked for them, 20 hits with reasons
    browse     a category of the shop with four facets
    suggest    completions while typing

Peers (SQLite FTS5, bm25s, PostgreSQL full text) answer the same queries over the same titles in the same run: the best
200. Compare ratios: machines differ. Queries are a few words of random titles; nothing here says how *good* a list is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from bodega.bench._generated import generated_items, generated_queries
from bodega.bench._judged import no_log
from bodega.bench._peers import bm25s_index, postgres_binaries, postgres_full_text, sqlite_fts5, timed
from bodega.bench.result import BenchResult
from bodega.engine.answer import Engine, Learned
from bodega.engine.online import Shoppers
from bodega.engine.places import DEFAULT_WEIGHTS, PLACES
from bodega.engine.shelf import Shelf
from bodega.protocols import Encoder, NoProgress, Progress, Source, Steps
from bodega.ranking.fuse import Fusion
from bodega.ranking.learned import Ordering
from bodega.retrieval.dense import Dense
from bodega.retrieval.lexical import Lexical
from bodega.schema import Context, Event, EventType, Filter, ItemTable, Request, World
from bodega.settings import Settings
from bodega.understanding.text.training import TrainingOptions, train
from bodega.wiring import parts_of

FACETS: Final = ("brand", "category", "colour", "price")
TAUGHT: Final = 50_000
"""Items that the encoder learns from: more would say nothing about speed."""
HISTORY: Final = 20
TIMED: Final = tuple(dict.fromkeys((*PLACES["search"].sources, *PLACES["category"].sources)))
"""The sources that the timed places ask."""


@dataclass(frozen=True, slots=True)
class SpeedOptions:
    """`items` generated items, `queries` timed queries; `peers` False leaves the other engines out."""

    items: int = 100_000
    queries: int = 200
    seed: int = 7
    peers: bool = True


def run(options: SpeedOptions, progress: Progress | None = None) -> BenchResult:
    """Build the shop, ask it, ask the peers."""
    began, progress = time.perf_counter(), progress or NoProgress()
    progress.start("generate")
    table = ItemTable.of(generated_items(options.items, options.seed))
    titles = list(table.titles)
    queries = generated_queries(titles, options.queries, options.seed + 1)
    progress.finish()
    sources, built = _fitted(table, options, progress)
    engine = _engine(table, sources)
    spent = _parts(sources, engine, queries)
    left_out: list[str] = []
    if options.peers:
        more, left_out = _peers(titles, queries, progress)
        spent |= more
    figures = {f"{name}.p50_ms": float(np.percentile(each, 50)) for name, each in spent.items()}
    figures |= {f"{name}.p99_ms": float(np.percentile(each, 99)) for name, each in spent.items()}
    figures |= {f"{name}.build_s": seconds for name, seconds in built.items()}
    return BenchResult(
        bench="speed",
        data=f"{options.items:,} generated items, {options.queries} queries, one worker",
        seconds=round(time.perf_counter() - began, 1),
        figures=dict(sorted(figures.items())),
        facts={"seed": options.seed, "items": options.items, "queries": options.queries, "encoder": _encoder(sources)},
        notes=(
            "lexical, dense and the peers: the best 200 with item numbers; page: 20 hits with reasons and 4 facets",
            "peers are asked for any word of the query over the same titles; PostgreSQL's time is its own (EXPLAIN)",
            *left_out,
        ),
    )


def _fitted(table: ItemTable, options: SpeedOptions, progress: Progress) -> tuple[dict[str, Source], dict[str, float]]:
    world = World(table, no_log(), 0.0)
    few = ItemTable.of(generated_items(min(TAUGHT, options.items), options.seed))
    encoder, _ = train(World(few, no_log(), 0.0), TrainingOptions(seconds=10.0, seed=options.seed))

    def taught(_: World) -> Encoder:
        return encoder

    made = parts_of(Settings()).make
    makes: dict[str, Callable[[], Source]] = {name: made[name] for name in TIMED if name in made}
    makes["dense"] = lambda: Dense(taught)
    sources, built = {}, {}
    for name, make in makes.items():
        progress.start(f"learn: {name}")
        before = time.perf_counter()
        sources[name] = make().fit(world)
        built[name] = round(time.perf_counter() - before, 2)
        progress.finish()
    return sources, built


def _engine(table: ItemTable, sources: dict[str, Source]) -> Engine:
    understanding = parts_of(Settings()).understand
    understood = understanding(World(table, no_log(), 0.0)) if understanding is not None else None
    ordering = Ordering(Fusion(DEFAULT_WEIGHTS, backup=DEFAULT_WEIGHTS))
    learned = Learned(sources, ordering, repeats=False, understanding=understood)

    def recent(user: str, session: str, limit: int) -> Steps:
        del session
        return Steps.of(_visits(table, user)[:limit])

    shoppers = Shoppers(recent, limit=HISTORY)
    return Engine(learned, Shelf.of(table), shoppers, Settings())


def _visits(table: ItemTable, user: str) -> list[Event]:
    """What a made-up shopper looked at."""
    rng = np.random.default_rng(int(user.removeprefix("u")))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = rng.integers(len(table), size=HISTORY).tolist()
    return [
        Event(
            id=f"{user}-{at}", type=EventType.VIEW, time=start + timedelta(minutes=at), user=user, item=table.ids[row]
        )
        for at, row in enumerate(rows)
    ]


def _parts(sources: dict[str, Source], engine: Engine, queries: Sequence[str]) -> dict[str, list[float]]:
    lexical, dense = sources["lexical"], sources["dense"]
    assert isinstance(lexical, Lexical)
    assert isinstance(dense, Dense)
    halls = [f"Hall {number}" for number in range(20)]
    category = dict(zip(queries, halls * (len(queries) // 20 + 1), strict=False))
    user = {query: f"u{number % 50}" for number, query in enumerate(queries)}
    calls: dict[str, Callable[[str], object]] = {
        "encode": dense.question,
        "lexical": lambda query: lexical.retrieve(Context(place="search", query=query), 200),
        "lexical_match": lexical.match,
        "dense": lambda query: dense.retrieve(Context(place="search", query=query), 200),
        "page": lambda query: engine.answer(Request(place="search", query=query, user=user[query], facets=FACETS)),
        "page_filtered": lambda query: engine.answer(
            Request(place="search", query=query, user=user[query], filters=(Filter(field="price", high=30.0),))
        ),
        "browse": lambda query: engine.answer(
            Request(place="category", filters=(Filter(field="category", values=(category[query],)),), facets=FACETS)
        ),
        "suggest": lambda query: engine.completing.complete(query[: len(query) // 2], 8),
    }
    return {name: timed(call, queries) for name, call in calls.items()}


def _peers(
    titles: Sequence[str], queries: Sequence[str], progress: Progress
) -> tuple[dict[str, list[float]], list[str]]:
    peers: dict[str, Callable[[Sequence[str], Sequence[str]], list[float]]] = {
        "sqlite_fts5": sqlite_fts5,
        "bm25s": bm25s_index,
    }
    left_out = []
    if postgres_binaries() is not None:
        peers["postgres"] = postgres_full_text
    else:
        left_out.append("postgres: left out, no initdb on this machine (Debian: apt-get install postgresql)")
    spent = {}
    for name, ask in peers.items():
        progress.start(f"peer: {name}")
        spent[name] = ask(titles, queries)
        progress.finish()
    return spent, left_out


def _encoder(sources: dict[str, Any]) -> str:
    info = sources["dense"].info
    return "" if info is None else str(info.name)
