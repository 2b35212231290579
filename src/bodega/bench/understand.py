"""`bodega bench understand`: are queries taken apart rightly? Spelling, category intent, names in titles, Chinese.

Every part is judged on real texts with its baselines beside it in the same run, and with 95 % intervals where single
cases are right or wrong. What was chosen was chosen on other parts of the data (typing errors of other words, Taobao's
development titles); see docs/decisions/0014, 0015 and 0019.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bodega.bench import _chinese as chinese
from bodega.bench import _shelves_meant as shelves
from bodega.bench._judged import no_log
from bodega.bench._stack import Stack, choose
from bodega.bench._typos import run_typos
from bodega.bench.result import BenchResult, data_hash
from bodega.errors import BadFeed
from bodega.evaluation import Scorer, evaluate, intervals, metric, paired
from bodega.protocols import NoProgress, Progress
from bodega.schema import World
from bodega.schema.arrays import Doubles
from bodega.settings import Settings, Understand
from bodega.wiring import parts_of


@dataclass(frozen=True, slots=True)
class UnderstandOptions:
    """`data` is the folder that holds wands_queries/, bestbuy_*/ and zh_ecommerce/."""

    data: Path
    seed: int = 7


@dataclass(slots=True)
class _Sheet:
    """Figures so far."""

    seed: int
    figures: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, values: dict[str, Doubles]) -> None:
        """Means and intervals of values a case."""
        self.figures |= {name: float(value.mean()) for name, value in values.items()}
        self.intervals |= intervals(values, np.random.default_rng(self.seed))

    def gap(self, name: str, one: Doubles, other: Doubles) -> None:
        found = paired(one, other, np.random.default_rng(self.seed))
        self.figures[name], self.intervals[name] = found.mean, (found.low, found.high)


def run(options: UnderstandOptions, progress: Progress | None = None) -> BenchResult:
    """Run it. Raises BadFeed where a file is missing."""
    began, progress = time.perf_counter(), progress or NoProgress()
    paths = [options.data / path for path in (shelves.SUGGESTIONS, shelves.WANDS, chinese.JD)]
    for path in (*paths, options.data / chinese.TAOBAO):
        if not path.exists():
            raise BadFeed("a file of the benchmark is missing", where=str(path), next="name the folder with --data")
    sheet = _Sheet(options.seed)
    progress.start("spelling")
    sheet.figures |= {f"spelling.{name}": value for name, value in run_typos(options.data, options.seed).items()}
    progress.finish()
    progress.start("category intent")
    _shelves(options, sheet)
    progress.finish()
    progress.start("tagging of titles")
    for name, (precision, recall, both) in chinese.tagging(options.data).items():
        sheet.figures |= {f"tagging.{name}.precision": precision, f"tagging.{name}.recall": recall}
        sheet.figures[f"tagging.{name}.f1"] = both
    progress.finish()
    _known_titles(options, sheet, progress)
    return BenchResult(
        bench="understand",
        data="WANDS, Best Buy, Taobao, JD",
        seconds=round(time.perf_counter() - began, 1),
        figures=sheet.figures,
        intervals=sheet.intervals,
        facts={"seed": options.seed, "data_hash": data_hash(*paths)},
        notes=(
            "spelling: seeded errors in words drawn by frequency from texts the shop has not seen; by_frequency is the "
            "nearest known word; harmed is the share of the shop's own words that are changed",
            "intent.*: accuracy of the best guess, five folds; most_frequent and nearest_query are baselines",
            "tagging.*: whole spans with their kind on the Taobao test titles; dictionary and crf are baselines",
            "known_title.*: parts of a title look for it among all titles, full ranking, average rank on ties",
        ),
    )


def _shelves(options: UnderstandOptions, sheet: _Sheet) -> None:
    wands = shelves.read_wands(options.data)
    names = [(name, name, 1.0) for name in sorted({category for _, category, _ in wands})]
    nothing: list[shelves.Example] = []
    sets = (("wands", wands, names), ("bestbuy", shelves.read_suggestions(options.data), nothing))
    for name, examples, given in sets:
        judged = shelves.judge(examples, given, options.seed)
        right = {own: value for own, value in judged.items() if own != "sure"}
        sheet.add({f"{own}.{name}.accuracy": value for own, value in right.items()})
        sheet.gap(f"intent_over_nearest_query.{name}.accuracy", judged["intent"], judged["nearest_query"])
        sheet.figures[f"intent.{name}.calibration"] = shelves.calibration(judged)


def _known_titles(options: UnderstandOptions, sheet: _Sheet, progress: Progress) -> None:
    known = chinese.known_titles(options.data, options.seed)
    parts = parts_of(Settings(language="zh", understand=Understand(people=3)))
    stack = Stack.fit(World(known.table, no_log(), 0.0), parts, {}, progress)
    fusion = choose(stack, [], progress).fusion()
    found = stack.scorers(fusion)
    scorers: dict[str, Scorer] = {"bigram_bm25": chinese.bigram_bm25(known.table)}
    scorers |= {name: found[name] for name in ("lexical", "dense", "fusion") if name in found}
    for source, cases in known.cases.items():
        outcomes = evaluate(scorers, cases, len(known.table), progress=progress)
        values = {name: metric(outcome.masked, "mrr") for name, outcome in outcomes.items()}
        sheet.add({f"known_title.{source}.{name}.mrr": value for name, value in values.items()})
        sheet.gap(f"known_title.{source}.fusion_over_bigram_bm25.mrr", values["fusion"], values["bigram_bm25"])
