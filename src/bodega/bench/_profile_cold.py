"""Items with at most 5 events, on Beauty and Office: what do profiles find that words do not, and by which part?

`content` is the shared rare words and attributes of `retrieval.content`, `dense` the shop's own encoder, `profile` all
of it and behaviour behind one gate. `.cold`: the answer has at most 5 training events, ranked among all items; `.all`:
any answer. `only_*` and `without_*` are the same model looking through fewer modalities; `fusion` is a home page
of popular, transition, content and dense with weights from validation, `fusion_profile` the same with profiles.
`cold_fusion` is the sum of the z-scores of content and profile alone; `rare` is what the shop's list of rare items
serves: the way that `engine.choosing` takes on the validation split's cold answers. `.every_cold` are all cold cases
that the data has, so that a small difference can be told from none; `.listed` are the same ranked among cold items
only, as that list shows them.
Not for: shops on their first day (`bench cold`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from bodega.bench._cold_sets import Asked, ColdSet, read_cold
from bodega.bench._contest import Tally
from bodega.bench.items import ItemsOptions, Sheet
from bodega.engine.choosing import WAYS, WORDS, Choice, choose
from bodega.errors import BadFeed
from bodega.evaluation import Case, Outcome, evaluate
from bodega.protocols import Encoder, Progress, Source
from bodega.ranking.fuse import Fusion, fit_weights, gather
from bodega.retrieval.content import Content
from bodega.retrieval.dense import Dense
from bodega.retrieval.popular import Popular
from bodega.retrieval.profile import Profile, Senses
from bodega.retrieval.transition import Transition
from bodega.schema import Candidates, Context, ItemTable, World
from bodega.schema.arrays import Floats
from bodega.understanding.text.training import TrainingOptions, train

SETS: Final[Mapping[str, str]] = {"beauty": "amazon2014_beauty", "office": "amazon2018_office"}
CASES: Final = 2_000
EVERY: Final = 1_000_000
"""More cold cases than any of the sets has."""
WEIGHED: Final = 1_000
"""Validation cases that the weights of the fusions come from, as many as `learn` takes (twice `evaluated_users`).
On 600 of Beauty's no sum was surely better than `transition`."""
COMPARED: Final = (
    ("profile", "content"),
    ("profile", "dense"),
    ("fusion_profile", "fusion"),
    ("fusion_profile", "content"),
    ("cold_fusion", "content"),
    ("cold_fusion", "profile"),
    ("rare", "content"),
)
METRICS: Final = ("ndcg@10", "recall@10", "recall@50")
TOLD: Final = ("content", "dense", "profile")
"""What is known of an item that nobody touched."""
HOME: Final = ("popular", "transition", "content", "dense")
COLD: Final = {"content": 1.0, "profile": 1.0}
"""Weights of `cold_fusion`: the plainest sum that surely beat content on the cold validation cases of both sets."""


def cold(name: str, options: ItemsOptions, sheet: Sheet, progress: Progress) -> None:
    """Measure one set into the sheet. Raises BadFeed where it is not there."""
    folder = options.data / SETS[name]
    if not folder.is_dir():
        raise BadFeed("this data is not here", where=str(folder), next="name the folder that holds it with --data")
    progress.start(f"{name}: read")
    data = read_cold(folder, limit=EVERY, seed=options.seed)
    silent = World(data.items, data.test.log.where(np.zeros(len(data.test.log), np.bool_)), until=0.0)
    encoder = train(silent, TrainingOptions(seed=options.seed))[0]
    texts: list[Source] = [Content().fit(silent), Dense(lambda _: encoder).fit(silent)]
    progress.finish()
    progress.start(f"{name}: learn")
    asked = _sources(data, data.test, encoder, texts)
    own = asked["profile"]
    assert isinstance(own, Profile)
    world = _world(data, data.test)
    every = own.modalities
    looks = {f"only_{each}": own.looking(world, each) for each in every}
    looks |= {f"without_{each}": own.looking(world, *(o for o in every if o != each)) for each in every}
    progress.finish()
    progress.start(f"{name}: weigh")
    before = _sources(data, data.valid, encoder, texts)
    fused = _fusions(data, before, asked)
    choice = _chosen(data, before)
    for way, weights in (("rare", choice.weights or WAYS[WORDS]), ("cold_fusion", COLD)):
        fused[way] = partial(_served, [asked[each] for each in weights], _home(weights), data.hides)
    progress.finish()
    tally = Tally(options.seed)
    alone = {each: asked[each] for each in (*HOME, "profile")}
    told = {each: asked[each] for each in TOLD}
    for suffix, cases, ways in (
        (".cold", data.test.cases[:CASES], _alone(alone | looks, data) | fused),
        (".all", data.everyone.cases[:CASES], _alone(alone, data) | fused),
        (".every_cold", data.test.cases, _alone(told, data) | fused),
    ):
        outcomes = evaluate(ways, cases, len(data.items), progress=progress)
        for way, outcome in outcomes.items():
            tally.add(f"{name}.{way}", outcome.unmasked, METRICS, suffix)
        for one, other in COMPARED:
            for metric in ("ndcg@10", "recall@10"):
                pair = outcomes[one].unmasked, outcomes[other].unmasked
                tally.compare(f"{name}.{one}_vs_{other}", *pair, metric, suffix)
    _listed(tally, name, outcomes)
    sheet.figures |= tally.figures
    sheet.intervals |= tally.intervals
    assert own.facts is not None
    sheet.facts[f"profile.{name}"] = {
        "hash": data.digest,
        "items": len(data.items),
        "cold_items": int(data.test.cold.sum()),
        "cases": len(data.test.cases[:CASES]),
        "every_cold_case": len(data.test.cases),
        "rare": {"chosen": choice.name, "weights": choice.weights, "cases": choice.cases, "told": choice.told},
        "gates": own.facts.gates,
        "way": own.facts.way,
        "found": own.facts.found,
        "steps": own.facts.steps,
        "train_seconds": own.facts.seconds,
        "new_item_ms": _new_item_ms(own, data),
    }


