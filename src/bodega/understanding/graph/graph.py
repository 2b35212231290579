"""The knowledge graph of a shop: what there is, and how it hangs together, as flat arrays.

Nodes 0 to n_items - 1 are the items (rows of the `ItemTable`), then come groups, brands, categories, values, needs and
queries. Edges are sorted by (relation, head, tail) with a weight in (0, 1]: how strong, within its relation. Whatever
is asked (what an item is, what goes with it, how two things are connected) reads a slice of them.
Cost: 13 bytes an edge; an item's slice is two binary searches. Not for: learning (`embedding`, `linking`) or serving
lists (`retrieval/knowledge`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bodega.errors import SnapshotCorrupt
from bodega.schema.arrays import Floats, Ints, Longs
from bodega.schema.table import Texts, mapped
from bodega.understanding.graph.kinds import CODE, ITEM, RELATIONS

ARRAYS = ("kinds", "starts", "heads", "tails", "weights")


@dataclass(frozen=True, eq=False)
class KnowledgeGraph:
    """Edge e of relation r lies in `starts[r] <= e < starts[r + 1]`: `heads[e]` -> `tails[e]`, `weights[e]`."""

    n_items: int
    names: Texts
    """Of the nodes that are no items, in order of the nodes: `colour=red`, `Shoes > Trail`, `running`."""
    kinds: NDArray[np.int8]
    """(n_nodes,): rows of `kinds.KINDS`."""
    starts: Longs
    heads: Ints
    tails: Ints
    weights: Floats

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self.kinds)

    @classmethod
    def none(cls, n_items: int = 0) -> KnowledgeGraph:
        """A graph of items that nothing is known of."""
        nothing = np.empty(0, np.int32)
        starts = np.zeros(len(RELATIONS) + 1, np.int64)
        kinds = np.full(n_items, ITEM, np.int8)
        return cls(n_items, Texts.of([]), kinds, starts, nothing, nothing, np.empty(0, np.float32))

    def name(self, node: int) -> str:
        """What a node that is no item is called."""
        return self.names[node - self.n_items]

    def edges(self, relation: str) -> tuple[Ints, Ints, Floats]:
        """(heads, tails, weights) of one relation, sorted by head and tail."""
        part = slice(self.starts[CODE[relation]], self.starts[CODE[relation] + 1])
        return self.heads[part], self.tails[part], self.weights[part]

    def out(self, node: int, relation: str) -> tuple[Ints, Floats]:
        """(tails, weights) of one node, by tail."""
        heads, tails, weights = self.edges(relation)
        low, high = np.searchsorted(heads, [node, node + 1])
        return tails[low:high], weights[low:high]

    def into(self, node: int, relation: str) -> tuple[Ints, Floats]:
        """(heads, weights) of what leads to one node, by head."""
        column = self._back[relation]
        part = slice(column.indptr[node], column.indptr[node + 1])
        return column.indices[part].astype(np.int32), column.data[part]

    def matrix(self, relation: str) -> sparse.csr_matrix:
        """Nodes x nodes."""
        heads, tails, weights = self.edges(relation)
        return sparse.csr_matrix((weights, (heads, tails)), shape=(len(self), len(self)))

    def between(self, relation: str) -> sparse.csr_matrix:
        """Items x items of a relation between items."""
        heads, tails, weights = self.edges(relation)
        return sparse.csr_matrix((weights, (heads, tails)), shape=(self.n_items, self.n_items))

    def related(self, item: int, relation: str, k: int) -> tuple[Ints, Floats]:
        """The k items that a relation leads to, strongest first (ties: lower item). `variant`: of the same group."""
        if relation == "variant":
            groups, _ = self.out(item, "variant_of")
            same = self.into(int(groups[0]), "variant_of")[0] if len(groups) else groups
            same = same[same != item][:k]
            return same.astype(np.int32), np.ones(len(same), np.float32)
        tails, weights = self.out(item, relation)
        best = np.argsort(-weights, kind="stable")[:k]
        return tails[best], weights[best]

    @cached_property
    def _back(self) -> dict[str, sparse.csc_matrix]:
        return {name: self.matrix(name).tocsc() for name in RELATIONS}

    @cached_property
    def reach(self) -> NDArray[np.int64]:
        """How many edges end in each node: what many share says little."""
        return np.bincount(self.tails, minlength=len(self))

    def facts(self) -> dict[str, int]:
        """How many edges each relation has."""
        return dict(zip(RELATIONS, np.diff(self.starts).tolist(), strict=True))

    def save(self, folder: Path) -> None:
        """Flat arrays; equal graphs give equal bytes."""
        for name in ARRAYS:
            np.save(folder / f"graph.{name}.npy", np.ascontiguousarray(getattr(self, name)))
        np.save(folder / "graph.names.blob.npy", self.names.blob)
        np.save(folder / "graph.names.offsets.npy", self.names.offsets)

    @classmethod
    def load(cls, folder: Path, n_items: int) -> KnowledgeGraph:
        """Memory-map what `save` wrote. Raises SnapshotCorrupt where it does not fit together."""
        kinds, starts, heads, tails, weights = (mapped(folder / f"graph.{name}.npy") for name in ARRAYS)
        names = Texts(mapped(folder / "graph.names.blob.npy"), mapped(folder / "graph.names.offsets.npy"))
        found = cls(n_items, names, kinds, starts, heads, tails, weights)
        whole = len(starts) == len(RELATIONS) + 1 and starts[0] == 0 and bool((np.diff(starts) >= 0).all())
        whole = whole and starts[-1] == len(heads) == len(tails) == len(weights)
        whole = whole and len(names) == len(kinds) - n_items and bool(np.isfinite(weights).all())
        ends = [int(end) for column in (heads, tails) if len(column) for end in (column.min(), column.max())]
        if not whole or not all(0 <= end < len(kinds) for end in ends):
            raise SnapshotCorrupt(
                "the knowledge graph cannot be used",
                where=str(folder / "graph.heads.npy"),
                allowed="edges between nodes that are there, with finite weights",
                got="arrays that do not fit together",
                next="bodega learn",
            )
        return found


def of_edges(
    n_items: int, names: Texts, kinds: NDArray[np.int8], found: dict[str, sparse.coo_matrix]
) -> KnowledgeGraph:
    """A graph from nodes x nodes matrices, one a relation; entries <= 0 are left out."""
    starts, parts = [0], []
    for relation in RELATIONS:
        edges = sparse.csr_matrix(found[relation]) if relation in found else sparse.csr_matrix((len(kinds), len(kinds)))
        edges.sum_duplicates()
        edges.sort_indices()
        edges = edges.tocoo()
        keep = edges.data > 0
        parts.append((edges.row[keep], edges.col[keep], edges.data[keep]))
        starts.append(starts[-1] + int(keep.sum()))
    heads, tails, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    return KnowledgeGraph(
        n_items,
        names,
        kinds,
        np.array(starts, np.int64),
        heads.astype(np.int32),
        tails.astype(np.int32),
        weights.astype(np.float32),
    )
