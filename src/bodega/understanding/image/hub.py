"""SigLIP, CLIP, DINOv2 or any image network of `transformers`, by its hub name or from a folder, as an encoder.

Answers: a direction; how many dimensions the model says.  Needs: the extra `adapters` (torch, hundreds of MB) and,
unless the name is a folder or the model is in the local cache, a network.  Good for: the model that a shop knows, or
one that `bodega adapt` tuned.  Not for: the default; a base-size network on a CPU takes some 100 ms a picture.
Pictures are brought into shape as the model's own `preprocessor_config.json` says. Nothing is executed from the hub (no
remote code), and weights are read from safetensors only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.errors import BadSettings, MissingExtra
from bodega.protocols import EncoderInfo, Pixels
from bodega.schema.arrays import Floats
from bodega.understanding.image._canvas import filled, squeezed
from bodega.understanding.text.static import unit

BATCH = 16
_HALVES = (0.5, 0.5, 0.5)


@dataclass(frozen=True, slots=True)
class Shape:
    """How a model wants its pictures."""

    size: int = 224
    crop: bool = True
    """The middle of the picture, or all of it, squeezed."""
    edge: int = 0
    """Shorter side before the middle of `size` is cut out of it; 0: `size`."""
    mean: tuple[float, ...] = _HALVES
    deviation: tuple[float, ...] = _HALVES

    @classmethod
    def of(cls, told: dict[str, Any]) -> Shape:
        """From a preprocessor_config.json."""
        size, crop = _sides(told.get("size", 224)), _sides(told.get("crop_size", 0))
        cut = bool(told.get("do_center_crop", bool(crop)))
        mean, deviation = told.get("image_mean", _HALVES), told.get("image_std", _HALVES)
        return cls((crop or size) if cut else size, cut, size if cut else 0, tuple(mean), tuple(deviation))

    def planes(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(len(images), 3, size, size), ready for the network."""
        squares = np.stack([self._square(pixels) for pixels in images]).astype(np.float32) / np.float32(255)
        normal = (squares - np.array(self.mean, np.float32)) / np.array(self.deviation, np.float32)
        return np.ascontiguousarray(normal.transpose(0, 3, 1, 2))

    def _square(self, pixels: Pixels) -> Pixels:
        if not self.crop:
            return squeezed(pixels, self.size)
        edge = max(self.edge, self.size)
        start = (edge - self.size) // 2
        return filled(pixels, edge)[start : start + self.size, start : start + self.size]


class HubImageEncoder:
    """Implements `protocols.ImageEncoder` over a model of `transformers`, on the CPU."""

    def __init__(self, name: str) -> None:
        """Raises MissingExtra without the packages, BadSettings when the model cannot be loaded."""
        self.model, self.shape = load(name)
        width = self.encode([np.zeros((8, 8, 3), np.uint8)]).shape[1]
        self.info = EncoderInfo(f"hub:{name}", width, _digest(self.model), (), f"hub model {name}")

    def encode(self, images: Sequence[Pixels]) -> Floats:
        """(len(images), info.dimensions), rows of length 1."""
        import torch

        rows: list[Floats] = []
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                planes = torch.from_numpy(self.shape.planes(images[start : start + BATCH]))
                rows.append(unit(np.asarray(features(self.model, planes).float().numpy(), np.float32)))
        if not rows:
            return np.zeros((0, self.info.dimensions), np.float32)
        return np.concatenate(rows)


def features(model: Any, planes: Any) -> Any:
    """(pictures, dimensions) of a network: its image features (CLIP, SigLIP), else what it pools, else the mean."""
    if hasattr(model, "get_image_features"):
        said = model.get_image_features(pixel_values=planes)
    else:
        said = model(pixel_values=planes)
    for name in ("image_embeds", "pooler_output"):
        pooled = getattr(said, name, None)
        if pooled is not None:
            return pooled.flatten(1)
    if hasattr(said, "last_hidden_state"):
        hidden = said.last_hidden_state
        return hidden.mean(1) if hidden.ndim == 3 else hidden.mean((2, 3))
    return said


def load(name: str) -> tuple[Any, Shape]:
    """(the network, how it wants its pictures). Raises MissingExtra, BadSettings."""
    try:
        from transformers import AutoModel
        from transformers.utils.hub import cached_file
    except ImportError as error:
        raise MissingExtra.named("adapters", needed_for=f"the encoder 'hub:{name}'") from error
    try:
        model = AutoModel.from_pretrained(name, trust_remote_code=False, use_safetensors=True)
        file = cached_file(name, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False)
        told = msgspec.json.decode(Path(file).read_bytes()) if file else {}
        return model.eval(), Shape.of(told)
    except Exception as error:  # its own errors, the hub's, the disk's: all mean "not loaded"
        raise BadSettings(
            "this image model cannot be loaded",
            where=f"encoder 'hub:{name}'",
            allowed="a name that transformers can load here, or a folder with such a model in safetensors",
            got=error,
            next="mend the name, or fetch the model on a machine with a network and name its folder",
        ) from error


def _sides(told: Any) -> int:
    """A size as the many versions of that file write it."""
    if isinstance(told, dict):
        return int(told.get("shortest_edge") or told.get("height") or 0)
    return int(told[0]) if isinstance(told, list) else int(told)


def _digest(model: Any) -> str:
    """SHA-256 over names and bytes of all weights, in the order of their names."""
    told = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        told.update(name.encode())
        told.update(np.ascontiguousarray(weights.detach().float().cpu().numpy()).tobytes())
    return told.hexdigest()[:16]
