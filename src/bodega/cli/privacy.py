"""Commands for what belongs to shoppers: shopper, consent, forget, retain, pseudonyms."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from bodega.cli import show
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at
from bodega.errors import BadRequest

if TYPE_CHECKING:
    from bodega.engine.erasure import Receipt

PANEL = "Shoppers' rights"
pseudonyms = typer.Typer(help="Ids as keyed digests: state, existing rows, a new key.", no_args_is_help=True)
app.add_typer(pseudonyms, name="pseudonyms", rich_help_panel=PANEL)

User = Annotated[str, typer.Argument(help="Id of the shopper, as the shop knows it.")]
OptionalUser = Annotated[str, typer.Argument(help="Id of the shopper, as the shop knows it.", show_default=False)]
Session = Annotated[str, typer.Option("--session", help="The visit of a guest.", show_default=False)]
Ids = Annotated[list[str], typer.Option(help="Further id of this shopper; repeat.", show_default=False)]
Purposes = Annotated[list[str], typer.Option(help="personalisation or learning; repeat.", show_default=False)]


@app.command(rich_help_panel=PANEL, epilog="Example: `bodega shopper u42 --json --shop my-shop`")
def shopper(
    user: User,
    shop: ShopFolder = HERE,
    link: Ids = [],  # noqa: B006 - typer reads the default
    apart: Ids = [],  # noqa: B006
    session: Session = "",
    token: Annotated[int, typer.Option(min=0, max=2_592_000, help="Make a token for so many seconds.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Everything kept of a shopper (the right of access); link ids, undo a link, make a token for the shopper."""
    from bodega.engine.access import export, make_token

    with shop_at(shop) as opened:
        if link or (session and not apart):
            opened.privacy.identify(user, session=session, aliases=link, who="cli")
        if apart:
            opened.privacy.part(user, session=session, aliases=apart, who="cli")
        if token:
            made = make_token(opened.privacy.secrets, user, seconds=token)
            show.json({"token": made, "seconds": token}) if as_json else show.console.print(made, soft_wrap=True)
            return
        kept = export(opened.privacy, user)
    if as_json:
        show.json(kept)
        return
    consent = kept["consent"]
    show.console.print(f"[bold]{escape(kept['user'])}[/]  ids: {escape(', '.join(kept['ids']))}")
    show.console.print(f"visits: {len(kept['visits']):,}   events: {len(kept['events']):,}")
    for purpose in ("personalisation", "learning"):
        said = "said" if purpose in consent["said"] else "default of the shop"
        show.console.print(f"{purpose}: {'granted' if consent[purpose] else '[red]denied[/]'} ({said})")
    for change in kept["identities"]:
        line = f"{change['time']}  {change['what']:<6} {change['left']}  {change['right']}  by {change['who']}"
        show.console.print(escape(line))
    show.console.print("everything, with all events: --json")


