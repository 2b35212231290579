"""What was known, and what came then? Cuts a log into train | validation | test and makes cases of the windows.

`by_time` cuts at two moments for everybody (train < validation window < test window): the only cut under which nothing
from the future is known, and the one a shop is judged by. `place_cases` then builds the question that each list
of a page answers, from what shoppers did inside a window, so that fusion weights are fitted per place:

    home       a shopper's first visit in the window: what they knew before -> what they then bought (else looked at)
    repeat     the same, but only what they had bought before counts
    basket     part of a basket -> the rest of it
    together   one item -> what else was in the same basket
    similar    one item -> the next other item of the same visit
    search     the words -> what was clicked or bought with them

`leave_last_out` is the protocol of the public data sets (last item = test, the one before = validation). It lets a
model see the future of *other* shoppers: use it only to compare with published figures.
Every choice of shoppers is a seeded draw. Sampled items never: see `judge`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bodega.errors import BadRequest
from bodega.evaluation.case import Case
from bodega.schema import EVENT_CODES, INTEREST, Context, Log
from bodega.schema.arrays import NO_INTS, Doubles, Flags, Ints, Longs

PLACES = ("home", "repeat", "basket", "together", "similar", "search")
"""Places that `place_cases` can build questions for."""

_INTEREST = np.array([EVENT_CODES[name] for name in INTEREST], np.int8)
_BOUGHT = EVENT_CODES["purchase"]
_RATED = EVENT_CODES["rating"]
_SHOWN = EVENT_CODES["impression"]
IMPRESSIONS = 200
"""Newest showings of a shopper that are known, as a server keeps them."""


@dataclass(frozen=True, slots=True)
class Window:
    """Events with start <= time < end, seconds since 1970."""

    start: float
    end: float


@dataclass(frozen=True, slots=True, eq=False)
class TimeSplit:
    """Learn from `train`, choose on `valid`, report on `test` after learning from everything before it."""

    train: Log
    valid: Window
    test: Window


def by_time(log: Log, *, validation: float, test: float) -> TimeSplit:
    """Cut by global time; window lengths in seconds. A log too short for them gives each window a tenth of its span."""
    if len(log) == 0:
        raise BadRequest("there are no events to split", where="by_time(log)", next="import events first")
    end = float(np.nextafter(log.time[-1], np.inf))
    span = end - float(log.time[0])
    cut_test = end - min(test, span / 10)
    cut_valid = cut_test - min(validation, span / 10)
    return TimeSplit(log.before(cut_valid), Window(cut_valid, cut_test), Window(cut_test, end))


@dataclass(frozen=True, slots=True)
class CaseOptions:
    """`limit` cases at most (0 = all), drawn with `seed`; `history` newest events are known of a shopper."""

    limit: int = 2_000
    seed: int = 7
    history: int = 1_000
    mask_seen: bool = False
    """Leave everything of the history out of the ranking (shops where nothing is bought twice)."""
    hide: int = 0
    """Items of a basket to hide; 0 hides a random number from one to all but one."""


def interest(log: Log) -> Flags:
    """Which events say that the shopper wanted a known item (a rating does from 3 stars): bool, (n_events,)."""
    liked = (log.type == _RATED) & (log.value >= 3)
    flags: Flags = (log.item >= 0) & (np.isin(log.type, _INTEREST) | liked)
    return flags


def place_cases(log: Log, place: str, window: Window, options: CaseOptions | None = None) -> list[Case]:
    """The questions of one place inside a window; context is what happened strictly before. May be empty.

    `log` is the whole log (it holds the window and what came before). Raises BadRequest for an unknown place.
    """
    options = options or CaseOptions()
    if place not in PLACES:
        raise BadRequest(
            "no cases are known for this place", where="place_cases(place)", allowed=", ".join(PLACES), got=place
        )
    shop = Past(log, options)
    rng = np.random.default_rng([options.seed, PLACES.index(place)])
    rows = np.flatnonzero(shop.wanted & (log.time >= window.start) & (log.time < window.end))
    if place == "search":
        rows = rows[log.query[rows] >= 0]
    keys = log.user[rows] if place in ("home", "repeat") else log.session[rows]
    groups = _groups(rows, keys)
    cases: list[Case] = []
    for number in rng.permutation(len(groups)):
        case = _BUILD[place](shop, groups[number], rng)
        if case is not None:
            cases.append(case)
            if len(cases) == options.limit:
                break
    return cases


class Past:
    """Looks up what was known of a shopper strictly before a moment."""

    def __init__(self, log: Log, options: CaseOptions) -> None:
        self.log = log
        self.options = options
        self.wanted = interest(log)
        rows = np.flatnonzero(self.wanted)
        order = np.argsort(log.user[rows], kind="stable")
        self._rows = rows[order]
        self._starts = np.searchsorted(log.user[self._rows], np.arange(log.n_users + 1))
        self._seen: Longs | None = None
        self._seen_starts = self._starts

    def before(self, user: int, time: float) -> Longs:
        """Rows of the shopper's events of interest strictly before `time`, oldest first, the newest few."""
        own = self._rows[self._starts[user] : self._starts[user + 1]]
        known = own[: np.searchsorted(self.log.time[own], time, "left")]
        return known[-self.options.history :] if self.options.history else known

    def context(self, place: str, user: int, now: float, items: Ints = NO_INTS, query: str = "") -> Context:
        rows = self.before(user, now)
        log = self.log
        return Context(
            place=place,
            now=now,
            history=log.item[rows],
            times=log.time[rows],
            actions=log.type[rows],
            items=items,
            query=query,
        )

    def shown(self, user: int, now: float, visit: int) -> tuple[Ints, Doubles]:
        """(items, moments) that the shopper was shown before `now`, not on this visit, and did not want since; the
        newest. What the very page of the answer showed would tell it."""
        if self._seen is None:
            rows = np.flatnonzero((self.log.type == _SHOWN) & (self.log.item >= 0))
            self._seen = rows[np.argsort(self.log.user[rows], kind="stable")]
            self._seen_starts = np.searchsorted(self.log.user[self._seen], np.arange(self.log.n_users + 1))
        own = self._seen[self._seen_starts[user] : self._seen_starts[user + 1]]
        own = own[: np.searchsorted(self.log.time[own], now, "left")]
        own = own[self.log.session[own] != visit][-IMPRESSIONS:]
        wanted = self.before(user, now)
        newest = dict(zip(self.log.item[wanted].tolist(), self.log.time[wanted].tolist(), strict=True))
        at = zip(self.log.item[own].tolist(), self.log.time[own].tolist(), strict=True)
        left = own[[time > newest.get(item, -np.inf) for item, time in at]] if len(own) else own
        return self.log.item[left], self.log.time[left]

    def masked(self, context: Context) -> Ints:
        """The anchors, and the whole history where the options say so (then nothing of it may be relevant)."""
        hidden = np.union1d(context.items, context.history) if self.options.mask_seen else np.unique(context.items)
        return hidden.astype(np.int32)


