"""What is this item to others? Variants, substitutes, upgrades, complements, accessories, and why two things belong.

Read from the knowledge graph of the snapshot, for a product page or a person who looks into it; what is gone from the
shelf or cannot be bought is left out of lists. Cost: some binary searches an item; paths look at the neighbours of
both ends. Not for: lists of a page (`similar`, `together` weigh these links with everything else).
"""

from __future__ import annotations

from typing import Any

import msgspec

from bodega.engine.answer import Engine
from bodega.engine.shelf import GONE
from bodega.errors import BadRequest, UnknownItem
from bodega.retrieval.knowledge import Knowledge
from bodega.schema.arrays import NO_FLOATS, NO_INTS
from bodega.understanding.graph import LISTED, KnowledgeGraph
from bodega.understanding.graph.kinds import BELONGS, ITEM, KINDS
from bodega.understanding.graph.paths import Path, paths, told

MOST = 100
"""Most items of a relation, most paths between two items."""


class Related(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An item that a relation leads to."""

    item: str
    title: str
    strength: float
    """In (0, 1]: beside the strongest link of the relation in this shop."""
    document: msgspec.Raw
    """The item as stored."""


class Trait(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an item is: a brand, a level of its category, a value (`colour=red`), a need, a query that led to it."""

    relation: str
    kind: str
    name: str


class Relations(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the graph knows of an item."""

    item: str
    title: str
    relations: dict[str, list[Related]]
    """{variant, substitute, upgrade, complement, accessory, related, upsell, crosssell: the strongest first}."""
    traits: list[Trait]


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which two items hang together."""

    text: str
    steps: list[str]
    """Item ids and names of nodes with the relations between them: `tent`, `complement>`, `mat`."""
    strength: float


def relations_of(engine: Engine, item: str, *, relation: str = "", k: int = 10) -> Relations:
    """What an item is, and what others are to it. `relation`: only this one.

    Raises BadRequest (no such relation, k out of range), UnknownItem, and BadRequest for a snapshot without
    the graph.
    """
    if relation and relation not in LISTED:
        raise BadRequest("there is no such relation", where="relation", allowed=", ".join(LISTED), got=relation[:60])
    if not 1 <= k <= MOST:
        raise BadRequest("a value is out of range", where="k", allowed=f"1 to {MOST}", got=str(k)[:40])
    graph, shelf, row = graph_of(engine), engine.shelf, _row(engine, item)
    known = int(shelf.known_as[row])
    found: dict[str, list[Related]] = {}
    for name in [relation] if relation else LISTED:
        rows, weights = graph.related(known, name, 4 * MOST) if known != GONE else (NO_INTS, NO_FLOATS)
        shown = [
            (int(now), float(weight))
            for now, weight in zip(shelf.current(rows), weights, strict=True)
            if now != GONE and now != row and shelf.available[now]
        ][:k]
        found[name] = [
            Related(
                item=shelf.id(now),
                title=shelf.title(now),
                strength=round(weight, 4),
                document=msgspec.Raw(shelf.document(now)),
            )
            for now, weight in shown
        ]
    traits = _traits(graph, known) if known != GONE and not relation else []
    return Relations(item=item, title=shelf.title(row), relations=found, traits=traits)


def connections(engine: Engine, one: str, other: str, *, language: str = "en", k: int = 5) -> list[Connection]:
    """How two items hang together, the strongest way first. Raises UnknownItem, BadRequest."""
    graph, shelf = graph_of(engine), engine.shelf
    ends = [int(shelf.known_as[_row(engine, name)]) for name in (one, other)]
    if GONE in ends or ends[0] == ends[1]:
        return []

    def named(node: int) -> str:
        return engine.shelf.base.titles[node] if graph.kinds[node] == ITEM else graph.name(node)

    def labelled(node: int) -> str:
        return engine.shelf.base.ids[node] if graph.kinds[node] == ITEM else named(node)

    def written(path: Path) -> list[str]:
        out = [labelled(path.nodes[0])]
        for step, node in zip(path.steps, path.nodes[1:], strict=True):
            out += [f"{step.relation}>" if step.onward else f"<{step.relation}", labelled(node)]
        return out

    return [
        Connection(text=told(path, named, language), steps=written(path), strength=round(path.strength, 4))
        for path in paths(graph, ends[0], ends[1], k)
    ]


def graph_of(engine: Engine) -> KnowledgeGraph:
    """The graph of the snapshot. Raises BadRequest."""
    source: Any = engine.learned.sources.get(Knowledge.name)
    if not isinstance(source, Knowledge):
        raise BadRequest(
            "this snapshot has no knowledge graph",
            where="learn.knowledge",
            allowed="a snapshot that was learned with `knowledge = true` under [learn]",
            next="switch it on in bodega.toml, then bodega learn",
        )
    return source.graph


def _row(engine: Engine, item: str) -> int:
    row = engine.shelf.row(item)
    if row == GONE:
        raise UnknownItem("there is no such item", code="item.unknown_relations", where="item", got=item[:60])
    return row


def _traits(graph: KnowledgeGraph, node: int) -> list[Trait]:
    return [
        Trait(relation=name, kind=KINDS[graph.kinds[tail]], name=graph.name(int(tail)))
        for name in BELONGS
        if name != "variant_of"
        for tail in graph.out(node, name)[0]
    ]
