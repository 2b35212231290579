"""What would a snapshot's first pages make at their first use? It is made before anybody waits for it.

Cost: five pages, .02 CPU seconds on 2,000 items. Not for: opening a snapshot (`learn.open_learned`).
"""

from __future__ import annotations

from bodega.engine import browse
from bodega.engine.answer import Engine
from bodega.engine.learn import Opened
from bodega.engine.online import Shoppers
from bodega.engine.shelf import Shelf
from bodega.protocols import Steps
from bodega.schema import Request
from bodega.settings import Settings


def warm(opened: Opened, settings: Settings) -> None:
    """Make what a snapshot's first pages would make, so that nobody waits for it (and forked processes share it)."""
    nobody = Shoppers(lambda *_: Steps(), limit=1)
    engine = Engine(opened.learned, Shelf.of(opened.items), nobody, settings)
    browse.prepare(engine.shelf)
    ask_around(engine)


def ask_around(engine: Engine) -> None:
    """Ask for one page of each kind, for nobody: what is made at the first use is made now."""
    some = (engine.shelf.id(0),) if len(engine.shelf) else ()
    words = engine.shelf.title(0) if len(engine.shelf) else "any"
    for place in ("home", "category", "similar", "together", "search"):
        engine.answer(Request(place=place, items=some, query=words if place == "search" else ""))
    engine.completing.complete(words[:2], 1)
