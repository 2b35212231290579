"""May a candidate be shown to shoppers? Five gates before any of them sees it; one that fails ends it.

    quality     NDCG@10 on what shoppers took in the held-out days, which neither snapshot learned from, paired by case:
                surely no more than `margin` worse than what is served, and on no list surely worse by more than that
                (home, where `learn.appeal` is on: on what was taken of pages that were shown, places taken out)
    relevance   graded nDCG@10 on judged queries: not surely worse
    exposure    places of the first ten, weighted by 1/log2(1 + place): between sellers (brands, where no item names
                one), and away from what few take, no more than `exposure` of them moves
    attack      places newly won by items whose new supporters are too few or too new: no more than `attack` of them
    latency     the 95th percentile of a list, in CPU time: no more than `latency` times what is served takes

Both snapshots answer every case themselves, over their own catalog; ids are translated. Cost: two rankings a case (5 ms
each), a read of the log. Not for: what only shoppers can say; the contest asks them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import numpy as np

from bodega.engine.judged.report import Ranks, relevance
from bodega.engine.loop.attack import Attack, suspicious
from bodega.engine.places import PLACES, Place
from bodega.engine.shown import PLACE as SHOWN
from bodega.engine.shown import looks_of
from bodega.engine.workshop import Contestant
from bodega.evaluation import Case, CaseOptions, Window, evaluate, paired, per_case, place_cases
from bodega.evaluation.judgments import Gold
from bodega.evaluation.showings import showings
from bodega.evaluation.splits import interest
from bodega.protocols import NoProgress, Progress
from bodega.schema import EVENT_CODES, Candidates, Context, ItemTable, Log
from bodega.schema.arrays import Doubles, Ints
from bodega.schema.said import Said
from bodega.settings import Loop, Settings

FEWEST = 50
"""Cases below which nothing can be said of quality."""
QUICK = 0.005
"""Seconds of CPU that a list may always take."""
POPULAR = 0.2
"""The most wanted fifth of the catalog is what many take; the rest is what few take."""
FIRST = 10
METRIC = "ndcg@10"
Values = dict[str, dict[str, Doubles]]
"""{list: {who: the metric of each case}}."""
State = Literal["pass", "fail", "open", "skip"]


class GateLine(msgspec.Struct, frozen=True, kw_only=True):
    """One gate."""

    gate: str
    state: State
    """`open`: too little to say; the candidate waits for more. `skip`: nothing to judge by, which is no obstacle."""
    value: float = 0.0
    limit: float = 0.0
    low: float = 0.0
    high: float = 0.0
    cases: int = 0
    text: str = ""
    facts: dict[str, float] = {}

    @property
    def said(self) -> Said:
        """`text` with its code and figures."""
        part = self.gate in ("exposure", "attack")
        value, limit = (f"{each:.1%}" if part else round(each, 4) for each in (self.value, self.limit))
        few = (self.gate == "quality" and self.state == "open" and self.cases < FEWEST) or self.state == "skip"
        values: dict[str, str | float | int] = {
            "value": value, "limit": limit, "low": round(self.low, 4), "high": round(self.high, 4),
            "cases": self.cases, "needed": FEWEST,
        }  # fmt: skip
        return Said(f"gate.{self.gate}_few" if few else f"gate.{self.gate}", self.text, values)


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    candidate: str
    served: str
    start: float
    end: float
    """The held-out days."""
    lines: tuple[GateLine, ...]
    accounts: tuple[str, ...] = ()
    """Accounts behind an attack: the next candidate learns without them."""

    @property
    def state(self) -> State:
        """`pass` where quality passed and nothing failed, `fail` where anything did, else `open`."""
        states = {line.state for line in self.lines}
        if "fail" in states:
            return "fail"
        return "open" if "open" in states else "pass"

    @property
    def why(self) -> str:
        """The gates that failed or could not say, in words."""
        return "; ".join(line.text for line in self.lines if line.state in ("fail", "open"))


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """What is judged, and on what."""

    candidate: Contestant
    served: Contestant
    log: Log
    """Coded against the candidate's items; all of it."""
    window: Window
    gold: Gold
    ranks: Mapping[str, Ranks]
    """{`served`, `before`: ranks} where `served` stands for the candidate (it would be) and `before` for today's."""
    settings: Settings
    names: Callable[[Attack], tuple[str, ...]] = lambda _: ()
    """The accounts behind an attack."""

    @property
    def dials(self) -> Loop:
        return self.settings.loop


