"""What did the shoppers of an experiment do since they first saw their arm? From the log of answers and the events.

    gathered    who was exposed to what and when (pages that name the experiment), and everything these shoppers did,
                as columns; a guest who signed in is one shopper, with the arm that was seen first
    readings    one number a shopper and metric since the first exposure (up to some moment), and the same over the
                days before the experiment began: what `evaluation.experiments.read` takes
    course      the effect as it was read at moments between: the picture of an experiment
    segments    the effect in groups that were what they are before it began

Metrics that are better when lower are in `LOWER`. Cost: 4 us an event and page of the time since it began.
Not for: who won (`verdict`), one list of two arms or switchbacks (`trying_lists`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bodega.evaluation.experiments import Effect, Moments, Readings, Segments, by_segment, compare
from bodega.evaluation.experiments.adjusting import adjusted
from bodega.evaluation.experiments.verdict import ALPHA, PLANNED
from bodega.schema.answers import Answered
from bodega.schema.arrays import Doubles, Flags, Ints, Longs
from bodega.schema.experiments import Doing, Experiment, KeptExperiment

DAY = 86_400.0
DONE = ("clicks", "carts", "purchases", "revenue", "dismissals", "returned")
"""Metrics that are sums of what shoppers did."""
SHOWN = ("pages", "zero_results", "degraded", "latency")
"""Metrics of the pages they were shown: how many, the share of searches that found nothing, the share that was
degraded, mean milliseconds."""
METRICS = (*DONE, *SHOWN, "days")
"""`days`: on how many days they came."""
LOWER = frozenset({"zero_results", "degraded", "latency", "dismissals", "returned"})
_OF = {"view": 0, "click": 0, "cart": 1, "purchase": 2, "dismiss": 4, "return": 5}
REVENUE = 3


@dataclass(frozen=True, slots=True)
class Log:
    """Where it is read from. `doings(since)` and `answers(since)` may be read several times."""

    answers: Callable[[float], Iterable[Answered]]
    doings: Callable[[float], Iterable[Doing]]
    key: Callable[[str], str] = str
    """The id by which a shopper of several ids is known."""


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """The shoppers of one experiment, and what they did. Rows of `done_*` and `page_*` are in order of time."""

    units: list[str]
    arm: Ints
    """(n,) row of the arm that was seen first."""
    first: Doubles
    """(n,) when that was."""
    crossed: int
    """Shoppers who saw several arms: they count for the first."""
    done_unit: Ints
    done_time: Doubles
    done_what: Ints
    """Row of `DONE`."""
    done_amount: Doubles
    page_unit: Ints
    page_time: Doubles
    page_facts: Doubles
    """(m, 4): searched, found nothing, degraded, milliseconds."""
    channel: list[str]
    """(n,) the channel of their first event, "" without one."""
    known: Flags
    """(n,) had they done anything before the experiment began?"""

    def __len__(self) -> int:
        return len(self.units)


def gathered(kept: KeptExperiment, log: Log, before_days: float) -> Gathered:
    """Read the log. Same log, same columns."""
    began = kept.started
    pages = [line for line in log.answers(began) if line.unit and kept.id in line.arms]
    homes = _homes(log, began - before_days * DAY, {line.session for line in pages if not line.user})
    rows = {arm.name: row for row, arm in enumerate(kept.experiment.arms)}
    number: dict[str, int] = {}
    arm: list[int] = []
    first: list[float] = []
    crossed: set[int] = set()
    shown: list[tuple[int, float, bool, bool, bool, float]] = []
    for line in pages:
        row = rows.get(line.arms[kept.id], -1)
        if row < 0:
            continue
        name = _unit(line.user, line.session, homes, log.key)
        unit = number.setdefault(name, len(number))
        if unit == len(arm):
            arm.append(row)
            first.append(line.time)
        elif arm[unit] != row:
            crossed.add(unit)
        empty = bool(line.query) and not line.items
        shown.append((unit, line.time, bool(line.query), empty, bool(line.degraded), line.milliseconds))
    done, channel, known = _done(kept, log, before_days, homes, number)
    facts = np.array([each[2:] for each in shown], np.float64).reshape(-1, 4)
    return Gathered(
        units=list(number),
        arm=np.array(arm, np.int32),
        first=np.array(first, np.float64),
        crossed=len(crossed) if kept.experiment.by == "shopper" else 0,
        done_unit=np.array([each[0] for each in done], np.int32),
        done_time=np.array([each[1] for each in done], np.float64),
        done_what=np.array([each[2] for each in done], np.int32),
        done_amount=np.array([each[3] for each in done], np.float64),
        page_unit=np.array([each[0] for each in shown], np.int32),
        page_time=np.array([each[1] for each in shown], np.float64),
        page_facts=facts,
        channel=channel,
        known=known,
    )


def _unit(user: str, session: str, homes: Mapping[str, str], key: Callable[[str], str]) -> str:
    """The name of a shopper: by account where there is one, else by the visit."""
    user = user or homes.get(session, "")
    return f"u:{key(user)}" if user else f"s:{session}"


def _homes(log: Log, since: float, sessions: set[str]) -> dict[str, str]:
    """{visit of a guest: the one account that was signed in on it}."""
    found: dict[str, set[str]] = {}
    for doing in log.doings(since) if sessions else ():
        if doing.user and doing.session in sessions:
            found.setdefault(doing.session, set()).add(log.key(doing.user))
    return {session: next(iter(users)) for session, users in found.items() if len(users) == 1}


def _done(
    kept: KeptExperiment, log: Log, before_days: float, homes: Mapping[str, str], number: Mapping[str, int]
) -> tuple[list[tuple[int, float, int, float]], list[str], Flags]:
    """([(unit, time, what, amount)], channel of each unit, was it known before?)."""
    channel, known = [""] * len(number), np.zeros(len(number), np.bool_)
    done = []
    for doing in log.doings(kept.started - before_days * DAY):
        unit = number.get(_unit(doing.user, doing.session, homes, log.key), -1)
        if unit < 0:
            continue
        channel[unit] = channel[unit] or doing.channel
        known[unit] |= doing.time < kept.started
        what = _OF.get(doing.type, -1)
        if what >= 0:
            done.append((unit, doing.time, what, 1.0))
        if doing.type == "purchase":
            done.append((unit, doing.time, REVENUE, doing.amount))
    return done, channel, known


def readings(kept: KeptExperiment, seen: Gathered, until: float = np.inf) -> Readings:
    """What shoppers exposed before `until` did till then. One number a shopper and metric."""
    n = len(seen)
    there = seen.first <= until
    keep = (seen.done_time >= seen.first[seen.done_unit]) & (seen.done_time <= until)
    past = seen.done_time < kept.started
    values: dict[str, Doubles] = {}
    before: dict[str, Doubles] = {}
    for row, name in enumerate(DONE):
        mine = seen.done_what == row
        values[name] = _sums(seen.done_unit, seen.done_amount, keep & mine, n)[there]
        was = _sums(seen.done_unit, seen.done_amount, past & mine, n)
        was[~seen.known] = np.nan
        before[name] = was[there]
    values |= {name: each[there] for name, each in _pages(seen, until).items()}
    days = np.unique(np.column_stack([seen.page_unit, seen.page_time // DAY])[seen.page_time <= until], axis=0)
    values["days"] = np.bincount(days[:, 0].astype(np.int64), minlength=n).astype(np.float64)[there]
    return Readings(seen.arm[there], values, before)


def _sums(unit: Ints | Longs, amount: Doubles, keep: Flags, n: int) -> Doubles:
    found: Doubles = np.bincount(unit[keep], weights=amount[keep], minlength=n).astype(np.float64)
    return found


def _pages(seen: Gathered, until: float) -> dict[str, Doubles]:
    keep, n = seen.page_time <= until, len(seen)
    unit, facts = seen.page_unit[keep], seen.page_facts[keep]
    count = np.bincount(unit, minlength=n).astype(np.float64)
    searched, empty, degraded, took = (
        np.bincount(unit, weights=facts[:, column], minlength=n) for column in range(facts.shape[1])
    )
    return {
        "pages": count,
        "zero_results": empty / np.maximum(searched, 1),
        "degraded": degraded / np.maximum(count, 1),
        "latency": took / np.maximum(count, 1),
    }


@dataclass(frozen=True, slots=True)
class Moment:
    """What was known of an experiment at some moment."""

    time: float
    units: int
    effects: tuple[Effect, ...]
    """Of each arm but the control."""


def course(kept: KeptExperiment, seen: Gathered, metric: str, times: Sequence[float]) -> list[Moment]:
    """The effect on a metric as it was read at these times, what was known before taken out, as the verdict does."""
    experiment = kept.experiment
    out = []
    for time in times:
        now = readings(kept, seen, time)
        values = now.values[metric]
        if metric in now.before:
            values = adjusted(values, now.before[metric]).values
        out.append(Moment(time, len(values), tuple(_effects(experiment, now.arm, values))))
    return out


def _effects(experiment: Experiment, arm: Ints, values: Doubles) -> Iterator[Effect]:
    alpha = ALPHA / (len(experiment.arms) - 1)
    control = Moments.of(values[arm == 0])
    for row in range(1, len(experiment.arms)):
        yield compare(Moments.of(values[arm == row]), control, experiment.units or PLANNED, alpha)


def segments(kept: KeptExperiment, seen: Gathered, metric: str, row: int) -> dict[str, Segments]:
    """{what shoppers are told apart by: effects of arm `row` in each group}, what was known before taken out.

    Groups: known to the shop before it began or not, with an account or not when they were first exposed, channel.
    """
    now = readings(kept, seen)
    values = now.values[metric]
    if metric in now.before:
        values = adjusted(values, now.before[metric]).values
    groups = {
        "known": np.where(seen.known, "returning", "new"),
        "account": np.array(["member" if name.startswith("u:") else "guest" for name in seen.units]),
        "channel": np.array([name or "unknown" for name in seen.channel]),
    }
    return {
        name: by_segment(
            {
                str(each): (values[(held == each) & (now.arm == row)], values[(held == each) & (now.arm == 0)])
                for each in np.unique(held)
            }
        )
        for name, held in groups.items()
        if len(held)
    }


def blocks(kept: KeptExperiment, seen: Gathered, metric: str) -> tuple[Doubles, Doubles]:
    """A switchback's values: one for each shopper and block of time, and when the shopper first came in it. The first
    minutes of a block are not counted."""
    length, burn = 60.0 * kept.experiment.block_minutes, 60.0 * kept.experiment.burn_in_minutes
    inside = seen.page_time % length >= burn
    span = int(seen.page_time.max() // length) + 2 if len(seen.page_time) else 1
    code = seen.page_unit[inside].astype(np.int64) * span + (seen.page_time[inside] // length).astype(np.int64)
    unique, at, back = np.unique(code, return_index=True, return_inverse=True)
    times = seen.page_time[inside][at]
    if metric in DONE:
        mine = (seen.done_what == DONE.index(metric)) & (seen.done_time % length >= burn)
        mine &= (seen.done_time >= kept.started) & (seen.done_time // length < span)
        did = seen.done_unit[mine].astype(np.int64) * span + (seen.done_time[mine] // length).astype(np.int64)
        row = np.searchsorted(unique, did)
        hit = row < len(unique)
        hit[hit] = unique[row[hit]] == did[hit]
        return _sums(row[hit], seen.done_amount[mine][hit], np.ones(int(hit.sum()), np.bool_), len(unique)), times
    facts = seen.page_facts[inside]
    count = np.bincount(back, minlength=len(unique)).astype(np.float64)
    searched, empty, degraded, took = (
        np.bincount(back, weights=facts[:, column], minlength=len(unique)) for column in range(4)
    )
    values = {
        "zero_results": empty / np.maximum(searched, 1),
        "degraded": degraded / np.maximum(count, 1),
        "latency": took / np.maximum(count, 1),
        "days": np.ones(len(unique)),
    }
    return values.get(metric, count), times
