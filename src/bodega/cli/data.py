"""Commands that put data in: init, import, doctor, events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at

if TYPE_CHECKING:
    from bodega.catalog.doctor import Example
    from bodega.engine.intake import Feeding
    from bodega.protocols import ImportReport

importing = typer.Typer(help="Import a file of items, events or reviews.", no_args_is_help=True)
events = typer.Typer(help="Look into the event log.", no_args_is_help=True)
app.add_typer(importing, name="import", rich_help_panel="Put data in")
app.add_typer(events, name="events", rich_help_panel="Put data in")

File = Annotated[Path, typer.Argument(help="CSV, TSV, JSON Lines, Parquet, XML; or an export of a known shop system.")]
Format = Annotated[
    str,
    typer.Option(
        help="csv, tsv, jsonl, parquet, shopify, woocommerce, google, algolia, magento.", show_default="inferred"
    ),
]
Map = Annotated[list[str], typer.Option("--map", "-m", help="`field=column`, as often as needed.", show_default=False)]
Limit = Annotated[
    float | None,
    typer.Option(
        "--bad-rows", min=0, max=1, help="Share of unusable rows at which the import stops.", show_default="0.2"
    ),
]


@app.command(
    rich_help_panel="Put data in",
    epilog="Example: `bodega init my-shop --name 'Corner shop' --language zh --currency CNY`",
)
def init(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")] = HERE,
    name: Annotated[str, typer.Option(help="Name of the shop.")] = "My shop",
    language: Annotated[str, typer.Option(help="en or zh.")] = "en",
    currency: Annotated[str, typer.Option(help="ISO 4217.")] = "USD",
    pseudonyms: Annotated[
        bool, typer.Option("--pseudonyms/--raw-ids", help="Keep ids of shoppers as keyed digests only.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Make a folder a shop: settings file and an empty store."""
    from bodega.settings import Privacy, Settings
    from bodega.wiring import init_shop, open_shop

    file = init_shop(
        folder, Settings(name=name, language=language, currency=currency, privacy=Privacy(pseudonyms=pseudonyms))
    )
    open_shop(folder, create=False).close()
    if as_json:
        show.json({"shop": str(folder), "settings": str(file)})
    else:
        show.console.print(f"[green]{escape(str(folder.absolute()))} is a shop now[/]; settings: {escape(str(file))}")
        show.console.print(f"next: bodega import items products.csv --shop {escape(str(folder))}")


@importing.command("items", epilog="Example: `bodega import items products.csv --map title=name --shop my-shop`")
def import_items(
    file: File,
    shop: ShopFolder = HERE,
    file_format: Annotated[str, typer.Option("--format", help="See above.", show_default="inferred")] = "",
    mapping: Map = [],  # noqa: B006 - typer reads the default
    bad_rows: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Import a catalog; columns are inferred and shown, bad rows kept with the reason."""
    how = feeding(file_format, mapping, bad_rows)
    with shop_at(shop) as opened, show.Bars() as bars:
        done = opened.catalog.add(file, how=how, progress=bars)
    told(done, as_json)


@importing.command("events", epilog="Example: `bodega import events log.parquet --map user=customer_id --shop my-shop`")
def import_events(
    file: File,
    shop: ShopFolder = HERE,
    file_format: Annotated[str, typer.Option("--format", help="See above.", show_default="inferred")] = "",
    mapping: Map = [],  # noqa: B006 - typer reads the default
    bad_rows: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Import an event log; delivering a file twice counts once."""
    how = feeding(file_format, mapping, bad_rows)
    with shop_at(shop) as opened, show.Bars() as bars:
        done = opened.events.add(file, how=how, progress=bars)
    told(done, as_json)


def feeding(file_format: str, pairs: list[str], bad_rows: float | None) -> Feeding:
    """The options of all imports as the shop takes them."""
    from bodega.engine.intake import Feeding
    from bodega.errors import BadRequest

    for pair in pairs:
        if "=" not in pair:
            raise BadRequest(
                "a mapping is a pair", where="--map", allowed="field=column", got=pair, next="--map title=name"
            )
    return Feeding(
        format=file_format or None,
        mapping=dict(pair.split("=", 1) for pair in pairs) or None,
        bad_rows_limit=bad_rows,
    )


def told(done: ImportReport, as_json: bool) -> None:
    """Print what an import did."""
    if as_json:
        show.json(done)
    else:
        show.report(done)


@events.command("dead", epilog="Example: `bodega events dead --reason future_time --limit 5 --shop my-shop`")
def dead(
    shop: ShopFolder = HERE,
    kind: Annotated[str, typer.Option(help="event, item, picture or review.", show_default="all")] = "",
    reason: Annotated[str, typer.Option(help="A reason code.", show_default="all")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 20,
    as_json: AsJson = False,
) -> None:
    """Rows that could not be used: how many for which reason, and the newest of them as they came."""
    from bodega.schema import to_plain

    with shop_at(shop) as opened:
        counts = opened.stores.dead.counts()
        letters = opened.events.dead(kind=kind, reason=reason, limit=limit)
    if as_json:
        show.json(
            {
                "counts": [{"kind": k, "reason": r, "rows": n} for (k, r), n in sorted(counts.items())],
                "letters": [to_plain(letter) for letter in letters],
            }
        )
        return
    for (letter_kind, code), count in sorted(counts.items()):
        show.console.print(f"{count:>8,}  {letter_kind}  [bold]{code}[/]")
    table = Table(title_justify="left")
    for column in ("reason", "where", "message", "row"):
        table.add_column(column)
    for letter in letters:
        table.add_row(
            letter.reason, escape(f"{letter.source}:{letter.line}"), escape(letter.message), escape(letter.raw[:160])
        )
    show.console.print(table if letters else "[green]no dead letters[/]")


@events.command("summary", epilog="Example: `bodega events summary --days 7 --shop my-shop`")
def summary(
    shop: ShopFolder = HERE,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days before the newest event.")] = 30,
    as_json: AsJson = False,
) -> None:
    """The last days in numbers: events, best sellers, the way to the till, queries nobody found anything with."""
    with shop_at(shop) as opened:
        found = opened.events.summary(days=days)
    if as_json:
        show.json(found)
    else:
        show.summary(found)


@app.command(rich_help_panel="Put data in", epilog="Example: `bodega doctor --shop my-shop --json`")
def doctor(shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """What hurts findability in this catalog, with examples and fixes; and the state of the shop."""
    from bodega.schema import to_plain

    with shop_at(shop) as opened:
        diagnosis = opened.catalog.doctor()
        health = opened.health()
    if as_json:
        show.json({"health": health, "catalog": to_plain(diagnosis)})
        return
    show.health(health)
    if not diagnosis.findings:
        show.console.print("[green]nothing found that hurts findability[/]")
    for finding in diagnosis.findings:
        colour = {"error": "red", "warning": "yellow"}.get(finding.severity, "cyan")
        show.console.print(
            f"[{colour}]{finding.severity:>8}[/] [bold]{escape(finding.title)}[/]: {finding.count:,} items"
        )
        show.console.print(
            f"         [dim]e.g.[/] {escape('; '.join(_example(example) for example in finding.examples[:3]))}"
        )
        show.console.print(f"         [dim]fix:[/] {escape(finding.fix)}")


def _example(example: Example) -> str:
    """An item that shows what is meant, in a few words."""
    return " ".join(part for part in (example.id, example.title[:60], example.detail[:60]) if part)
