"""What may somebody be typing? Completions of a prefix, those near this shopper's history first among near-equals.

The list itself is `completing`'s; here the shopper is looked up, and whatever fails takes no more than it must: a store
that is away takes the history, a completer that fails leaves the words that the ladder holds.
Cost: .1 ms beside the completer. Not for: what a whole query means (`question`).
"""

from __future__ import annotations

import logging
from typing import Protocol

from bodega import failpoints
from bodega.engine.answer import Engine
from bodega.engine.online import Shoppers
from bodega.engine.privacy import Privacy
from bodega.schema import Completion, Context, Request

LOGGER = logging.getLogger("bodega.engine")


class Suggests(Protocol):
    """The part of a shop that this needs; `engine.shop.Shop` fits."""

    privacy: Privacy
    shoppers: Shoppers

    @property
    def engine(self) -> Engine: ...


def suggested(shop: Suggests, prefix: str, k: int, who: Request | None) -> list[Completion]:
    """At most k completions, the likeliest first; `who` types, None: somebody nobody knows."""
    engine, context = shop.engine, None
    if who is not None and (who.user or who.session):
        try:
            asked = shop.privacy.asked(who)
            history = shop.shoppers.history(asked.user, asked.session, engine.shelf.base)
            context = Context(place="search", history=history.items)
        except Exception as error:  # a store that is away takes the shopper's history from a suggestion, no more
            LOGGER.warning("suggested without a history", extra={"facts": {"why": type(error).__name__}})

    def completed() -> list[Completion]:
        if failpoints.ON:
            failpoints.reach("suggest.complete")
        return engine.completing.complete(prefix, k, context=context)

    return engine.health.ask("suggestions", completed, lambda: engine.ladder.complete(prefix, k))
