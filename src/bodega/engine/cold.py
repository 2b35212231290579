"""What is left where hardly anything is known? Items newer than the snapshot, shoppers of no click, a first day.

Three cases, each with its path named in `page.degraded`:

    cold_item      asked around items that came after the last learn: their words stand in for them, and what reads
                   like them is found (`retrieval.dense`); without an encoder popular items instead
    cold_shopper   nobody known: around the items asked, where there are any; else around new items that were looked
                   at on this visit; else what is popular or rising, inside the categories asked for
    first_day      no event at all: newest first, then what is described best; product pages by what reads alike

An item in the snapshot that nobody has touched needs no path: `content` and `dense` know it by its words, and its
reason says so. Cost: microseconds, and nothing where something is known. Not for: what to show then (sources decide).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bodega.engine.online import Shoppers
from bodega.engine.places import FALLBACK, RARE, RAREST, Place
from bodega.engine.shelf import GONE, Shelf
from bodega.protocols import Source
from bodega.schema import Context, Request
from bodega.schema.arrays import Flags, Ints
from bodega.understanding.text.passages import passage

NEWEST = 3
"""Items of a visit whose words are looked at, the newest."""

FIRST = {"newest": "the newest items first", "order": "the best described items first"}


@runtime_checkable
class _Counts(Protocol):
    """A source that says how many events speak of each item."""

    events: Ints


@runtime_checkable
class _Reads(Protocol):
    """A source that finds what reads like a text."""

    @property
    def working(self) -> bool: ...


def basis_of(sources: Mapping[str, Source]) -> str:
    """What popularity rests on in this shop: "events", or on its first day "newest" or "order" (of the catalog)."""
    return str(getattr(sources.get(FALLBACK), "basis", "events"))


def rare_of(events: NDArray[np.integer]) -> Flags:
    """Which items hardly anybody has touched, by the events of each: at most `RARE`, or the least known fifth of a shop
    in which everything sells; bool, (n_items,)."""
    level = max(RARE, int(np.quantile(events, RAREST, method="lower"))) if len(events) else RARE
    rare: Flags = events <= level
    return rare


def rare_rows(sources: Mapping[str, Source], shelf: Shelf) -> Flags:
    """Which shelf rows hardly anybody has touched, as of the last learn: bool, (len(shelf),). Newer ones are."""
    popular: object = sources.get(FALLBACK)
    rare = np.ones(len(shelf), np.bool_)
    if isinstance(popular, _Counts) and len(popular.events):
        known = shelf.known_as != GONE
        rare[known] = rare_of(popular.events)[shelf.known_as[known]]
    return rare


def reading(place: Place, sources: Mapping[str, Source]) -> bool:
    """Can a source of this place find what reads like a text?"""
    held: list[object] = [sources[name] for name in place.among(sources)]
    return any(isinstance(source, _Reads) and source.working for source in held)


def anchors_beside(request: Request, shelf: Shelf) -> Ints:
    """Shelf rows of the items asked around that the models do not know: newer than the snapshot."""
    rows = [shelf.row(name) for name in request.items if name in shelf.delta.index and name not in shelf.base.index]
    return np.asarray(rows, np.int32)


def started(
    request: Request, place: Place, context: Context, around: tuple[Mapping[str, Source], Shelf, Shoppers]
) -> tuple[Context, tuple[str, ...]]:
    """The context with words where items say nothing, and the names of the paths that were taken."""
    sources, shelf, shoppers = around
    if context.query:
        return context, ()
    basis = basis_of(sources)
    silent = basis == "events" or not place.fill
    notes = () if silent else (f"first_day: nothing has happened in this shop yet; {FIRST[basis]}",)
    if not len(context.items) and (place.anchored or request.items):
        rows = anchors_beside(request, shelf) - len(shelf.base)
        if len(rows) and reading(place, sources):
            told = "cold_item: came after the last learn; found by what reads like it"
            return _described(context, shelf, rows[-NEWEST:]), (*notes, told)
        if place.anchored:
            return context, (*notes, "cold_item: nothing is known yet about the items asked around; " + _instead(basis))
    if not place.personal or not request.personal or len(context.history) or place.anchored:
        return context, notes
    return _stranger(request, place, context, (sources, shelf, shoppers), notes)


def _stranger(
    request: Request,
    place: Place,
    context: Context,
    around: tuple[Mapping[str, Source], Shelf, Shoppers],
    notes: tuple[str, ...],
) -> tuple[Context, tuple[str, ...]]:
    """Nobody known: the anchors, the new items of this visit, or what is popular."""
    sources, shelf, shoppers = around
    if len(context.items):
        return context, (*notes, "cold_shopper: no history of this shopper yet; around the items asked")
    if len(shelf.delta) and (request.user or request.session) and reading(place, sources):
        looked = shoppers.history(request.user, request.session, shelf.delta).items[-NEWEST:]
        if len(looked):
            told = "cold_shopper: only items newer than the last learn are known; found by what reads like them"
            return _described(context, shelf, looked), (*notes, told)
    first = "; popular items first" if not notes and place.fill else ""
    return context, (*notes, f"cold_shopper: no history of this shopper yet{first}")


def _described(context: Context, shelf: Shelf, rows: Ints) -> Context:
    return replace(context, like=tuple(passage(shelf.delta.item(int(row))) for row in rows))


def _instead(basis: str) -> str:
    return "popular items instead" if basis == "events" else FIRST[basis]
