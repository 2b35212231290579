"""`bodega loop`: let the shop learn by itself, see how far it is, have the last word."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at

if TYPE_CHECKING:
    from bodega.engine.loop.state import LoopState

WHO = "cli"
loop = typer.Typer(help="The closed loop: judge, learn, gate, ask shoppers, promote.", no_args_is_help=True)
app.add_typer(loop, name="loop", rich_help_panel="Learn and ask")


@loop.command("run", epilog="Example: `bodega loop run --shop my-shop`   (from a timer: docs/loop.md)")
def run(shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Go as far as possible: it stops where shoppers or a person must speak. Exit code 1: a candidate was rejected."""
    with shop_at(shop) as opened, show.Bars() as said:
        state = opened.loop.run(said)
    _told(state, as_json)
    if state.step == "idle" and state.outcome.startswith("rejected"):
        sys.exit(1)


@loop.command("status", epilog="Example: `bodega loop status --shop my-shop`")
def status(
    shop: ShopFolder = HERE,
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="Lines of the trail.")] = 20,
    as_json: AsJson = False,
) -> None:
    """How far is it, and what did it do?"""
    with shop_at(shop) as opened:
        state, trail, switch = opened.loop.state, opened.loop.trail(limit), opened.loop.switch
    if as_json:
        show.json({"state": state, "switch": switch, "trail": trail})
        return
    _told(state, as_json)
    show.console.print(f"the last word has: {'a person' if switch == 'human' else 'the gate'} (loop.approve)")
    table = Table(title_justify="left")
    for column in ("time (UTC)", "run", "step", "", "what", "who"):
        table.add_column(column, justify="right" if column == "run" else "left")
    colours = {"pass": "green", "fail": "red", "open": "yellow", "skip": "dim", "done": "green"}
    for line in trail:
        when = f"{datetime.fromtimestamp(line.time, UTC):%Y-%m-%d %H:%M}"
        mark = f"[{colours[line.state]}]{line.state}[/]"
        table.add_row(when, str(line.run), line.step, mark, escape(line.what), escape(line.who))
    show.console.print(table if trail else "it never ran; next: bodega loop run")


@loop.command("approve", epilog="Example: `bodega loop approve --shop my-shop`   (back: `bodega snapshots rollback`)")
def approve(
    shop: ShopFolder = HERE,
    who: Annotated[str, typer.Option(help="Who says so, for the trail.")] = WHO,
    as_json: AsJson = False,
) -> None:
    """Let the candidate that waits be served."""
    with shop_at(shop) as opened:
        _told(opened.loop.approve(who), as_json)


@loop.command("reject", epilog='Example: `bodega loop reject --why "too many toys" --shop my-shop`')
def reject(
    shop: ShopFolder = HERE,
    why: Annotated[str, typer.Option(help="For the trail.")] = "",
    who: Annotated[str, typer.Option(help="Who says so.")] = WHO,
    as_json: AsJson = False,
) -> None:
    """Throw the candidate away; what is served stays."""
    with shop_at(shop) as opened:
        _told(opened.loop.reject(who, why), as_json)


@loop.command("clear", epilog="Example: `bodega loop clear --shop my-shop`")
def clear(
    shop: ShopFolder = HERE,
    who: Annotated[str, typer.Option(help="Who says so.")] = WHO,
    as_json: AsJson = False,
) -> None:
    """Let candidates learn from everybody again, those who stood behind an attack among them."""
    with shop_at(shop) as opened:
        _told(opened.loop.clear(who), as_json)


def _told(state: LoopState, as_json: bool) -> None:
    if as_json:
        show.json(state)
        return
    step = "between two runs" if state.step == "idle" else f"at step {state.step}"
    show.console.print(f"run {state.run}, {step}: {escape(state.outcome or 'nothing yet')}")
    if state.candidate:
        show.console.print(f"candidate {state.candidate} against {state.served}")
    if state.without:
        show.console.print(f"learned without {len(state.without):,} accounts; `bodega loop clear` takes that back")
