"""What did shoppers do with what they were shown, and what was known just before? A log as multi-task examples.

    impressions -> lists (one visit, one look) -> what happened to each item afterwards: click, cart, ..., stars
    cases       -> candidates of all sources   -> what the shopper then did with them

An example is one item of one list: the columns of features as they were *strictly before* the list was shown, and a
label a task. Labels climb: who bought also wanted it in the cart, and went for it. A task that the log does not tell
(nobody rates here, no visit has a second view) has no column; a label that cannot be known is NaN.
As of then means: the state of the features is written on event by event, and each list sees what came before it; the
sources were fitted before the window. `check_examples` builds examples again from a log that ends before them, and
compares number by number: whatever else knew the future is found.
Cost: about 2 ms a list, most of it the sources' candidates. Not for: which place was looked at (`position`).
Paper: Ma et al. 2018 (ESMM: one space of impressions for all tasks); Covington et al. 2016 (examples as of then).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from bodega.errors import BadRequest, LeakFound
from bodega.evaluation import Case, Window
from bodega.schema import EVENT_CODES, Context, Log
from bodega.schema.arrays import NO_DOUBLES, NO_INTS, Codes, Doubles, Flags, Floats, Ints, Longs

TASKS = ("click", "cart", "purchase", "dwell", "rating")
"""In this order; a log may tell only some of them."""

LONGEST_LOOK = 600.0
"""Seconds: a longer look counts as this one (the tab was left open)."""

RECENT = 20
"""Newest items of the history that an example keeps."""

FEWEST = 50
"""Labels above 0 that a task needs."""

_IMPRESSION = EVENT_CODES["impression"]
_STEP = {"click": 1, "view": 1, "cart": 2, "purchase": 3}
_STEP_OF_CODE = np.array([_STEP.get(name, 0) for name in EVENT_CODES], np.int8)


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """n items of lists: what was known, and what came of it. Rows of one list are neighbours."""

    columns: tuple[str, ...]
    tasks: tuple[str, ...]
    values: Floats
    """(n, n_columns), NaN = missing."""
    labels: Floats
    """(n, n_tasks) in 0..1, NaN = not known."""
    item: Ints
    """(n,) item indices."""
    position: Ints
    """(n,) place in the list that was shown, -1 = not shown or not known."""
    starts: Longs
    """(n_lists + 1,) list g has the rows starts[g]:starts[g+1]."""
    recent: Ints
    """(n_lists, RECENT) newest items of the history, newest first, -1 = none."""
    actions: Codes
    """(n_lists, RECENT) what was done with them, event codes."""
    user: Ints
    """(n_lists,)."""
    query: Ints
    """(n_lists,) row of the log's queries, -1 = none was asked."""
    moment: Doubles
    """(n_lists,) seconds since 1970: nothing from here on was known."""

    def __len__(self) -> int:
        return len(self.item)

    @property
    def n_lists(self) -> int:
        return len(self.starts) - 1

    @property
    def list_of(self) -> Longs:
        """(n,) the list of each row."""
        return np.repeat(np.arange(self.n_lists), np.diff(self.starts))

    def lists(self, rows: Longs | Flags) -> Examples:
        """Only these lists (indices or flags), in this order."""
        chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else np.asarray(rows, np.int64)
        at, lengths = rows_of(self.starts, chosen)
        return replace(
            self,
            values=self.values[at],
            labels=self.labels[at],
            item=self.item[at],
            position=self.position[at],
            starts=np.concatenate([[0], np.cumsum(lengths)]),
            recent=self.recent[chosen],
            actions=self.actions[chosen],
            user=self.user[chosen],
            query=self.query[chosen],
            moment=self.moment[chosen],
        )

    def only(self, tasks: Sequence[str]) -> Examples:
        """The same rows with some of the tasks."""
        return replace(self, tasks=tuple(tasks), labels=self.labels[:, [self.tasks.index(task) for task in tasks]])

    def told(self, fewest: int = FEWEST) -> Examples:
        """Only the tasks that the log tells: enough labels above 0, and not all alike."""
        kept = [task for row, task in enumerate(self.tasks) if _tells(self.labels[:, row], fewest)]
        return self.only(kept)

    def held_out(self, share: float, seed: int) -> tuple[Examples, Examples]:
        """(most, the rest): a seeded draw of shoppers, so that nobody is on both sides."""
        people = np.unique(self.user)
        drawn = np.random.default_rng([seed, 41]).permutation(people)[: max(1, round(share * len(people)))]
        rest = np.isin(self.user, drawn)
        return self.lists(~rest), self.lists(rest)

    @staticmethod
    def joined(parts: Sequence[Examples]) -> Examples:
        """One after the other. Raises BadRequest where columns or tasks differ or there is nothing."""
        if len({(part.columns, part.tasks) for part in parts}) != 1:
            raise BadRequest(
                "examples of different columns or tasks cannot be joined",
                where="Examples.joined(parts)",
                allowed="parts with the same columns and tasks",
                got=[(len(part.columns), part.tasks) for part in parts],
            )
        offsets = np.cumsum([0, *(len(part) for part in parts)])
        starts = [part.starts[:-1] + offset for part, offset in zip(parts, offsets[:-1], strict=True)]
        names = ("values", "labels", "item", "position", "recent", "actions", "user", "query", "moment")
        held: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return replace(parts[0], **held, starts=np.concatenate([*starts, offsets[-1:]]))


