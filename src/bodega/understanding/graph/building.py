"""From a shop's catalog and log to its knowledge graph: who is what, and what is how to what.

What items are comes from the catalog (facts that were mined are columns like any other); needs from descriptions and
queries (`needs`); substitutes and complements from the counts of the sources that know them (`Behaviour`), handed in.
Two relations follow from these: an *accessory* is a complement of another category that is much cheaper, in a direction
in which categories are bought; an *upgrade* is what shoppers compare with an item, of its category, and costs more (or
is newer and hardly cheaper). What the shop itself says (`Item.links`) is taken as it is.
Cost: 60 microseconds an item with a description. Not for: guessing links that nobody saw (`linking`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bodega.protocols import NoProgress, Progress
from bodega.schema import Coded, ItemTable, World
from bodega.schema.arrays import Flags, Ints
from bodega.schema.table import Texts
from bodega.understanding import language
from bodega.understanding.graph.graph import KnowledgeGraph, of_edges
from bodega.understanding.graph.kinds import BRAND, CATEGORY, GIVEN, GROUP, ITEM, NEED, QUERY, VALUE
from bodega.understanding.graph.needs import Need, mine
from bodega.understanding.query.habits import Asked, asked

Whole = NDArray[np.integer]
Real = NDArray[np.floating]

NO_VALUES = frozenset({"brand", "category", "seller", "kind"})
"""Columns that are no attributes."""


class GraphOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Docs: docs/decisions/0042-knowledge-graph.md."""

    people: int = 20
    """Different people that must have asked a query before it stands in the graph."""
    needed: int = 3
    """Items that must serve a need."""
    value_share: float = 0.5
    """A value that more of the items bear says nothing."""
    cheaper: float = 0.34
    """An accessory costs at most this part of what it is for."""
    onward: float = 0.5
    """... and between their categories at least this part of the complements goes this way."""
    dearer: float = 1.1
    dearest: float = 4.0
    """An upgrade costs between so many times as much."""
    newer: float = 0.9
    """... or is newer and costs at least this part."""


@dataclass(frozen=True, eq=False)
class Behaviour:
    """Items x items: what is looked at instead, and what is bought along (see `retrieval/relations`)."""

    substitutes: sparse.csr_matrix
    complements: sparse.csr_matrix

    @classmethod
    def none(cls, n_items: int) -> Behaviour:
        empty = sparse.csr_matrix((n_items, n_items), dtype=np.float32)
        return cls(empty, empty)


def build(
    world: World,
    behaviour: Behaviour | None = None,
    options: GraphOptions | None = None,
    progress: Progress | None = None,
) -> KnowledgeGraph:
    """The graph of a world. Same world, same graph."""
    options, progress = options or GraphOptions(), progress or NoProgress()
    items = world.items
    behaviour = behaviour or Behaviour.none(len(items))
    progress.start("learn: what hangs together")
    queries = asked(world.log, options.people) if world.log.queries else []
    nodes = _Nodes(len(items))
    nodes.groups(items.group)
    nodes.coded("has_brand", BRAND, items.coded.get("brand"))
    nodes.coded("in_category", CATEGORY, items.coded.get("category"))
    for name in sorted(set(items.coded) - NO_VALUES):
        nodes.coded("has_attribute", VALUE, _telling(items.coded[name], len(items), options), name)
    nodes.needs(needs_of(items, queries, options))
    nodes.queries(queries)
    nodes.between("substitute", behaviour.substitutes)
    nodes.between("complement", behaviour.complements)
    nodes.between("accessory", accessories(items, behaviour.complements, options))
    nodes.between("upgrade", upgrades(items, behaviour.substitutes, options))
    for relation, links in given(items).items():
        nodes.between(relation, links)
    progress.finish()
    return nodes.graph()


def needs_of(items: ItemTable, queries: Sequence[Asked], options: GraphOptions) -> list[Need]:
    """What the items are for."""
    texts = [_description(items, row) for row in range(len(items))]
    if not any(texts) and not queries:
        return []
    return mine(texts, ((query.text, query.items) for query in queries), words_of(items), options.needed)


