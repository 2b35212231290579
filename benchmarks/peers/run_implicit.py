"""`implicit`: alternating least squares, BPR, item-kNN. Runs inside `.venv-peers/implicit`."""

from __future__ import annotations

import numpy as np
from exchange import Job, counts, main
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender


class Implicit:
    """What the three share."""

    def prepare(self, job: Job) -> None:
        self.job, self.held = job, counts(job)
        self.model = self.make(dict(job.options))

    def fit(self) -> None:
        self.model.fit(self.held, show_progress=False)

    def recommend(self, user: int) -> object:
        return self.model.recommend(user, self.held[user], N=10, filter_already_liked_items=self.job.hide)


class Factors(Implicit):
    def answer(self, users: np.ndarray) -> np.ndarray:
        return self.model.user_factors[users] @ self.model.item_factors.T


class Als(Factors):
    def make(self, options: dict) -> object:
        return AlternatingLeastSquares(**options, num_threads=1, random_state=self.job.seed)


class Bpr(Factors):
    def make(self, options: dict) -> object:
        return BayesianPersonalizedRanking(**options, num_threads=1, random_state=self.job.seed)


WEIGHTS = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender, "bm25": BM25Recommender}


class ItemKnn(Implicit):
    def make(self, options: dict) -> object:
        return WEIGHTS[options.pop("weights", "cosine")](**options, num_threads=1)

    def answer(self, users: np.ndarray) -> np.ndarray:
        return (self.held[users] @ self.model.similarity).toarray()


if __name__ == "__main__":
    main("implicit", {"als": Als, "bpr": Bpr, "item-knn": ItemKnn})
