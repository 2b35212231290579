"""How good is a shop with these settings? Each fold learned and judged as `learn` would, the parts that stay kept.

For a fold and a place: the sources are fitted on everything before it, a case gets the union of their candidates, the
fusion's weights are fitted on half of the cases and judged on the other half (`fit_weights`). That figure is what the
search climbs. The confirmation fits weights on the newest fold and judges them, case by case, on the window after it.
A source is fitted once a fold and value of its own dials; a trial that turns one dial fits one source.
Cost: 1 to 3 s a trial for 300 cases a place and 3 folds, beside the fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from bodega.engine.learn import Parts
from bodega.engine.places import PLACES, Place
from bodega.engine.tuning.dials import Dial, turned
from bodega.engine.tuning.windows import Windows, check_untouched
from bodega.evaluation import Case, CaseOptions, Window, evaluate, per_case, place_cases
from bodega.events import build_log
from bodega.events.gathering import People
from bodega.protocols import CatalogStore, EventStore, Source, Trainable
from bodega.ranking.fit import FEWEST, fit_weights
from bodega.ranking.fuse import Fusion, gather
from bodega.schema import EVENT_CODES, Candidates, Context, ItemTable, World
from bodega.schema.arrays import Doubles
from bodega.settings import Settings

METRIC = "ndcg@10"
REPEATS_FROM = 0.05
"""As `engine.judging`: from here on a shop is one where people buy again."""

KEPT = 3
"""Fitted sources kept of one source and cut: today's, the best and the latest are asked again; each may be 100 MB."""

PartsFor = Callable[[Settings], Parts]


def past(catalog: CatalogStore, events: EventStore, settings: Settings, who: People | None = None) -> World:
    """The shop's whole past, as `learn` reads it: `who` says who is one shopper, and who may be learned from."""
    items = ItemTable.of(catalog.scan())
    log, _ = build_log(events.scan(), items, settings.ingest, who)
    return World(items, log, until=float(np.nextafter(log.time[-1], np.inf)) if len(log) else 0.0)


