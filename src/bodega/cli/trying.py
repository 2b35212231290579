"""`bodega experiment`: compare on shoppers, from the plan to the promoted arm."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at
from bodega.errors import BadRequest

if TYPE_CHECKING:
    from bodega.engine.experiments.reading import Told, Tried
    from bodega.schema.experiments import Experiment, KeptExperiment

WHO = "cli"
experiment = typer.Typer(help="Compare on shoppers: plan, start, read, stop, promote.", no_args_is_help=True)
app.add_typer(experiment, name="experiment", rich_help_panel="Measure")

Name = Annotated[str, typer.Argument(help="Id of an experiment.")]
Why = Annotated[str, typer.Option(help="Why; the audit trail keeps it.")]
COLOURS = {"better": "green", "worse": "red", "harm": "red", "mismatch": "red", "running": "green", "stopped": "red"}
MEANINGS = {
    "nobody": "nobody has seen it yet",
    "mismatch": "the arms are not as large as planned: believe no figure, find out what drops shoppers",
    "harm": "a guardrail surely got worse than allowed: stop it",
    "better": "an arm is surely better",
    "worse": "every arm is surely worse than the control",
    "open": "not known yet: go on",
}


@experiment.command("list", epilog="Example: `bodega experiment list --shop my-shop`")
def list_experiments(shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """All experiments and how far they got."""
    with shop_at(shop) as opened:
        found = opened.experiments.list()
    if as_json:
        show.json({"experiments": found})
        return
    if not found:
        show.console.print(
            "none yet; next: bodega experiment create mixed-home --set diversity.home.strength=0.2   "
            "(docs/experiments.md)"
        )
        return
    table = Table(title=f"{len(found):,} experiments", title_justify="left")
    for column in ("id", "state", "kind", "arms", "layer", "metric", "why"):
        table.add_column(column)
    for kept in found:
        each = kept.experiment
        kind = "switchback" if each.by == "time" else each.kind
        arms = ", ".join(f"{arm.name}*" if arm.name == kept.promoted else arm.name for arm in each.arms)
        cells = (each.id, _coloured(kept.state), kind, escape(arms), f"{each.layer} {each.first}-{each.last}")
        table.add_row(*cells, each.metric, escape(kept.why))
    show.console.print(table)


@experiment.command("dials", epilog="Example: `bodega experiment dials --shop my-shop`")
def list_dials(shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Everything that an arm may turn, and how the shop has it now."""
    with shop_at(shop) as opened:
        found = opened.experiments.dials()
    if as_json:
        show.json({"dials": found})
        return
    table = Table(title=f"{len(found):,} dials", title_justify="left")
    for column in ("dial", "now", "may be"):
        table.add_column(column)
    for dial in found:
        bounds = f"{dial.low:g} to {dial.high:g}" if dial.low is not None and dial.high is not None else dial.kind
        may = "true or false" if dial.kind == "switch" else " ".join(dial.choices) or bounds
        table.add_row(dial.name, escape(str(dial.value)), may)
    show.console.print(table)


