"""Does search find the product that is meant? ESCI-200: 200 real shopping queries with one judged product each, put
among the 48,000 products of another shop (Best Buy); the 138 pairs judged Exact are the test.

Full ranking over every item, average rank on ties, seeded shuffle of the items (file order would put the answers
last), 95 % bootstrap intervals. Beside it stands tantivy's BM25 over titles with its default tokenizer, any word, and
`lexical_titles`, our source when it sees titles only: all 200 products have long descriptions, half of the others have
none, so a part of the gain of `lexical` over titles is the data's, not the method's.
Popularity and random are no baselines here: these products have no events, and a random product has an MRR of .0002.

The dials of `lexical` were chosen on queries generated from Best Buy titles (`_known_items`) and on the Substitute
pairs, whose queries are not among the 138; `validation` in the slices shows those figures, so that a later change can
be tuned without looking at the test.
"""

from __future__ import annotations

import csv
import gzip
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tantivy

from bodega.bench._judged import no_log
from bodega.bench._known_items import RECIPES, KnownItem, known_items
from bodega.bench._stack import PLACE, Stack, choose
from bodega.bench.result import BenchResult, data_hash
from bodega.catalog.text import clean_line, clean_text
from bodega.errors import BadFeed
from bodega.evaluation.metrics import per_case
from bodega.evaluation.ranks import Ranked, average_ranks
from bodega.evaluation.significance import intervals, paired
from bodega.protocols import NoProgress, Progress
from bodega.retrieval.lexical import Lexical
from bodega.schema import Candidates, Context, Item, ItemTable, World
from bodega.schema.arrays import Doubles, Floats
from bodega.settings import Settings, Understand
from bodega.understanding.text.pretrained import best_installed
from bodega.wiring import parts_of

METRICS = ("mrr", "hit@10", "ndcg@10")
PAIRS = Path("esci_search/esci_200_with_text.csv")
DISTRACTORS = Path("bestbuy_retrotech/products.csv.gz")
TIMED_K = 200

NOTES = (
    "full ranking of all products, average rank on ties, items shuffled; each query has one right product",
    "bm25 = tantivy with its default tokenizer over titles, any word of the query",
    "lexical_titles = our source with titles only (all answers have long descriptions, half of the others none)",
    "fusion = what a shop without a search log serves (default weights); without_<source> = the same with that "
    "weight at 0; rrf = reciprocal ranks over the same candidates",
    "popularity and random are left out: the products have no events, random has an MRR of about .0002",
    "parameters were chosen on queries generated from Best Buy titles and on the 49 Substitute pairs, never "
    "on the test pairs (docs/decisions/0005-lexical.md, 0019-search-fusion.md)",
    "a product judged Exact is not the only right one in the shop: figures are a lower bound",
)

Scorer = Callable[[str], Floats]
"""Query -> score of every item (n_items,), NaN where it does not match."""


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """`data` is the folder that holds `esci_search/` and `bestbuy_retrotech/`."""

    data: Path
    seed: int = 7
    generated: int = 210
    """Validation queries generated from the distractors; 0 leaves validation out."""
    encoder: str = "static"
    """The dense source's encoder; `none` leaves meaning out."""
    beside: str = "auto"
    """A second, pretrained encoder: `auto` takes an installed one, `none` none."""


@dataclass(frozen=True, slots=True, eq=False)
class SearchData:
    """The catalog (rows shuffled) and its queries with a known answer."""

    items: list[Item]
    table: ItemTable
    test: list[KnownItem]
    substitutes: list[KnownItem]
    generated: list[KnownItem]
    digest: str


