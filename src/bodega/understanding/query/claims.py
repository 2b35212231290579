"""One finding in the folded text of a query, before it is shown: where, what it means, and whether its words go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from bodega.schema import Meaning
from bodega.understanding.query.reading import Reading


@dataclass(frozen=True, slots=True)
class Claim:
    """[low, high) of the folded text; `removes`: these words are a condition and are not searched."""

    low: int
    high: int
    meaning: Meaning
    removes: bool = False

    def overlaps(self, other: Claim) -> bool:
        return self.low < other.high and other.low < self.high

    def beside(self, other: Claim) -> bool:
        """Does the other speak of the same words, of another field?"""
        same = (self.low, self.high, self.meaning.kind) == (other.low, other.high, other.meaning.kind)
        return same and self.meaning.field != other.meaning.field

    def placed(self, reading: Reading) -> Meaning:
        """The meaning with the place where it was typed."""
        start, end = reading.span(self.low, self.high)
        return msgspec.structs.replace(self.meaning, text=reading.typed[start:end], start=start, end=end)


def claim(reading: Reading, span: tuple[int, int], kind: str, *, removes: bool = False, **facts: Any) -> Claim:
    """A finding without the blanks around it; `facts` are fields of `Meaning`."""
    low, high = span
    said = reading.text[low:high]
    low += len(said) - len(said.lstrip())
    high -= len(said) - len(said.rstrip())
    return Claim(low, high, Meaning(kind=kind, text="", **facts), removes)
