"""What is an item called? Three codes and a digit that say what it is like: its semantic id.

    who wants it (SVD of what is wanted together)   \
                                                      > one vector --residual quantiser--> (c1, c2, c3) + digit
    what it reads like (words and attribute values) /

Where few have wanted an item, its behaviour half is partly guessed from the other half (ridge regression, learned on
the items that many have wanted); where nobody has, wholly. So a new item gets an id from its text alone, near the
items that its kind of shoppers want, and can be generated before its first event.
Cost: Beauty (12,101 items) 12 CPU s. Not for: telling two equal items apart (the digit does, by what is wanted more).
Paper: Rajput et al. 2023 (semantic ids; there from text alone).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bodega.errors import SnapshotCorrupt
from bodega.retrieval._neural.sequences import Sequences
from bodega.retrieval._neural.svd import behaviour_vectors
from bodega.retrieval._neural.weights import load_weights, save_weights
from bodega.retrieval.generative._content import Content, unit
from bodega.retrieval.generative._quantiser import Quantiser
from bodega.retrieval.generative._trie import NEW
from bodega.retrieval.generative.options import GenerativeOptions
from bodega.schema import ItemTable
from bodega.schema.arrays import Flags, Floats, Ints, Longs
from bodega.schema.table import mapped

HALF = 64
"""Numbers of each half of an item's vector."""
TRUST = 2.0
"""Events at which an item's own behaviour counts as much as the guess from its text."""
RIDGE = 1.0

Shape = tuple[int, int, int]
Quantise = Callable[[Floats, GenerativeOptions, int], Quantiser]
"""(vectors, options, codes a level) -> what gives them codes."""


def kmeans(vectors: Floats, options: GenerativeOptions, n_codes: int) -> Quantiser:
    """The default: residual k-means."""
    return Quantiser.learn(vectors, options.levels, n_codes, seed=options.seed)


