"""Commands that make a shop answer: learn, search, suggest, recommend, snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at

if TYPE_CHECKING:
    from bodega.engine.shop import Shop
    from bodega.schema import Filter

snapshots = typer.Typer(help="What has been learned: list (also without a word), show, go back.")
app.add_typer(snapshots, name="snapshots", rich_help_panel="Learn and ask")

User = Annotated[str, typer.Option("--user", "-u", help="Who asks (id).")]
Count = Annotated[int, typer.Option("--k", "-k", min=1, max=1000, help="How many hits.")]
Explain = Annotated[bool, typer.Option("--explain", help="What every feature of the ranking added to each hit.")]


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
    epilog=(
        "Examples: `bodega search 'red dress under 50 not silk' --shop my-shop`, "
        "`bodega search 'red dress' -f brand=Acme -f price=10..50 --facet brand`, "
        "`bodega search dress --where 'brand = Acme AND NOT tags = used' --user 42`, "
        "`bodega search 'like this, but red' --image photo.jpg`"
    ),
)
def search(
    query: Annotated[str, typer.Argument(help="What a shopper types; may be left out beside a photo.")] = "",
    shop: ShopFolder = HERE,
    user: User = "",
    k: Count = 10,
    image: Annotated[str, typer.Option(help="A photo to search by: a file, or an address.", show_default=False)] = "",
    offset: Annotated[int, typer.Option(min=0, help="Hits to skip.")] = 0,
    where: Annotated[str, typer.Option(help="A filter expression: AND, OR, NOT, brackets (docs/filters.md).")] = "",
    verbatim: Annotated[
        bool, typer.Option("--verbatim", help="Search what is typed: nothing corrected, nothing understood.")
    ] = False,
    language: Annotated[str, typer.Option(help="en or zh.", show_default="the shop's")] = "",
    segments: Annotated[
        list[str], typer.Option("--segment", help="A segment that rules may ask for, e.g. vip.", show_default=False)
    ] = [],  # noqa: B006 - typer reads the default
    filters: Annotated[list[str], typer.Option("--filter", "-f", help="field=value, or field=low..high.")] = [],  # noqa: B006
    facets: Annotated[list[str], typer.Option("--facet", help="Count the values of this field.")] = [],  # noqa: B006
    explain: Explain = False,
    as_json: AsJson = False,
) -> None:
    """Search the shop by words, by a photo, or both, and show what was understood; neither browses everything."""
    from msgspec.structs import replace

    from bodega.schema import Request, to_plain

    request = Request(
        place="search" if query.strip() or image else "category",
        query=query,
        user=user,
        k=k,
        offset=offset,
        filters=tuple(_filter(text) for text in filters),
        facets=tuple(facets),
        where=where,
        verbatim=verbatim,
        language=language,
        segments=tuple(segments),
        explain=explain,
    )
    with shop_at(shop) as opened:
        page = opened.answer(replace(request, image=_photo(opened, image)) if image else request)
    if as_json:
        show.json(to_plain(page))
    else:
        show.page(page)


def _photo(shop: Shop, image: str) -> str:
    """The photo at an address as it is, that in a file as what stands for it. Raises BadPicture, BadRequest."""
    from pathlib import Path

    from bodega.errors import BadRequest

    if image.lower().startswith(("http://", "https://")):
        return image
    try:
        data = Path(image).expanduser().read_bytes()
    except OSError as error:
        raise BadRequest(
            "this photo cannot be read", where="--image", allowed="a file, or an https address", got=image,
            next="name a file that is there",
        ) from error  # fmt: skip
    return shop.photos.token(data)


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


@app.command(rich_help_panel="Learn and ask", epilog="Example: `bodega suggest 'red dr' --user 42 --shop my-shop`")
def suggest(
    prefix: Annotated[str, typer.Argument(help="What a shopper has typed so far.")],
    shop: ShopFolder = HERE,
    user: User = "",
    k: Annotated[int, typer.Option("--k", "-k", min=1, max=50, help="How many completions.")] = 8,
    as_json: AsJson = False,
) -> None:
    """Complete what is being typed: queries of others, categories, brands, products; small mistakes are forgiven."""
    with shop_at(shop) as opened:
        found = opened.suggest(prefix, k, user=user)
        people = opened.settings.understand.people
    if as_json:
        show.json({"suggestions": found})
    else:
        show.completions(found, prefix, people)


@app.command(
    rich_help_panel="Learn and ask",
    epilog="Example: `bodega recommend basket --item 1029743 --item 1106523 --user 42 --shop my-shop`",
)
def recommend(
    place: Annotated[
        str, typer.Argument(help="home, popular, trending, rare, repeat, recent, similar, together, basket.")
    ] = "home",
    shop: ShopFolder = HERE,
    user: User = "",
    items: Annotated[list[str], typer.Option("--item", "-i", help="Asked around these items (ids).")] = [],  # noqa: B006
    k: Count = 10,
    explain: Explain = False,
    as_json: AsJson = False,
) -> None:
    """A list for a shopper, or around items; with the reason of every hit."""
    from bodega.schema import Request, to_plain

    with shop_at(shop) as opened:
        page = opened.answer(Request(place=place, user=user, items=tuple(items), k=k, explain=explain))
    if as_json:
        show.json(to_plain(page))
    else:
        show.page(page)


@app.command(
    "why-not",
    rich_help_panel="Learn and ask",
    epilog=(
        "Examples: `bodega why-not 1029743 --query 'red dress' --shop my-shop`, "
        "`bodega why-not 1029743 --place home --user 42 -k 20`"
    ),
)
def why_not(
    item: Annotated[str, typer.Argument(help="The item that is missing (id).")],
    shop: ShopFolder = HERE,
    query: Annotated[str, typer.Option("--query", "-q", help="On the results page of this query.")] = "",
    place: Annotated[
        str, typer.Option(help="On this list: home, popular, similar, basket, ...", show_default="search or home")
    ] = "",
    user: User = "",
    items: Annotated[list[str], typer.Option("--item", "-i", help="Asked around these items (ids).")] = [],  # noqa: B006
    filters: Annotated[list[str], typer.Option("--filter", "-f", help="field=value, or field=low..high.")] = [],  # noqa: B006
    where: Annotated[str, typer.Option(help="A filter expression (docs/filters.md).")] = "",
    k: Count = 10,
    offset: Annotated[int, typer.Option(min=0, help="Hits to skip.")] = 0,
    language: Annotated[str, typer.Option(help="en or zh.", show_default="the shop's")] = "",
    as_json: AsJson = False,
) -> None:
    """Say at which step an item falls out on the way to a page, and what it lacks there."""
    from bodega.schema import Request

    request = Request(
        place=place or ("search" if query.strip() else "home"),
        query=query,
        user=user,
        items=tuple(items),
        filters=tuple(_filter(text) for text in filters),
        where=where,
        k=k,
        offset=offset,
        language=language,
    )
    with shop_at(shop) as opened:
        found = opened.why_not(request, item)
    if as_json:
        show.json(found)
    else:
        show.why_not(found)


@snapshots.callback(invoke_without_command=True)
def snapshots_alone(context: typer.Context, shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """What has been learned: list, show, go back."""
    from bodega.errors import BadRequest

    if context.invoked_subcommand is None:
        list_snapshots(shop, as_json)
    elif any(_typed(context, name) for name in ("shop", "as_json")):
        word = context.invoked_subcommand
        raise BadRequest(
            "options go behind the word", where="snapshots", got=word, next=f"bodega snapshots {word} --shop ..."
        )


def _typed(context: typer.Context, name: str) -> bool:
    """Was the option given on the command line (and not by BODEGA_SHOP, which stands for every word)?"""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


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
        encoders = ", ".join(each["name"] for each in info.facts.get("encoders", {}).values()) or "words only"
        show.console.print(
            f"{mark} [bold]{info.id}[/] {info.time:%Y-%m-%d %H:%M} UTC {info.bytes / 1e6:,.1f} MB "
            f"[dim]{info.facts.get('items', 0):,} items, encoder {escape(encoders)}[/]"
        )
    if not infos:
        show.console.print("none yet; next: bodega learn")


@snapshots.command("show", epilog="Example: `bodega snapshots show --shop my-shop`")
def show_snapshot(
    snapshot: Annotated[str, typer.Argument(help="Id; default: the one that is served.")] = "",
    shop: ShopFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """What one snapshot holds: data range, sources and their weights, encoders."""
    from bodega.errors import UsageError
    from bodega.schema import to_plain

    with shop_at(shop) as opened:
        infos = opened.snapshots()
    info = next((each for each in infos if (each.id == snapshot if snapshot else each.current)), None)
    if info is None:
        known = ", ".join(each.id for each in infos)
        raise UsageError(
            "there is no such snapshot",
            where="snapshots show",
            allowed=known or "none yet",
            got=snapshot or "the one that is served",
            next="bodega snapshots" if known else "bodega learn",
        )
    if as_json:
        show.json(to_plain(info))
    else:
        show.snapshot(info)


@snapshots.command("share", epilog="Example: `bodega snapshots share --shop my-shop`")
def share(
    snapshot: Annotated[str, typer.Argument(help="Id; the newest of this folder when left out.")] = "",
    shop: ShopFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Send a snapshot to the shared folder (`snapshots.url`) and serve it on every server; `learn` does so itself."""
    with shop_at(shop) as opened:
        chosen = opened.share(snapshot)
    if as_json:
        show.json({"serving": chosen})
    else:
        show.console.print(f"serving {chosen}")


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