def rows_of(starts: Longs, lists: Longs) -> tuple[Longs, Longs]:
    """The rows of these lists, list after list, and how many each has."""
    first = starts[lists]
    lengths = starts[lists + 1] - first
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(first - (ends - lengths), lengths), lengths


def _tells(labels: Floats, fewest: int) -> bool:
    known = labels[np.isfinite(labels)]
    return bool(np.count_nonzero(known > 0) >= fewest and np.ptp(known) > 0.01)


@dataclass(frozen=True, slots=True, eq=False)
class Asker:
    """Who saw a list, and what was known of them."""

    context: Context
    user: int
    query: int = -1


class Describes(Protocol):
    """What turns a request's items into columns, as of the events it was told: the features of a ranker."""

    columns: tuple[str, ...]

    def see(self, log: Log, upto: int) -> None:
        """Take in the events of `log` up to (not including) row `upto`; called with growing numbers."""
        ...

    def describe(self, context: Context, items: Ints) -> Floats:
        """(len(items), n_columns) for the given items of this request."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The lists that shoppers were shown, from the impressions of a log."""

    rows: Longs
    """(n,) rows of the impressions in the log, list after list, in the order of places."""
    starts: Longs
    """(n_lists + 1,)."""

    @classmethod
    def of(cls, log: Log) -> Shown:
        """One list: impressions of one visit and one query that follow each other with growing places."""
        rows = np.flatnonzero((log.type == _IMPRESSION) & (log.item >= 0))
        rows = rows[np.lexsort((np.arange(len(rows)), log.position[rows], log.time[rows], log.session[rows]))]
        session, query, place = log.session[rows], log.query[rows], log.position[rows]
        new = np.ones(len(rows), np.bool_)
        new[1:] = (session[1:] != session[:-1]) | (query[1:] != query[:-1]) | (place[1:] <= place[:-1])
        order = np.argsort(np.repeat(log.time[rows[new]], np.diff([*np.flatnonzero(new), len(rows)])), kind="stable")
        lengths = np.diff([*np.flatnonzero(new), len(rows)])[np.argsort(log.time[rows[new]], kind="stable")]
        return cls(rows[order], np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    def within(self, log: Log, window: Window) -> Shown:
        """The lists whose first item was shown inside the window."""
        first = log.time[self.rows[self.starts[:-1]]] if len(self.rows) else NO_DOUBLES
        chosen = np.flatnonzero((first >= window.start) & (first < window.end))
        at, lengths = rows_of(self.starts, chosen)
        return Shown(self.rows[at], np.concatenate([[0], np.cumsum(lengths)]))


def outcomes(log: Log, rows: Longs) -> Floats:
    """What became of each impression (row of the log) in the rest of the visit: (n, len(TASKS)).

    An action counts for the last impression of its item in its visit before it. Dwell is the share of LONGEST_LOOK, on
    a logarithmic scale, from a look to the next event of the visit; stars may come days later and count for the
    shopper's last impression of the item. NaN where nothing was looked at, or nobody rated.
    """
    out = np.zeros((len(rows), len(TASKS)), np.float32)
    out[:, 3:] = np.nan
    acts = np.flatnonzero((_STEP_OF_CODE[log.type] > 0) & (log.item >= 0))
    hit, at = _last_shown(log, rows, acts, log.session)
    step = _STEP_OF_CODE[log.type[acts[hit]]]
    for column in range(3):
        out[at[step > column], column] = 1
    looked = acts[hit][step == 1]
    out[at[step == 1], 3] = _looks(log, looked)
    stars = np.flatnonzero((log.type == EVENT_CODES["rating"]) & (log.item >= 0) & np.isfinite(log.value))
    hit, at = _last_shown(log, rows, stars, log.user)
    out[at, 4] = np.clip((log.value[stars[hit]] - 1) / 4, 0, 1)
    return out


def _last_shown(log: Log, rows: Longs, acts: Longs, owner: Ints) -> tuple[Longs, Longs]:
    """(which of `acts` had an impression before, place in `rows` of the last one), same owner and item."""
    both = np.concatenate([rows, acts])
    act = np.arange(len(both)) >= len(rows)
    order = np.lexsort((both, act, log.time[both], log.item[both], owner[both]))
    held = np.where(act[order], -1, np.arange(len(order)))
    last = np.maximum.accumulate(held) if len(held) else held
    same = (
        (last >= 0)
        & (owner[both[order]] == owner[both[order[last]]])
        & (log.item[both[order]] == log.item[both[order[last]]])
    )
    found = np.flatnonzero(same & act[order])
    return order[found] - len(rows), order[last[found]]


def _looks(log: Log, rows: Longs) -> Floats:
    """How long each look lasted, 0..1 on a logarithmic scale; NaN where nothing followed in the visit."""
    order = np.lexsort((np.arange(len(log)), log.time, log.session))
    following = np.full(len(log), -1, np.int64)
    following[order[:-1]] = np.where(log.session[order[1:]] == log.session[order[:-1]], order[1:], -1)
    after = following[rows]
    seconds = np.where(after >= 0, log.time[after] - log.time[rows], np.nan)
    return np.asarray(np.log1p(np.minimum(seconds, LONGEST_LOOK)) / np.log1p(LONGEST_LOOK), np.float32)


def examples_of(
    log: Log, describes: Describes, window: Window, *, most: int = 0, seed: int = 7, place: str = "home"
) -> Examples:
    """Examples from the lists shown inside the window; `most` lists at most (a seeded draw), 0 = all.

    `describes` must know nothing from the window on (sources fitted before it); it is told the events as they come.
    Lists of a query are asked as `search`, the others as `place`. All of TASKS are columns; see `Examples.told`.
    """
    shown = Shown.of(log).within(log, window)
    labels = outcomes(log, shown.rows)
    chosen = np.arange(len(shown.starts) - 1)
    if most and len(chosen) > most:
        chosen = np.sort(np.random.default_rng([seed, 43]).permutation(chosen)[:most])
    past = _Past(log)
    parts, values, contexts = [], [], []
    for number in chosen.tolist():
        own = slice(int(shown.starts[number]), int(shown.starts[number + 1]))
        rows = shown.rows[own]
        first = np.unique(log.item[rows], return_index=True)[1]
        kept = np.arange(own.start, own.stop)[np.sort(first)]
        row = shown.rows[own.start]
        context = past.context(log, int(log.user[row]), float(log.time[row]), int(log.query[row]), place)
        describes.see(log, int(np.searchsorted(log.time, context.now, "left")))
        values.append(describes.describe(context, log.item[shown.rows[kept]]))
        parts.append(kept)
        contexts.append(Asker(context, int(log.user[row]), int(log.query[row])))
    at = np.concatenate([np.empty(0, np.int64), *parts])
    rows = shown.rows[at]
    return _gathered(
        describes.columns, contexts, values, (log.item[rows], labels[at], log.position[rows]), [len(p) for p in parts]
    )


def examples_of_cases(log: Log, describes: Describes, cases: Sequence[Case], items: Callable[[Case], Ints]) -> Examples:
    """Examples from questions: each case's candidates, and what the shopper then did with the relevant ones.

    `items` gives the candidates of a case. The label of a relevant item is what was done with it at the shopper's next
    visit (bought, where the log does not say); that of all others is 0. Dwell and stars are not known.
    """
    past = _Past(log)
    values, contexts, held, labels = [], [], [], []
    for case in sorted(cases, key=lambda one: one.context.now):
        own = items(case)
        describes.see(log, int(np.searchsorted(log.time, case.context.now, "left")))
        values.append(describes.describe(case.context, own))
        held.append(own)
        labels.append(_case_labels(log, past, case, own))
        contexts.append(Asker(case.context, case.user))
    item = np.concatenate([NO_INTS, *held])
    label = np.concatenate([np.empty((0, len(TASKS)), np.float32), *labels])
    nowhere = np.full(len(item), -1, np.int32)
    return _gathered(describes.columns, contexts, values, (item, label, nowhere), [len(own) for own in held])


def _case_labels(log: Log, past: _Past, case: Case, items: Ints) -> Floats:
    out = np.zeros((len(items), len(TASKS)), np.float32)
    out[:, 3:] = np.nan
    right = np.isin(items, case.relevant)
    step = past.steps(log, case.user, case.context.now, items[right])
    for column in range(3):
        out[np.flatnonzero(right)[step > column], column] = 1
    return out


def _gathered(
    columns: tuple[str, ...],
    askers: Sequence[Asker],
    values: Sequence[Floats],
    flat: tuple[Ints, Floats, Ints],
    lengths: Sequence[int],
) -> Examples:
    recent, actions = newest_of([asker.context for asker in askers])
    return Examples(
        columns=columns,
        tasks=TASKS,
        values=np.concatenate([np.empty((0, len(columns)), np.float32), *values]).astype(np.float32),
        labels=flat[1],
        item=flat[0].astype(np.int32),
        position=flat[2].astype(np.int32),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        recent=recent,
        actions=actions,
        user=np.array([asker.user for asker in askers], np.int32),
        query=np.array([asker.query for asker in askers], np.int32),
        moment=np.array([asker.context.now for asker in askers], np.float64),
    )


def newest_of(contexts: Sequence[Context]) -> tuple[Ints, Codes]:
    """(the newest items of each history, newest first, -1 = none; what was done with them): (n, RECENT) each."""
    recent = np.full((len(contexts), RECENT), -1, np.int32)
    actions = np.zeros((len(contexts), RECENT), np.int8)
    for row, context in enumerate(contexts):
        newest = context.history[: -RECENT - 1 : -1]
        recent[row, : len(newest)] = newest
        actions[row, : len(newest)] = context.actions[: -RECENT - 1 : -1]
    return recent, actions


class _Past:
    """What a shopper showed interest in before a moment."""

    def __init__(self, log: Log) -> None:
        self._wanted = _by_owner(log, np.flatnonzero((_STEP_OF_CODE[log.type] > 0) & (log.item >= 0)))

    def context(self, log: Log, user: int, now: float, query: int, place: str) -> Context:
        rows = self._own(user)
        rows = rows[: np.searchsorted(log.time[rows], now, "left")]
        return Context(
            place="search" if query >= 0 else place,
            now=now,
            history=log.item[rows],
            times=log.time[rows],
            actions=log.type[rows],
            query=log.queries[query] if query >= 0 else "",
        )

    def steps(self, log: Log, user: int, now: float, items: Ints) -> Codes:
        """How far the shopper went with each item in the visit that began at `now` (3 = bought, if nothing is told)."""
        rows = self._own(user)
        rows = rows[np.searchsorted(log.time[rows], now, "left") :]
        visit = rows[log.session[rows] == log.session[rows[0]]] if len(rows) else rows
        out = np.full(len(items), 3, np.int8)
        for place, item in enumerate(items.tolist()):
            done = _STEP_OF_CODE[log.type[visit[log.item[visit] == item]]]
            if len(done):
                out[place] = done.max()
        return out

    def _own(self, user: int) -> Longs:
        order, starts = self._wanted
        return order[starts[user] : starts[user + 1]] if 0 <= user < len(starts) - 1 else order[:0]


def _by_owner(log: Log, rows: Longs) -> tuple[Longs, Longs]:
    order = rows[np.argsort(log.user[rows], kind="stable")]
    return order, np.searchsorted(log.user[order], np.arange(log.n_users + 1))


@dataclass(frozen=True, slots=True)
class Replay:
    """How `check_examples` builds again: `lists` of them, drawn with `seed`; those without a query are for `place`."""

    window: Window
    lists: int = 20
    seed: int = 7
    place: str = "home"


def check_examples(examples: Examples, log: Log, again: Callable[[Log], Describes], replay: Replay) -> None:
    """Raise LeakFound where examples hold what was not known before them.

    A seeded draw of lists is described again with what `again(log before the list)` makes, which never saw anything
    later; every number must be the same. Also no label may lie before its list, and no list before the window.
    """
    start = replay.window.start
    if len(examples.moment) and examples.moment.min() < start:
        raise _leak("lists from before the window: the sources learned from them", start, examples.moment.min())
    drawn = np.random.default_rng([replay.seed, 47]).permutation(examples.n_lists)[: replay.lists]
    for number in drawn.tolist():
        _check_list(examples, number, log.before(float(examples.moment[number])), again, replay.place)


def _check_list(examples: Examples, number: int, known: Log, again: Callable[[Log], Describes], place: str) -> None:
    """One list against what a log that ends before it gives."""
    user, query, moment = int(examples.user[number]), int(examples.query[number]), float(examples.moment[number])
    context = _Past(known).context(known, user, moment, query, place)
    newest = context.history[: -RECENT - 1 : -1]
    held = examples.recent[number]
    if not np.array_equal(held[: len(newest)], newest) or (held[len(newest) :] >= 0).any():
        raise _leak(f"list {number} knows another history", newest.tolist(), held.tolist())
    describes = again(known)
    describes.see(known, len(known))
    rows = slice(int(examples.starts[number]), int(examples.starts[number + 1]))
    values = describes.describe(context, examples.item[rows])
    wrong = ~np.isclose(values, examples.values[rows], rtol=1e-3, atol=1e-3, equal_nan=True)
    if wrong.any():
        names = sorted({examples.columns[column] for column in np.flatnonzero(wrong.any(axis=0))})
        raise _leak(f"list {number} was described with what came later", "equal numbers", ", ".join(names))


def _leak(what: str, allowed: object, got: object) -> LeakFound:
    return LeakFound(
        what, where="check_examples(examples)", allowed=str(allowed), got=got, next="mend what describes the items"
    )
