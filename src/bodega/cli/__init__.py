"""How does a person type it? One command a verb, each with `--json` for machines and `--help` with examples.

Commands are thin: they open the shop, call it, and show the answer. Heavy libraries load inside the commands.
"""

from __future__ import annotations

import sys

from bodega.cli import (
    adapting,
    ask,
    behaviour,
    benches,
    client,
    console,
    data,
    drift,
    exploring,
    graph,
    insight,
    judging,
    knowledge,
    loop,
    mining,
    moving,
    pictures,
    privacy,
    profile,
    reviews,
    rules,
    running,
    show,
    streaming,
    trying,
    tuning,
)
from bodega.cli.root import app
from bodega.errors import BodegaError

__all__ = ["app", "main"]

COMMANDS = (
    data,
    pictures,
    streaming,
    ask,
    rules,
    mining,
    moving,
    running,
    console,
    client,
    tuning,
    adapting,
    benches,
    behaviour,
    exploring,
    privacy,
    drift,
    insight,
    trying,
    judging,
    loop,
    graph,
    reviews,
    knowledge,
    profile,
)
"""The files whose commands `app` has; importing them adds them."""


def main() -> None:
    """Entry point of `bodega`: an error of ours is shown as its facts, never as a stack trace."""
    try:
        app()
    except BodegaError as error:
        show.error(error, as_json="--json" in sys.argv)
        sys.exit(2 if error.status < 500 else 1)
    except BrokenPipeError:
        sys.exit(0)
