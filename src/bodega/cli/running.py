"""Commands that run: serve, keys, demo."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at
from bodega.errors import BadRequest, BadSettings, NotLearned

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Litestar
    from litestar.handlers import HTTPRouteHandler

    from bodega.engine.shop import Shop
    from bodega.service.nursery import Inheritance

keys = typer.Typer(help="API keys: create, list, revoke.", no_args_is_help=True)
app.add_typer(keys, name="keys", rich_help_panel="Run it")

STOREFRONT_KEY = "BODEGA_STOREFRONT_KEY"
"""Environment variable by which a supervisor hands its workers the key that stands in the storefront's pages."""
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes the one from the settings.")]


def run_server(shop: Shop, *, host: str, port: int, storefront: bool, shoppers: tuple[str, ...] = ()) -> None:
    """Serve until stopped. Raises PortInUse before anything of a running server is touched.

    `shoppers` are ids that the storefront offers to shop as, for demonstrations; these are told of the console, too.
    """
    from bodega.cli.console import announce
    from bodega.service import create_app, run
    from bodega.service.server import listening

    listening(host, port).close()
    shop.reload()
    key = _storefront_key(shop, f"storefront at {host}:{port}") if storefront else ""
    handlers = [*(_storefront(shop, key, shoppers) if storefront else []), *_console(shop), *_client()]
    name = escape(shop.settings.name)

    def started(url: str) -> None:
        show.stderr.print(f"[green]{name}[/] answers at [bold]{url}[/] (stop with Ctrl+C)")
        if shoppers:
            announce(shop, url)

    run(
        create_app(shop, handlers=handlers, host=host),
        host=host,
        port=port,
        started=started,
        renew=shop.reload,
    )


def run_team(shop: Shop, *, host: str, port: int, storefront: bool, count: int) -> None:
    """Become the supervisor of several processes that serve the shop: this does not return.

    Raises BadSettings where the system cannot fork, PortInUse, NotLearned.
    """
    import tempfile

    from bodega.service.server import listening
    from bodega.service.workers import COUNT, COUNTED, NEWS, Team, supervised
    from bodega.wiring import open_news

    if not hasattr(os, "fork"):
        raise BadSettings("this system cannot run several workers", where="serve.workers", allowed="1", got=str(count))
    folder = shop.folder.absolute()
    listener = listening(host, port)
    if not shop.snapshots():
        raise NotLearned("this shop has not learned yet", where=str(shop.folder), next="run `bodega learn`")
    key = _storefront_key(shop, f"storefront at {host}:{port}") if storefront else ""
    shop.close()
    news = folder / ".news"
    open_news(news, fresh=True).close()
    command = [sys.executable, "-m", "bodega", "serve", "--shop", str(folder), "--host", host]
    command += ["--port", str(port), "--storefront" if storefront else "--no-storefront"]
    environment = {
        NEWS: str(news),
        COUNT: str(count),
        COUNTED: tempfile.mkdtemp(prefix="bodega-metrics-"),
        STOREFRONT_KEY: key,
    }
    greeting = f"{shop.settings.name} answers at http://{host}:{listener.getsockname()[1]} with {count} processes"
    listener.set_inheritable(True)
    team = Team(command, listener.fileno(), environment)
    whole = supervised(team, greeting)
    os.execve(whole[0], whole, dict(os.environ))  # noqa: S606 - our own command


def run_nursery(folder: Path, given: Inheritance, *, host: str, storefront: bool) -> int:
    """Load what workers share, fork them, keep their number until the supervisor says stop; returns the exit code."""
    from bodega.service import create_app, run
    from bodega.service.nursery import Brood, preload
    from bodega.service.telemetry import log_to
    from bodega.wiring import open_shared

    log_to()

    def application(shop: Shop) -> Litestar:
        handlers = [*(_storefront(shop, os.environ.get(STOREFRONT_KEY, ""), ()) if storefront else []), *_client()]
        return create_app(shop, handlers=[*handlers, *_console(shop)], host=host)

    made: list[Litestar] = []

    def rehearse(shop: Shop) -> None:
        made.append(application(shop))
        preload(made[0])

    shared = open_shared(folder, Path(given.news), rehearse)

    def work(answers: Callable[[], None]) -> None:
        with shared.resumed() as shop:
            app = made[0] if shop is shared.shop else application(shop)
            run(app, host=host, listener=given.listener, started=lambda _: answers(), renew=shop.reload)

    return Brood(given.count, work).run()


def _storefront_key(shop: Shop, label: str) -> str:
    """A fresh search and events key; the one of an earlier server at this address is revoked."""
    for info in shop.keys.list():
        if info.label == label and not info.revoked:
            shop.keys.revoke(info.id)
    return shop.keys.create(label, ("search", "events"))


def _client() -> list[HTTPRouteHandler]:
    """The scripts for pages that are there already."""
    from bodega.web.client import client_handlers

    return client_handlers()


def _storefront(shop: Shop, key: str, shoppers: tuple[str, ...]) -> list[HTTPRouteHandler]:
    """The pages."""
    from bodega.engine.access import make_token
    from bodega.web.storefront import StorefrontOptions, storefront_handlers

    settings = shop.settings
    options = StorefrontOptions(
        api_key=key,
        shop_name=settings.name,
        language=settings.language,
        currency=settings.currency,
        shoppers=shoppers,
        token=lambda visit: make_token(shop.privacy.secrets, session=visit, seconds=600),
        facets=(*(("kind",) if settings.kinds else ()), *StorefrontOptions().facets),
    )
    return storefront_handlers(options)


