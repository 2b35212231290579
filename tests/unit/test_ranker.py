"""Does the learned ranker order, explain, promise and fall back as it says? In a place with a planted order."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bodega.errors import BadRequest, SnapshotCorrupt
from bodega.evaluation import Case
from bodega.evaluation.splits import sequence_log
from bodega.features import State
from bodega.protocols import Stage
from bodega.ranking.fuse import Fusion
from bodega.ranking.learned import (
    Calibration,
    Chosen,
    Learner,
    Lessons,
    LogisticLearner,
    Ordering,
    Ranker,
    RankerOptions,
    Recipe,
    TreesLearner,
    fit_ranker,
)
from bodega.ranking.learned.fitting import lesson_table, steady
from bodega.ranking.learned.linear import CLIP
from bodega.schema import EVENT_CODES, Candidates, Context, Item, ItemTable, World
from bodega.schema.arrays import Floats

N_ITEMS = 240
N_CASES = 700
SOURCES = ("tail", "head")
QUICK = TreesLearner(width=30, stages=(10, 40))
BOTH = RankerOptions((LogisticLearner(width=30), QUICK), folds=2)


def catalog() -> ItemTable:
    return ItemTable.of(
        Item(id=str(n), title=f"thing {n % 40} of {n % 7}", brand=f"b{n % 9}", price=1.0 + n) for n in range(N_ITEMS)
    )


def planted() -> tuple[State, list[Case], list[Candidates]]:
    """Items 0..79 are popular. `tail` is right about the others, `head` about the popular ones; a sum cannot tell."""
    rng = np.random.default_rng(11)
    often = np.concatenate([np.repeat(np.arange(80), 30), np.arange(N_ITEMS)]).astype(np.int32)
    items, log = catalog(), sequence_log([rng.permutation(often)])
    state = State.fit(World(items, log, until=float(log.time[-1]) + 60))
    cases, candidates = [], []
    for user in range(N_CASES):
        pool = np.sort(rng.choice(N_ITEMS, 60, replace=False)).astype(np.int32)
        popular = pool < 80
        answer = int(rng.choice(pool))
        scores = rng.normal(size=(60, 2)).astype(np.float32)
        at = int(np.searchsorted(pool, answer))
        scores[at, int(popular[at])] += 1.5
        scores[:, 0][popular] += 0.8  # each source is loudest where it knows nothing
        scores[:, 1][~popular] += 0.8
        known = rng.integers(0, N_ITEMS, 3).astype(np.int32)
        context = Context("home", 1e5, known, np.arange(3) * 60.0, np.full(3, EVENT_CODES["purchase"], np.int8))
        cases.append(Case(context, np.array([answer], np.int32), user=user))
        candidates.append(Candidates(pool, scores, np.full(60, np.nan, np.float32), SOURCES))
    return state, cases, candidates


@pytest.fixture(scope="module")
def world() -> tuple[State, list[Case], list[Candidates]]:
    return planted()


@pytest.fixture(scope="module")
def recipe(world: tuple[State, list[Case], list[Candidates]]) -> Recipe:
    return Recipe("home", Fusion({"home": {"tail": 1.0, "head": 1.0}}), world[0], SOURCES)


@pytest.fixture(scope="module")
def lessons(world: tuple[State, list[Case], list[Candidates]], recipe: Recipe) -> Lessons:
    return Lessons.of(recipe, world[1], world[2])


@pytest.fixture(scope="module")
def chosen(lessons: Lessons) -> Chosen:
    return fit_ranker(lessons, BOTH)


@pytest.fixture(scope="module")
def ranker(chosen: Chosen) -> Ranker:
    assert chosen.ranker is not None, chosen.verdict
    return chosen.ranker


Planted = tuple[State, list[Case], list[Candidates]]


def test_trees_find_which_source_is_right_about_which_items(chosen: Chosen) -> None:
    figures = chosen.figures
    assert figures["trees.ndcg@10"] > figures["sum.ndcg@10"] + 0.05
    assert figures["gain.low"] > 0
    assert "trees ranks" in chosen.verdict
    assert chosen.ranker is not None
    stage: Stage = chosen.ranker
    assert stage.rank is not None


def test_the_same_lessons_give_the_same_bytes(lessons: Lessons, ranker: Ranker, tmp_path: Path) -> None:
    again = fit_ranker(lessons, BOTH).ranker
    assert again is not None
    for name, one in (("one", ranker), ("two", again)):
        (tmp_path / name).mkdir()
        one.save(tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) > 5
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)


@pytest.mark.parametrize("learner", [LogisticLearner(), QUICK], ids=["logistic", "trees"])
def test_a_saved_ranker_ranks_and_explains_alike(
    learner: Learner, world: Planted, recipe: Recipe, lessons: Lessons, tmp_path: Path
) -> None:
    model = list(learner.fit(lessons).values())[-1]
    ranker = Ranker(recipe, model)
    context, candidates = world[1][0].context, world[2][0]
    ranker.save(tmp_path)
    opened = Ranker.load(tmp_path, recipe.fusion, world[0])
    one, two = ranker.rank(context, candidates), opened.rank(context, candidates)
    np.testing.assert_array_equal(one.items, two.items)
    np.testing.assert_array_equal(one.score, two.score)
    rows = np.arange(len(candidates), dtype=np.int32)
    table = recipe.table(context, candidates, rows)
    parts = opened.contributions(context, candidates)
    assert parts.shape == (len(candidates), len(recipe.columns))
    np.testing.assert_allclose(parts.sum(axis=1) + model.base, model.score(table), rtol=1e-3, atol=1e-3)
    assert model.exact


def test_the_order_is_that_of_the_scores_and_the_tail_keeps_the_sum(world: Planted, ranker: Ranker) -> None:
    short = replace(ranker, recipe=replace(ranker.recipe, head=20))
    for case, found in zip(world[1][:20], world[2][:20], strict=True):
        ranked, summed = short.rank(case.context, found), short.recipe.fusion.rank(case.context, found)
        assert sorted(ranked.items) == sorted(found.items)
        assert (np.diff(ranked.score) <= 0).all()
        assert np.isfinite(ranked.score).all()
        assert set(ranked.items[:20]) == set(summed.items[:20])
        np.testing.assert_array_equal(ranked.items[20:], summed.items[20:])
        at = np.searchsorted(found.items, ranked.items)
        np.testing.assert_array_equal(ranked.scores, found.scores[at])


def test_the_head_is_scored_as_if_asked_for_alone(world: Planted, ranker: Ranker) -> None:
    context, found = world[1][3].context, world[2][3]
    ranked = ranker.rank(context, found)
    rows = np.searchsorted(found.items, ranked.items[:10]).astype(np.int32)
    np.testing.assert_allclose(
        ranker.model.score(ranker.recipe.table(context, found, rows)), ranked.score[:10], rtol=1e-5, atol=1e-6
    )


def hostile() -> dict[str, tuple[list[int], Floats]]:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(60, 2)).astype(np.float32)
    some = scores.copy()
    some[rng.random(some.shape) < 0.7] = np.nan
    return {
        "one item of history": ([5], scores),
        "10,000 of history": ([n % N_ITEMS for n in range(10_000)], scores),
        "bought everything": (list(range(N_ITEMS)), scores),
        "no history": ([], scores),
        "equal scores": ([5], np.ones_like(scores)),
        "silent sources": ([5], np.full_like(scores, np.nan)),
        "one silent source": ([5], np.stack([scores[:, 0], np.full(60, np.nan, np.float32)], axis=1)),
        "gaps": ([5, 5, 5], some),
        "huge scores": ([5], scores * np.float32(1e30)),
        "infinite scores": ([5], np.where(scores > 1, np.inf, scores).astype(np.float32)),
    }


@pytest.mark.parametrize("name", list(hostile()))
def test_hostile_requests_are_ranked(name: str, ranker: Ranker) -> None:
    history, scores = hostile()[name]
    held = np.array(history, np.int32)
    context = Context("home", 1e5, held, np.arange(len(held)) * 60.0, np.full(len(held), 4, np.int8))
    items = np.arange(0, N_ITEMS, 4, dtype=np.int32)
    found = Candidates(items, scores, np.full(60, np.nan, np.float32), SOURCES)
    ranked = ranker.rank(context, found)
    assert sorted(ranked.items) == items.tolist()
    assert np.isfinite(ranked.score).all()
    assert ranker.shares(context, found).sum(axis=1) == pytest.approx(np.ones(60), abs=1e-4)
    assert np.isfinite(ranker.contributions(context, found)).all()
    nothing = ranker.rank(context, found.take(np.empty(0, np.int64)))
    assert len(nothing) == 0
    assert len(ranker.rank(context, found.take(np.array([7])))) == 1


def test_where_no_weighted_source_speaks_the_fusion_orders(world: Planted, ranker: Ranker) -> None:
    scores = np.full((60, 2), np.nan, np.float32)
    found = replace_scores(world[2][0], scores)
    fusion = ranker.recipe.fusion.rank(world[1][0].context, found)
    np.testing.assert_array_equal(ranker.rank(world[1][0].context, found).items, fusion.items)
    other = Candidates(found.items, world[2][0].scores, found.score, ("tail", "stranger"))
    np.testing.assert_array_equal(
        ranker.rank(world[1][0].context, other).items, ranker.recipe.fusion.rank(world[1][0].context, other).items
    )


def replace_scores(found: Candidates, scores: Floats) -> Candidates:
    return Candidates(found.items, scores, found.score, found.sources)


def test_few_cases_leave_the_sum_in_place(world: Planted, recipe: Recipe) -> None:
    few = Lessons.of(recipe, world[1][:50], world[2][:50])
    found = fit_ranker(few, BOTH)
    assert found.ranker is None
    assert "the sum stays" in found.verdict
    none = fit_ranker(Lessons.of(recipe, [], []))
    assert none.ranker is None


def test_noise_does_not_replace_the_sum(world: Planted, recipe: Recipe) -> None:
    """Answers drawn without looking: whatever trees find there is luck, and must not be served."""
    rng = np.random.default_rng(4)
    cases = [
        replace(case, relevant=rng.choice(found.items, 1).astype(np.int32))
        for case, found in zip(world[1], world[2], strict=True)
    ]
    found = fit_ranker(Lessons.of(recipe, cases, world[2]), BOTH)
    assert found.ranker is None, found.figures
    assert "not surely" in found.verdict


def test_without_lightgbm_the_logistic_ranker_is_tried_and_the_report_says_how_to_get_trees(
    lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    found = fit_ranker(lessons, BOTH)
    assert "logistic.ndcg@10" in found.figures
    assert "trees.ndcg@10" not in found.figures
    assert "pip install" in found.verdict


def test_probabilities_are_calibrated_on_cases_that_were_not_learned_from(chosen: Chosen, ranker: Ranker) -> None:
    assert chosen.figures["ece"] < 0.03
    fresh_state, cases, candidates = planted()
    del fresh_state
    promised, came = [], []
    for case, found in zip(cases[:250], candidates[:250], strict=True):
        ranked = ranker.rank(case.context, found)
        chance = ranker.probability(case.context, found)[np.searchsorted(found.items, ranked.items[:10])]
        assert (np.diff(chance) <= 1e-6).all(), "the order by probability is the order by score"
        promised.append(chance.sum())
        came.append(np.isin(ranked.items[:10], case.relevant).sum())
    assert np.mean(promised) == pytest.approx(np.mean(came), rel=0.2)


def test_business_value_is_off_by_default_and_moves_what_is_worth_more(world: Planted, ranker: Ranker) -> None:
    margin = np.linspace(0, 1, N_ITEMS, dtype=np.float32)
    context, found = world[1][0].context, world[2][0]
    plain = ranker.rank(context, found)
    np.testing.assert_array_equal(
        ranker.valued({"margin": 0.0}, {"margin": margin}).rank(context, found).items, plain.items
    )
    means = [
        margin[ranker.valued({"margin": weight}, {"margin": margin}).rank(context, found).items[:10]].mean()
        for weight in (0.0, 1.0, 100.0)
    ]
    assert means[0] <= means[1] <= means[2]
    assert means[2] > means[0]
    valued = ranker.valued({"margin": 100.0}, {"margin": np.zeros(N_ITEMS, np.float32)})
    np.testing.assert_array_equal(valued.rank(context, found).items[:10], plain.items[:10])
    for weight in (-1.0, float("nan")):
        with pytest.raises(BadRequest, match="margin"):
            ranker.valued({"margin": weight}, {"margin": margin})
    with pytest.raises(BadRequest, match="price"):
        ranker.valued({"price": 1.0}, {"margin": margin})


@pytest.mark.parametrize("damage", ["nan", "json", "columns", "kind", "calibration"])
def test_damaged_rankers_are_refused(damage: str, ranker: Ranker, tmp_path: Path) -> None:
    ranker.save(tmp_path)
    path = tmp_path / "ranker.json"
    facts = msgspec.json.decode(path.read_bytes())
    if damage == "nan":
        np.save(tmp_path / "value.npy", np.full_like(np.load(tmp_path / "value.npy", allow_pickle=False), np.nan))
    elif damage == "json":
        path.write_bytes(b"{")
    elif damage == "columns":
        path.write_bytes(msgspec.json.encode({**facts, "columns": facts["columns"][::-1]}))
    elif damage == "kind":
        path.write_bytes(msgspec.json.encode({**facts, "kind": "oracle"}))
    else:
        np.save(
            tmp_path / "calibration.chance.npy", np.load(tmp_path / "calibration.chance.npy", allow_pickle=False)[::-1]
        )
    with pytest.raises(SnapshotCorrupt):
        Ranker.load(tmp_path, ranker.recipe.fusion, ranker.recipe.state)


def test_an_ordering_is_kept_and_falls_back(world: Planted, ranker: Ranker, tmp_path: Path) -> None:
    fusion, state = ranker.recipe.fusion, world[0]
    ordering = Ordering(fusion, {"home": ranker}, state)
    ordering.save(tmp_path)
    opened = Ordering.load(tmp_path, fusion, catalog())
    context, found = world[1][1].context, world[2][1]
    np.testing.assert_array_equal(opened.rank(context, found).items, ranker.rank(context, found).items)
    elsewhere = replace(context, place="basket")
    np.testing.assert_array_equal(opened.rank(elsewhere, found).items, fusion.rank(elsewhere, found).items)
    rows = np.arange(3, dtype=np.int32)
    reasons = opened.reasons(context, found, rows)
    parts = ranker.contributions(context, found, rows)
    assert [len(each) for each in reasons] == [3, 3, 3]
    for row, each in enumerate(reasons):
        strongest = int(np.argmax(np.abs(parts[row])))
        assert each[0] == (ranker.recipe.columns[strongest], pytest.approx(float(parts[row, strongest]), abs=1e-3))
    assert opened.reasons(elsewhere, found, rows) == [[], [], []]
    assert Ordering.load(tmp_path / "older snapshot", fusion, catalog()).rankers == {}
    before = opened.state
    assert before is not None
    count = float(before.counts[3].sum())
    opened.writes(3, EVENT_CODES["purchase"], 2e5)
    assert float(before.counts[3].sum()) != count


@pytest.mark.parametrize("positives", [50, 2_000])
def test_calibration_learns_the_chance_of_a_score(positives: int) -> None:
    rng = np.random.default_rng(8)
    score = rng.normal(size=positives * 10).astype(np.float32)
    truth = 0.2 / (1 + np.exp(-2 * score))
    happened = (rng.random(len(score)) < truth).astype(np.float32)
    found = Calibration.fit(score, happened, np.ones_like(score))
    grid = np.array([-1, 0, 1], np.float32)
    np.testing.assert_allclose(found.probability(grid), 0.2 / (1 + np.exp(-2 * grid)), atol=0.06)
    wide = found.probability(np.linspace(-50, 50, 400).astype(np.float32))
    assert (np.diff(wide) >= 0).all()
    assert 0 <= wide.min() <= wide.max() <= 1


def test_the_number_of_trees_is_chosen_steadily() -> None:
    """The smallest within half a standard error of the best: noise of a lucky stage does not grow the model."""
    rng = np.random.default_rng(3)
    level = rng.random(4_000)
    judged = {50: level, 100: level + 0.01 + rng.normal(0, 0.1, 4_000), 200: level + 0.01 + rng.normal(0, 0.1, 4_000)}
    assert steady(judged)[0] == 100
    assert steady({1: level, 25: level + 0.05})[0] == 25
    assert steady({7: level})[0] == 7


@pytest.mark.parametrize("learner", [LogisticLearner(width=30), QUICK], ids=["logistic", "trees"])
def test_the_number_of_threads_changes_no_byte(learner: Learner, lessons: Lessons, tmp_path: Path) -> None:
    threads = pytest.importorskip("threadpoolctl", reason="comes with the extra `trees`")
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        with threads.threadpool_limits(number):
            list(learner.fit(lessons).values())[-1].save(tmp_path / str(number))
    files = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert files
    assert all((tmp_path / "1" / f).read_bytes() == (tmp_path / "2" / f).read_bytes() for f in files)


@pytest.mark.parametrize(
    "learner", [LogisticLearner(width=1), TreesLearner(width=1, stages=(5,))], ids=["line", "trees"]
)
def test_hits_that_all_lie_too_deep_leave_the_order_of_the_sum(learner: Learner, lessons: Lessons) -> None:
    first = np.zeros(len(lessons.items), np.bool_)
    first[lessons.starts[:-1]] = True
    deep = lessons.rows(np.bincount(lessons.case[first & lessons.relevant], minlength=len(lessons)) == 0)
    model = list(learner.fit(deep).values())[-1]
    scores = np.concatenate(
        [model.score(lesson_table(deep, n, int(deep.starts[n]), int(deep.starts[n + 1]))) for n in range(5)]
    )
    summed = deep.sum[: len(scores)]
    if isinstance(learner, LogisticLearner):
        summed = np.clip(summed, -CLIP, CLIP)
    np.testing.assert_allclose(scores, summed, rtol=1e-5, atol=1e-6)
