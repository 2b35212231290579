"""Fusion on made-up sources whose worth is known: noise must get weight 0, complements must be joined."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from bodega.errors import BadRequest, SnapshotCorrupt
from bodega.evaluation import Case, Ranked, average_ranks, metric
from bodega.ranking.fuse import Fusion, ablate, fit_weights, gather, z_scores
from bodega.schema import Candidates, Context, ItemTable, World

NAN = np.nan


class Fake:
    """A source that scores items from a table, NaN = no opinion."""

    def __init__(self, name: str, scores: list[float]) -> None:
        self.name = name
        self.table = np.array(scores, np.float32)

    def fit(self, world: World) -> Self:
        return self

    def score(self, context: Context, items: np.ndarray) -> np.ndarray:
        return self.table[items]

    def retrieve(self, context: Context, k: int) -> Candidates:
        known = np.flatnonzero(np.isfinite(self.table)).astype(np.int32)
        best = known[np.argsort(-self.table[known], kind="stable")][:k]
        return Candidates.of(self.name, best, self.table[best])

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        return cls("fake", [])


def found(scores: list[list[float]], sources: tuple[str, ...]) -> Candidates:
    table = np.array(scores, np.float32)
    n = len(table)
    return Candidates(np.arange(n, dtype=np.int32), table, np.full(n, NAN, np.float32), sources)


def test_gather_is_the_union_with_every_column_filled() -> None:
    a = Fake("a", [9, 8, 7, 1, NAN, NAN])
    b = Fake("b", [NAN, 1, NAN, 3, 2, NAN])
    union = gather([a, b], Context(), 2)
    assert union.items.tolist() == [0, 1, 3, 4]
    assert union.sources == ("a", "b")
    assert union.column("a").tolist()[:3] == [9, 8, 1]
    assert np.isnan(union.column("a")[3])
    assert np.isnan(union.column("b")[0])
    assert union.column("b").tolist()[1:] == [1, 3, 2]


def test_gather_of_silent_sources_is_empty() -> None:
    union = gather([Fake("a", [NAN, NAN]), Fake("b", [NAN, NAN])], Context(), 5)
    assert len(union) == 0
    assert len(Fusion({}).rank(Context(), union)) == 0
    assert len(Fusion({"home": {"a": 1.0}}).rank(Context(), union)) == 0
    assert Fusion({"home": {"a": 1.0}}).shares(Context(), union).shape == (0, 2)
    assert len(gather([], Context(), 5)) == 0


def test_z_scores_by_hand() -> None:
    z = z_scores(np.array([[1, NAN], [3, 5], [NAN, 5], [5, NAN]], np.float32), 200)
    deviation = np.sqrt(8 / 3)
    assert z[:, 0] == pytest.approx([-2 / deviation, 0, -2 / deviation, 2 / deviation])
    assert z[:, 1].tolist() == [-1, 0, 0, -1]  # all the same: what is there stands above what is not
    assert z_scores(np.full((3, 1), NAN, np.float32)).tolist() == [[0], [0], [0]]


def test_z_scores_are_relative_to_the_best_k() -> None:
    values = np.array([10, 8, 6, 1, 0, NAN], np.float32).reshape(-1, 1)
    z = z_scores(values, 3)[:, 0]
    deviation = np.sqrt(8 / 3)
    assert z == pytest.approx((np.array([10, 8, 6, 1, 0, 0]) - 8) / deviation)


def test_z_scores_ignore_scale_and_shift() -> None:
    scores = np.random.default_rng(1).gamma(0.5, size=(300, 3)).astype(np.float32)
    scores[::7, 1] = NAN
    assert z_scores(scores * 1000 + 50) == pytest.approx(z_scores(scores), abs=2e-3)


def test_rank_follows_the_weights_of_the_place() -> None:
    candidates = found([[1, 30], [2, 20], [3, 10]], ("a", "b"))
    fusion = Fusion({"home": {"a": 1, "b": 0}, "basket": {"a": 0, "b": 1}, "similar": {"a": 1, "b": 1}})
    assert fusion.rank(Context(place="home"), candidates).items.tolist() == [2, 1, 0]
    assert fusion.rank(Context(place="basket"), candidates).items.tolist() == [0, 1, 2]
    ranked = fusion.rank(Context(place="home"), candidates)
    assert ranked.score.tolist() == sorted(ranked.score.tolist(), reverse=True)
    assert ranked.column("b").tolist() == [10, 20, 30]


def test_without_weights_ranks_are_fused() -> None:
    candidates = found([[3, 1], [2, 3], [1, 2], [0, NAN]], ("a", "b"))
    ranked = Fusion({}).rank(Context(), candidates)
    assert ranked.items.tolist() == [1, 0, 2, 3]
    assert ranked.score[0] == pytest.approx(1 / 22 + 1 / 21)
    assert ranked.score[3] == pytest.approx(1 / 24)


def test_a_silent_favourite_leaves_the_order_to_those_who_speak() -> None:
    candidates = found([[NAN, 1], [NAN, 3], [NAN, 2]], ("a", "b"))
    assert Fusion({"home": {"a": 1, "b": 0}}).rank(Context(), candidates).items.tolist() == [1, 2, 0]


def test_a_source_without_weight_only_breaks_ties() -> None:
    candidates = found([[5, 1], [5, 9], [4, 100]], ("a", "b"))
    assert Fusion({"home": {"a": 1, "b": 0}}).rank(Context(), candidates).items.tolist() == [1, 0, 2]


def test_shares_sum_to_one_and_follow_the_evidence() -> None:
    rng = np.random.default_rng(2)
    scores = rng.gamma(0.5, size=(40, 3)).astype(np.float32)
    scores[rng.random((40, 3)) < 0.4] = NAN
    candidates = found(scores.tolist(), ("a", "b", "c"))
    shares = Fusion({"home": {"a": 1, "b": 0.5, "c": 0}}).shares(Context(), candidates)
    assert shares.sum(axis=1) == pytest.approx(np.ones(40), abs=1e-5)
    assert shares.min() >= 0
    alone = found([[9, NAN], [1, NAN], [NAN, 2], [NAN, 1]], ("a", "b"))
    shares = Fusion({"home": {"a": 1, "b": 1}}).shares(Context(), alone)
    assert shares[0].tolist() == [1, 0]
    assert shares[2].tolist() == [0, 1]
    assert shares[1].tolist() == [1, 0]  # the bottom of every list: those that score it share it


def world(n_cases: int, seed: int, quality: dict[str, float]) -> tuple[list[Case], list[Candidates]]:
    """Each source sees the answer with its own noise: `quality` is how far it lifts the right item."""
    rng = np.random.default_rng(seed)
    cases, candidates = [], []
    for _ in range(n_cases):
        scores = rng.normal(size=(60, len(quality)))
        right = int(rng.integers(60))
        scores[right] += list(quality.values())
        cases.append(Case(Context(), np.array([right], np.int32)))
        candidates.append(found(scores.tolist(), tuple(quality)))
    return cases, candidates


def test_two_halves_of_the_truth_are_joined() -> None:
    fitted = fit_weights("home", *world(400, 1, {"a": 2.0, "b": 2.0}))
    assert fitted.chosen == "fusion"
    assert 0.5 < fitted.weights["a"] / fitted.weights["b"] < 2
    assert fitted.figures["fusion.crossfit"] > 1.2 * max(fitted.figures["a"], fitted.figures["b"])


def test_noise_gets_weight_zero_and_the_single_source_is_served() -> None:
    fitted = fit_weights("home", *world(1500, 2, {"noise": 0.0, "good": 2.5}))
    assert fitted.weights == {"noise": 0.0, "good": 1.0}
    assert fitted.chosen == "good"


def test_noise_gets_weight_zero_inside_a_fusion_that_is_served() -> None:
    """With few cases noise always fits a little; the price on each source turns it off."""
    silent = []
    for seed in range(20, 26):
        fitted = fit_weights("home", *world(300, seed, {"a": 2.0, "b": 2.0, "noise": 0.0}))
        assert fitted.chosen == "fusion"
        assert min(fitted.weights["a"], fitted.weights["b"]) > 0.4
        silent.append(fitted.weights["noise"])
    assert np.median(silent) == 0
    assert max(silent) <= 0.2


def test_a_redundant_twin_gets_weight_zero() -> None:
    cases, candidates = world(600, 3, {"good": 2.5, "twin": 0.0})
    for own in candidates:
        own.scores[:, 1] = own.scores[:, 0] * 3 + 7
    fitted = fit_weights("home", cases, candidates)
    assert sorted(fitted.weights.values()) == [0, 1]
    assert fitted.chosen in ("good", "twin")


def test_the_worth_of_a_weight_is_found_on_fresh_cases() -> None:
    """Weights fitted on one draw beat equal weights on another."""
    quality = {"a": 3.0, "b": 1.0, "noise": 0.0}
    fitted = fit_weights("home", *world(800, 4, quality))
    cases, candidates = world(800, 5, quality)
    served, equal = Fusion({"home": fitted.weights}), Fusion({"home": dict.fromkeys(quality, 1.0)})

    def hits(fusion: Fusion) -> int:
        first = [int(fusion.rank(Context(), own).items[0]) for own in candidates]
        return sum(item == int(case.relevant[0]) for item, case in zip(first, cases, strict=True))

    assert hits(served) > hits(equal)


def test_figures_equal_the_judge() -> None:
    """The fast trial inside the fit and the evaluation's own metric are the same number, several answers and all."""
    rng = np.random.default_rng(6)
    cases, candidates = [], []
    for _ in range(60):
        scores = np.round(rng.normal(size=(30, 2)), 1)
        relevant = np.sort(rng.permutation(40)[: int(rng.integers(1, 6))]).astype(np.int32)
        masked = np.setdiff1d(np.array([1, 2], np.int32), relevant)
        cases.append(Case(Context(), relevant, masked))
        candidates.append(found(scores.tolist(), ("a", "b")))
    fitted = fit_weights("home", cases, candidates)
    values = []
    for case, own in zip(cases, candidates, strict=True):
        dense = np.full(10_000, NAN)
        dense[own.items] = own.column("a")
        ranks = average_ranks(dense, case.relevant, case.masked)
        judged = Ranked(ranks, case.relevant, np.zeros(len(ranks), np.int32), np.array([10_000], np.int32))
        values.append(metric(judged, "ndcg@10")[0])
    assert fitted.figures["a"] == pytest.approx(np.mean(values))


