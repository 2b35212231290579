"""Commands around streams: consume, publish, and events retry."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from bodega.cli import show
from bodega.cli.data import events
from bodega.cli.root import HERE, AsJson, ShopFolder, app, shop_at

if TYPE_CHECKING:
    from bodega.events.consuming import Consumed, Consumer

Url = Annotated[
    str,
    typer.Option(
        help="kafka://host:port/topic?group=bodega or redis://host:port/key?group=bodega.", show_default="streams.url"
    ),
]


@app.command(rich_help_panel="Put data in", epilog="Example: `bodega consume --once --shop my-shop`")
def consume(
    shop: ShopFolder = HERE,
    url: Url = "",
    once: Annotated[bool, typer.Option("--once", help="Stop when everything is read.")] = False,
    replay: Annotated[
        str,
        typer.Option(
            help="Read again from here to today's end, then stop: `earliest`, a time (2026-11-22T10:00:00Z), or a "
            "place (3@1047, 1795344824503-0) as a dead letter's source names it. Nobody's place in the group changes.",
            show_default=False,
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Read events from a Kafka or Redis stream into the shop, each counted once, until stopped."""
    from bodega.wiring import consumer_of

    with shop_at(shop) as opened:
        consumer = consumer_of(opened, url)
        if replay:
            done = consumer.replay(replay)
        elif once:
            done = consumer.drain()
        else:
            done = _until_stopped(consumer)
    _tell(done, as_json)


def _until_stopped(consumer: Consumer) -> Consumed:
    """Run until Ctrl+C or SIGTERM; the batch at hand is finished. A line every ten seconds where something came."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    thread = threading.Thread(target=consumer.run, args=(stop,), name="bodega-stream")
    thread.start()
    said, seen = time.monotonic(), -1
    while thread.is_alive():
        thread.join(0.5)
        if time.monotonic() - said > 10 and consumer.done.records != seen:
            said, seen = time.monotonic(), consumer.done.records
            show.stderr.print(f"[dim]{_line(consumer.done)}[/]")
    return consumer.done


def _line(done: Consumed) -> str:
    behind = sum(done.lag.values())
    return (
        f"{done.records:,} records: {done.added:,} events added, {done.unchanged:,} stored before, "
        f"{done.dead:,} in the dead letter box; {behind:,} to read"
    )


def _tell(done: Consumed, as_json: bool) -> None:
    if as_json:
        show.json(asdict(done))
        return
    show.console.print(_line(done))
    if done.dead:
        show.console.print("next: bodega events dead")


@app.command(rich_help_panel="Put data in", epilog="Example: `bodega publish events.jsonl --shop my-shop`")
def publish(
    file: Annotated[Path, typer.Argument(help="Events: CSV, TSV, JSON Lines, Parquet.")],
    shop: ShopFolder = HERE,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Write a file of events into the stream, row by row as they are; whoever consumes it parses them."""
    import msgspec

    from bodega.feeds import open_feed
    from bodega.settings import load
    from bodega.wiring import publisher_of

    publisher = publisher_of(load(shop), url)
    count, batch = 0, []
    try:
        for row in open_feed(file):
            if row.error:
                continue
            who = str(row.values.get("user") or row.values.get("user_id") or row.values.get("session") or "")
            batch.append((who, msgspec.json.encode(row.values, enc_hook=str)))
            if len(batch) >= 1_000:
                publisher.publish(batch)
                count, batch = count + len(batch), []
        publisher.publish(batch)
        count += len(batch)
    finally:
        publisher.close()
    if as_json:
        show.json({"published": count})
    else:
        show.console.print(f"{count:,} records published from {escape(file.name)}")


@events.command("retry", epilog="Example: `bodega events retry --reason future_time --shop my-shop`")
def retry(
    shop: ShopFolder = HERE,
    reason: Annotated[str, typer.Option(help="A reason code.", show_default="all")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most this many, the newest.")] = 10_000,
    as_json: AsJson = False,
) -> None:
    """Try dead events again: after a setting changed, their time came, or a newer version reads more.

    What can be used now is stored and leaves the box; the rest stays with its first reason.
    """
    from bodega.engine.retrying import retry as again

    with shop_at(shop) as opened:
        done = again(opened.events, opened.stores.dead, opened.settings, reason=reason, limit=limit)
    if as_json:
        show.json(asdict(done))
    else:
        show.console.print(
            f"{done.tried:,} tried: {done.stored:,} stored now, {done.known:,} were stored already, {done.left:,} stay"
        )
