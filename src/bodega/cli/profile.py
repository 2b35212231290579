"""`bodega profile`: how much each part of what is known of an item counts, and what it is near to."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at


@app.command(
    "profile", rich_help_panel="Learn and ask", epilog="Example: `bodega profile SKU-17 --shop my-shop --json`"
)
def profile(
    item: Annotated[str, typer.Argument(help="Id of an item.")],
    shop: ShopFolder = HERE,
    k: Annotated[int, typer.Option("--k", "-k", min=1, max=100, help="How many near items.")] = 10,
    as_json: AsJson = False,
) -> None:
    """What the shop makes of an item: text, words, attributes, picture, behaviour, and what is like it."""
    with shop_at(shop) as opened:
        found = opened.profile(item, k=k)
    if as_json:
        show.json(found)
        return
    parts = Table(title=f"{escape(found.title)} [dim]{escape(found.item)}[/]", title_justify="left")
    for column in ("known", "counts here", "usually"):
        parts.add_column(column, justify="left" if column == "known" else "right")
    for name in dict.fromkeys((*found.gates, *found.usual)):
        here = f"{found.gates[name]:.0%}" if name in found.gates else "[dim]not known[/]"
        parts.add_row(name, here, f"{found.usual.get(name, 0.0):.0%}")
    show.console.print(parts)
    if found.new:
        show.console.print("[dim]newer than the last learn: nothing of what people do is in it yet[/]")
    for each in found.near:
        show.console.print(f"[bold]{each.likeness:.2f}[/] {escape(each.title)} [dim]{escape(each.item)}[/]")
