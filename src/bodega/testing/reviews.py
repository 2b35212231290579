"""A store of reviews in memory: the twin of the one in SQL, kept to the same checks. Not for: real shops."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC

import msgspec

from bodega.errors import BadRequest
from bodega.protocols import Written
from bodega.schema.reviews import KeptReview, Review, ReviewSort, ReviewStats, Verdict, named


class MemoryReviews:
    """Implements `protocols.ReviewStore`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, KeptReview] = {}
        self._given: dict[str, Review] = {}
        self._number = 0

    def upsert(self, reviews: Sequence[Review], *, own: bool = False, now: float | None = None) -> Written:
        moment = time.time() if now is None else now
        rows = {review.id: review for review in map(_checked, map(named, reviews))}
        added = changed = 0
        conflicts: list[str] = []
        with self._lock:
            for name, review in rows.items():
                held = self._held.get(name)
                if held is not None and self._given[name] == review:
                    continue
                if held is not None and own and held.review.user in {"", *({held.review.user} - {review.user})}:
                    conflicts.append(name)
                    continue
                added, changed = added + (held is None), changed + (held is not None)
                self._number += 1
                self._given[name] = review
                self._held[name] = _kept(review, held, self._number, moment)
        unchanged = len(reviews) - added - changed - len(conflicts)
        return Written(added=added, changed=changed, unchanged=unchanged, conflicts=tuple(conflicts))

    def get(self, ids: Sequence[str]) -> dict[str, KeptReview]:
        with self._lock:
            return {name: self._held[name] for name in ids if name in self._held}

    def delete(self, ids: Sequence[str]) -> int:
        with self._lock:
            gone = [name for name in dict.fromkeys(ids) if self._held.pop(name, None) is not None]
            self._number += len(gone)
            return len(gone)

    def remove(self, wanted: Callable[[KeptReview], bool]) -> int:
        """Take reviews out; how many that were."""
        return self.delete([kept.review.id for kept in self._all() if wanted(kept)])

    def page(
        self, item: str, *, sort: ReviewSort = "newest", stars: int = 0, limit: int = 10, offset: int = 0
    ) -> tuple[int, list[KeptReview]]:
        found = [kept for kept in self._all() if kept.shown and kept.review.item == item]
        found = [kept for kept in found if not stars or _bar(kept.review.stars) == stars]
        found.sort(key=lambda kept: kept.review.id)
        found.sort(key=lambda kept: kept.arrived, reverse=True)
        found.sort(key=_ORDERS[sort])
        return len(found), found[max(offset, 0) :][: max(limit, 0)]

    def stats(self, item: str) -> ReviewStats:
        mine = [kept for kept in self._all() if kept.review.item == item]
        stars = Counter(kept.review.stars for kept in mine if kept.shown)
        return ReviewStats.of(dict(stars), sum(not kept.shown for kept in mine))

    def scan(self) -> Iterator[KeptReview]:
        return iter(sorted(self._all(), key=lambda kept: (kept.review.item, kept.arrived, kept.review.id)))

    def texts(self) -> Iterator[tuple[str, str]]:
        return ((kept.review.item, kept.review.words) for kept in self.scan() if kept.shown and kept.review.words)

    def flagged(self, *, limit: int = 50, offset: int = 0) -> list[KeptReview]:
        found = [kept for kept in self._all() if kept.flags or kept.verdict]
        return sorted(found, key=lambda kept: (-kept.arrived, kept.review.id))[max(offset, 0) :][: max(limit, 0)]

    def flag(self, flags: Mapping[str, Sequence[str]]) -> int:
        return self._set({name: {"flags": tuple(sorted(set(reasons)))} for name, reasons in flags.items()})

    def decide(self, ids: Sequence[str], verdict: Verdict) -> int:
        return self._set({name: {"verdict": verdict} for name in ids})

    def of_user(self, users: Sequence[str]) -> list[KeptReview]:
        mine = [kept for kept in self._all() if kept.review.user and kept.review.user in users]
        return sorted(mine, key=lambda kept: (kept.arrived, kept.review.id))

    def count(self) -> int:
        return len(self._all())

    def cursor(self) -> int:
        with self._lock:
            return self._number

    def _all(self) -> list[KeptReview]:
        with self._lock:
            return list(self._held.values())

    def _set(self, wanted: Mapping[str, Mapping[str, object]]) -> int:
        count = 0
        with self._lock:
            for name, values in wanted.items():
                held = self._held.get(name)
                fresh = None if held is None else msgspec.structs.replace(held, **values)
                if fresh is not None and fresh != held:
                    self._held[name] = fresh
                    count += 1
            self._number += count
        return count


_ORDERS: Mapping[ReviewSort, Callable[[KeptReview], tuple[float, ...]]] = {
    "newest": lambda _: (),
    "helpful": lambda kept: (-kept.review.helpful, -kept.review.verified),
    "highest": lambda kept: (-(kept.review.stars or -1), -kept.review.helpful),
    "lowest": lambda kept: (99 if kept.review.stars is None else kept.review.stars, -kept.review.helpful),
}


def _bar(stars: float | None) -> int:
    return 0 if stars is None else min(5, max(1, int(stars + 0.5)))


def _checked(review: Review) -> Review:
    texts = (review.id, review.item, review.user, review.title, review.text, review.language)
    try:
        "".join(texts).encode()
        good = bool(review.item) and "\0" not in "".join(texts) and 0 <= review.helpful < 2**31
        good = good and (review.time is None or review.time.tzinfo is not None)
    except UnicodeEncodeError:
        good = False
    if not good:
        raise BadRequest("this review cannot be kept", where=f"review {review.id!r:.80}")
    when = None if review.time is None else review.time.astimezone(UTC)
    stars = None if review.stars is None or review.stars != review.stars else float(review.stars)
    return msgspec.structs.replace(review, time=when, stars=stars)


def _kept(review: Review, held: KeptReview | None, number: int, moment: float) -> KeptReview:
    if review.time is not None:
        moment = review.time.timestamp()
    elif held is not None:
        moment, review = held.arrived, msgspec.structs.replace(review, time=held.review.time)
    if held is None:
        return KeptReview(review=review, number=number, arrived=round(moment, 6))
    return KeptReview(review=review, number=held.number, arrived=round(moment, 6), verdict=held.verdict)
