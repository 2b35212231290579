"""`bodega reviews`: what shoppers write of items, what it says on the whole, and which may be no honest ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.data import File, Format, Limit, Map, feeding, importing, told
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at

if TYPE_CHECKING:
    from bodega.engine.reviews import ReviewPage

reviews = typer.Typer(help="What shoppers write of items.", no_args_is_help=True)
app.add_typer(reviews, name="reviews", rich_help_panel="Put data in")

Ids = Annotated[list[str], typer.Argument(help="Ids of reviews, as `bodega reviews list` and `spam` show them.")]


@importing.command("reviews", epilog="Example: `bodega import reviews reviews.csv --map item=sku --shop my-shop`")
def import_reviews(
    file: File,
    shop: ShopFolder = HERE,
    file_format: Format = "",
    mapping: Map = [],  # noqa: B006 - typer reads the default
    bad_rows: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Import reviews; importing a file again counts each once, bad rows are kept with the reason."""
    how = feeding(file_format, mapping, bad_rows)
    with shop_at(shop) as opened, show.Bars() as bars:
        done = opened.reviews.add(Path(file), how=how, progress=bars)
    told(done, as_json)


@reviews.command("summary", epilog="Example: `bodega reviews summary SKU-17 --shop my-shop`")
def summary(
    item: Annotated[str, typer.Argument(help="Id of an item.")], shop: ShopFolder = HERE, as_json: AsJson = False
) -> None:
    """What the reviews of an item say on the whole: stars, aspects with quotes, the most telling sentences."""
    with shop_at(shop) as opened:
        if opened.learned:
            _ = opened.engine  # opens what was learned of reviews
        found = opened.reviews.page(item, sort="helpful", k=3)
    if as_json:
        show.json(found)
    else:
        _print(found)


@reviews.command("list", epilog="Example: `bodega reviews list SKU-17 --order lowest --limit 20 --shop my-shop`")
def list_reviews(
    item: Annotated[str, typer.Argument(help="Id of an item.")],
    shop: ShopFolder = HERE,
    order: Annotated[str, typer.Option(help="newest, helpful, highest or lowest.")] = "newest",
    stars: Annotated[int, typer.Option(min=0, max=5, help="Only those of so many stars.", show_default="all")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 10,
    offset: Annotated[int, typer.Option(min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """The reviews of an item that are shown."""
    from bodega.errors import BadRequest
    from bodega.schema.reviews import REVIEW_SORTS

    chosen = next((each for each in REVIEW_SORTS if each == order), None)
    if chosen is None:
        raise BadRequest("there is no such order", where="--order", allowed=", ".join(REVIEW_SORTS), got=order)
    with shop_at(shop) as opened:
        found = opened.reviews.page(item, sort=chosen, stars=stars, k=limit, offset=offset)
    if as_json:
        show.json({"item": item, "total": found.total, "reviews": found.reviews})
        return
    table = Table(title=f"{found.total:,} reviews of {escape(item)}", title_justify="left")
    for column in ("id", "stars", "helpful", "what it says"):
        table.add_column(column)
    for each in found.reviews:
        words = f"{each.title}: {each.text}" if each.title else each.text
        marks = f"{each.stars:g}" if each.stars is not None else ""
        table.add_row(escape(each.id), marks, str(each.helpful), escape(words[:300]))
    show.console.print(table)


@reviews.command("spam", epilog="Example: `bodega reviews spam --limit 20 --shop my-shop`")
def spam(
    shop: ShopFolder = HERE, limit: Annotated[int, typer.Option(min=1, max=10_000)] = 20, as_json: AsJson = False
) -> None:
    """Reviews that may be no honest ones, with the reason; they are in no count until you say `keep`."""
    with shop_at(shop) as opened:
        found = opened.reviews.suspects(limit=limit)
    if as_json:
        show.json({"reviews": found})
        return
    table = Table(title_justify="left")
    for column in ("id", "item", "flags", "verdict", "stars", "what it says"):
        table.add_column(column)
    for each in found:
        marks = f"{each.stars:g}" if each.stars is not None else ""
        cells = (each.id, each.item, ", ".join(each.flags), each.verdict, marks, each.text[:160])
        table.add_row(*map(escape, cells))
    show.console.print(table if found else "[green]no review is flagged[/]")
    if found:
        show.console.print("next: bodega reviews keep ID, or bodega reviews hide ID")


@reviews.command("keep", epilog="Example: `bodega reviews keep r17 r18 --shop my-shop`")
def keep(ids: Ids, shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Show these reviews whatever their flags say."""
    _decide(ids, "keep", shop, as_json)


@reviews.command("hide", epilog="Example: `bodega reviews hide r19 --shop my-shop`")
def hide(ids: Ids, shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Never show these reviews, nor count them."""
    _decide(ids, "hide", shop, as_json)


@reviews.command("undecide", epilog="Example: `bodega reviews undecide r19 --shop my-shop`")
def undecide(ids: Ids, shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Take a `keep` or `hide` back: the flags decide again."""
    _decide(ids, "", shop, as_json)


def _decide(ids: list[str], verdict: str, shop: Path, as_json: bool) -> None:
    with shop_at(shop) as opened:
        changed = opened.reviews.decide(ids, "keep" if verdict == "keep" else "hide" if verdict == "hide" else "")
    if as_json:
        show.json({"changed": changed})
    else:
        show.console.print(f"{changed:,} changed; what reviews say on the whole follows with the next learn")


def _print(found: ReviewPage) -> None:
    stats = found.stats
    if not stats.count:
        flagged = f" ({stats.flagged:,} are flagged)" if stats.flagged else ""
        show.console.print(f"no reviews of {escape(found.item)}{flagged}; next: bodega import reviews FILE")
        return
    mean = f"{stats.mean:.2f}" if stats.mean is not None else "no stars"
    show.console.print(f"[bold]{escape(found.item)}[/]: {stats.count:,} reviews, {mean}; {stats.flagged:,} flagged")
    for stars, count in zip(range(5, 0, -1), reversed(stats.histogram), strict=True):
        show.console.print(f"  {stars} {'█' * round(30 * count / max(stats.rated, 1))} {count:,}")
    if not found.origin:
        show.console.print("their texts were not analysed yet; next: bodega learn")
        return
    judge = "this shop's own stars" if found.origin == "learned" else "a list of words (too few stars yet)"
    show.console.print(f"judged by {judge}; sentiment {found.sentiment:+.2f}")
    for aspect in found.aspects:
        show.console.print(f"  {aspect.aspect:<12} [green]+{aspect.praise:,}[/] [red]-{aspect.complaint:,}[/]")
        for quote in aspect.quotes:
            show.console.print(f"      [dim]“{escape(quote.text)}” ({escape(quote.review)})[/]")
    for quote in found.summary:
        show.console.print(f"  “{escape(quote.text)}” [dim]({escape(quote.review)})[/]")
