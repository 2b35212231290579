"""What does the shop see of its items' pictures? The verbs that the shop needs; `adapters.pictures` does them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bodega.catalog.doctor import Finding
from bodega.protocols import EncoderInfo, NoProgress, Pixels, Progress
from bodega.understanding.image.likeness import Look

SILENT = NoProgress()


@dataclass(frozen=True, slots=True)
class PictureReport:
    """What a run did; printed by the command line."""

    encoder: EncoderInfo
    items: int
    pictured: int
    """Items that have at least one picture with a vector now."""
    pictures: int
    """Different references looked at."""
    encoded: int
    known: int
    """The same bytes as another reference: not encoded again."""
    unchanged: int
    refused: int
    """Cannot be used, now or before."""
    away: int
    """Could not be fetched this time; the next run asks again."""
    reasons: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


class Gallery(Protocol):
    """The pictures of a shop's items."""

    def look(self, progress: Progress = SILENT, *, again: bool = False) -> PictureReport:
        """Read, encode and keep what is new. Raises BadSettings, MissingExtra, StoreError."""
        ...

    def duplicates(self) -> list[tuple[Look, ...]]:
        """Groups of pictures that items of different variant groups share, largest first."""
        ...

    def findings(self, n_items: int) -> tuple[Finding, ...]:
        """What the doctor should say of them; nothing where they were never looked at."""
        ...

    def photos(self, progress: Progress = SILENT) -> tuple[list[Pixels], list[str]]:
        """(the first picture of each item, its category), small."""
        ...

    def teach(self, progress: Progress = SILENT) -> tuple[EncoderInfo, Path]:
        """Teach a network from the shop's photos; (which, where). Raises NoEvidence, MissingExtra."""
        ...
