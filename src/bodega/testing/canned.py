"""A shop without an engine: it remembers what it was asked and answers with its items in order.

For tests of what stands around a shop (the HTTP service, a storefront, a client) in milliseconds and without learning.
Events and items are really kept (in memory); lists are only shaped like lists. Not for: testing what is recommended.
"""

from __future__ import annotations

import base64
import secrets
import shutil
import weakref
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

import msgspec
import numpy as np

from bodega.engine.answer import Engine
from bodega.engine.erasure import Erasures
from bodega.engine.experiments.door import Experiments
from bodega.engine.experiments.serving import Around
from bodega.engine.front import Front, Helped, Offers, Variant, Variants
from bodega.engine.gallery import Gallery
from bodega.engine.hearing import Kind
from bodega.engine.insights import Insight, Sources
from bodega.engine.knowledge import Knowledge
from bodega.engine.office import Office
from bodega.engine.online import Shoppers
from bodega.engine.photo import Photos, Sight
from bodega.engine.privacy import Doors, Privacy
from bodega.engine.relations import Connection, Related, Relations
from bodega.engine.reviews import Reviews
from bodega.engine.rulebooks import Rules
from bodega.engine.snapshot import Snapshots
from bodega.engine.trials import Trials
from bodega.engine.why_not import WhyNot
from bodega.errors import NotLearned, UnknownItem
from bodega.events.border import Border
from bodega.events.consuming import Consuming
from bodega.events.pseudonyms import VARIABLE, Secrets, fresh
from bodega.protocols import EncoderInfo, Pixels, Written
from bodega.schema import Completion, Event, Hit, Item, Page, Reason, Request
from bodega.schema.arrays import Floats
from bodega.schema.table import category_paths
from bodega.settings import Settings
from bodega.testing.canned_steering import CannedSteering
from bodega.testing.fakes import MemoryKeys, MemoryStores
from bodega.testing.looping import CannedLoop, canned_judgments


class CannedCatalog:
    """`shop.catalog`, as far as HTTP needs it."""

    def __init__(self, stores: MemoryStores) -> None:
        self._store = stores.catalog

    def upsert(self, items: Sequence[Item]) -> Written:
        return self._store.upsert(items)

    def delete(self, ids: Sequence[str]) -> int:
        return self._store.delete(ids)

    def get(self, item_id: str) -> Item:
        """One item. Raises UnknownItem."""
        found = self._store.get([item_id]).get(item_id)
        if found is None:
            raise UnknownItem("the catalog holds no such item", got=item_id)
        return found


class CannedEvents:
    """`shop.events`, as far as HTTP needs it."""

    def __init__(self, stores: MemoryStores) -> None:
        self._store = stores.events

    def submit(self, events: Sequence[Event]) -> Future[Written]:
        return self._store.submit(events)


PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""


class CannedEyes:
    """Implements `protocols.ImageEncoder`: everything looks the same."""

    info = EncoderInfo("canned", 4, "ca77ed")

    def encode(self, images: Sequence[Pixels]) -> Floats:
        """Rows of the same direction."""
        return np.full((len(images), 4), 0.5, np.float32)


class CannedFront:
    """`shop.front` without an engine: every item is its own only variant; votes are really counted."""

    def __init__(self, stores: MemoryStores) -> None:
        self._stores = stores
        self._front = Front(self._none, stores.reviews, None)

    def _none(self) -> Engine:
        raise NotLearned("this shop has no engine", where="canned")

    def offers(self) -> Offers:
        return Offers(
            name="canned", language="en", currency="USD", sorts=["relevance"], relations=True, reviews=True,
            variants=False,
        )  # fmt: skip

    def variants(self, item: str) -> Variants:
        held = self._stores.catalog.get([item])
        if item not in held:
            raise UnknownItem("the catalog holds no such item", where="variants", got=item)
        each = held[item]
        raw = msgspec.Raw(msgspec.json.encode(each))
        alone = Variant(item=item, title=each.title, options=each.options, available=each.available, document=raw)
        return Variants(item=item, group=each.group, axes={}, variants=[alone])

    def helpful(self, review: str, voter: str, *, helped: bool = True) -> Helped:
        return self._front.helpful(review, voter, helped=helped)


class _Nowhere:
    """What the experiments of a canned shop stand in: its stores and no engine."""

    learned = False
    trials: Trials | None = None

    def __init__(self, shop: CannedShop) -> None:
        self.folder, self.settings, self.privacy = shop.folder, shop.settings, shop.privacy
        self.rules, self.stores = shop.rules, shop.stores
        self.shoppers = Shoppers(shop.privacy.steps, limit=1)

    @property
    def engine(self) -> Engine:
        raise NotLearned("this shop has no engine", where="canned")

    def told(self, kind: Kind, body: bytes = b"") -> None:
        """Nobody is there to be told."""

    def turn(self, turned: Mapping[str, float | str | bool]) -> None:
        """Nothing turns."""

    def rollback(self, snapshot: str = "") -> str:
        return snapshot


