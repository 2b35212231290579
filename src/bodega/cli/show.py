"""Answers for eyes (tables, bars) or for machines (one JSON object). Nothing here computes."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Table

from bodega.errors import BodegaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bodega.engine.learn import LearnReport
    from bodega.engine.snapshot import SnapshotInfo
    from bodega.engine.why_not import WhyNot
    from bodega.protocols import EventSummary, ImportReport
    from bodega.schema import Completion, Contribution, Meaning, Page, Reason

console = Console()
stderr = Console(stderr=True)


def json(value: Any) -> None:
    """One object on one line of standard output."""
    plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    print(msgspec.json.encode(plain, enc_hook=str).decode())  # noqa: T201 - standard output is the product here


def error(problem: BodegaError, *, as_json: bool) -> None:
    """What went wrong, on standard error."""
    if as_json:
        stderr.print_json(data={"error": problem.as_dict()})
        return
    facts = {label: value for label, value in problem.as_dict().items() if value and label not in ("type", "what")}
    lines = [
        f"[bold]{escape(problem.what)}[/]",
        *(f"[dim]{label:>8}[/] {escape(value)}" for label, value in facts.items()),
    ]
    stderr.print(Panel("\n".join(lines), title=type(problem).__name__, border_style="red", expand=False))


class Bars:
    """A `protocols.Progress` drawn with rich on standard error; one line a task, finished tasks stay."""

    def __init__(self) -> None:
        self._rich = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description:<34}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=stderr,
        )
        self._tasks: list[Any] = []

    def __enter__(self) -> Bars:
        self._rich.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._rich.stop()

    def start(self, task: str, total: float | None = None) -> None:
        self._tasks.append(self._rich.add_task(task, total=total))

    def advance(self, amount: float = 1.0) -> None:
        if self._tasks:
            self._rich.advance(self._tasks[-1], amount)

    def finish(self) -> None:
        if self._tasks:
            task = self._tasks.pop()
            total = next((known.total for known in self._rich.tasks if known.id == task), None)
            self._rich.update(task, total=total or 1, completed=total or 1)


def report(done: ImportReport) -> None:
    """What an import did."""
    console.print(
        f"[bold]{escape(done.source)}[/] read as [bold]{done.format}[/]: {done.rows:,} rows in {done.seconds:.1f} s: "
        f"[green]{done.added:,} added[/], {done.changed:,} changed, {done.unchanged:,} unchanged, "
        f"[{'red' if done.dead else 'dim'}]{done.dead:,} unusable[/]"
    )
    if done.mapping:
        pairs = ", ".join(f"{ours} <- {theirs}" for ours, theirs in done.mapping.items())
        console.print(f"  [dim]columns:[/] {escape(pairs)}")
    for reason, count in sorted(done.reasons.items(), key=lambda pair: -pair[1]):
        console.print(f"  [dim]{count:,} rows:[/] {escape(reason)}")
    for note in done.notes:
        console.print(f"  [dim]note:[/] {escape(note)}")


def page(answer: Page) -> None:
    """One list: what was understood and what rules say above it, facets and what to ask next below."""
    _above(answer)
    if len(answer):
        console.print(_hits(answer))
    else:
        _nothing(answer)
    for hit in answer:
        if hit.contributions:
            console.print(
                f"[dim]{hit.position + 1:>3}[/] " + escape("  ".join(_added(each) for each in hit.contributions))
            )
    for facet in answer.facets:
        values = ", ".join(f"{value.value} ({value.count:,})" for value in facet.values[:8])
        if facet.low is not None and facet.high is not None:
            values = f"{facet.low:,.2f} to {facet.high:,.2f}"
        console.print(f"[dim]{escape(facet.field)}:[/] {escape(values)}")
    if answer.related:
        console.print(f"[dim]people search next:[/] {escape(', '.join(answer.related))}")
    if answer.rules:
        console.print(f"[dim]rules that took part:[/] {escape(', '.join(answer.rules))}")
    for note in answer.degraded:
        console.print(f"[yellow]{escape(note)}[/]")


def _above(answer: Page) -> None:
    """What stands above the hits: where a rule leads, banners, what was understood, corrected and given up."""
    if answer.redirect:
        console.print(f"[bold magenta]a rule sends the shopper to[/] {escape(answer.redirect)}")
    for banner in answer.banners:
        parts = " ".join(part for part in (banner.text, banner.image, banner.url) if part)
        console.print(f"[magenta]banner[/] {escape(parts)} [dim](rule {escape(banner.rule)})[/]")
    if answer.corrected:
        console.print(
            f"searched for [bold]{escape(answer.corrected)}[/] [dim]instead of what was typed; --verbatim undoes it[/]"
        )
    if answer.understood:
        console.print("[dim]understood[/] " + "  ".join(_chip(meaning) for meaning in answer.understood))
    if answer.relaxed:
        console.print(f"[yellow]too little matched; given up:[/] {escape('; '.join(answer.relaxed))}")


def _chip(meaning: Meaning) -> str:
    """One meaning in a few signs: a condition is bold, what only lifts results is not."""
    said = escape(
        f"[{says(meaning)}]" if meaning.kind in (meaning.field, "not") else f"[{meaning.kind}: {says(meaning)}]"
    )
    return f"[bold cyan]{said}[/]" if meaning.hard else f"[cyan]{said}[/]"


def says(meaning: Meaning) -> str:
    """What a meaning says of the results, in words.

    >>> from bodega.schema import Meaning
    >>> says(Meaning(kind="price", text="under 50", field="price", high=50.0, hard=True))
    'price up to 50'
    >>> says(Meaning(kind="not", text="not silk", values=("silk",), excludes=True, hard=True))
    'without silk'
    """
    low, high = (f"{end:g}" if end is not None else "" for end in (meaning.low, meaning.high))
    if low and high:
        held = low if low == high else f"{low} to {high}"
    elif low or high:
        held = f"from {low}" if low else f"up to {high}"
    else:
        held = " or ".join(meaning.values[:3]) or meaning.text
    return " ".join(part for part in ("without" if meaning.excludes else "", meaning.field, held) if part)


def _added(each: Contribution) -> str:
    """What one feature added; `~` before what is only estimated."""
    return f"{each.name} {'' if each.exact else '~'}{each.value:+.3g} ({each.share:.0%})"


def _share(reason: Reason) -> str:
    """Nothing of what only says that an item fits, as all others do."""
    return f" ({reason.share:.0%})" if reason.share else ""


def _words(reason: Reason) -> str:
    """Which words of the query stand where, but for those in the title, which everybody sees."""
    by_field: dict[str, list[str]] = {}
    for each in reason.evidence:
        if each.kind == "word" and each.field != "title":
            by_field.setdefault(each.field, []).append(each.text)
    told = ", ".join(f"{field}: {' '.join(words)}" for field, words in by_field.items())
    return f" [{told}]" if told else ""


def _nothing(answer: Page) -> None:
    """An empty list, and what can be done about it."""
    if not answer.query:
        console.print(f"[bold]nothing to show[/] for {escape(answer.place)}; next: bodega doctor")
        return
    console.print(f"[bold]nothing found[/] for '{escape(answer.query)}'")
    console.print(
        "  next: fewer words, or without -f and --where; `bodega suggest` shows what is there, "
        "`bodega doctor` what hurts findability"
    )


def _hits(answer: Page) -> Table:
    title = f"{answer.place}: {answer.query}" if answer.query else answer.place
    table = Table(
        title=escape(title), caption=f"{answer.total:,} in all, {answer.took_ms:.1f} ms", title_justify="left"
    )
    for column in ("#", "id", "title", "price", "why"):
        table.add_column(column, justify="right" if column in ("#", "price") else "left")
    for hit in answer:
        item = hit.item
        price = f"{item.price:,.2f} {item.currency}" if item.price is not None else ""
        why = "; ".join(f"{reason.text}{_share(reason)}{_words(reason)}" for reason in hit.why)
        table.add_row(str(hit.position + 1), escape(hit.id), escape(item.title), price, escape(why))
    return table


def why_not(found: WhyNot) -> None:
    """Where an item fell out, and how the sources see it."""
    colour = "green" if found.shown else "yellow"
    console.print(f"[bold]{escape(found.item)}[/] {escape(found.title)}: [{colour}]{escape(found.stage)}[/]")
    console.print(f"  {escape(found.text)}")
    if found.passed:
        console.print(f"  [dim]passed:[/] {', '.join(found.passed)}")
    if not found.sources:
        return
    table = Table(title_justify="left")
    columns = ("source", "its score", "its rank", "added", "added to the last shown")
    for column in columns:
        table.add_column(column, justify="left" if column == "source" else "right")
    for each in found.sources:
        values = (each.score, each.rank, each.part, each.last)
        table.add_row(escape(each.name), *("" if value is None else f"{value:,.4g}" for value in values))
    console.print(table)
    if not found.exact:
        console.print("[dim]what was added is estimated: a network ranks this list[/]")


def completions(found: list[Completion], typed: str, people: int) -> None:
    """What may be being typed."""
    if not found:
        console.print(f"nothing for sale begins like '{escape(typed)}'")
        console.print(
            f"  [dim]queries of shoppers are offered once {people:,} different people asked them "
            "(setting understand.people), and a `bodega learn` later[/]"
        )
        return
    table = Table(title_justify="left")
    for column in ("completion", "kind", "item"):
        table.add_column(column)
    for each in found:
        table.add_row(escape(each.text), each.kind, escape(each.item))
    console.print(table)


def encoders(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Which encoder makes the vectors of which source."""
    for source, info in found.items():
        languages = ", ".join(info.get("languages", ()))
        digest = f", weights {info['digest']}" if info.get("digest") else ""
        origin = f"; {info['origin']}" if info.get("origin") else ""
        console.print(
            f"[dim]encoder of[/] {escape(source)}: [bold]{escape(info['name'])}[/] "
            f"[dim]({info['dimensions']} dimensions, {escape(languages)}{escape(digest)}{escape(origin)})[/]"
        )
    if not found:
        console.print("[dim]no encoder: search goes by words only (setting understand.encoder)[/]")


