"""Which items will be bought together? Pairs of the supermarket's last weeks, known ones and new ones apart.

The shop is the items that were bought `SOLD` times or more before the last `DAYS` days: others have hardly any pairs.
Everything learns from what lies before these days. Then a case is an item that was bought in at least `VISITS` baskets
of the window: its true tails are what was bought along in two of these baskets or more. `known` asks
for all of them, ranked over all items; `new` only for those that had never been in one basket before, ranked over all
items that had not: what no count of pairs can know. Baselines: popularity, `transition` and `complements` (counts of
pairs), and each part of the knowledge graph alone. Cost: a minute.
Not for: the next basket of a household (`bench basket`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from scipy import sparse

from bodega.bench._supermarket import Market, read_market
from bodega.bench.items import ItemsOptions, Sheet
from bodega.evaluation.significance import intervals, paired
from bodega.protocols import Progress, Source
from bodega.retrieval._index import Steps, interest
from bodega.retrieval.knowledge import Knowledge
from bodega.retrieval.popular import Popular
from bodega.retrieval.relations import Complements
from bodega.retrieval.transition import Transition
from bodega.schema import Context, ItemTable, Log, World
from bodega.schema.arrays import Doubles, Floats, Ints
from bodega.understanding.graph.kinds import CODE

DAYS: Final = 28
VISITS: Final = 10
SOLD: Final = 50
CASES: Final = 1_000
DAY: Final = 86_400.0
_COMPLEMENT: Final = CODE["complement"]

Scores = Callable[[int], Floats]
"""The score of every item for one head."""


def pairs(options: ItemsOptions, sheet: Sheet, progress: Progress) -> None:
    """Measure co-purchases. Raises MissingExtra without the package that holds the supermarket, BadFeed."""
    folder = options.data / "complete_journey"
    market = read_market(folder if (folder / "products.parquet").is_file() else None, options.seed)
    cut = float(market.log.time[-1]) - DAYS * DAY
    items, log = _well_sold(market, cut)
    n_items, past = len(items), World(items, log.before(cut), cut)
    before = Steps.of(interest(past.log), n_items, by_session=True).held
    window = Steps.of(interest(log.where(log.time >= cut)), n_items, by_session=True).held
    bought = np.bincount(window.indices, minlength=n_items)
    heads = np.flatnonzero((bought >= VISITS) & (np.bincount(before.indices, minlength=n_items) > 0))
    heads = np.sort(np.random.default_rng(options.seed).permutation(heads)[:CASES]).astype(np.int32)
    true = sparse.csr_matrix(window.T.tocsr()[heads] @ window)
    earlier = sparse.csr_matrix(before.T.tocsr()[heads] @ before)
    ways = _ways(past, progress)
    cases: dict[str, dict[str, list[float]]] = {}
    for place, head in enumerate(heads.tolist()):
        tails = true[place].indices[true[place].data >= 2]
        met = earlier[place].indices
        for kind, out in (("known", np.array([head])), ("new", np.union1d(met, [head]))):
            wanted = np.setdiff1d(tails, out)
            if len(wanted):
                for way, score in ways.items():
                    for metric, value in _judged(score(head), wanted, out).items():
                        cases.setdefault(f"{kind}.{metric}", {}).setdefault(way, []).append(value)
    for name, columns in cases.items():
        kind, _, metric = name.partition(".")
        values = {way: np.array(each) for way, each in columns.items()}
        _tell(sheet, f"links.copurchase.{kind}", metric, values, options.seed)
        sheet.facts[f"links.copurchase.{kind}.cases"] = len(next(iter(values.values())))
    sheet.facts["links.copurchase.items"] = n_items
    sheet.facts["links.copurchase.data"] = market.digest


def _well_sold(market: Market, cut: float) -> tuple[ItemTable, Log]:
    """The items that were bought often before the cut, and their events."""
    early = market.log.item[(market.log.time < cut) & (market.log.item >= 0)]
    kept = np.flatnonzero(np.bincount(early, minlength=len(market.items)) >= SOLD)
    place = np.full(len(market.items) + 1, -1, np.int32)
    place[kept] = np.arange(len(kept))
    log = replace(market.log, item=place[market.log.item])
    return ItemTable.of(market.items.item(row) for row in kept.tolist()), log.where(log.item >= 0)


def _ways(past: World, progress: Progress) -> dict[str, Scores]:
    """{way: how it scores every item for a head}."""
    everything = np.arange(len(past.items), dtype=np.int32)
    whole = Knowledge().fit(past)
    progress.advance()
    sources: dict[str, Source] = {
        "": whole,
        "popular": Popular().fit(past),
        "transition": Transition().fit(past),
        "complements": Complements().fit(past),
    }

    def scorer(name: str) -> Scores:
        source = sources[name]

        def score(head: int) -> Floats:
            context = Context(place="together", now=past.until, items=np.array([head], np.int32))
            return source.score(context, everything)

        return score

    found = {name: scorer(name) for name in sources}
    if whole.linker is not None and "complement" in whole.linker.weighing:
        signs, pool = whole.linker.signs, everything
        found["complex"] = lambda head: signs.embedding.score(np.array([head], np.int32), _COMPLEMENT, pool)[0]
    return found


def _judged(score: Floats, wanted: Ints, out: Ints) -> Mapping[str, float]:
    """Hits@10 (is any right one among the first ten?), recall@10 and MRR of one case; ties by the lower item."""
    values = np.nan_to_num(score.astype(np.float64), nan=-np.inf)
    values[out] = -np.inf
    first = np.argsort(-values, kind="stable")[:100]
    first = first[np.isfinite(values[first])]
    hit = np.isin(first, wanted)
    best = np.flatnonzero(hit)
    return {
        "hits@10": float(hit[:10].any()),
        "recall@10": float(hit[:10].sum() / min(len(wanted), 10)),
        "mrr": 1 / (1 + float(best[0])) if len(best) else 0.0,
    }


def _tell(sheet: Sheet, prefix: str, metric: str, values: Mapping[str, Doubles], seed: int) -> None:
    spans = intervals(dict(values), np.random.default_rng(seed))
    for way, each in values.items():
        name = ".".join(part for part in (prefix, way, metric) if part)
        sheet.figures[name] = round(float(each.mean()), 4)
        sheet.intervals[name] = (round(spans[way][0], 4), round(spans[way][1], 4))
    for way, each in values.items():
        if way:
            gap = paired(values[""], each, np.random.default_rng(seed))
            name = f"{prefix}.gain_over_{way}.{metric}"
            sheet.figures[name], sheet.intervals[name] = round(gap.mean, 4), (round(gap.low, 4), round(gap.high, 4))
