"""A shop with photos and no pretrained network: what did its own photos teach a small one?

Four convolutions and a pooled vector of 128 numbers, beside the histogram's colours; taught by `_own_training` that two
views of a photo, and two photos of a category, are near, and all others far. Answers: a direction in 752 dimensions.
Needs: onnxruntime, and `bodega pictures --train` (extra `neural`) once.  Good for: a few thousand photos of kinds that
ImageNet does not know.  Not for: a shop that may install the extra `images`: the network there saw a thousand times as
many photos (docs/decisions/0038 has both on the same photos).
Cost: 2 ms a picture; training 1 to 4 minutes.  Kept as flat arrays; the ONNX graph is written when it is opened.
Paper: Khosla et al., Supervised Contrastive Learning, 2020; Chen et al., SimCLR, 2020.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from bodega.protocols import EncoderInfo, Pixels
from bodega.schema.arrays import Floats
from bodega.understanding.image._canvas import averaged
from bodega.understanding.image.histogram import HistogramEncoder
from bodega.understanding.text._onnx import session
from bodega.understanding.text._proto import floats, model, node, tensor
from bodega.understanding.text.static import unit

SIDE = 64
"""Pixels a side that the network looks at."""
CHANNELS = (24, 48, 96, 128)
WIDTH = CHANNELS[-1]
COLOURS = 0.5
"""Share of the histogram in a comparison."""

Weights = Mapping[str, Floats]
"""`w0` (24, 3, 3, 3), `b0` (24,), ... `w3`, `b3`."""


class OwnEncoder:
    """Implements `protocols.ImageEncoder`."""

    def __init__(self, weights: Weights, origin: str) -> None:
        self.weights = {name: np.ascontiguousarray(weights[name], np.float32) for name in sorted(weights)}
        told = hashlib.sha256()
        for values in self.weights.values():
            told.update(values.tobytes())
        self._histogram = HistogramEncoder()
        width = WIDTH + self._histogram.info.dimensions
        self.info = EncoderInfo("own", width, told.hexdigest()[:16], (), origin)
        self._session = session(graph(self.weights))

    def encode(self, images: Sequence[Pixels]) -> Floats:
        """(len(images), info.dimensions), rows of length 1."""
        if not images:
            return np.zeros((0, self.info.dimensions), np.float32)
        seen: Floats = self._session.run(None, {"pixels": planes(images)})[0]
        parts = [np.sqrt(1 - COLOURS) * unit(seen), np.sqrt(COLOURS) * self._histogram.encode(images)]
        return unit(np.asarray(np.concatenate(parts, axis=1), np.float32))

    def save(self, folder: Path) -> None:
        """Flat arrays and JSON."""
        for name, values in self.weights.items():
            np.save(folder / f"{name}.npy", values)
        (folder / "encoder.json").write_bytes(msgspec.json.encode(self.info))

    @classmethod
    def load(cls, folder: Path) -> OwnEncoder:
        info = msgspec.json.decode((folder / "encoder.json").read_bytes(), type=EncoderInfo)
        names = [f"{kind}{layer}" for kind in "wb" for layer in range(len(CHANNELS))]
        return cls({name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in names}, info.origin)


def planes(images: Sequence[Pixels]) -> Floats:
    """(len(images), 3, 64, 64) of -1 to 1."""
    small = np.stack([averaged(pixels, SIDE, SIDE) for pixels in images])
    return np.ascontiguousarray((small / np.float32(127.5) - 1).transpose(0, 3, 1, 2), np.float32)


def graph(weights: Weights) -> bytes:
    """An ONNX model: `pixels` (pictures, 3, 64, 64) -> `seen` (pictures, 128)."""
    nodes, last = [], "pixels"
    for layer in range(len(CHANNELS)):
        attributes = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
        nodes.append(node("Conv", [last, f"w{layer}", f"b{layer}"], [f"c{layer}"], attributes))
        nodes.append(node("Relu", [f"c{layer}"], [f"r{layer}"]))
        last = f"r{layer}"
    nodes.append(node("GlobalAveragePool", [last], ["pooled"]))
    nodes.append(node("Flatten", ["pooled"], ["seen"], {"axis": 1}))
    constants = [tensor(name, values) for name, values in weights.items()]
    return model(
        nodes, constants, [floats("pixels", ("pictures", 3, SIDE, SIDE))], [floats("seen", ("pictures", WIDTH))]
    )
