"""What does a training that was killed find again? Its weights and where it was, in a folder that a rename makes whole.

A state is written beside the last one, flushed to disk, renamed, and only then the last one is removed: whatever moment
the process dies at, one whole state is left. States of other data or other options have another key and are not seen.
Cost: weights and two moments, three times the model; every few hundred steps. Not for: what is served (`weights`).
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np

from bodega.retrieval._neural.weights import Arrays
from bodega.schema.arrays import Floats


class Place(msgspec.Struct, frozen=True):
    """Where the training was: the next batch is `number` of `epoch`."""

    epoch: int = 0
    number: int = 0
    judged: tuple[float, ...] = ()
    """What validation said after each whole epoch."""


@dataclass(frozen=True, slots=True)
class State:
    """All that the rest of the training depends on, beside the data: arrays by group (`weights`, `first`, ...)."""

    place: Place
    groups: dict[str, Arrays] = field(default_factory=dict)


class Checkpoints:
    """The states of one training, in `folder/key`. `folder` None: nothing is kept, nothing is found."""

    def __init__(self, folder: Path | None, key: str) -> None:
        self._folder = None if folder is None else folder / key

    def latest(self) -> State | None:
        """The newest whole state."""
        for found in reversed(self._whole()):
            try:
                return _read(found)
            except (OSError, ValueError, EOFError, msgspec.DecodeError):
                continue  # written by a process that lost power: the one before, or from the beginning
        return None

    def keep(self, state: State) -> None:
        """Durable when this returns."""
        if self._folder is None:
            return
        before = self._whole()
        name = f"{state.place.epoch:06d}-{state.place.number:08d}"
        making = self._folder / f"{name}.making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        for group, arrays in state.groups.items():
            for array_name, array in arrays.items():
                with (making / f"{group}.{array_name}.npy").open("wb") as file:
                    np.save(file, array)
                    _flushed(file.fileno())
        with (making / "place.json").open("wb") as file:
            file.write(msgspec.json.encode(state.place))
            file.flush()
            _flushed(file.fileno())
        shutil.rmtree(self._folder / name, ignore_errors=True)
        making.rename(self._folder / name)
        for old in before:
            if old.name != name:
                shutil.rmtree(old, ignore_errors=True)

    def _whole(self) -> list[Path]:
        if self._folder is None or not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if path.is_dir() and path.suffix != ".making")


def key_of(facts: msgspec.Struct, *arrays: object) -> str:
    """A name for this data under these options: 16 hex digits."""
    digest = sha256(msgspec.json.encode(facts, order="sorted"))
    for array in arrays:
        held = np.ascontiguousarray(array)
        digest.update(str(held.shape).encode())
        digest.update(held.tobytes())
    return digest.hexdigest()[:16]


def _read(folder: Path) -> State:
    place = msgspec.json.decode((folder / "place.json").read_bytes(), type=Place)
    groups: dict[str, Arrays] = {}
    for path in sorted(folder.glob("*.npy")):
        group, _, name = path.name.removesuffix(".npy").partition(".")
        array: Floats = np.load(path, allow_pickle=False)
        groups.setdefault(group, {})[name] = array
    return State(place, groups)


def _flushed(handle: int) -> None:
    os.fsync(handle)
