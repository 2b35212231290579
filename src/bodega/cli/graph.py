"""`bodega graph`: what the shop's knowledge graph says of an item, and how two items hang together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at

if TYPE_CHECKING:
    from bodega.engine.relations import Relations

graph = typer.Typer(help="The knowledge graph: what an item is to others, and how two items hang together.")
app.add_typer(graph, name="graph", rich_help_panel="Learn and ask")

WORDS = {
    "variant": "the same in other sizes or colours",
    "substitute": "could stand in for it",
    "upgrade": "a step up",
    "complement": "goes with it",
    "accessory": "an accessory for it",
    "related": "the shop relates",
    "upsell": "the shop recommends instead",
    "crosssell": "the shop recommends along",
}
IS = {
    "has_brand": "brand",
    "in_category": "category",
    "has_attribute": "has",
    "serves_need": "is for",
    "answers_query": "found by",
}


@graph.command("show", epilog="Example: `bodega graph show SKU-17 --relation complement --shop my-shop`")
def show_item(
    item: Annotated[str, typer.Argument(help="Id of an item.")],
    shop: ShopFolder = HERE,
    relation: Annotated[str, typer.Option(help="Only this one: " + ", ".join(WORDS) + ".")] = "",
    k: Annotated[int, typer.Option("--k", "-k", min=1, max=100, help="Items of each relation.")] = 5,
    as_json: AsJson = False,
) -> None:
    """What an item is, and what others are to it."""
    with shop_at(shop) as opened:
        found = opened.relations(item, relation=relation, k=k)
    if as_json:
        show.json(found)
    else:
        _print(found)


@graph.command("paths", epilog="Example: `bodega graph paths SKU-17 SKU-41 --shop my-shop`")
def paths(
    one: Annotated[str, typer.Argument(help="Id of an item.")],
    other: Annotated[str, typer.Argument(help="Id of another one.")],
    shop: ShopFolder = HERE,
    k: Annotated[int, typer.Option("--k", "-k", min=1, max=100, help="How many ways.")] = 5,
    language: Annotated[str, typer.Option(help="en or zh.", show_default="the shop's")] = "",
    as_json: AsJson = False,
) -> None:
    """How two items hang together, in words, the strongest way first."""
    with shop_at(shop) as opened:
        found = opened.connections(one, other, language=language, k=k)
    if as_json:
        show.json({"item": one, "to": other, "connections": found})
        return
    if not found:
        show.console.print("nothing short connects them")
    for each in found:
        show.console.print(f"[bold]{each.strength:.2f}[/] {escape(each.text)}")
        show.console.print(f"     [dim]{escape('  '.join(each.steps))}[/]")


def _print(found: Relations) -> None:
    table = Table(title=f"{escape(found.title)} [dim]{escape(found.item)}[/]", title_justify="left")
    for column in ("relation", "item", "id", "strength"):
        table.add_column(column, justify="right" if column == "strength" else "left")
    for name, items in found.relations.items():
        for place, each in enumerate(items):
            label = WORDS[name] if place == 0 else ""
            table.add_row(label, escape(each.title), f"[dim]{escape(each.item)}[/]", f"{each.strength:.2f}")
    if table.row_count:
        show.console.print(table)
    else:
        show.console.print(f"[bold]{escape(found.title)}[/]: no links to other items yet")
    for relation, label in IS.items():
        names = [trait.name for trait in found.traits if trait.relation == relation]
        if names:
            show.console.print(f"[dim]{label}:[/] {escape(', '.join(names))}")
