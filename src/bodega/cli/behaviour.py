"""`bodega bench ...`, the part about what shoppers do: models, rankers, cold starts, mixed lists, and peers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bodega.cli.benches import Seed, Users, bench, run_and_show
from bodega.cli.root import AsJson

Data = Annotated[Path, typer.Option(help="Folder with sequences.txt, item2attributes.json and perhaps items.tsv.")]
Market = Annotated[Path | None, typer.Option(help="Folder of the supermarket.", show_default="the installed package")]
Ties = Annotated[str, typer.Option(help="file, or shuffled (undo what a sort by id may have ordered).")]
Some = Annotated[int, typer.Option(help="A seeded draw of this many; 0 = all.", min=0)]


@bench.command(epilog="Example: `bodega bench sequential --data ../shared/data/amazon2014_beauty --only gru`")
def sequential(
    data: Data,
    full: Annotated[bool, typer.Option(help="Judge on all shoppers instead of a draw; hours.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Only this variant; may be repeated.")] = None,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """The sequence model: encoders and options one by one, on validation."""
    from bodega.bench.sequential import SequentialBenchOptions, run

    options = SequentialBenchOptions(data=data, full=full, only=tuple(only) if only else None, seed=seed)
    run_and_show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `bodega bench family --data ../shared/data/amazon2014_beauty --users 3000`")
def family(data: Data, ties: Ties = "file", users: Users = 0, seed: Seed = 7, as_json: AsJson = False) -> None:
    """The item-to-item family: each alone, and what it adds to the fusion."""
    from bodega.bench.family import FamilyOptions, run

    options = FamilyOptions(data=data, ties=ties, seed=seed, users=users or None)
    run_and_show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `bodega bench rank --data ../shared/data/amazon2014_beauty --users 6000`")
def rank(data: Data, ties: Ties = "file", users: Users = 0, seed: Seed = 7, as_json: AsJson = False) -> None:
    """The learned ranker: against the sum, by groups of features, its promises, its milliseconds."""
    from bodega.bench.rank import RankOptions, run

    options = RankOptions(data=data, ties=ties, seed=seed, users=users or None)
    run_and_show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `bodega bench tasks --json`")
def tasks(
    shoppers: Annotated[int, typer.Option(help="Shoppers of the generated shop.", min=50)] = 600,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Many tasks in one network (click, cart, purchase) and places behind clicks, in a shop whose truth is known."""
    from bodega.bench.tasks import TasksOptions, run

    options = TasksOptions(shoppers=shoppers, seed=seed)
    run_and_show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `bodega bench cold --data ../shared/data/amazon2018_office --json`")
def cold(
    data: Annotated[Path, typer.Option(help="A folder of sequences, or of Amazon 2018 (items.jsonl.gz, test.csv).")],
    cases: Annotated[int, typer.Option(help="Cases of each kind at most, a seeded draw.", min=1)] = 2_000,
    encoder: Annotated[str, typer.Option(help="A pretrained encoder: auto, none, e5, minilm.")] = "auto",
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Items that hardly anybody touched, shoppers of one click, a shop's first day."""
    from bodega.bench.cold import ColdOptions, run

    options = ColdOptions(data=data, cases=cases, seed=seed, encoder=encoder)
    run_and_show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `bodega bench diversity --data ../shared/data/amazon2014_beauty --users 2000`")
def diversity(
    data: Data,
    market: Market = None,
    users: Some = 5_000,
    supermarket: Annotated[bool, typer.Option(help="Judge the supermarket, too.")] = True,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """What every dial of a mixed list costs in accuracy, and what it buys."""
    from bodega.bench.diversity import DiversityOptions, run

    options = DiversityOptions(data=data, market=market, seed=seed, users=users or None, supermarket=supermarket)
    run_and_show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `make peers && bodega bench peers --data ../shared/data/amazon2014_beauty`")
def peers(
    data: Data,
    market: Market = None,
    only: Annotated[list[str] | None, typer.Option(help="Only whose name begins so; may be repeated.")] = None,
    users: Users = 0,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """Other libraries on the same data, split and judge: accuracy, training, memory, latency."""
    from bodega.bench.peers import PeersOptions, run

    options = PeersOptions(data=data, market=market, seed=seed, users=users or None, peers=tuple(only or ()))
    run_and_show(lambda progress: run(options, progress), as_json)


@bench.command(epilog="Example: `bodega bench online --days 7 --json`")
def online(
    data: Annotated[Path | None, typer.Option(help="Folder of the data.", show_default="the installed package")] = None,
    days: Annotated[int, typer.Option(help="Days that are replayed after the snapshot.", min=1, max=60)] = 7,
    users: Annotated[int, typer.Option(help="Households a day and list at most, a seeded draw.", min=1)] = 200,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """What updates between two learns buy: frozen, history only, counted on, learned again every day."""
    from bodega.bench.online import OnlineOptions, run

    options = OnlineOptions(data=data, days=days, users=users, seed=seed)
    run_and_show(lambda progress: run(options, progress), as_json)