def weigh(it: Weighing, progress: Progress | None = None) -> GateReport:
    """All gates. Deterministic but for latency."""
    said = progress or NoProgress()
    timed = {"candidate": _Timed(it.candidate.rank), "served": _Timed(_translated(it.served, it.candidate.items))}
    values: Values = {}
    lists: dict[str, list[Ints]] = {name: [] for name in timed}
    for place, cases in cases_of(it).items():
        outcomes = evaluate(timed, cases, len(it.candidate.items), depth=FIRST, progress=said)
        values[place] = {name: per_case(own.masked, (METRIC,))[METRIC] for name, own in outcomes.items()}
        for name, own in outcomes.items():
            lists[name].append(own.lists)
    values |= _shown(it, timed, said)
    shown = {name: np.concatenate(own) if own else np.empty((0, FIRST), np.int32) for name, own in lists.items()}
    held, attack = exposures(it, shown), None
    attack = suspicious(it.log, held["candidate"] - held["served"], _until(it))
    lines = (
        quality(values, it.dials.margin, np.random.default_rng(it.settings.learn.seed)),
        _relevance(it, said),
        exposure(it, held),
        _attack(it, attack),
        _latency(timed["candidate"].seconds, timed["served"].seconds, it.dials.latency),
    )
    accounts = it.names(attack) if lines[3].state == "fail" else ()
    ids = it.candidate.learned.snapshot, it.served.learned.snapshot
    return GateReport(
        candidate=ids[0], served=ids[1], start=it.window.start, end=it.window.end, lines=lines, accounts=accounts
    )


def cases_of(it: Weighing) -> dict[str, list[Case]]:
    """{place: cases of the held-out days}, for every list that weights are fitted for."""
    found = {}
    for place in PLACES.values():
        if place.fitted:
            found[place.name] = _cases(it, place)
    return {name: cases for name, cases in found.items() if cases}


def _cases(it: Weighing, place: Place) -> list[Case]:
    options = CaseOptions(
        limit=it.dials.cases,
        seed=it.settings.learn.seed,
        history=it.settings.answer.history,
        mask_seen=place.fresh and not it.candidate.learned.repeats,
    )
    log = it.log
    if place.evidence:
        log = log.where(np.isin(log.type, [EVENT_CODES[name] for name in place.evidence]))
    return place_cases(log, place.name, it.window, options)


def _shown(it: Weighing, ranks: Mapping[str, Callable[[Context], Candidates]], said: Progress) -> Values:
    """What was taken of pages that were shown, where the served snapshot knows how places are looked at: held-out days
    were lived under its lists, so that it is right by construction wherever everything competes."""
    looks = looks_of(it.served.learned.sources)
    if looks is None:
        return {}
    options = CaseOptions(limit=it.dials.cases, seed=it.settings.learn.seed, history=it.settings.answer.history)
    found = showings(it.log, SHOWN, it.window, looks, options)
    if len(found) < FEWEST:
        return {}
    n_items = len(it.candidate.items)
    outcomes = evaluate(dict(ranks), [each.masked(n_items) for each in found], n_items, depth=FIRST, progress=said)
    return {SHOWN: {name: per_case(own.masked, (METRIC,))[METRIC] for name, own in outcomes.items()}}


