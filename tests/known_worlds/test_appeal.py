"""What is taken of what is shown, where chances are known: exposure is taken out, what is passed over counts."""

from __future__ import annotations

import numpy as np
import pytest

from bodega.evaluation import Case, CaseOptions, Window, place_cases
from bodega.evaluation.showings import showings
from bodega.ranking.fit import fit_weights
from bodega.retrieval.appeal import Appeal, AppealOptions
from bodega.retrieval.popular import Popular
from bodega.schema import EVENT_CODES, Candidates, Context, Item, ItemTable, Log, World

SHOWN, CLICK = EVENT_CODES["impression"], EVENT_CODES["click"]
ITEMS = ItemTable.of(
    [Item(id=f"{kind}{n}", title=kind, category=(kind,), brand=f"{kind} house") for kind in "ab" for n in range(4)]
)
A, B = slice(0, 4), slice(4, 8)


def log_of(rows: list[tuple[float, int, int, int, int, int]]) -> Log:
    """(time, event code, user, visit, item, place)."""
    time, code, user, visit, item, place = (np.array(column) for column in zip(*sorted(rows), strict=True))
    n = len(rows)
    return Log(
        time=time.astype(np.float64), type=code.astype(np.int8), user=user.astype(np.int32),
        session=visit.astype(np.int32), item=item.astype(np.int32), quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32), query=np.full(n, -1, np.int32), position=place.astype(np.int32),
        n_users=int(user.max()) + 1, n_sessions=int(visit.max()) + 1,
    )  # fmt: skip


def lived(shown: np.ndarray, chance: np.ndarray, rng: np.random.Generator, looks: tuple[float, ...] = (1.0,)) -> Log:
    """User u is shown item i on `shown[u, i]` visits and clicks with `chance[u, i]`, times the look at a place."""
    rows, visit = [], 0
    for (user, item), times in np.ndenumerate(shown):
        for _ in range(times):
            place = int(rng.integers(len(looks)))
            rows.append((float(visit), SHOWN, user, visit, item, place))
            if rng.random() < chance[user, item] * looks[place]:
                rows.append((visit + 0.5, CLICK, user, visit, item, place))
            visit += 1
    return log_of(rows)


def fitted(log: Log, **options: float) -> Appeal:
    return Appeal(AppealOptions(half_life_days=1e6, **options)).fit(World(ITEMS, log, 1e6))


def test_what_is_shown_more_often_is_not_wanted_more():
    rng = np.random.default_rng(1)
    shown, chance = np.full((40, 8), 5), np.full((40, 8), 0.3)
    shown[:, 0], chance[:, 1] = 50, 0.5
    log = lived(shown, chance, rng)
    source, popular = fitted(log), Popular().fit(World(ITEMS, log, 1e6))
    assert source.retrieve(Context(), 1).items.tolist() == [1]
    assert popular.retrieve(Context(), 1).items.tolist() == [0], "counts of clicks believe what was shown"
    assert source.level[0] == pytest.approx(0.3, rel=0.25)


def test_an_item_shown_to_those_who_like_its_kind_is_not_liked_for_it():
    rng = np.random.default_rng(2)
    chance = np.full((80, 8), 0.1)
    chance[:40, A] = 0.6
    shown = np.full((80, 8), 6)
    shown[40:, 0] = 0  # item 0 is shown to lovers of its kind only, items 1 to 3 to everybody
    source = fitted(lived(shown, chance, rng))
    clicks_a_look = 0.6 / np.mean([0.6, 0.1])
    assert source.level[0] / source.level[1:4].mean() < 0.6 * clicks_a_look


def test_places_are_taken_out():
    rng = np.random.default_rng(3)
    log = lived(np.full((40, 8), 20), np.full((40, 8), 0.4), rng, looks=(1.0, 0.25))
    source = fitted(log)
    assert source.level.mean() == pytest.approx(0.4, rel=0.15), "as if each had stood at the first place"
    assert source.look == pytest.approx(0.6, abs=0.15), "what was left was looked at less often"


def test_a_kind_that_a_shopper_passes_over_goes_down_and_what_nobody_saw_stands_with_its_kind():
    shown = np.full((40, 8), 6)
    shown[:, 3] = 0
    source = fitted(lived(shown, np.full((40, 8), 0.3), np.random.default_rng(4)))
    left = np.array([0, 1, 2] * 8, np.int32)
    tired = Context(now=10.0, shown=left, shown_times=np.full(len(left), 5.0))
    keen = Context(
        now=10.0,
        history=np.array([0, 1], np.int32),
        times=np.array([1.0, 4_000.0]),
        actions=np.full(2, CLICK, np.int8),
    )
    everything = np.arange(8, dtype=np.int32)
    nobody = source.score(Context(), everything)
    assert source.score(tired, everything)[3] < nobody[3] < source.score(keen, everything)[3]
    assert source.score(tired, everything)[B] == pytest.approx(nobody[B])
    assert set(source.retrieve(tired, 4).items.tolist()) == {4, 5, 6, 7}


