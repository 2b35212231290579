"""Bodega: the search and recommendation engine that a shop can `pip install`.

    shop = bodega.open("my-shop")                        # a folder; made when it is not there
    shop.catalog.add("products.csv"); shop.events.add("events.parquet")
    report = shop.learn()                                # trains, evaluates, publishes a snapshot
    page = shop.search("waterproof trail shoes", user="u42")
    page = shop.recommend("home", user="u42")            # also similar(item), together(item), complete(basket)
    page[0].why

The map, in the order things flow; imports only point back up this list:

    errors         what can go wrong?
    failpoints     where may it break, on purpose?
    schema         the nouns: Item, Event, Request, Candidates, Page, Reason
    settings       one frozen typed tree; unknown keys rejected
    protocols      the verbs: Source, Stage, Progress, the stores
    feeds          how do rows come in?
    catalog        what is for sale?
    events         what happened, may we use it?
    evaluation     is it better, and for whom?
    understanding  what do words and questions mean?
    features       what do we know right now?
    retrieval      which few hundred could be right?
    ranking        in what order?
    insight        what does the log say of the shop?
    engine         one request, one page?
    adapters       where do the bytes live?
    wiring         which concrete parts does this shop use?
    service        how do other programs ask?
    web            what do people see?
    testing        does *your* part fit?
    bench          is the claim true?
    demo           what does it look like on a real shop?
    cli            how does a person type it?

Importing `bodega` loads none of them: names are fetched when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.3.0"

if TYPE_CHECKING:
    from pathlib import Path

    from bodega.engine.intake import Feeding
    from bodega.engine.shop import Shop
    from bodega.errors import BodegaError
    from bodega.schema import Event, EventType, Filter, Item, Page, Reason, Request, Sort
    from bodega.settings import Settings

__all__ = [
    "BodegaError",
    "Event",
    "EventType",
    "Feeding",
    "Filter",
    "Item",
    "Page",
    "Reason",
    "Request",
    "Settings",
    "Shop",
    "Sort",
    "__version__",
    "open",
]

_HOMES = {
    "BodegaError": "bodega.errors",
    "Event": "bodega.schema",
    "EventType": "bodega.schema",
    "Feeding": "bodega.engine.intake",
    "Filter": "bodega.schema",
    "Item": "bodega.schema",
    "Page": "bodega.schema",
    "Reason": "bodega.schema",
    "Request": "bodega.schema",
    "Settings": "bodega.settings",
    "Shop": "bodega.engine.shop",
    "Sort": "bodega.schema",
}


def open(folder: str | Path, *, create: bool = True) -> Shop:  # noqa: A001 - `bodega.open` is the door
    """Open the shop in a folder; an absent or empty folder becomes a new shop unless `create` is False.

    Raises NotAShop, BadSettings, StoreError.

    >>> import tempfile, bodega
    >>> with bodega.open(tempfile.mkdtemp()) as shop:
    ...     shop.catalog.upsert([bodega.Item(id="1", title="Trail shoe", price=89.0)]).added
    1
    """
    from bodega.wiring import open_shop

    return open_shop(folder, create=create)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'bodega' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
