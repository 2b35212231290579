"""What is a good list, beyond good items? Unlike neighbours, new faces, nothing the shopper is tired of.

    likeness   how alike are two items, by title and attributes?
    select     greedy orders of one list: MMR, DPP, caps
    fatigue    what has this shopper had enough of?
    stage      the stage: a dial a place, the head of a list in a new order

Useful for: pages that are looked at as a whole. Not for: accuracy; every dial costs some of it, and
`bodega bench diversity` prints how much (docs/decisions/0026-diversity-and-fatigue.md).
"""

from bodega.ranking.diversify.fatigue import Rebuys, Tired, Weariness
from bodega.ranking.diversify.likeness import Likeness, distance
from bodega.ranking.diversify.select import Cap, capped, dpp, mmr
from bodega.ranking.diversify.stage import Diversify, Mixed, Shown
from bodega.schema import Diversity

__all__ = [
    "Cap",
    "Diversify",
    "Diversity",
    "Likeness",
    "Mixed",
    "Rebuys",
    "Shown",
    "Tired",
    "Weariness",
    "capped",
    "distance",
    "dpp",
    "mmr",
]
