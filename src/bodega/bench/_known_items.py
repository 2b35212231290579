"""Queries with a known answer, made from a catalog's own titles: search is tuned on them, so real queries stay a test.

A shopper who knows the product types some of its words, in any order, in another form, with an error, glued or cut
apart, or a word that only the description has. Each recipe does one of these to a seeded draw of items.
Not for: claims about real shoppers (the words come from the answer itself, so scores are high); only for comparing
settings with each other.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bodega.schema import Item
from bodega.understanding import language

FEWEST_WORDS = 4
"""Titles with fewer different words name nothing in particular."""


@dataclass(frozen=True, slots=True)
class KnownItem:
    """One query, the row of the item that is meant, and the recipe that made the query."""

    query: str
    row: int
    recipe: str


Recipe = Callable[[random.Random, list[str], Item], str]


def known_items(items: Sequence[Item], count: int, seed: int) -> list[KnownItem]:
    """`count` queries, the recipes in turn, items drawn without repeats (as far as they last)."""
    rng = random.Random(seed)  # noqa: S311 - a benchmark draw, not a secret
    out: list[KnownItem] = []
    for row in rng.sample(range(len(items)), len(items)):
        if len(out) >= count:
            break
        words = list(dict.fromkeys(language.words(items[row].title)))
        if len([word for word in words if word not in language.STOP_WORDS]) < FEWEST_WORDS:
            continue
        name = list(RECIPES)[len(out) % len(RECIPES)]
        query = RECIPES[name](rng, words, items[row])
        if query:
            out.append(KnownItem(query, row, name))
    return out


def _some(rng: random.Random, words: list[str], low: int, high: int) -> list[str]:
    return rng.sample(words, min(len(words), rng.randint(low, high)))


def _subset(rng: random.Random, words: list[str], item: Item) -> str:
    del item
    return " ".join(_some(rng, words, 2, 5))


def _in_order(rng: random.Random, words: list[str], item: Item) -> str:
    """Neighbouring words in the order of the title, as people copy or remember them."""
    del item
    size = min(len(words), rng.randint(2, 5))
    first = rng.randint(0, len(words) - size)
    return " ".join(words[first : first + size])


def _branded(rng: random.Random, words: list[str], item: Item) -> str:
    return f"{item.brand} {' '.join(_some(rng, words, 1, 3))}" if item.brand else _subset(rng, words, item)


def _other_form(rng: random.Random, words: list[str], item: Item) -> str:
    """One word in the singular instead of the plural, or the other way round."""
    del item
    chosen = _some(rng, words, 2, 4)
    places = [place for place, word in enumerate(chosen) if word.isalpha() and len(word) > 3]
    if places:
        place = rng.choice(places)
        chosen[place] = chosen[place][:-1] if chosen[place].endswith("s") else chosen[place] + "s"
    return " ".join(chosen)


def _typing_error(rng: random.Random, words: list[str], item: Item) -> str:
    del item
    long = [word for word in words if word.isalpha() and word.isascii() and len(word) > 4]
    if not long:
        return ""
    wrong = rng.choice(long)
    others = _some(rng, [word for word in words if word != wrong], 1, 3)
    return " ".join([misspelled(rng, wrong), *others])


def _glued(rng: random.Random, words: list[str], item: Item) -> str:
    """Two neighbours of the title written as one word, or a compound written apart."""
    del item
    place = rng.randrange(len(words) - 1)
    pair = words[place] + words[place + 1]
    return " ".join([pair, *_some(rng, words[:place] + words[place + 2 :], 1, 2)])


def _from_description(rng: random.Random, words: list[str], item: Item) -> str:
    told = [word for word in dict.fromkeys(language.words(item.description)) if len(word) > 3 and word not in words]
    return " ".join(_some(rng, words, 1, 3) + _some(rng, told, 1, 2)) if len(told) > 5 else ""


RECIPES: dict[str, Recipe] = {
    "subset": _subset,
    "in order": _in_order,
    "branded": _branded,
    "other form": _other_form,
    "typing error": _typing_error,
    "glued": _glued,
    "from description": _from_description,
}


def misspelled(rng: random.Random, word: str) -> str:
    """One random error: a letter left out, doubled, swapped with its neighbour, or replaced."""
    place = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:place] + word[place + 1 :]
    if kind == 1:
        return word[:place] + word[place] + word[place:]
    if kind == 2:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + rng.choice(string.ascii_lowercase) + word[place + 1 :]
