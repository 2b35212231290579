"""`bodega pictures`: read, encode and keep the pictures that items name; tell which are missing, broken or the same."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at

if TYPE_CHECKING:
    from bodega.engine.gallery import Gallery
    from bodega.engine.shop import Shop
    from bodega.protocols import EncoderInfo

SHOWN = 20


@app.command(
    "pictures", rich_help_panel="Put data in", epilog="Example: `bodega pictures --shop my-shop`, then `bodega learn`"
)
def pictures(
    shop: ShopFolder = HERE,
    again: Annotated[bool, typer.Option("--again", help="Read everything anew, also what seems unchanged.")] = False,
    train: Annotated[bool, typer.Option("--train", help="Teach a network from this shop's photos.")] = False,
    same: Annotated[bool, typer.Option("--duplicates", help="Show items that have the same picture.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at the items' pictures: what is new is read and encoded, what cannot be used is a dead letter."""
    with shop_at(shop) as opened:
        if train:
            _train(opened, as_json=as_json)
        elif same:
            _duplicates(opened, as_json=as_json)
        else:
            _read(opened, again=again, as_json=as_json)


def _read(shop: Shop, *, again: bool, as_json: bool) -> None:
    with show.Bars() as bars:
        report = _gallery(shop).look(bars, again=again)
    if as_json:
        show.json(report)
        return
    console = show.console
    console.print(
        f"[bold]{report.pictures:,} pictures of {report.items:,} items[/] in {report.seconds:,.1f} s: "
        f"{report.encoded:,} encoded, {report.known:,} known by their bytes, {report.unchanged:,} unchanged"
    )
    console.print(f"{report.pictured:,} items can be found by their looks; encoder: {_named(report.encoder)}")
    if report.reasons:
        table = Table(title="not used", title_justify="left")
        table.add_column("reason")
        table.add_column("pictures", justify="right")
        for reason, count in report.reasons.items():
            table.add_row(escape(reason), f"{count:,}")
        console.print(table)
        console.print("next: bodega events dead --kind picture   (which, of which item, and why)")
    if report.encoded or report.known:
        console.print("next: bodega learn   (so that lists use them)")


def _duplicates(shop: Shop, *, as_json: bool) -> None:
    groups = _gallery(shop).duplicates()
    if as_json:
        told = [[{"item": one.owner, "image": one.reference} for one in group] for group in groups]
        show.json({"groups": told})
        return
    if not groups:
        show.console.print("no two items show the same picture (of those that bodega pictures looked at)")
        return
    table = Table(title=f"items with the same picture: {len(groups):,} groups", title_justify="left")
    for column in ("items", "pictures"):
        table.add_column(column)
    for group in groups[:SHOWN]:
        owners = sorted({one.owner for one in group})
        table.add_row(
            escape(", ".join(owners[:6])), escape(", ".join(sorted({one.reference[:80] for one in group})[:3]))
        )
    show.console.print(table)
    if len(groups) > SHOWN:
        show.console.print(f"[dim]and {len(groups) - SHOWN:,} more: --json tells all[/]")


def _train(shop: Shop, *, as_json: bool) -> None:
    with show.Bars() as bars:
        info, folder = _gallery(shop).teach(bars)
    if as_json:
        show.json({"encoder": asdict(info), "folder": str(folder)})
        return
    show.console.print(f"[green]taught[/]: {_named(info)}")
    show.console.print(
        f"kept in {escape(str(Path(folder)))}; it serves where pictures.encoder is own, or nothing better opens"
    )
    show.console.print("next: bodega pictures")


def _gallery(shop: Shop) -> Gallery:
    assert shop.gallery is not None, "an opened shop has one"
    return shop.gallery


def _named(info: EncoderInfo) -> str:
    return escape(f"{info.name} ({info.dimensions:,} numbers; {info.origin})")