def words_of(items: ItemTable) -> list[frozenset[str]]:
    """The stems of each item's title, category and text attributes."""
    own = [set(language.tokens(title)) for title in items.titles]
    for name in sorted(set(items.coded) - {"seller", "kind"}):
        column = items.coded[name]
        stems = [language.tokens(value) for value in column.vocabulary]
        for item, code in zip(column.owner.tolist(), column.codes.tolist(), strict=True):
            own[item].update(stems[code])
    return [frozenset(words) for words in own]


def accessories(items: ItemTable, complements: sparse.csr_matrix, options: GraphOptions) -> sparse.coo_matrix:
    """Complements of another category that cost at most `cheaper` of it, where the categories are bought this way."""
    pairs = complements.tocoo()
    leaf, price = items.leaf_category, items.numbers["price"]
    head, tail = leaf[pairs.row], leaf[pairs.col]
    known = (head >= 0) & (tail >= 0) & (head != tail)
    n = int(leaf.max(initial=-1)) + 1
    flow = sparse.csr_matrix((pairs.data[known], (head[known], tail[known])), shape=(n, n))
    keep = known & (price[pairs.col] <= options.cheaper * price[pairs.row])
    if keep.any():
        onward = np.asarray(flow[head[keep], tail[keep]]).ravel()
        back = np.asarray(flow[tail[keep], head[keep]]).ravel()
        keep[np.flatnonzero(keep)] = onward >= options.onward * (onward + back)
    return _only(pairs, keep)


def upgrades(items: ItemTable, substitutes: sparse.csr_matrix, options: GraphOptions) -> sparse.coo_matrix:
    """Substitutes of the same category that cost more, or are newer and hardly cheaper."""
    pairs = substitutes.tocoo()
    leaf, price, made = items.leaf_category, items.numbers["price"], items.created
    with np.errstate(invalid="ignore", divide="ignore"):
        times = price[pairs.col] / price[pairs.row]
    dearer = (times >= options.dearer) & (times <= options.dearest)
    newer = (made[pairs.col] > made[pairs.row]) & (times >= options.newer) & (times <= options.dearest)
    same = (leaf[pairs.row] == leaf[pairs.col]) & (leaf[pairs.row] >= 0)
    own = items.group[pairs.row] != items.group[pairs.col]  # a larger size of the same thing is a variant
    return _only(pairs, same & own & (dearer | newer))


class _Linked(msgspec.Struct):
    """The part of an item that names its links."""

    links: dict[str, tuple[str, ...]] = {}


_LINKS = re.compile(rb'"links":')


def given(items: ItemTable) -> dict[str, sparse.coo_matrix]:
    """What the shop itself says: items x items a relation, the first of an item's links the strongest.

    A link names an item or a variant group (then every variant of it); unknown ids are left out, and so is any link
    that an item has to itself.
    """
    places = [found.start() for found in _LINKS.finditer(items.documents.blob.data)]
    rows = np.unique(np.searchsorted(items.documents.offsets, places, side="right") - 1).tolist()
    found: dict[str, list[tuple[int, int, float]]] = {name: [] for name in GIVEN}
    if not rows:
        return {}
    members: dict[int, list[int]] = {}
    for row, group in enumerate(items.group.tolist()):
        members.setdefault(group, []).append(row)
    for row in rows:
        links = msgspec.json.decode(items.documents.raw(row), type=_Linked).links
        for relation in GIVEN:
            for place, name in enumerate(links.get(relation, ())):
                own, group = items.index.get(name), items.named_groups.get(name)
                targets = [own] if own is not None else members.get(group, []) if group is not None else []
                found[relation] += [(row, target, 1 / (1 + 0.1 * place)) for target in targets if target != row]
    shape = (len(items), len(items))
    return {name: _coo(edges, shape) for name, edges in found.items() if edges}


def _coo(edges: Sequence[tuple[int, int, float]], shape: tuple[int, int]) -> sparse.coo_matrix:
    heads, tails, weights = zip(*edges, strict=True)
    return sparse.coo_matrix((np.array(weights, np.float32), (heads, tails)), shape=shape)


