"""What is known of these items, this query, this photo? From the catalog's columns to a profile's inputs.

The same code reads the catalog at `learn`, a new item between two learns, a query and a photo when they are asked.
Of an item's pictures the first that was read counts. Cost: one encoding a text (25 microseconds to 10 ms, by encoder)
and 20 microseconds for its words; pictures were encoded by the picture job. Not for: what it means (`model`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodega.protocols import Encoder, PictureVectors
from bodega.schema import ItemTable
from bodega.schema.arrays import Floats
from bodega.understanding.profile.bags import Bags, values_of, words_of
from bodega.understanding.profile.inputs import Inputs
from bodega.understanding.text.passages import passage

BLOCK = 4_096
"""Passages encoded at a time."""
PICTURES = 3
"""Pictures of an item that are tried, in its order."""


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """What it takes to read items, queries and photos."""

    words: Bags
    values: Bags
    encoder: Encoder | None = None
    pictures: PictureVectors | None = None

    @classmethod
    def learn(cls, table: ItemTable, encoder: Encoder | None, pictures: PictureVectors | None) -> Reader:
        """The words and values of this catalog."""
        return cls(Bags.learn(words_of(table.titles)), Bags.learn(values_of(table)), encoder, pictures)

    def items(
        self, table: ItemTable, behaviour: Floats | None = None, events: NDArray[np.integer] | None = None
    ) -> Inputs:
        """Everything that is known of these items; `behaviour` (n, d) and `events` (n,) where people did something."""
        dense: dict[str, Floats] = {}
        wanted = [table.item(row) for row in range(len(table))] if self.encoder or self.pictures else []
        if self.encoder is not None:
            dense["text"] = _encoded(self.encoder, [passage(item) for item in wanted])
        pictures = self._pictures([item.images for item in wanted])
        if pictures is not None:
            dense["image"] = pictures
        if behaviour is not None:
            dense["behaviour"] = behaviour
        bags = {"words": self.words.read(words_of(table.titles)), "attributes": self.values.read(values_of(table))}
        return Inputs.of(len(table), dense, bags, events)

    def texts(self, texts: Sequence[str]) -> Inputs:
        """Queries, or texts that stand for items: their meaning and their words."""
        dense = {} if self.encoder is None else {"text": self.encoder.encode(texts, query=True)}
        return Inputs.of(len(texts), dense, {"words": self.words.read(words_of(texts))})

    def asked(self, query: str, picture: Floats) -> Inputs:
        """One question of words, of a photo (its vector; empty: none), or of both."""
        told = self.texts([query])
        if not len(picture):
            return told
        return Inputs(1, {**told.dense, "image": picture[None].astype(np.float32)}, told.bags, told.strength)

    def _pictures(self, images: Sequence[tuple[str, ...]]) -> Floats | None:
        """(n, d): the first picture of each item that was read; None where the shop has looked at none."""
        if self.pictures is None or self.pictures.info is None:
            return None
        out = np.zeros((len(images), self.pictures.info.dimensions), np.float32)
        for number in range(PICTURES):
            rows = [row for row, own in enumerate(images) if len(own) > number and not out[row].any()]
            if rows:
                out[rows] = self.pictures.of([images[row][number] for row in rows])
        return out


def _encoded(encoder: Encoder, texts: Sequence[str]) -> Floats:
    out = np.zeros((len(texts), encoder.info.dimensions), np.float32)
    for low in range(0, len(texts), BLOCK):
        out[low : low + BLOCK] = encoder.encode(texts[low : low + BLOCK])
    return out
