"""Every reason brings its evidence: past items with their titles, words with where they stand, scores that add up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

import bodega
from bodega import Event, EventType, Item, Request, Shop
from bodega.engine.explain import ACCOUNTED, TEXTS, accounted, contributions, told
from bodega.engine.places import PLACES
from bodega.ranking.fuse import Fusion
from bodega.schema import Boost, Candidates, Context, Rule, When
from bodega.schema.arrays import Floats, Ints

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Kettles and cups are bought together; one lamp says "brass" only in its description."""
    items = [
        Item(
            id=f"{kind}{n}",
            title=f"{kind.title()} number {n}",
            brand="Alba" if n % 2 else "Orto",
            category=("Kitchen", kind.title()),
            attributes={"finish": "matt copper" if n == 1 else "steel"},
            tags=("gift",) if n == 2 else (),
            description="A base of brass." if n == 3 else "",
            price=5.0 + n,
        )
        for kind in ("kettle", "cup", "lamp")
        for n in range(6)
    ]
    events = [
        Event(
            id=f"{shopper}-{week}-{item}",
            type=EventType.PURCHASE,
            time=NOW - timedelta(days=40 - 7 * week, minutes=shopper),
            user=f"u{shopper}",
            session=f"s{shopper}-{week}",
            item=item,
        )
        for shopper in range(60)
        for week in range(4)
        for item in (f"kettle{(shopper + week) % 6}", f"cup{(shopper + week) % 6}")
    ]
    with bodega.open(tmp_path_factory.mktemp("explain") / "shop") as made:
        made.catalog.upsert(items)
        made.events.record(events)
        assert made.learn().published
        yield made


def words(shop: Shop, query: str, item: str) -> dict[str, str]:
    """{word: field} of one hit."""
    hit = next(hit for hit in shop.search(query, k=20) if hit.id == item)
    lexical = next(reason for reason in hit.why if reason.source == "lexical")
    assert all(each.kind == "word" for each in lexical.evidence)
    return {each.text: each.field for each in lexical.evidence}


def test_each_word_is_named_with_the_field_it_stands_in(shop: Shop) -> None:
    assert words(shop, "copper kettle", "kettle1") == {"copper": "finish", "kettle": "title"}
    assert words(shop, "alba kettles", "kettle1") == {"alba": "brand", "kettles": "title"}
    assert words(shop, "kitchen lamp brass", "lamp3") == {
        "kitchen": "category",
        "lamp": "title",
        "brass": "description",
    }
    assert words(shop, "gift cup", "cup2") == {"gift": "tags", "cup": "title"}


def test_items_that_led_here_come_with_their_titles(shop: Shop) -> None:
    hit = shop.together("kettle3", k=3)[0]
    reason = next(each for each in hit.why if each.because)
    assert hit.id == "cup3"
    assert reason.because == ("kettle3",)
    assert [(each.kind, each.id, each.text) for each in reason.evidence] == [("item", "kettle3", "Kettle number 3")]
    assert "Kettle number 3" in reason.text


def test_every_reason_has_the_score_of_its_source(shop: Shop) -> None:
    for hit in shop.search("copper kettle", k=1):
        lexical = next(reason for reason in hit.why if reason.source == "lexical")
        assert lexical.value is not None
        assert lexical.value > 0
        assert sum(reason.share for reason in hit.why) == pytest.approx(1, abs=1e-3)


def test_words_that_all_hits_hold_are_told_with_no_share(shop: Shop) -> None:
    for hit in shop.search("kettle", k=5):
        lexical = next(reason for reason in hit.why if reason.source == "lexical")
        assert [(each.text, each.field) for each in lexical.evidence] == [("kettle", "title")]
        assert lexical.share == 0
        assert sum(reason.share for reason in hit.why) == pytest.approx(1, abs=1e-3)


def test_evidence_stays_when_a_rule_lifts_the_item(shop: Shop) -> None:
    shop.rules.put(
        Rule(id="lift", when=When(places=("*",)), then=(Boost(items=("kettle4",), factor=2.0),)), who="t", expected=None
    )
    try:
        hit = next(hit for hit in shop.search("kettle", k=20) if hit.id == "kettle4")
    finally:
        shop.rules.delete("lift", who="t", expected=None)
    assert any(each.text == "kettle" for reason in hit.why for each in reason.evidence)


def test_contributions_are_told_when_asked_and_add_up_to_the_score(shop: Shop) -> None:
    plain = shop.answer(Request(place="search", query="kettle", k=5))
    assert all(hit.contributions == () for hit in plain)
    asked = shop.answer(Request(place="search", query="kettle", k=5, explain=True))
    assert asked.ids == plain.ids
    for hit in asked:
        assert sum(each.value for each in hit.contributions) == pytest.approx(hit.score, abs=1e-3)
        assert sum(each.share for each in hit.contributions) == pytest.approx(1, abs=1e-3)
        assert all(each.exact for each in hit.contributions)
        sizes = [abs(each.value) for each in hit.contributions]
        assert sizes == sorted(sizes, reverse=True)


class Network:
    """A ranker of two features that can only estimate, and serves home alone."""

    class recipe:  # noqa: N801
        columns = ("popularity", "price")
        fusion = Fusion({"home": {"popular": 1.0}})

    class model:  # noqa: N801
        exact = False

    def serves(self, candidates: Candidates) -> bool:
        return candidates.sources == ("popular",)

    def contributions(self, context: Context, candidates: Candidates, rows: Ints | None = None) -> Floats:
        assert rows is not None
        return np.column_stack([np.full(len(rows), -2.0), candidates.items[rows]]).astype(np.float32)


def listed(*sources: str) -> Candidates:
    scores = np.ones((30, len(sources)), np.float32) * np.arange(30, dtype=np.float32)[:, None]
    return Candidates(np.arange(30, dtype=np.int32), scores, scores[:, 0], sources)


def test_a_network_is_labelled_as_an_estimate() -> None:
    (told_of,) = accounted(Network(), Context(), listed("popular"), np.array([6], np.int64))
    assert [(each.name, each.value, each.exact) for each in told_of] == [
        ("price", 6.0, False),
        ("popularity", -2.0, False),
    ]
    assert [each.share for each in told_of] == [0.75, 0.25]


def test_a_ranker_that_cannot_serve_is_a_sum_of_sources() -> None:
    names, values, exact = contributions(Network(), Context(), listed("popular", "recent"), np.array([29], np.int32))
    assert (names, exact) == (("popular", "recent"), True)
    assert values[0, 0] > 0


def test_what_was_not_ranked_closely_and_later_hits_are_not_accounted_for() -> None:
    places = np.array([-1, *range(29)], np.int64)
    found = accounted(Network(), Context(), listed("popular"), places)
    assert [bool(each) for each in found] == [False, *[True] * ACCOUNTED, *[False] * (29 - ACCOUNTED)]
    assert accounted(Network(), Context(), listed("popular"), np.array([-1], np.int64)) == [()]


def test_features_that_add_nothing_are_left_out() -> None:
    assert told(("a", "b"), np.zeros(2, np.float32), exact=True) == ()
    assert [each.name for each in told(("a", "b"), np.array([0, -1], np.float32), exact=True)] == ["b"]


def test_every_source_of_every_place_has_a_sentence_in_both_languages() -> None:
    used = {name for place in PLACES.values() for name in place.sources}
    for language, texts in TEXTS.items():
        assert used <= set(texts), f"{language}: {used - set(texts)}"
    assert set(TEXTS["en"]) == set(TEXTS["zh"])
