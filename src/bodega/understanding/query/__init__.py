"""What does a query say? Words to search, conditions to meet, wishes to prefer, and what it was corrected to.

    typed -> language, script -> spelling -> constraints (price, size, quantity, not) -> gazetteer (brand, colour,
    category, attributes of this shop) -> category intent -> synonyms -> Understood

Everything is learned from this shop's own catalog and log. Nothing is needed from a network.
"""

from __future__ import annotations

from bodega.understanding.query.refusals import spares, speaks_of
from bodega.understanding.query.understanding import Understanding
from bodega.understanding.query.understood import Understood, relaxations

__all__ = ["Understanding", "Understood", "relaxations", "spares", "speaks_of"]
