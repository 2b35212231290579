"""How much does the item read like what the shopper wants now? Shared words and attribute values, rare ones heavy."""

from __future__ import annotations

from collections.abc import Sequence

from bodega.features.feature import Asked
from bodega.schema.arrays import Floats


class Match:
    """Cosine to the newest seed, the highest to any seed, the faded mean over all (see `Asked.seeds`)."""

    name = "match"

    def columns(self, sources: Sequence[str]) -> tuple[str, ...]:
        del sources
        return tuple(f"{self.name}.{name}" for name in ("last", "best", "profile"))

    def value(self, asked: Asked) -> Floats:
        return asked.state.bags.near(asked.seeds, asked.weights, asked.items)
