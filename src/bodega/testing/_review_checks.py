"""The promises of a store of reviews, one function each; `checks.check_review_store` runs them all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bodega.errors import BadRequest
from bodega.protocols import ReviewStore
from bodega.schema.reviews import REVIEW_SORTS, Review, ReviewStats
from bodega.testing._broken import ContractBroken, require

START = datetime(2026, 3, 1, 9, tzinfo=UTC)


def review(number: int, **told: Any) -> Review:
    """One of a row of reviews, a day apart."""
    plain = Review(id=f"r{number}", item="tent", user=f"u{number}", stars=float(1 + number % 5), text=f"很好 {number}")
    return msgspec.structs.replace(plain, **{"time": START + timedelta(days=number)} | told)


def keeps_what_was_written(store: ReviewStore) -> None:
    require(store.count() == 0 and store.cursor() == 0 and store.get(["r1"]) == {}, "an empty store holds something")
    told = review(1, title="防水", language="zh", verified=True, helpful=3)
    written = store.upsert([told, review(2)])
    require((written.added, written.changed, written.unchanged) == (2, 0, 0), "two new reviews count as two")
    kept = store.get(["r1", "none"])
    require(set(kept) == {"r1"} and kept["r1"].review == told, "a review comes back as it was written")
    require(kept["r1"].shown and kept["r1"].flags == (), "a new review is shown")
    require(store.count() == 2, "count is of reviews")


def counts_once(store: ReviewStore) -> None:
    store.upsert([review(1)])
    seen = store.cursor()
    again = store.upsert([review(1)])
    require((again.added, again.unchanged) == (0, 1) and store.cursor() == seen, "the same again changes nothing")
    changed = store.upsert([review(1, text="after a year: torn", helpful=2)])
    require(changed.changed == 1 and store.cursor() > seen, "a review may be rewritten")
    held = store.get(["r1"])["r1"]
    require(held.review.text.startswith("after"), "the newest text counts")
    require(held.number == 1, "a rewritten review keeps its place in the order of arrival")


def keeps_others_reviews(store: ReviewStore) -> None:
    store.upsert([review(1), review(2, user="")])
    taken = store.upsert([review(1, user="eve", text="x"), review(2, user="eve", text="x")], own=True)
    require(set(taken.conflicts) == {"r1", "r2"}, "somebody else may not write over a review")
    mine = store.upsert([review(1, text="better now")], own=True)
    require(mine.changed == 1, "who wrote a review may rewrite it")


def names_the_nameless(store: ReviewStore) -> None:
    plain = Review(item="tent", user="ann", text="Dry.")
    store.upsert([plain], now=1_000_000_000.0)
    again = store.upsert([plain], now=2_000_000_000.0)
    require(again.unchanged == 1, "a review without an id and a time is the same the next day")
    kept = store.of_user(["ann"])[0]
    require(bool(kept.review.id) and kept.review.time is None, "it has an id of its own, and nobody invents its time")
    require(kept.arrived == 1_000_000_000.0, "it counts from when it came")
    store.upsert([Review(item="tent", user="bob", text="Dry.")])
    require(store.count() == 2, "the same words of somebody else are another review")


def pages(store: ReviewStore) -> None:
    store.upsert([review(n, helpful=n % 4, stars=None if n == 7 else float(1 + n % 5)) for n in range(1, 24)])
    store.upsert([review(90, item="stove")])
    for sort in REVIEW_SORTS:
        total, whole = store.page("tent", sort=sort, limit=100)
        parts = [one for start in range(0, 23, 5) for one in store.page("tent", sort=sort, limit=5, offset=start)[1]]
        names = [kept.review.id for kept in whole]
        require(total == 23 and len(set(names)) == 23, f"a page sorted by {sort} has gaps or repeats")
        require([kept.review.id for kept in parts] == names, f"pages sorted by {sort} do not join")
    newest = store.page("tent", limit=2)[1]
    require([kept.review.id for kept in newest] == ["r23", "r22"], "the newest come first")
    stars = [kept.review.stars for kept in store.page("tent", sort="highest", limit=100)[1]]
    require(stars[0] == 5 and stars[-1] is None, "highest begins with most stars, and ends with none")
    stars = [kept.review.stars for kept in store.page("tent", sort="lowest", limit=100)[1]]
    require(stars[0] == 1 and stars[-1] is None, "lowest begins with the fewest stars, and ends with none")
    votes = [kept.review.helpful for kept in store.page("tent", sort="helpful", limit=100)[1]]
    require(votes == sorted(votes, reverse=True), "helpful begins with the most votes")
    total, four = store.page("tent", stars=4)
    require(total == len(four) and all(kept.review.stars == 4 for kept in four), "a page of four stars holds others")
    require(store.page("none") == (0, []), "an unknown item has no reviews")


def counts_what_is_shown(store: ReviewStore) -> None:
    store.upsert([review(1), review(2), review(3), review(4, stars=None), review(5, stars=4.5)])
    require(store.stats("none") == ReviewStats(), "an unknown item has nothing")
    plain = store.stats("tent")
    require((plain.count, plain.rated, plain.mean) == (5, 4, 3.375), "the mean is over those with stars")
    require(plain.histogram == (0, 1, 1, 1, 1), "4.5 stars are shown as five")
    require(store.flag({"r1": ["links", "caps"], "r2": []}) == 1, "flag counts what changed")
    require(store.get(["r1"])["r1"].flags == ("caps", "links"), "flags come back sorted")
    told = store.stats("tent")
    require((told.count, told.flagged, told.histogram[1]) == (4, 1, 0), "a flagged review is in no count")
    require(store.page("tent")[0] == 4, "a flagged review is on no page")
    require("r1" not in {text for text, _ in store.texts()} and len(list(store.texts())) == 4, "nor among the texts")
    store.decide(["r1"], "keep")
    require(store.stats("tent").count == 5, "the merchant's word is stronger than a flag")
    store.decide(["r3"], "hide")
    require(store.stats("tent").count == 4, "what the merchant hides is hidden")
    require({kept.review.id for kept in store.flagged()} == {"r1", "r3"}, "flagged lists flags and verdicts")
    require(store.decide(["r3"], "hide") == 0, "the same word again changes nothing")


def streams_by_item(store: ReviewStore) -> None:
    store.upsert([review(3), review(1), review(2, item="axe"), review(4, item="axe", title="Sharp", text="")])
    found = [kept.review.id for kept in store.scan()]
    require(found == ["r2", "r4", "r1", "r3"], "a scan goes by item, then by time")
    texts = list(store.texts())
    require(
        texts == [("axe", "很好 2"), ("axe", "Sharp"), ("tent", "很好 1"), ("tent", "很好 3")], "texts follow the scan"
    )


def removes(store: ReviewStore) -> None:
    store.upsert([review(1), review(2)])
    require(store.delete(["r1", "none"]) == 1 and store.count() == 1, "delete says how many were there")


def refuses_what_cannot_be_kept(store: ReviewStore) -> None:
    for bad in (review(1, item=""), review(1, text="a\0b"), review(1, helpful=-1), review(1, title="\ud800")):
        try:
            store.upsert([review(2), bad])
        except BadRequest:
            require(store.count() == 0, "nothing of a refused batch is kept")
        else:
            raise ContractBroken(f"a store took {bad!r:.80}")


REVIEW_CHECKS: tuple[Callable[[ReviewStore], None], ...] = (
    keeps_what_was_written,
    counts_once,
    keeps_others_reviews,
    names_the_nameless,
    pages,
    counts_what_is_shown,
    streams_by_item,
    removes,
    refuses_what_cannot_be_kept,
)
