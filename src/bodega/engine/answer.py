"""One request, one page: the file to read to know the system.

    request -> plan       which merchandising rules apply                                              merchandise.py
            -> context    who asks, around what: ids become rows, the history is read from memory      resolve.py
            -> question   what the words say; relaxed step by step while nothing can be shown          finding.py
            -> pool       what could be right: what the words find, the shelf, or the sources' union   pool.py
            -> showable   filters, stock, dismissals, the anchors themselves; topped up if too little  pool.py
            -> ranked     every source of the place scores the head of the pool, a sum or a ranker orders  ranking/
            -> mixed      likes apart, the tired down, where the place has a dial for it               ranking/diversify
            -> tried      a few slots of the page decided by chance, where its place has a dial for it exploring.py
            -> page       variants collapsed, sorted, pinned, cut, explained; every fallback named     explain.py

No step asks for a model's name: a place names its sources (`places.py`) and what ranks it was learned.
Cost: printed by `bodega bench serve`. Not for: learning (`learn.py`) or keeping bytes (`adapters`).
"""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np

from bodega import failpoints
from bodega.engine import browse
from bodega.engine.cold import started
from bodega.engine.completing import Completing
from bodega.engine.correcting import Correcting, Moved
from bodega.engine.deadline import now
from bodega.engine.dials import asked as asked_by
from bodega.engine.dials import turned
from bodega.engine.explain import Explainer, accounted
from bodega.engine.exploring import Exploring, Ordered, Tried, policy_of
from bodega.engine.finding import Finder, Rewords, Understands, beside
from bodega.engine.health import Health, Nonsense, counting, is_callers, lose, losses
from bodega.engine.kinds import Kinds
from bodega.engine.ladder import Ground, Ladder, is_honest, stands_on, told
from bodega.engine.leaning import leanings
from bodega.engine.live import Overlay, View, newcomers, over
from bodega.engine.merchandise import Bound, Merchandise, facts_of
from bodega.engine.online import Shoppers
from bodega.engine.places import PLACES, Place
from bodega.engine.pool import Pool, Pooling
from bodega.engine.question import Question, Questioning
from bodega.engine.ranked import OnShelf
from bodega.engine.resolve import context_of, place_of
from bodega.engine.shelf import GONE, Shelf
from bodega.engine.trials import Trials
from bodega.protocols import Source
from bodega.ranking.diversify import Diversify, Shown
from bodega.ranking.fuse import Fusion
from bodega.ranking.learned import Ordering
from bodega.ranking.rules import RuleBook
from bodega.retrieval.lexical import Lexical
from bodega.retrieval.repeat import Repeat
from bodega.schema import (
    EVENT_CODES,
    Candidates,
    Context,
    Contribution,
    Event,
    Facet,
    Hit,
    Page,
    Reason,
    Request,
    Sort,
)
from bodega.schema.arrays import NO_INTS, Flags, Floats, Ints, Longs
from bodega.settings import Settings
from bodega.understanding.query import Understood

NO_RULES = RuleBook()
LOGGER = logging.getLogger("bodega.engine")


@dataclass(frozen=True, slots=True)
class Learned:
    """What an open snapshot holds: the models, their weights, and what the log says of the shop."""

    sources: Mapping[str, Source]
    ordering: Ordering
    repeats: bool
    """Do people here buy the same item again? Then `home` may show what the shopper already has."""
    snapshot: str = ""
    warnings: tuple[str, ...] = ()
    understanding: Understands | None = None
    rewords: Rewords | None = None
    """Words lost queries anew; None unless a language model was switched on and proved itself."""
    health: Health = field(default_factory=Health)
    """Which parts fail at the moment."""
    live: Overlay | None = None
    """What has happened since, counted beside the models; None where that is switched off."""
    correcting: Correcting | None = None
    """What clicks since say against the order; None where that is switched off."""


