"""A benchmark's result for people: one table (rows = sources, columns = metrics with half the width of the interval).

The best of each column is bold. Figures whose names carry a suffix (`.unmasked`, `.repeat`, ...) get a table of their
own, so do slices. The same object as JSON is `--json`. Not for: anything that is not printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.console import Console
from rich.table import Table

from bodega.bench.result import BenchResult

COSTS: Final = ("train_cpu_s", "train_wall_s", "memory_mb", "request_p50_ms", "request_p99_ms", "request_cpu_ms")

LOWER_IS_NOT_WORSE: Final = ("popularity", "gini", "novelty", *COSTS)
"""Metrics that describe a list or a cost rather than rank it: nothing is bold."""

COMPARISON: Final = "_vs_"


def print_result(result: BenchResult, console: Console) -> None:
    """Header, tables, comparisons and notes."""
    console.print(f"[bold]bodega bench {result.bench}[/]  {result.data}")
    known = {name: value for name, value in result.facts.items() if isinstance(value, int | float | str)}
    console.print(
        f"[dim]{result.seconds:g} s  " + "  ".join(f"{name} {_fact(value)}" for name, value in known.items()) + "[/]",
        highlight=False,
    )
    parts = _by_suffix(result.figures)
    if _sparse(parts):
        console.print(_list(result))
        parts = {}
    for suffix, figures in parts.items():
        columns = list(dict.fromkeys(metric for _, metric in figures))
        for few in _chunks(columns, console.width):
            console.print(_table(suffix or "main figures", figures, few, _widths(result, suffix)))
    for name, part in result.slices.items():
        figures = {_named(key): value for key, value in part.items() if "." in key}
        columns = list(dict.fromkeys(metric for _, metric in figures))
        console.print(_table(f"{name} ({part.get('cases', 0):,.0f} cases)", figures, columns, {}))
    for name, value in result.figures.items():
        if COMPARISON in name:
            low, high = result.intervals.get(name, (value, value))
            console.print(f"{name}: {value:+.4f}  [{low:+.4f}, {high:+.4f}]", markup=False, highlight=False)
    for note in result.notes:
        console.print(f"- {note}", markup=False, highlight=False)


def _sparse(parts: Mapping[str, Mapping[tuple[str, str], float]]) -> bool:
    """Are sources and metrics so different that a grid would be mostly empty? (Then figures read better as a list.)"""
    cells = sum(len({s for s, _ in part}) * len({m for _, m in part}) for part in parts.values())
    return sum(len(part) for part in parts.values()) < cells / 2


def _list(result: BenchResult) -> Table:
    table = Table(header_style="bold")
    for column in ("figure", "value", "95 %"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for name, value in result.figures.items():
        low, high = result.intervals.get(name, (None, None))
        table.add_row(name, _figure(value), "" if low is None or high is None else f"{_figure(low)} to {_figure(high)}")
    return table


def _named(name: str) -> tuple[str, str]:
    """(source, metric) of a figure's name without its suffix."""
    source, _, metric = name.partition(".")
    return source, metric


def _by_suffix(figures: Mapping[str, float]) -> dict[str, dict[tuple[str, str], float]]:
    """{suffix: {(source, metric): value}}, comparisons left out."""
    out: dict[str, dict[tuple[str, str], float]] = {}
    for name, value in figures.items():
        if COMPARISON not in name:
            source, metric = _named(name)
            base, dot, suffix = metric.partition(".")
            out.setdefault(dot + suffix, {})[source, base] = value
    return dict(sorted(out.items(), key=lambda held: held[0] != ""))  # the main reading first


def _widths(result: BenchResult, suffix: str) -> dict[tuple[str, str], float]:
    """{(source, metric): half the width of its interval}."""
    out = {}
    for name, (low, high) in result.intervals.items():
        if name.endswith(suffix) and COMPARISON not in name:
            out[_named(name.removesuffix(suffix) if suffix else name)] = (high - low) / 2
    return out


def _table(
    title: str, figures: Mapping[tuple[str, str], float], columns: list[str], widths: Mapping[tuple[str, str], float]
) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("source")
    for metric in columns:
        table.add_column(metric, justify="right")
    best = {metric: max(value for (_, own), value in figures.items() if own == metric) for metric in columns}
    for source in dict.fromkeys(source for source, _ in figures):
        cells = []
        for metric in columns:
            value = figures.get((source, metric))
            ranked = metric.partition("@")[0] not in LOWER_IS_NOT_WORSE
            cells.append(_cell(value, widths.get((source, metric)), bold=ranked and value == best[metric]))
        table.add_row(source, *cells)
    return table


def _cell(value: float | None, width: float | None, *, bold: bool) -> str:
    if value is None:
        return ""
    text = _figure(value) if width is None else f"{_figure(value)} [dim]±{_figure(width)}[/]"
    return f"[bold]{text}[/]" if bold else text


def _figure(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"


def _fact(value: float | str) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _chunks(columns: list[str], width: int) -> list[list[str]]:
    """As many columns a table as fit the console: a figure with its interval takes 19 characters."""
    fit = max(1, (width - 18) // 19)
    return [columns[start : start + fit] for start in range(0, len(columns), fit)]
