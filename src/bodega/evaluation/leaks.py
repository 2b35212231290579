"""Could the evaluation see its own answers? Each check raises LeakFound and says which case and how.

A leak makes every model look better, most of all the worst one, so nothing else notices it. Looked for:
the future in training (an event of a case's shopper at or after the case's moment; with `start`, any event of anybody);
the future in the question (history at or after "now"); a mask that spares only the answer; ids that give the answer
away (indices in order of first appearance: any tie broken by index then favours test items); a judge that resolves ties
in favour of the answer.
Cost: one sort of the log. Not for: leaks through features that are not in the log (a price set after the sale).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bodega.errors import LeakFound
from bodega.evaluation.case import Case
from bodega.schema import Log
from bodega.schema.arrays import Doubles, Floats, Ints, Longs

RankFunction = Callable[[Floats, Ints, Ints], Doubles]
"""(scores (n_items,), relevant, masked) -> ranks of the relevant items."""

ID_CORRELATION = 0.2
"""Rank correlation of item index and first appearance above which ids count as ordered (shuffled ids:
less than 5 / sqrt(n))."""


def check_no_leak(train: Log, cases: Sequence[Case], *, start: float | None = None) -> None:
    """Raise LeakFound where training data or a question holds what the case asks for.

    `start`: with a cut by global time, the moment before which everything in `train` must lie.
    """
    if start is not None and len(train) and train.time[-1] >= start:
        _found(
            "training data reaches into the window that is judged",
            where="check_no_leak(train)",
            allowed=f"events before {start}",
            got=f"an event at {float(train.time[-1])}",
        )
    last, starts, order = _by_user(train)
    for number, case in enumerate(cases):
        context = case.context
        if len(context.times) and context.times.max() >= context.now:
            _found(
                f"case {number} knows its own future: history at or after its moment",
                where="Context.times",
                allowed=f"times before {context.now}",
                got=float(context.times.max()),
            )
        if len(case.masked) and _told_by_mask(case):
            _found(
                f"the mask of case {number} tells the answer: all of the history is masked but what is relevant",
                where="Case(masked=)",
                allowed="all of the history masked and none of it relevant, or none of it masked",
                got=np.intersect1d(context.history, case.relevant).tolist(),
            )
        if 0 <= case.user < len(last) and last[case.user] >= context.now:
            own = order[starts[case.user] : starts[case.user + 1]]
            late = own[train.time[own] >= context.now]
            answers = np.intersect1d(train.item[late], case.relevant)
            what = "its own answer" if len(answers) else "what its shopper did later"
            _found(
                f"the training data of case {number} holds {what}",
                where=f"user {case.user}",
                allowed=f"events of that user before {context.now}",
                got=f"{len(late)} later events, answers among them: {answers.tolist()}",
            )


def check_ids(first_seen: Longs) -> None:
    """Raise LeakFound where item indices follow the order of first appearance.

    `first_seen` (n_items,): number of the event (in the order of the file) in which item i appears first.
    """
    n = len(first_seen)
    if n < 3:
        return
    place = np.empty(n)
    place[np.argsort(first_seen, kind="stable")] = np.arange(n)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = float(np.corrcoef(place, np.arange(n))[0, 1])
    if abs(correlation) > max(ID_CORRELATION, 5 / np.sqrt(n)):
        _found(
            "item indices follow the order of first appearance: ties broken by index find the test items",
            where="check_ids(first_seen)",
            allowed=f"a rank correlation of at most {ID_CORRELATION}",
            got=round(correlation, 3),
            fix="shuffle the item indices with a seed",
        )


def check_ties(rank: RankFunction, n_items: int = 101) -> None:
    """Raise LeakFound where a scorer that knows nothing gets better or worse than the middle place.

    `rank` is the function the evaluation uses; it is asked for the first, the middle and the last item.
    """
    expected = (n_items + 1) / 2
    for scores in (np.zeros(n_items, np.float32), np.full(n_items, np.nan, np.float32)):
        for item in (0, n_items // 2, n_items - 1):
            got = float(rank(scores, np.array([item], np.int32), np.empty(0, np.int32))[0])
            if got != expected:
                _found(
                    "ties are not given their average rank",
                    where="check_ties(rank)",
                    allowed=f"place {expected} for every item of {n_items} equal ones",
                    got=f"place {got} for item {item}",
                    fix="rank with `bodega.evaluation.average_ranks`",
                )


def _told_by_mask(case: Case) -> bool:
    history = np.setdiff1d(case.context.history, case.context.items)
    known = np.isin(history, case.relevant)
    return bool(known.any() and np.isin(history, case.masked).any())


def _by_user(train: Log) -> tuple[Doubles, Longs, Longs]:
    """(time of each user's last training event, starts, event rows by user)."""
    order = np.argsort(train.user, kind="stable")
    starts = np.searchsorted(train.user[order], np.arange(train.n_users + 1))
    last = np.full(train.n_users, -np.inf)
    some = starts[1:] > starts[:-1]
    last[some] = train.time[order[starts[1:][some] - 1]]
    return last, starts, order


def _found(
    what: str, *, where: str, allowed: str, got: object, fix: str = "mend the split; no figure was made"
) -> None:
    raise LeakFound(what, where=where, allowed=allowed, got=got, next=fix)