def quality(values: Mapping[str, Mapping[str, Doubles]], margin: float, rng: np.random.Generator) -> GateLine:
    """{place: {`candidate`, `served`: NDCG@10 of each case}} -> the gate."""
    both = {
        name: np.concatenate([np.empty(0), *(own[name] for own in values.values())]) for name in ("candidate", "served")
    }
    n, usual = len(both["served"]), float(both["served"].mean()) if len(both["served"]) else 0.0
    gap, limit = paired(both["candidate"], both["served"], rng), -margin * usual
    worse = []
    facts = {"candidate": round(float(both["candidate"].mean()), 6) if n else 0.0, "served": round(usual, 6)}
    for place, own in sorted(values.items()):
        each = paired(own["candidate"], own["served"], rng)
        facts[f"{place}.difference"], facts[f"{place}.cases"] = round(each.mean, 6), float(len(own["served"]))
        if len(own["served"]) >= FEWEST and each.high < -margin * float(own["served"].mean()):
            worse.append(place)
    if n < FEWEST:
        state: State = "open"
        text = f"quality: {n} cases in the held-out days, {FEWEST} are needed"
    elif gap.high < limit or worse:
        state = "fail"
        text = f"quality: NDCG@10 {gap.mean:+.4f} ({gap.low:+.4f} to {gap.high:+.4f}), surely worse" + (
            f" on {', '.join(worse)}" if worse else ""
        )
    elif gap.low >= limit:
        state, text = "pass", f"quality: NDCG@10 {gap.mean:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})"
    else:
        state = "open"
        text = f"quality: NDCG@10 {gap.mean:+.4f} ({gap.low:+.4f} to {gap.high:+.4f}) may be below {limit:+.4f}"
    return GateLine(
        gate="quality", state=state, value=gap.mean, limit=limit, low=gap.low, high=gap.high, cases=n, text=text,
        facts=facts,
    )  # fmt: skip


def _relevance(it: Weighing, progress: Progress) -> GateLine:
    queries = sum(max(items.values()) > 0 for items in it.gold.grades.values())
    if queries < it.settings.judgments.queries:
        text = f"relevance: {queries} judged queries, {it.settings.judgments.queries} are needed"
        return GateLine(gate="relevance", state="skip", cases=queries, text=text)
    change = relevance(it.gold, it.ranks, progress, it.settings.learn.seed).change("before")[METRIC]
    state: State = "fail" if change.state == "worse" else "pass"
    text = f"relevance: nDCG@10 {change.mean:+.4f} ({change.low:+.4f} to {change.high:+.4f}) on {queries} queries"
    return GateLine(
        gate="relevance", state=state, value=change.mean, low=change.low, high=change.high, cases=queries, text=text
    )


def exposures(it: Weighing, lists: Mapping[str, Ints]) -> dict[str, Doubles]:
    """{who: part of all exposure that each item of the candidate's table gets}, (n_items,) each."""
    weight = 1.0 / np.log2(np.arange(2, FIRST + 2))
    out = {}
    for name, own in lists.items():
        there = own >= 0
        total = np.bincount(
            own[there], weights=np.broadcast_to(weight, own.shape)[there], minlength=len(it.candidate.items)
        )
        out[name] = total / max(float(total.sum()), 1e-12)
    return out


def exposure(it: Weighing, held: Mapping[str, Doubles]) -> GateLine:
    """How much of the first ten moves between sellers, and away from what few take."""
    items, limit = it.candidate.items, it.dials.exposure
    seller = _sellers(items)
    groups = int(seller.max(initial=0)) + 1
    shares = {name: np.bincount(seller, weights=own, minlength=groups) for name, own in held.items()}
    moved = float(np.abs(shares["candidate"] - shares["served"]).sum() / 2)
    wanted = np.bincount(it.log.item[interest(it.log)], minlength=len(items))
    few = np.ones(len(items), np.bool_)
    few[np.argsort(-wanted, kind="stable")[: max(1, round(POPULAR * len(items)))]] = False
    tail = {name: float(own[few].sum()) for name, own in held.items()}
    lost = tail["served"] - tail["candidate"]
    worst = max(moved, lost)
    text = (
        f"exposure: {moved:.1%} moves between sellers, what few take gets {tail['candidate']:.1%} (was "
        f"{tail['served']:.1%}); at most {limit:.0%} may move"
    )
    facts = {"sellers.moved": round(moved, 6), "few.now": round(tail["candidate"], 6), "few.was": tail["served"]}
    return GateLine(
        gate="exposure", state="fail" if worst > limit else "pass", value=worst, limit=limit, text=text, facts=facts
    )