def _console(shop: Shop) -> list[HTTPRouteHandler]:
    """The pages for the people who run the shop."""
    from bodega.web.console import ConsoleOptions, console_handlers

    settings = shop.settings
    if not settings.console.on:
        return []
    return console_handlers(ConsoleOptions(settings.name, settings.language, settings.currency))


@app.command(rich_help_panel="Run it", epilog="Example: `bodega serve --port 8080 --shop my-shop`")
def serve(
    shop: ShopFolder = HERE,
    host: Annotated[str, typer.Option(help="Address; loopback unless told otherwise.")] = "",
    port: Port = 0,
    storefront: Annotated[bool, typer.Option(help="Serve the storefront pages too.")] = True,
    workers: Annotated[
        int, typer.Option(help="Processes on the port; 0 takes the number from the settings.", min=0, max=64)
    ] = 0,
) -> None:
    """Serve the HTTP API and the storefront."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):  # before numpy is loaded
        os.environ.setdefault(name, "1")  # a page's products are small: more threads only wait for each other
    from bodega.service.nursery import inheritance

    given = inheritance()
    if given is not None:
        raise typer.Exit(run_nursery(shop, given, host=host, storefront=storefront))
    with shop_at(shop) as opened:
        settings = opened.settings.serve
        host, port = host or settings.host, port or settings.port
        count = workers or settings.workers
        if count > 1:
            run_team(opened, host=host, port=port, storefront=storefront, count=count)
        run_server(opened, host=host, port=port, storefront=storefront)


@keys.command("create", epilog="Example: `bodega keys create --label web --scope search --scope events --shop my-shop`")
def create_key(
    label: Annotated[str, typer.Option(help="What it is for.")],
    scopes: Annotated[list[str], typer.Option("--scope", help="search, events, admin.")],
    shop: ShopFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Make an API key; it is shown this once and stored only as a hash."""
    from bodega.engine.trail import Trail

    with shop_at(shop) as opened:
        key = opened.keys.create(label, scopes)
        made = opened.keys.find(key)
        name = made.id if made is not None else ""
        Trail(opened.folder).add("cli", "keys", "create", name, ({}, {"label": label, "scopes": scopes}))
    if as_json:
        show.json({"label": label, "scopes": scopes, "key": key})
    else:
        show.console.print(key)
        show.stderr.print("[dim]shown this once: keep it now[/]")


@keys.command("list", epilog="Example: `bodega keys list --shop my-shop`")
def list_keys(shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Every key's id, label and scopes; never the key."""
    with shop_at(shop) as opened:
        infos = opened.keys.list()
    if as_json:
        show.json(
            [
                {"id": i.id, "label": i.label, "scopes": i.scopes, "created": i.created, "revoked": i.revoked}
                for i in infos
            ]
        )
        return
    if not infos:
        show.console.print("none yet; next: bodega keys create --label till --scope search")
    for info in infos:
        state = "[red]revoked[/]" if info.revoked else "       "
        show.console.print(
            f"{info.id}  {state}  {escape(info.label)}  {', '.join(info.scopes)}  {info.created:%Y-%m-%d}"
        )


@keys.command("revoke", epilog="Example: `bodega keys revoke 3f9a --shop my-shop`")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="Id from `keys list`.")],
    shop: ShopFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Refuse a key from now on."""
    from bodega.engine.trail import Trail

    with shop_at(shop) as opened:
        done = opened.keys.revoke(key_id)
        if done:
            Trail(opened.folder).add("cli", "keys", "revoke", key_id)
    if not done:
        raise BadRequest(
            "there is no such key (or it was revoked before)", where="keys revoke", got=key_id, next="bodega keys list"
        )
    if as_json:
        show.json({"id": key_id, "revoked": done})
    else:
        show.console.print("revoked")


@app.command(rich_help_panel="Run it", epilog="Example: `bodega demo --check`")
def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo shop lives.")] = Path("demo-shop"),
    check: Annotated[bool, typer.Option("--check", help="Run a shopper's journey over HTTP, then stop.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Import and learn again even if it is there.")] = False,
    port: Port = 0,
    as_json: AsJson = False,
) -> None:
    """A real supermarket, from files to a storefront: import, learn, evaluate, serve."""
    from bodega.demo.build import HOUSEHOLDS, build
    from bodega.demo.journey import check_shop

    with show.Bars() as bars:
        built = build(folder, fresh=fresh or check, progress=bars)
    if not as_json:
        for imported in built.imports:
            show.report(imported)
        if built.learned is not None:
            show.learned(built.learned)
    if not check:
        with shop_at(folder) as opened:
            serving = opened.settings.serve
            run_server(opened, host=serving.host, port=port or serving.port, storefront=True, shoppers=HOUSEHOLDS)
        return
    result = check_shop(folder, built)
    if as_json:
        show.json(result)
    else:
        for step in result.steps:
            mark = "[green]ok[/]  " if step.passed else "[red]FAIL[/]"
            show.console.print(f"{mark} {escape(step.name)} [dim]{step.milliseconds:.1f} ms[/] {escape(step.detail)}")
        show.console.print(" ".join(f"[dim]{name}[/] {value:,.2f}" for name, value in result.figures.items()))
    raise typer.Exit(0 if result.passed else 1)
