"""`bodega tune`: which settings suit this shop better, as a diff with its gain; written only if told, and if sure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at

if TYPE_CHECKING:
    from bodega.engine.tuning import Tuned


@app.command("tune", rich_help_panel="Measure", epilog="Example: `bodega tune --trials 60 --minutes 20 --shop my-shop`")
def tune(
    shop: ShopFolder = HERE,
    trials: Annotated[int, typer.Option(min=1, help="Settings to try in all; an interrupted search goes on.")] = 40,
    minutes: Annotated[float, typer.Option(min=0, help="Stop after this long; 0: when the trials are done.")] = 0.0,
    folds: Annotated[int, typer.Option(min=1, max=10, help="Windows of time the search is judged on.")] = 3,
    cases: Annotated[int, typer.Option(min=30, help="Cases a list and window.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of every draw.")] = 7,
    write: Annotated[bool, typer.Option("--apply", help="Write the diff into bodega.toml if it is sure.")] = False,
    as_json: AsJson = False,
) -> None:
    """Search better settings on the shop's own past, and confirm them on a window that the search did not see."""
    from bodega.engine.tuning import TuneOptions, apply, past, toml_lines, tune
    from bodega.wiring import parts_of

    options = TuneOptions(trials=trials, minutes=minutes, folds=folds, cases=cases, seed=seed)
    with shop_at(shop) as opened, show.Bars() as bars:
        stores = opened.stores
        world = past(stores.catalog, stores.events, opened.settings, opened.privacy.people())
        found = tune(world, opened.settings, parts_of, opened.folder, options, bars)
    file = str(apply(shop, found)) if write and found.sure else ""
    lines = toml_lines(found.diff)
    if as_json:
        show.json(asdict(found) | {"toml": lines, "applied": bool(file), "file": file})
    else:
        _print(found, lines, file)
    if write and found.diff and not file:
        apply(shop, found)  # says why it refuses


def _print(found: Tuned, lines: str, file: str) -> None:
    show.console.print(f"[bold]{found.trials:,} settings tried in {found.seconds:,.0f} s[/]; {escape(found.verdict)}")
    if found.diff:
        show.console.print(_table(found))
        show.console.print(lines, markup=False, highlight=False)
        for change in found.diff:
            show.console.print(f"[dim]{escape(change.key)}: {escape(change.says)}[/]")
    for note in found.notes:
        show.console.print(f"[dim]- {escape(note)}[/]")
    if file:
        show.console.print(f"[green]written to {escape(file)}[/]; next: bodega learn, so that it acts")
    elif found.sure:
        show.console.print("nothing was changed; next: bodega tune --apply (the search is kept), then bodega learn")
    else:
        show.console.print("nothing was changed")


def _table(found: Tuned) -> Table:
    table = Table(title=f"gain on the confirming window, {found.cases:,} cases", title_justify="left")
    for column in ("list", "NDCG@10", "95 %"):
        table.add_column(column, justify="left" if column == "list" else "right")
    for place, (mean, low, high) in {**found.places, "all": found.gain}.items():
        table.add_row(place, f"{mean:+.4f}", f"{low:+.4f} to {high:+.4f}")
    table.caption = f"all: {found.before:.4f} before, {found.after:.4f} after"
    return table
