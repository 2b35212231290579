"""What is asked, and what answers it? From a request with its rules to a pool and the mask of what may be shown.

Words are understood and searched; while nothing that may be shown is found, the question is relaxed step by step, and
each step is named. What the question itself states (its words, its conditions, `where`, the rules of the shop) decides
what is found, and facets count that; what the shopper then picks (filters, stock) only decides what is shown.
Cost: that of finding; each relaxation finds again. Not for: the order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bodega.engine.browse import Narrowing
from bodega.engine.cold import anchors_beside
from bodega.engine.finding import Finder
from bodega.engine.merchandise import Bound, Merchandise, facts_of
from bodega.engine.pictured import Pictured
from bodega.engine.places import Place
from bodega.engine.pool import Pool, Pooling, showable
from bodega.ranking.rules import RuleBook
from bodega.schema import Context, Meaning, Request
from bodega.schema.arrays import Flags
from bodega.understanding.query import Understood


@dataclass(frozen=True, slots=True)
class Question:
    """A request on its way: what was found, what of it may be shown, and what the sources are asked."""

    context: Context
    found: Pool
    """Everything that answers the question itself: what facets count."""
    keep: Flags
    """Which shelf rows this page may show."""
    may: Flags
    """The same before the shopper's filters: what facets count among."""
    said: tuple[Meaning, ...] = ()

    @property
    def shown(self) -> bool:
        return bool(self.keep[self.found.rows].any())


@dataclass(frozen=True, slots=True)
class _Masks:
    """(len(shelf),) each: what may be shown at all, and what the shopper's filters leave."""

    may: Flags
    chosen: Flags


@dataclass(frozen=True, slots=True)
class Questioning:
    """What questions are answered from."""

    finder: Finder
    pooling: Pooling
    merchandise: Merchandise
    repeats: bool
    """Do people here buy the same item again?"""

    @property
    def pictured(self) -> Pictured:
        """What finds by photo."""
        return Pictured(self.finder, self.pooling)

    def understood(self, request: Request, context: Context, rules: RuleBook) -> tuple[Understood | None, Bound]:
        """What the query says (None: there is none), and what the rules want of its page: of the words as typed, and
        of the words as corrected."""
        facts = facts_of(request, context, self.pooling.shelf.base, rules)
        plan = rules.plan(facts)
        query = plan.query or context.query
        if not query:
            return None, self.merchandise.bound(plan)
        said = self.finder.read(query, context.language, verbatim=request.verbatim)
        if said.corrected:
            plan = rules.plan(replace(facts, corrected=said.corrected))
        synonyms = dict.fromkeys((*said.alternatives, *plan.synonyms, *rules.alternatives(said.text, facts)))
        return replace(said, alternatives=tuple(synonyms)), self.merchandise.bound(plan)

    def question(
        self,
        request: Request,
        place: Place,
        context: Context,
        read: tuple[Understood | None, Bound],
        chosen: Narrowing,
    ) -> Question:
        """What is asked and what answers it. A question that nothing answers is relaxed, each step named."""
        said, bound = read
        shelf, photo = self.pooling.shelf, len(context.picture) > 0
        shown = showable(shelf, place, context, seen_too=self.repeats)
        shown[anchors_beside(request, shelf) if place.anchored else []] = False
        if place.rare:
            shown &= self.pooling.rare
        allowed = bound.allowed(shown)
        masks, where = _Masks(allowed, chosen.all), chosen.where
        if said is None:
            if photo:
                return self._asked(*self.pictured.found(None, context, where), masks, where, bound)
            shown = masks.may & masks.chosen if where is None else masks.may & masks.chosen & where
            return self._asked(context, self.pooling.pool(place, context, shown), masks, where, bound)
        first: Question | None = None
        for given_up, attempt in self.finder.attempts(said):
            conditions = self.finder.meets(attempt)
            keep = where if conditions is None else conditions if where is None else conditions & where
            if photo:
                asked, pool = self.pictured.found(attempt, context, keep)
                question = self._asked(asked, replace(pool, relaxed=(*given_up, *pool.relaxed)), masks, keep, bound)
            elif attempt.text.strip():
                found = self.finder.find(attempt, context, keep, verbatim=request.verbatim)
                question = self._asked(found.context, Pool.of(found, given_up), masks, keep, bound)
            else:  # conditions only ("under 50"): the whole shelf, inside them
                asked = replace(context, query="", meanings=attempt.meanings)
                whole = replace(self.pooling.whole(asked), relaxed=given_up)
                question = self._asked(asked, whole, masks, keep, bound)
            if question.shown:
                return question
            first = first or question
        assert first is not None
        return first

    def _asked(self, context: Context, found: Pool, masks: _Masks, base: Flags | None, bound: Bound) -> Question:
        """The pool with what rules pin and without what they hide, inside the question's own conditions."""
        rows, score = bound.entered(found.rows, found.score)
        pool = replace(found, rows=rows, score=score).only(base)
        may = masks.may if base is None else masks.may & base
        return Question(context, pool, may & masks.chosen, may, context.meanings)
