"""`bodega adapt`: tune a whole text or image network to this shop, kept only where it surely helps."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at

if TYPE_CHECKING:
    from bodega.understanding.adapting.shop import Adapted


@app.command("adapt", rich_help_panel="Measure", epilog="Example: `bodega adapt --encoder minilm --shop my-shop`")
def adapt(
    shop: ShopFolder = HERE,
    encoder: Annotated[
        str, typer.Option(help="Network to tune: minilm, a hub name or a folder of transformers.")
    ] = "minilm",
    photos: Annotated[bool, typer.Option("--photos", help="Tune an image network on photos and categories.")] = False,
    steps: Annotated[int, typer.Option(min=1, help="Steps at most; it stops before where nothing is gained.")] = 200,
    to: Annotated[Path | None, typer.Option(help="Folder for it.", show_default="encoders/tuned in the shop")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every draw.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Tune an encoder on searches that led to a click, titles and descriptions (or photos), and write it if better."""
    from bodega.engine.tuning import past
    from bodega.understanding.adapting.lora import LoraOptions
    from bodega.understanding.adapting.shop import adapt_images, adapt_text

    options = LoraOptions(steps=steps, seed=seed)
    with shop_at(shop) as opened, show.Bars() as bars:
        folder = (to or opened.folder / "encoders" / ("photos" if photos else "tuned")).absolute()
        if photos:
            assert opened.gallery is not None, "an opened shop has one"
            found = adapt_images(opened.gallery.photos(bars), encoder, folder, options, bars)
        else:
            world = past(opened.stores.catalog, opened.stores.events, opened.settings, opened.privacy.people())
            found = adapt_text(world, encoder, folder, options, bars)
    if as_json:
        show.json(asdict(found) | {"facts": found.facts})
    else:
        _print(found)


def _print(found: Adapted) -> None:
    facts = found.facts
    show.console.print(
        f"[bold]{facts.pairs:,} pairs[/] ({found.searches:,} of searches), {facts.steps:,} steps, "
        f"{facts.trained:,} of {facts.of:,} weights learned"
    )
    show.console.print(
        f"reciprocal rank {facts.before:.3f} before, {facts.after:.3f} after: "
        f"{facts.gain:+.3f} ({facts.low:+.3f} to {facts.high:+.3f})"
    )
    if not facts.kept:
        show.console.print(f"[yellow]not kept[/]: {escape(facts.why)}; the encoder stays as it was")
        return
    show.console.print(
        f"[green]written to {escape(found.folder)}[/]; next: put this into bodega.toml, then bodega learn"
    )
    show.console.print(found.setting, markup=False, highlight=False)
