"""How do learned numbers get into a folder and out again? Named float32 arrays as `.npy`, every one of them checked.

One NaN in a weight makes every score NaN, and a shop with empty lists; so both sides refuse it, with its name.
Not for: settings and names (JSON), nor for what is not learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bodega.errors import BodegaError, SnapshotCorrupt
from bodega.schema.arrays import Floats
from bodega.schema.table import mapped

Arrays = dict[str, Floats]
"""{name: learned numbers}; a name is also a file name."""


def save_weights(folder: Path, arrays: Mapping[str, Floats]) -> None:
    """Each array as `<name>.npy`, float32. Raises BodegaError where training ended in NaN or infinity."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise BodegaError(
                "training ended in numbers that are not finite",
                where=name,
                allowed="finite numbers",
                got=f"{np.count_nonzero(~np.isfinite(array)):,} of {array.size:,}",
                next="learn with a smaller learning rate",
            )
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array, np.float32))


def load_weights(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
    """Memory-map the named arrays. Raises SnapshotCorrupt: a missing file, another shape or type, NaN or infinity."""
    return {name: _loaded(folder / f"{name}.npy", shape) for name, shape in shapes.items()}


def _loaded(path: Path, shape: tuple[int, ...]) -> Floats:
    try:
        array = mapped(path)
    except (OSError, ValueError, EOFError) as error:
        raise _refused(path, "a .npy file of float32", str(error)) from error
    if array.dtype != np.float32 or array.shape != shape:
        raise _refused(path, f"float32 of shape {shape}", f"{array.dtype} of shape {array.shape}")
    if not np.isfinite(array).all():
        raise _refused(path, "finite numbers", f"{np.count_nonzero(~np.isfinite(array)):,} that are not")
    return array


def _refused(path: Path, allowed: str, got: str) -> SnapshotCorrupt:
    return SnapshotCorrupt(
        "the weights of a model cannot be used", where=str(path), allowed=allowed, got=got, next="bodega learn"
    )