@dataclass(frozen=True, slots=True)
class Worked:
    """What was decided on the way to one page, step by step: `why_not` reads it."""

    place: Place
    notes: tuple[str, ...]
    chosen: browse.Narrowing
    asked: Question
    bound: Bound
    pool: Pool
    """What may be shown, likeliest first by the coarse order; only its head is ranked."""
    fused: Candidates
    """That head in the order of the ranking, with boosts and buries."""
    ranked: Candidates
    """The same, mixed (`ranking.diversify`)."""
    moved: Moved | None = None
    """What the steps between two learns did to the head; None where they are off."""
    rows: Ints = field(default_factory=lambda: NO_INTS)
    """The whole list in the order in which it is shown: one row a variant group, pins in their places."""
    lifted: Ints = field(default_factory=lambda: NO_INTS)
    """What stands further up because its page owes its kind."""


class Engine:
    """Answers requests from one snapshot, one shelf and the shoppers' states. Immutable but for the states."""

    def __init__(self, learned: Learned, shelf: Shelf, shoppers: Shoppers, settings: Settings) -> None:
        self.whole = learned
        """Everything that was learned; `learned` is what the dials of the settings let act of it."""
        ordering, kept = turned(learned.ordering, learned.sources, settings.dials)
        if ordering is not learned.ordering or kept is not learned.sources:
            learned = replace(learned, ordering=ordering, sources=kept)
        self.learned = learned
        self.shelf = shelf
        self.shoppers = shoppers
        self.settings = settings
        words = learned.sources[Lexical.name]
        assert isinstance(words, Lexical)
        self.completing = Completing(words, shelf, learned.live)
        newer, sources = beside(learned.sources, shelf), learned.sources
        self.live: View | None = None
        if learned.live is not None:
            self.live = View.of(learned.live, shelf, learned.sources)
            sources = over(learned.sources, self.live)
            newer = {**newer, **newcomers(learned.sources, self.live)}
        self.health = learned.health
        self.health.slow = settings.answer.slow_ms / 1000 or math.inf
        self.ladder = Ladder(learned.sources, shelf, settings.answer.curated)
        self.finder = Finder(sources, shelf, learned.understanding, newer, learned.rewords, self.health)
        self.merchandise = Merchandise(shelf)
        standing, per_source = self.ladder.popular, settings.answer.candidates
        lean = leanings(learned.ordering, learned.sources)
        self.pooling = Pooling(sources, newer, shelf, per_source, self.health, standing, lean)
        self._questions = Questioning(self.finder, self.pooling, self.merchandise, learned.repeats)
        self._rankers = {place: OnShelf(ranker, shelf) for place, ranker in learned.ordering.rankers.items()}
        self._explainer = Explainer(learned.sources, shelf)
        self.kinds = Kinds.of(settings.kinds, shelf)
        self._exploring: Exploring | None = None
        self.mixing = Diversify(self._mixed_from(), {name: settings.diversity.of(name) for name in PLACES})

    def _mixed_from(self) -> Shown:
        """What the mixing of lists knows of the shelf; read when a place is mixed at all."""
        shelf, repeat = self.shelf, self.learned.sources.get(Repeat.name)
        return Shown(
            (shelf.base, shelf.delta),
            known_as=shelf.known_as,
            group=shelf.group if shelf.has_variants else None,
            available=shelf.available,
            popularity=lambda: self.pooling.prior,
            rebuys=repeat if isinstance(repeat, Repeat) else None,
        )

    def restocked(self, shelf: Shelf) -> Engine:
        """The same engine over a newer shelf."""
        return Engine(self.whole, shelf, self.shoppers, self.settings)

    def counting(self, live: Overlay) -> Engine:
        """The same engine with other counts since the snapshot."""
        return Engine(replace(self.whole, live=live), self.shelf, self.shoppers, self.settings)

    def observe(self, events: Sequence[Event]) -> None:
        """Let the features of the learned rankers know what happened since the snapshot was learned."""
        if self.learned.live is not None:
            self.learned.live.heard(events)
        for event in events:
            row = self.shelf.base.index.get(event.item, -1)
            if row >= 0:
                value = float("nan") if event.value is None else event.value
                self.learned.ordering.writes(row, EVENT_CODES[event.type], event.time.timestamp(), value)

    def answer(self, request: Request, rules: RuleBook = NO_RULES, trials: Trials | None = None) -> Page:
        """The page for a request, whatever breaks on the way (`ladder`).

        Raises BadRequest for an unknown place or field, or a page out of range.
        """
        dials = self.settings.dials
        request, rules = asked_by(request, dials), rules if dials.rules else NO_RULES
        place = place_of(request, self.settings)
        with counting() as lost:
            try:
                page = self._page(request, rules, trials)
                if not lost.named or is_honest(page, place, self.learned.sources, lost):
                    return page
            except Exception as error:
                if is_callers(error):
                    raise
                LOGGER.error("a page could not be made", exc_info=error)
                lose("engine", f"left out, it failed ({type(error).__name__})")
            ground = Ground(lambda asked: self._hidden(asked, rules), self._done)
            return self.ladder.page(request, lost, ground, snapshot=self.learned.snapshot)

    def _page(self, request: Request, rules: RuleBook, trials: Trials | None) -> Page:
        """The page while the engine works; single parts may be lost."""
        started = time.perf_counter()
        if failpoints.ON:
            failpoints.reach("answer.page")
        work = self.worked(request, rules)
        asked, pool, bound, rows = work.asked, work.pool, work.bound, work.rows
        lost = self.finder.troubles if request.query and not len(rows) else ()
        tried = None
        if trials is not None:
            tried = self.health.ask("explore", lambda: self._tried(request, work, trials), lambda: None)
        hits = self._hits(request, work, tried)
        now().lap("explain")
        counted = asked.found.only(asked.may)
        facets = self.health.ask("facets", lambda: self._facets(request, counted, work.chosen), lambda: ())
        related = self.finder.related(request.query, asked.context) if asked.context.query else ()
        now().lap("facets")
        if trials is not None and tried is not None:
            trials.note(tried.decision)
        name = tried.decision.request_id if tried else secrets.token_hex(8)
        if self.learned.correcting is not None and work.moved is not None:
            shown = _places((tried.rows if tried else rows)[request.offset :][: request.k], work.moved.ranked.items)
            self.learned.correcting.shown(request, name, [hit.id for hit in hits], shown, work.moved)
        return Page(
            request_id=name,
            place=request.place,
            hits=hits,
            total=len(rows),
            query=request.query,
            corrected=pool.corrected,
            understood=asked.said,
            relaxed=pool.relaxed,
            redirect=bound.plan.redirect,
            banners=bound.plan.banners,
            rules=bound.rules(asked.found.rows),
            related=related,
            facets=facets,
            degraded=(
                *self.learned.warnings,
                *work.notes,
                *pool.notes,
                *bound.notes,
                *lost,
                *self._lost(work, request),
            ),
            snapshot=self.learned.snapshot,
            policy=policy_of(tried),
            took_ms=round((time.perf_counter() - started) * 1000, 3),
        )

    def worked(self, request: Request, rules: RuleBook = NO_RULES) -> Worked:
        """Everything that is decided on the way to the page of a request; raises as `answer` does."""
        place = place_of(request, self.settings)
        clock, tables = now(), (self.shelf.base, self.shelf.delta)
        browse.check(tables, request.facets, where="facets")
        chosen = browse.narrow(self.shelf, request.filters, request.where)
        context, notes = context_of(request, place, self.shelf.base, self.shoppers, self.settings)
        if self.live is not None:
            context = self.live.noticed(context, request, self.shoppers)
        around = (self.learned.sources, self.shelf, self.shoppers)
        context, cold = self.health.ask("cold", lambda: started(request, place, context, around), lambda: (context, ()))
        clock.lap("context")
        said, bound = self._understood(request, context, rules)
        clock.lap("understand")
        asked = self._questions.question(request, place, context, (said, bound), chosen)
        pool = asked.found.only(asked.keep)
        if place.fill and not context.query:
            pool = self.pooling.filled(pool, context, asked.keep, request.offset + request.k)
        if self.kinds is not None:
            pool = self.kinds.owed(place, self.pooling, asked.context, pool, asked.keep, request)
        pool, size = self._headed(place, asked.context, pool, bound)
        clock.lap("retrieve")
        head = self._ranked(place, asked.context, pool, size)
        moved = self._moved(request, place, asked.context, head)
        fused = bound.ranked(moved.ranked if moved is not None else head)
        clock.lap("rank")
        mixing = request.sort is Sort.RELEVANCE and not request.sort_by
        ranked = fused
        if mixing:
            ranked = self.health.ask("mixing", lambda: self.mixing.rank(asked.context, fused), lambda: fused)
        work = Worked(place, (*notes, *cold), chosen, asked, bound, pool, fused, ranked, moved)
        rows, lifted = self._listed(request, work, ranked)
        work = replace(work, rows=rows, lifted=lifted)
        clock.lap("arrange")
        return work

    def listed(self, request: Request, work: Worked, ranked: Candidates) -> Ints:
        """The whole list when its head is ranked like this: sorted as asked, one row a group, pins in their places."""
        return self._listed(request, work, ranked)[0]

    def _listed(self, request: Request, work: Worked, ranked: Candidates) -> tuple[Ints, Ints]:
        """The same, and the rows that stand further up because a page owes their kind."""
        rows = np.concatenate([ranked.items, work.pool.rows[len(ranked) :]])
        rows, lifted = self._ordered(request, work.place, rows), NO_INTS
        if self.kinds is not None:
            rows, lifted = self.kinds.arranged(work.place.name, rows, request)
        return work.bound.placed(rows, work.asked.keep, request.sort), lifted

    def stage(self, place: Place) -> Fusion | OnShelf:
        """What ranks the head of this place's lists."""
        return self._rankers.get(place.name, self.learned.ordering.fusion)

    def _headed(self, place: Place, context: Context, pool: Pool, bound: Bound) -> tuple[Pool, int]:
        """The same pool with what deserves a close look at its head, and the size of that head."""
        names = pool.asked or place.among(self.learned.sources)
        size = self.settings.answer.candidates * (len(names) if pool.source == "" else 2 if place.proposes else 1)
        if pool.source and len(pool.rows) > size:
            pool = pool.headed(size, self.pooling.prior, self.pooling.known(context))
        rows, score = bound.headed(pool.rows, pool.score, size)
        return replace(pool, rows=rows, score=score), size

    def _ranked(self, place: Place, context: Context, pool: Pool, size: int) -> Candidates:
        """The head of the pool with every source's score, in the fusion's order; the tail keeps the pool's order."""
        names = pool.asked or place.among(self.learned.sources)
        rows, score = pool.rows[:size], pool.score[:size]
        columns = [self._column(name, context, rows, score if name == pool.source else None) for name in names]
        scores = np.empty((len(rows), len(names)), np.float32)
        for number, column in enumerate(columns):
            scores[:, number] = column
        head = Candidates(rows, scores, score, names)
        coarse = Candidates(rows, scores, np.nan_to_num(score), names)
        fusion, stage = self.learned.ordering.fusion, self.stage(place)

        def summed() -> Candidates:
            return self.health.ask("fusion", lambda: _ordered(fusion, context, head), lambda: coarse)

        return self.health.ask("ranker", lambda: _ordered(stage, context, head), summed)

    def _moved(self, request: Request, place: Place, context: Context, head: Candidates) -> Moved | None:
        """The head as steps since the snapshot order it; None where none are taken, or the shopper chose the order."""
        correcting = self.learned.correcting
        if correcting is None or not request.personal or request.sort is not Sort.RELEVANCE or request.sort_by:
            return None
        stage = self.stage(place)
        return self.health.ask(
            "steps", lambda: correcting.moved(context, head, stage.shares(context, head), self.shelf), lambda: None
        )

    def _understood(self, request: Request, context: Context, rules: RuleBook) -> tuple[Understood | None, Bound]:
        """What the query says and what the rules want; without the rules where these fail."""
        try:
            return self._questions.understood(request, context, rules)
        except Exception as error:
            if is_callers(error):
                raise
            lose("rules", f"left out, they failed ({type(error).__name__})")
            return self._questions.understood(request, context, NO_RULES)

    def _hidden(self, request: Request, rules: RuleBook) -> Flags | None:
        """Shelf rows that rules hide and that this shopper dismissed: what no rung shows. (len(shelf),)."""
        context, _ = context_of(
            request, place_of(request, self.settings), self.shelf.base, self.shoppers, self.settings
        )
        hidden = np.zeros(len(self.shelf), np.bool_)
        away = self.shelf.current(context.disliked)
        hidden[away[away != GONE]] = True
        facts = facts_of(request, context, self.shelf.base, rules)
        bound = self.merchandise.bound(rules.plan(facts))
        return hidden if bound.hidden is None else hidden | bound.hidden

    def _done(self, request: Request) -> Ints:
        """What this shopper did: rows of the snapshot."""
        return self.shoppers.history(request.user, request.session, self.shelf.base).items

    def _lost(self, work: Worked, request: Request) -> tuple[str, ...]:
        """What is missing on this page, and the rung that it stands on; nothing where nothing broke."""
        lost = losses()
        if lost is None or not lost.named:
            return ()
        rung = stands_on(request, work.place, work.asked.context, self.learned.sources, lost)
        return (*lost.notes, told(rung, lost))

    def _column(self, name: str, context: Context, rows: Ints, known: Floats | None) -> Floats:
        """One source's scores; those that are known already are not asked for again."""
        if known is None:
            return self.pooling.scores(name, context, rows)
        missing = np.isnan(known)
        if not missing.any():
            return known
        out = known.copy()
        out[missing] = self.pooling.scores(name, context, rows[missing])
        return out

    def _ordered(self, request: Request, place: Place, rows: Ints) -> Ints:
        """Sorted as asked, what is sold out last, one row a variant group."""
        shelf = self.shelf
        if request.sort_by:
            rows = browse.ordered_by(shelf, rows, request.sort_by)
        else:
            rows = browse.ordered(rows, request.sort, shelf.price, shelf.created)
        if place.sold_out:
            rows = rows[np.argsort(~shelf.available[rows], kind="stable")]
        return browse.collapsed(rows, shelf.group) if shelf.has_variants else rows

    def _tried(self, request: Request, work: Worked, trials: Trials) -> Tried | None:
        """The list with what is tried out on this page; None where nothing may be."""
        if self._exploring is None:
            shown = self.mixing.shown
            fame, category = lambda: self.pooling.prior, lambda: shown.category
            self._exploring = Exploring(self.shelf, trials, self.settings.explore, fame, category)
        pins = np.asarray([row for row, _, _ in work.bound.pins], np.int32)
        return self._exploring.tried(request, Ordered(work.rows, work.ranked, pins, work.asked.context))

    def hits(self, request: Request, work: Worked) -> tuple[Hit, ...]:
        """What a worked request shows, with reasons; nothing is tried out and nothing remembered."""
        return self._hits(request, work)

    def _hits(self, request: Request, work: Worked, tried: Tried | None = None) -> tuple[Hit, ...]:
        """The rows of one page as hits with their reasons."""
        context, ranked = work.asked.context, work.ranked
        rows = (tried.rows if tried else work.rows)[request.offset : request.offset + request.k]
        places = _places(rows, ranked.items)
        inside = places >= 0
        shares = np.zeros((len(rows), len(ranked.sources)), np.float32)
        stage = self.stage(work.place)
        shares[inside] = self.health.ask(
            "reasons", lambda: stage.shares(context, ranked, places[inside]), lambda: shares[inside]
        )
        score = np.zeros(len(rows), np.float32)
        score[inside] = ranked.score[places[inside]]
        scores = np.full(shares.shape, np.nan, np.float32)
        scores[inside] = ranked.scores[places[inside]]
        told = (places, shares, scores)
        why, parts = self.health.ask("reasons", lambda: self._reasons(request, work, rows, told), lambda: _mute(rows))
        if self.kinds is not None:
            why = self.kinds.explained(rows, why, work.lifted, context.language)
        if tried is not None:
            why = tried.explained(rows, why, context.language)
        values = [round(value, 6) for value in score.tolist()]
        shown = zip(self.shelf.shown(rows), values, why, parts, strict=True)
        return tuple(
            Hit(
                id=name,
                position=position,
                score=value,
                document=msgspec.Raw(document),
                why=reasons,
                contributions=added,
            )
            for position, ((name, document), value, reasons, added) in enumerate(shown, request.offset)
        )

    def _reasons(
        self, request: Request, work: Worked, rows: Ints, told: tuple[Longs, Floats, Floats]
    ) -> tuple[Sequence[tuple[Reason, ...]], Sequence[tuple[Contribution, ...]]]:
        """Reasons and contributions of the hits; `told`: their places in the ranked head, shares and scores."""
        if failpoints.ON:
            failpoints.reach("answer.explain")
        context, ranked, (places, shares, scores) = work.asked.context, work.ranked, told
        why = self._explainer.why(context, rows, ranked.sources, shares, scores)
        parts = accounted(self.stage(work.place), context, ranked, places) if request.explain else [()] * len(rows)
        if request.explain and work.moved is not None:
            parts = work.moved.told(parts, _places(rows, work.moved.ranked.items))
        return work.bound.explained(rows, why, context.language, request.sort), parts

    def _facets(self, request: Request, found: Pool, chosen: browse.Narrowing) -> tuple[Facet, ...]:
        """Counts over everything that was found (not only the page); a facet's own filter does not narrow it, unless
        the request says so."""
        if not request.facets:
            return ()
        rows = found.rows
        kept = rows[chosen.all[rows]] if request.narrowed else rows
        return browse.facets(self.shelf, kept, request.facets, chosen, request.facet_query)


def _ordered(stage: Fusion | OnShelf, context: Context, head: Candidates) -> Candidates:
    """What a stage makes of the head. Raises Nonsense where that is no order of it."""
    ranked = stage.rank(context, head)
    if failpoints.ON and failpoints.reach("answer.rank"):
        ranked = Candidates(ranked.items, ranked.scores, np.full(len(ranked), np.nan, np.float32), ranked.sources)
    if len(ranked) != len(head) or bool(np.isnan(ranked.score).any()):
        raise Nonsense(f"{len(ranked)} of {len(head)} candidates, some without a score")
    return ranked


def _places(rows: Ints, items: Ints) -> Longs:
    """Where each row stands among the items (which do not repeat), -1 where it does not: (len(rows),)."""
    if not len(items):
        return np.full(len(rows), -1, np.int64)
    order = np.argsort(items, kind="stable")
    at = order[np.minimum(np.searchsorted(items, rows, sorter=order), len(items) - 1)]
    return np.where(items[at] == rows, at, -1)


def _mute(rows: Ints) -> tuple[Sequence[tuple[Reason, ...]], Sequence[tuple[Contribution, ...]]]:
    """No reasons at all: `_reasons` of an explainer that fails."""
    return [()] * len(rows), [()] * len(rows)
