"""Tuned encoders: what do LoRA, 8 bits and distilling do to quality and speed? One table, before and after.

Pairs are descriptions of Best Buy products (their first twelve words, which nobody wrote as a title) and the titles
they belong to; the base is all-MiniLM-L6-v2 with the weights of a package. Products are split by a seeded draw: most
teach (LoRA keeps some of them apart to stop and to judge), 300 are the test and are looked at once. The metric is the
reciprocal rank of the right title among all titles of the set. The static encoder learns from the same products with
the base as its teacher, then with the tuned network; descriptions of the test are hidden from it.
Cost: some 5 minutes on one idle core, most of it LoRA.
"""

from __future__ import annotations

import csv
import gzip
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bodega.bench._judged import no_log
from bodega.bench.items import ItemsOptions, Sheet
from bodega.errors import BadFeed
from bodega.evaluation.significance import intervals, paired
from bodega.protocols import Encoder, Progress
from bodega.schema import Item, ItemTable, World
from bodega.schema.arrays import Doubles, Floats
from bodega.understanding.adapting.exporting import export
from bodega.understanding.adapting.lora import LoraOptions, tune
from bodega.understanding.adapting.networks import TextNetwork
from bodega.understanding.adapting.shop import WORDS
from bodega.understanding.text.training import TrainingOptions, train
from bodega.understanding.text.tuned import OnnxEncoder

PRODUCTS = Path("bestbuy_retrotech/products.csv.gz")
PRODUCTS_USED, TEST = 1_600, 300
OPTIONS = LoraOptions(steps=60, batch=24, check=20, judged=120)
STATIC = TrainingOptions(dimensions=128, seconds=10.0, teacher_texts=1_500)
Encode = Callable[[Sequence[str]], Floats]


@dataclass(frozen=True, slots=True)
class Sample:
    """(description, title) of products, and which of them are the test."""

    pairs: list[tuple[str, str]]
    test: list[int]


def adapters(options: ItemsOptions, sheet: Sheet, progress: Progress) -> None:
    """Measure the part. Raises BadFeed, MissingExtra."""
    sample = sampled(options.data / PRODUCTS, np.random.default_rng(options.seed))
    tested = set(sample.test)
    taught = [pair for place, pair in enumerate(sample.pairs) if place not in tested]
    network = TextNetwork("minilm", taught, tokens=32)
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / name for name in ("base8", "tuned32", "tuned8")]
        for folder in folders:
            folder.mkdir()
        scores: dict[str, Doubles] = {}
        _measure("base", _encoded(network), sample, sheet, scores)
        export(network, folders[0], "minilm", "base")
        base8 = OnnxEncoder(folders[0])
        _measure("base.int8", base8.encode, sample, sheet, scores)
        facts = tune(network, len(taught), OPTIONS, progress)
        _measure("lora", _encoded(network), sample, sheet, scores)
        export(network, folders[1], "minilm+lora", "tuned", bits8=False)
        export(network, folders[2], "minilm+lora", "tuned")
        tuned8 = OnnxEncoder(folders[2])
        _measure("lora.int8", tuned8.encode, sample, sheet, scores)
        whole, small = ((folder / "encoder.onnx").stat().st_size / 2**20 for folder in folders[1:])
        sheet.figures |= {"adapters.lora.megabytes": whole, "adapters.lora.int8.megabytes": small}
        world = _world(sample)
        for name, teacher in (("static", None), ("static.taught_by_base", base8), ("static.taught_by_lora", tuned8)):
            _measure(name, _static(world, teacher, progress), sample, sheet, scores)
    rng = np.random.default_rng(options.seed)
    for name, (low, high) in intervals(scores, rng).items():
        sheet.intervals[f"adapters.{name}.mrr"] = (low, high)
    for name, other in (
        ("lora", "base"), ("lora.int8", "lora"), ("static.taught_by_base", "static"),
        ("static.taught_by_lora", "static.taught_by_base"),
    ):  # fmt: skip
        gap = paired(scores[name], scores[other], rng)
        sheet.figures[f"adapters.{name}-{other}.mrr"] = gap.mean
        sheet.intervals[f"adapters.{name}-{other}.mrr"] = (gap.low, gap.high)
    sheet.facts["adapters"] = {
        "products": len(sample.pairs), "test": len(sample.test), "lora_steps": facts.steps, "lora_kept": facts.kept,
        "lora_weights": facts.trained, "weights": facts.of, "judged_gain": facts.gain,
    }  # fmt: skip


def sampled(path: Path, rng: np.random.Generator) -> Sample:
    """Products with a title and a description, by a seeded draw. Raises BadFeed."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
            rows = [(row["name"], row["short_description"]) for row in csv.DictReader(stream)]
    except OSError as error:
        raise BadFeed("no product descriptions", where=str(path), got=error, next="name the folder: --data") from error
    pairs: dict[str, str] = {}
    for title, told in rows:
        words = (told or "").split()
        if title and len(words) >= WORDS // 2:
            pairs.setdefault(title.strip(), " ".join(words[:WORDS]))
    every = sorted((start, title) for title, start in pairs.items())
    drawn = [every[place] for place in rng.permutation(len(every))[:PRODUCTS_USED]]
    return Sample(drawn, sorted(rng.permutation(len(drawn))[:TEST].tolist()))


def _measure(name: str, encode: Encode, sample: Sample, sheet: Sheet, scores: dict[str, Doubles]) -> None:
    titles = encode([title for _, title in sample.pairs])
    began = time.process_time()
    asked = encode([sample.pairs[place][0] for place in sample.test])
    seconds = time.process_time() - began
    found = asked @ titles.T
    own = found[np.arange(len(asked)), sample.test]
    above = (found > own[:, None]).sum(axis=1)
    tied = (found == own[:, None]).sum(axis=1)
    scores[name] = 1.0 / (above + (tied + 1) / 2)
    sheet.figures[f"adapters.{name}.mrr"] = float(scores[name].mean())
    sheet.figures[f"adapters.{name}.ms"] = seconds / len(asked) * 1_000


def _encoded(network: TextNetwork) -> Encode:
    """One text a run, as a shopper's query comes."""

    def encode(texts: Sequence[str]) -> Floats:
        import torch

        with torch.inference_mode():
            return np.concatenate([network.vectors([text]).numpy() for text in texts])

    return encode


def _world(sample: Sample) -> World:
    """The catalog without the descriptions of the test."""
    tested = set(sample.test)
    items = [
        Item(id=str(place), title=title, description="" if place in tested else told)
        for place, (told, title) in enumerate(sample.pairs)
    ]
    return World(ItemTable.of(items), no_log(), 0.0)


def _static(world: World, teacher: Encoder | None, progress: Progress) -> Encode:
    encoder, _ = train(world, STATIC, teacher, progress)
    return lambda texts: encoder.encode(texts)
