"""`bodega drift`: is the shop still the one that was learned from?"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at

if TYPE_CHECKING:
    from bodega.engine.drifting import DriftReport


@app.command(rich_help_panel="Measure", epilog="Example: `bodega drift --days 1 --shop my-shop`")
def drift(
    shop: ShopFolder = HERE,
    days: Annotated[int, typer.Option(help="Length of the window: the last days of the log.", min=1, max=28)] = 1,
    reference: Annotated[int, typer.Option(help="Days before it that are usual.", min=7, max=365)] = 28,
    as_json: AsJson = False,
) -> None:
    """Compare the last day with the weeks before: queries, categories, prices, clicks, scores, new items."""
    with shop_at(shop) as opened:
        report = opened.drift(days=days, reference=reference)
    if as_json:
        show.json(asdict(report) | {"alarms": [signal.name for signal in report.alarms]})
        return
    show.console.print(_table(report))
    if report.silent:
        show.console.print(f"[dim]too few events to say anything of: {', '.join(report.silent)}[/]")
    if report.alarms:
        show.console.print("next: look at what moved, then bodega learn")


def _table(report: DriftReport) -> Table:
    end = datetime.fromtimestamp(report.until, UTC).isoformat(timespec="minutes")
    title = f"drift: {report.days} day(s) to {end} against the {report.reference_days} before"
    table = Table(title=title, title_justify="left")
    for column in ("watched", "measure", "value", "limit", "", "moved most"):
        table.add_column(column, justify="right" if column in ("value", "limit") else "left")
    for each in report.signals:
        state = "[red]drifted[/]" if each.drifted else "[green]as usual[/]"
        cells = (each.name, each.measure, f"{each.value:.4f}", f"{each.limit:.4f}")
        table.add_row(*cells, state, escape("; ".join(each.moved[:2])))
    return table
