"""`bodega metrics`: what happened in the shop, day by day, and what people searched."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at

if TYPE_CHECKING:
    from bodega.insight.counting import Figures, Rate
    from bodega.insight.reports import DailyReport, QueriesReport

BARS = "▁▂▃▄▅▆▇█"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins so for something to compute."""
NUMBERS = ("answers", "zero", "degraded", "shown", "impressions", "views", "clicks", "carts", "purchases", "revenue",
           "clicked", "bought", "by_request", "by_touch", "told", "unattributed", "units")  # fmt: skip


class By(StrEnum):
    PLACE = "place"
    POSITION = "position"
    SOURCE = "source"
    HOUR = "hour"


class Kind(StrEnum):
    TOP = "top"
    RISING = "rising"
    FAILING = "failing"


@app.command(
    rich_help_panel="Measure",
    epilog="Examples: `bodega metrics --days 7 --by source --shop my-shop`, "
    "`bodega metrics --queries failing --shop my-shop`, `bodega metrics --csv days.csv --shop my-shop`",
)
def metrics(
    shop: ShopFolder = HERE,
    days: Annotated[int, typer.Option(help="So many days.", min=1, max=731)] = 28,
    by: Annotated[By, typer.Option(help="How the days are parted.")] = By.PLACE,
    place: Annotated[str | None, typer.Option(help="Only this place, e.g. search.")] = None,
    queries: Annotated[Kind | None, typer.Option(help="What people search instead.")] = None,
    to_csv: Annotated[Path | None, typer.Option("--csv", help="Write rows into this file (-: to the screen).")] = None,
    as_json: AsJson = False,
) -> None:
    """Pages and what came of them, counted day by day: zero results, click and purchase rates (with 95 % intervals in
    `--json`), revenue; or the queries that people ask most, more than before, or in vain."""
    from bodega.insight.reports import plain

    with shop_at(shop) as opened, show.console.status("counting"):
        asked = None if queries is None else opened.insight.queries(queries.value, min(days, 90))
        counted = opened.insight.daily(days, by.value, place=place, wait=True) if asked is None else None
    if as_json:
        show.json(plain(asked or counted))
    elif to_csv is not None:
        _write(to_csv, _query_rows(asked) if asked is not None else _day_rows(counted) if counted else iter(()))
    elif asked is not None:
        _show_queries(asked)
    elif counted is not None:
        _show_days(counted)


# -- tables -----------------------------------------------------------------------------------------------------------


def _show_days(report: DailyReport) -> None:
    whole = report.whole
    title = f"{report.since} to {report.until}" + (f", {report.place}" if report.place is not None else "")
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(report.by, no_wrap=True)
    for column in ("pages", "a day", "zero", "clicked", "bought", "sold", "revenue"):
        table.add_column(column, justify="left" if column == "a day" else "right", no_wrap=True)
    for line in report.totals:
        table.add_row(
            escape(line.key) or "[dim]unattributed[/]", *_cells(line.figures, _spark(_per_day(report, line.key)))
        )
    table.add_section()
    table.add_row("all", *_cells(whole, _spark([day.whole.answers or _wanted(day.whole) for day in report.days])))
    show.console.print(table)
    if whole.unattributed:
        show.console.print(f"[dim]{whole.unattributed:,} wanted items could not be put down to any list[/]")
    if not whole.answers:
        show.console.print(
            "[dim]no page was logged in these days: events alone say nothing of zero results and rates. "
            "Pages are logged while the shop answers (bodega serve).[/]"
        )
    if report.share < 1:
        show.console.print(f"[dim]{report.share:.0%} of the pages are logged (answers.share)[/]")


def _per_day(report: DailyReport, key: str) -> list[int]:
    found = []
    for day in report.days:
        figures = next((line.figures for line in day.lines if line.key == key), None)
        found.append(0 if figures is None else figures.answers or _wanted(figures))
    return found


def _wanted(figures: Figures) -> int:
    return figures.views + figures.clicks + figures.carts + figures.purchases


def _cells(figures: Figures, spark: str) -> tuple[str, ...]:
    return (
        f"{figures.answers:,}",
        spark,
        _rate(figures.zero_rate),
        _rate(figures.click_rate),
        _rate(figures.purchase_rate),
        f"{figures.purchases:,}",
        f"{figures.revenue:,.0f}",
    )


def _rate(rate: Rate | None) -> str:
    """The share alone: a table of 80 characters has no room for the interval, which `--json` tells."""
    return "" if rate is None else f"{rate.value:.1%}"


def _spark(values: Sequence[int]) -> str:
    """At most two weeks, one bar a day."""
    values = values[-14:]
    most = max(values, default=0)
    return "".join(BARS[round(value / most * (len(BARS) - 1))] if most else BARS[0] for value in values)


def _show_queries(report: QueriesReport) -> None:
    title = f"{report.kind} queries, {report.since[:10]} to {report.until[:10]}: {report.asked:,} searches"
    table = Table(title=title, title_justify="left")
    table.add_column("query")
    for column in ("asked", "people", "nothing found", "clicked", "refined"):
        table.add_column(column, justify="right")
    table.add_column({"rising": "before", "failing": "why"}.get(report.kind, "asked next"))
    for line in report.queries:
        last = {
            "rising": f"{line.before:,} ({'new' if line.ratio is None else f'{line.ratio:.1f} times'})",
            "failing": ", ".join(line.why),
        }.get(report.kind, ", ".join(f"{query} ({count})" for query, count in line.next))
        numbers = (line.asked, line.people, line.zero, line.clicked, line.refined)
        table.add_row(escape(line.query), *(f"{number:,}" for number in numbers), escape(last))
    show.console.print(table)
    if report.hidden:
        show.console.print(
            f"[dim]{report.hidden:,} of {report.queries_asked:,} queries were asked by fewer than {report.people} "
            "different people and are not shown (understand.people)[/]"
        )


# -- rows -------------------------------------------------------------------------------------------------------------


def _day_rows(report: DailyReport) -> Iterator[Sequence[object]]:
    yield ("day", report.by, *NUMBERS)
    for day in report.days:
        for key, figures in [(line.key, line.figures) for line in day.lines] or [("", day.whole)]:
            yield (day.day, key, *(getattr(figures, name) for name in NUMBERS))


def _query_rows(report: QueriesReport) -> Iterator[Sequence[object]]:
    yield ("query", "asked", "people", "zero", "clicked", "refined", "before", "ratio", "p", "why")
    for line in report.queries:
        numbers = (line.asked, line.people, line.zero, line.clicked, line.refined, line.before)
        yield (line.query, *numbers, line.ratio, line.p, " ".join(line.why))


def _write(path: Path, rows: Iterator[Sequence[object]]) -> None:
    safe = ([_safe(cell) for cell in row] for row in rows)
    if str(path) == "-":
        csv.writer(sys.stdout).writerows(safe)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(safe)
    show.console.print(f"wrote {escape(str(path))}")


def _safe(cell: object) -> object:
    """A text that a spreadsheet would compute is told to be text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
