"""`bodega offpolicy`, `bodega bench exploration`: what trying things out would have earned, and what it costs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from bodega.cli import show
from bodega.cli.benches import Seed, bench, run_and_show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at

if TYPE_CHECKING:
    from bodega.engine.hindsight import Hindsight


@app.command(
    "offpolicy",
    rich_help_panel="Measure",
    epilog="Example: `bodega offpolicy --place home --policy thompson --share 0.2 --shop my-shop`",
)
def offpolicy(
    shop: ShopFolder = HERE,
    place: Annotated[
        str, typer.Option(help="Whose pages: home, category, search, similar, together, basket.")
    ] = "home",
    policy: Annotated[
        str, typer.Option(help="off (the ranking alone), epsilon, thompson, linear, linucb, cascade, cascade_ucb.")
    ] = "off",
    share: Annotated[float, typer.Option(min=0, max=1, help="Chance that a slot is left to the policy.")] = 0.1,
    floor: Annotated[float, typer.Option(min=0.001, max=1, help="Part of it that is spread evenly.")] = 0.1,
    days: Annotated[float, typer.Option(min=0, help="Only the newest days; 0: all that is kept.")] = 0.0,
    clip: Annotated[float, typer.Option(min=0, help="Largest weight, with the bias it may bring; 0: none.")] = 0.0,
    seen: Annotated[bool, typer.Option("--seen", help="Only slots that were reported as seen (impressions).")] = False,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """What another way of trying things out would have earned on this shop's own pages, from the chances it logged."""
    import time

    import numpy as np

    from bodega.engine.hindsight import Asked, hindsight
    from bodega.evaluation.off_policy import Ways

    dial = _dial(policy, share, floor)
    since = time.time() - days * 86_400 if days else 0.0
    asked = Asked(place, dial, since=since, seen_only=seen, ways=Ways(clip=clip))
    with shop_at(shop) as opened:
        found = hindsight(opened.stores.decisions, asked, np.random.default_rng(seed))
    if as_json:
        show.json(_plain(asdict(found)) | {"policy": policy, "share": share if policy != "off" else 0.0})
    else:
        _print(found, policy)


def _dial(policy: str, share: float, floor: float) -> Any:
    """Raises BadRequest for a policy that there is not."""
    import msgspec

    from bodega.errors import BadRequest
    from bodega.schema import Explore

    try:
        return msgspec.convert({"policy": policy, "share": share, "floor": floor}, Explore)
    except msgspec.ValidationError as error:
        allowed = "off, epsilon, thompson, linear, linucb, cascade, cascade_ucb"
        raise BadRequest("there is no such policy", where="--policy", allowed=allowed, got=policy) from error


def _plain(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and value != value else value


def _print(found: Hindsight, policy: str) -> None:
    overlap = found.value.overlap
    show.console.print(
        f"[bold]{escape(found.place)}[/]: {found.pages:,} pages decided by {', '.join(found.policies)}, "
        f"{found.wanted:,} wanted items in {overlap.rows:,} slots; "
        f"weights: mean {overlap.mean_weight:.3f}, largest {overlap.largest_weight:,.1f}"
    )
    if overlap.clipped:
        show.console.print(
            f"clipped: {overlap.clipped:.1%} of the slots; at most {overlap.clipping_bias:.4f} is missing"
        )
    table = Table(title=f"wanted items a page, policy {policy}", title_justify="left")
    for column in ("estimator", "value", "95 %", "effective sample size"):
        table.add_column(column, justify="left" if column == "estimator" else "right")
    naive = found.value.naive
    table.add_row("naive (what was shown)", f"{naive.value:.4f}", f"{naive.low:.4f} to {naive.high:.4f}", "")
    for name, each in found.value.estimates.items():
        size = found.value.effective[name]
        table.add_row(name, f"{each.value:.4f}", f"{each.low:.4f} to {each.high:.4f}", f"{size:,.0f}")
    show.console.print(table)
    if found.value.refused:
        show.console.print(f"too little evidence for: {', '.join(found.value.refused)}")


@bench.command(epilog="Example: `bodega bench exploration --data ../shared/data/open_bandit_men --json`")
def exploration(
    data: Annotated[
        Path | None, typer.Option(help="Folder of the Open Bandit files; without it that part is left out.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=200, max=200_000, help="Pages a policy in the generated shop.")] = 2_000,
    runs: Annotated[int, typer.Option(min=2, max=100, help="Generated shops.")] = 6,
    coverage: Annotated[int, typer.Option(min=0, max=5_000, help="Logs whose intervals are checked.")] = 200,
    seed: Seed = 7,
    as_json: AsJson = False,
) -> None:
    """What trying out costs and buys: estimates beside the truth, regret by policy, exposure of new items."""
    from bodega.bench.exploration import ExplorationOptions, run

    options = ExplorationOptions(data=data, rounds=rounds, runs=runs, coverage=coverage, seed=seed)
    run_and_show(lambda progress: run(options, progress), as_json)