def run(options: SearchOptions, progress: Progress | None = None) -> BenchResult:
    """Measure every stage on the test pairs, and the time of answers. Raises BadFeed without the data."""
    began, progress = time.perf_counter(), progress or NoProgress()
    data = read_data(options)
    rng = np.random.default_rng(options.seed)
    world = World(data.table, no_log(), 0.0)
    bare = ItemTable.of(Item(id=item.id, title=item.title) for item in data.items)
    titles = Lexical().fit(World(bare, no_log(), 0.0))
    plain = PlainBm25.of(data.items)
    stack = Stack.fit(world, parts_of(_settings(options)), {}, progress)
    fusion = choose(stack, [], progress).fusion()
    stages = {name: _by_query(scorer, len(data.items)) for name, scorer in stack.scorers(fusion).items()}
    heard = [name for name in PLACE.proposes if name in stack.sources]
    lesser = {f"without_{name}": _by_query(stack.without(fusion, name), len(data.items)) for name in heard}
    scorers = {"bm25": plain.scores, "lexical_titles": _scorer(titles), **stages}
    cases = {name: measure(scorer, data.test) for name, scorer in {**scorers, **lesser}.items()}
    figures: dict[str, float] = {}
    spans: dict[str, tuple[float, float]] = {}
    for name in scorers:
        figures |= {f"{name}.{metric}": float(value.mean()) for metric, value in cases[name].items()}
        spans |= {f"{name}.{metric}": span for metric, span in intervals(cases[name], rng).items()}
    pairs = {f"{name}_over_bm25.mrr": (name, "bm25") for name in ("lexical", "lexical_titles", "fusion")}
    pairs |= {f"fusion_over_{name}.mrr": ("fusion", name) for name in ("lexical", "rrf")}
    pairs |= {f"gain_of_{name}.mrr": ("fusion", f"without_{name}") for name in heard if len(heard) > 1}
    for name, (one, other) in pairs.items():
        gain = paired(cases[one]["mrr"], cases[other]["mrr"], rng)
        figures[name], spans[name] = gain.mean, (gain.low, gain.high)
    lexical = stack.sources["lexical"]
    assert isinstance(lexical, Lexical)
    figures |= _speed(lexical, plain, [case.query for case in data.test])
    figures["lexical.served_hit@10"] = _served(lexical, data.test)
    return BenchResult(
        bench="search",
        data=f"ESCI-200, {len(data.test)} Exact pairs among {len(data.table):,} products",
        seconds=round(time.perf_counter() - began, 2),
        figures=figures,
        intervals=spans,
        slices=_validation({**scorers, **lesser}, data),
        facts={
            "seed": options.seed,
            "data_hash": data.digest,
            "items": len(data.table),
            "cases": len(data.test),
            "encoders": stack.encoders(),
            "weights": fusion.weights[PLACE.name],
        },
        notes=NOTES,
    )


def _settings(options: SearchOptions) -> Settings:
    beside = best_installed() if options.beside == "auto" else options.beside
    return Settings(understand=Understand(encoder=options.encoder, beside="" if beside == "none" else beside))


def _by_query(scorer: Callable[[Context], Floats | Candidates], n_items: int) -> Scorer:
    """A stage as a function of the query that scores every item."""

    def scores(query: str) -> Floats:
        answer = scorer(Context(place="search", query=query))
        if not isinstance(answer, Candidates):
            return answer
        out = np.full(n_items, np.nan, np.float32)
        out[answer.items] = answer.score
        return out

    return scores


def read_data(options: SearchOptions) -> SearchData:
    """All products in a seeded order, and the queries. Raises BadFeed when a file is missing."""
    paths = (options.data / PAIRS, options.data / DISTRACTORS)
    for path in paths:
        if not path.exists():
            raise BadFeed(
                "a file of the search benchmark is missing",
                where=str(path),
                allowed=f"a folder with {PAIRS} and {DISTRACTORS}",
                next="name the folder with --data",
            )
    judged = list(_judged(paths[0]))
    others = list(_distractors(paths[1]))
    items = [item for _, _, item in judged] + others
    order = np.random.default_rng(options.seed).permutation(len(items))
    place = np.argsort(order)
    shuffled = [items[row] for row in order]
    answers = [(KnownItem(query, int(place[row]), label), label) for row, (query, label, _) in enumerate(judged)]
    generated = [
        KnownItem(case.query, int(place[len(judged) + case.row]), case.recipe)
        for case in known_items(others, options.generated, options.seed)
    ]
    return SearchData(
        shuffled,
        ItemTable.of(shuffled),
        test=[case for case, label in answers if label == "Exact"],
        substitutes=[case for case, label in answers if label == "Substitute"],
        generated=generated,
        digest=data_hash(*paths),
    )


def measure(scorer: Scorer, cases: Sequence[KnownItem]) -> dict[str, Doubles]:
    """{metric: one value a case} over the full ranking."""
    ranks, sizes = [], []
    for case in cases:
        scores = scorer(case.query)
        ranks.append(average_ranks(scores, np.array([case.row], np.int32))[0])
        sizes.append(len(scores))
    ranked = Ranked(
        np.array(ranks, np.float64),
        np.array([case.row for case in cases], np.int32),
        np.arange(len(cases), dtype=np.int32),
        np.array(sizes, np.int32),
    )
    return per_case(ranked, METRICS)


