"""What is there in a shop, and how can one thing be to another? The nodes and relations of the knowledge graph, named.

Every relation has a direction; `SYMMETRIC` ones hold both ways. What a thing *is* (brand, category, value, need, query)
joins items to nodes that are no items; what it is *to others* joins items to items. The last three are what a shop says
itself (`Item.links`). Not for: how any of it is found out (`building`).
"""

from __future__ import annotations

from typing import Final

ITEM, GROUP, BRAND, CATEGORY, VALUE, NEED, QUERY = range(7)

KINDS: Final = ("item", "group", "brand", "category", "value", "need", "query")
"""Kinds of nodes; a node's kind is a row of this."""

BELONGS: Final = (
    "variant_of",
    "has_brand",
    "in_category",
    "has_attribute",
    "serves_need",
    "answers_query",
)
"""From an item to what it is: group, brand, every level of its category, attribute values, needs, queries."""

BETWEEN: Final = ("substitute", "complement", "accessory", "upgrade", "related", "upsell", "crosssell")
"""From an item to an item."""

RELATIONS: Final = (*BELONGS, *BETWEEN)
"""All of them; a relation's code is its row. Append only: snapshots use the codes."""

CODE: Final = {name: code for code, name in enumerate(RELATIONS)}

SYMMETRIC: Final = frozenset({"substitute"})

GIVEN: Final = ("related", "upsell", "crosssell")
"""What a shop may say of its items itself."""

LISTED: Final = ("variant", "substitute", "upgrade", "complement", "accessory", *GIVEN)
"""What a product page may show of an item."""

INSTEAD: Final = {"substitute": 1.0, "upgrade": 0.8, "related": 0.8, "upsell": 0.8}
"""Relations that lead to what could stand in for an item, and how much each counts."""

BESIDE: Final = {"complement": 1.0, "accessory": 0.5, "crosssell": 1.0}
"""Relations that lead to what goes with an item. An accessory is a complement as well: it counts one and a half."""