def summary(found: EventSummary) -> None:
    """The shop's last days."""
    console.print(f"[bold]{found.events:,}[/] events in the {found.days} days before the newest")
    console.print("  ".join(f"[dim]visits that {step}[/] {count:,}" for step, count in found.funnel.items()))
    table = Table(title="best sellers", title_justify="left")
    for column in ("item", "views and clicks", "purchases"):
        table.add_column(column, justify="left" if column == "item" else "right")
    for item, seen, bought in found.top_items[:10]:
        table.add_row(escape(item), f"{seen:,}", f"{bought:,}")
    console.print(table)
    for title, rows in (("searched", found.top_queries), ("searched without a click", found.unanswered)):
        if rows:
            console.print(
                f"[dim]{title}:[/] " + escape(", ".join(f"{query} ({count:,})" for query, count in rows[:10]))
            )


def learned(done: LearnReport) -> None:
    """The evaluation table, and what was published."""
    for place in done.places:
        table = Table(title=f"{place.place}: {place.cases:,} test cases", title_justify="left")
        metrics = list(next(iter(place.figures.values()))) if place.figures else []
        table.add_column("source")
        for metric in metrics:
            table.add_column(metric, justify="right")
        table.add_column("weight", justify="right")
        best = {metric: max(row[metric] for row in place.figures.values()) for metric in metrics}
        for source, row in place.figures.items():
            cells = [f"[bold]{row[m]:.4f}[/]" if row[m] == best[m] else f"{row[m]:.4f}" for m in metrics]
            weight = place.weights.get(source)
            table.add_row(source, *cells, "" if weight is None else f"{weight:.2f}")
        console.print(table)
        console.print(f"  [dim]{escape(place.verdict)}[/]")
        if place.ranked:
            console.print(f"  [dim]{escape(place.ranked)}[/]")
    if done.published:
        encoders(done.facts.get("encoders", {}))
    for note in done.notes:
        console.print(f"[dim]note:[/] {escape(note)}")
    colour = "green" if done.published else "red"
    console.print(f"[{colour}]{escape(done.verdict)}[/] ({done.seconds:.1f} s)")


