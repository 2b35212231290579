"""The nouns that cross a border: what a shop hands in and what a page hands out.

All are msgspec Structs: frozen, typed, decoded from JSON in microseconds and rejected with a path when wrong.
The arrays that the engine computes with live next door in `arrays.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

AttributeValue = str | float | bool | list[str]
"""A typed attribute: text, number, flag, or several texts."""


class Availability(StrEnum):
    IN_STOCK = "in_stock"
    OUT_OF_STOCK = "out_of_stock"
    PREORDER = "preorder"
    BACKORDER = "backorder"
    DISCONTINUED = "discontinued"


class EventType(StrEnum):
    IMPRESSION = "impression"
    VIEW = "view"
    CLICK = "click"
    CART = "cart"
    PURCHASE = "purchase"
    SEARCH = "search"
    RATING = "rating"
    DISMISS = "dismiss"
    RETURN = "return"


EVENT_CODES: dict[str, int] = {name.value: code for code, name in enumerate(EventType)}
"""The small integer that stands for an event type in arrays and in the store. Append only: stored data uses it."""

INTEREST: tuple[str, ...] = ("view", "click", "cart", "purchase")
"""Event types that say a shopper wanted an item (`rating` counts too where its value is >= 3)."""

ACTIVE: tuple[str, ...] = (*INTEREST, "rating")

TURNED_AWAY: tuple[str, ...] = ("dismiss", "return")
"""Event types that say the shopper does not want this item."""


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Something that can be found: a product by default; the *kind* is data, not code.

    `price` is in major units of `currency` (ISO 4217); `category` is the path from the root, e.g.
    ("Shoes", "Trail"); `group` names the variant group, `options` what sets this variant apart in it.

    >>> Item(id="1", title="Trail shoe", price=89.0, currency="EUR", category=("Shoes", "Trail")).category
    ('Shoes', 'Trail')
    """

    id: str
    kind: str = "product"
    title: str = ""
    description: str = ""
    brand: str = ""
    category: tuple[str, ...] = ()
    price: float | None = None
    currency: str = ""
    availability: Availability = Availability.IN_STOCK
    stock: int | None = None
    images: tuple[str, ...] = ()
    attributes: dict[str, AttributeValue] = {}
    tags: tuple[str, ...] = ()
    group: str = ""
    options: dict[str, str] = {}
    language: str = ""
    created: datetime | None = None
    updated: datetime | None = None
    seller: str = ""
    url: str = ""
    links: dict[str, tuple[str, ...]] = {}
    """What the shop itself links: {"related", "upsell" or "crosssell": ids of items or variant groups}."""

    @property
    def available(self) -> bool:
        """May a shopper buy it now? Sold-out and discontinued items may not; unknown stock counts as available."""
        gone = (Availability.OUT_OF_STOCK, Availability.DISCONTINUED)
        return self.availability not in gone and self.stock != 0


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Something a shopper did, once. Idempotent by `id`; without one, the id is the digest of the content.

    `time` is timezone-aware (UTC inside); `price` is what one unit cost; `value` is the stars of a rating.
    At least one of `user` and `session` is set; every type except `search` names an item.
    """

    type: EventType
    time: datetime
    id: str = ""
    user: str = ""
    session: str = ""
    item: str = ""
    query: str = ""
    place: str = ""
    position: int | None = None
    request_id: str = ""
    price: float | None = None
    currency: str = ""
    quantity: float = 1.0
    channel: str = "web"
    value: float | None = None


class Filter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Keep items whose `field` is one of `values` (text), or lies in [`low`, `high`] (number, both ends included).

    Fields: `brand`, `category` (a path joined with " > "; matches everything below it), `price`, `available`,
    `seller`, `kind`, `tags`, and every attribute by its name.
    """

    field: str
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None