def test_few_cases_serve_reciprocal_ranks() -> None:
    fitted = fit_weights("home", *world(10, 7, {"a": 3.0, "b": 3.0}))
    assert (fitted.weights, fitted.chosen) == ({}, "rrf")
    assert fit_weights("home", [], []).chosen == "rrf"


def test_nothing_relevant_among_the_candidates_is_no_error() -> None:
    cases, candidates = world(40, 8, {"a": 1.0})
    missed = [Case(Context(), np.array([999], np.int32)) for _ in cases]
    assert fit_weights("home", missed, candidates).chosen == "rrf"


def test_cases_and_candidates_must_belong_together() -> None:
    cases, candidates = world(40, 9, {"a": 1.0})
    with pytest.raises(BadRequest, match="belong together"):
        fit_weights("home", cases[:-1], candidates)


def test_fitting_is_deterministic_and_blind_to_scale() -> None:
    cases, candidates = world(300, 10, {"a": 2.0, "b": 1.5})
    first = fit_weights("home", cases, candidates)
    for own in candidates:
        own.scores[:, 0] *= 1024
    assert fit_weights("home", cases, candidates).weights == first.weights


def test_ablation_shows_what_each_source_brings() -> None:
    figures = ablate(*world(600, 11, {"a": 2.0, "b": 2.0, "noise": 0.0}))
    assert figures["a"] < 0.9 * figures["all"]
    assert figures["noise"] == pytest.approx(figures["all"], rel=0.01)


