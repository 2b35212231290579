"""`shop.steering` of a shop without an engine: pages are shown as they are, nothing is measured.

Not for: how a page came about (`engine.steering`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bodega.engine.effect import Effect, EffectOrders
from bodega.engine.fixing import Story
from bodega.engine.inspecting import InspectAsked, InspectedPage, InspectedQuery, InspectedRow, Inspection, wanted
from bodega.schema import Page, Request, Rule, checked_rule


class CannedSteering:
    """Fits where the HTTP service asks for `shop.steering`."""

    def __init__(self, answer: Callable[[Request], Page]) -> None:
        self._answer = answer

    def inspect(self, asked: InspectAsked) -> Inspection:
        """The canned list, without sources and stages."""
        page = self._answer(wanted(asked))
        rows = tuple(InspectedRow(item=name, position=n, places={"listed": n}) for n, name in enumerate(page.ids, 1))
        one = InspectedPage(
            place=page.place,
            snapshot="canned",
            ranker="sum",
            reading=InspectedQuery(typed=page.query, read=page.query, searched=page.query),
            stages=("listed",),
            sources=(),
            rows=rows,
            total=page.total,
        )
        return Inspection(one=one, other=one if asked.beside is not None else None)

    def story(self, query: str, language: str = "") -> Story:
        """Nobody asked it."""
        page = self._answer(Request(place="search", query=query, language=language))
        return Story(
            query=query,
            days=28,
            searches=0,
            answered=0,
            total=page.total,
            corrected="",
            relaxed=(),
            rules=(),
            next=(),
            chosen=(),
            fixes=(),
        )

    def effect(self, rule: Rule, queries: Sequence[str] = ()) -> Effect:
        """Nothing changes."""
        draft = checked_rule(rule)
        return Effect(
            rule=draft.id or "draft",
            days=28,
            searches=0,
            touched=0,
            changed=0,
            queries=len(queries),
            cases=0,
            measures={},
            orders=EffectOrders(bought=0, up=0, down=0, entered=0, left=0, redirected=0),
            expected_orders=None,
            expected_revenue=None,
            empty_before=0,
            empty_after=0,
            rows=(),
            titles={},
        )