class Meaning(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a query was understood to say: "under 50" is a price, "red" a colour, "not silk" an exclusion.

    `start` and `end` are character positions in the query as typed, so that a page can show (and undo) it. A *hard*
    meaning is a condition that every result meets (a price, an exclusion); any other only lifts what fits.
    """

    kind: str
    """`price`, `size`, `quantity`, `brand`, `colour`, `category`, `attribute`, `not`, `spelling`, `synonym`, `code`."""
    text: str
    """The words of the query that say it."""
    start: int = 0
    end: int = 0
    field: str = ""
    """The field of the catalog it speaks of; "" where it speaks of words only."""
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    hard: bool = False
    excludes: bool = False
    """True: results must *not* have it."""
    confidence: float = 1.0
    """0 to 1, calibrated where it comes from a model."""


class Sort(StrEnum):
    RELEVANCE = "relevance"
    PRICE_UP = "price_up"
    PRICE_DOWN = "price_down"
    NEWEST = "newest"


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One question to the engine: which list (`place`), for whom, around what.

    `items` are the anchors: the product on the page for `similar` and `together`, the basket for `basket`.
    `user` and `session` may both be empty: then nobody in particular asks. `personal=False` switches
    personalisation off for this list.
    """

    place: str = "home"
    user: str = ""
    session: str = ""
    query: str = ""
    items: tuple[str, ...] = ()
    k: int = 20
    offset: int = 0
    filters: tuple[Filter, ...] = ()
    facets: tuple[str, ...] = ()
    sort: Sort = Sort.RELEVANCE
    language: str = ""
    personal: bool = True
    time: datetime | None = None
    narrowed: bool = False
    """Count facets among what passes every filter; else a field's own filter does not narrow its own counts."""
    facet_query: str = ""
    """Only values of the asked facets that read like this: `nik` finds Nike, `nkie` too."""
    sort_by: str = ""
    """Sort by a field of numbers instead of `sort`: `rating` upwards, `-rating` downwards; items without one last."""
    where: str = ""
    """A filter expression, e.g. `(brand = "Acme" OR brand = "Bolt") AND price < 50 AND NOT tags = "used"`."""
    verbatim: bool = False
    """Search what was typed: no correction, no understanding (the undo of "did you mean")."""
    segments: tuple[str, ...] = ()
    """Segments that the caller puts this shopper in ("vip"): merchandising rules may ask for them."""
    explain: bool = False
    """Tell with each hit what every feature of the ranking added (`Hit.contributions`); takes milliseconds more."""
    image: str = ""
    """A photo to search by: a data URI, an address (where the shop fetches any), or what `POST /v1/photo` answered."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fact that speaks for an item: something the shopper had to do with, or a word of the query found in it."""

    kind: str
    """`item` or `word`."""
    text: str
    """The title of that item, or the word as it stands in the query."""
    id: str = ""
    """The id of that item."""
    field: str = ""
    """Where the word was found: `title`, `brand`, `category`, `description`, `tags`, or the name of an attribute."""


class Contribution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one feature of the ranker added to an item's score, or took from it."""

    name: str
    value: float
    """In units of the score: those of one item, and a constant, add up to it where they are exact."""
    share: float
    """Its size among all sizes, 0 to 1."""
    exact: bool = True
    """False for networks, whose parts can only be estimated."""


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an item is on the list: which source put it there, how much of the score that is, and because of what."""

    source: str
    share: float
    """Part of the fused score that this source gave, 0 to 1; the shares of one hit add up to 1. 0: it fits, as all
    others do (the words of a query that every hit holds)."""
    text: str
    """In the shopper's language: "Often bought with Pasta"."""
    because: tuple[str, ...] = ()
    """Ids of the items (of the history, the basket or the page) that led here."""
    evidence: tuple[Evidence, ...] = ()
    """The same items with their titles; for words, which of them stand where."""
    value: float | None = None
    """The source's own score of the item, on its own scale; none where it gave none."""


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One place of a page. `document` is the item as stored JSON; `item` decodes it on demand."""

    id: str
    position: int
    score: float
    document: msgspec.Raw
    why: tuple[Reason, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    """What the features of the ranking (the sources, where it is their sum) added, the weightiest first; only where
    `Request.explain` asks for it, for the first 20 hits of a page, and of what was ranked closely."""

    @property
    def item(self) -> Item:
        return msgspec.json.decode(self.document, type=Item)


class FacetValue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One value of a facet, and how many of all matches have it (variants of one product count once)."""

    value: str
    count: int
    parent: str = ""
    """Of categories: the path one level up ("" at the top), so that a page can draw the tree."""
    depth: int = 0
    """Of categories: levels above this one."""


class FacetRange(msgspec.Struct, frozen=True, kw_only=True):
    """One bar of a histogram: how many matches have a number in [`low`, `high`); the last bar holds its `high` too."""

    low: float
    high: float
    count: int


class Banner(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message that a merchandising rule puts above the results. Plain text, never markup."""

    text: str
    url: str = ""
    image: str = ""
    rule: str = ""
    """Id of the rule that shows it."""


class Facet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The values of one field among all matches (not only this page), most frequent first; numbers carry stats."""

    field: str
    values: tuple[FacetValue, ...] = ()
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    sum: float | None = None
    count: int = 0
    """Of numbers: how many matching items have one (`mean` and `sum` are over the same items, each variant its own)."""
    ranges: tuple[FacetRange, ...] = ()
    """Of numbers: a histogram of about ten bars with round bounds."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. It behaves like the list of its hits: `len(page)`, `page[0].why`, `for hit in page`.

    `degraded` names every fallback that was used ("popular: no history yet"); empty means the list is
    as good as this shop can make it. `total` counts all matches of a search, or the candidates of a list.
    """

    request_id: str
    place: str
    hits: tuple[Hit, ...]
    total: int
    query: str = ""
    corrected: str = ""
    """What was searched instead, when the query as typed is not in the shop's vocabulary; else empty."""
    understood: tuple[Meaning, ...] = ()
    """What the query was taken to say, in the order of its words."""
    relaxed: tuple[str, ...] = ()
    """What was given up, step by step, because too little matched: "words: 2 of 3", "price"."""
    redirect: str = ""
    """Where a rule sends the shopper instead ("" = nowhere)."""
    banners: tuple[Banner, ...] = ()
    """Messages that rules put above the results."""
    rules: tuple[str, ...] = ()
    """Ids of the merchandising rules that changed this page."""
    related: tuple[str, ...] = ()
    """What people search next, or instead (only what many different people asked)."""
    facets: tuple[Facet, ...] = ()
    degraded: tuple[str, ...] = ()
    snapshot: str = ""
    policy: str = ""
    """What decided the slots of this page that may be tried out ("thompson"); "" where nothing is left to chance."""
    took_ms: float = 0.0

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __getitem__(self, position: int) -> Hit:
        return self.hits[position]

    @property
    def ids(self) -> list[str]:
        return [hit.id for hit in self.hits]

    def json(self) -> bytes:
        """The page as JSON bytes; items are spliced in as stored, without decoding."""
        return msgspec.json.encode(self)


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """One suggestion while typing: `kind` is `query`, `category`, `brand` or `title`; a title names its item's id."""

    text: str
    kind: str
    item: str = ""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A row that could not be used: kept with the reason, so that it can be mended and sent again."""

    kind: str
    """`item` or `event`."""
    reason: str
    """Short stable code, e.g. `future_time`, `no_item`, `bad_price`; `events dead` groups by it."""
    message: str
    """For a person: what, allowed, got."""
    source: str = ""
    """File name, or `http`."""
    line: int = 0
    raw: str = ""
    """The row as JSON, as it came (cut at 10,000 characters)."""
    time: datetime | None = None


def to_plain(value: Any) -> Any:
    """Any noun as plain dicts and lists, for `--json` and templates."""
    return msgspec.json.decode(msgspec.json.encode(value))  # through JSON: a page holds items as raw JSON