@dataclass
class _Nodes:
    """The graph while it grows."""

    n_items: int
    names: list[str] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    found: dict[str, list[tuple[Whole, Whole, Real]]] = field(default_factory=dict)

    def _new(self, kind: int, names: Iterable[str]) -> int:
        """The number of the first of new nodes."""
        first = self.n_items + len(self.names)
        self.names += names
        self.kinds += [kind] * (self.n_items + len(self.names) - first)
        return first

    def _add(self, relation: str, heads: Whole, tails: Whole, weights: Real) -> None:
        self.found.setdefault(relation, []).append((heads, tails, weights))

    def groups(self, group: Ints) -> None:
        """A node for each variant group of several items."""
        _, place, counts = np.unique(group, return_inverse=True, return_counts=True)
        several = np.flatnonzero(counts > 1)
        first = self._new(GROUP, [f"group {number}" for number in several.tolist()])
        where = np.full(len(counts), -1, np.int64)
        where[several] = first + np.arange(len(several))
        heads = np.flatnonzero(where[place] >= 0)
        self._add("variant_of", heads, where[place[heads]], np.ones(len(heads), np.float32))

    def coded(self, relation: str, kind: int, column: Coded | None, name: str = "") -> None:
        """A node for each value of a column, `name=value`."""
        if column is None or not len(column.codes):
            return
        used = np.unique(column.codes)
        words = [column.vocabulary[code] for code in used.tolist()]
        first = self._new(kind, [f"{name}={word}" if name else word for word in words])
        tails = first + np.searchsorted(used, column.codes)
        self._add(relation, column.owner, tails, np.ones(len(tails), np.float32))

    def needs(self, needs: Sequence[Need]) -> None:
        first = self._new(NEED, [need.text for need in needs])
        for place, need in enumerate(needs):
            rows = sorted(need.items)
            weights = np.array([need.items[row] for row in rows], np.float32)
            self._add("serves_need", np.array(rows), np.full(len(rows), first + place), weights)

    def queries(self, queries: Sequence[Asked]) -> None:
        first = self._new(QUERY, [query.text for query in queries])
        for place, query in enumerate(queries):
            rows = np.array(query.items, np.int64)
            self._add("answers_query", rows, np.full(len(rows), first + place), 1 / (1 + 0.1 * np.arange(len(rows))))

    def between(self, relation: str, pairs: sparse.spmatrix) -> None:
        """Edges between items, weights divided by the largest of the relation."""
        found = sparse.coo_matrix(pairs)
        if found.nnz:
            self._add(relation, found.row, found.col, found.data / max(float(found.data.max()), 1e-12))

    def graph(self) -> KnowledgeGraph:
        n = self.n_items + len(self.names)
        kinds = np.concatenate([np.full(self.n_items, ITEM), np.array(self.kinds, np.int64)]).astype(np.int8)
        edges: Mapping[str, list[tuple[Whole, Whole, Real]]] = self.found
        made = {
            relation: sparse.coo_matrix(
                (
                    np.concatenate([weights for *_, weights in parts]).astype(np.float32),
                    (np.concatenate([heads for heads, *_ in parts]), np.concatenate([tails for _, tails, _ in parts])),
                ),
                shape=(n, n),
            )
            for relation, parts in edges.items()
        }
        return of_edges(self.n_items, Texts.of(self.names), kinds, made)


def _telling(column: Coded, n_items: int, options: GraphOptions) -> Coded:
    """The column with only the values that join some items and not half of the shop."""
    often = np.bincount(column.codes, minlength=len(column.vocabulary))
    good = (often >= 2) & (often <= max(2, options.value_share * n_items))
    keep = good[column.codes]
    counts = np.bincount(column.owner[keep], minlength=n_items)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return Coded(starts, column.codes[keep], column.vocabulary)


def _only(pairs: sparse.coo_matrix, keep: Flags) -> sparse.coo_matrix:
    return sparse.coo_matrix((pairs.data[keep], (pairs.row[keep], pairs.col[keep])), shape=pairs.shape)


class _Described(msgspec.Struct):
    description: str = ""


def _description(items: ItemTable, row: int) -> str:
    return msgspec.json.decode(items.documents.raw(row), type=_Described).description
