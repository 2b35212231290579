"""Commands that move a shop's bytes: migrate, backup, restore."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app

if TYPE_CHECKING:
    from bodega.schema.moves import TableCopy

Source = Annotated[str, typer.Argument(help="Store URL, or the folder of a shop.", show_default=False)]
Target = Annotated[str, typer.Argument(help="Store URL of an empty database.", show_default=False)]


@app.command(rich_help_panel="Run it", epilog="Example: `bodega migrate my-shop postgresql://shop@db.example/shop`")
def migrate(source: Source, target: Target, as_json: AsJson = False) -> None:
    """Move a shop's store to another database, and compare every table before it counts.

    Events are refused while it runs (pages are answered). Cut short, the same command goes on where it stopped.
    Exit codes: 0 moved and equal; 1 the digests differ or a database failed; 2 the target is not empty.
    """
    from bodega.wiring import move_store

    with show.Bars() as bars:
        done = move_store(source, target, bars)
    if as_json:
        show.json(done)
        return
    _tables(done.tables)
    again = " (gone on where it had stopped)" if done.resumed else ""
    show.console.print(
        f"[green]{done.rows:,} rows moved in {done.seconds:.1f} s, every digest is equal[/]{again}\n"
        f"  from {escape(done.source)}\n  to   {escape(done.target)}"
    )
    show.console.print('next: write it into bodega.toml, table \\[store], key "url", and start the server again')


@app.command(rich_help_panel="Run it", epilog="Example: `bodega backup /backups/2026-11-22 --shop my-shop`")
def backup(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.", show_default=False)],
    shop: ShopFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Copy the shop (store, settings, current snapshot) into a folder, with checksums, while it serves."""
    from bodega.wiring import back_up

    with show.Bars() as bars:
        done = back_up(shop, folder, bars)
    if as_json:
        show.json(done)
        return
    _tables(done.tables)
    learned = f"snapshot {done.snapshot}" if done.snapshot else "no snapshot: the shop has not learned"
    show.console.print(
        f"[green]{done.rows:,} rows, {done.files:,} files, {done.bytes / 1e6:,.0f} MB in {done.seconds:.1f} s[/]; "
        f"{learned}\n  {escape(done.folder)}"
    )
    show.console.print(f"next: bodega restore {escape(done.folder)} --shop NEW-FOLDER")


@app.command(rich_help_panel="Run it", epilog="Example: `bodega restore /backups/2026-11-22 --shop my-shop`")
def restore(
    folder: Annotated[Path, typer.Argument(help="What `bodega backup` wrote.", show_default=False)],
    shop: ShopFolder = HERE,
    replace: Annotated[
        bool, typer.Option("--replace", help="Move an existing shop aside (it is not deleted).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a shop back from a backup: every file is checked first, every table compared afterwards.

    A shop on PostgreSQL is restored into the empty database that its settings or BODEGA_STORE_URL name.
    """
    from bodega.wiring import restore as put_back

    with show.Bars() as bars:
        done = put_back(folder, shop, bars, replace=replace)
    if as_json:
        show.json(done)
        return
    _tables(done.tables)
    show.console.print(
        f"[green]{done.rows:,} rows restored in {done.seconds:.1f} s, every digest is equal[/]\n"
        f"  {escape(done.folder)}, store {escape(done.store)}"
    )
    show.console.print(f"next: bodega serve --shop {escape(done.folder)}")


def _tables(tables: tuple[TableCopy, ...]) -> None:
    shown = Table("table", "rows", "sha-256")
    for table in tables:
        if table.rows:
            shown.add_row(table.name, f"{table.rows:,}", table.digest[:16])
    show.console.print(shown)