def test_weights_survive_json() -> None:
    fusion = Fusion({"home": {"b": 0.25, "a": 1.0}, "basket": {}}, k=100)
    again = Fusion.from_json(fusion.to_json())
    assert (again.weights, again.k) == (fusion.weights, 100)
    assert again.to_json() == Fusion({"basket": {}, "home": {"a": 1.0, "b": 0.25}}, k=100).to_json()
    with pytest.raises(SnapshotCorrupt, match="weights"):
        Fusion.from_json(b'{"weights": 3}')


def test_ranking_is_fast_enough_for_every_request() -> None:
    """600 x 5 takes about .1 ms; ten times that would be a loop over items."""
    scores = np.random.default_rng(12).gamma(0.5, size=(600, 5)).astype(np.float32)
    candidates = found(scores.tolist(), tuple("abcde"))
    fusion = Fusion({"home": dict.fromkeys("abcde", 0.5)})
    seconds = []
    for _ in range(50):
        started = time.thread_time()
        fusion.rank(Context(), candidates)
        seconds.append(time.thread_time() - started)
    assert min(seconds) < 1e-3


def test_where_the_chosen_sources_are_silent_the_backup_weights_decide() -> None:
    scores = np.array([[np.nan, 3.0, 1.0], [np.nan, 2.0, 2.0], [np.nan, 1.0, 3.0]], np.float32)
    found = Candidates(np.arange(3, dtype=np.int32), scores, np.zeros(3, np.float32), ("a", "b", "c"))
    fusion = Fusion({"home": {"a": 1.0}}, backup={"home": {"b": 1.0, "c": 0.1}})
    assert fusion.rank(Context(place="home"), found).items.tolist() == [0, 1, 2]
    assert Fusion.from_json(fusion.to_json()).rank(Context(place="home"), found).items.tolist() == [0, 1, 2]


