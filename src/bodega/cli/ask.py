"""Commands that make a shop answer: learn, search, recommend, snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at

if TYPE_CHECKING:
    from bodega.schema import Filter

snapshots = typer.Typer(help="What has been learned: list (also without a word), go back.")
app.add_typer(snapshots, name="snapshots", rich_help_panel="Learn and ask")

User = Annotated[str, typer.Option("--user", "-u", help="Who asks (id).")]
Count = Annotated[int, typer.Option("--k", "-k", min=1, max=1000, help="How many hits.")]


@app.command(rich_help_panel="Learn and ask", epilog="Example: `bodega learn --shop my-shop --json`")
def learn(shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Train on items and events, evaluate with baselines beside, publish a snapshot (or refuse, and say why)."""
    with shop_at(shop) as opened, show.Bars() as bars:
        done = opened.learn(progress=bars)
    if as_json:
        show.json(done)
    else:
        show.learned(done)
    if not done.published:
        raise typer.Exit(1)


@app.command(
    rich_help_panel="Learn and ask",
    epilog="Example: `bodega search 'red dress' -f brand=Acme -f price=10..50 --facet brand --shop my-shop`",
)
def search(
    query: Annotated[str, typer.Argument(help="What a shopper types.")],
    shop: ShopFolder = HERE,
    user: User = "",
    k: Count = 10,
    filters: Annotated[list[str], typer.Option("--filter", "-f", help="field=value, or field=low..high.")] = [],  # noqa: B006
    facets: Annotated[list[str], typer.Option("--facet", help="Count the values of this field.")] = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Search the shop; an empty query browses everything."""
    from bodega.schema import to_plain

    with shop_at(shop) as opened:
        page = opened.search(
            query, user=user, k=k, filters=tuple(_filter(text) for text in filters), facets=tuple(facets)
        )
    if as_json:
        show.json(to_plain(page))
    else:
        show.page(page)


def _filter(text: str) -> Filter:
    """`brand=Acme|Apex` or `price=10..50` (either end may be left out)."""
    from bodega.errors import BadRequest
    from bodega.schema import Filter

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadRequest(
            "a filter is a pair",
            where="--filter",
            allowed="field=value or field=low..high",
            got=text,
            next="-f brand=Acme",
        )
    low, dots, high = value.partition("..")
    if not dots:
        return Filter(field=name, values=tuple(value.split("|")))
    try:
        return Filter(field=name, low=float(low) if low else None, high=float(high) if high else None)
    except ValueError as error:
        raise BadRequest(
            "a range has numbers", where="--filter", allowed="price=10..50", got=text, next="use numbers"
        ) from error


@app.command(
    rich_help_panel="Learn and ask",
    epilog="Example: `bodega recommend basket --item 1029743 --item 1106523 --user 42 --shop my-shop`",
)
def recommend(
    place: Annotated[
        str, typer.Argument(help="home, popular, trending, repeat, recent, similar, together, basket.")
    ] = "home",
    shop: ShopFolder = HERE,
    user: User = "",
    items: Annotated[list[str], typer.Option("--item", "-i", help="Asked around these items (ids).")] = [],  # noqa: B006
    k: Count = 10,
    as_json: AsJson = False,
) -> None:
    """A list for a shopper, or around items; with the reason of every hit."""
    from bodega.schema import Request, to_plain

    with shop_at(shop) as opened:
        page = opened.answer(Request(place=place, user=user, items=tuple(items), k=k))
    if as_json:
        show.json(to_plain(page))
    else:
        show.page(page)


@snapshots.callback(invoke_without_command=True)
def snapshots_alone(context: typer.Context, shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """What has been learned: list, go back."""
    from bodega.errors import BadRequest

    if context.invoked_subcommand is None:
        list_snapshots(shop, as_json)
    elif as_json or shop != HERE:
        word = context.invoked_subcommand
        raise BadRequest(
            "options go behind the word", where="snapshots", got=word, next=f"bodega snapshots {word} --shop ..."
        )


@snapshots.command("list", epilog="Example: `bodega snapshots list --shop my-shop`")
def list_snapshots(shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Every snapshot on disk; the one that is served is marked."""
    from bodega.schema import to_plain

    with shop_at(shop) as opened:
        infos = opened.snapshots()
    if as_json:
        show.json(to_plain(infos))
        return
    for info in infos:
        mark = "[green]served[/]" if info.current else "      "
        show.console.print(f"{mark} [bold]{info.id}[/] {info.time:%Y-%m-%d %H:%M} UTC {info.bytes / 1e6:,.1f} MB")
    if not infos:
        show.console.print("none yet; next: bodega learn")


@snapshots.command("rollback", epilog="Example: `bodega snapshots rollback --shop my-shop`")
def rollback(
    snapshot: Annotated[str, typer.Argument(help="Id; default: the one before the current.")] = "",
    shop: ShopFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Serve an older snapshot again."""
    with shop_at(shop) as opened:
        chosen = opened.rollback(snapshot)
    if as_json:
        show.json({"snapshot": chosen})
    else:
        show.console.print(f"serving [bold]{escape(chosen)}[/] again")
