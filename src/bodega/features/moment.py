"""When is it? Hour and weekday (UTC), as points on circles, so that Sunday lies beside Monday."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bodega.features.feature import Asked
from bodega.features.state import DAY
from bodega.schema.arrays import Floats


class Moment:
    """The same for all items of a request: it only matters together with other features."""

    name = "moment"

    def columns(self, sources: Sequence[str]) -> tuple[str, ...]:
        del sources
        return tuple(f"{self.name}.{name}" for name in ("hour.sin", "hour.cos", "week.sin", "week.cos"))

    def value(self, asked: Asked) -> Floats:
        turns = 2 * np.pi * np.array([asked.context.now / DAY % 1, asked.context.now / (7 * DAY) % 1])
        facts = np.stack([np.sin(turns), np.cos(turns)], axis=1).ravel().astype(np.float32)
        return np.repeat(facts[:, None], len(asked.items), axis=1)
