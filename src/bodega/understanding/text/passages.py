"""What of an item does an encoder read? One short text, the same for every encoder: what a shopper would call it first.

Title, brand, the two deepest category names and short attributes; then the first words of the description, because
encoders weigh all words of a text about equally and long descriptions drown the title.
Not for: lexical search, which reads all fields apart.
"""

from __future__ import annotations

from bodega.schema import Item
from bodega.schema.nouns import AttributeValue

LONGEST_VALUE = 40
"""Characters of an attribute that is still a name ("dark blue"), not a text."""
MOST_VALUES = 6
DESCRIPTION_WORDS = 0


def passage(item: Item) -> str:
    """The text that stands for an item, title first.

    >>> passage(Item(id="1", title="Trail shoe", brand="Acme", category=("Shoes", "Hiking"), options={"colour": "red"}))
    'Trail shoe. Acme. Hiking. red'
    """
    told = item.description.split(None, DESCRIPTION_WORDS)[:DESCRIPTION_WORDS]
    parts = [item.title, item.brand, *item.category[-1:], *_values(item), " ".join(told)]
    return ". ".join(part for part in dict.fromkeys(part.strip() for part in parts) if part)


def _values(item: Item) -> list[str]:
    """Short text values of attributes and options, in the order of their names."""
    held: dict[str, AttributeValue] = {**item.attributes, **item.options}
    texts: list[str] = []
    for name in sorted(held):
        value = held[name]
        texts += [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [text for text in texts if 0 < len(text) <= LONGEST_VALUE][:MOST_VALUES]