@dataclass(eq=False)
class Trying:
    """One shop's past, ready to be tried with any settings."""

    whole: World
    cuts: Windows
    settings: Settings
    parts_for: PartsFor
    dials: tuple[Dial, ...]
    limit: int
    """Cases a place and window."""
    left_out: tuple[str, ...] = ()
    """Sources that take minutes to fit, or that need words: they stay out of the search."""
    _fitted: dict[tuple[str, float], list[tuple[tuple[float, ...], Source]]] = field(default_factory=dict)
    """{(source, cut): the latest few (values of its dials, fitted)}."""
    _cases: dict[tuple[str, Window], list[Case]] = field(default_factory=dict)
    _repeats: bool | None = None

    def __post_init__(self) -> None:
        parts = self.parts_for(self.settings)
        slow = {name for name in parts.make if name in parts.optional or name in parts.asking}
        slow |= {name for name, make in parts.make.items() if name not in slow and isinstance(make(), Trainable)}
        self.left_out = tuple(sorted(slow & {name for place in self._fittable() for name in place.weights}))

    @property
    def places(self) -> list[Place]:
        """The places that can be tried: fitted, fed by sources alone, and with enough cases in every fold."""
        windows = (*self.cuts.folds, self.cuts.confirm)
        return [place for place in self._fittable() if all(len(self.cases(place, each)) >= FEWEST for each in windows)]

    def figure(self, values: Mapping[str, float]) -> float:
        """What the search climbs: mean NDCG@10 over folds and places, weights fitted on other cases than judged."""
        return float(np.mean([self._fold(values, place, fold) for fold in self.cuts.folds for place in self.places]))

    def confirmed(self, values: Mapping[str, float]) -> dict[str, Doubles]:
        """{place: NDCG@10 of each case of the confirming window}, weights fitted on the newest fold."""
        newest, out = self.cuts.folds[-1], {}
        for place in self.places:
            cases, sources = self.cases(place, newest), self.sources(values, place, newest.start)
            candidates = [gather(sources, case.context, self._per_source(values)) for case in cases]
            found = fit_weights(place.name, cases, candidates, per_source=self._per_source(values))
            fusion = Fusion({place.name: found.weights or place.weights})
            later = self.sources(values, place, self.cuts.confirm.start)

            def ranked(context: Context, later: list[Source] = later, fusion: Fusion = fusion) -> Candidates:
                return fusion.rank(context, gather(later, context, self._per_source(values)))

            judged = evaluate({"served": ranked}, self.cases(place, self.cuts.confirm), len(self.whole.items))
            out[place.name] = per_case(judged["served"].masked, (METRIC,))[METRIC]
        return out

    def cases(self, place: Place, window: Window) -> list[Case]:
        """The cases of a place in a window; nothing of the test window can be among them."""
        key = (place.name, window)
        if key not in self._cases:
            options = CaseOptions(
                limit=self.limit,
                seed=self.settings.learn.seed,
                history=self.settings.answer.history,
                mask_seen=place.fresh and not self.repeats,
            )
            self._cases[key] = self._drawn(place, window, options)
        return self._cases[key]

    @property
    def repeats(self) -> bool:
        """Do people here buy the same item again? Judged on the first fold."""
        if self._repeats is None:
            options = CaseOptions(limit=self.limit, seed=self.settings.learn.seed)
            cases = self._drawn(PLACES["home"], self.cuts.folds[0], options)
            again = [np.isin(case.relevant, case.context.history).mean() for case in cases]
            self._repeats = bool(again) and float(np.mean(again)) >= REPEATS_FROM
        return self._repeats

    def sources(self, values: Mapping[str, float], place: Place, cut: float) -> list[Source]:
        """The place's sources, fitted on everything before `cut`."""
        parts = self.parts_for(turned(self.settings, values))
        names = [name for name in place.among(parts.make) if name not in self.left_out]
        return [self._source(parts, name, values, cut) for name in names]

    def _source(self, parts: Parts, name: str, values: Mapping[str, float], cut: float) -> Source:
        own = tuple(values.get(dial.key, dial.now(self.settings)) for dial in self.dials if dial.source == name)
        held = self._fitted.setdefault((name, 0.0 if name in parts.timeless else cut), [])
        for values_then, source in held:
            if values_then == own:
                return source
        known = self.whole.log.before(cut)
        check_untouched(known, (), cut, self.cuts.test)
        source = parts.make[name]().fit(replace(self.whole, log=known, until=cut))
        held.insert(0, (own, source))
        del held[KEPT:]
        return source

    def _fold(self, values: Mapping[str, float], place: Place, fold: Window) -> float:
        cases, sources = self.cases(place, fold), self.sources(values, place, fold.start)
        candidates = [gather(sources, case.context, self._per_source(values)) for case in cases]
        found = fit_weights(place.name, cases, candidates, per_source=self._per_source(values))
        if found.chosen == "rrf":
            return found.figures.get("rrf", 0.0)
        single = max(found.figures.get(source.name, 0.0) for source in sources)
        return max(found.figures["fusion.crossfit"], single) if len(sources) > 1 else single

    def _drawn(self, place: Place, window: Window, options: CaseOptions) -> list[Case]:
        log = self.whole.log.before(self.cuts.test.start)
        if place.evidence:
            log = log.where(np.isin(log.type, [EVENT_CODES[name] for name in place.evidence]))
        cases = place_cases(log, place.name, window, options)
        check_untouched(log.before(window.start), cases, window.start, self.cuts.test)
        return cases

    def _per_source(self, values: Mapping[str, float]) -> int:
        return turned(self.settings, values).answer.candidates

    def _fittable(self) -> list[Place]:
        return [place for place in PLACES.values() if place.fitted and not place.proposes]
