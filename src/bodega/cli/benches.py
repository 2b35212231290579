"""`bodega bench ...`: every claim as a number with its baselines beside it. One command a benchmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bodega.cli import show
from bodega.cli.root import AsJson, app

if TYPE_CHECKING:
    from bodega.bench.result import BenchResult
    from bodega.protocols import Progress

bench = typer.Typer(help="Measure: every figure with its baselines and 95 % intervals.", no_args_is_help=True)
app.add_typer(bench, name="bench", rich_help_panel="Measure")

Seed = Annotated[int, typer.Option(help="Seed of every draw.")]
Models = Annotated[str, typer.Option(help="fast (what needs no torch), or all.")]
Users = Annotated[int, typer.Option(help="Test a seeded draw of this many; 0 = all.", min=0)]


def run_and_show(run: Callable[[Progress], BenchResult], as_json: bool) -> None:
    """Run with progress bars, then print the table or one JSON object."""
    from bodega.bench._table import print_result
    from bodega.schema import to_plain

    with show.Bars() as bars:
        result = run(bars)
    if as_json:
        show.json(to_plain(result))
    else:
        print_result(result, show.console)


@bench.command(
    epilog="Example: `bodega bench recommend --data ../shared/data/amazon2014_beauty --ties shuffled --json`"
)
def recommend(
    data: Annotated[Path, typer.Option(help="Folder with sequences.txt, item2attributes.json and perhaps items.tsv.")],
    ties: Annotated[str, typer.Option(help="file, or shuffled (undo what a sort by id may have ordered).")] = "file",
    users: Users = 0,
    models: Models = "fast",
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Next item, leave-last-out, every item ranked for every shopper."""
    from bodega.bench.recommend import RecommendOptions, run

    options = RecommendOptions(data=data, ties=ties, seed=seed, users=users or None, models=models)
    run_and_show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `bodega bench basket --json`")
