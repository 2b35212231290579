"""`bodega knowledge`: what the texts of items say that their columns do not; look, accept, reject, take along."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at
from bodega.errors import BadRequest

if TYPE_CHECKING:
    from bodega.schema.facts import Fact, FactCount, FactQuery

WHO = "cli"
knowledge = typer.Typer(
    help="Facts mined from the texts of items: colour, size, material, brand ...", no_args_is_help=True
)
app.add_typer(knowledge, name="knowledge", rich_help_panel="Learn and ask")

Attribute = Annotated[str, typer.Option("--attribute", "-a", help="Only this column.", show_default="all")]
Value = Annotated[str, typer.Option("--value", "-v", help="Only this value.", show_default="all")]
Of = Annotated[str, typer.Option("--item", "-i", help="Only this item.", show_default="all")]
Least = Annotated[float, typer.Option("--least", min=0, max=1, help="Confidence at least this.")]
Most = Annotated[float, typer.Option("--most", min=0, max=1, help="Confidence at most this.")]
Conflicts = Annotated[
    bool | None,
    typer.Option("--conflicts/--no-conflicts", help="Only those that contradict the shop; or only others."),
]
Wanted = Annotated[str, typer.Option("--status", help="mined, accepted or rejected.", show_default="all")]
EveryItem = Annotated[
    bool, typer.Option("--every-item", help="This value of every item, also of those that come later.")
]


@knowledge.command("mine", epilog="Example: `bodega knowledge mine --shop my-shop`")
def mine(
    shop: ShopFolder = HERE,
    anew: Annotated[bool, typer.Option("--anew", help="Everything, not only what changed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Mine the items that changed since the last time (`bodega learn` does it too)."""
    with shop_at(shop) as opened, show.Bars() as progress:
        report = opened.knowledge.mine(progress, anew=anew)
    if as_json:
        show.json(report)
        return
    how = "learned anew what mentions are worth; " if report.anew else ""
    show.console.print(f"{how}{report.items:,} items mined, {report.facts:,} facts, {report.seconds:.1f} s")
    if report.counts:
        show.console.print(_counted(report.counts))
    show.console.print(
        "next: bodega knowledge list, then accept or reject; bodega learn puts sure ones into the columns"
    )


