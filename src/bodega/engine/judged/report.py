"""Did search get worse? The served snapshot, the one before and plain words, on every judged query, in one report.

Each ranks every judged query of its own accord, without a shopper, rules or counts since. nDCG@10 gains the grade of
each item; MRR and recall@50 count grades from 2 on as right. An item that nobody judged gains nothing, so an answer
that finds something new and good is judged too low until somebody judges it: `unjudged` says how much of the first ten
that is. Differences are paired by query, with 95 % intervals. `worse` only where the interval lies below 0.
Cost: three searches a query (5 ms each on 12,000 items), opening a snapshot. Paper: Jarvelin & Kekalainen 2002.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from bodega.evaluation import paired
from bodega.evaluation.graded import graded_ndcg
from bodega.evaluation.judgments import Gold
from bodega.evaluation.ranks import Ranked
from bodega.protocols import Progress
from bodega.schema.arrays import Doubles
from bodega.schema.judgments import RELEVANT

DEPTH = 50
FIRST = 10
WORST = 20
KEPT = 60
"""Reports that stay in the folder: two months of nights."""
FOLDER = "judgments"
METRICS = ("ndcg@10", "mrr", "recall@50")
Ranks = Callable[[str], Sequence[str]]
"""Ids of the first `DEPTH` items for a query."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """The served snapshot less another system, mean over the queries."""

    mean: float
    low: float
    high: float

    @property
    def state(self) -> str:
        """`better`, `worse`, or `open` where the interval holds 0."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "open"


class QueryLine(msgspec.Struct, frozen=True, kw_only=True):
    """One query that moved."""

    query: str
    now: float
    before: float
    """nDCG@10 of the served snapshot and of the other."""
    judged: int


class RelevanceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, kept in the shop's folder."""

    time: float
    snapshot: str
    before: str
    """The snapshot it is compared with; "" where there is only one."""
    queries: int
    judgments: int
    origins: dict[str, int]
    figures: dict[str, dict[str, float]]
    """{`served`, `before`, `bm25`: {metric: mean}}."""
    changes: dict[str, dict[str, Change]]
    """{`before`, `bm25`: {metric: the served less it}}."""
    unjudged: float
    """Part of the served first ten that nobody judged."""
    worst: tuple[QueryLine, ...] = ()
    best: tuple[QueryLine, ...] = ()

    @property
    def worse(self) -> bool:
        """Is the served snapshot surely worse than the one before?"""
        return any(change.state == "worse" for change in self.changes.get("before", {}).values())

    @property
    def verdict(self) -> str:
        """In a word: `none` (nothing to compare with), `better`, `worse` or `open`."""
        found = self.changes.get("before")
        if not found or not self.queries:
            return "none"
        return "worse" if self.worse else found["ndcg@10"].state


def relevance(gold: Gold, systems: Mapping[str, Ranks], progress: Progress, seed: int = 7) -> Compared:
    """Every system on every judged query that has something right."""
    queries = [query for query, items in gold.grades.items() if max(items.values()) > 0]
    progress.start("rank the judged queries", len(queries))
    lists: dict[str, list[Sequence[str]]] = {name: [] for name in systems}
    for query in queries:
        for name, ranks in systems.items():
            lists[name].append(ranks(query))
        progress.advance()
    progress.finish()
    graded = [gold.grades[query] for query in queries]
    values = {name: measured(found, graded) for name, found in lists.items()}
    shown = [item in grades for found, grades in zip(lists["served"], graded, strict=True) for item in found[:FIRST]]
    return Compared(queries, graded, values, 1.0 - float(np.mean(shown)) if shown else 0.0, seed)


class Compared:
    """Per-query values of every system, ready to be told."""

    def __init__(
        self,
        queries: list[str],
        graded: list[Mapping[str, int]],
        values: dict[str, dict[str, Doubles]],
        unjudged: float,
        seed: int,
    ) -> None:
        self.queries, self.graded, self.values, self.unjudged, self._seed = queries, graded, values, unjudged, seed

    def figures(self) -> dict[str, dict[str, float]]:
        """Means over the queries."""
        return {
            name: {metric: round(float(np.mean(own)), 6) if len(own) else 0.0 for metric, own in row.items()}
            for name, row in self.values.items()
        }

    def change(self, other: str) -> dict[str, Change]:
        """The served less another system."""
        rng = np.random.default_rng(self._seed)
        out = {}
        for metric in METRICS:
            gap = paired(self.values["served"][metric], self.values[other][metric], rng)
            out[metric] = Change(mean=round(gap.mean, 6), low=round(gap.low, 6), high=round(gap.high, 6))
        return out

    def moved(self, other: str, sign: float) -> tuple[QueryLine, ...]:
        """Queries that lost most (sign 1) or won most (-1)."""
        now, before = self.values["served"]["ndcg@10"], self.values[other]["ndcg@10"]
        order = np.argsort(sign * (now - before), kind="stable")[:WORST]
        return tuple(
            QueryLine(
                query=self.queries[row],
                now=round(float(now[row]), 4),
                before=round(float(before[row]), 4),
                judged=len(self.graded[row]),
            )
            for row in order
            if sign * (now[row] - before[row]) < 0
        )


def measured(lists: Sequence[Sequence[str]], graded: Sequence[Mapping[str, int]]) -> dict[str, Doubles]:
    """{metric: (n_queries,)} of lists of ids over grades; every query has an item of grade 1 or more.

    >>> measured([["a", "b"]], [{"a": 3, "b": 0, "c": 1}])["mrr"].tolist()
    [1.0]
    """
    rank, gain, case, item = [], [], [], 0
    for row, (found, grades) in enumerate(zip(lists, graded, strict=True)):
        places = {name: place for place, name in enumerate(found, 1)}
        for name, grade in grades.items():
            if grade > 0:
                rank.append(float(places.get(name, np.inf)))
                gain.append(float(grade))
                case.append(row)
                item += 1
    ranked = Ranked(
        np.array(rank), np.arange(item, dtype=np.int32), np.array(case, np.int32), np.full(len(lists), DEPTH, np.int32)
    )
    right = np.array(gain) >= RELEVANT
    each = np.array(rank)
    first = np.full(len(lists), np.inf)
    np.minimum.at(first, np.array(case, np.int64)[right], each[right])
    many = ranked.sum(right.astype(np.float64))
    recall = ranked.sum((right & (each <= DEPTH)).astype(np.float64)) / np.maximum(many, 1.0)
    return {"ndcg@10": graded_ndcg(ranked, np.array(gain), FIRST), "mrr": 1.0 / first, "recall@50": recall}


def keep(report: RelevanceReport, folder: Path) -> Path:
    """Write the report; the oldest beyond `KEPT` go."""
    own = folder / FOLDER
    own.mkdir(parents=True, exist_ok=True)
    path = own / f"report-{round(report.time * 1000):016d}.json"
    made = own / f".{path.name}.new"
    made.write_bytes(msgspec.json.encode(report))
    made.replace(path)
    for old in sorted(own.glob("report-*.json"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def kept(folder: Path, limit: int = KEPT) -> list[RelevanceReport]:
    """The newest reports, newest first; what cannot be read is left out."""
    out = []
    for path in sorted((folder / FOLDER).glob("report-*.json"), reverse=True)[:limit]:
        try:
            out.append(msgspec.json.decode(path.read_bytes(), type=RelevanceReport))
        except (OSError, msgspec.MsgspecError):
            continue
    return out