def size_of(n_items: int, most: int) -> int:
    """Codes a level: about eight items a first code, so that small catalogs share codes too.

    >>> [size_of(n, 256) for n in (1, 10, 120, 12_101)]
    [1, 4, 15, 256]
    """
    return max(1, min(most, max(min(n_items, 4), n_items // 8)))


@dataclass(frozen=True, eq=False)
class Maker:
    """Gives items their vector and their codes."""

    content: Content
    guess: Floats
    """(HALF, HALF): from what an item reads like to who wants it."""
    quantiser: Quantiser

    def of(self, table: ItemTable) -> tuple[Ints, Flags, Floats]:
        """(codes (n, levels), which have any word or value that is known (n,), vectors (n, 2 x HALF)) of new items."""
        text = self.content.vectors(table)
        vectors = np.concatenate([unit(text @ self.guess), text], axis=1)
        return self.quantiser.encode(vectors), np.asarray(text.any(axis=1)), vectors.astype(np.float32)


@dataclass(frozen=True, eq=False)
class SemanticIds:
    """The ids of a catalog: `codes` (n_items, levels), `digit` (n_items,), `has_id` (n_items,) and what made them."""

    maker: Maker
    codes: Ints
    digit: Ints
    has_id: Flags
    vectors: Floats
    """(n_items, 2 x HALF): what the codes were made from. Only while learning; not saved."""

    @classmethod
    def learn(cls, items: ItemTable, wanted: Sequences, options: GenerativeOptions, quantise: Quantise) -> SemanticIds:
        """From the catalog and what shoppers wanted."""
        content = Content.learn(items, HALF, seed=options.seed)
        text = content.vectors(items)
        own = unit(behaviour_vectors(wanted, len(items), HALF, seed=options.seed))
        counts = wanted.counts(len(items))
        guess = _ridge(text, own, counts)
        trust = (counts / (counts + TRUST))[:, None].astype(np.float32)
        trust[~own.any(axis=1)] = 0
        behaviour = unit(trust * own + (1 - trust) * unit(text @ guess))
        vectors = np.concatenate([behaviour, text], axis=1)
        quantiser = quantise(vectors, options, size_of(len(items), options.codes))
        codes = quantiser.encode(vectors)
        digit = _digits(codes, counts, options.digits)
        return cls(Maker(content, guess, quantiser), codes, digit, np.asarray(vectors.any(axis=1)), vectors)

    def save(self, folder: Path) -> None:
        maker = self.maker
        np.save(folder / "codes.npy", self.codes.astype(np.int16))
        np.save(folder / "digit.npy", self.digit.astype(np.int16))
        np.save(folder / "has_id.npy", self.has_id)
        np.save(folder / "words.keys.npy", maker.content.keys)
        layers = {f"layer{n}.{part}": array for n, pair in enumerate(maker.quantiser.layers)
                  for part, array in zip(("weight", "bias"), pair, strict=True)}  # fmt: skip
        save_weights(
            folder, {"words.rows": maker.content.rows, "guess": maker.guess, "books": maker.quantiser.books, **layers}
        )

    @classmethod
    def load(cls, folder: Path, n_items: int, books: Shape, layers: tuple[tuple[int, int], ...]) -> SemanticIds:
        """Memory-map what `save` wrote: `books` is the shape of the books, `layers` those of the network before.

        Raises SnapshotCorrupt for codes that the books do not have, and for anything of another shape.
        """
        keys = mapped(folder / "words.keys.npy")
        shapes: dict[str, tuple[int, ...]] = {"words.rows": (len(keys), HALF), "guess": (HALF, HALF), "books": books}
        for number, (out, into) in enumerate(layers):
            shapes |= {f"layer{number}.weight": (out, into), f"layer{number}.bias": (out,)}
        held = load_weights(folder, shapes)
        network = tuple((held[f"layer{n}.weight"], held[f"layer{n}.bias"]) for n in range(len(layers)))
        return cls(
            Maker(Content(keys, held["words.rows"]), held["guess"], Quantiser(held["books"], network)),
            _whole(folder / "codes.npy", (n_items, books[0]), 0, books[1]),
            _whole(folder / "digit.npy", (n_items,), NEW, 2**15),
            _whole(folder / "has_id.npy", (n_items,), 0, 2).astype(np.bool_),
            np.empty((0, 2 * HALF), np.float32),
        )


def _whole(path: Path, shape: tuple[int, ...], low: int, high: int) -> Ints:
    """Whole numbers of this shape in [low, high). Raises SnapshotCorrupt."""
    found = mapped(path)
    if found.shape != shape or found.dtype.kind not in "bi" or np.any((found < low) | (found >= high)):
        raise SnapshotCorrupt(
            "the semantic ids cannot be used",
            where=str(path),
            allowed=f"whole numbers from {low} to {high - 1} of shape {shape}",
            got=f"{found.dtype} of shape {found.shape}",
            next="bodega learn",
        )
    return found.astype(np.int32)


def _ridge(text: Floats, own: Floats, counts: Longs) -> Floats:
    """The matrix that guesses who wants an item from what it reads like; items weigh by how much is known of them."""
    weight = (counts / (counts + TRUST)).astype(np.float64) * own.any(axis=1)
    x, y = text.astype(np.float64), own.astype(np.float64)
    heavy = x * weight[:, None]
    gram = np.einsum("nk,nd->kd", heavy, x) + RIDGE * np.eye(HALF)
    return np.linalg.solve(gram, np.einsum("nk,nd->kd", heavy, y)).astype(np.float32)


def _digits(codes: Ints, counts: Longs, most: int) -> Ints:
    """Among the items of a leaf that anybody wanted: 0 for the most wanted, ...; the last digit is shared. NEW else."""
    digit = np.full(len(codes), NEW, np.int32)
    old = np.flatnonzero(counts > 0)
    order = old[np.lexsort((old, -counts[old], *codes[old].T[::-1]))]
    if not len(order):
        return digit
    first = np.append(True, np.any(codes[order[1:]] != codes[order[:-1]], axis=1))
    start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    digit[order] = np.minimum(np.arange(len(order)) - start, most - 1)
    return digit
