"""What shoppers wrote, over HTTP: written on a product's page, read there, judged by the merchant.

    POST /v1/reviews                    write; an answer of 200 means: on disk, and part of the next page       events
    GET  /v1/items/{item_id}/reviews    stars, aspects, a summary, and the reviews, page by page                search
    GET  /v1/reviews/flagged            what may be no honest review, and why                                   admin
    POST /v1/reviews/decide             show it whatever the flags say, hide it, or neither                     admin

A key that stands in a page may write for that page's visitor and is believed little: whether the item was bought is
looked up, votes are none, nobody writes over another's review. With the scope `admin` the rows are believed.
Cost: a batch is one commit; a page .6 ms. Not for: deciding anything (`engine.reviews`).
"""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Meta

from bodega.engine.reviews import ReviewPage, ShownReview, SuspectReview, Trust
from bodega.errors import BadRequest
from bodega.protocols import Written
from bodega.schema import DeadLetter, Review, ReviewStats
from bodega.schema.reviews import REVIEW_SORTS, Verdict
from bodega.service import asking
from bodega.service.desk import Desk, as_json, visit_of
from bodega.service.gate import item_id
from bodega.service.guard import credentials
from bodega.service.intake import acknowledged
from bodega.service.reading import body_of
from bodega.understanding.reviews.told import AspectTold, Quote

Http = Request[Any, Any, Any]
LISTED = ("order", "stars", "k", "offset")
FLAGGED = ("limit",)
MOST = 100
Id = Annotated[str, Meta(min_length=1, max_length=asking.ID_LIMIT)]


class ReviewBatch(msgspec.Struct):
    """A batch of reviews. `time` may be left out: the server stamps what has none."""

    reviews: list[Review]


class ReviewRefused(msgspec.Struct):
    """A row that could not be used."""

    index: int
    reason: str
    message: str


class ReviewsTaken(msgspec.Struct):
    """What became of a batch of reviews; everything accepted is on disk."""

    accepted: int
    changed: int
    duplicates: int
    conflicts: list[str]
    dead: list[ReviewRefused]
    withheld: int = 0
    """Reviews of shoppers who were forgotten since they wrote them."""


class ReviewsFlagged(msgspec.Struct, frozen=True):
    """What a merchant is to look at, newest first."""

    reviews: list[SuspectReview]


class ReviewsDecided(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`keep`: show them whatever the flags say; `hide`: never show them; empty: as the flags say."""

    ids: Annotated[list[Id], Meta(min_length=1, max_length=asking.BATCH_LIMIT)]
    verdict: Verdict


class ReviewsChanged(msgspec.Struct, frozen=True):
    """How many reviews that changed."""

    changed: int


_PAGE = (ReviewPage, ShownReview, ReviewStats, AspectTold, Quote)
REVIEW_TYPES = (
    *(Review, ReviewBatch, ReviewRefused, ReviewsTaken),
    *_PAGE,
    *(SuspectReview, ReviewsFlagged, ReviewsDecided, ReviewsChanged),
)
"""What the OpenAPI document describes of this page."""


def review_handlers(desk: Desk) -> list[HTTPRouteHandler]:
    """The handlers of this page."""

    @post("/v1/reviews", opt={"scope": "events"}, name="reviews")
    async def write(request: Http) -> ASGIResponse:
        body = await body_of(request, limit=desk.settings.serve.events_limit)
        rows = asking.rows_of(body, "reviews")
        visit = visit_of(request.scope)
        holder = desk.keyring.holder(credentials(request.scope["headers"]).key)
        trust = Trust(full=holder is not None and "admin" in holder.scopes, gpc=visit.gpc)
        counted = await asyncio.to_thread(_taken, desk, rows, trust)
        return acknowledged(counted, visit, total=len(rows))

    @get("/v1/items/{segment:str}/reviews", opt={"scope": "search"}, name="item_reviews")
    async def page(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], LISTED).once
        item = item_id(request.scope)
        order = asked.get("order", "newest")
        if order not in REVIEW_SORTS:
            raise BadRequest(
                "there is no such order",
                code="reviews.order",
                where="order",
                allowed=", ".join(REVIEW_SORTS),
                got=order[:40],
            )
        numbers = {name: _number(asked, name, *bounds) for name, bounds in _BOUNDS.items()}
        found = await asyncio.to_thread(desk.shop.reviews.page, item, sort=order, **numbers)
        return ASGIResponse(body=as_json(found))

    @get("/v1/reviews/flagged", opt={"scope": "admin"}, name="reviews_flagged")
    async def flagged(request: Http) -> ASGIResponse:
        asked = asking.parameters(request.scope["query_string"], FLAGGED).once
        limit = _number(asked, "limit", 50, 0, 1_000)
        found = await asyncio.to_thread(desk.shop.reviews.suspects, limit=limit)
        return ASGIResponse(body=as_json(ReviewsFlagged(found)))

    @post("/v1/reviews/decide", opt={"scope": "admin"}, name="reviews_decide")
    async def decide(request: Http) -> ASGIResponse:
        told = asking.decoded(await body_of(request), ReviewsDecided)
        changed = await asyncio.to_thread(desk.shop.reviews.decide, told.ids, told.verdict)
        return ASGIResponse(body=as_json(ReviewsChanged(changed)))

    return [write, page, flagged, decide]


def _taken(desk: Desk, rows: list[dict[str, Any]], trust: Trust) -> dict[str, Any]:
    """Read and store the rows; what became of them."""
    reviews, reader, now = desk.shop.reviews, desk.shop.reviews.reader(), time.time()
    good: list[Review] = []
    bad: list[tuple[int, DeadLetter]] = []
    for number, row in enumerate(rows):
        found = reader.read(row, now=now, source="http", line=number + 1)
        if isinstance(found, Review):
            good.append(found)
        else:
            bad.append((number, found))
    reviews.bury([letter for _, letter in bad])
    written = reviews.record(good, trust=trust) if good else Written()
    return {
        "accepted": written.added,
        "changed": written.changed,
        "duplicates": written.unchanged,
        "conflicts": list(written.conflicts),
        "dead": [{"index": n, "reason": letter.reason, "message": letter.message} for n, letter in bad],
        "withheld": written.withheld,
    }


_BOUNDS = {"k": (10, 1, MOST), "offset": (0, 0, asking.OFFSET_LIMIT), "stars": (0, 0, 5)}
"""{parameter: (when it is left out, lowest, highest)}."""


def _number(asked: dict[str, str], name: str, usual: int, low: int, high: int) -> int:
    text = asked.get(name, str(usual))
    if not (text.isascii() and text.isdecimal() and len(text) < 7 and low <= int(text) <= high):
        raise BadRequest(
            "a value is out of range", code="reviews.range", where=name, allowed=f"{low:,} to {high:,}", got=text[:40]
        )
    return int(text)