@knowledge.command("list", epilog="Example: `bodega knowledge list -a color --most 0.9 --status mined --shop my-shop`")
def list_facts(
    shop: ShopFolder = HERE,
    attribute: Attribute = "",
    value: Value = "",
    item: Of = "",
    status: Wanted = "",
    least: Least = 0.0,
    most: Most = 1.0,
    conflicts: Conflicts = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Facts with their evidence: what was read where, and how sure it is."""
    query = _query(attribute, value, item, least, most, conflicts, status, limit)
    with shop_at(shop) as opened:
        found, counts = opened.knowledge.facts(query), opened.knowledge.counts()
    if as_json:
        show.json({"facts": found, "counts": counts})
    elif not counts:
        show.console.print("nothing mined yet; next: bodega knowledge mine")
    else:
        show.console.print(_table(found))
        show.console.print(_counted(counts))


@knowledge.command("show", epilog="Example: `bodega knowledge show SKU-17 --shop my-shop`")
def show_item(
    item: Annotated[str, typer.Argument(help="Id of an item.")], shop: ShopFolder = HERE, as_json: AsJson = False
) -> None:
    """Every fact of one item, with all its evidence."""
    with shop_at(shop) as opened:
        opened.catalog.get(item)
        found = opened.knowledge.facts(_query(item=item, limit=1_000))
    if as_json:
        show.json({"facts": found})
    elif not found:
        show.console.print("nothing is known of it beside what the shop says")
    else:
        for fact in found:
            said = f" [red](the shop says {escape(', '.join(fact.conflicts))})[/]" if fact.conflicts else ""
            line = (
                f"[bold]{escape(fact.attribute)}[/]: {escape(fact.value)}  {fact.confidence:.2f}  {fact.status}{said}"
            )
            show.console.print(line)
            for one in fact.evidence:
                of = f" ({one.have} of {one.had} have it)" if one.had else ""
                place = f"{escape(one.field)} [{one.start}:{one.end}]"
                show.console.print(f"    {one.how} in {place}: {escape(one.text)}{of}", highlight=False)


@knowledge.command("accept", epilog="Example: `bodega knowledge accept -a color --least 0.8 --shop my-shop`")
def accept(
    shop: ShopFolder = HERE,
    attribute: Attribute = "",
    value: Value = "",
    item: Of = "",
    least: Least = 0.0,
    most: Most = 1.0,
    conflicts: Conflicts = None,
    every_item: EveryItem = False,
    as_json: AsJson = False,
) -> None:
    """Accept all facts that the options describe: they act from now on, however often the catalog is mined."""
    _decide(shop, _query(attribute, value, item, least, most, conflicts), True, every_item, as_json)


@knowledge.command("reject", epilog="Example: `bodega knowledge reject -a color -v cream --every-item --shop my-shop`")
def reject(
    shop: ShopFolder = HERE,
    attribute: Attribute = "",
    value: Value = "",
    item: Of = "",
    least: Least = 0.0,
    most: Most = 1.0,
    conflicts: Conflicts = None,
    every_item: EveryItem = False,
    as_json: AsJson = False,
) -> None:
    """Reject all facts that the options describe: they never act, however often the catalog is mined."""
    _decide(shop, _query(attribute, value, item, least, most, conflicts), False, every_item, as_json)


@knowledge.command("reopen", epilog="Example: `bodega knowledge reopen -a color -v cream --shop my-shop`")
def reopen(
    shop: ShopFolder = HERE,
    attribute: Attribute = "",
    value: Value = "",
    item: Of = "",
    least: Least = 0.0,
    most: Most = 1.0,
    conflicts: Conflicts = None,
    every_item: EveryItem = False,
    as_json: AsJson = False,
) -> None:
    """Take decisions back: confidence decides again."""
    _decide(shop, _query(attribute, value, item, least, most, conflicts), None, every_item, as_json)


@knowledge.command(
    "export", epilog="Example: `bodega knowledge export -a color --least 0.9 --shop my-shop > facts.jsonl`"
)
def export(
    shop: ShopFolder = HERE,
    attribute: Attribute = "",
    value: Value = "",
    least: Least = 0.0,
    status: Wanted = "",
) -> None:
    """Facts as JSON, one a line, e.g. to complete the source of the catalog."""
    import msgspec

    with shop_at(shop) as opened:
        for fact in opened.knowledge.all_of(_query(attribute, value, "", least, status=status)):
            sys.stdout.write(msgspec.json.encode(fact).decode() + "\n")


def _query(
    attribute: str = "",
    value: str = "",
    item: str = "",
    least: float = 0.0,
    most: float = 1.0,
    conflicts: bool | None = None,
    status: str = "",
    limit: int = 50,
) -> FactQuery:
    from bodega.schema.facts import FactQuery

    if status not in ("", "mined", "accepted", "rejected"):
        raise BadRequest("no such status", where="--status", allowed="mined, accepted, rejected", got=status)
    return FactQuery(
        item=item, attribute=attribute, value=value, status=status, least=least, most=most, conflicts=conflicts,
        limit=limit,
    )  # fmt: skip


def _decide(shop: ShopFolder, query: FactQuery, accepted: bool | None, every_item: bool, as_json: bool) -> None:
    from bodega.schema.facts import FactQuery

    if query == FactQuery():
        raise BadRequest(
            "name which facts", where="bodega knowledge", got="none",
            allowed="at least one of --attribute, --value, --item, --least", next="look first: bodega knowledge list",
        )  # fmt: skip
    with shop_at(shop) as opened:
        changed = opened.knowledge.decide_all(query, accepted, who=WHO, every_item=every_item)
    if as_json:
        show.json({"changed": changed})
    else:
        word = "reopened" if accepted is None else "accepted" if accepted else "rejected"
        show.console.print(f"{changed:,} {word}; new columns and models follow with: bodega learn")


def _table(facts: Iterable[Fact]) -> Table:
    table = Table(title_justify="left")
    for column in ("item", "attribute", "value", "sure", "read in", "the shop says", "status"):
        table.add_column(column, justify="right" if column == "sure" else "left")
    for fact in facts:
        read = "; ".join(f"{one.field}: {one.text}" for one in fact.evidence[:2])
        cells = (fact.item, fact.attribute, fact.value, f"{fact.confidence:.2f}", read, ", ".join(fact.conflicts))
        table.add_row(*(escape(cell) for cell in cells), fact.status)
    return table


def _counted(counts: Iterable[FactCount]) -> Table:
    table = Table(title="facts by attribute", title_justify="left")
    for column in ("attribute", "kind", "facts", "items", "contradict", "accepted", "rejected"):
        table.add_column(column, justify="left" if column in ("attribute", "kind") else "right")
    for one in counts:
        numbers = (one.facts, one.items, one.conflicts, one.accepted, one.rejected)
        table.add_row(escape(one.attribute), one.kind, *(f"{number:,}" for number in numbers))
    return table
