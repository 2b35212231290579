"""What learns beside the pages? The workshop (candidates nobody is served from), the judgments, the loop, put together.

Each asks the shop for what it is at that moment (engine, parts, experiments are replaced while it is open), so they are
given functions and not what these return. Cost when unused: none, nothing is opened or read here.
Not for: deciding anything (`workshop`, `judged`, `loop`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from bodega.engine.answer import Engine
from bodega.engine.experiments.door import Experiments
from bodega.engine.experiments.reading import log_of
from bodega.engine.intake import Stores
from bodega.engine.judged.door import JudgedDoors, Judgments
from bodega.engine.knowledge import Knowledge
from bodega.engine.learn import Parts
from bodega.engine.loop.contest import Interleaved
from bodega.engine.loop.door import Loop, LoopDoors
from bodega.engine.online import Shoppers
from bodega.engine.privacy import Privacy
from bodega.engine.snapshot import Snapshots
from bodega.engine.workshop import Bench, Workshop
from bodega.schema import Request
from bodega.settings import Settings


class StudiedShop(Protocol):
    """The part of a shop that this needs; `engine.shop.Shop` fits."""

    folder: Path
    settings: Settings
    stores: Stores
    shoppers: Shoppers
    privacy: Privacy
    knowledge: Knowledge
    experiments: Experiments

    @property
    def engine(self) -> Engine: ...
    def promote(self, snapshot: str, began: float) -> str: ...


@dataclass(frozen=True, slots=True)
class Studies:
    """What learns beside the pages of one shop."""

    workshop: Workshop
    judgments: Judgments
    loop: Loop

    @classmethod
    def of(cls, shop: StudiedShop, snapshots: Snapshots, taught: tuple[Parts, Callable[[Parts], Parts]]) -> Studies:
        """`taught`: the parts, and how they get what was learned from beside catalog and log."""
        stores, settings, folder, people = shop.stores, shop.settings, shop.folder, shop.privacy.people
        bench = Bench(stores.catalog, stores.events, people, shop.knowledge, *taught, shop.shoppers, settings)
        workshop = Workshop(snapshots, bench)

        def found(query: str, k: int) -> list[str]:
            return shop.engine.answer(Request(place="search", query=query, k=k, personal=False)).ids

        doors = (people, found, workshop.systems, stores.answers.scan)
        judgments = Judgments(JudgedDoors(folder, stores, settings, *doors))
        looped = LoopDoors(folder, settings, stores.events, workshop, judgments, promote=shop.promote)
        contest = Interleaved(lambda: shop.experiments, lambda: log_of(stores, shop.privacy), settings.loop)
        return cls(workshop, judgments, Loop(replace(looped, contest=contest)))
