"""Which numbers may be turned? Few, typed, each with a range and one sentence; a dial is a key of `bodega.toml`.

Only what differs between shops (how fast taste moves, how long it lasts) and costs nothing to serve. What a dial does
not name stays as it was chosen on public data. Not for: weights of sources, which `learn` fits by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from bodega.retrieval.collaborative import CollaborativeOptions
from bodega.retrieval.content import ContentOptions
from bodega.retrieval.popular import PopularOptions
from bodega.retrieval.repeat import RepeatOptions
from bodega.retrieval.transition import TransitionOptions
from bodega.settings import Settings


@dataclass(frozen=True, slots=True)
class Dial:
    """One number that may be turned."""

    key: str
    """`table.name` of a setting."""
    source: str
    """The source that has to be fitted anew when it is turned; "" for none."""
    low: float
    high: float
    own: float
    """What the setting 0 stands for: the value the model was made with."""
    says: str
    log: bool = False
    """Is twice as much as large a step anywhere on the scale?"""
    whole: bool = False

    @property
    def table(self) -> str:
        return self.key.partition(".")[0]

    @property
    def name(self) -> str:
        return self.key.partition(".")[2]

    def now(self, settings: Settings) -> float:
        """Today's value."""
        held = getattr(getattr(settings, self.table), self.name)
        return float(held) or self.own

    def rounded(self, value: float) -> float:
        """Two digits that count: nobody can read more into a few hundred cases."""
        return float(round(value)) if self.whole else float(f"{value:.2g}")


DIALS: tuple[Dial, ...] = (
    Dial(
        "models.transition_window",
        "transition",
        2,
        60,
        TransitionOptions().window,
        "How far apart two items of one shopper may lie and still lead to each other: short where errands differ.",
        log=True,
        whole=True,
    ),
    Dial(
        "models.transition_history_decay",
        "transition",
        0.3,
        0.95,
        TransitionOptions().history_decay,
        "How much what comes next depends on older items: low where only the last one matters.",
    ),
    Dial(
        "models.collaborative_history_decay",
        "collaborative",
        0.3,
        0.99,
        CollaborativeOptions().history_decay,
        "How long a taste lasts: high where what somebody liked a year ago still counts.",
    ),
    Dial(
        "models.content_history_decay",
        "content",
        0.3,
        0.95,
        ContentOptions().history_decay,
        "How long somebody looks for the same kind of item.",
    ),
    Dial(
        "models.popular_half_life_days",
        "popular",
        0.5,
        180,
        PopularOptions().half_life_days,
        "How fast fashion changes: days after which an event counts half for popularity.",
        log=True,
    ),
    Dial(
        "models.repeat_half_life_days",
        "repeat",
        5,
        400,
        RepeatOptions().half_life_days,
        "How fast habits change: days after which a purchase counts half for what is bought again.",
        log=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the diff."""

    key: str
    before: float
    after: float
    says: str


def turned(settings: Settings, values: Mapping[str, float]) -> Settings:
    """The settings with these dials {key: value} turned."""
    tables: dict[str, dict[str, float]] = {}
    for key, value in values.items():
        table, _, name = key.partition(".")
        whole = isinstance(getattr(getattr(settings, table), name), int)
        tables.setdefault(table, {})[name] = int(value) if whole else value
    held = {table: msgspec.structs.replace(getattr(settings, table), **own) for table, own in tables.items()}
    return msgspec.structs.replace(settings, **held)


def changes(dials: tuple[Dial, ...], settings: Settings, values: Mapping[str, float]) -> tuple[Change, ...]:
    """What differs from today, in the order of the dials."""
    told = ((dial, dial.now(settings), values.get(dial.key, dial.now(settings))) for dial in dials)
    return tuple(Change(dial.key, before, after, dial.says) for dial, before, after in told if before != after)
