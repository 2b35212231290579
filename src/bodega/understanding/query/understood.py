"""What was understood of a query, as one value; and what to give up, step by step, when nothing is found."""

from __future__ import annotations

from dataclasses import dataclass, replace

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


def relaxations(understood: Understood) -> list[tuple[str, Understood]]:
    """What to try when nothing is found: (name of what is given up, the query without it), mildest step first.

    Conditions go one by one, the one said last goes first, the price goes last; each step keeps what the steps before
    gave up. What the shopper does *not* want is never given up: better no silk than a silk dress.

    >>> price = Meaning(kind="price", text="under 50", start=10, end=18, field="price", high=50.0, hard=True)
    >>> [name for name, _ in relaxations(Understood("red dress under 50", "red dress", meanings=(price,)))]
    ['price']
    """
    conditions = [meaning for meaning in understood.meanings if meaning.hard and not meaning.excludes]
    conditions.sort(key=lambda meaning: (meaning.kind == "price", -meaning.start))
    steps: list[tuple[str, Understood]] = []
    for meaning in conditions:
        left = tuple(other for other in understood.meanings if other is not meaning)
        understood = replace(understood, meanings=left)
        steps.append((meaning.field or meaning.kind, understood))
    return steps
