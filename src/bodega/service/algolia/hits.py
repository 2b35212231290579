"""How does an item look to an Algolia client? As one flat record, as shops index theirs.

    objectID, name (= title), title, description, brand, price, currency, image, images, url, categories,
    hierarchicalCategories {lvl0, lvl1, ...}, category (the path), _tags (= tags), tags, in_stock, seller, kind,
    created_at (seconds), and every attribute and option of the item by its own name.

An attribute never replaces one of these. `attributesToRetrieve` chooses among them (`*`, names, `-name` to leave out);
`objectID` is always there. Cost: about 15 us an item, highlighting apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from bodega.schema import Hit, Item
from bodega.schema.table import PATH_SEPARATOR
from bodega.service.algolia.fields import CATEGORIES, LEVELS, levels
from bodega.service.algolia.highlight import Marks, Wanted, highlighted, snippet
from bodega.service.algolia.parameters import EVERY, Asked

UNMARKED = frozenset({"objectID", "url", "image", "images", "currency", "kind", "category", "tags"})
"""Texts that no query is shown in, unless they are asked for by name (`tags` is there as `_tags`)."""
SNIPPET_WORDS = 10


def record(item: Item) -> dict[str, Any]:
    """The item as a flat record; what it does not have is left out."""
    own: dict[str, Any] = {
        "objectID": item.id,
        "name": item.title,
        "title": item.title,
        "description": item.description,
        "brand": item.brand,
        "price": item.price,
        "currency": item.currency if item.price is not None else "",
        CATEGORIES: list(item.category),
        LEVELS: levels(item.category),
        "category": PATH_SEPARATOR.join(item.category),
        "image": item.images[0] if item.images else "",
        "images": list(item.images),
        "url": item.url,
        "_tags": list(item.tags),
        "tags": list(item.tags),
        "in_stock": item.available,
        "stock": item.stock,
        "seller": item.seller,
        "kind": item.kind,
        "created_at": int(item.created.timestamp()) if item.created else None,
    }
    kept = {name: value for name, value in own.items() if value not in (None, "", [], {})}
    return {**item.attributes, **item.options, **kept}


def chosen(names: Iterable[str], all_names: Iterable[str]) -> list[str]:
    """Which of the attributes are asked for: `*` all, `-name` not that one, `a.b` the whole of `a`."""
    asked = list(names)
    left_out = {name[1:] for name in asked if name.startswith("-")}
    wanted = {name.partition(".")[0] for name in asked if not name.startswith("-")}
    every = EVERY in wanted or (bool(left_out) and not wanted)
    return [name for name in all_names if (every or name in wanted) and name not in left_out]


def hit(found: Hit, asked: Asked, wanted: Wanted) -> dict[str, Any]:
    """One hit of an answer, with what was asked to be marked in it."""
    whole = record(msgspec.json.decode(found.document, type=Item))
    shown = {name: whole[name] for name in chosen(asked.retrieve, whole)}
    made: dict[str, Any] = {**shown, "objectID": found.id}
    marks = Marks(asked.before, asked.after)
    if asked.highlight:
        made["_highlightResult"] = _marked(whole, asked.highlight, wanted, marks)
    if asked.snippet:
        made["_snippetResult"] = _snippets(whole, asked, wanted, marks)
    if asked.ranking_info:
        made["_rankingInfo"] = {
            "nbTypos": 0,
            "firstMatchedWord": 0,
            "proximityDistance": 0,
            "userScore": round(found.score * 1_000),
            "geoDistance": 0,
            "geoPrecision": 1,
            "nbExactWords": 0,
            "words": len(wanted.needed),
            "filters": 0,
            "score": found.score,
            "why": [{"source": each.source, "share": each.share, "text": each.text} for each in found.why],
        }
    return made


def _marked(whole: Mapping[str, Any], names: tuple[str, ...], wanted: Wanted, marks: Marks) -> dict[str, Any]:
    asked = chosen(names, whole)
    named = set(names)
    made = {name: highlighted(whole[name], wanted, marks) for name in asked if name in named or name not in UNMARKED}
    return {name: value for name, value in made.items() if value is not None}


def _snippets(whole: Mapping[str, Any], asked: Asked, wanted: Wanted, marks: Marks) -> dict[str, Any]:
    """`name:20` is twenty words of it."""
    sizes: dict[str, int] = {}
    for text in asked.snippet:
        name, _, size = text.partition(":")
        sizes[name] = min(int(size), 1_000) if size.isdecimal() else SNIPPET_WORDS
    usual = sizes.get(EVERY, SNIPPET_WORDS)
    made = {
        name: snippet(whole[name], wanted, marks, max(1, sizes.get(name, usual)), asked.ellipsis)
        for name in chosen(sizes, whole)
        if name in sizes or name not in UNMARKED
    }
    return {name: value for name, value in made.items() if value is not None}
