"""Exposure, findability and reliability where the right answer is known on paper."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.catalog.findability import WEIGHTS, Findability, shop_score, worst_first
from bodega.evaluation.reliability import folds, reliability, wilson
from bodega.insight.exposure import (
    by_week,
    concentration,
    exposure_by,
    gini,
    popularity_deciles,
    quality_by,
    top_share,
)
from bodega.insight.shown_pages import pages_of, pages_shown
from bodega.protocols import EventRows
from bodega.schema import EVENT_CODES, Item
from bodega.schema.answers import Answered
from bodega.understanding.near_titles import Titled, near_titles

INDEX = {name: row for row, name in enumerate("abcd")}
MONDAY = 4 * 86_400.0
"""The first Monday since 1970."""


def events(*rows: tuple[float, str, str, str, str]) -> EventRows:
    """(time, type, user, session, item) as the store gives them."""
    time, kind, user, session, item = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    n = len(rows)
    return EventRows(
        time=np.array(time, np.float64),
        type=np.array([EVENT_CODES[name] for name in kind], np.int8),
        user=list(user),
        session=list(session),
        item=list(item),
        query=[""] * n,
        quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32),
        position=np.full(n, -1, np.int32),
    )


def answer(time: float, items: str, user: str = "u", **more: object) -> Answered:
    return Answered(request_id=f"{time}{user}", time=time, place="home", user=user, items=tuple(items), **more)


def test_attention_falls_with_the_place_as_written():
    pages = pages_of([answer(10.0, "ab"), answer(20.0, "ab", user="v")], [], INDEX)
    shares = {
        one.group: one for one in exposure_by(pages, np.array([0, 1, 1, -1]), ["x", "y"], np.random.default_rng(1))
    }
    second = 1 / np.log2(3)
    assert shares["x"].exposure == pytest.approx(1 / (1 + second), abs=1e-5)
    assert shares["y"].exposure == pytest.approx(second / (1 + second), abs=1e-5)
    assert shares["x"].low == pytest.approx(shares["x"].high, abs=1e-5), "everybody saw the same: nothing is unsure"
    assert (shares["x"].catalog, shares["y"].catalog, shares[""].items) == (0.25, 0.5, 1)
    assert shares[""].exposure == 0.0
    assert shares[""].high == 1.0, "two shoppers who did not see it prove nothing"


def test_a_choice_belongs_to_the_newest_page_that_held_the_item_and_to_none_after_half_an_hour():
    rows = events((15.0, "click", "u", "", "a"), (30.0, "purchase", "u", "", "b"), (9_000.0, "click", "u", "", "a"))
    pages = pages_of([answer(10.0, "ab"), answer(20.0, "ba")], [rows], INDEX)
    assert pages.chosen.tolist() == [True, False, True, False]
    assert pages.bought.tolist() == [False, False, True, False]
    other = pages_of([answer(10.0, "ab", user="w")], [rows], INDEX)
    assert not other.chosen.any(), "what somebody else chose is no choice of this page"


def test_views_stand_for_clicks_only_where_nobody_reports_any():
    seen = events((15.0, "view", "u", "", "a"))
    assert pages_of([answer(10.0, "ab")], [seen], INDEX).chosen.tolist() == [True, False]
    both = events((15.0, "view", "u", "", "a"), (16.0, "click", "u", "", "b"))
    assert pages_of([answer(10.0, "ab")], [both], INDEX).chosen.tolist() == [False, True]


def test_pages_made_of_impressions_are_those_of_the_log():
    shown = events(*((10.0, "impression", "u", "", name) for name in "ab"), (10.0, "impression", "", "s", "c"))
    made = pages_shown([shown], [], INDEX)
    assert made.of == "impressions"
    assert [made.item[low:high].tolist() for low, high in zip(made.starts, made.starts[1:], strict=False)] == [
        [0, 1],
        [2],
    ]
    assert made.known.tolist() == [True, False]


def test_new_is_who_was_not_seen_in_the_weeks_before():
    early = events((MONDAY, "view", "old", "", "d"))
    pages = pages_of([answer(MONDAY + 30 * 86_400, "ab", user=name) for name in ("old", "fresh")], [early], INDEX)
    groups = {one.group: one.pages for one in quality_by(pages, np.random.default_rng(1))}
    assert (groups["new"], groups["returning"], groups["all"]) == (1, 1, 2)


def test_quality_is_the_discounted_gain_of_what_was_chosen():
    rows = events((11.0, "click", "u", "", "b"))
    pages = pages_of([answer(10.0, "ab"), answer(10.0, "ab", user="v")], [rows], INDEX)
    everybody = quality_by(pages, np.random.default_rng(1))[0]
    assert (everybody.pages, everybody.shoppers, everybody.chosen) == (2, 2, 0.5)
    assert everybody.ndcg == pytest.approx(1 / np.log2(3), abs=1e-5)


def test_weeks_begin_on_monday():
    pages = pages_of([answer(MONDAY - 1, "ab"), answer(MONDAY, "ab")], [], INDEX)
    weeks = by_week(pages, np.array([0, 1, 1, -1]), ["x", "y"], 4)
    assert [(one.start, one.pages) for one in weeks] == [(MONDAY - 604_800.0, 1), (MONDAY, 1)]


def test_gini_and_the_top_of_known_shares():
    assert gini(np.ones(10)) == pytest.approx(0.0)
    assert gini(np.eye(10)[0]) == pytest.approx(0.9)
    assert top_share(np.arange(100.0)) == pytest.approx(99 / np.arange(100).sum())
    assert popularity_deciles(np.arange(20)).tolist() == [number // 2 for number in range(20)]
    pages = pages_of([answer(float(n), "abcd"[n % 4], user=f"u{n}") for n in range(400)], [], INDEX)
    even = concentration(pages, 4, np.random.default_rng(1))
    assert even.gini == pytest.approx(0.0, abs=1e-5)
    assert even.low <= even.gini <= even.high + 1e-5
    assert even.never == 0.0


def test_the_interval_of_a_share_holds_the_truth_about_nineteen_times_of_twenty():
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        shown = [answer(float(n), "ab" if rng.random() < 0.5 else "ba", user=f"u{n}") for n in range(80)]
        found = {one.group: one for one in exposure_by(pages_of(shown, [], INDEX), np.array([0, 1, 2, 3]), "abcd", rng)}
        held += found["a"].low <= 0.5 <= found["a"].high
    assert 50 <= held <= 60


def test_a_score_is_what_the_weights_say():
    full = Item(
        id="1", title="Trail running shoe", category=("Shoes", "Trail"), price=89.0, images=("a.jpg",),
        description="A light shoe for rough ground, with a plate against stones.",
    )  # fmt: skip
    bare = Item(id="2")
    scoring = Findability()
    for each in (full, bare):
        scoring.saw(each)
    scoring.tell_found({0: 3})
    first, second = scoring.close()
    assert first.score == 100.0
    assert second.score == 0.0
    assert "attributes" not in first.parts, "two items have no common columns"
    assert [one.id for one in worst_first([first, second])] == ["2", "1"]
    whole = shop_score([first, second])
    known = sum(weight for name, weight in WEIGHTS.items() if name in whole.parts)
    lost = sum(weight / 2 for name, weight in WEIGHTS.items() if name in whole.parts and name not in ("found", "words"))
    assert whole.score == pytest.approx(100 - 100 * lost / known, abs=0.01)
    assert whole.known["found"] == 1


def test_twins_are_told_by_their_words_and_never_by_their_sizes():
    titles = [
        "Blue Cotton Shirt Slim Fit 38",
        "Slim Fit Blue Cotton Shirt 38",
        "Blue Cotton Shirt Slim Fit 39",
        "Red Wine",
    ]
    items = [Titled.of(Item(id=str(n), title=title)) for n, title in enumerate(titles)]
    groups = near_titles(items)
    assert [[one.id for one in group.members] for group in groups] == [["0", "1"]]
    same = [Titled.of(Item(id=str(n), title="Blue Cotton Shirt", group="g")) for n in range(3)]
    assert near_titles(same) == [], "variants of one group are no twins"


def test_all_pairs_are_found_that_comparing_everything_finds():
    rng = np.random.default_rng(5)
    words = [f"w{number}x" for number in range(30)]
    rows = [frozenset(rng.choice(words, 6, replace=False)) for _ in range(200)]
    rows += [row - {next(iter(sorted(row)))} for row in rows[:40]]
    items = [Titled(str(n), "", f"f{n}", row, frozenset(), None) for n, row in enumerate(rows)]
    joined = {one.id for group in near_titles(items) for one in group.members}
    plain = {
        str(n) for one, row in enumerate(rows) for other, more in enumerate(rows)
        if one < other and len(row & more) / len(row | more) >= 0.8 for n in (one, other)
    }  # fmt: skip
    assert joined == plain
    assert len(plain) >= 80


def test_chances_that_are_kept_are_calibrated_and_doubled_ones_are_not():
    rng = np.random.default_rng(3)
    chance = rng.beta(1, 8, 6_000)
    happened = rng.random(6_000) < chance
    case = np.repeat(np.arange(600), 10)
    good = reliability(chance, happened, case, rng)
    bad = reliability(np.minimum(2 * chance, 1.0), happened, case, rng)
    assert good.error < 0.02 < 0.08 < bad.error
    assert sum(one.low <= one.promised <= one.high for one in good.bins) >= len(good.bins) - 2
    assert sum(one.rows for one in good.bins) == good.rows == 6_000
    assert bad.low > good.high


def test_wilson_is_that_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    for taken, rows in ((0, 10), (5, 100), (77, 80)):
        told = stats.binomtest(taken, rows).proportion_ci(method="wilson")
        assert wilson(taken, rows) == pytest.approx((told.low, told.high), abs=1e-6)


def test_nobody_is_in_both_halves():
    owners = [1, 1, 2, 2, 3, -1, -1]
    half = folds(owners, np.random.default_rng(1))
    assert half[0] == half[1]
    assert half[2] == half[3]
