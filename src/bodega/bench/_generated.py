"""A generated catalog of any size, for questions of speed only: never for questions of quality.

Titles look like a shop's: brand, qualities, kind, model; words follow Zipf's law, so that postings have the long and
short lengths of real ones. Three levels of categories, four facets, prices, one item in twenty sold out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bodega.schema import Availability, Item

KINDS = 2_000
BRANDS = 3_000
QUALITIES = 4_000
_COLOURS = "black white red blue green grey brown beige pink silver gold navy purple orange yellow"
COLOURS = tuple(_COLOURS.split())
_SOUNDS = "ba be bo da de do fa fi ga go ka ke ki ko la le li lo ma me mi mo na ne no pa pe po ra re ri ro sa se"
_SYLLABLES = tuple(_SOUNDS.split())


def generated_items(count: int, seed: int) -> Iterator[Item]:
    """`count` items, the same for the same seed."""
    rng = np.random.default_rng(seed)
    kinds, brands, qualities = (_names(size, rng) for size in (KINDS, BRANDS, QUALITIES))
    block = 10_000
    for start in range(0, count, block):
        size = min(block, count - start)
        kind, brand = _zipf(rng, KINDS, size), _zipf(rng, BRANDS, size)
        words = _zipf(rng, QUALITIES, size * 4).reshape(size, 4)
        price = np.round(np.exp(rng.normal(3.2, 1.0, size)), 2)
        colour, model, gone = rng.integers(15, size=size), rng.integers(100, 9_999, size), rng.random(size) < 0.05
        for row in range(size):
            said = " ".join(qualities[word] for word in words[row, : 2 + row % 3])
            name, maker = kinds[kind[row]], brands[brand[row]]
            yield Item(
                id=f"g{start + row}",
                title=f"{maker.title()} {said} {COLOURS[colour[row]]} {name} {maker[:2]}{model[row]}",
                brand=maker.title(),
                category=(f"Hall {kind[row] % 20}", f"Aisle {kind[row] % 200}", name.title()),
                price=float(price[row]),
                currency="USD",
                availability=Availability.OUT_OF_STOCK if gone[row] else Availability.IN_STOCK,
                attributes={"colour": COLOURS[colour[row]], "size": str(36 + int(words[row, 0]) % 12)},
            )


def generated_queries(titles: list[str], count: int, seed: int) -> list[str]:
    """Two to four words of random titles, in their order."""
    rng = np.random.default_rng(seed)
    out = []
    for row in rng.integers(len(titles), size=count).tolist():
        words = titles[row].lower().split()[:-1]
        some = np.sort(rng.choice(len(words), min(len(words), int(rng.integers(2, 5))), replace=False))
        out.append(" ".join(words[at] for at in some))
    return out


def _names(count: int, rng: np.random.Generator) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rng.choice(_SYLLABLES, int(rng.integers(2, 5))))] = None
    return list(found)


def _zipf(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    weight = 1 / (np.arange(size) + 10.0)
    return rng.choice(size, count, p=weight / weight.sum())
