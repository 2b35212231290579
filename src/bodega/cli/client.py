"""`bodega client`: what to paste into a page that is there already."""

from __future__ import annotations

from typing import Annotated

import typer

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at
from bodega.errors import BadRequest

KEY = "a key of `bodega keys create --label pages --scope search --scope events`"

BODY = """
<bodega-search for="found"></bodega-search>
<bodega-list id="found" place="search"></bodega-list>"""


@app.command(rich_help_panel="Run it", epilog="Example: `bodega client --url https://search.example --new-key`")
def client(
    shop: ShopFolder = HERE,
    url: Annotated[str, typer.Option(help="Where browsers reach this shop.")] = "",
    key: Annotated[str, typer.Option(help="The key to put in; it is public, so search and events only.")] = "",
    new_key: Annotated[bool, typer.Option("--new-key", help="Make one, labelled `pages`.")] = False,
    floating: Annotated[
        bool, typer.Option("--floating", help="Without digests: the page is not edited at an upgrade.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bodega in a page of your own: the lines to paste, with the digests of the scripts."""
    from bodega.web.client import Scripts, snippet

    if url and not url.startswith(("https://", "http://")):
        raise BadRequest("this is no web address", where="--url", allowed="https://search.example", got=url[:80])
    with shop_at(shop) as opened:
        serving = opened.settings.serve
        base = url or f"http://{serving.host}:{serving.port}"
        key = opened.keys.create("pages", ("search", "events")) if new_key else key
    scripts = Scripts.load()
    pasted = snippet(base, key or "YOUR_KEY", floating=floating)
    if as_json:
        facts = {
            each.name: {
                "url": scripts.url(each.name, base, floating=floating),
                "integrity": each.integrity,
                "bytes": len(each.squeezed),
            }
            for each in scripts.files.values()
        }
        show.json(
            {"version": scripts.version, "key": key, "snippet": pasted, "origins": serving.origins, "files": facts}
        )
        return
    show.console.print(pasted, markup=False, highlight=False, soft_wrap=True)
    show.console.print(BODY, markup=False, highlight=False, soft_wrap=True)
    if not key:
        show.stderr.print(f"[dim]YOUR_KEY: {KEY}, or --new-key[/]", highlight=False)
    if not serving.origins:
        show.stderr.print("[dim]pages of another origin may call once serve.origins names it (bodega.toml)[/]")
