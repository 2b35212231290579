"""The typer application, and the options that every command shares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bodega.engine.shop import Shop

app = typer.Typer(
    name="bodega",
    help="Search and recommendations for a shop: put items and events in, let it learn, ask it.",
    epilog=(
        "Start: `bodega init my-shop`, `bodega import items products.csv --shop my-shop`, "
        "`bodega import events events.csv --shop my-shop`, `bodega learn --shop my-shop`, "
        "`bodega serve --shop my-shop`."
    ),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

ShopFolder = Annotated[
    Path, typer.Option("--shop", "-s", envvar="BODEGA_SHOP", help="Folder of the shop.", show_default="this folder")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]

HERE = Path()


def shop_at(folder: Path) -> Shop:
    """The shop in a folder that must be one already."""
    from bodega.wiring import open_shop

    return open_shop(folder, create=False)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)] = False,
) -> None:
    if version:
        from bodega import __version__

        typer.echo(f"bodega {__version__}")
        raise typer.Exit
