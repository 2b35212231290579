"""Clicks whose causes are known: who looks where, and what is wanted. Models must find both, clicks alone do not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from bodega.evaluation.judgments import Shown, ctr, kappa, pbm, sdbn, shown_in
from bodega.schema import EVENT_CODES, Log
from bodega.testing.world import WorldSpec, make_world

PLACES, ITEMS = 8, 12


def pages(rng: np.random.Generator, wanted: np.ndarray, looks: np.ndarray | None, n: int = 6_000) -> Shown:
    """Pages ordered by a ranking that is half wrong; read by place (`looks`), or from the top until satisfied."""
    rows = []
    for page in range(n):
        query = int(rng.integers(len(wanted)))
        belief = 0.5 * np.arange(ITEMS)[::-1] / ITEMS + 0.8 * rng.random(ITEMS)
        order = np.argsort(-belief)[:PLACES]
        reading = True
        for place, item in enumerate(order):
            likes = rng.random() < wanted[query, item]
            clicked = bool(likes and (reading if looks is None else rng.random() < looks[place]))
            if looks is None and clicked and rng.random() < 0.6:
                rows.append((page, query, item, place, True))
                reading = False
                continue
            rows.append((page, query, item, place, clicked))
    columns = list(zip(*rows, strict=True))
    page, query, item, place = (np.asarray(column, np.int32) for column in columns[:4])
    return Shown(page.astype(np.int64), query, item, place, np.asarray(columns[4], np.bool_))


def correlation(judged, wanted: np.ndarray) -> float:
    return float(spearmanr(judged.relevance, wanted[judged.query, judged.item]).statistic)


@pytest.fixture(scope="module")
def wanted() -> np.ndarray:
    """(queries, items); what the ranking puts first is wanted least: clicks alone mislead."""
    rng = np.random.default_rng(1)
    return np.clip(0.1 + 0.5 * np.arange(ITEMS) / ITEMS + 0.2 * rng.random((6, ITEMS)), 0, 1)


def test_the_position_based_model_finds_who_looks_where_and_what_is_wanted(wanted):
    looks = 1.0 / np.arange(1, PLACES + 1) ** 0.8
    shown = pages(np.random.default_rng(2), wanted, looks)
    found = pbm(shown)
    assert np.abs(found.examination - looks).max() < 0.06
    assert correlation(found.judged, wanted) > 0.9
    assert correlation(ctr(shown), wanted) < 0.8, "the check can fail: clicks alone follow the places"


def test_the_cascade_model_finds_what_is_wanted_by_people_who_stop(wanted):
    shown = pages(np.random.default_rng(3), wanted, None)
    assert correlation(sdbn(shown), wanted) > 0.9
    assert correlation(sdbn(shown), wanted) > correlation(ctr(shown), wanted) + 0.1


def test_one_click_is_no_proof():
    lonely = Shown(
        np.arange(101, dtype=np.int64), np.zeros(101, np.int32), np.asarray([*[0] * 100, 1], np.int32),
        np.zeros(101, np.int32), np.asarray([*[True, False] * 50, True]),
    )  # fmt: skip
    for judged in (pbm(lonely).judged, sdbn(lonely), ctr(lonely, prior=5.0)):
        assert judged.relevance[1] < 0.75
        assert judged.evidence[0] > 10 * judged.evidence[1]
    assert ctr(lonely).relevance[1] == 1.0


def test_nothing_shown_is_nothing_judged():
    none = Shown(np.zeros(0, np.int64), *(np.zeros(0, np.int32) for _ in range(3)), np.zeros(0, np.bool_))
    assert len(pbm(none).judged.relevance) == len(sdbn(none).relevance) == len(ctr(none).relevance) == 0
    assert len(ctr(none).grades()) == 0


def log_of(rows: list[tuple[str, int, int, int, int]]) -> Log:
    """(type, session, query, item, position)"""
    kind, session, query, item, position = zip(*rows, strict=True)
    n = len(rows)
    return Log(
        time=np.arange(n, dtype=np.float64), type=np.asarray([EVENT_CODES[each] for each in kind], np.int8),
        user=np.asarray(session, np.int32), session=np.asarray(session, np.int32), item=np.asarray(item, np.int32),
        quantity=np.ones(n, np.float32), value=np.full(n, np.nan, np.float32), query=np.asarray(query, np.int32),
        position=np.asarray(position, np.int32), n_users=9, n_sessions=9, queries=("tea", "mug"),
    )  # fmt: skip


def test_a_log_becomes_pages():
    shown = shown_in(
        log_of([
            ("impression", 1, 0, 5, 1), ("impression", 1, 0, 4, 0), ("impression", 1, 0, 4, 0), ("click", 1, 0, 5, 1),
            ("impression", 2, 0, 5, 0), ("impression", 1, 1, 5, 0), ("click", 2, 1, 7, 0), ("impression", 3, -1, 5, 0),
            ("click", 1, 1, 4, 0), ("impression", 2, 0, -1, 1),
        ])
    )  # fmt: skip
    rows = list(zip(shown.page, shown.query, shown.item, shown.place, shown.clicked, strict=True))
    assert rows == [(0, 0, 4, 0, False), (0, 0, 5, 1, True), (1, 1, 5, 0, False), (2, 0, 5, 0, False)]
    assert shown.last_click.tolist() == [1, 1, -1, -1]
    assert len(shown_in(log_of([("impression", 3, -1, 5, 0)]), searches=False)) == 1


def test_the_generated_shop_is_read_as_its_shoppers_read_it():
    world = make_world(WorldSpec(n_items=120, n_shoppers=200, days=60))
    found = pbm(shown_in(world.log, searches=False))
    truth = np.asarray(world.truth.examination[: len(found.examination)])
    assert np.abs(found.examination - truth / truth[0]).max() < 0.12


def test_agreement_is_cohens():
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    rng = np.random.default_rng(4)
    one = rng.integers(0, 4, 300)
    other = np.where(rng.random(300) < 0.7, one, rng.integers(0, 4, 300))
    found = kappa(one, other, np.random.default_rng(0))
    assert found.kappa == pytest.approx(sklearn.cohen_kappa_score(one, other, weights="quadratic"))
    assert found.low < found.kappa < found.high
    assert kappa(one, one, np.random.default_rng(0)).kappa == 1
    assert abs(kappa(one, rng.integers(0, 4, 300), np.random.default_rng(0)).kappa) < 0.2
    assert kappa(one[:1], one[:1], np.random.default_rng(0)).n == 1