def _groups(rows: NDArray[np.int64], keys: Ints) -> list[Longs]:
    """Rows with the same key together, each in log order, groups in order of the key."""
    order = np.argsort(keys, kind="stable")
    cuts = np.flatnonzero(np.diff(keys[order])) + 1
    return [group for group in np.split(rows[order], cuts) if len(group)]


def _answers(log: Log, rows: Longs) -> Ints:
    """What these events say was right: the bought items; where nothing was bought, all items of interest."""
    bought = rows[log.type[rows] == _BOUGHT]
    return np.unique(log.item[bought if len(bought) else rows])


def _home(past: Past, rows: Longs, rng: np.random.Generator) -> Case | None:
    del rng
    log = past.log
    visit = rows[log.session[rows] == log.session[rows[0]]]
    user, now = int(log.user[rows[0]]), float(log.time[visit[0]])
    if len(past.before(user, now)) == 0:  # a guest: the first half of the visit is what is known
        now = float(log.time[visit[len(visit) // 2]])
        visit = visit[log.time[visit] >= now]
    shown, when = past.shown(user, now, int(log.session[rows[0]]))
    context = replace(past.context("home", user, now), shown=shown, shown_times=when)
    relevant = _answers(log, visit)
    if past.options.mask_seen:
        relevant = np.setdiff1d(relevant, context.history).astype(np.int32)
    if len(relevant) == 0:
        return None
    return Case(context, relevant, past.masked(context), user)


def _repeat(past: Past, rows: Longs, rng: np.random.Generator) -> Case | None:
    del rng
    log = past.log
    visit = rows[log.session[rows] == log.session[rows[0]]]
    user, now = int(log.user[rows[0]]), float(log.time[visit[0]])
    context = past.context("repeat", user, now)
    relevant = np.intersect1d(_answers(log, visit), context.history[context.actions == _BOUGHT]).astype(np.int32)
    return Case(context, relevant, NO_INTS, user) if len(relevant) else None


def _basket(past: Past, rows: Longs, rng: np.random.Generator) -> Case | None:
    items = rng.permutation(_answers(past.log, rows))
    if len(items) < 2:
        return None
    hidden = min(past.options.hide, len(items) - 1) or int(rng.integers(1, len(items)))
    return _anchored("basket", past, rows, items[hidden:], np.sort(items[:hidden]))


def _together(past: Past, rows: Longs, rng: np.random.Generator) -> Case | None:
    items = rng.permutation(_answers(past.log, rows))
    return _anchored("together", past, rows, items[:1], np.sort(items[1:])) if len(items) > 1 else None


def _similar(past: Past, rows: Longs, rng: np.random.Generator) -> Case | None:
    """A random event of the visit and the next other item; among items of one moment a random one is "next"."""
    log = past.log
    shuffled = rows[rng.permutation(len(rows))]
    visit = shuffled[np.argsort(log.time[shuffled], kind="stable")]
    items = log.item[visit]
    changes = np.flatnonzero(items[1:] != items[:-1])
    if len(changes) == 0:
        return None
    at = int(rng.choice(changes))
    return _anchored("similar", past, rows, items[at : at + 1], items[at + 1 : at + 2])


def _search(past: Past, rows: Longs, rng: np.random.Generator) -> Case | None:
    log = past.log
    query = int(rng.choice(log.query[rows]))
    own = rows[log.query[rows] == query]
    user = int(log.user[own[0]])
    context = past.context("search", user, float(log.time[own[0]]), query=log.queries[query])
    return Case(context, _answers(log, own), NO_INTS, user)


def _anchored(place: str, past: Past, rows: Longs, anchors: Ints, relevant: Ints) -> Case | None:
    """A case about anchors of a visit; the visit itself is not part of the history."""
    user = int(past.log.user[rows[0]])
    context = past.context(place, user, float(past.log.time[rows[0]]), items=anchors.astype(np.int32))
    if past.options.mask_seen:
        relevant = np.setdiff1d(relevant, context.history)
    if len(relevant) == 0:
        return None
    return Case(context, relevant.astype(np.int32), past.masked(context), user)


_BUILD = {
    "home": _home,
    "repeat": _repeat,
    "basket": _basket,
    "together": _together,
    "similar": _similar,
    "search": _search,
}


def leave_last_out(
    sequences: Sequence[Ints], *, back: int = 0, mask_seen: bool = True, step: float = 60.0
) -> tuple[Log, list[Case]]:
    """(what may be learnt from, one case a user): the last item but `back` is the answer, all before it is known.

    `back=0` is the test, `back=1` the validation protocol. The sequences carry no times, so event number i
    gets the time i x `step` seconds and one session a user: nothing decays by much, the order within a user is kept.
    With `mask_seen` users whose answer is something they already had are left out: to mask all but the answer tells it.
    """
    kept = [sequence[: len(sequence) - back] for sequence in sequences]
    log = sequence_log([sequence[:-1] for sequence in kept], step)
    cases = list(_last_cases(kept, mask_seen, step))
    return log, cases


def sequence_log(sequences: Sequence[Ints], step: float = 60.0) -> Log:
    """Sequences of item indices as purchases: user i, session i, event number j at time j x `step`."""
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    user = np.repeat(np.arange(len(sequences), dtype=np.int32), lengths)
    number = np.arange(len(user)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    item = np.concatenate([*sequences, NO_INTS]).astype(np.int32)
    order = np.argsort(number, kind="stable")
    n = len(order)
    return Log(
        time=(number[order] * step).astype(np.float64),
        type=np.full(n, _BOUGHT, np.int8),
        user=user[order],
        session=user[order],
        item=item[order],
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        query=np.full(n, -1, np.int32),
        position=np.full(n, -1, np.int32),
        n_users=len(sequences),
        n_sessions=len(sequences),
    )


def _last_cases(sequences: Sequence[Ints], mask_seen: bool, step: float) -> Iterator[Case]:
    for user, sequence in enumerate(sequences):
        if len(sequence) < 2:
            continue
        known, answer = sequence[:-1], sequence[-1:]
        context = Context(
            place="home",
            now=len(known) * step,
            history=known,
            times=(np.arange(len(known)) * step).astype(np.float64),
            actions=np.full(len(known), _BOUGHT, np.int8),
        )
        if mask_seen and answer[0] in known:
            continue
        masked = np.unique(known).astype(np.int32) if mask_seen else NO_INTS
        yield Case(context, answer, masked, user)
