"""How do two things hang together? Short paths of the graph between two items, strongest first, and as a sentence.

A path is a link, two links over an item between, or two that meet in what both are: a brand, a need, a value. What many
items share says little: a meeting node counts 1 / log(1 + its edges). Cost: the edges of both ends (a few hundred), a
look at those of the items between. Not for: ranking; a person reads them.
Paper: Adamic & Adar 2003 (rare neighbours count more).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bodega.understanding.graph.graph import KnowledgeGraph
from bodega.understanding.graph.kinds import BELONGS, BETWEEN, SYMMETRIC

THROUGH = 0.5
"""What a path over another item counts, beside a direct link."""
MET = 0.3
"""What a path through something that both are counts, before it is divided by how many are that."""
WIDEST = 50
"""Links of an end that are followed, the strongest."""

Named = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Step:
    """One edge of a path; `onward` where it is walked from head to tail."""

    relation: str
    onward: bool


@dataclass(frozen=True, slots=True)
class Path:
    """`nodes[i]` leads to `nodes[i + 1]` by `steps[i]`."""

    nodes: tuple[int, ...]
    steps: tuple[Step, ...]
    strength: float


def paths(graph: KnowledgeGraph, one: int, other: int, k: int) -> list[Path]:
    """The k strongest paths between two items (ties: shorter, then by nodes); each way of meeting once."""
    found = [*_direct(graph, one, other), *_over(graph, one, other), *_meeting(graph, one, other)]
    return sorted(found, key=lambda path: (-path.strength, len(path.nodes), path.nodes))[:k]


def _links(graph: KnowledgeGraph, node: int) -> list[tuple[int, Step, float]]:
    """(item, step, weight) of every link of an item, either way."""
    out: list[tuple[int, Step, float]] = []
    for name in BETWEEN:
        tails, weights = graph.out(node, name)
        out += [(int(tail), Step(name, True), float(weight)) for tail, weight in zip(tails, weights, strict=True)]
        if name not in SYMMETRIC:
            heads, weights = graph.into(node, name)
            out += [(int(head), Step(name, False), float(weight)) for head, weight in zip(heads, weights, strict=True)]
    return out


def _direct(graph: KnowledgeGraph, one: int, other: int) -> list[Path]:
    return [Path((one, other), (step,), weight) for node, step, weight in _links(graph, one) if node == other]


def _over(graph: KnowledgeGraph, one: int, other: int) -> list[Path]:
    """The strongest path over each item that both are linked with."""
    first, second = (_strongest(_links(graph, end)) for end in (one, other))
    between = sorted(set(first) & set(second) - {one, other})
    return [
        Path(
            (one, node, other),
            (first[node][0], Step(second[node][0].relation, not second[node][0].onward)),
            THROUGH * min(first[node][1], second[node][1]),
        )
        for node in between
    ]


def _strongest(links: list[tuple[int, Step, float]]) -> dict[int, tuple[Step, float]]:
    out: dict[int, tuple[Step, float]] = {}
    for node, step, weight in sorted(links, key=lambda link: -link[2])[:WIDEST]:
        out.setdefault(node, (step, weight))
    return out


def _meeting(graph: KnowledgeGraph, one: int, other: int) -> list[Path]:
    """Through what both are."""
    out = []
    for name in BELONGS:
        (mine, own), (theirs, their_own) = graph.out(one, name), graph.out(other, name)
        both, here, there = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
        for node, weight in zip(both.tolist(), np.minimum(own[here], their_own[there]).tolist(), strict=True):
            strength = MET * weight / float(np.log(1 + graph.reach[node]))
            out.append(Path((one, node, other), (Step(name, True), Step(name, False)), min(strength, MET)))
    return out


TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "substitute>": "{b} is compared with {a}",
        "complement>": "{b} goes with {a}",
        "<complement": "{a} goes with {b}",
        "accessory>": "{b} is an accessory for {a}",
        "<accessory": "{a} is an accessory for {b}",
        "upgrade>": "{b} is a step up from {a}",
        "<upgrade": "{a} is a step up from {b}",
        "related>": "the shop relates {b} to {a}",
        "<related": "the shop relates {a} to {b}",
        "upsell>": "the shop recommends {b} instead of {a}",
        "<upsell": "the shop recommends {a} instead of {b}",
        "crosssell>": "the shop recommends {b} with {a}",
        "<crosssell": "the shop recommends {a} with {b}",
        "variant_of": "{a} and {b} are the same product in other sizes or colours",
        "has_brand": "{a} and {b} are both by {node}",
        "in_category": "{a} and {b} are both in {node}",
        "has_attribute": "{a} and {b} both have {node}",
        "serves_need": "{a} and {b} are both for {node}",
        "answers_query": "{a} and {b} were both chosen by people who searched “{node}”",
        "and": ", and ",
    },
    "zh": {
        "substitute>": "顾客常比较{a}与{b}",
        "complement>": "{b}与{a}搭配",
        "<complement": "{a}与{b}搭配",
        "accessory>": "{b}是{a}的配件",
        "<accessory": "{a}是{b}的配件",
        "upgrade>": "{b}是{a}的升级款",
        "<upgrade": "{a}是{b}的升级款",
        "related>": "本店将{b}与{a}关联",
        "<related": "本店将{a}与{b}关联",
        "upsell>": "本店推荐用{b}代替{a}",
        "<upsell": "本店推荐用{a}代替{b}",
        "crosssell>": "本店推荐{b}与{a}一起购买",
        "<crosssell": "本店推荐{a}与{b}一起购买",
        "variant_of": "{a}与{b}是同一商品的不同款式",
        "has_brand": "{a}与{b}同属品牌{node}",
        "in_category": "{a}与{b}同属类目{node}",
        "has_attribute": "{a}与{b}都具有{node}",
        "serves_need": "{a}与{b}都适合{node}",
        "answers_query": "搜索“{node}”的顾客都选过{a}和{b}",
        "and": "，",
    },
}


def told(path: Path, named: Named, language: str = "en") -> str:
    """A path as a sentence, English or Chinese. `named`: what a node is called."""
    texts = TEXTS.get(language[:2], TEXTS["en"])
    first, last = path.steps[0].relation, path.steps[-1].relation
    if first in BELONGS and first == last and len(path.nodes) == 3:
        one, node, other = (named(node) for node in path.nodes)
        return texts[first].format(a=one, b=other, node=node.removeprefix("group "))
    said = []
    for place, step in enumerate(path.steps):
        key = f"{step.relation}>" if step.onward or step.relation in SYMMETRIC else f"<{step.relation}"
        said.append(texts[key].format(a=named(path.nodes[place]), b=named(path.nodes[place + 1])))
    return texts["and"].join(said)