@experiment.command("create", epilog="Example: `bodega experiment create mixed --set diversity.home.strength=0.2`")
def create(
    name: Annotated[str, typer.Argument(help="Id of the new experiment, or a JSON file with all of it (`-`: stdin).")],
    turned: Annotated[list[str], typer.Option("--set", help="`dial=value` of the second arm; may be repeated.")] = [],  # noqa: B006 - typer reads the default
    snapshot: Annotated[str, typer.Option(help="Snapshot that the second arm answers from.")] = "",
    metric: Annotated[str, typer.Option(help="What decides.")] = "purchases",
    place: Annotated[list[str], typer.Option(help="Only this list; may be repeated.")] = [],  # noqa: B006
    interleaving: Annotated[bool, typer.Option("--interleaving", help="One list drafted by both arms.")] = False,
    hypothesis: Annotated[str, typer.Option(help="What you expect, and why.")] = "",
    shop: ShopFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Write a draft: from a file, or two arms of which the second turns these dials. Nobody sees it yet."""
    import msgspec

    from bodega.engine.experiments.planning import GUARDS
    from bodega.schema.experiments import Arm, Experiment

    if name == "-" or name.endswith(".json"):
        drafted = _read(name)
    else:
        arm = Arm(name="treatment", snapshot=snapshot, settings=dict(map(_pair, turned)))
        try:
            drafted = msgspec.convert(
                {
                    "id": name,
                    "arms": (Arm(name="control"), arm),
                    "hypothesis": hypothesis,
                    "places": tuple(place),
                    "metric": metric,
                    "kind": "interleaving" if interleaving else "ab",
                    "guardrails": () if interleaving else GUARDS,
                },
                Experiment,
            )
        except msgspec.ValidationError as error:
            raise BadRequest("this is no experiment", where=name, got=str(error)) from error
    with shop_at(shop) as opened:
        kept = opened.experiments.put(drafted, who=WHO, expected=0)
    if as_json:
        show.json(kept)
        return
    show.console.print(f"drafted {escape(kept.id)}; next: bodega experiment start {escape(kept.id)}")


@experiment.command("show", epilog="Example: `bodega experiment show mixed --shop my-shop > mixed.json`")
def show_one(name: Name, shop: ShopFolder = HERE) -> None:
    """One experiment as JSON, as `create` reads it."""
    with shop_at(shop) as opened:
        show.json(opened.experiments.get(name).experiment)


@experiment.command("plan", epilog="Example: `bodega experiment plan --metric purchases --lift 0.05 --shop my-shop`")
def plan(
    metric: Annotated[str, typer.Option(help="What decides.")] = "purchases",
    lift: Annotated[float, typer.Option(min=0, max=10, help="Lift to be found; 0: the usual ones.")] = 0.0,
    arms: Annotated[int, typer.Option(min=2, max=20, help="Number of arms.")] = 2,
    share: Annotated[float, typer.Option(min=0.001, max=1, help="Part of the shoppers that takes part.")] = 1.0,
    days: Annotated[int, typer.Option(min=1, max=365, help="So many of the last days are read.")] = 28,
    shop: ShopFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """How many shoppers and days does it take to find a lift?"""
    from bodega.engine.experiments.planning import Asked

    with shop_at(shop) as opened:
        found = opened.experiments.plan(metric, asked=Asked(lift=lift, arms=arms, share=share, days=days))
    if as_json:
        show.json(found)
        return
    if not found.variance:
        show.console.print(f"nobody did anything of {metric} in the last {days} days: nothing can be planned")
        return
    title = f"{metric}: {found.mean:.4g} a shopper, {found.shoppers:,} shoppers in {days} days"
    table = Table(title=title, title_justify="left")
    for column in ("lift", "shoppers, judged once", "days", "shoppers, watched", "days"):
        table.add_column(column, justify="right")
    for each in found.needed:
        cells = (f"{each.lift:+.0%}", f"{each.once:,}", _days(each.once_days), f"{each.watched:,}")
        table.add_row(*cells, _days(each.watched_days))
    show.console.print(table)


@experiment.command("start", epilog="Example: `bodega experiment start mixed --shop my-shop`")
def start(name: Name, why: Why = "", shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """From now on shoppers see their arms."""
    with shop_at(shop) as opened:
        _moved(opened.experiments.start(name, who=WHO, why=why), as_json, f"bodega experiment read {name}")


@experiment.command("stop", epilog="Example: `bodega experiment stop mixed --why 'the sale begins' --shop my-shop`")
def stop(name: Name, why: Why = "", shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """From now on the control serves everybody, within seconds in every process."""
    with shop_at(shop) as opened:
        _moved(opened.experiments.stop(name, who=WHO, why=why), as_json, f"bodega experiment finish {name}")


@experiment.command("finish", epilog="Example: `bodega experiment finish mixed --promote treatment --shop my-shop`")
def finish(
    name: Name,
    promote: Annotated[str, typer.Option(help="The arm that everybody gets; nothing: the control stays.")] = "",
    why: Why = "",
    shop: ShopFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """End it. A promoted arm's dials are written into bodega.toml; its snapshot becomes the current one."""
    with shop_at(shop) as opened:
        _moved(opened.experiments.finish(name, who=WHO, why=why, promoted=promote), as_json, "bodega experiment list")


@experiment.command("delete", epilog="Example: `bodega experiment delete mixed --shop my-shop`")
def delete(name: Name, shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Delete a draft. What ran stays, with its audit trail."""
    with shop_at(shop) as opened:
        opened.experiments.delete(name, who=WHO)
    if as_json:
        show.json({"deleted": name})
    else:
        show.console.print(f"deleted {escape(name)}")


@experiment.command("audit", epilog="Example: `bodega experiment audit mixed --shop my-shop`")
def audit(
    name: Annotated[str, typer.Argument(help="Only this experiment.", show_default="all")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many lines.")] = 50,
    shop: ShopFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Who did what, when and why, newest first."""
    from datetime import UTC, datetime

    with shop_at(shop) as opened:
        found = list(opened.experiments.history(experiment=name, limit=limit))
    if as_json:
        show.json({"changes": found})
        return
    table = Table(title=f"{len(found):,} changes", title_justify="left")
    for column in ("time", "who", "what", "experiment", "why"):
        table.add_column(column)
    for line in found:
        when = datetime.fromtimestamp(line.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(when, escape(line.who), line.what, escape(line.experiment), escape(line.why))
    show.console.print(table)


@experiment.command("read", epilog="Example: `bodega experiment read mixed --shop my-shop`")
def read(name: Name, shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """What does it say now? Look as often as you like: its intervals hold at all times together."""
    with shop_at(shop) as opened, show.Bars() as said:
        said.start("pages and events")
        found = opened.experiments.read(name)
        said.finish()
    if as_json:
        show.json(found)
        return
    _verdict(found)
    for arm in found.arms:
        if not arm.metrics:
            continue
        table = Table(title=f"{escape(arm.arm)} against the control", title_justify="left")
        for column in ("metric", "control", "difference", "lift", "95 % interval of the lift"):
            table.add_column(column, justify="left" if column == "metric" else "right")
        for metric, told in arm.metrics.items():
            mark = " (decides)" if metric == found.metric else " (harm)" if metric in arm.harmed else ""
            table.add_row(metric + mark, f"{told.control:.4g}", f"{told.difference:+.4g}", *_lift(told))
        show.console.print(table)
    for each in found.segments:
        if each.p < 0.05:
            show.console.print(
                f"{escape(each.arm)}: {each.by} {escape(each.segment)} {each.effect.difference:+.4g} (p {each.p:.2g})"
            )


def _verdict(found: Tried) -> None:
    show.console.print(f"[bold]{escape(found.experiment)}[/]: {_coloured(found.verdict)}, {MEANINGS[found.verdict]}")
    units = " to ".join(f"{count:,}" for count in found.units)
    show.console.print(f"{units} units; arms of these sizes are likely with p = {found.ratio_p:.2g}", highlight=False)
    if found.explained > 0:
        show.console.print(f"what shoppers did before explains {found.explained:.0%} of {found.metric}")
    if found.preferred is not None:
        first, second = found.preferred.wins
        show.console.print(f"{found.preferred.clicked:,} pages with clicks: {first:,} for the first, {second:,} second")
    for warning in found.warnings:
        show.console.print(f"[yellow]{escape(warning)}[/]")


def _lift(told: Told) -> tuple[str, str]:
    lift = "" if told.lift is None else f"{told.lift:+.1%}"
    if told.lift_low is None or told.lift_high is None:
        return lift, "not known yet"
    return lift, f"{told.lift_low:+.1%} to {told.lift_high:+.1%}"


def _moved(kept: KeptExperiment, as_json: bool, following: str) -> None:
    if as_json:
        show.json(kept)
        return
    show.console.print(f"{escape(kept.id)} is {_coloured(kept.state)}; next: {escape(following)}")


def _read(name: str) -> Experiment:
    import msgspec

    from bodega.schema.experiments import Experiment

    path = Path(name)
    if name != "-" and not path.is_file():
        raise BadRequest("there is no such file", where=name, next="name a file, or an id that does not end in .json")
    data = sys.stdin.buffer.read() if name == "-" else path.read_bytes()
    try:
        return msgspec.json.decode(data, type=Experiment)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise BadRequest(
            "this is no experiment", where=name, got=str(error)[:300], next="docs/experiments.md shows one"
        ) from error


def _pair(text: str) -> tuple[str, Any]:
    """`dial=value`: the value as JSON, or as text."""
    import msgspec

    dial, sign, value = text.partition("=")
    if not sign:
        raise BadRequest("a dial needs a value", where="--set", allowed="dial=value", got=text)
    try:
        return dial.strip(), msgspec.json.decode(value)
    except msgspec.DecodeError:
        return dial.strip(), value.strip()


def _coloured(word: str) -> str:
    colour = COLOURS.get(word)
    return f"[{colour}]{word}[/]" if colour else word


def _days(days: float | None) -> str:
    return "never" if days is None else f"{days:,.0f}"
