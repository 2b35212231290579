"""With nothing installed and nothing learned: what colours does a picture have, and which way do its edges run?

Answers: a direction in 624 dimensions.  Needs: numpy alone.  Good for: "the same colour", the same picture again, a
shop that has just begun.  Not for: what a thing is; a network that saw a million pictures knows that twice as well
(docs/decisions/0038).  Cost: 3 ms a picture.  Relations: `opening` falls back on it.
Paper: Swain and Ballard, Color Indexing, 1991; Dalal and Triggs, Histograms of Oriented Gradients, 2005. Roots of
shares are compared (Hellinger), so that one large white background does not outweigh all else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bodega.protocols import EncoderInfo, Pixels
from bodega.schema.arrays import Floats
from bodega.understanding.image._canvas import averaged

GRID = 64
"""Cells a side that a picture is averaged to."""
HUES, SHADES, LIGHTS = 12, 3, 3
"""Steps of hue, saturation and lightness; and one row of greys."""
GREYS = 8
CELLS, WAYS = 7, 8
"""Edges are counted in 7 x 7 blocks and 8 directions."""
_COLOURS = HUES * SHADES * LIGHTS + GREYS
COLOURS = 2 * _COLOURS
"""Numbers that say which colours there are: of the whole picture, then of its middle."""
DIMENSIONS = COLOURS + CELLS * CELLS * WAYS
EDGES = 0.6
"""Weight of the edges beside the colours."""


class HistogramEncoder:
    """Implements `protocols.ImageEncoder`."""

    info = EncoderInfo("histogram", DIMENSIONS, "histogram-1", (), "colours and edges, nothing learned")

    def encode(self, images: Sequence[Pixels]) -> Floats:
        """(len(images), info.dimensions), rows of length 1."""
        rows = np.zeros((len(images), self.info.dimensions), np.float32)
        for place, pixels in enumerate(images):
            rows[place] = _row(averaged(pixels, GRID, GRID) / np.float32(255))
        return rows


def _row(cells: Floats) -> Floats:
    """One vector: colours of all, colours of the middle (where the thing is), edges."""
    edges = _edges(cells.mean(axis=2))
    row = np.concatenate([colours(cells), EDGES * edges])
    return np.asarray(row / np.linalg.norm(row), np.float32)


def colours(cells: Floats) -> Floats:
    """(COLOURS,) of length 1: roots of the shares of each colour among (GRID, GRID, 3) cells of 0 to 1."""
    bins = _bins(cells)
    low, high = GRID // 5, GRID - GRID // 5
    whole = np.bincount(bins.ravel(), minlength=_COLOURS)
    middle = np.bincount(bins[low:high, low:high].ravel(), minlength=_COLOURS)
    shares = np.concatenate([np.sqrt(whole / whole.sum()), np.sqrt(middle / middle.sum())])
    return np.asarray(shares / np.sqrt(2), np.float32)


def _bins(cells: Floats) -> NDArray[np.int64]:
    """Which colour each cell has: hue, saturation and lightness, or a step of grey."""
    most, least = cells.max(axis=2), cells.min(axis=2)
    spread = most - least
    red, green, blue = cells[..., 0], cells[..., 1], cells[..., 2]
    safe = np.maximum(spread, 1e-6)
    hue = np.where(
        most == red,
        ((green - blue) / safe) % 6,
        np.where(most == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    saturation = spread / np.maximum(most, 1e-6)
    step = np.minimum((hue / 6 * HUES).astype(np.int64), HUES - 1)
    shade = np.minimum(((saturation - 0.15) / 0.85 * SHADES).astype(np.int64), SHADES - 1)
    light = np.minimum((most * LIGHTS).astype(np.int64), LIGHTS - 1)
    grey = np.minimum((most * GREYS).astype(np.int64), GREYS - 1)
    coloured = (saturation > 0.15) & (most > 0.15)
    bins = np.where(coloured, (step * SHADES + np.maximum(shade, 0)) * LIGHTS + light, _COLOURS - GREYS + grey)
    return np.asarray(bins, np.int64)


def _edges(light: Floats) -> Floats:
    """Root shares of the edges' directions in each block, of length 1 (zeros for a picture of one colour)."""
    down, right = np.zeros_like(light), np.zeros_like(light)
    down[1:-1] = light[2:] - light[:-2]
    right[:, 1:-1] = light[:, 2:] - light[:, :-2]
    size = np.hypot(down, right)
    way = ((np.arctan2(down, right) / np.pi) % 1 * WAYS).astype(np.int64) % WAYS
    block = np.minimum(np.arange(GRID) * CELLS // GRID, CELLS - 1)
    place = (block[:, None] * CELLS + block[None, :]) * WAYS + way
    sums = np.bincount(place.ravel(), weights=size.ravel(), minlength=CELLS * CELLS * WAYS)
    shares = np.sqrt(sums)
    length = float(np.linalg.norm(shares))
    return np.asarray(shares / length if length > 1e-6 else shares, np.float32)
