"""The verbs of what computes: sources, encoders, stages, and who is told how far they are.

They work on arrays and know no store. Not for: keeping anything (`stores`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bodega.schema import Candidates, Context, ItemTable, World


@runtime_checkable
class Source(Protocol):
    """Which few hundred items could be right? One idea, one file in `retrieval/`, one name everywhere.

    Contract: unknown shopper, unknown item, empty history or empty query give no candidates (or popular ones),
    never an exception; an item the source knows nothing about scores NaN; the same context gives the same answer
    whatever was asked before; `retrieve(context, k)` are the k best of `score(context, all items)`, best first,
    without repeats, all finite; ties are broken by the lower item index.
    """

    name: str

    def fit(self, world: World) -> Self:
        """Learn from the world; returns itself. Same world, same result, whatever the number of threads."""
        ...

    def retrieve(self, context: Context, k: int) -> Candidates:
        """At most k candidates, best first, with one score column named `self.name`."""
        ...

    def score(self, context: Context, items: NDArray[np.int32]) -> NDArray[np.float32]:
        """This source's score of the given items, shape (len(items),); NaN where it has no opinion."""
        ...

    def save(self, folder: Path) -> None:
        """Write flat arrays and JSON into the (existing, empty) folder: equal models give equal bytes, never pickle."""
        ...

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        """Memory-map what `save` wrote."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A source that can tell which of the seeds led it to an item."""

    def because(self, context: Context, items: NDArray[np.int32], limit: int) -> NDArray[np.int32]:
        """For each item the seeds (of anchors or history) that gave it its score: (len(items), limit).

        Strongest first; -1 where there are fewer.
        """
        ...


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """Which encoder is it? Shown wherever its vectors are used, and written into every snapshot that holds them."""

    name: str
    """E.g. `static`, `e5-small`, `minilm-l6`, `hub:BAAI/bge-small-en-v1.5`, `endpoint:text-embedding-3-small`."""
    dimensions: int
    digest: str
    """SHA-256 of the weights (first 16 hex digits); "" where they lie behind an endpoint."""
    languages: tuple[str, ...] = ("en",)
    origin: str = ""
    """Where the weights come from, for people: "learned from this shop's catalog and clicks", a package, a hub name."""
    colours: int = 0
    """Of pictures: the last so many dimensions say which colours there are, the others what is shown."""


class Encoder(Protocol):
    """What do these texts mean, as vectors? Near in meaning = near in direction.

    Contract: rows have length 1 (float32), a text without any known word gives a row of zeros, the same text gives the
    same row whatever else is in the batch (to 1e-5), never an exception for any text; hostile length is cut.
    """

    info: EncoderInfo

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        """(len(texts), info.dimensions); `query` says that the texts are questions, where the encoder cares."""
        ...


Pixels = NDArray[np.uint8]
"""One picture as encoders see it: (height, width, 3), red, green and blue, upright, nothing transparent left."""


class ImageEncoder(Protocol):
    """What do these pictures show, as vectors? Near in looks = near in direction. The twin of `Encoder`.

    Contract: rows have length 1 (float32), a picture without any content (one colour) gives some row and never NaN, the
    same picture gives the same row whatever else is in the batch (to 1e-5), any height and width from 1 on is taken.
    """

    info: EncoderInfo

    def encode(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(len(images), info.dimensions)."""
        ...


class PictureVectors(Protocol):
    """What the picture job knows of the pictures that items name: one vector each, kept until the encoder changes."""

    @property
    def info(self) -> EncoderInfo | None:
        """The encoder; None where no picture was ever looked at."""
        ...

    def of(self, references: Sequence[str]) -> NDArray[np.float32]:
        """(len(references), info.dimensions) for entries of `Item.images`; rows of zeros for what was not read."""
        ...


class Stage(Protocol):
    """In what order? Takes candidates, returns candidates (fewer, or in another order, with `score` set)."""

    def rank(self, context: Context, candidates: Candidates) -> Candidates: ...


class Progress(Protocol):
    """How long work tells where it is. `NoProgress` is silent; the command line draws bars with rich."""

    def start(self, task: str, total: float | None = None) -> None: ...

    def advance(self, amount: float = 1.0) -> None: ...

    def finish(self) -> None: ...


class NoProgress:
    """A `Progress` that says nothing."""

    def start(self, task: str, total: float | None = None) -> None:
        del task, total

    def advance(self, amount: float = 1.0) -> None:
        del amount

    def finish(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Training:
    """What a fit of minutes may use beside the world. None of it may change what is learned, but for `previous`:
    whoever starts warm says so in its `notes`."""

    progress: Progress = field(default_factory=NoProgress)
    checkpoint: Path | None = None
    """A folder of its own, where a fit that was killed finds what it had done; None: it begins anew."""
    previous: Path | None = None
    """What `save` wrote when the last snapshot was learned: a warm start. None: begin from nothing."""
    known: ItemTable | None = None
    """The items of `previous`, in its order."""


@runtime_checkable
class Trainable(Protocol):
    """A source whose fit takes minutes: `learn` sets `training` before it."""

    training: Training