def test_it_is_silent_where_nothing_was_shown():
    log = lived(np.full((40, 8), 3), np.full((40, 8), 0.5), np.random.default_rng(5))
    source = Appeal().fit(World(ITEMS, log.where(log.type != SHOWN), 1e6))
    assert np.isnan(source.score(Context(), np.arange(8, dtype=np.int32))).all()
    assert len(source.retrieve(Context(), 5)) == 0


def test_a_case_knows_what_was_shown_before_but_not_the_page_of_its_answer():
    rows = [(1.0, SHOWN, 0, 0, 0, 0), (1.0, SHOWN, 0, 0, 1, 1), (2.0, CLICK, 0, 0, 1, 1), (3.0, SHOWN, 0, 1, 2, 0)]
    rows += [(10.0, SHOWN, 0, 2, item, item) for item in range(4)] + [(11.0, CLICK, 0, 2, 3, 3)]
    (case,) = place_cases(log_of(rows), "home", Window(9.0, 20.0))
    assert case.relevant.tolist() == [3]
    assert case.context.shown.tolist() == [0, 2], "item 1 was wanted; what stood beside the answer would tell it"
    assert case.context.shown_times.tolist() == [1.0, 3.0]


def pages_of(users: int, visits: int, rng: np.random.Generator, looks: np.ndarray) -> Log:
    """Pages of 4 items in an order that puts item 0 first too often; everybody likes item 3 best, item 0 least."""
    liking, rows = np.array([0.2, 0.4, 0.4, 0.7]), []
    for visit in range(users * visits):
        order = rng.permutation(4) if visit % 3 == 0 else np.array([0, 1, 2, 3])
        for place, item in enumerate(order.tolist()):
            rows.append((10.0 * visit, SHOWN, visit % users, visit, item, place))
            if rng.random() < looks[place] * liking[item]:
                rows.append((10.0 * visit + 1 + place, CLICK, visit % users, visit, item, place))
    return log_of(rows)


def test_of_pages_that_were_shown_standing_above_is_no_merit():
    looks = np.array([1.0, 0.6, 0.4, 0.3], np.float32)
    log = pages_of(50, 60, np.random.default_rng(6), looks)
    window = Window(0.0, 1e9)

    def taken(looks: np.ndarray) -> np.ndarray:
        held = showings(log, "home", window, looks, CaseOptions(limit=0))
        assert all(each.case.relevant[0] in each.shown for each in held)
        return np.bincount([int(each.case.relevant[0]) for each in held], minlength=4)

    fair, naive = taken(looks), taken(np.ones(4, np.float32))
    assert naive[0] > 0.5 * naive[3], "clicks as they are: what stood above was clicked for it"
    assert fair[0] / fair[3] == pytest.approx(0.2 / 0.7, rel=0.35)
    assert fair[1] / fair[2] == pytest.approx(1.0, rel=0.35)


def test_only_what_the_page_showed_competes():
    looks = np.ones(4, np.float32)
    log = pages_of(5, 30, np.random.default_rng(7), looks)
    (first, *_) = showings(log, "home", Window(0.0, 1e9), looks, CaseOptions())
    case = first.masked(8)
    assert sorted({*case.masked.tolist(), *first.shown.tolist()}) == list(range(8))
    assert not {*case.masked.tolist()} & {*first.shown.tolist()}


def test_weights_are_fitted_among_what_was_shown_on_the_scale_of_all_candidates():
    """`policy` knows which items are shown, `taste` which of these are taken: only pages that were shown tell them
    apart from each other."""
    rng = np.random.default_rng(8)
    cases, candidates, among = [], [], []
    for _ in range(200):
        shown = np.sort(rng.choice(30, 6, replace=False)).astype(np.int32)
        wanted = rng.permutation(shown)[:1]
        policy = np.isin(np.arange(30), shown) + 0.05 * rng.random(30)
        taste = 0.3 * np.isin(np.arange(30), wanted) + rng.random(30)
        scores = np.column_stack([policy, taste]).astype(np.float32)
        cases.append(Case(Context(), wanted))
        candidates.append(
            Candidates(np.arange(30, dtype=np.int32), scores, np.full(30, np.nan, np.float32), ("policy", "taste"))
        )
        among.append(shown)
    usual = fit_weights("home", cases, candidates)
    fair = fit_weights("home", cases, candidates, among=among)
    assert usual.figures["policy"] > usual.figures["taste"]
    assert fair.figures["taste"] > fair.figures["policy"] + 0.05
    assert fair.weights["taste"] == 1.0
    assert fair.weights["policy"] < 0.1 * usual.weights["policy"]
