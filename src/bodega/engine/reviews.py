"""`shop.reviews`: what shoppers write of items comes in, is counted at once, and is understood by the next learn.

    file, HTTP -> admitted     ids as they are kept; nothing of who was forgotten; nameless without consent
               -> stored       durable; counted and listed from then on, but for what its own words betray (`spam`)
    learn      -> analysed     sentiment, aspects, summary, copies and bursts; rating and features of the next snapshot
    page       <- both         counts and reviews from the store, what they say on the whole from the snapshot

A quote whose review was hidden, rewritten or forgotten since is left out of every answer, before any learn.
Cost: a page of an item .6 ms. Not for: analysing (`understanding.reviews`), nor keeping (`adapters`).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bodega.catalog.reviews import ReviewOptions, ReviewReader, import_reviews
from bodega.engine.intake import Feeding
from bodega.engine.privacy import Privacy
from bodega.engine.snapshot import MANIFEST, UNREADABLE, Manifest, Snapshots
from bodega.errors import BadRequest
from bodega.events.consent import NOBODY
from bodega.protocols import (
    CatalogStore,
    DeadLetterBox,
    EventStore,
    ImportReport,
    NoProgress,
    Progress,
    ReviewStore,
    Written,
)
from bodega.schema import DeadLetter, Event, EventType, ItemTable, Review
from bodega.schema.ratings import rated
from bodega.schema.reviews import KeptReview, Ratings, ReviewSort, ReviewStats, Verdict, named
from bodega.settings import Reviews as Chosen
from bodega.settings import Settings
from bodega.understanding.reviews.analysis import AnalysisOptions, Judges, Opinions, analyse
from bodega.understanding.reviews.sentiment import SentimentOptions
from bodega.understanding.reviews.spam import SpamOptions, mismatched, plain_flags
from bodega.understanding.reviews.told import AspectTold, ItemReviews, Quote

AS_IT_IS = Feeding()
FOLDER = "reviews"
"""Of a snapshot."""
BOUGHT = 1_000
"""Newest events of a shopper among which a purchase is looked for."""
_LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)
DAY = 86_400.0


class ShownReview(msgspec.Struct, frozen=True, kw_only=True):
    """A review as everybody may read it: without its writer."""

    id: str
    stars: float | None
    title: str
    text: str
    language: str
    time: datetime | None
    verified: bool
    helpful: int


class ReviewPage(msgspec.Struct, frozen=True, kw_only=True):
    """What a product's page shows: numbers, what reviews say on the whole, and some of them."""

    item: str
    stats: ReviewStats
    rating: float | None
    """The mean as it counts in lists: drawn to the shop's mean where there are few reviews; none without any."""
    sentiment: float | None
    """-1 (displeased) to 1 (pleased), of the texts; none before they were analysed."""
    origin: str
    """Who judged the texts: `learned` (from this shop's own stars) or `lexicon` (a list of words); "": not yet."""
    aspects: tuple[AspectTold, ...]
    summary: tuple[Quote, ...]
    total: int
    """Reviews that pass the filter."""
    reviews: tuple[ShownReview, ...]


class SuspectReview(msgspec.Struct, frozen=True, kw_only=True):
    """A review that a merchant is to look at."""

    id: str
    item: str
    flags: tuple[str, ...]
    verdict: str
    stars: float | None
    text: str
    time: datetime | None
    verified: bool


@dataclass(frozen=True, slots=True)
class Trust:
    """How far the sender of a batch is believed."""

    full: bool = True
    """May it say what was bought, how many were helped, and rewrite anybody's review?"""
    gpc: bool = False


class Stores(Protocol):
    """The stores that reviews have to do with."""

    @property
    def catalog(self) -> CatalogStore: ...
    @property
    def events(self) -> EventStore: ...
    @property
    def dead(self) -> DeadLetterBox: ...
    @property
    def reviews(self) -> ReviewStore: ...