class CannedShop:
    """Fits wherever the HTTP service asks for a shop.

    >>> shop = CannedShop([Item(id="1", title="Trail shoe"), Item(id="2", title="Rain coat")])
    >>> shop.answer(Request(place="search", query="coat")).ids
    ['2']
    """

    def __init__(self, items: Iterable[Item] = (), settings: Settings | None = None, folder: Path = Path()) -> None:
        self.settings = settings or Settings()
        self.folder = folder
        self.stores = MemoryStores()
        self.stores.catalog.upsert(list(items))
        self.catalog = CannedCatalog(self.stores)
        self.events = CannedEvents(self.stores)
        self.rules = Rules(self.stores.rules, ask=lambda request, _: self.answer(request))
        """Kept and audited for real; they change no list, as there is no engine."""
        self.steering = CannedSteering(self.answer)
        """Pages have no steps here, and no log says what became of a query."""
        self.knowledge = Knowledge(folder, self.stores, self.settings.knowledge)
        self.consuming: Consuming | None = None
        keys = Secrets(folder, {VARIABLE: fresh()})
        doors = Doors(
            self.stores.people,
            self.stores.events,
            keys,
            Border(keys, pseudonyms=False),
            forget=lambda *_: None,
            reviews=self.stores.reviews,
        )
        self.privacy = Privacy(doors, self.settings.privacy)
        """Who is who and who agreed is really kept, in memory."""
        self.reviews = Reviews(self.stores, self.privacy, self.settings)
        self.erasures = Erasures(None, self.privacy, Snapshots(folder / "no snapshots"))
        self.front = CannedFront(self.stores)
        self.photos = Photos(Sight(CannedEyes, lambda _: np.zeros((1, 1, 3), np.uint8)), lambda _: PICTURE)
        """Any bytes are a photo, and all photos are alike."""
        self.experiments = Experiments(cast("Around", _Nowhere(self)), Snapshots(folder / "no snapshots"), None)
        """Kept, audited and read for real; nobody is answered by an arm, as there is no engine."""
        self.gallery: Gallery | None = None
        home = mkdtemp(prefix="canned-")
        weakref.finalize(self, shutil.rmtree, home, ignore_errors=True)
        self.office = Office(self, Path(home))
        """Jobs, trails and looks are real, in a folder of their own; there is no engine and no snapshot."""
        self.insight = Insight(Sources(self.stores.logbook, self.settings))
        """Counts for real what is in memory."""
        self.judgments = canned_judgments(
            Path(home),
            self.stores,
            self.settings,
            lambda query, k: self.answer(Request(place="search", query=query, k=k)).ids,
        )
        self.loop = CannedLoop(Path(home))
        self.asked: list[Request] = []
        self.completed: list[Request] = []
        """What was asked to be completed, by whom."""
        self.fails: Exception | None = None
        """When set, every list raises it."""

    @property
    def keys(self) -> MemoryKeys:
        return self.stores.keys

    def photographed(self, request: Request) -> Request:
        """The request with its photo looked at."""
        return self.photos.seen(request)

    def answer(self, request: Request) -> Page:
        """The items whose title holds the query, or all; the anchors are left out."""
        if self.fails is not None:
            raise self.fails
        self.asked.append(request)
        found = [
            item
            for item in self.stores.catalog.scan()
            if request.query.lower() in item.title.lower() and item.id not in request.items
        ]
        shown = found[request.offset : request.offset + request.k]
        return Page(
            request_id=secrets.token_hex(8),
            place=request.place,
            query=request.query,
            total=len(found),
            degraded=("canned: this shop has no engine",),
            hits=tuple(
                Hit(
                    id=item.id,
                    position=request.offset + number,
                    score=1.0,
                    document=msgspec.Raw(msgspec.json.encode(item)),
                    why=(Reason(source="popular", share=1.0, text="Popular here"),),
                )
                for number, item in enumerate(shown)
            ),
        )

    def why_not(self, request: Request, item: str) -> WhyNot:
        """Whether it is on the canned list; there are no steps on the way to one."""
        page = self.answer(request)
        stage = "shown" if item in page.ids else "not_proposed"
        return WhyNot(item=item, place=request.place, stage=stage, text="canned", shown=item in page.ids)

    def relations(self, item: str, *, relation: str = "", k: int = 10) -> Relations:
        """Every other item is a variant of it."""
        del relation
        held = self.stores.catalog.get([item])
        others = [each for each in self.stores.catalog.scan() if each.id != item][:k]
        variants = [
            Related(item=each.id, title=each.title, strength=1.0, document=msgspec.Raw(msgspec.json.encode(each)))
            for each in others
        ]
        title = held[item].title if item in held else ""
        return Relations(item=item, title=title, relations={"variant": variants}, traits=[])

    def connections(self, item: str, other: str, *, language: str = "", k: int = 10) -> list[Connection]:
        """One, without steps between."""
        del language
        return [Connection(text="canned", steps=[item, other], strength=1.0)][:k]

    def suggest(
        self, prefix: str, k: int, *, user: str = "", session: str = "", personal: bool = True
    ) -> list[Completion]:
        self.completed.append(Request(query=prefix, k=k, user=user, session=session, personal=personal))
        titles = (item.title for item in self.stores.catalog.scan())
        return [Completion(text=title, kind="title") for title in titles if title.lower().startswith(prefix.lower())][
            :k
        ]

    def fields(self) -> list[str]:
        return ["available", "brand", "category", "kind", "price", "seller", "tags"]

    def values(self, field: str) -> list[str]:
        """Of brand, category (paths), kind, seller and tags."""
        return sorted({value for item in self.stores.catalog.scan() for value in _values(item, field)})

    def health(self) -> dict[str, Any]:
        return {"items": self.stores.catalog.count(), **self.standing()}

    def standing(self) -> dict[str, Any]:
        return {"ready": True, "snapshot": "canned"}

    def ping(self) -> None:
        return None

    def reload(self) -> str:
        return "canned"

    def published(self) -> str:
        return "canned"

    def rollback(self, snapshot: str = "") -> str:
        """Whatever is asked for is served."""
        return snapshot or "canned"

    def restock(self) -> None:
        return None

    def catch_up(self) -> None:
        return None

    def snapshots(self) -> list[Any]:
        return []


def _values(item: Item, field: str) -> list[str]:
    if field == "category":
        return category_paths(item.category)
    found = getattr(item, field, "")
    return [found] if isinstance(found, str) and found else list(found) if isinstance(found, tuple) else []
