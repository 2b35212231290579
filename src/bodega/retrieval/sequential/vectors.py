"""What is an item's vector made of? Its own row, plus the mean of its attributes' rows, plus its title's words, mapped.

    vector(i) = item[slot(i)] + mean of attribute[a] over a of i + words(i) @ title

Only items that somebody wanted have a row of their own; of the others the catalog speaks alone. Where to start: own
rows from co-occurrence, the rest from 0; or, warm, from the vectors of the last snapshot. The bases of both starts turn
from one day to the next, so what is taken over goes through a least-squares map, fitted on the items that both know.
Cost: see `_neural.svd`. Not for: torch; `learning` sums the same three parts of a batch's items.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
from scipy import sparse

from bodega.errors import SnapshotCorrupt
from bodega.retrieval._index import load_facts
from bodega.retrieval._neural.sequences import Sequences
from bodega.retrieval._neural.side import attribute_bags, attribute_names, title_vectors
from bodega.retrieval._neural.svd import behaviour_vectors
from bodega.retrieval._neural.weights import Arrays, load_weights
from bodega.retrieval.sequential.options import SequentialOptions
from bodega.retrieval.sequential.shapes import encoder_shapes, started
from bodega.schema import ItemTable
from bodega.schema.arrays import Flags, Floats, Ints

NOISE = 0.02
RIDGE = 1e-3


@dataclass(frozen=True, eq=False)
class Material:
    """What is known of the items before learning."""

    options: SequentialOptions
    items: ItemTable
    sequences: Sequences
    bags: sparse.csr_matrix
    """Items x attribute values, rows sum to 1; no columns where attributes are off."""
    words: Floats
    """(n_items, titles)."""

    @classmethod
    def of(cls, items: ItemTable, sequences: Sequences, options: SequentialOptions) -> Material:
        bags = attribute_bags(items) if options.attributes else sparse.csr_matrix((len(items), 0), dtype=np.float32)
        words = title_vectors(items, options.titles, seed=options.seed)
        return cls(options, items, sequences, bags, words)

    @cached_property
    def known(self) -> Ints:
        """The items that somebody wanted, ascending: row s of `item` belongs to `known[s]`."""
        return np.flatnonzero(self.sequences.counts(len(self.items))).astype(np.int32)

    @cached_property
    def slot(self) -> Ints:
        """(n_items,): the row of `item`; the one after the last (always 0) where nobody wanted it."""
        out = np.full(len(self.items), len(self.known), np.int32)
        out[self.known] = np.arange(len(self.known))
        return out

    @cached_property
    def described(self) -> Flags:
        """Of which items the catalog says anything: (n_items,)."""
        found: Flags = (np.diff(self.bags.indptr) > 0) | (np.abs(self.words).sum(1) > 0)
        return found

    def side(self, tables: Arrays) -> Floats:
        """(n_items, d): the part of the vectors that needs no event."""
        side: Floats = self.bags @ tables["attribute"] + self.words @ tables["title"]
        return side.astype(np.float32, copy=False)

    def vectors(self, tables: Arrays) -> Floats:
        """(n_items, d) float32."""
        out = self.side(tables)
        out[self.known] += tables["item"]
        return out

    def cold_start(self) -> Arrays:
        """All arrays before the first step."""
        options, rng = self.options, np.random.default_rng([self.options.seed, 3])
        start = started(encoder_shapes(options), rng)
        shape = (len(self.known), options.dimensions)
        start["item"] = (NOISE * rng.standard_normal(shape)).astype(np.float32)
        if options.svd:
            start["item"] = np.float32(options.svd) * self._behaviour[self.known]
        start["attribute"] = np.zeros((self.bags.shape[1], options.dimensions), np.float32)
        start["title"] = np.zeros((options.titles, options.dimensions), np.float32)
        return start

    def warm_start(self, folder: Path, known: ItemTable) -> Arrays | None:
        """All arrays from what `Sequential.save` wrote; None where that was another kind of model."""
        old = _previous(folder, known, self.options)
        if old is None:
            return None
        start = {name: np.array(old[name]) for name in encoder_shapes(self.options)}
        rows = known.rows(self.items.ids)
        both = np.flatnonzero([name in known.index for name in self.items.ids])
        row_of = {name: row for row, name in enumerate(attribute_names(known))} if self.options.attributes else {}
        start["attribute"] = np.zeros((self.bags.shape[1], self.options.dimensions), np.float32)
        for row, name in enumerate(attribute_names(self.items) if self.options.attributes else ()):
            if name in row_of:
                start["attribute"][row] = old["attribute"][row_of[name]]
        said = title_vectors(known, self.options.titles, seed=self.options.seed) @ old["title"]
        start["title"] = _mapped(self.words[both], said[rows])
        vectors = self._behaviour @ _mapped(self._behaviour[both], old["vectors"][rows])
        vectors[both] = old["vectors"][rows]
        start["item"] = (vectors - self.side(start))[self.known]
        return start

    @cached_property
    def _behaviour(self) -> Floats:
        return behaviour_vectors(self.sequences, len(self.items), self.options.dimensions, seed=self.options.seed)


def _previous(folder: Path, known: ItemTable, options: SequentialOptions) -> Arrays | None:
    try:
        if load_facts(folder, SequentialOptions) != options:
            return None
        d = options.dimensions
        tables = {"vectors": (len(known), d), "title": (options.titles, d)}
        tables["attribute"] = (len(attribute_names(known)) if options.attributes else 0, d)
        return load_weights(folder, encoder_shapes(options) | tables)
    except (OSError, ValueError, msgspec.MsgspecError, SnapshotCorrupt):
        return None


def _mapped(given: Floats, wanted: Floats) -> Floats:
    """The matrix that turns the rows of `given` into those of `wanted`, as nearly as least squares can."""
    held = given.astype(np.float64)
    gram = np.einsum("nk,nd->kd", held, held)
    gram += RIDGE * max(float(np.trace(gram)), 1e-9) / max(len(gram), 1) * np.eye(len(gram))
    out: Floats = np.linalg.solve(gram, np.einsum("nk,nd->kd", held, wanted)).astype(np.float32)
    return out
