"""`bodega bench items`: does Bodega know what an item is? Photos, profiles, facts, links, reviews, tuned encoders.

Each part is a file of its own (`_items_*`) and prints its baselines beside itself, with 95 % intervals over cases; a
part whose data or library is absent is left out, and the notes say why. What was chosen was chosen on other splits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from bodega.bench.result import BenchResult
from bodega.errors import BadFeed, MissingExtra, UsageError
from bodega.protocols import NoProgress, Progress


@dataclass(frozen=True, slots=True)
class ItemsOptions:
    """`data` is the folder that holds clothing_cc0/, grocery_store/, magento_luma/, ...; `images` any folder of images
    with an `index.csv` (path, class, split) to be measured too; `only` names parts (all when empty)."""

    data: Path
    images: Path | None = None
    only: tuple[str, ...] = ()
    seed: int = 7


@dataclass(slots=True)
class Sheet:
    """What a part found. Figures are named `<set>.<way>.<metric>`: `clothing.encoder.precision@10`."""

    figures: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


Part = Callable[[ItemsOptions, Sheet, Progress], None]
"""Measures one part into the sheet. Raises BadFeed where its data is missing, MissingExtra where a library is."""


def _of(file: str, name: str) -> Part:
    """A part that is loaded when it is measured: its file imports this one."""

    def measure(options: ItemsOptions, sheet: Sheet, progress: Progress) -> None:
        part: Part = getattr(import_module(f"bodega.bench.{file}"), name)
        part(options, sheet, progress)

    return measure


PARTS: Mapping[str, Part] = {
    "adapters": _of("_items_adapters", "adapters"),
    "facts": _of("_items_facts", "measure"),
    "links": _of("_items_links", "links"),
    "photos": _of("_items_photos", "photo_search"),
    "profile": _of("_items_profile", "profile"),
    "reviews": _of("_items_reviews", "measure"),
}


def run(options: ItemsOptions, progress: Progress | None = None) -> BenchResult:
    """Run the parts. Raises UsageError for a part that does not exist, BadFeed where no part could be measured."""
    began, progress = time.perf_counter(), progress or NoProgress()
    unknown = sorted(set(options.only) - set(PARTS))
    if unknown:
        raise UsageError("no such part", where="--only", allowed=", ".join(PARTS), got=", ".join(unknown))
    sheet, lost = Sheet(), list[str]()
    for name, part in PARTS.items():
        if options.only and name not in options.only:
            continue
        progress.start(name)
        try:
            part(options, sheet, progress)
        except (BadFeed, MissingExtra) as error:
            lost.append(f"{name}: left out, {error.what} ({error.where}); next: {error.next}")
        finally:
            progress.finish()
    if not sheet.figures:
        raise BadFeed("nothing could be measured", where=str(options.data), got="; ".join(lost), next="name the folder")
    return BenchResult(
        bench="items",
        data=", ".join(options.only) or "all parts",
        seconds=round(time.perf_counter() - began, 1),
        figures=sheet.figures,
        intervals=sheet.intervals,
        facts={"seed": options.seed} | sheet.facts,
        notes=(*sheet.notes, *lost),
    )
