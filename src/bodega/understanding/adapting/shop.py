"""What does a shop have to teach a network with, and what comes of it? The whole way of `bodega adapt`.

    pairs      (query, title of what was chosen for it), each once; where few, also (start of the description, title)
    tuned      LoRA, kept only if surely better (`lora`)
    written    <folder>/network (safetensors) and <folder> itself (8-bit ONNX), which `onnx:FOLDER` opens

Nothing is written where it did not surely help.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bodega.protocols import EncoderInfo, Pixels, Progress
from bodega.schema import World
from bodega.understanding.adapting.exporting import export
from bodega.understanding.adapting.lora import LoraFacts, LoraOptions, tune
from bodega.understanding.adapting.networks import ImageNetwork, TextNetwork, folder_of
from bodega.understanding.text._signals import clicks_of

ENOUGH = 1_000
"""Pairs from searches that need no help from descriptions."""
MOST = 50_000
WORDS = 12
"""Words of a description that stand for what somebody types."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """What was tried, and where the encoder lies."""

    facts: LoraFacts
    searches: int
    """Pairs that came of searches; the rest is descriptions, or photos of one category."""
    encoder: EncoderInfo | None = None
    """None where it was not kept."""
    folder: str = ""
    setting: str = ""
    """What to write into bodega.toml."""


def pairs_of(world: World) -> tuple[list[tuple[str, str]], int]:
    """(pairs of texts, how many of them came of searches): the most chosen first, at most `MOST`."""
    clicks = clicks_of(world.log)
    order = np.argsort(-clicks.weight, kind="stable")[:MOST]
    titles = world.items.titles
    pairs = [(clicks.texts[clicks.query[row]], titles[int(clicks.item[row])]) for row in order]
    searches = list(dict.fromkeys(pair for pair in pairs if all(pair)))
    told = list(searches)
    if len(searches) < ENOUGH:
        seen: dict[str, str] = {}
        for row in range(len(world.items)):
            item = world.items.item(row)
            start = " ".join(item.description.split()[:WORDS])
            if start and item.title:
                seen.setdefault(item.title, start)
        told += [(start, title) for title, start in seen.items()][: MOST - len(told)]
    return told, len(searches)


def adapt_text(
    world: World, name: str, folder: Path, options: LoraOptions | None = None, progress: Progress | None = None
) -> Adapted:
    """Tune the text network `name` on the shop's pairs and write it. Raises MissingExtra, BadSettings, NoEvidence."""
    pairs, searches = pairs_of(world)
    network = TextNetwork(name, pairs)
    facts = tune(network, len(pairs), options, progress)
    if not facts.kept:
        return Adapted(facts, searches)
    made = _scratch(folder)
    origin = f"{name}, tuned by {facts.pairs:,} pairs of this shop, 8 bits"
    info = export(network, made, f"{name}+lora", origin)
    (made / "network").mkdir()
    network.save(made / "network")
    _placed(made, folder)
    return Adapted(facts, searches, info, str(folder), f'[understand]\nencoder = "onnx:{folder.absolute()}"')


def adapt_images(
    photos: tuple[Sequence[Pixels], Sequence[str]],
    name: str,
    folder: Path,
    options: LoraOptions | None = None,
    progress: Progress | None = None,
) -> Adapted:
    """Tune the image network `name` on (pictures, their categories). Raises MissingExtra, BadSettings, NoEvidence."""
    options = options or LoraOptions()
    pixels, labels = photos
    kept = [place for place, label in enumerate(labels) if label]
    network = ImageNetwork(
        name.removeprefix("hub:"),
        [pixels[place] for place in kept],
        [labels[place] for place in kept],
        np.random.default_rng(options.seed),
    )
    facts = tune(network, len(network.pairs), options, progress)
    if not facts.kept:
        return Adapted(facts, 0)
    made = _scratch(folder)
    network.save(made, folder_of(name))
    _placed(made, folder)
    return Adapted(facts, 0, None, str(folder), f'[pictures]\nencoder = "hub:{folder.absolute()}"')


def _scratch(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))


def _placed(made: Path, folder: Path) -> None:
    """The new folder in the place of the old one, which is gone only when the new one is whole."""
    old = made.with_name(f"{made.name}.old")
    if folder.exists():
        folder.rename(old)
    made.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