@dataclass(frozen=True, slots=True)
class PlainBm25:
    """The baseline: tantivy as it comes, BM25 over titles, default tokenizer, any word of the query."""

    index: tantivy.Index
    searcher: tantivy.Searcher
    n_items: int

    @classmethod
    def of(cls, items: Sequence[Item]) -> PlainBm25:
        schema = tantivy.SchemaBuilder()
        schema.add_text_field("title")
        schema.add_integer_field("row", fast=True)
        index = tantivy.Index(schema.build())
        writer = index.writer(heap_size=200_000_000, num_threads=1)
        for row, item in enumerate(items):
            writer.add_document(tantivy.Document(title=item.title, row=row))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        return cls(index, index.searcher(), len(items))

    def top(self, query: str, k: int) -> tuple[list[int], list[float]]:
        """(rows, scores) of the best k."""
        parsed, _ = self.index.parse_query_lenient(_only_words(query), ["title"])
        hits = self.searcher.search(parsed, limit=k).hits
        rows = self.searcher.fast_field_values("row", [address for _, address in hits])
        return [int(row or 0) for row in rows], [score for score, _ in hits]

    def scores(self, query: str) -> Floats:
        out = np.full(self.n_items, np.nan, np.float32)
        rows, scores = self.top(query, self.n_items)
        out[rows] = scores
        return out


def _scorer(source: Lexical) -> Scorer:
    """Through `retrieve` with room for every item: the same scores as `score`, without touching what cannot match."""

    def scores(query: str) -> Floats:
        out = np.full(len(source), np.nan, np.float32)
        found = source.retrieve(Context(place="search", query=query), len(source))
        out[found.items] = found.score
        return out

    return scores


def _only_words(query: str) -> str:
    """Without the characters (and capital operators) that tantivy's query language would read as commands."""
    return "".join(char if char.isalnum() else " " for char in query.lower())


def _validation(scorers: dict[str, Scorer], data: SearchData) -> dict[str, dict[str, float]]:
    groups = {"validation: substitutes": data.substitutes, "validation: generated": data.generated}
    groups |= {f"validation: {name}": [case for case in data.generated if case.recipe == name] for name in RECIPES}
    slices = {}
    for title, cases in groups.items():
        if cases:
            slices[title] = {"cases": float(len(cases))}
            for name, scorer in scorers.items():
                measured = measure(scorer, cases)
                slices[title] |= {f"{name}.{metric}": float(values.mean()) for metric, values in measured.items()}
    return slices


def _speed(lexical: Lexical, plain: PlainBm25, queries: Sequence[str]) -> dict[str, float]:
    """Milliseconds a query, median and 99th percentile: top 200 with item numbers; lexical also all matches."""
    calls: dict[str, Callable[[str], object]] = {
        "lexical": lambda query: lexical.retrieve(Context(place="search", query=query), TIMED_K),
        "lexical_match": lexical.match,
        "bm25": lambda query: plain.top(query, TIMED_K),
    }
    figures = {}
    for name, call in calls.items():
        spent = []
        for query in (*queries, *queries):
            before = time.perf_counter()
            call(query)
            spent.append((time.perf_counter() - before) * 1_000)
        figures[f"{name}.p50_ms"] = float(np.percentile(spent[len(queries) :], 50))
        figures[f"{name}.p99_ms"] = float(np.percentile(spent[len(queries) :], 99))
    return figures


def _served(lexical: Lexical, cases: Sequence[KnownItem]) -> float:
    """Share of cases whose product stands in the first ten of `match`: what a results page shows."""
    return float(np.mean([case.row in lexical.match(case.query).items[:10] for case in cases]))


def _judged(path: Path) -> Iterator[tuple[str, str, Item]]:
    """(query, label, product) of each pair."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            told = f"{row['product_bullet_point']}\n{row['product_description']}"
            colour = clean_line(row["product_color"] or "", 100)
            item = Item(
                id=row["product_id"],
                title=clean_line(row["product_title"], 1_000),
                brand=clean_line(row["product_brand"] or "", 200),
                description=clean_text(told, 20_000),
                attributes={"colour": colour} if colour else {},
            )
            yield row["query"], row["esci_label"], item


def _distractors(path: Path) -> Iterator[Item]:
    """The products of the other shop, the first of each article number."""
    seen: set[str] = set()
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["upc"] not in seen:
                seen.add(row["upc"])
                yield Item(
                    id=row["upc"],
                    title=clean_line(row["name"] or "", 1_000),
                    brand=clean_line(row["manufacturer"] or "", 200),
                    description=clean_text(f"{row['short_description']}\n{row['long_description'] or ''}", 20_000),
                )