def _listed(tally: Tally, name: str, outcomes: Mapping[str, Outcome]) -> None:
    """The same ranked among rare items only, as their list shows them."""
    for way in ("content", "profile", "rare"):
        tally.add(f"{name}.{way}", outcomes[way].masked, METRICS, ".listed")
    for metric in ("ndcg@10", "recall@10"):
        pair = outcomes["rare"].masked, outcomes["content"].masked
        tally.compare(f"{name}.rare_vs_content", *pair, metric, ".listed")


def _new_item_ms(source: Profile, data: ColdSet) -> float:
    """CPU milliseconds from a new item to its vector: the median of twenty."""
    spent = []
    for row in range(20):
        table = ItemTable.of([data.items.item(row)])
        began = time.process_time()
        source.beside(table)
        spent.append(1e3 * (time.process_time() - began))
    return round(float(np.median(spent)), 2)


def _world(data: ColdSet, asked: Asked) -> World:
    return World(data.items, asked.log, until=float(asked.log.time[-1]) + 60.0 if len(asked.log) else 0.0)


def _sources(data: ColdSet, asked: Asked, encoder: Encoder, texts: list[Source]) -> dict[str, Source]:
    world = _world(data, asked)
    profile = Profile(Senses(lambda _: encoder, lambda _: encoder)).fit(world)
    every: list[Source] = [Popular().fit(world), Transition().fit(world), *texts, profile]
    return {source.name: source for source in every}


def _chosen(data: ColdSet, before: Mapping[str, Source]) -> Choice:
    """What a shop's list of rare items would serve, chosen on cold answers of the validation split."""
    cases = []
    for case in data.choosing.cases:
        if data.hides:
            if np.isin(case.relevant, case.context.history).any():
                continue
            case = replace(case, masked=np.union1d(case.masked, case.context.history).astype(np.int32))
        cases.append(case)
    sources = [before[each] for each in TOLD]
    return choose(cases, [gather(sources, case.context) for case in cases])


def _home(weights: Mapping[str, float]) -> Fusion:
    return Fusion({"home": weights})


def _fusions(
    data: ColdSet, before: Mapping[str, Source], asked: Mapping[str, Source]
) -> dict[str, Callable[[Context], Candidates]]:
    """What a home page would serve, with weights from validation."""
    cases = data.valid.cases[:WEIGHED]
    if data.hides:
        kept = [case for case in cases if not np.isin(case.relevant, case.context.history).any()]
        cases = [Case(case.context, case.relevant, np.unique(case.context.history)) for case in kept]
    found: dict[str, Callable[[Context], Candidates]] = {}
    for name, team in (("fusion", HOME), ("fusion_profile", (*HOME, "profile"))):
        candidates = [gather([before[each] for each in team], case.context) for case in cases]
        fusion = Fusion({"home": fit_weights("home", cases, candidates).weights})
        found[name] = partial(_served, [asked[each] for each in team], fusion, data.hides)
    return found


def _served(sources: list[Source], fusion: Fusion, hides: bool, context: Context) -> Candidates:
    found = gather(sources, context)
    return fusion.rank(context, found.take(~np.isin(found.items, context.history)) if hides else found)


def _alone(sources: Mapping[str, Source], data: ColdSet) -> dict[str, Callable[[Context], Floats | Candidates]]:
    rows = np.arange(len(data.items), dtype=np.int32)

    def score(source: Source) -> Callable[[Context], Floats | Candidates]:
        def scores(context: Context) -> Floats:
            found = source.score(context, rows)
            if data.hides:
                found = found.copy()
                found[context.history] = np.nan
            return found

        return scores

    return {name: score(source) for name, source in sources.items()}
