"""The two questions that peers are asked, as arrays: next item (leave-last-out), next basket (cut by global time).

A task is a world to learn from and cases to judge by, on validation or on test. Peers know a shopper by number, so a
case asks for "shopper 17" after all of shopper 17's rows: by construction those rows are the case's history.
Not for: sampling; every case is ranked over the whole catalog.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from bodega.bench._sequences import read_sequences
from bodega.bench._supermarket import read_market
from bodega.evaluation import Case, CaseOptions, by_time, check_no_leak, place_cases
from bodega.evaluation.splits import interest
from bodega.schema import World
from bodega.schema.arrays import Ints

ITEM: Final = "item"
BASKET: Final = "basket"
DAY: Final = 86_400.0
WINDOW: Final = 14 * DAY


class TaskSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which question on which data; small enough to be sent to another process."""

    kind: str
    """`item` or `basket`."""
    folder: str
    """Where the data lies; "" for the installed supermarket."""
    seed: int
    validation: bool
    """The window before the test: whatever is chosen is chosen there."""
    limit: int
    """At most so many cases, a seeded draw; 0: all."""


@dataclass(frozen=True, eq=False)
class Task:
    """`cases[row].user` is the shopper's number in `world.log`; `repeats`: people take things again here."""

    spec: TaskSpec
    world: World
    cases: list[Case]
    repeats: bool
    digest: str

    @property
    def asked(self) -> Ints:
        """The shoppers of the cases, in order of the cases."""
        return np.array([case.user for case in self.cases], np.int32)


def build(spec: TaskSpec) -> Task:
    """Read, split, and prove free of leaks. Raises BadFeed, MissingExtra, BadRequest, LeakFound."""
    return _next_item(spec) if spec.kind == ITEM else _next_basket(spec)


def _next_item(spec: TaskSpec) -> Task:
    data = read_sequences(Path(spec.folder), seed=spec.seed)
    back = int(spec.validation)
    log, cases = data.held_out(back, spec.seed, spec.limit or None)
    return Task(spec, data.world(log), cases, data.repeats, data.digest)


def _next_basket(spec: TaskSpec) -> Task:
    market = read_market(Path(spec.folder) if spec.folder else None, spec.seed)
    split = by_time(market.log, validation=WINDOW, test=WINDOW)
    window = split.valid if spec.validation else split.test
    cases = place_cases(market.log, "home", window, CaseOptions(limit=spec.limit, seed=spec.seed))
    known = market.log.before(window.start)
    check_no_leak(known, cases, start=window.start)
    rows = set(known.user[interest(known)].tolist())
    familiar = [case for case in cases if case.user in rows]  # peers know shoppers by number, so no guests
    return Task(spec, World(market.items, known, window.start), familiar, True, market.digest)


def write_rows(task: Task, folder: Path) -> Path:
    """The arrays that runners read (benchmarks/peers/exchange.py), into a new folder."""
    folder.mkdir(parents=True)
    log = task.world.log.where(interest(task.world.log))
    np.save(folder / "train_user.npy", log.user)
    np.save(folder / "train_item.npy", log.item)
    np.save(folder / "train_time.npy", log.time)
    np.save(folder / "ask.npy", task.asked)
    return folder
