"""`bodega bench ...`: every claim as a number with its baselines beside it. One command a benchmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bodega.cli import show
from bodega.cli.root import AsJson, app

if TYPE_CHECKING:
    from bodega.bench.result import BenchResult
    from bodega.protocols import Progress

bench = typer.Typer(help="Measure: every figure with its baselines and 95 % intervals.", no_args_is_help=True)
app.add_typer(bench, name="bench", rich_help_panel="Measure")

Seed = Annotated[int, typer.Option(help="Seed of every draw.")]
Users = Annotated[int, typer.Option(help="Test a seeded draw of this many; 0 = all.", min=0)]


def _show(run: Callable[[Progress], BenchResult], as_json: bool) -> None:
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
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Next item, leave-last-out, every item ranked for every shopper."""
    from bodega.bench.recommend import RecommendOptions, run

    options = RecommendOptions(data=data, ties=ties, seed=seed, users=users or None)
    _show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `bodega bench basket --json`")
def basket(
    data: Annotated[Path | None, typer.Option(help="Folder of the data.", show_default="the installed package")] = None,
    users: Users = 0,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Next basket of a real supermarket, split by time; repeat and explore recall apart."""
    from bodega.bench.basket import BasketOptions, run

    options = BasketOptions(data=data, seed=seed, users=users or None)
    _show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `bodega bench search --data ../shared/data --json`")
def search(
    data: Annotated[
        Path, typer.Option(envvar="BODEGA_DATA", help="Folder that holds esci_search/ and bestbuy_retrotech/.")
    ] = Path("../shared/data"),
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Real queries, each looking for its one known product among another shop's 48,000."""
    from bodega.bench.search import SearchOptions, run

    _show(lambda _: run(SearchOptions(data=data, seed=seed)), as_json)


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
    _show(lambda _: run(options), as_json)