def snapshot(info: SnapshotInfo) -> None:
    """One snapshot's facts."""
    facts = info.facts
    console.print(
        f"[bold]{info.id}[/] {info.time:%Y-%m-%d %H:%M} UTC, {info.bytes / 1e6:,.1f} MB" + (", served" * info.current)
    )
    console.print(f"[dim]items[/] {facts.get('items', 0):,}  [dim]events[/] {facts.get('events', 0):,}", end="  ")
    console.print(f"[dim]people[/] {facts.get('users', 0):,}")
    console.print(f"[dim]sources[/] {escape(', '.join(facts.get('sources', ())))}")
    encoders(facts.get("encoders", {}))
    for place, weights in facts.get("weights", {}).items():
        told = ", ".join(f"{source} {weight:.2f}" for source, weight in weights.items())
        console.print(f"[dim]weights of[/] {escape(place)}: {escape(told)}")
    rare = facts.get("rare")
    if rare:
        console.print(f"[dim]rare items[/] {escape(rare['told'])}")


def health(facts: Mapping[str, Any]) -> None:
    """The state of a shop: counts on a line, encoders, warnings."""
    plain = {name: value for name, value in facts.items() if name not in ("encoders", "warnings")}
    console.print(" ".join(f"[dim]{name}[/] {escape(str(value))}" for name, value in plain.items()))
    if facts.get("ready"):
        encoders(facts.get("encoders", {}))
    for warning in facts.get("warnings", ()):
        console.print(f"[yellow]{escape(warning)}[/]")
