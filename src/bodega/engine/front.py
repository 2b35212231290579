"""`shop.front`: what pages of a shop front ask beside lists. What can be done here, which variants, did a review help?

A page must not offer what the shop cannot do (to sort by a rating that no item has, relations without a graph), so it
asks once what there is. Variants are the rows of one group on the shelf as it stands; a vote for a review raises its
count by one. Of voters nothing is kept: whoever voted a moment ago is known in memory as a keyed digest, so that a page
that sends twice counts once; who wants to vote again from elsewhere can, as with any count that needs no account.
Cost: offers are read off the shelf (20 us), variants one comparison of all groups (100,000 items: 30 us), a vote one
commit. Not for: lists (`engine.answer`) or relations (`engine.relations`).
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from bodega.engine.answer import Engine
from bodega.engine.browse import numeric
from bodega.engine.shelf import GONE
from bodega.errors import BadRequest, UnknownItem
from bodega.protocols import ReviewStore
from bodega.retrieval.knowledge import Knowledge
from bodega.schema import Sort

MOST = 200
"""Most variants of one product that are told."""
REMEMBERED = 100_000
"""Votes that are remembered for a while."""
RATING = "rating"


class Offers(msgspec.Struct, frozen=True, kw_only=True):
    """What this shop's pages can offer."""

    name: str
    language: str
    currency: str
    sorts: list[str]
    """Orders of lists that say something here: those of `sort`, and `-rating` (for `sort_by`) where items have one."""
    relations: bool
    """Is there a knowledge graph to ask?"""
    reviews: bool
    """Has anybody written a review?"""
    variants: bool
    """Do some products come in several variants?"""
    gpc: bool = False
    """Did this very request carry `Sec-GPC: 1`, and does the shop go by it?"""


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One variant of a product."""

    item: str
    title: str
    options: dict[str, str]
    available: bool
    document: msgspec.Raw
    """The item as stored."""


class Variants(msgspec.Struct, frozen=True, kw_only=True):
    """A product in all its variants, the item that was asked for among them."""

    item: str
    group: str
    axes: dict[str, list[str]]
    """{option: its values, in the order of the catalog}: what the variants differ in."""
    variants: list[Variant]


class Helped(msgspec.Struct, frozen=True, kw_only=True):
    """How many readers a review helped, now; `counted`: did this vote change it?"""

    id: str
    helpful: int
    counted: bool


class Front:
    """What a shop front asks. Calls are safe from several threads."""

    def __init__(self, engine: Callable[[], Engine], reviews: ReviewStore, settings: Any) -> None:
        self._engine = engine
        self._reviews = reviews
        self._settings = settings
        self._votes = Votes()

    def offers(self) -> Offers:
        """What can be done here now. Raises NotLearned."""
        engine, settings = self._engine(), self._settings
        shelf = engine.shelf
        sorts = [Sort.RELEVANCE.value, Sort.PRICE_UP.value, Sort.PRICE_DOWN.value]
        if bool(np.isfinite(shelf.created[shelf.is_current]).any()):
            sorts.append(Sort.NEWEST.value)
        if RATING in numeric((shelf.base, shelf.delta)):
            sorts.append(f"-{RATING}")
        return Offers(
            name=settings.name,
            language=settings.language,
            currency=settings.currency,
            sorts=sorts,
            relations=isinstance(engine.learned.sources.get(Knowledge.name), Knowledge),
            reviews=self._reviews.count() > 0,
            variants=shelf.has_variants,
        )

    def variants(self, item: str) -> Variants:
        """All variants of the product that this item is one of; itself alone where it has none. Raises UnknownItem."""
        shelf = self._engine().shelf
        row = shelf.row(item)
        if row == GONE:
            raise UnknownItem("the shop has no such item", where="variants", got=item, next="check the id")
        rows = np.flatnonzero((shelf.group == shelf.group[row]) & shelf.is_current)[:MOST]
        if row not in rows:
            rows = np.append(rows[: MOST - 1], row)
        found = []
        for each in rows.tolist():
            raw = shelf.document(each)
            told = msgspec.json.decode(raw, type=_Told)
            found.append((told, bool(shelf.available[each]), raw, shelf.id(each)))
        axes: dict[str, list[str]] = {}
        for told, *_ in found:
            for name, value in told.options.items():
                if value not in axes.setdefault(name, []):
                    axes[name].append(value)
        return Variants(
            item=item,
            group=next((told.group for told, _, _, name in found if name == item), ""),
            axes={name: values for name, values in axes.items() if len(values) > 1},
            variants=[
                Variant(item=name, title=told.title, options=told.options, available=fine, document=msgspec.Raw(raw))
                for told, fine, raw, name in found
            ],
        )

    def helpful(self, review: str, voter: str, *, helped: bool = True) -> Helped:
        """Somebody says that this review helped (or takes that back). Raises BadRequest where it is not shown."""
        with self._votes.lock:
            held = self._reviews.get([review]).get(review)
            if held is None or not held.shown:
                raise BadRequest("there is no such review", where="id", got=review[:80], allowed="id of a shown review")
            count = held.review.helpful
            if not self._votes.turn(review, voter, helped):
                return Helped(id=review, helpful=count, counted=False)
            now = max(0, count + (1 if helped else -1))
            self._reviews.upsert([msgspec.structs.replace(held.review, helpful=now)])
        return Helped(id=review, helpful=now, counted=now != count)


class _Told(msgspec.Struct):
    """Of a stored item, what its variants are told apart by."""

    title: str = ""
    group: str = ""
    options: dict[str, str] = {}


class Votes:
    """Who voted for what a moment ago, as digests under a key that ends with the process."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self.lock = threading.Lock()
        self._key = secrets.token_bytes(32)
        self._held: OrderedDict[bytes, None] = OrderedDict()
        self._remembered = remembered

    def turn(self, review: str, voter: str, on: bool) -> bool:
        """Note it; was it otherwise before?"""
        name = hashlib.blake2b(f"{review}\0{voter}".encode(), key=self._key, digest_size=16).digest()
        if (name in self._held) == on:
            return False
        if on:
            self._held[name] = None
            while len(self._held) > self._remembered:
                self._held.popitem(last=False)
        else:
            del self._held[name]
        return True
