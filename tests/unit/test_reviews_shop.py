"""A shop with reviews, from the file to the page: one small shop that has learned is shared by the tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import bodega
from bodega.engine.reviews import Trust
from bodega.engine.shop import Shop
from bodega.schema import Event, EventType, Filter, Item, Request, Review

START = datetime(2026, 1, 5, tzinfo=UTC)
GOOD = ("Soft fabric, great.", "Looks beautiful.", "So comfortable!")
BAD = ("Zipper broke.", "The seams tear.", "Terrible smell.")


def written(n: int, item: str, stars: float, text: str) -> Review:
    return Review(
        id=f"{item}-{n}", item=item, user=f"u{n}", stars=stars, text=text, time=START + timedelta(days=n), helpful=n % 3
    )


def reviews() -> list[Review]:
    out = []
    for n in range(24):
        out.append(written(n, "tent", 5 if n % 6 else 2, f"{GOOD[n % 3] if n % 6 else BAD[n % 3]} Day {n}."))
        if n % 2:
            out.append(written(n, "stove", 1 if n % 4 else 4, f"{BAD[n % 3] if n % 4 else GOOD[n % 3]} Take {n}."))
    out.append(written(90, "tent", 5, "Cheaper at www.better-tents.com, write to me there."))
    return out


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with bodega.open(tmp_path_factory.mktemp("reviews") / "shop") as opened:
        names = ("tent", "stove", "lamp", "axe")
        opened.catalog.upsert([Item(id=name, title=f"Camping {name}", price=10.0) for name in names])
        events = [
            Event(
                id=f"e{n}",
                type=EventType.PURCHASE,
                time=START + timedelta(hours=n),
                user=f"u{n % 9}",
                item=names[n % 4],
            )
            for n in range(60)
        ]
        opened.events.record(events)
        opened.reviews.record(reviews())
        assert opened.learn().published
        yield opened


def test_the_page_of_a_product_says_what_its_reviews_say(shop):
    page = shop.reviews.page("tent", k=5)
    assert page.stats.count == 24  # the advertisement is not among them
    assert page.stats.flagged == 1
    assert page.stats.histogram == (0, 4, 0, 0, 20)
    assert len(page.reviews) == 5
    assert page.total == 24
    assert page.sentiment is not None
    assert page.sentiment > 0.2
    assert {"quality", "look", "comfort"} <= {aspect.aspect for aspect in page.aspects}
    words = {review.words for review in reviews()}
    assert page.summary
    for quote in (*page.summary, *(quote for aspect in page.aspects for quote in aspect.quotes)):
        assert any(quote.text in text for text in words)
    sides = {quote.polarity > 0 for quote in page.summary}
    assert sides == {True, False}


def test_nobodys_name_stands_on_a_page(shop):
    text = str(shop.reviews.page("tent", k=100))
    assert "u1" not in text.replace("review='tent-", "")
    assert "user" not in text


def test_an_item_without_reviews_has_an_empty_page(shop):
    page = shop.reviews.page("lamp")
    assert (page.stats.count, page.rating, page.total, page.reviews, page.summary) == (0, None, 0, (), ())


def test_lists_are_filtered_and_sorted_by_what_reviews_say(shop):
    sorted_page = shop.answer(Request(place="category", sort_by="-rating"))
    assert sorted_page.ids[:2] == ["tent", "stove"]
    assert set(sorted_page.ids[2:]) == {"lamp", "axe"}
    good = shop.answer(Request(place="category", filters=(Filter(field="rating", low=3.5),)))
    assert good.ids == ["tent"]
    page = shop.reviews.page("tent")
    held = shop.engine.shelf.base.numbers["rating"]
    assert page.rating == pytest.approx(float(held[shop.engine.shelf.base.index["tent"]]), abs=1e-3)
    assert page.rating < page.stats.mean  # drawn towards the shop's mean


def test_what_changed_since_keeps_its_rating_and_what_the_shop_says_wins(shop):
    shop.catalog.upsert([Item(id="tent", title="Camping tent, new photo", price=11.0)])
    shelf = shop.engine.shelf
    assert shelf.delta.numbers["rating"][0] == shelf.base.numbers["rating"][shelf.base.index["tent"]]
    shop.catalog.upsert([Item(id="tent", title="Camping tent", price=10.0, attributes={"rating": 1.5})])
    assert shop.engine.shelf.delta.numbers["rating"][0] == 1.5
    shop.catalog.upsert([Item(id="tent", title="Camping tent", price=10.0)])


def test_a_hidden_review_is_quoted_no_more_before_any_learn(shop):
    quoted = shop.reviews.page("tent").summary[0].review
    shop.reviews.decide([quoted], "hide")
    page = shop.reviews.page("tent", k=100)
    told = [*page.summary, *(quote for aspect in page.aspects for quote in aspect.quotes)]
    assert quoted not in {quote.review for quote in told}
    assert quoted not in {review.id for review in page.reviews}
    shop.reviews.decide([quoted], "")
    assert shop.reviews.page("tent").summary[0].review == quoted


def test_a_stranger_is_believed_little(shop):
    told = Review(id="tent-2", item="tent", user="eve", stars=1, text="Mine now.", verified=True, helpful=99)
    assert shop.reviews.record([told], trust=Trust(full=False)).conflicts == ("tent-2",)
    own = Review(item="tent", user="u0", stars=4, text="Written on the page.", verified=False, helpful=50)
    shop.reviews.record([own], trust=Trust(full=False))
    kept = next(each for each in shop.stores.reviews.of_user(["u0"]) if each.review.text == own.text)
    assert kept.review.verified  # the log knows of the purchase
    assert kept.review.helpful == 0
    assert kept.review.time is not None
    shop.stores.reviews.delete([kept.review.id])


def test_learning_again_gives_the_same_bytes(shop):
    once, opinions = shop.learn().snapshot, shop.reviews.opinions
    assert shop.learn().snapshot == once
    assert shop.reviews.opinions.documents.blob.tobytes() == opinions.documents.blob.tobytes()


def test_a_shop_without_reviews_learns_nothing_of_them(small_shop):
    snapshot = small_shop._snapshots.open()[0]
    assert not (snapshot / "reviews").exists()
    assert "reviews" not in small_shop.snapshots()[-1].facts
    assert "rating" not in small_shop.engine.shelf.base.numbers
    assert small_shop.reviews.page("any").stats.count == 0


def test_features_know_only_what_was_there_before_the_moment(shop):
    from bodega.features import Asked, State, every, table, widths
    from bodega.schema import Candidates, Context, Ratings, World
    from bodega.understanding.reviews.analysis import analyse

    items = shop.engine.shelf.base
    log = bodega.events.build_log(shop.stores.events.scan(), items, shop.settings.ingest)[0]
    all_reviews = analyse(shop.stores.reviews.scan, items.index).ratings
    rows = np.arange(len(items), dtype=np.int32)
    for days in (0, 3, 9, 200):
        now = (START + timedelta(days=days, seconds=-1)).timestamp()
        known = [kept for kept in shop.stores.reviews.scan() if kept.arrived < now]
        then = analyse(lambda known=known: known, items.index).ratings
        found = []
        for ratings in (all_reviews, then):
            state = State.fit(World(items, log, now, ratings))
            nothing = np.zeros((len(rows), 1), np.float32)
            asked = Asked(Context(now=now), Candidates(rows, nothing, nothing[:, 0], ("none",)), state)
            features = every((), state)
            assert widths(features, ("none",))[0] == "reviews.stars"
            found.append(table(features, asked))
        np.testing.assert_allclose(found[0], found[1], atol=1e-6)
        assert np.isfinite(found[0]).all()
    assert isinstance(all_reviews, Ratings)


def test_who_is_forgotten_takes_reviews_and_quotes_along(tmp_path: Path):
    with bodega.open(tmp_path / "shop") as opened:
        opened.catalog.upsert([Item(id="tent", title="Tent"), Item(id="axe", title="Axe")])
        opened.reviews.record([written(n, "tent", 5, GOOD[n]) for n in range(3)])
        opened.learn()
        assert any(quote.review == "tent-1" for quote in opened.reviews.page("tent").summary)
        receipt = opened.erasures.forget("u1")
        assert receipt.removed["reviews"] == 1
        page = opened.reviews.page("tent")
        assert page.stats.count == 2
        assert all(quote.review != "tent-1" for quote in page.summary)
        again = opened.reviews.record([written(1, "tent", 5, GOOD[1])])
        assert (again.added, again.withheld) == (0, 1)
        opened.learn()
        snapshot = opened._snapshots.open()[0]
        held = b"".join(path.read_bytes() for path in snapshot.rglob("*") if path.is_file())
        assert GOOD[1].encode() not in held


def test_who_agrees_to_nothing_writes_without_a_name(tmp_path: Path):
    from bodega.schema.people import Word

    with bodega.open(tmp_path / "shop") as opened:
        opened.catalog.upsert([Item(id="tent", title="Tent")])
        for purpose in ("personalisation", "learning"):
            opened.privacy.say([Word("user:ann", purpose, False, 1.0, "test")])
        opened.reviews.record([Review(item="tent", user="ann", stars=5, text="Dry.")])
        (kept,) = opened.stores.reviews.scan()
        assert "ann" not in kept.review.user.replace("anon-", "")
        lesson = opened.reviews.lesson()
        assert lesson is not None
        assert not lesson._learnable(kept.review.user)