class Reviews:
    """What shoppers wrote. Calls are safe from several threads."""

    def __init__(self, stores: Stores, privacy: Privacy, settings: Settings) -> None:
        self._stores = stores
        self._privacy = privacy
        self._settings = settings
        self.opinions: Opinions | None = None
        """What the served snapshot says of them; None before the first learn with reviews."""

    @property
    def store(self) -> ReviewStore:
        return self._stores.reviews

    # -- coming in ------------------------------------------------------------------------------------------------

    def add(
        self,
        source: Path | str | Iterable[Mapping[str, object]],
        *,
        how: Feeding = AS_IT_IS,
        progress: Progress | None = None,
    ) -> ImportReport:
        """Import a file (or rows); bad rows go to the dead letter box. Raises BadFeed, TooManyBadRows."""
        options = ReviewOptions(
            format=how.format,
            mapping=how.mapping or {},
            settings=self._settings,
            progress=progress or NoProgress(),
            mask=self._mask,
            bad_rows_limit=how.bad_rows_limit,
        )
        return import_reviews(Path(source) if isinstance(source, str) else source, self, self._stores.dead, options)

    def append(self, reviews: Sequence[Review]) -> Written:
        """Store what may be kept of a batch, as it was sent."""
        return self.record(reviews, trust=Trust())

    def reader(self) -> ReviewReader:
        """Reads rows that come over HTTP."""
        return ReviewReader(self._settings, mask=self._mask)

    def record(self, reviews: Sequence[Review], *, trust: Trust | None = None) -> Written:
        """Store reviews; durable when it returns. What was written by somebody who was forgotten since is `withheld`.

        Of a sender who is not fully trusted nothing is believed that only the shop can know: whether the item was
        bought is looked up, votes are none, and a review of somebody else is not written over (`conflicts`).
        """
        trust = trust or Trust()
        kept = self._admitted([named(self._masked(review)) for review in reviews], gpc=trust.gpc)
        now = time.time()
        if not trust.full:
            dated = [review if review.time else msgspec.structs.replace(review, time=_moment(now)) for review in kept]
            held = self.store.get([review.id for review in dated])
            kept = [self._believed(review, held.get(review.id)) for review in dated]
        written = self.store.upsert(kept, own=not trust.full, now=now)
        self._flag([review for review in kept if review.id not in set(written.conflicts)])
        return replace(written, withheld=len(reviews) - len(kept))

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep rows that could not be used."""
        if letters:
            self._stores.dead.put(letters)

    def _mask(self, name: str) -> str:
        return self._privacy.border.name("user", name)

    def _masked(self, review: Review) -> Review:
        user = review.user if review.user.startswith(NOBODY) else self._mask(review.user)
        return review if user == review.user else msgspec.structs.replace(review, user=user)

    def _admitted(self, reviews: Sequence[Review], *, gpc: bool) -> list[Review]:
        """Those that may be kept. A review is a statement made to the public: who agrees to nothing else has it kept
        without a name, and nothing is learned from it."""
        events = [_event(review, at) for at, review in enumerate(reviews)]
        alive = [event for event in events if not (event.user and self._privacy.is_buried(event))]
        spoken = [event for event in alive if event.user]
        told = {event.id for event in self._privacy.admitted(spoken, gpc=gpc) if event.user}
        out = []
        for event in alive:
            review = reviews[int(event.id)]
            if event.user and event.id not in told:
                nameless = f"{NOBODY}{named(msgspec.structs.replace(review, id='')).id[2:]}"
                review = msgspec.structs.replace(review, user=nameless)
            out.append(review)
        return out

    def _believed(self, review: Review, held: KeptReview | None) -> Review:
        votes = 0 if held is None else held.review.helpful
        bought = bool(held and held.review.verified) or self._bought(review.user, review.item)
        return msgspec.structs.replace(review, verified=bought, helpful=votes)

    def _bought(self, user: str, item: str) -> bool:
        if not user or user.startswith(NOBODY):
            return False
        events = self._stores.events.recent(user=user, session="", limit=BOUGHT)
        return any(event.type == EventType.PURCHASE and event.item == item for event in events)

    def _flag(self, reviews: Sequence[Review]) -> None:
        """What a review's own words betray is not shown for a moment; copies and bursts are found by the next learn."""
        judges = self.opinions.judges if self.opinions is not None else None
        options, flags = SpamOptions(), dict[str, set[str]]()
        told = judges.polarity([review.words for review in reviews]) if judges is not None and reviews else []
        for at, review in enumerate(reviews):
            found = plain_flags(review.words)
            if told and mismatched(review.stars, told[at], review.words, options) and _sure(judges, review.words):
                found.add("mismatch")
            if found:
                flags[review.id] = found
        if flags:
            self.store.flag({name: sorted(found) for name, found in flags.items()})

    # -- shown ----------------------------------------------------------------------------------------------------

    def page(
        self, item: str, *, sort: ReviewSort = "newest", stars: int = 0, k: int = 10, offset: int = 0
    ) -> ReviewPage:
        """What the page of a product shows; an item without reviews (or none at all) has an empty page."""
        stats = self.store.stats(item)
        total, held = self.store.page(item, sort=sort, stars=stars, limit=k, offset=offset)
        told = self.of(item)
        return ReviewPage(
            item=item,
            stats=stats,
            rating=self._rating(stats),
            sentiment=told.sentiment if told is not None and told.reviews else None,
            origin=told.origin if told is not None and told.reviews else "",
            aspects=told.aspects if told is not None else (),
            summary=told.summary if told is not None else (),
            total=total,
            reviews=tuple(_shown(kept.review) for kept in held),
        )

    def of(self, item: str) -> ItemReviews | None:
        """What the reviews of an item say on the whole, as the newest learn found it; None without any."""
        told = self.opinions.of(item) if self.opinions is not None else None
        if told is None:
            return None
        quotes = [*told.summary, *(quote for aspect in told.aspects for quote in aspect.quotes)]
        held = self.store.get(list({quote.review for quote in quotes}))
        fine = {quote for quote in quotes if _stands(quote, held.get(quote.review))}
        if len(fine) == len(set(quotes)):
            return told
        aspects = (
            msgspec.structs.replace(aspect, quotes=tuple(quote for quote in aspect.quotes if quote in fine))
            for aspect in told.aspects
        )
        summary = tuple(quote for quote in told.summary if quote in fine)
        return msgspec.structs.replace(told, aspects=tuple(aspects), summary=summary)

    def _rating(self, stats: ReviewStats) -> float | None:
        if stats.mean is None:
            return None
        mean = self.opinions.facts.mean if self.opinions is not None else None
        if mean is None:
            return round(stats.mean, 4)
        prior = self._settings.reviews.prior
        return round((stats.mean * stats.rated + mean * prior) / (stats.rated + prior), 4)

    def suspects(self, *, limit: int = 50, offset: int = 0) -> list[SuspectReview]:
        """What is flagged or was decided on, newest first."""
        return [
            SuspectReview(
                id=kept.review.id,
                item=kept.review.item,
                flags=kept.flags,
                verdict=kept.verdict,
                stars=kept.review.stars,
                text=kept.review.words,
                time=kept.review.time,
                verified=kept.review.verified,
            )
            for kept in self.store.flagged(limit=limit, offset=offset)
        ]

    def decide(self, ids: Sequence[str], verdict: Verdict) -> int:
        """What the merchant says: `keep` (whatever the flags say), `hide`, or "" (as the flags say).

        Counts at once; what the reviews say on the whole follows with the next learn. Raises BadRequest.
        """
        unknown = sorted(set(ids) - self.store.get(ids).keys())
        if unknown or verdict not in ("", "keep", "hide"):
            raise BadRequest(
                "there is no such review" if unknown else "this is no verdict",
                where="reviews",
                allowed="ids of `bodega reviews list`; keep, hide, or nothing",
                got=", ".join(unknown[:5]) or verdict,
                next="bodega reviews spam",
            )
        return self.store.decide(ids, verdict)

    def count(self) -> int:
        return self.store.count()

    # -- learning -------------------------------------------------------------------------------------------------

    def lesson(self) -> Lesson | None:
        """What a learn reads; None where there is nothing to read."""
        if self.store.count() == 0:
            return None

        @lru_cache(maxsize=100_000)
        def learnable(user: str) -> bool:
            if not user:
                return True
            if user.startswith(NOBODY):
                return False
            return bool(self._privacy.taught([_event(Review(item="-", user=user, text="-"), 0)]))

        return Lesson(self.store, self._settings.reviews, learnable)


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a learn found in the reviews."""

    items: ItemTable
    """The catalog, with ratings."""
    opinions: Opinions
    ratings: Ratings | None
    """For the features; None where rankers may not go by reviews."""
    changed: dict[str, tuple[str, ...]]
    """Flags that the store does not know yet."""


class Lesson:
    """Reads all reviews for one learn."""

    def __init__(self, store: ReviewStore, settings: Chosen, learnable: Any) -> None:
        self._store = store
        self._settings = settings
        self._learnable = learnable

    def read(self, items: ItemTable, snapshots: Snapshots) -> Learnt:
        """Analyse. What the snapshot before found of an item whose reviews are the same is taken over."""
        options = AnalysisOptions(
            sentiment=SentimentOptions(fewest=self._settings.labels), sentences=self._settings.summary
        )
        found = analyse(self._store.scan, items.index, options, learnable=self._learnable, before=_before(snapshots))
        was = {kept.review.id: kept.flags for kept in self._store.scan() if kept.flags or kept.review.id in found.flags}
        changed = {name: found.flags.get(name, ()) for name, flags in was.items() if flags != found.flags.get(name, ())}
        ratings = found.ratings if self._settings.ranking and len(found.ratings) else None
        return Learnt(rated(items, found.ratings, self._settings.prior), found.opinions, ratings, changed)

    def settle(self, learnt: Learnt) -> None:
        """Keep the flags that were found: from now on they are not shown."""
        if learnt.changed:
            self._store.flag(learnt.changed)


def load_opinions(folder: Path) -> Opinions | None:
    """What a snapshot says of reviews; None in one that was learned without any."""
    held = folder / FOLDER
    return Opinions.load(held) if held.is_dir() else None


def save_opinions(opinions: Opinions, folder: Path) -> None:
    (folder / FOLDER).mkdir()
    opinions.save(folder / FOLDER)


def _before(snapshots: Snapshots) -> Opinions | None:
    """What the snapshot before found, where all of it is as it was written."""
    name = snapshots.current()
    folder = snapshots.folder / name
    if not name or not (folder / FOLDER).is_dir():
        return None
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        for entry in manifest.files:
            if entry.path.startswith(f"{FOLDER}/"):
                held = hashlib.sha256((folder / entry.path).read_bytes()).hexdigest()
                if held != entry.sha256:
                    return None
        return Opinions.load(folder / FOLDER)
    except (OSError, *UNREADABLE):
        return None


def _event(review: Review, at: int) -> Event:
    """The review as something that happened, for those who know what may be kept of that."""
    return Event(
        id=str(at),
        type=EventType.RATING,
        time=review.time or _LONG_AGO,
        user=review.user,
        item=review.item,
        value=review.stars or 3.0,
    )


def _moment(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)


def _sure(judges: Judges | None, words: str) -> bool:
    from bodega.understanding.language import detect

    return judges is not None and judges.of[detect(words)].origin == "learned"


def _stands(quote: Quote, kept: KeptReview | None) -> bool:
    """Is the review of this quote shown, and does it still say so?"""
    return kept is not None and kept.shown and quote.text in kept.review.words


def _shown(review: Review) -> ShownReview:
    return ShownReview(
        id=review.id,
        stars=review.stars,
        title=review.title,
        text=review.text,
        language=review.language,
        time=review.time,
        verified=review.verified,
        helpful=review.helpful,
    )
