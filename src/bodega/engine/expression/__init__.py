"""Which items does a condition keep? A small, safe filter language: text to a typed tree to flags over a table.

    parse('brand = "Acme" AND price < 50') -> And(Is, Between)      language.py, with the grammar
    keep(table, expression) -> bool, (n_items,)                     masks.py
    str(expression) -> text that `parse` reads back as the same tree    tree.py

Useful for: what a program or a person writes as one condition with AND, OR and NOT. Not for: facets a shopper ticks
one by one (those are `Filter`s: their counts leave their own field out) and words to search.
"""

from bodega.engine.expression.language import LENGTH_LIMIT, parse, pointed
from bodega.engine.expression.masks import AVAILABLE, keep, of_filter
from bodega.engine.expression.tree import (
    DEPTH_LIMIT,
    TERMS_LIMIT,
    And,
    Between,
    Expression,
    Is,
    Not,
    Or,
    all_of,
    any_of,
    bounded,
    conditions,
)

__all__ = [
    "AVAILABLE",
    "DEPTH_LIMIT",
    "LENGTH_LIMIT",
    "TERMS_LIMIT",
    "And",
    "Between",
    "Expression",
    "Is",
    "Not",
    "Or",
    "all_of",
    "any_of",
    "bounded",
    "conditions",
    "keep",
    "of_filter",
    "parse",
    "pointed",
]