def basket(
    data: Annotated[Path | None, typer.Option(help="Folder of the data.", show_default="the installed package")] = None,
    users: Users = 0,
    models: Models = "fast",
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Next basket of a real supermarket, split by time; repeat and explore recall apart."""
    from bodega.bench.basket import BasketOptions, run

    options = BasketOptions(data=data, seed=seed, users=users or None, models=models)
    run_and_show(lambda progress: run(options, progress), as_json)


@bench.command(
    epilog="Example: `bodega bench search --items items.csv --queries queries.csv --judgments grades.csv --json`"
)
def search(
    data: Annotated[
        Path, typer.Option(envvar="BODEGA_DATA", help="Folder that holds esci_search/ and bestbuy_retrotech/.")
    ] = Path("../shared/data"),
    items: Annotated[Path | None, typer.Option(help="Your own set: a file of items (id, title, ...).")] = None,
    queries: Annotated[Path | None, typer.Option(help="Its queries (query_id, query).")] = None,
    judgments: Annotated[Path | None, typer.Option(help="Its judgments (query_id, item_id, grade).")] = None,
    clicks: Annotated[
        Path | None, typer.Option(help="What people clicked (query or query_id, item_id, count).")
    ] = None,
    encoder: Annotated[str, typer.Option(help="static, none, e5, minilm, hub:NAME or endpoint:MODEL.")] = "static",
    beside: Annotated[str, typer.Option(help="A second, pretrained encoder: auto, none, or its name.")] = "auto",
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Stage by stage: words, meaning, their fusion; real queries among 48,000 products, or any judged set."""
    from bodega.bench._judged import JudgedFiles
    from bodega.bench.judged import JudgedOptions
    from bodega.bench.judged import run as run_judged
    from bodega.bench.search import SearchOptions, run
    from bodega.errors import BadRequest

    if items is not None and queries is not None and judgments is not None:
        files = JudgedFiles(items, queries, judgments, clicks)
        options = JudgedOptions(files, seed=seed, encoder=encoder, beside=beside)
        run_and_show(lambda progress: run_judged(options, progress), as_json)
        return
    if items or queries or judgments or clicks:
        raise BadRequest(
            "a judged set needs three files",
            where="bodega bench search",
            allowed="--items, --queries and --judgments together, and --clicks if there are any",
        )
    known = SearchOptions(data=data, seed=seed, encoder=encoder, beside=beside)
    run_and_show(lambda progress: run(known, progress), as_json)


@bench.command(epilog="Example: `bodega bench understand --data ../shared/data --json`")
def understand(
    data: Annotated[
        Path, typer.Option(envvar="BODEGA_DATA", help="Folder that holds wands_queries/, bestbuy_*/ and zh_ecommerce/.")
    ] = Path("../shared/data"),
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Spelling, category intent, names in titles, Chinese: each beside its baselines."""
    from bodega.bench.understand import UnderstandOptions, run

    run_and_show(lambda progress: run(UnderstandOptions(data=data, seed=seed), progress), as_json)


@bench.command(epilog="Example: `bodega bench items --only photos --json`")
def items(
    data: Annotated[
        Path,
        typer.Option(envvar="BODEGA_DATA", help="Folder that holds clothing_cc0/, grocery_store/, magento_luma/, ..."),
    ] = Path("../shared/data"),
    images: Annotated[
        Path | None, typer.Option(help="Any folder of images with an index.csv (path, class, split): measured too.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A part; may be given several times. All of them if not.")
    ] = None,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """What an item is: photos, profiles, facts, links, reviews, tuned encoders, each beside its baselines."""
    from bodega.bench.items import ItemsOptions, run

    options = ItemsOptions(data=data, images=images, only=tuple(only or ()), seed=seed)
    run_and_show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `bodega bench experiments --json`")
def experiments(
    runs: Annotated[int, typer.Option(help="Simulated experiments a rate.", min=20, max=100_000)] = 1_000,
    pages: Annotated[int, typer.Option(help="Pages on which two orders are compared.", min=1_000)] = 40_000,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """May the verdicts of experiments be trusted? Tests of nothing, planted effects, two orders in one list."""
    from bodega.bench.experiments import ExperimentsOptions, run

    run_and_show(lambda progress: run(ExperimentsOptions(runs=runs, pages=pages, seed=seed), progress), as_json)


@bench.command(epilog="Example: `bodega bench loop --seeds 8 --json`")
def loop(
    seeds: Annotated[int, typer.Option(help="Worlds that are lived through.", min=1, max=100)] = 8,
    weeks: Annotated[int, typer.Option(help="Weeks of simulated shoppers.", min=1, max=52)] = 2,
    world: Annotated[
        Literal["young", "quiet"],
        typer.Option(help="`young`: a new shop, goods arrive, tastes turn; `quiet`: nothing changes, few come."),
    ] = "young",
    pages: Annotated[int, typer.Option(help="Pages a day.", min=0, show_default="as the world says")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that live through the seeds.", min=1, max=64)] = 2,
    shop: Annotated[
        Path | None, typer.Option("--shop", "-s", help="Keep the figures there, for the console's page *Loop*.")
    ] = None,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Does a shop that learns by itself get better, is a bad candidate stopped? Beside frozen, ungated, the truth."""
    from bodega.bench.loop import LoopOptions, kept, plotted, run
    from bodega.wiring import open_shop

    options = LoopOptions(world=world, seeds=seeds, weeks=weeks, pages=pages, seed=seed, workers=workers)

    def lived(progress: Progress) -> BenchResult:
        found = run(options, open_shop, progress)
        if shop is not None:
            kept(found, shop)
        if not as_json:
            show.console.print(plotted(found))
        return found

    run_and_show(lived, as_json)


@bench.command(epilog="Example: `bodega bench personal --json`")
def personal(
    data: Annotated[Path | None, typer.Option(help="Folder of the data.", show_default="the installed package")] = None,
    users: Users = 0,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """What knowing the shopper is worth to a search: real purchases, generated queries, split by time."""
    from bodega.bench.personal import PersonalOptions, run

    options = PersonalOptions(data=data, seed=seed, users=users or None)
    run_and_show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `bodega bench serve --shop demo-shop --seconds 20 --json`")
def serve(
    shop: Annotated[Path, typer.Option(help="Folder of a learned shop.")] = Path("demo-shop"),
    seconds: Annotated[float, typer.Option(help="How long to ask.", min=1, max=600)] = 20.0,
    concurrency: Annotated[int, typer.Option(help="Connections at once.", min=1, max=64)] = 4,
    as_json: AsJson = False,
) -> None:
    """Latency and throughput of the real server on loopback; event to changed list; durable events a second."""
    from bodega.bench.serve import ServeOptions, run

    options = ServeOptions(shop=shop, seconds=seconds, concurrency=concurrency)
    run_and_show(lambda _: run(options), as_json)


@bench.command(epilog="Example: `bodega bench storefront --shop demo-shop --json`")
def storefront(
    shop: Annotated[Path, typer.Option(help="Folder of a learned shop.")] = Path("demo-shop"),
    repeats: Annotated[int, typer.Option(help="How often every page is opened.", min=1, max=50)] = 5,
    query: Annotated[
        str, typer.Option(help="What is searched.", show_default="a word of the most popular product")
    ] = "",
    chromium: Annotated[str, typer.Option(help="The browser.", show_default="the one on the path")] = "",
    as_json: AsJson = False,
) -> None:
    """The shop front in a real browser: paints, shifts, bytes, and how long 40 interactions take."""
    from bodega.bench.storefront import StorefrontOptions, run

    options = StorefrontOptions(shop=shop, repeats=repeats, query=query, chromium=chromium)
    run_and_show(lambda _: run(options), as_json)


@bench.command(epilog="Example: `bodega bench live --shop demo-shop --seconds 40 --json`")
def live(
    shop: Annotated[Path, typer.Option(help="Folder of a learned shop.")] = Path("demo-shop"),
    seconds: Annotated[float, typer.Option(help="How long to ask.", min=5, max=3600)] = 40.0,
    workers: Annotated[int, typer.Option(help="Processes of the server.", min=1, max=16)] = 1,
    pages: Annotated[float, typer.Option(help="Pages a second beside the events.", min=1)] = 50.0,
    events: Annotated[float, typer.Option(help="Events a second; ten times as many under load.", min=1)] = 100.0,
    as_json: AsJson = False,
) -> None:
    """Click to changed page under load; pages a core while events arrive; overload; durable events a second."""
    from bodega.bench.live import LiveOptions, run

    options = LiveOptions(shop=shop, seconds=seconds, workers=workers, pages=pages, events=events)
    run_and_show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `bodega bench workers --shop demo-shop --json`")
def workers(
    shop: Annotated[Path, typer.Option(help="Folder of a learned shop.")] = Path("demo-shop"),
    count: Annotated[int, typer.Option("--workers", help="Processes to compare with one.", min=2, max=16)] = 4,
    pages: Annotated[int, typer.Option(help="Pages that are answered before memory is counted.", min=1)] = 720,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Memory of several workers beside one process: what they share, and what each has of its own."""
    from bodega.bench.workers import WorkersOptions, run

    options = WorkersOptions(shop=shop, workers=count, pages=pages, seed=seed)
    run_and_show(lambda _: run(options), as_json)


@bench.command(epilog="Example: `bodega bench speed --items 1000000 --json`")
def speed(
    items: Annotated[int, typer.Option(help="Generated items.", min=1_000, max=5_000_000)] = 100_000,
    queries: Annotated[int, typer.Option(help="Timed queries.", min=20, max=5_000)] = 200,
    peers: Annotated[bool, typer.Option(help="Ask SQLite FTS5, bm25s and PostgreSQL the same.")] = True,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """How fast the parts of a search and whole pages are on a large generated shop, beside other engines."""
    from bodega.bench.speed import SpeedOptions, run

    options = SpeedOptions(items=items, queries=queries, seed=seed, peers=peers)
    run_and_show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `bodega bench vectors --size 200000 --dimensions 128 --json`")
def vectors(
    size: Annotated[list[int] | None, typer.Option(help="Generated vectors; may be repeated.")] = None,
    dimensions: Annotated[list[int] | None, typer.Option(help="Their dimensions; may be repeated.")] = None,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Nearest vectors: the index of a shop beside brute force and, where installed, faiss: recall and time."""
    from bodega.bench.vectors import VectorOptions, run

    usual = VectorOptions()
    options = VectorOptions(
        sizes=tuple(size) if size else usual.sizes,
        dimensions=tuple(dimensions) if dimensions else usual.dimensions,
        seed=seed,
    )
    run_and_show(lambda _: run(options), as_json)


@bench.command(epilog="Example: `bodega bench stores --events 200000 --vectors 100000 --json`")
def stores(
    events: Annotated[int, typer.Option(min=2_000, help="Events for each database.")] = 200_000,
    vectors: Annotated[int, typer.Option(min=0, help="Vectors for pgvector and our index; 0 = none.")] = 100_000,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """SQLite beside PostgreSQL: events in, scans, look-ups, a move, backup and restore; pgvector beside our index."""
    from bodega.bench.stores import StoreOptions, run

    options = StoreOptions(events=events, vectors=vectors, seed=seed)
    run_and_show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `bodega bench console --shop demo-shop --json`")
def console(
    shop: Annotated[Path, typer.Option(help="Folder of a learned shop.")] = Path("demo-shop"),
    repeats: Annotated[int, typer.Option(min=1, max=100, help="Visits of each page.")] = 5,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this page (today, search, ...); may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Every page of the console in Chromium: time to first content, errors, accessibility (axe-core)."""
    from bodega.bench.console import ConsoleOptions, run

    options = ConsoleOptions(shop=shop, repeats=repeats, only=tuple(only or ()))
    run_and_show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `bodega bench metrics --json`")
def metrics(
    pages: Annotated[int, typer.Option(min=10, help="Pages of a replay.")] = 4_000,
    events: Annotated[int, typer.Option(min=10, help="Events of a replay.")] = 10_000,
    repeats: Annotated[int, typer.Option(min=1, help="Replays.")] = 3,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Live and daily counts against one batch over the stored rows, shuffled and with duplicates; what it costs."""
    from bodega.bench.insight import InsightOptions, run

    options = InsightOptions(pages=pages, events=events, repeats=repeats, seed=seed)
    run_and_show(lambda progress: run(options, progress), as_json)
