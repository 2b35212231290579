"""Judgments and a loop without an engine: what the canned shop answers with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bodega.engine.judged.door import JudgedDoors, Judgments
from bodega.engine.loop.door import Switch
from bodega.engine.loop.state import AuditLine, LoopBook, LoopState
from bodega.settings import Settings


def canned_judgments(
    folder: Path, stores: Any, settings: Settings, search: Callable[[str, int], Sequence[str]]
) -> Judgments:
    """Judgments are kept for real; every system ranks as the canned shop does."""

    def ranks(query: str) -> Sequence[str]:
        return search(query, 50)

    return Judgments(
        JudgedDoors(
            folder=folder,
            stores=stores,
            settings=settings,
            people=lambda: None,
            search=search,
            systems=lambda: ({"served": ranks, "before": ranks, "bm25": ranks}, "canned", "older"),
        )
    )


class CannedLoop:
    """A candidate always waits; whatever is said of it is put on record."""

    switch: Switch = "human"
    running = False
    error = ""

    def __init__(self, folder: Path) -> None:
        self._book = LoopBook(folder)

    @property
    def state(self) -> LoopState:
        return LoopState(run=1, step="approve", served="canned", candidate="newer", outcome="newer waits")

    def trail(self, limit: int = 100) -> list[AuditLine]:
        return self._book.trail(limit)

    def measured(self) -> dict[str, Any]:
        return {}

    def start(self) -> bool:
        return False

    def approve(self, who: str) -> LoopState:
        self._book.note(AuditLine(time=0.0, run=1, step="approved", who=who))
        return self.state

    def reject(self, who: str, why: str = "") -> LoopState:
        self._book.note(AuditLine(time=0.0, run=1, step="reject", who=who, what=why))
        return self.state