@app.command(rich_help_panel=PANEL, epilog="Example: `bodega consent u42 --deny learning --shop my-shop`")
def consent(
    user: OptionalUser = "",
    shop: ShopFolder = HERE,
    session: Session = "",
    grant: Purposes = [],  # noqa: B006
    deny: Purposes = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """What a shopper (or the guest of a visit) agrees to; say it on their behalf."""
    from bodega.events.consent import read_words

    with shop_at(shop) as opened:
        if grant or deny:
            purposes = dict.fromkeys(grant, True) | dict.fromkeys(deny, False)
            row = {"user": user, "session": session, "purposes": purposes}
            opened.privacy.say(read_words(row, time.time(), "cli"))
        elif not (user or session):
            raise BadRequest("whose consent is it?", where="consent", allowed="a user, or --session")
        told = opened.privacy.standing(user, session)
    if as_json:
        facts = {"personalisation": told.personalisation, "learning": told.learning, "said": sorted(told.said)}
        show.json(facts)
        return
    for name, granted in (("personalisation", told.personalisation), ("learning", told.learning)):
        said = "said" if name in told.said else "default of the shop"
        show.console.print(f"{name}: {'granted' if granted else 'denied'} ({said})")


@app.command(rich_help_panel=PANEL, epilog="Example: `bodega forget u42 --shop my-shop`, then `bodega forget --status`")
def forget(
    user: OptionalUser = "",
    shop: ShopFolder = HERE,
    session: Session = "",
    status: Annotated[bool, typer.Option("--status", help="Show receipts; nobody is forgotten.")] = False,
    receipt: Annotated[str, typer.Option(help="Only this receipt.", show_default=False)] = "",
    reapply: Annotated[
        Path | None, typer.Option(help="A ledger (erasures.log) to apply again after a restore.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Forget a shopper under all ids: rows and states at once, models at the next learn. Prints the receipt."""
    with shop_at(shop) as opened:
        if reapply is not None:
            made = opened.erasures.reapply(reapply)
        elif status or receipt:
            made = [found] if (found := opened.erasures.receipt(receipt)) else []
            made = made if receipt else opened.erasures.receipts()
            if receipt and not made:
                raise BadRequest("there is no such receipt", where="forget", got=receipt, next="bodega forget --status")
        else:
            made = [opened.erasures.forget(user, session=session)]
        genuine = {each.id: opened.erasures.genuine(each) for each in made}
    if as_json:
        import msgspec

        show.json([msgspec.to_builtins(each) | {"genuine": genuine[each.id]} for each in made])
        return
    if not made:
        show.console.print("nobody was forgotten" if status else "nobody of the ledger is in this store")
    for each in made:
        _show(each, genuine=genuine[each.id])


def _show(receipt: Receipt, *, genuine: bool) -> None:
    rows = ", ".join(f"{count:,} {table}" for table, count in receipt.removed.items() if count) or "no rows"
    mark = "" if genuine else "  [red]signature does not match[/]"
    show.console.print(f"[bold]{receipt.id}[/]  {receipt.time:%Y-%m-%d %H:%M:%S}  {receipt.state}{mark}")
    show.console.print(f"  removed: {rows}; {len(receipt.subjects)} ids")
    show.console.print(f"  models: {escape(receipt.models)}")


@app.command(rich_help_panel=PANEL, epilog="Example: `bodega retain --days 400 --shop my-shop`")
def retain(
    shop: ShopFolder = HERE,
    days: Annotated[int | None, typer.Option(min=1, help="Days to keep.", show_default="privacy.keep_days")] = None,
    compact: Annotated[bool, typer.Option("--compact", help="Rewrite the store's file, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove events, letters and decisions that are older than they are to be kept."""
    from bodega.engine.privacy import Rewrites

    with shop_at(shop) as opened:
        gone = opened.erasures.retain(days)
        store = opened.privacy.store
        rewritten = store.compact() if compact and isinstance(store, Rewrites) else False
    if as_json:
        show.json({"removed": gone.rows, "compacted": rewritten})
        return
    rows = ", ".join(f"{count:,} {table}" for table, count in gone.rows.items()) or "nothing (privacy.keep_days is 0)"
    show.console.print(f"removed: {rows}{'; the store was rewritten' if rewritten else ''}")


@pseudonyms.command("status", epilog="Example: `bodega pseudonyms status --shop my-shop`")
def pseudonyms_status(shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Are ids kept as pseudonyms, under which key, and do rows wait to be rewritten?"""
    from bodega.engine.privacy import Rewrites

    with shop_at(shop) as opened:
        privacy = opened.privacy
        masks, store = privacy.settings.pseudonyms, privacy.store
        facts = {
            "pseudonyms": masks,
            "key": privacy.border.pseudonyms.newest if masks else 0,
            "stale": store.stale(privacy.border) if masks and isinstance(store, Rewrites) else 0,
        }
    if as_json:
        show.json(facts)
        return
    show.console.print(
        f"pseudonyms: {'on' if masks else 'off'}; key number {facts['key']}; rows that wait: {facts['stale']:,}"
    )
    if facts["stale"]:
        show.console.print("next: bodega pseudonyms apply")


@pseudonyms.command("apply", epilog="Example: `bodega pseudonyms apply --shop my-shop`")
def pseudonyms_apply(shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Bring rows that are there already under the newest key; stop the server meanwhile."""
    with shop_at(shop) as opened:
        counts = opened.privacy.rekey()
    _told(counts, as_json)


@pseudonyms.command("rotate", epilog="Example: `bodega pseudonyms rotate --shop my-shop`")
def pseudonyms_rotate(shop: ShopFolder = HERE, as_json: AsJson = False) -> None:
    """Make a new key and bring every row under it; stop the server first, start it after."""
    with shop_at(shop) as opened:
        if not opened.privacy.settings.pseudonyms:
            opened.privacy.rekey()  # raises, and says what to set
        opened.privacy.secrets.rotate()
        counts = opened.privacy.rekey()
    _told(counts, as_json)


def _told(counts: dict[str, int], as_json: bool) -> None:
    if as_json:
        show.json(counts)
        return
    rows = ", ".join(f"{count:,} {table}" for table, count in counts.items() if count) or "nothing had to be"
    show.console.print(f"rewritten: {rows}")
