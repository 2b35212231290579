"""What does a training that was killed find again? Its weights and where it was, in one file that a rename makes whole.

A state is written beside the last one, flushed to disk, and renamed over it: whatever moment the process dies at, one
whole state is left. Trainings of other data or other options have another key, hence another file.
Cost: weights and two moments, three times the model; every few hundred steps. Not for: what is served (`weights`).
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np

from bodega.retrieval._neural.weights import Arrays


class Place(msgspec.Struct, frozen=True):
    """Where the training was: the next batch is `number` of `epoch`."""

    epoch: int = 0
    number: int = 0
    judged: tuple[float, ...] = ()
    """What validation said after each whole epoch."""
    losses: tuple[float, ...] = ()
    """Mean loss of the steps of each whole epoch."""
    lost: float = 0.0
    """Sum of the losses of this epoch's steps so far."""


@dataclass(frozen=True, slots=True)
class State:
    """All that the rest of the training depends on, beside the data: arrays by group (`weights`, `first`, ...)."""

    place: Place
    groups: dict[str, Arrays] = field(default_factory=dict)


class Checkpoint:
    """The newest state of one training, `folder/<key>.npz`. `folder` None: nothing is kept, nothing is found."""

    def __init__(self, folder: Path | None, key: str) -> None:
        self._path = None if folder is None else folder / f"{key or 'training'}.npz"

    def latest(self) -> State | None:
        """The last state kept; None where there is none that can be read."""
        if self._path is None or not self._path.is_file():
            return None
        try:
            with np.load(self._path, allow_pickle=False) as held:
                place = msgspec.json.decode(held["place"].tobytes(), type=Place)
                groups: dict[str, Arrays] = {}
                for name in sorted(set(held.files) - {"place"}):
                    group, _, own = name.partition(".")
                    groups.setdefault(group, {})[own] = held[name]
        except (OSError, ValueError, EOFError, KeyError, msgspec.DecodeError, zipfile.BadZipFile):
            return None
        return State(place, groups)

    def keep(self, state: State) -> None:
        """Durable when this returns."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {f"{group}.{name}": array for group, held in state.groups.items() for name, array in held.items()}
        place = np.frombuffer(msgspec.json.encode(state.place), np.uint8)
        making = self._path.with_suffix(".making")
        with making.open("wb") as file:
            np.savez(file, allow_pickle=False, place=place, **arrays)
            file.flush()
            os.fsync(file.fileno())
        making.replace(self._path)


def key_of(facts: msgspec.Struct, *arrays: object) -> str:
    """A name for this data under these options: 16 hex digits."""
    digest = sha256(msgspec.json.encode(facts, order="sorted"))
    for array in arrays:
        held = np.ascontiguousarray(array)
        digest.update(str(held.shape).encode())
        digest.update(held.tobytes())
    return digest.hexdigest()[:16]
