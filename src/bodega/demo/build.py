"""From nothing to a learned supermarket: write the feeds, import them as any shop would, learn."""

from __future__ import annotations

import resource
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bodega.demo.supermarket import write_feeds
from bodega.engine.learn import LearnReport
from bodega.errors import NotAShop
from bodega.protocols import ImportReport, Progress
from bodega.settings import Learn, Settings, Understand
from bodega.wiring import init_shop, is_shop, open_shop

NAME = "The Corner Supermarket"

HOUSEHOLDS = ("1", "13", "718", "1364", "2479")
"""Households of the data that the storefront offers to shop as."""


@dataclass(frozen=True, slots=True)
class Built:
    """What was done; without imports where the shop was there already."""

    imports: tuple[ImportReport, ...]
    learned: LearnReport | None
    seconds: float
    """From the start of the import to a published snapshot."""
    peak_gb: float
    """Largest memory of this process so far."""


def build(folder: Path, *, fresh: bool, progress: Progress) -> Built:
    """Make the demo shop (or keep the one that is there, unless `fresh`). Raises MissingExtra, NotAShop."""
    started = time.perf_counter()
    if is_shop(folder) and not fresh:
        with open_shop(folder, create=False) as shop:
            if shop.learned:
                return Built((), None, 0.0, peak_gb())
    _cleared(folder)
    progress.start("write the two feed files")
    feeds = write_feeds(folder / "feeds")
    progress.finish()
    # its 3,000 different titles teach the encoder in 10 s; a pretrained teacher would take another 45 s to read them,
    # and figures on 500 cases a list another 15 s
    chosen = Settings(name=NAME, learn=Learn(evaluated_users=250), understand=Understand(teacher="none"))
    init_shop(folder, chosen)
    with open_shop(folder, create=False) as shop:
        imports = (
            shop.catalog.add(feeds.items, progress=progress),
            shop.events.add(feeds.events, progress=progress),
        )
        learned = shop.learn(progress=progress)
    return Built(imports, learned, time.perf_counter() - started, peak_gb())


def peak_gb() -> float:
    """Peak resident memory of this process in GB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == "darwin" else 1e6)


def _cleared(folder: Path) -> None:
    """Remove an older demo shop; anything else in the folder is left alone and refused."""
    if is_shop(folder):
        shutil.rmtree(folder)
    elif folder.exists() and any(entry.name != "feeds" for entry in folder.iterdir()):
        raise NotAShop(
            "the demo wants an empty folder or an older demo shop",
            where=str(folder.absolute()),
            next="bodega demo --folder some-new-folder",
        )
