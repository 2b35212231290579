"""`bodega judge`: who says how well items answer queries, and did search get worse?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at
from bodega.errors import BadRequest

if TYPE_CHECKING:
    from bodega.engine.judged.report import RelevanceReport
    from bodega.schema.judgments import Judgment

judge = typer.Typer(
    help="Judgments: from clicks, people, a language model; did search get worse?", no_args_is_help=True
)
app.add_typer(judge, name="judge", rich_help_panel="Measure")


@judge.command("clicks", epilog="Example: `bodega judge clicks --shop my-shop`")
def clicks(
    shop: ShopFolder = HERE,
    model: Annotated[
        Literal["pbm", "sdbn"] | None, typer.Option(help="How places are taken out.", show_default="as set")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Grade what shoppers clicked, places taken out; pairs with thin evidence get no grade."""
    with shop_at(shop) as opened, show.Bars() as said:
        found = opened.judgments.from_clicks(model, said)
    if as_json:
        show.json(found)
        return
    where = "the log of answers (the shop sends no impressions)" if found.from_answers else "impressions"
    show.console.print(
        f"{found.graded:,} of {found.pairs:,} pairs of {found.queries:,} queries graded by {found.model}, from "
        f"{found.pages:,} pages of {where}; grades 0 to 3: {', '.join(f'{n:,}' for n in found.by_grade)}"
    )
    if not found.queries:
        show.console.print(f"no query was asked by {found.people} different people (understand.people)")


@judge.command("import", epilog="Example: `bodega judge import judgments.jsonl --who ann --shop my-shop`")
def take(
    file: Annotated[Path, typer.Argument(help="JSON Lines: query, item, grade 0 to 3; `-` reads standard input.")],
    shop: ShopFolder = HERE,
    who: Annotated[str, typer.Option(help="Who judged, where a line does not say.")] = "",
    as_json: AsJson = False,
) -> None:
    """Take in what was judged elsewhere: lines of `export`, or with query, item and grade alone."""
    read = _lines(file, who)
    with shop_at(shop) as opened:
        told = opened.judgments.take(read)
    if as_json:
        show.json(told)
    else:
        show.console.print(f"{told.added:,} added, {told.changed:,} changed, {told.unchanged:,} known")


@judge.command("export", epilog="Example: `bodega judge export --shop my-shop > judgments.jsonl`")
def export(shop: ShopFolder = HERE) -> None:
    """All judgments as JSON, one a line."""
    with shop_at(shop) as opened:
        for each in opened.judgments.scan():
            show.json(each)


@judge.command("llm", epilog="Example: `bodega judge llm --limit 50 --shop my-shop`   (needs `judgments.llm`)")
def llm(
    shop: ShopFolder = HERE,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Queries to ask about.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Let a language model judge the most asked queries. It counts only once it agrees with people or clicks."""
    with shop_at(shop) as opened, show.Bars() as said:
        told = opened.judgments.ask(limit, progress=said)
    if as_json:
        show.json(told)
    else:
        show.console.print(f"{told.added:,} judgments added, {told.changed:,} changed; next: bodega judge agreement")


@judge.command("agreement", epilog="Example: `bodega judge agreement --shop my-shop`")
def agreement(shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """How far do judges agree? Cohen's kappa of every two, with intervals."""
    with shop_at(shop) as opened:
        found, state = opened.judgments.agreement(), opened.judgments.progress()
    if as_json:
        show.json({"agreement": found, "progress": state})
        return
    table = Table(title=f"{state.pairs:,} judged pairs of {state.queries:,} queries", title_justify="left")
    for column in ("one", "other", "pairs", "kappa", "95 %"):
        table.add_column(column, justify="left" if column in ("one", "other") else "right")
    for each in found:
        own = each.agreement
        table.add_row(
            escape(each.one), escape(each.other), f"{own.n:,}", f"{own.kappa:.3f}", f"{own.low:.3f} to {own.high:.3f}"
        )
    show.console.print(table if found else "no two judges looked at the same pair yet; next: bodega judge clicks")
    if any(each.origin == "llm" for each in state.counts):
        show.console.print(f"the language model {'counts' if state.llm else 'does not count yet'}")


@judge.command("report", epilog="Example: `bodega judge report --shop my-shop`   (exit code 1: surely worse)")
def report(shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Does the served snapshot answer judged queries worse than the one before? Plain words (BM25) beside it."""
    with shop_at(shop) as opened, show.Bars() as said:
        found = opened.judgments.report(said)
    if as_json:
        show.json(found)
    else:
        _reported(found)
    if found.worse:
        sys.exit(1)


def _reported(found: RelevanceReport) -> None:
    title = f"snapshot {found.snapshot} on {found.queries:,} judged queries ({found.judgments:,} judgments)"
    table = Table(title=title, title_justify="left")
    others = [name for name in ("before", "bm25") if name in found.changes]
    for column in ("metric", "served", *(part for name in others for part in (name, "difference (95 %)"))):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for metric, value in found.figures["served"].items():
        cells = [metric, f"{value:.4f}"]
        for name in others:
            change = found.changes[name][metric]
            state = {"worse": "red", "better": "green"}.get(change.state, "dim")
            cells += [
                f"{found.figures[name][metric]:.4f}",
                f"[{state}]{change.mean:+.4f} ({change.low:+.4f} to {change.high:+.4f})[/]",
            ]
        table.add_row(*cells)
    show.console.print(table)
    show.console.print(f"{found.unjudged:.0%} of the first ten places hold items that nobody judged")
    if not found.queries:
        show.console.print("nothing is judged yet; next: bodega judge clicks")
    for line in found.worst[:5]:
        show.console.print(f"  lost most: {escape(line.query)}  {line.before:.3f} -> {line.now:.3f}")
    if found.worse:
        show.console.print("[red]surely worse[/] than the snapshot before; next: bodega snapshots rollback")


def _lines(file: Path, who: str) -> list[Judgment]:
    import msgspec

    from bodega.schema.judgments import Judgment

    name = "standard input" if str(file) == "-" else str(file)
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise BadRequest("the file cannot be read", where=name, got=str(error)) from error
    out = []
    for number, line in enumerate(raw.splitlines(), 1):
        if not line.strip():
            continue
        try:
            each = msgspec.json.decode(line, type=Judgment)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadRequest(
                "this line is no judgment",
                where=f"{name}, line {number}",
                allowed='{"query": "tea", "item": "p1", "grade": 3}',
                got=str(error),
            ) from error
        out.append(each if each.who else msgspec.structs.replace(each, who=who))
    return out