def test_shares_of_the_list_that_was_ranked_last_are_those_of_a_fresh_fusion(rng):
    weights = {"home": {"a": 1.0, "b": 0.5, "c": 0.0}}
    kept, context = Fusion(weights), Context()
    scores = rng.random((300, 3)).astype(np.float32)
    scores[rng.random((300, 3)) < 0.4] = np.nan
    union = Candidates(np.arange(300, dtype=np.int32), scores, np.full(300, np.nan, np.float32), ("a", "b", "c"))
    ranked = kept.rank(context, union)
    again = Candidates(ranked.items, ranked.scores.copy(), ranked.score, ranked.sources)
    assert np.allclose(kept.shares(context, ranked), Fusion(weights).shares(context, again), atol=1e-6)
    other = ranked.take(np.arange(10))  # other candidates of the same context are looked at anew
    assert np.array_equal(kept.shares(context, other), Fusion(weights).shares(context, other))


def test_what_was_scaled_goes_along_when_the_candidates_are_put_in_another_order(rng):
    fusion, context = Fusion({"home": {"a": 1.0, "b": 0.5}}), Context(place="home")
    whole = found(rng.random((300, 2)).tolist(), ("a", "b"))
    parts, weight = fusion.parts(context, whole)
    rows = rng.permutation(len(whole)).astype(np.int32)
    moved = fusion.reordered(whole, rows)
    again, same = fusion.parts(context, moved)
    assert np.array_equal(moved.items, whole.items[rows])
    assert np.array_equal(again, parts[rows])
    assert np.array_equal(same, weight)
    assert np.allclose(again, Fusion(fusion.weights).parts(context, moved)[0], atol=1e-6)


def test_shares_of_some_rows_are_those_among_all(rng):
    scores = rng.gamma(0.5, size=(40, 3)).astype(np.float32)
    scores[rng.random((40, 3)) < 0.4] = NAN
    candidates = found(scores.tolist(), ("a", "b", "c"))
    fusion = Fusion({"home": {"a": 1, "b": 0.5, "c": 0}})
    some = np.array([7, 0, 39, 7])
    assert np.array_equal(
        fusion.shares(Context(), candidates, some), Fusion(fusion.weights).shares(Context(), candidates)[some]
    )
    assert fusion.shares(Context(), candidates, some[:0]).shape == (0, 3)
