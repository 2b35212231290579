"""Many opinions, one grade: which judge counts for a (query, item), and how far do judges agree?

    people          their mean, rounded half up, where anybody of the shop has judged the pair
    clicks          where nobody has
    language model  last, and only where it has proved itself: the lower end of its kappa with people (or with clicks
                    where too few people judged) is at least `PROVEN`

Cost: a pass over the opinions. Not for: keeping them (`protocols.JudgmentStore`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bodega.evaluation.judgments.agreement import Agreement, kappa
from bodega.schema.judgments import GRADES, Judgment

PROVEN = 0.4
"""Kappa from which on agreement is called moderate (Landis & Koch 1977)."""
COMMON = 30
"""Pairs that both must have judged before agreement says anything of a language model."""

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Compared:
    """Two judges and how far they agree."""

    one: str
    other: str
    agreement: Agreement

    @property
    def proven(self) -> bool:
        """Is the agreement surely more than moderate, on enough cases?"""
        return self.agreement.n >= COMMON and self.agreement.low >= PROVEN


@dataclass(frozen=True, slots=True)
class Gold:
    """What counts: one grade a pair."""

    grades: Mapping[str, Mapping[str, int]]
    """{query: {item: grade}}."""
    origins: Mapping[str, int]
    """{origin: pairs whose grade it gave}."""
    llm: bool
    """May a language model's opinions count?"""

    def __len__(self) -> int:
        return sum(len(items) for items in self.grades.values())


def judge_name(judgment: Judgment) -> str:
    """How a judge is called: `human ann`, `clicks pbm`, `llm name`."""
    return f"{judgment.origin} {judgment.who}".strip()


def merged(judgments: Iterable[Judgment], rng: np.random.Generator, apart: str = "") -> Gold:
    """One grade a pair; judges of the origin `apart` vouch for others, but give no grade."""
    held = list(judgments)
    llm = any(each.origin == "llm" for each in held) and trusted(held, rng)
    order = [name for name in ("human", "clicks", *(("llm",) if llm else ())) if name != apart]
    by_pair: dict[Pair, dict[str, list[int]]] = {}
    for each in held:
        by_pair.setdefault((each.query, each.item), {}).setdefault(each.origin, []).append(each.grade)
    grades: dict[str, dict[str, int]] = {}
    origins: dict[str, int] = {}
    for (query, item), said in sorted(by_pair.items()):
        origin = next((name for name in order if name in said), "")
        if origin:
            grades.setdefault(query, {})[item] = middle(said[origin])
            origins[origin] = origins.get(origin, 0) + 1
    return Gold(grades, origins, llm)


def middle(grades: Sequence[int]) -> int:
    """The mean, rounded half up."""
    return int(np.floor(np.mean(grades) + 0.5))


def trusted(judgments: Sequence[Judgment], rng: np.random.Generator) -> bool:
    """Has the language model proved itself against people, or against clicks where few pairs have both?"""
    for origin in ("human", "clicks"):
        found = _between(_pooled(judgments, "llm"), _pooled(judgments, origin), rng)
        if found.n >= COMMON:
            return found.low >= PROVEN
    return False


def agreements(judgments: Sequence[Judgment], rng: np.random.Generator) -> list[Compared]:
    """Every two origins, and every two people; those without a common pair are left out."""
    out = _compared({name: _pooled(judgments, name) for name in ("human", "clicks", "llm")}, rng, lambda name: name)
    people: dict[str, dict[Pair, int]] = {}
    for each in judgments:
        if each.origin == "human":
            people.setdefault(each.who, {})[each.query, each.item] = each.grade
    return out + _compared(people, rng, lambda name: f"human {name}".strip())


def _compared(
    judges: Mapping[str, Mapping[Pair, int]], rng: np.random.Generator, named: Callable[[str], str]
) -> list[Compared]:
    found = [
        Compared(named(one), named(other), _between(judges[one], judges[other], rng))
        for one, other in combinations(judges, 2)
    ]
    return [each for each in found if each.agreement.n]


def _between(one: Mapping[Pair, int], other: Mapping[Pair, int], rng: np.random.Generator) -> Agreement:
    common = sorted(set(one) & set(other))
    return kappa(
        np.array([one[pair] for pair in common], np.int32),
        np.array([other[pair] for pair in common], np.int32),
        rng,
        GRADES,
    )


def _pooled(judgments: Iterable[Judgment], origin: str) -> dict[Pair, int]:
    said: dict[Pair, list[int]] = {}
    for each in judgments:
        if each.origin == origin:
            said.setdefault((each.query, each.item), []).append(each.grade)
    return {pair: middle(grades) for pair, grades in said.items()}
