"""What was written of an item, and what is counted of it.

`Review` crosses the border; `KeptReview` is one as a store holds it, with what was found wrong with it and what the
merchant decided. `Ratings` are the columns that features compute with: every shown review, by item and time, as running
sums, so that "what was known at that moment" is one search. Not for: what reviews say (`understanding.reviews`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Final, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

MOST_STARS: Final = 5.0
Verdict = Literal["", "keep", "hide"]
"""What the merchant decided: nothing yet, show it whatever the flags say, never show it."""

ReviewSort = Literal["newest", "helpful", "highest", "lowest"]
REVIEW_SORTS: tuple[ReviewSort, ...] = ("newest", "helpful", "highest", "lowest")


class Review(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What somebody wrote of an item: `stars` from 1 to 5 (or none), a title, a text; at least one of them.

    `user` is pseudonymous like that of an event; `verified` says that the shop knows of the purchase, `helpful` counts
    the readers whom it helped. Without an id, the id is the digest of item, user, title and text.

    >>> Review(item="tent", stars=4, text="Dry after a night of rain.").stars
    4
    """

    item: str
    id: str = ""
    user: str = ""
    stars: float | None = None
    title: str = ""
    text: str = ""
    language: str = ""
    time: datetime | None = None
    verified: bool = False
    helpful: int = 0

    @property
    def words(self) -> str:
        """Title and text together: what is analysed."""
        if not self.title or self.text.startswith(self.title):
            return self.text
        return f"{self.title}\n{self.text}" if self.text else self.title


class KeptReview(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A review as the store holds it."""

    review: Review
    """With its id; without a time where none was told."""
    number: int
    """Order of first arrival."""
    arrived: float
    """When it was written, or (where nobody said) stored: seconds since 1970."""
    flags: tuple[str, ...] = ()
    """Why it may be no honest review (see `understanding.reviews.spam`)."""
    verdict: Verdict = ""

    @property
    def shown(self) -> bool:
        """Does it count, and do shoppers see it?"""
        return self.verdict == "keep" or (not self.verdict and not self.flags)


class ReviewStats(msgspec.Struct, frozen=True, kw_only=True):
    """The reviews of one item in numbers; flagged ones are in `flagged` and nowhere else."""

    count: int = 0
    """Reviews that are shown."""
    rated: int = 0
    """Those with stars."""
    mean: float | None = None
    """Mean of the stars, none without any."""
    histogram: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    """Reviews of 1, 2, 3, 4 and 5 stars (rounded)."""
    flagged: int = 0

    @classmethod
    def of(cls, stars: dict[float | None, int], flagged: int) -> Self:
        """From {stars: shown reviews} and how many are not shown."""
        bars, total = [0] * 5, 0.0
        for value, count in stars.items():
            if value is not None:
                bars[min(5, max(1, int(value + 0.5))) - 1] += count
                total += value * count
        rated = sum(bars)
        one, two, three, four, five = bars
        return cls(
            count=sum(stars.values()),
            rated=rated,
            mean=round(total / rated, 4) if rated else None,
            histogram=(one, two, three, four, five),
            flagged=flagged,
        )


SUMS: Final = ("rated", "stars", "told", "sentiment", "judged", "quality")
"""What is summed: reviews with stars, their stars, reviews with words, their sentiment (-1 to 1), reviews that speak of
quality, and how (-1 to 1)."""


def named(review: Review) -> Review:
    """The review with an id: the digest of its content where it brings none."""
    if review.id:
        return review
    content = "\0".join((review.item, review.user, review.title, review.text))
    if not (review.title or review.text):  # stars alone: another day, another review
        content += f"\0{review.stars}\0{review.time.isoformat() if review.time else ''}"
    digest = blake2b(content.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    return msgspec.structs.replace(review, id=f"r-{digest}")


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """Every shown review of n items as running sums. m reviews; equal reviews give equal bytes."""

    starts: NDArray[np.int64]
    """(n + 1,): item i has the rows `starts[i]:starts[i+1]`, oldest first."""
    time: NDArray[np.float64]
    """(m,) seconds since 1970."""
    sums: NDArray[np.float64]
    """(m + 1, 6): `SUMS` over all rows before this one."""
    order: NDArray[np.float64]
    """(m,) all times, sorted."""
    whole: NDArray[np.float64]
    """(m + 1, 6): the same sums over all items, in the order of time."""

    @classmethod
    def of(cls, items: NDArray[np.int32], time: NDArray[np.float64], values: NDArray[np.float64], n_items: int) -> Self:
        """From one row a review: item index (unknown ones left out before), time, `SUMS` (m, 6)."""
        order = np.lexsort((*values.T, time, items))
        items, time, values = items[order], time[order], values[order]
        starts = np.searchsorted(items, np.arange(n_items + 1)).astype(np.int64)
        by_time = np.argsort(time, kind="stable")
        return cls(starts, time, _running(values), time[by_time], _running(values[by_time]))

    def __len__(self) -> int:
        return len(self.time)

    def until(self, items: NDArray[np.int32], now: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """((k, 6) sums, (k,) time of the newest review or -inf) of these items, by reviews strictly before `now`."""
        known = (items >= 0) & (items < len(self.starts) - 1)
        row = np.where(known, items, 0)
        first, last = self.starts[row], self.starts[row + 1]
        low, high = first.copy(), last.copy()
        while (open_ := low < high).any():  # all binary searches at once: log2 of the longest list
            middle = (low + high) // 2
            before = self.time[np.minimum(middle, len(self.time) - 1)] < now
            low = np.where(open_ & before, middle + 1, low)
            high = np.where(open_ & ~before, middle, high)
        upto = np.where(known, low, first)
        newest = np.where(upto > first, self.time[np.maximum(upto - 1, 0)] if len(self.time) else -np.inf, -np.inf)
        return self.sums[upto] - self.sums[first], newest

    def overall(self, now: float) -> NDArray[np.float64]:
        """(6,): the sums over all items, by reviews strictly before `now`."""
        row: NDArray[np.float64] = self.whole[np.searchsorted(self.order, now, "left")]
        return row

    def save(self, folder: Path) -> None:
        """Into the (existing) folder."""
        for name in ("starts", "time", "sums", "order", "whole"):
            np.save(folder / f"{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Memory-map what `save` wrote."""
        from bodega.schema.table import mapped

        names = ("starts", "time", "sums", "order", "whole")
        return cls(*(mapped(folder / f"{name}.npy") for name in names))


def _running(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over all rows before each row, and over all."""
    return np.concatenate([np.zeros((1, len(SUMS))), np.cumsum(values, axis=0)])
