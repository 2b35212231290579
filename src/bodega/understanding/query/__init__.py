"""What does a query say? Words to search, conditions to meet, wishes to prefer, and what it was corrected to.

    typed -> language, script -> spelling -> constraints (price, size, quantity, not) -> gazetteer (brand, colour,
    category, attributes of this shop) -> category intent -> synonyms -> Understood

Everything is learned from this shop's own catalog and log. Nothing is needed from a network.
"""

from __future__ import annotations

from dataclasses import dataclass

from bodega.schema import Meaning


@dataclass(frozen=True, slots=True)
class Understood:
    """A query, taken apart. An unknown query is itself: `text` = `typed`, nothing else."""

    typed: str
    text: str
    """The words to search, spelling corrected, conditions taken out; may be empty ("under 50")."""
    language: str = ""
    corrected: str = ""
    """The whole query as searched where spelling changed it, else ""."""
    meanings: tuple[Meaning, ...] = ()
    alternatives: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Synonyms: (words of `text`, other ways to say them), folded."""
    rewrites: tuple[str, ...] = ()
    """Other wordings to try when nothing is found, best first."""
