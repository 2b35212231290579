"""Learned numbers as files, and the refusal of what cannot be served: with a NaN weight all are equal, in silence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bodega.errors import SnapshotCorrupt

Shape = tuple[int | None, ...]
"""None: any length."""


def write(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Each array as `<name>.npy`: equal arrays give equal bytes."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array))


def read(folder: Path, shapes: Mapping[str, Shape]) -> dict[str, NDArray[Any]]:
    """What `write` wrote. Raises SnapshotCorrupt where a file is missing, not finite, or has another shape."""
    held = {}
    for name, shape in shapes.items():
        path = folder / f"{name}.npy"
        try:
            array = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise _corrupt(path, "a readable array", str(error)) from error
        if array.ndim != len(shape) or any(
            want not in (None, own) for want, own in zip(shape, array.shape, strict=True)
        ):
            raise _corrupt(path, f"shape {shape}", f"shape {array.shape}")
        if not np.isfinite(array).all():
            raise _corrupt(path, "finite numbers", f"{int((~np.isfinite(array)).sum())} that are NaN or infinite")
        held[name] = array
    return held


def _corrupt(path: Path, allowed: str, got: str) -> SnapshotCorrupt:
    return SnapshotCorrupt(
        "a learned ranker cannot be used", where=str(path), allowed=allowed, got=got, next="bodega learn"
    )
