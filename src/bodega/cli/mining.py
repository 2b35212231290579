"""`bodega rules mine`: synonyms that shoppers' behaviour suggests, for a person to review."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, shop_at
from bodega.cli.rules import WHO, rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bodega.schema import Rule
    from bodega.understanding.query.synonyms import Proposal


@rules.command("mine", epilog="Example: `bodega rules mine --people 5 --add --shop my-shop`")
def mine(
    shop: ShopFolder = HERE,
    people: Annotated[
        int,
        typer.Option(
            min=0, help="Different people that must have asked on each side.", show_default="understand.people"
        ),
    ] = 0,
    add: Annotated[bool, typer.Option("--add", help="Add what is new as rules, switched off, for review.")] = False,
    as_json: AsJson = False,
) -> None:
    """Propose synonyms from what queries led to; with --add as rules that a person switches on."""
    from bodega.engine.mining import synonym_rule, unknown

    with shop_at(shop) as opened:
        needed = people or opened.settings.understand.people
        proposals = opened.synonyms(needed)
        fresh = unknown(proposals, opened.rules.list())
        drafts = [synonym_rule(each) for each in fresh]
        added = list(opened.rules.put(*drafts, who=WHO, expected=0)) if add and drafts else []
    if as_json:
        new = {(each.one, each.other) for each in fresh}
        told = [asdict(each) | {"new": (each.one, each.other) in new} for each in proposals]
        show.json({"people": needed, "proposals": told, "added": [rule.id for rule in added]})
    elif not proposals:
        _none(needed)
    else:
        show.console.print(_table(proposals, fresh))
        _next(fresh, added)


def _table(proposals: Sequence[Proposal], fresh: Sequence[Proposal]) -> Table:
    table = Table(title=f"synonyms to propose: {len(proposals):,}", title_justify="left")
    for column in ("phrase", "same as", "clicks agree", "people", "seen in", "rule"):
        table.add_column(column, justify="right" if column in ("clicks agree", "people") else "left")
    for each in proposals:
        seen = "; ".join(f"{one} / {other}" for one, other in each.examples[:2])
        state = "[green]new[/]" if each in fresh else "[dim]there[/]"
        cells = (escape(each.one), escape(each.other), f"{each.agreement:.0%}", f"{each.people:,}", escape(seen))
        table.add_row(*cells, state)
    return table


def _next(fresh: Sequence[Proposal], added: Sequence[Rule]) -> None:
    """What a merchandiser does now."""
    if added:
        first, plural = escape(added[0].id), "s" * (len(added) > 1)
        show.console.print(
            f"[green]{len(added):,} rule{plural} added, switched off[/]; next: bodega rules preview {first}, "
            f"then bodega rules enable {first}"
        )
    elif fresh:
        show.console.print("nothing was changed; next: bodega rules mine --add   (adds them switched off, for review)")
    else:
        show.console.print("nothing new: what is proposed is in the rules already; next: bodega rules list")


def _none(people: int) -> None:
    show.console.print(
        f"[bold]no synonyms to propose[/]: two queries must differ in one phrase, each asked by {people:,}"
    )
    show.console.print("different people, and lead to the same items (clicks, carts, purchases that name their query).")
    show.console.print("  next: events with `query`, or fewer people: bodega rules mine --people 5")
