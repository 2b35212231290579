"""The verbs of what is known of shoppers right now, where several servers share it.

Not for: what is kept of them (`stores`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from bodega.schema import EVENT_CODES, Event


@dataclass(frozen=True, slots=True)
class Steps:
    """The newest doings of one shopper as plain columns, oldest first: what a state is made of. Equal lengths."""

    time: list[float] = field(default_factory=list)
    """Seconds since 1970."""
    code: list[int] = field(default_factory=list)
    """See `schema.EVENT_CODES`."""
    item: list[str] = field(default_factory=list)
    query: list[str] = field(default_factory=list)
    value: list[float | None] = field(default_factory=list)

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self:
        """The same of whole events."""
        rows = [(one.time.timestamp(), EVENT_CODES[one.type], one.item, one.query, one.value) for one in events]
        return cls(*(list(column) for column in zip(*rows, strict=True))) if rows else cls()


Person = tuple[str, str]
"""Whose state: ("user", id), or ("session", id) of a guest."""


class StateLost(Exception):
    """The server of shared states does not answer, or answers nonsense: read the store."""


@dataclass(frozen=True, slots=True)
class Caught:
    """What others have taken in of one shopper."""

    version: str
    """Handed in with the next question."""
    steps: tuple[Steps, ...] = ()
    whole: bool = False
    """Is that everything? Else it is what came since the version that was handed in."""
    missing: bool = False
    """Nothing is kept there: read the store, then `keep`."""


class StateStore(Protocol):
    """The shoppers' states where several servers share them. Each server keeps what it knows, and asks what is new.

    Contract: what one server told before an answer is caught by every other one before its next answer; whatever is
    told twice, or in another order, gives the same state; whoever cannot vouch for that raises StateLost.
    """

    def tell(self, steps: Mapping[Person, Steps]) -> None:
        """These are durable. Never raises: a server that could not be told is mended before it is asked again."""
        ...

    def catch(self, asked: Mapping[Person, str]) -> dict[Person, Caught]:
        """What is new since these versions ("": nothing is known): one round trip. Raises StateLost."""
        ...

    def keep(self, person: Person, steps: Steps, version: str) -> Caught:
        """Leave everything the store knows (read after `version` was caught) for others; returns all there is now."""
        ...

    def forget(self, people: Sequence[Person] = ()) -> None:
        """Drop what is kept of them, or (of nobody in particular) of all."""
        ...

    def close(self) -> None: ...