def _sellers(items: ItemTable) -> Ints:
    """A number for each item's seller, or for its brand where no item names a seller: (n_items,)."""
    for field in ("seller", "brand"):
        column = items.coded.get(field)
        if column is not None and len(column.vocabulary):
            has = np.diff(column.starts) > 0
            out = np.zeros(len(items), np.int32)
            out[has] = column.codes[column.starts[:-1][has]] + 1
            return out
    return np.zeros(len(items), np.int32)


def _attack(it: Weighing, found: Attack) -> GateLine:
    limit = it.dials.attack
    named = ", ".join(it.candidate.items.ids[row] for row in found.items[:5].tolist())
    text = f"attack: {found.moved:.1%} of the places go to items that few or new hands pushed, at most {limit:.0%} may"
    if len(found.items):
        text += f" ({named})"
    return GateLine(
        gate="attack",
        state="fail" if found.moved > limit else "pass",
        value=found.moved,
        limit=limit,
        cases=len(found.items),
        text=text,
    )


def _latency(candidate: Sequence[float], served: Sequence[float], limit: float) -> GateLine:
    if len(candidate) < FIRST:
        return GateLine(gate="latency", state="skip", limit=limit, text="latency: nothing was ranked")
    now, before = (float(np.quantile(each, 0.95)) for each in (candidate, served))
    ratio = now / max(before, 1e-9)
    state: State = "fail" if ratio > limit and now > QUICK else "pass"
    text = f"latency: 95 % of lists within {now * 1000:.1f} ms of CPU, {ratio:.2f} times what is served"
    return GateLine(gate="latency", state=state, value=ratio, limit=limit, cases=len(candidate), text=text)


class _Timed:
    """Ranks, and remembers the CPU seconds of each list."""

    def __init__(self, rank: Callable[[Context], Candidates]) -> None:
        self._rank, self.seconds = rank, list[float]()

    def __call__(self, context: Context) -> Candidates:
        began = time.thread_time()
        found = self._rank(context)
        self.seconds.append(time.thread_time() - began)
        return found


def _translated(contestant: Contestant, items: ItemTable) -> Callable[[Context], Candidates]:
    """A snapshot's ranking in the rows of another catalog; items that only one of them knows are nobody's."""
    index = contestant.items.index
    there = np.array([index.get(name, -1) for name in items.ids], np.int32)
    back = np.full(len(contestant.items), -1, np.int32)
    back[there[there >= 0]] = np.flatnonzero(there >= 0)

    def rank(context: Context) -> Candidates:
        history = there[context.history]
        known, seen = history >= 0, there[context.shown] >= 0
        own = replace(
            context,
            history=history[known],
            times=context.times[known],
            actions=context.actions[known],
            items=_known(there[context.items]),
            disliked=_known(there[context.disliked]),
            shown=there[context.shown][seen],
            shown_times=context.shown_times[seen],
        )
        found = contestant.rank(own)
        rows = back[found.items]
        kept = rows >= 0
        return Candidates(rows[kept], found.scores[kept], found.score[kept], found.sources)

    return rank


def _known(rows: Ints) -> Ints:
    return rows[rows >= 0]


def _until(it: Weighing) -> float:
    """From here on events are news to the candidate."""
    until = it.served.opened.until
    return -np.inf if until is None else until
