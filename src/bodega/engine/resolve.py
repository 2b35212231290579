"""Who asks, around what? A request with ids becomes a context with rows; what had to be given up is named.

Unknown shoppers, unknown items and empty histories are ordinary: they make a thinner context, never an error.
"""

from __future__ import annotations

import time

from bodega.engine.health import is_callers, lose
from bodega.engine.online import History, Shoppers
from bodega.engine.photo import UNSEEN, beside_photo, is_photo, picture_of
from bodega.engine.places import PHOTO, PLACES, Place
from bodega.errors import BadRequest
from bodega.schema import Context, ItemTable, Request
from bodega.schema.arrays import NO_FLOATS
from bodega.settings import Settings

QUERY_LIMIT = 512
"""Longest query that is looked at, in characters; the rest is ignored (and named in `degraded`)."""

OFFSET_LIMIT = 10_000

BY_PHOTO = ("home", "search", "category")
"""Places that become a search by photo when the request brings one."""


def place_of(request: Request, settings: Settings) -> Place:
    """The place a request asks for; raises BadRequest for an unknown one, or a page out of range."""
    place = PLACES.get(request.place)
    if place is None:
        raise BadRequest(
            "there is no such list",
            code="list.unknown",
            where="place",
            allowed=", ".join(PLACES),
            got=request.place,
            next="use one of these",
        )
    limit = settings.answer.k_limit
    if not (1 <= request.k <= limit and 0 <= request.offset <= OFFSET_LIMIT):
        raise BadRequest(
            "the page is out of range",
            code="list.range",
            where="k, offset",
            allowed=f"k from 1 to {limit}, offset from 0 to {OFFSET_LIMIT}",
            got=f"k={request.k}, offset={request.offset}",
            next="ask for k=20, offset=0",
        )
    return PHOTO if is_photo(request.image) and request.place in BY_PHOTO else place


def context_of(
    request: Request, place: Place, table: ItemTable, shoppers: Shoppers, settings: Settings
) -> tuple[Context, list[str]]:
    """The context of a request over the snapshot's items, and what is missing in it, in words."""
    asked = request.personal and bool(request.user or request.session)
    history = _history(request, table, shoppers) if asked else History()
    anchors = table.rows(request.items)
    notes = _missing(request, place)
    context = Context(
        place=place.name,
        now=request.time.timestamp() if request.time else time.time(),
        history=history.items,
        times=history.times,
        actions=history.actions,
        items=anchors,
        disliked=history.disliked,
        shown=history.shown,
        shown_times=history.shown_times,
        searches=history.searches,
        query=_words(request, place),
        picture=picture_of(request.image)[1] if place is PHOTO else NO_FLOATS,
        language=request.language or settings.language,
    )
    return context, notes


def _words(request: Request, place: Place) -> str:
    """What is searched in words; beside a photo without what only points at it ("like this, but red")."""
    words = request.query[:QUERY_LIMIT]
    if place is not PHOTO:
        return words.strip()
    words = beside_photo(words)
    return words if any(character.isalnum() for character in words) else ""


def _history(request: Request, table: ItemTable, shoppers: Shoppers) -> History:
    """What the shopper did; where it cannot be read, what this visit did; else nothing: the page names what is lost."""
    tries = [(request.user, request.session), *([("", request.session)] if request.user and request.session else [])]
    for user, session in tries:
        try:
            return shoppers.history(user, session, table)
        except Exception as error:
            if is_callers(error):
                raise
            lose("history", f"left out, it could not be read ({type(error).__name__})")
    return History()


def _missing(request: Request, place: Place) -> list[str]:
    """What is not there (for what is not *known*: `cold`)."""
    notes = []
    if place.personal and not request.personal:
        notes.append("not_personal: personalisation is switched off for this list")
    if request.image and place is not PHOTO:
        why = request.image.removeprefix(UNSEEN) if request.image.startswith(UNSEEN) else "this list knows no photos"
        notes.append(f"image: not searched by it, {why}")
    if len(request.query) > QUERY_LIMIT:
        notes.append(f"long_query: only the first {QUERY_LIMIT} characters were searched")
    return notes
