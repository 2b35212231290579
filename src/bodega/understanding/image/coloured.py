"""What a network says of a picture, and beside it which colours it has: two kinds of likeness in one vector.

A network that was taught kinds of things looks past colour, so that the same garment from behind is found less often
than by a histogram of colours; a histogram takes any red thing for any other. Both stand in one vector, a part each:
the network's numbers first, then roots of the shares of 116 colours, of the whole picture and of its middle. `PART` of
the squared length is the colours', so that a plain cosine is nearly the network's; who wants the colours asks for the
last `info.colours` numbers (`retrieval.pictures`, docs/decisions/0055-photos-and-colours.md).
Cost: .7 ms and 232 numbers a picture beside the network's. Needs: Pillow. Not for: encoders that hold colours already.
Paper: Swain and Ballard, Color Indexing, 1991.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bodega.protocols import EncoderInfo, ImageEncoder, Pixels
from bodega.schema.arrays import Floats
from bodega.understanding.image._canvas import shrunk
from bodega.understanding.image.histogram import COLOURS, GRID, colours

PART = 0.04
"""Of the squared length of a vector: small beside the network, large beside the rounding of a photo's token."""
_MADE = "colours-1"


class Coloured:
    """Implements `protocols.ImageEncoder` around another one."""

    def __init__(self, encoder: ImageEncoder) -> None:
        self.encoder = encoder
        """What is said beside the colours; rows of length 1."""
        info = encoder.info
        told = hashlib.sha256(f"{info.digest} {_MADE}".encode()).hexdigest()[:16]
        self.info: EncoderInfo = replace(info, dimensions=info.dimensions + COLOURS, digest=told, colours=COLOURS)

    def encode(self, images: Sequence[Pixels]) -> Floats:
        """(len(images), info.dimensions), rows of length 1."""
        rows = np.empty((len(images), self.info.dimensions), np.float32)
        rows[:, :-COLOURS] = np.float32((1 - PART) ** 0.5) * self.encoder.encode(images)
        for row, pixels in zip(rows, images, strict=True):
            row[-COLOURS:] = np.float32(PART**0.5) * colours(shrunk(pixels, GRID) / np.float32(255))
        return rows


def parted(vectors: Floats, n_colours: int) -> tuple[Floats, Floats]:
    """((n, d - n_colours) of the network, (n, n_colours) of the colours), rows of length 1 or 0."""
    if not n_colours:
        return vectors, vectors[:, :0]
    return _unit(vectors[:, :-n_colours]), _unit(vectors[:, -n_colours:])


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1), np.float32)
