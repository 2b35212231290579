"""The command that opens the console: an address that signs in whoever holds this machine's shop."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at
from bodega.errors import BadSettings

if TYPE_CHECKING:
    from bodega.engine.shop import Shop

LABEL = "console"


@app.command(rich_help_panel="Run it", epilog="Example: `bodega console --shop my-shop`")
def console(
    shop: ShopFolder = HERE,
    url: Annotated[str, typer.Option(help="Where the shop is served; the settings' address unless told.")] = "",
    browse: Annotated[bool, typer.Option("--open/--no-open", help="Open it in a browser, where there is one.")] = True,
    as_json: AsJson = False,
) -> None:
    """Open the console of a shop that is being served, without typing a key.

    The address holds a ticket: it works once, for one minute, and stands behind a `#`, which browsers send to nobody.
    """
    with shop_at(shop) as opened:
        serving = opened.settings.serve
        host = "127.0.0.1" if serving.host in ("0.0.0.0", "::") else serving.host  # noqa: S104 - compared, not bound
        address = console_address(opened, url or f"http://{f'[{host}]' if ':' in host else host}:{serving.port}")
    if as_json:
        show.json({"url": address, "seconds": 60})
        return
    show.console.print(address, soft_wrap=True, markup=False, highlight=False)
    show.stderr.print("[dim]valid once, for one minute; the shop must be running: bodega serve[/]")
    if browse and sys.stdout.isatty() and (os.environ.get("DISPLAY") or sys.platform in ("darwin", "win32")):
        import webbrowser

        webbrowser.open(address)


def console_address(shop: Shop, url: str) -> str:
    """An address of the console that signs in once within a minute. Raises BadSettings where it is switched off."""
    from bodega.service.sessions import Sessions

    settings = shop.settings.console
    if not settings.on:
        raise BadSettings("the console is switched off", where="console.on", allowed="true", got="false")
    mine = [info for info in shop.keys.list() if info.label == LABEL and not info.revoked and "admin" in info.scopes]
    held = mine[0].id if mine else ""
    if not held:
        # Nobody ever holds the text of this key: it is there so that its sessions can be named, and ended.
        made = shop.keys.find(shop.keys.create(LABEL, ("admin",)))
        assert made is not None
        held = made.id
    ticket = Sessions(shop.folder, shop.keys.list, settings).ticket(held)
    return f"{url.rstrip('/')}/console#ticket={ticket}"


def announce(shop: Shop, url: str) -> None:
    """Tell whoever started a server how to reach the console."""
    if shop.settings.console.on:
        address = console_address(shop, url)
        show.stderr.print(f"console: [bold]{escape(address)}[/] [dim](valid once, for one minute)[/]", soft_wrap=True)
